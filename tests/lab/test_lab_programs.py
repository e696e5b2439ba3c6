"""The programs of a virtual host, as a remote command runs them, in three languages."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pypsrp.powershell import RunspacePool
from virtual_windows import command, host, lab, program, run, session

from orchestrator.lab.client import LabProcess

SERVICES: list[dict[str, Any]] = [
    {
        "name": "Web",
        "display_name": "Web site",
        "start_s": 0.2,
        "stop_s": 0.2,
        "wait_hint_s": 5,
        "requires": ["Base"],
        "ports": [{"port": 7080, "speaks": "http", "path": "/health", "body": '{"status":"ok"}'}, {"port": 7081}],
    },
    {"name": "Base"},
    {"name": "Never", "state": "Stopped", "start_type": "Manual"},
    {"name": "Off", "state": "Stopped", "start_type": "Disabled"},
    {"name": "Fixed", "can_stop": False},
    {"name": "Busy", "state": "StopPending"},
]
LANGUAGES = ["de", "en", "fr"]
PoolOf = dict[str, RunspacePool]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabProcess, PoolOf]]:
    hosts = [host(f"{name}-01", *SERVICES, language=name) for name in LANGUAGES]
    with (
        lab(tmp_path_factory.mktemp("lab"), *hosts) as process,
        session(hosts[0]["address"]) as de,
        session(hosts[1]["address"]) as en,
        session(hosts[2]["address"]) as fr,
    ):
        yield process, {"de": de, "en": en, "fr": fr}


@pytest.fixture
def pools(world: tuple[LabProcess, PoolOf]) -> PoolOf:
    process, pools = world
    for language in LANGUAGES:
        for service in ("Base", "Web"):
            process.order(op="set", host=f"{language}-01", service=service, state="Running")
    return pools


def numbers(lines: list[str]) -> list[str]:
    """What stands first behind each colon: what a careful client reads, whatever the language."""
    return [match[1] for line in lines if (match := re.match(r"\s*[^:]+:\s*(\S+)", line))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_queryex_has_the_same_numbers_in_the_same_places(pools: PoolOf, language: str) -> None:
    code, lines = program(pools[language], "sc.exe", "queryex", "web")
    assert code == 0
    name, kind, state, win32_exit, service_exit, checkpoint, hint, pid = numbers(lines)[:8]
    assert (name, kind, state, win32_exit, service_exit, checkpoint, hint) == ("Web", "10", "4", "0", "0", "0x0", "0x0")
    assert int(pid) > 0
    assert numbers(program(pools[language], "sc.exe", "queryex", "Never")[1])[2:4] == ["1", "1077"]


FAILURES = [
    (("start", "Web"), 1056),
    (("start", "nobody"), 1060),
    (("start", "Off"), 1058),
    (("stop", "Base"), 1051),
    (("stop", "Never"), 1062),
    (("stop", "Busy"), 1061),
    (("stop", "Fixed"), 1052),
    (("queryex", "nobody"), 1060),
    (("config", "nobody", "start=", "auto"), 1060),
    (("config", "Web", "start=", "sometimes"), 87),
    (("sdshow", "nobody"), 1060),
]
WORDS = {"de": "FEHLER", "en": "FAILED", "fr": "échec(s)"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("arguments", "number"), FAILURES)
def test_failures_carry_windows_number_as_exit_code_and_in_the_text(
    pools: PoolOf, arguments: tuple[str, ...], number: int, language: str
) -> None:
    code, lines = program(pools[language], "sc.exe", *arguments)
    assert code == number
    assert lines[0].startswith("[SC] ")
    assert f"{WORDS[language]} {number}" in lines[0]
    assert lines[2]


def test_starting_and_stopping_return_at_once_and_show_the_pending_state(
    world: tuple[LabProcess, PoolOf], pools: PoolOf
) -> None:
    process, _ = world
    code, lines = program(pools["en"], "sc.exe", "stop", "Web")
    assert (code, numbers(lines)[2]) == (0, "3")
    assert int(numbers(lines)[6], 16) == 5000
    process.until(host="en-01", service="Web", to="Stopped")
    code, lines = program(pools["en"], "sc.exe", "start", "Web")
    assert (code, numbers(lines)[2]) == (0, "2")
    line = process.log(kind="control", host="en-01", control="start", service="Web")[-1]
    assert (line["outcome"], line["by"]) == ("accepted", "sc.exe")


def test_the_start_type_is_told_and_changed(pools: PoolOf) -> None:
    pool = pools["en"]
    for words in (("start=", "delayed-auto"), ("start= delayed-auto",), ("start=delayed-auto",)):
        assert program(pool, "sc.exe", "config", "Never", *words) == (0, ["[SC] ChangeServiceConfig SUCCESS"])
        lines = program(pool, "sc.exe", "qc", "Never")[1]
        assert "        START_TYPE         : 2   AUTO_START  (DELAYED)" in lines
        program(pool, "sc.exe", "config", "Never", "start=", "demand")
    assert "        DEPENDENCIES       : Base" in program(pool, "sc.exe", "qc", "Web")[1]
    assert program(pool, "sc.exe", "sdshow", "Web")[1][1].startswith("D:(A;;")


@pytest.mark.parametrize("language", LANGUAGES)
def test_netstat_lists_what_listens_in_the_hosts_language(
    world: tuple[LabProcess, PoolOf], pools: PoolOf, language: str
) -> None:
    lines = program(pools[language], "netstat.exe", "-a", "-n", "-o")[1]
    rows = [line.split() for line in lines if line.startswith("  TCP")]
    word = {"de": "ABHÖREN", "en": "LISTENING", "fr": "LISTENING"}[language]
    assert {row[3] for row in rows} == {word}
    here = {row[1]: row[4] for row in rows}
    assert here["0.0.0.0:5985"] == "4"
    assert {"0.0.0.0:7080", "0.0.0.0:7081", "[::]:7081"} <= set(here)
    world[0].order(op="set", host=f"{language}-01", service="Web", state="Stopped")
    assert "7080" not in " ".join(program(pools[language], "netstat.exe", "-a", "-n", "-o")[1])


def test_whoami_tells_the_account_and_its_groups_by_sid(pools: PoolOf) -> None:
    lines = program(pools["de"], "whoami.exe", "/user", "/groups", "/fo", "csv", "/nh")[1]
    assert re.fullmatch(r'"de-01\\admin","S-1-5-21-\d+-\d+-\d+-500"', lines[0])
    assert {line.split(",")[2] for line in lines[1:]} >= {'"S-1-5-32-544"', '"S-1-5-11"', '"S-1-1-0"'}
    assert program(pools["de"], "hostname.exe") == (0, ["de-01"])


def test_curl_really_connects_as_the_host_would(world: tuple[LabProcess, PoolOf], pools: PoolOf) -> None:
    process, _ = world
    pool = pools["en"]
    url = "http://localhost:7080/health"
    assert program(pool, "curl.exe", "-s", "-S", url) == (0, ['{"status":"ok"}'])
    assert program(pool, "curl.exe", "-sS", "-o", "NUL", "-w", "%{http_code}\\n", url) == (0, ["200"])
    assert program(pool, "curl.exe", "-s", "-i", "-X", "HEAD", "-H", "X: y", url)[1][0].startswith("HTTP/1.1 200")
    assert program(pool, "curl.exe", "-s", "-o", "NUL", "-w", "%{http_code}", "http://de-01:7080/nothing") == (
        0,
        ["404"],
    )
    assert process.log(kind="probe", host="de-01", path="/nothing", status=404)
    code, lines = program(pool, "curl.exe", "-s", "-m", "2", "-w", "%{time_connect}", "telnet://127.0.0.1:7081")
    assert code == 0
    assert float(lines[0]) > 0
    code, lines = program(
        pool, "curl.exe", "-s", "--connect-timeout", "1", "-w", "%{time_connect}", "telnet://localhost:9"
    )
    assert (code, lines) == (7, ["0.000000"])
    assert program(pool, "curl.exe", "-s", "http://nowhere.example/")[0] == 6
    assert program(pool, "curl.exe", "-s", "-k", "https://localhost:7080/")[0] == 35
    assert program(pool, "curl.exe", "-s", "http://192.0.2.1/")[0] == 7, "the lab leaves loopback for nobody"
    assert program(pool, "curl.exe", "--frob", url)[0] == 2


def test_what_a_program_writes_to_stderr_comes_as_error_records(pools: PoolOf) -> None:
    shell = run(pools["en"], "curl.exe", "-s", "-S", "http://localhost:9/")
    (error,) = shell.streams.error
    assert str(error).startswith("curl: (7) Failed to connect to localhost port 9")
    assert error.fq_error == "NativeCommandError"


def test_exit_codes_and_text_for_gates(pools: PoolOf) -> None:
    assert program(pools["en"], "lab-exit.exe", "3", "not yet") == (3, ["not yet"])
    assert program(pools["en"], "LAB-EXIT", "-1") == (-1, [])


def test_a_fresh_runspace_knows_no_exit_code(world: tuple[LabProcess, PoolOf]) -> None:
    process, _ = world
    address = process.order(op="ps")["hosts"][0]["address"]
    with session(address) as pool:
        shell = command(pool, "Get-Variable", Name="LASTEXITCODE", ValueOnly=True)
        assert shell.invoke() == []
        assert str(shell.streams.error[0].fq_error).startswith("VariableNotFound,")
