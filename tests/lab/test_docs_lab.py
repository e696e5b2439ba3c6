"""What docs/lab.md and docs/running.md say of the lab and of reports, tried."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import Site, site

GATED = """
on_failure: continue
inventory: hosts.yaml
poll: 200ms
defaults: { timeout: 20s, gate: { period: 100ms, deadline: 5s } }
services:
  sql:
    service: MSSQLSERVER
    hosts: db
    ready:
      - { tcp: 14330, from: host }
      - { http: "http://localhost:8081/health", from: host }
      - { http: { url: "http://{{ host.address }}:8082/", method: HEAD }, from: host }
      - { http: { url: "http://127.0.0.1:8083/", headers: { X-From: orch }, verify: false, text: up }, from: host }
      - command: { exe: lab-exit.exe, args: [3, all is well], exit_code: 3, text: well }
    stopped: [ { port_closed: 14330 } ]
"""


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("gated"), GATED, {"db": ["db-01"], "spare": ["spare-01"]}) as made:
        yield made


def test_gates_that_look_from_the_host_hold_in_the_lab(gated: Site, tmp_path: Path) -> None:
    gated.reset(tmp_path / "state")
    checked = gated.orch("check")
    assert checked.code == 0, checked.said
    for words in ("stop", "start"):
        ended = gated.orch(words, "--yes")
        assert ended.code == 0, ended.said


def test_the_lab_has_the_hosts_that_the_playbook_names(gated: Site) -> None:
    assert {unit.rpartition("@")[2] for unit in gated.states()} == {"db-01"}


def test_no_other_program_is_there(gated: Site, tmp_path: Path) -> None:
    gated.reset(tmp_path / "state")
    other = tmp_path / "playbook.yaml"
    text = GATED.replace("inventory: hosts.yaml", f"inventory: {gated.folder / 'hosts.yaml'}")
    other.write_text(text.replace("lab-exit.exe", "sqlcmd.exe"), encoding="utf-8")
    checked = gated.orch("check", plan=other)
    assert checked.code == 1
    assert "sqlcmd.exe could not be run on the host" in checked.said


def test_a_service_with_a_fault_shows_it(gated: Site, tmp_path: Path) -> None:
    gated.reset(tmp_path / "state")
    gated.fault("MSSQLSERVER@db-01", "refuses")
    ended = gated.orch("stop", "--yes")
    assert ended.code == 1
    for words in (
        "✗ sql@db-01 failed Running",
        "the stop was refused",
        "next: orch show",
        "or: orch stop --yes --plan",
    ):
        assert words in ended.said
    gated.fault("MSSQLSERVER@db-01", "missing")
    assert gated.orch("stop", "--yes").code == 2
