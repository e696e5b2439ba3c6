"""A patch night of a whole command: all down, a program and a reboot on each host, and up again. Over WinRM and over
SSH with PowerShell, judged by the lab."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_lab import IMPATIENT, PAIR, Site, finish, site

PATCH = """
restart:
  between:
    - { command: { exe: lab-exit.exe, args: ["3010"], exit_code: [0, 3010] }, name: patch }
    - { reboot: { timeout: 3m } }
on_failure: continue
"""
BOOT_S = 1.0
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


def by_ssh(folder: Path) -> Mapping[str, Mapping[str, object]]:
    trusted = f"-o UserKnownHostsFile={folder / 'lab' / 'known_hosts'}"
    return {"app-02": {"ansible_connection": "ssh", "ansible_port": 2022, "ansible_ssh_common_args": trusted}}


def quick_to_boot(fleet: dict[str, Any]) -> None:
    for host in fleet["hosts"]:
        host["boot_s"] = BOOT_S


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("patching")
    with site(folder, PAIR + PATCH, own=by_ssh(folder), variables=IMPATIENT, adjust=quick_to_boot) as made:
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def boots(pair: Site) -> list[str]:
    return sorted(line["host"] for line in pair.log("reboot") if line["goes"] == "up")


def test_a_restart_runs_a_program_and_reboots_between_stop_and_start(pair: Site) -> None:
    dry = pair.orch("restart", "--dry-run")
    assert dry.code == 0, dry.said
    assert "between stop and start, on each of 3 hosts" in dry.said
    ended = pair.orch("restart", "--yes")
    assert ended.code == 0, ended.said
    assert boots(pair) == ["app-01", "app-02", "db-01"]
    assert pair.states() == pair.first


def test_a_program_that_fails_asks_and_a_rollback_starts_what_ran(pair: Site) -> None:
    text = (PAIR + PATCH).replace("exit_code: [0, 3010]", "exit_code: 0").replace("continue", "rollback")
    path = pair.folder / "fails.yaml"
    path.write_text(text, encoding="utf-8")
    ended = pair.orch("restart", "--yes", plan=path)
    assert ended.code != 0, ended.said
    assert "exit code 3010" in ended.said
    assert (boots(pair), pair.states()) == ([], pair.first)


def test_a_host_that_reboots_by_itself_in_a_run_is_read_anew_and_the_run_goes_on(pair: Site) -> None:
    for unit in (SQL, ONE, TWO):
        pair.put(unit, "Stopped")
    pair.fault(TWO, "hangs-on-start")
    process = pair.begin("start", "--yes")
    pair.until(TWO, "StartPending")
    pair.lab.order(op="reboot", host="app-02")
    pair.until(TWO, "Stopped")
    pair.lab.order(op="clear")
    ended = finish(process)
    assert ended.code == 0, ended.said
    assert (boots(pair), pair.states()) == (["app-02"], pair.first)
