"""Ctrl-C once, twice, and a process that is killed: what is issued, what is left, and what the journal tells."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import PAIR, Site, finish, interrupt, site, until_said

SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("pair"), PAIR) as made:
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def shown(pair: Site, run: str = "last") -> dict[str, object]:
    ended = pair.orch("show", run, "--json")
    assert ended.code == 0, ended.said
    told: dict[str, object] = json.loads(ended.out)
    return told


def units(told: dict[str, object]) -> dict[str, dict[str, str]]:
    found = told["units"]
    assert isinstance(found, list)
    return {row["unit"]: row for row in found}


def test_the_first_ctrl_c_begins_nothing_more_and_lets_what_is_under_way_settle(pair: Site) -> None:
    pair.fault(ONE, "hangs-on-stop")
    process = pair.begin("stop", "--yes")
    until_said(process, "orders@app-02  stop ok")
    interrupt(process)
    until_said(process, "cancel was ordered")
    assert pair.states()[ONE] == "StopPending"
    pair.lab.order(op="clear")
    ended = finish(process)
    assert ended.code == 6, ended.said
    assert pair.states() == {SQL: "Running", ONE: "Stopped", TWO: "Stopped"}
    assert "cancelling: nothing more is begun, what is under way settles" in ended.err
    assert "Ctrl-C again leaves at once" in ended.err
    assert "DECISION 1 WAITS: the run was cancelled" in ended.said
    kept = pair.orch("decide", "last", "abort", "--yes", "--resume")
    assert kept.code == 5, kept.said
    assert pair.states() == {SQL: "Running", ONE: "Stopped", TWO: "Stopped"}
    assert sorted(pair.controls()) == [f"stop {ONE}", f"stop {TWO}"]
    for words in (
        "CANCELLED stop pair",
        "goes on from here: units that are there already are left as they are",
        "✓ 2 ok · – 1 untouched",
        "sql@db-01 untouched Running",
    ):
        assert words in kept.said
    told = shown(pair)
    assert (told["verdict"], told["exit_code"]) == ("cancelled", 5)


def test_the_second_ctrl_c_leaves_at_once_and_the_journal_tells_the_truth(pair: Site) -> None:
    pair.fault(ONE, "hangs-on-stop")
    process = pair.begin("stop", "--yes")
    until_said(process, "orders@app-02  stop ok")
    interrupt(process)
    until_said(process, "cancel was ordered")
    interrupt(process)
    ended = finish(process)
    assert ended.code == 6, ended.said
    assert f"orch resume {shown(pair)['run']} takes the cancel up: it reads the hosts, and ends or asks" in ended.err
    assert (
        "left at once; what was asked of the hosts goes on there; the journal is intact, and the run keeps" in ended.err
    )
    assert pair.states()[ONE] == "StopPending"
    told = shown(pair)
    assert (told["verdict"], told["standing"]) == (None, "crashed")
    rows = units(told)
    assert {unit: row["standing"] for unit, row in rows.items()} == {
        "orders@app-01": "under way",
        "orders@app-02": "ok",
        "sql@db-01": "waiting",
    }
    seen = pair.orch("show", "last").said
    assert "no: its process is gone" in seen
    assert f"`orch resume {told['run']}` goes on with it" in seen


def test_a_killed_process_leaves_an_intent_for_every_control_that_a_host_got(pair: Site) -> None:
    pair.fault(ONE, "hangs-on-stop")
    process = pair.begin("stop", "--yes")
    pair.until(ONE, "StopPending")
    pair.until(TWO, "Stopped")
    process.kill()
    finish(process)
    listed = json.loads(pair.orch("runs", "--json").out)["runs"]
    assert [(run["action"], run["verdict"], run["ended_at"]) for run in listed] == [("stop", None, None)]
    assert "crashed" in pair.orch("runs").out
    begun = {(row["phase"], unit) for unit, row in units(shown(pair)).items() if row["phase"]}
    asked = {(verb, f"orders@{unit.partition('@')[2]}") for verb, unit in map(str.split, pair.controls())}
    assert asked
    assert asked <= begun
    pair.lab.order(op="clear")
    again = pair.orch("stop", "--yes")
    assert again.code == 7, again.said
    again = pair.orch("resume", "last", "--yes")
    assert again.code == 0, again.said
    assert set(pair.states().values()) == {"Stopped"}
    assert pair.controls().count(f"stop {TWO}") == 1, "who goes on reads before it asks"


def test_runs_are_shown_by_id_beginning_and_last(pair: Site) -> None:
    nothing = pair.orch("show", "last")
    assert nothing.code == 2, nothing.said
    first = pair.orch("stop", "--yes", "--json", "--service", "orders")
    run = first.facts()[0]["run"]
    second = pair.orch("start", "--yes", "--json", "--service", "orders").facts()[0]["run"]
    assert shown(pair, "last")["run"] == second
    unique = next(run[:size] for size in range(1, len(run) + 1) if not second.startswith(run[:size]))
    assert shown(pair, unique)["run"] == run
    both = pair.orch("show", run[:4])
    assert both.code == 2, both.said
    assert run in both.said
    assert second in both.said
    none = pair.orch("show", "nobody")
    assert none.code == 2, none.said
    assert "orch runs" in none.said
    listed = pair.orch("runs")
    assert listed.out.index(second) < listed.out.index(run)
