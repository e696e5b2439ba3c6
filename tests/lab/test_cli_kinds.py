"""What is no service, from the command line, over both wires: a pool, a site, a task, and an application that commands
move go down and up in order, and one of them back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_lab import MOVE_S, Site, site

from orchestrator.lab.client import LabError

PORT = 2222
PLAYBOOK = """
name: shop
inventory: hosts.yaml
defaults: { timeout: 30s }
poll: 200ms
on_failure: rollback
services:
  sql: { service: MSSQLSERVER, hosts: db }
  pool: { app_pool: Shop, hosts: web, depends_on: [sql] }
  site: { site: Shop Web, hosts: web, depends_on: [pool], ready: [ { service: Running } ] }
  role: { cluster_role: "SQL Server (SHÖP)", hosts: "web:db", depends_on: [sql] }
  nightly: { task: \\Shop\\Nächtlich, hosts: web, depends_on: [sql] }
  spool:
    hosts: web
    depends_on: [sql]
    command:
      read: { exe: lab-app.exe, args: [status, spool], stopped: 3 }
      start: { exe: lab-app.exe, args: [start, spool] }
      stop: { exe: lab-app.exe, args: [stop, spool] }
"""
ROLES = """
name: roles
inventory: hosts.yaml
poll: 200ms
services:
  by-winrm: { cluster_role: "SQL Server (SHÖP)", hosts: "web-01:db-01", stop: { timeout: 20s } }
  by-ssh: { cluster_role: Dateien, hosts: web-02, depends_on: [by-winrm] }
"""
STUCK = PLAYBOOK + "  stuck: { task: Stuck, hosts: db }\n  sql2: { service: Late, hosts: db, depends_on: [stuck] }\n"
GROUPS = {"db": ["db-01"], "web": ["web-01", "web-02"]}
BY = {"psrp": "web-01", "ssh": "web-02"}
"""The host that each wire leads to."""
ROLE = "SQL Server (SHÖP)"
THINGS = [("app", "spool"), ("app_pool", "Shop"), ("site", "Shop Web"), ("task", "\\Shop\\Nächtlich")]


def own(folder: Path) -> dict[str, dict[str, object]]:
    trusted = f"-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={folder / 'lab' / 'known_hosts'}"
    by_ssh = {"ansible_connection": "ssh", "ansible_port": PORT, "ansible_ssh_common_args": trusted}
    return {"web-02": by_ssh}


def adjust(fleet: dict[str, Any]) -> None:
    for host in fleet["hosts"]:
        host["language"] = "de"
        host["things"].append({"kind": "cluster_role", "name": "Dateien"})
        for thing in host["things"]:
            thing["move_s"] = MOVE_S
            if thing["name"] == "\\Stuck":
                thing["fault"] = "fails"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("kinds")
    with site(folder, STUCK, GROUPS, own=own(folder), adjust=adjust) as made:
        (folder / "roles.yaml").write_text(ROLES, encoding="utf-8")
        (folder / "good.yaml").write_text(PLAYBOOK, encoding="utf-8")
        yield made


@pytest.fixture
def kinds(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def moved(kinds: Site, host: str, *, up: bool) -> list[tuple[str, str]]:
    lines = kinds.log("thing")
    return [
        (line["kind_of"], line["name"])
        for line in lines
        if line["host"] == host and line["up"] is up and line["name"] != ROLE
    ]


def test_they_go_down_and_up_in_order_over_both_wires(kinds: Site) -> None:
    good = kinds.folder / "good.yaml"
    stopped = kinds.orch("stop", "--yes", plan=good)
    assert stopped.code == 0, stopped.said
    roles = [line for line in kinds.log("thing") if line["kind_of"] == "cluster_role"]
    assert [(line["name"], line["up"]) for line in roles] == [(ROLE, False)]
    for host in BY.values():
        down = moved(kinds, host, up=False)
        assert sorted(down) == THINGS, (host, down)
        assert down.index(("site", "Shop Web")) < down.index(("app_pool", "Shop"))
    assert kinds.controls() == ["stop MSSQLSERVER@db-01"]
    there = kinds.orch("status", "--expect", "stopped", plan=good)
    assert there.code == 0, there.said
    started = kinds.orch("start", "--from", "last", "--yes")
    assert started.code == 0, started.said
    for host in BY.values():
        assert sorted(moved(kinds, host, up=True)) == THINGS
    assert kinds.orch("status", "--expect", "running", plan=good).code == 0


def test_what_went_down_before_a_failure_comes_back(kinds: Site) -> None:
    ended = kinds.orch("stop", "--yes")
    assert ended.code == 3, ended.said
    assert "schtasks.exe ended with 1: FEHLER: Zugriff verweigert" in ended.said
    for host in BY.values():
        assert sorted(moved(kinds, host, up=False)) == sorted(moved(kinds, host, up=True))
    there = kinds.orch("status", "--expect", "running")
    assert there.code == 0, there.said


def test_they_misbehave_on_request_and_the_lab_shows_them(kinds: Site) -> None:
    pool = {"host": "web-01", "kind_of": "app_pool", "thing": "Shop"}
    kinds.lab.order(op="fault", kind="fails", **pool)
    for wrong in ({"kind": "orphan"}, {"kind": "fails", "thing": "Laden"}):
        with pytest.raises(LabError, match="fails, garbage, hangs, hangs-on-move|known: .*app_pool Shop"):
            kinds.lab.order(**{"op": "fault", **pool, **wrong})
    things = {host["host"]: host["things"] for host in kinds.lab.order(op="ps")["hosts"]}
    assert [one["name"] for one in things["web-01"] if one["fault"]] == ["Shop"]
    good = kinds.folder / "good.yaml"
    ended = kinds.orch("stop", "--yes", plan=good)
    assert (ended.code, "pool@web-01" in ended.said) == (3, True), ended.said
    kinds.lab.order(op="clear", **pool)
    assert kinds.orch("stop", "--yes", plan=good).code == 0
    assert kinds.orch("start", "--yes", plan=good).code == 0


def test_a_check_reads_them_all(kinds: Site) -> None:
    found = kinds.orch("check", plan=kinds.folder / "good.yaml")
    assert found.code == 0, found.said
    assert "pool@web-01" in found.said


def test_roles_are_moved_over_both_wires_and_by_the_node_that_is_there(kinds: Site) -> None:
    roles = kinds.folder / "roles.yaml"
    for first, words in (("web-01", ("stop", "--yes")), ("db-01", ("start", "--yes"))):
        kinds.fault(first, "down")
        ended = kinds.orch(*words, plan=roles)
        assert ended.code == 0, ended.said
        kinds.lab.order(op="clear")
    told = [(line["name"], line["up"]) for line in kinds.log("thing")]
    assert told == [("Dateien", False), (ROLE, False), (ROLE, True), ("Dateien", True)]
