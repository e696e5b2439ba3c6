"""A service that Windows has on top of another and that stands in no playbook, by way of the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_lab import PAIR_GROUPS, Site, service_of, site

PLAYBOOK = """
name: pair
inventory: hosts.yaml
defaults: { timeout: 20s }
poll: 200ms
services:
  sql: { service: MSSQLSERVER, hosts: db }
  orders: { service: Orders, hosts: app, depends_on: [sql], dependents: stop_and_restore }
"""
NAMED = ("Reports@app-01", "Orders@app-01")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Site]:
    def on_top(fleet: dict[str, Any]) -> None:
        for name in ("app-01", "app-02"):
            (node,) = [host for host in fleet["hosts"] if host["name"] == name]
            orders = service_of(fleet, f"Orders@{name}")
            reports = {**orders, "name": "Reports", "display_name": "Reports", "ports": [], "requires": ["Orders"]}
            node["services"].append(reports | ({"state": "Stopped"} if name == "app-02" else {}))

    with site(tmp_path, PLAYBOOK, PAIR_GROUPS, adjust=on_top) as made:
        yield made


def test_it_is_refused_by_name_or_stopped_first_and_started_again(pair: Site) -> None:
    plain = pair.folder / "plain.yaml"
    plain.write_text(PLAYBOOK.replace(", dependents: stop_and_restore", ""), encoding="utf-8")
    refused = pair.orch("stop", "--yes", plan=plain)
    assert refused.code == 2, refused.said
    assert "orders@app-01: Reports on app-01 is Running and needs it, and the playbook has no such" in refused.said
    assert "dependents: stop_and_restore" in refused.said
    assert "app-02" not in refused.said, "nothing runs there on top of it"
    assert pair.untouched()

    saved = str(pair.folder / "stop.orchplan")
    assert pair.orch("stop", "--save", saved).code == 0
    pair.put("Reports@app-02", "Running")
    drifted = pair.orch("apply", saved, "--yes")
    assert drifted.code == 8, drifted.said
    assert "orders@app-02 was Running, is needed by Reports on app-02, which is Running and not in" in drifted.said
    pair.put("Reports@app-02", "Stopped")
    assert pair.controls() == []

    stopped = pair.orch("stop", "--yes")
    assert stopped.code == 0, stopped.said
    assert [one for one in pair.controls() if one.endswith("app-01")] == [f"stop {unit}" for unit in NAMED]
    assert pair.states()["Reports@app-01"] == pair.states()["MSSQLSERVER@db-01"] == "Stopped"
    started = pair.orch("start", "--from", "last", "--yes")
    assert started.code == 0, started.said
    after = pair.states()
    assert [one for one in pair.controls() if one.startswith("start") and one.endswith("app-01")] == [
        f"start {unit}" for unit in reversed(NAMED)
    ]
    assert [after[unit] for unit in (*NAMED, "Reports@app-02")] == ["Running", "Running", "Stopped"]
