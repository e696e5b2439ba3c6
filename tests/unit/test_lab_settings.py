"""Programs that show and change settings, processes and logs of a lab host: exit codes, and lines by position."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from virtual_time import in_virtual_time

from orchestrator.lab import programs
from orchestrator.lab.fleet import HostSpec, Recovery, ServiceSpec
from orchestrator.lab.host import Host
from orchestrator.lab.programs import Where
from orchestrator.lab.record import Record
from orchestrator.lab.service import State

KEY = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Web"
OWN = "HKLM\\SOFTWARE\\orch\\KeptDown\\Web"


def host_of(folder: Path, *services: ServiceSpec, language: str = "en") -> Host:
    spec = HostSpec(name="node-01", address="127.0.0.1", language=language, services=services, boot_s=3.0)
    return Host(spec, Record(folder / "log.jsonl"), {})


def web(**given: object) -> ServiceSpec:
    return ServiceSpec(name="Web", display_name="Web server", **given)  # type: ignore[arg-type] # named where it is set


async def ran(host: Host, exe: str, *arguments: str) -> tuple[int, Sequence[str], Sequence[str]]:
    result = await programs.run(Where(host, "admin"), exe, arguments)
    assert result is not None
    return result.exit_code, result.output, result.errors


async def lines(host: Host, exe: str, *arguments: str) -> Sequence[str]:
    code, output, errors = await ran(host, exe, *arguments)
    assert (code, list(errors)) == (0, [])
    return output


@pytest.mark.parametrize("language", ["de", "en", "fr"])
@in_virtual_time
async def test_recovery_actions_are_shown_by_position_and_put_back(tmp_path: Path, language: str) -> None:
    recovery = Recovery(reset_s=86400, actions=(("restart", 5000), ("run", 0), ("", 0)), command="x.exe /a")
    host = host_of(tmp_path, web(recovery=recovery), language=language)
    shown = await lines(host, "sc.exe", "qfailure", "Web")
    values = [line.partition(": ")[2] for line in shown[3:7]]
    assert values[:3] == ["86400", "", "x.exe /a"]
    assert [int(number) for number in re.findall(r"= (\d+) ", "\n".join(shown[6:]))] == [5000, 0, 0]
    assert len(shown) == 9
    before = await lines(host, "reg.exe", "query", KEY)
    await lines(host, "sc.exe", "failure", "Web", "reset=", "0", "actions=", "")
    assert host.scm.find("Web").recovery == Recovery(command="x.exe /a")
    assert "FailureActions" not in "\n".join(await lines(host, "reg.exe", "query", KEY))
    await lines(host, "sc.exe", "failure", "Web", "reset=", "86400", "actions=", "restart/5000/run/0/none/0")
    assert host.scm.find("Web").recovery == recovery
    (was,) = [line for line in before if "FailureActions" in line]
    await lines(host, "reg.exe", "add", KEY, "/v", "FailureActions", "/t", "REG_BINARY", "/d", was.split()[-1], "/f")
    assert sorted(await lines(host, "reg.exe", "query", KEY)) == sorted(before)


@in_virtual_time
async def test_what_sc_can_not_take_is_refused_with_numbers(tmp_path: Path) -> None:
    host = host_of(tmp_path, web())
    for wrong in (
        ("failure", "Web", "reset=", "10"),
        ("failure", "Web", "reset=", "soon", "actions=", "restart/1"),
        ("failure", "Web", "reset=", "1", "actions=", "explode/1"),
        ("config", "Web", "start=", "sometimes"),
        ("config", "Web", "obj=", "x"),
        ("triggerinfo", "Web", "delete"),
        ("triggerinfo", "Web", "start/fullmoon"),
        ("failureflag", "Web", "2"),
    ):
        assert (await ran(host, "sc.exe", *wrong))[0] == 87, wrong
    assert (await ran(host, "sc.exe", "qfailure", "Nope"))[0] == 1060
    assert (await ran(host, "sc.exe", "qtriggerinfo", "Nope"))[0] == 1060


@in_virtual_time
async def test_triggers_are_shown_changed_and_deleted(tmp_path: Path) -> None:
    host = host_of(tmp_path, web(triggers=("start/networkon", "stop/networkoff", "start/namedpipe/epmapper")))
    shown = "\n".join(await lines(host, "sc.exe", "qtriggerinfo", "Web"))
    assert re.findall(r"(?m)^ {8}(\w+) SERVICE$", shown) == ["START", "STOP", "START"]
    assert len(re.findall(r": [0-9a-f-]{36} \[", shown)) == 3
    keys = "\n".join(await lines(host, "reg.exe", "query", f"{KEY}\\TriggerInfo", "/s"))
    assert re.findall(r"Action    REG_DWORD    (0x\d)", keys) == ["0x1", "0x2", "0x1"]
    await lines(host, "sc.exe", "triggerinfo", "Web", "delete")
    assert len(await lines(host, "sc.exe", "qtriggerinfo", "Web")) == 3
    assert (await ran(host, "reg.exe", "query", f"{KEY}\\TriggerInfo"))[0] == 1


@in_virtual_time
async def test_a_registry_keeps_what_is_written(tmp_path: Path) -> None:
    host = host_of(tmp_path, web(triggers=("start/networkon",)))
    assert (await ran(host, "reg.exe", "query", OWN))[0] == 1
    await lines(host, "reg.exe", "add", OWN, "/v", "Record", "/t", "REG_SZ", "/d", "two words", "/f", "/reg:64")
    await lines(host, "reg.exe", "copy", f"{KEY}\\TriggerInfo", f"{OWN}\\TriggerInfo", "/s", "/f")
    shown = await lines(host, "reg.exe", "QUERY", OWN.lower(), "/s")
    assert shown[:3] == ["", OWN.replace("HKLM", "HKEY_LOCAL_MACHINE"), "    Record    REG_SZ    two words"]
    assert "    GUID    REG_BINARY    DEF2274FE2140B43A5497CD48CBC8245" in shown
    assert (await ran(host, "reg.exe", "delete", OWN))[0] == 1, "without /f it would ask"
    assert (await ran(host, "reg.exe", "delete", OWN, "/v", "Nothing", "/f"))[0] == 1
    assert (await ran(host, "reg.exe", "add", OWN, "/v", "n", "/t", "REG_DWORD", "/d", "ten", "/f"))[0] == 1
    await lines(host, "reg.exe", "add", OWN, "/v", "n", "/t", "REG_DWORD", "/d", "10", "/f")
    assert "    n    REG_DWORD    0xa" in await lines(host, "reg.exe", "query", OWN, "/v", "N")
    await lines(host, "reg.exe", "delete", OWN, "/f", "/reg:64")
    assert (await ran(host, "reg.exe", "query", OWN))[0] == 1
    assert (await lines(host, "reg.exe", "query", OWN.rpartition("\\")[0])) == [""]


@in_virtual_time
async def test_tasks_are_listed_by_position_and_killed(tmp_path: Path) -> None:
    host = host_of(tmp_path, web(children=1), language="de")
    pid, child = host.scm.find("Web").pid, host.scm.find("Web").children[0].pid
    rows = await lines(host, "tasklist.exe", "/fo", "csv", "/nh")
    assert {int(row.split('","')[1]) for row in rows} >= {0, 4, pid, child}
    (one,) = await lines(host, "tasklist.exe", "/FO", "CSV", "/NH", "/SVC", "/FI", f"PID eq {pid}")
    assert one == f'"Web.exe","{pid}","Web"'
    assert not (await lines(host, "tasklist.exe", "/fo", "csv", "/nh", "/fi", "PID eq 999999"))[0].startswith('"')
    assert (await ran(host, "taskkill.exe", "/PID", str(pid)))[0] == 1, "without /F a service stays"
    assert (await ran(host, "taskkill.exe", "/PID", "4", "/F"))[0] == 1
    host.set_fault("Web", "unkillable", True)
    assert (await ran(host, "taskkill.exe", "/PID", str(pid), "/F"))[0] == 1
    host.clear_faults("Web")
    assert len(await lines(host, "taskkill.exe", "/PID", str(pid), "/T", "/F")) == 2
    assert (await ran(host, "taskkill.exe", "/PID", str(pid), "/T", "/F"))[0] == 128
    assert host.scm.find("Web").state is State.Stopped


@in_virtual_time
async def test_the_event_log_is_asked_for_the_newest_by_age_and_provider(tmp_path: Path) -> None:
    host = host_of(tmp_path, web(recovery=Recovery(actions=(("restart", 500),))))

    async def ids(log: str, query: str, most: int = 30) -> list[int]:
        found = await lines(host, "wevtutil.exe", "qe", log, f"/q:{query}", f"/c:{most}", "/rd:true", "/f:RenderedXml")
        return [int(re.findall(r"<EventID[^>]*>(\d+)<", record)[0]) for record in found]

    scm = "*[System[Provider[@Name='Service Control Manager'] and TimeCreated[timediff(@SystemTime) <= 600000]]]"
    assert await ids("System", scm) == []
    await lines(host, "sc.exe", "config", "Web", "start=", "demand")
    host.scm.crash(host.scm.find("Web"))
    await asyncio.sleep(2)
    assert await ids("System", scm) == [7036, 7031, 7036, 7040]
    assert await ids("System", scm, 1) == [7036]
    assert await ids("System", "*[System[EventID=7031 or EventID=7040]]") == [7031, 7040]
    assert await ids("Application", "*[System[(Level=1 or Level=2 or Level=3)]]") == [1000]
    assert (await ran(host, "wevtutil.exe", "qe", "System", "/q:*[UserData[x]]"))[0] == 15001
    assert (await ran(host, "wevtutil.exe", "qe", "Nowhere"))[0] == 15007


@in_virtual_time
async def test_a_restart_takes_settings_from_the_registry_and_may_be_called_off(tmp_path: Path) -> None:
    host = host_of(tmp_path, web(), ServiceSpec(name="Off", display_name="Off", start_type="Disabled"))
    booted_at = host.booted_at
    assert (await ran(host, "shutdown.exe", "/a"))[0] == 1116
    await lines(host, "shutdown.exe", "/r", "/t", "60", "/f")
    await lines(host, "shutdown.exe", "/a")
    await asyncio.sleep(100)
    assert host.booted_at == booted_at
    await lines(host, "reg.exe", "add", KEY, "/v", "Start", "/t", "REG_DWORD", "/d", "3", "/f")
    assert host.scm.find("Web").start_type == "Automatic"
    await lines(host, "shutdown.exe", "/r", "/t", "0")
    await asyncio.sleep(1)
    off = host.off
    await asyncio.sleep(5)
    assert (off, host.off) == (True, False)
    assert host.booted_at > booted_at
    assert (host.scm.find("Web").start_type, host.scm.find("Web").state) == ("Manual", State.Stopped)
    host.close()
