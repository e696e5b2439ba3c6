"""sc.exe's and reg.exe's further verbs, the same over WinRM and over SSH; a thousand hosts that speak both."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import loopback
import pytest
from virtual_ssh import World, said, signed_in, ssh_lab
from virtual_windows import host, program, session

SERVICES: list[dict[str, Any]] = [
    {"name": "Web", "display_name": "Web site", "start_s": 0.05, "stop_s": 0.05, "can_pause": True},
    {"name": "Off", "display_name": "Switched off", "state": "Stopped"},
    {"name": "Orders", "cluster_role": "Sales role"},
    {"name": "MSSQL$ERP", "cluster_role": "ERP database"},
    {"name": "ClusSvc"},
]
RESOURCES = "HKEY_LOCAL_MACHINE\\Cluster\\Resources"
Ask = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    hosts = [host("node-01", *SERVICES), host("alone-01", SERVICES[0], language="de")]
    with ssh_lab(tmp_path_factory.mktemp("lab"), *hosts, transports=("http", "ssh")) as process:
        yield World(process, hosts)


@pytest.fixture(params=["ssh", "winrm"])
def ask(request: pytest.FixtureRequest, world: World) -> Iterator[Ask]:
    """Runs a program on node-01: exit code and lines."""
    if request.param == "winrm":
        with session(world.addresses["node-01"]) as pool:
            yield lambda *words: program(pool, words[0], *words[1:])
        return

    def over_ssh(*words: str) -> tuple[int, list[str]]:
        mark = world.mark()
        line = " ".join(f'"{word}"' if " " in word else word for word in words)
        _, out, _ = world.said(line)
        return world.until(mark, kind="exit")["code"], out.decode("cp437").splitlines()

    yield over_ssh


def test_all_services_are_listed_by_their_state(ask: Ask) -> None:
    def listed(*words: str) -> list[str]:
        code, lines = ask(*words)
        assert code == 0
        return [line.removeprefix("SERVICE_NAME: ") for line in lines if line.startswith("SERVICE_NAME")]

    up = ["ClusSvc", "MSSQL$ERP", "Orders", "Web"]
    assert listed("sc.exe", "queryex") == up
    assert listed("sc.exe", "queryex", "type=", "service", "state=", "all") == sorted([*up, "Off"], key=str.casefold)
    assert listed("sc.exe", "query", "state=", "inactive") == ["Off"]
    assert listed("sc.exe", "query", "state=inactive") == ["Off"]
    assert listed("sc.exe", "query", "type=", "driver") == []
    assert ask("sc.exe", "query", "state=", "sometimes")[0] == 87


def test_a_list_has_display_names_and_one_service_has_none(ask: Ask) -> None:
    _, lines = ask("sc.exe", "queryex", "state=", "inactive")
    assert lines[:4] == [
        "", "SERVICE_NAME: Off", "DISPLAY_NAME: Switched off", "        TYPE               : 10  WIN32_OWN_PROCESS  "
    ]  # fmt: skip
    assert [line.split(":")[1].split()[0] for line in lines[4:-1]] == ["1", "1077", "0", "0x0", "0x0", "0"]
    _, lines = ask("sc.exe", "queryex", "off")
    assert lines[1] == "SERVICE_NAME: Off "
    assert not any(line.startswith("DISPLAY_NAME") for line in lines)


def test_services_are_paused_continued_and_asked(world: World, ask: Ask) -> None:
    world.process.order(op="set", host="node-01", service="Web", state="Running")
    mark = world.mark()
    for verb, pending, goal in (("pause", "6", "Paused"), ("continue", "5", "Running")):
        code, lines = ask("sc.exe", verb, "Web")
        assert (code, lines[3].split(":")[1].split()[0]) == (0, pending)
        world.until(mark, kind="state", to=goal)
    assert ask("sc.exe", "interrogate", "Web")[0] == 0
    assert [line["control"] for line in world.since(mark, kind="control")] == ["pause", "resume"]
    assert ask("sc.exe", "pause", "Off") == (
        1062, ["[SC] ControlService FAILED 1062:", "", "The service has not been started.", ""]
    )  # fmt: skip
    assert ask("sc.exe", "continue", "Orders")[0] == 1052
    assert ask("sc.exe", "interrogate", "Off")[0] == 1062
    code, lines = ask("sc.exe", "qfailure", "Web")
    assert (code, lines[0], lines[2]) == (0, "[SC] QueryServiceConfig2 SUCCESS", "SERVICE_NAME: Web")


def test_a_cluster_keeps_its_resources_in_the_registry(ask: Ask) -> None:
    code, lines = ask("reg.exe", "query", "HKLM\\Cluster\\Resources", "/s")
    assert (code, lines[0], lines[-1]) == (0, "", "")
    blocks = "\n".join(lines).strip().split("\n\n")
    found = [re.sub(r"\\[0-9a-f-]{36}", r"\\GUID", block) for block in blocks]
    sales = [
        f"{RESOURCES}\\GUID\n    Type    REG_SZ    Generic Service\n    Name    REG_SZ    Sales role",
        f"{RESOURCES}\\GUID\\Parameters\n    ServiceName    REG_SZ    Orders",
    ]
    database = [
        f"{RESOURCES}\\GUID\n    Type    REG_SZ    SQL Server\n    Name    REG_SZ    ERP database",
        f"{RESOURCES}\\GUID\\Parameters\n    ServiceName    REG_SZ    MSSQL$ERP",
    ]
    assert found in (sales + database, database + sales)  # keys stand in the order of their GUIDs
    code, lines = ask("reg", "QUERY", "hklm\\cluster\\resources")
    assert (code, [len(line) for line in lines[1:]]) == (0, [len(RESOURCES) + 37] * 2)
    code, lines = ask("reg", "query", lines[1])
    assert (code, lines[1:4]) == (0, [lines[1], *found[0].splitlines()[1:]])


def test_without_a_cluster_there_is_no_such_key(world: World) -> None:
    mark = world.mark()
    _, out, errors = world.said("reg query HKLM\\Cluster\\Resources /s", "alone-01")
    assert world.until(mark, kind="exit")["code"] == 1
    said_there = "FEHLER: Der angegebene Registrierungsschlüssel bzw. Wert wurde nicht gefunden.\r\n"
    assert (out, errors.decode("cp850")) == (b"", said_there)
    assert b"FEHLER: Ung\x81ltige Syntax." in world.said("reg save HKLM\\X", "alone-01")[2]


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def test_a_thousand_hosts_speak_both_in_seconds_and_in_little_memory(tmp_path: Path) -> None:
    services = [{"name": f"S{n}"} for n in range(5)]
    hosts = [
        {"name": f"h-{n:04}", "address": address, "services": services}
        for n, address in enumerate(loopback.addresses(1000))
    ]
    began = time.monotonic()
    with ssh_lab(tmp_path, *hosts, transports=("http", "https", "ssh")) as process:
        assert time.monotonic() - began < 30
        limit = asyncio.Semaphore(50)

        async def one(address: str) -> int | None:
            async with limit, signed_in(process, address, known_hosts=None) as connection:
                return (await said(connection, "sc.exe queryex S1"))[0]

        async def every_fifth() -> list[int | None]:
            return await asyncio.gather(*(one(str(each["address"])) for each in hosts[::5]))

        assert asyncio.run(every_fifth()) == [0] * 200
        with session(str(hosts[7]["address"])) as pool:
            assert program(pool, "sc.exe", "queryex", "S1")[0] == 0
        assert memory_mib(process.pid) < 1024
