"""Stops that get stuck and starts that do not last, on a real wire: orphans are named, what is stuck is killed where
the playbook says so, and a crash loop is told as one. Judged by the lab."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import PAIR, Site, site

LEFT = PAIR + "on_failure: continue\n"
OF_ORDERS = "hosts: app, depends_on: [sql]"
HASTY = LEFT.replace(OF_ORDERS, f"{OF_ORDERS}, stop: {{ timeout: 4s }}")
KILLS = LEFT.replace(OF_ORDERS, f"{OF_ORDERS}, stop: {{ timeout: 4s, if_stuck: kill }}")
LASTS = LEFT.replace("ready: [ { tcp: 1433 } ]", "ready: [ { tcp: 1433, bound: true } ], min_healthy: 4s")
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("stuck"), LEFT) as made:
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def plan(pair: Site, playbook: str) -> Path:
    path = pair.folder / "of-a-test.yaml"
    path.write_text(playbook, encoding="utf-8")
    return path


def test_an_orphan_is_named_with_its_pid_and_holds_up_what_is_below(pair: Site) -> None:
    pair.fault(ONE, "orphan")
    ended = pair.orch("stop", "--yes", plan=plan(pair, HASTY))
    assert ended.code == 1, ended.said
    assert pair.states() == {SQL: "Running", ONE: "Stopped", TWO: "Stopped"}
    assert "orders@app-01 is Stopped, but its process " in ended.said
    assert "(Orders.exe, started " in ended.said
    assert sorted(pair.controls()) == [f"stop {ONE}", f"stop {TWO}"]


@pytest.mark.parametrize("stuck", ["orphan", "hangs-on-stop"])
def test_what_is_stuck_is_killed_where_the_playbook_says_so_and_the_run_goes_on(pair: Site, stuck: str) -> None:
    pair.fault(ONE, stuck)
    ended = pair.orch("stop", "--yes", plan=plan(pair, KILLS))
    assert ended.code == 0, ended.said
    assert set(pair.states().values()) == {"Stopped"}
    pair.lab.order(op="clear")
    assert pair.orch("start", "--yes").code == 0


def test_a_start_that_does_not_last_is_a_crash_loop_and_one_that_does_is_healthy_in_its_own_process(pair: Site) -> None:
    for unit in (SQL, ONE, TWO):
        pair.put(unit, "Stopped")
    assert pair.orch("start", "--yes", plan=plan(pair, LASTS)).code == 0
    for unit in (SQL, ONE, TWO):
        pair.put(unit, "Stopped")
    pair.fault(SQL, "crashes-after", 1.5)
    pair.fault(SQL, "revives", 0.1)
    ended = pair.orch("start", "--yes", plan=plan(pair, LASTS))
    assert ended.code == 1, ended.said
    assert "crash loop: PID " in ended.said or "is Stopped after it was Running" in ended.said, ended.said
    shown = pair.orch("show", "last", "--json")
    assert "Service Control Manager 7031" in shown.out, shown.out[-3000:]
    assert pair.states()[ONE] == "Stopped"
