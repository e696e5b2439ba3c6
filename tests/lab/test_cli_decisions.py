"""Runs that stop to ask: parked, answered from elsewhere, resumed, rolled back, closed. Judged by the lab."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import PAIR, Edge, Site, finish, judge, site, until_said

APPROVED = PAIR + "approve_before: stop\ndecisions: { min_approvals: 2 }\n"
NEEDS = [Edge("Orders", "MSSQLSERVER")]
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("decisions")) as made:
        (made.folder / "approved.yaml").write_text(APPROVED, encoding="utf-8")
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def newest(pair: Site) -> dict[str, object]:
    """The newest run, as `orch runs` has it."""
    found: dict[str, object] = json.loads(pair.orch("runs", "--json").out)["runs"][0]
    return found


def parked(pair: Site) -> str:
    """A stop that failed and waits for an answer; its id."""
    pair.fault(ONE, "refuses")
    ended = pair.orch("stop", "--yes")
    assert ended.code == 6, ended.said
    assert pair.states() == {SQL: "Running", ONE: "Running", TWO: "Stopped"}
    return str(newest(pair)["run"])


def test_a_failed_stop_parks_is_answered_from_elsewhere_and_goes_back(pair: Site) -> None:
    run = parked(pair)
    assert newest(pair)["standing"] == "parked"
    [waits] = json.loads(pair.orch("decisions", "--json").out)["decisions"]
    assert (waits["run"], waits["decision"], waits["units"]) == (run, 1, ["orders@app-01"])
    assert "rollback" in waits["choices"]
    [full] = json.loads(pair.orch("decisions", run[:-2], "--json").out)["decisions"]
    back = next(one for one in full["consequences"] if one["choice"] == "rollback")
    assert (back["units"], back["stays_down"]) == (["orders@app-02"], [])

    overlap = pair.orch("stop", "--yes", "--service", "orders")
    assert overlap.code == 7, overlap.said
    for words in (run, "it is parked and waits for decision 1", f"orch decide {run} CHOICE --resume"):
        assert words in overlap.said, overlap.said

    unsure = pair.orch("decide", run, "rollback")
    assert (unsure.code, "add --yes" in unsure.said) == (2, True), unsure.said
    held = pair.orch("decide", run, "hold", "--yes", "--json")
    assert (held.code, json.loads(held.out)["choice"]) == (0, None), held.said
    assert "it holds already: nothing was recorded, and decision 1 can be answered any time" in held.err
    ended = pair.orch("decide", run, "rollback", "--reason", "not tonight", "--resume", "--yes")
    assert ended.code == 3, ended.said
    assert pair.states() == pair.first
    assert pair.controls().count(f"start {TWO}") == 1
    late = pair.orch("decide", run, "retry", "--yes")
    assert late.code == 2, late.said
    assert "rollback, by" in late.said
    assert "not tonight" in late.said
    assert pair.orch("audit", "verify").code == 0
    free = pair.orch("stop", "--yes", "--exclude", "app-01", "--ignore-dependents")
    assert free.code == 0, free.said


def test_of_two_who_answer_at_once_one_counts_and_the_other_is_told(pair: Site) -> None:
    pair.fault(ONE, "refuses")
    process = pair.begin("stop", "--yes", "--wait")
    until_said(process, "orch decide ")
    run = str(newest(pair)["run"])
    assert newest(pair)["standing"] == "running"
    deciders = [pair.begin("decide", run, choice, "--yes", "--reason", choice) for choice in ("abort", "rollback")]
    told = {choice: finish(decider) for choice, decider in zip(("abort", "rollback"), deciders, strict=True)}
    [(won, winner)] = [(choice, said) for choice, said in told.items() if said.code == 0]
    [loser] = [said for said in told.values() if said is not winner]
    assert f"{won} is decided" in winner.said, winner.said
    assert "goes on at once" in winner.said, winner.said
    assert loser.code == 2, loser.said
    assert f"{won}, by" in loser.said, loser.said
    ended = finish(process)
    assert ended.code == (1 if won == "abort" else 3), ended.said
    assert pair.states() == (pair.first if won == "rollback" else {SQL: "Running", ONE: "Running", TWO: "Stopped"})


def test_a_run_whose_process_was_killed_is_resumed_and_ends_as_if_nothing_had_been(pair: Site) -> None:
    pair.fault(SQL, "hangs-on-stop")
    process = pair.begin("stop", "--yes")
    pair.until(SQL, "StopPending")
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    run = str(newest(pair)["run"])
    assert newest(pair)["standing"] == "crashed"
    assert "crashed" in pair.orch("runs").said
    overlap = pair.orch("start", "--yes")
    assert (overlap.code, f"orch resume {run}" in overlap.said) == (7, True), overlap.said
    pair.lab.order(op="clear")
    ended = pair.orch("resume", "last", "--yes")
    assert ended.code == 0, ended.said
    assert "has lost its process" in ended.said
    assert "1 unit lost on the way" in ended.said
    assert "2 units done" in ended.said
    assert sorted(pair.controls()) == [f"stop {SQL}", f"stop {ONE}", f"stop {TWO}"]
    assert set(judge(pair, NEEDS, pair.first).values()) == {"Stopped"}
    again = pair.orch("resume", run, "--yes")
    assert (again.code, "it ended at" in again.said) == (2, True), again.said
    back = pair.orch("start", "--from", run, "--yes")
    assert back.code == 0, back.said
    assert pair.states() == pair.first


def test_a_cancel_from_elsewhere_asks_and_a_run_that_is_closed_is_free(pair: Site) -> None:
    pair.fault(ONE, "hangs-on-stop")
    process = pair.begin("stop", "--yes")
    pair.until(ONE, "StopPending")
    told = pair.orch("cancel", "last", "--reason", "wrong night")
    assert (told.code, "cancel is ordered" in told.said) == (0, True), told.said
    until_said(process, "cancel")
    pair.lab.order(op="clear")
    ended = finish(process)
    assert ended.code == 6, ended.said
    run = str(newest(pair)["run"])
    [waits] = json.loads(pair.orch("decisions", "--json").out)["decisions"]
    assert waits["cause"] == "cancelled"
    assert pair.states()[SQL] == "Running"
    closed = pair.orch("close", run, "--reason", "handed over")
    assert closed.code == 0, closed.said
    assert (newest(pair)["standing"], newest(pair)["verdict"]) == ("ended", "closed")
    shown = pair.orch("show", run)
    assert "handed over" in shown.said, shown.said
    back = pair.orch("rollback", run, "--yes")
    assert back.code == 0, back.said
    assert pair.states() == pair.first


def test_what_two_people_have_to_approve_one_can_not_begin_but_end(pair: Site) -> None:
    asked = pair.orch("stop", "--yes", plan=pair.folder / "approved.yaml")
    assert (asked.code, pair.untouched()) == (6, True), asked.said
    first = pair.orch("decide", "last", "continue", "--yes", "--json")
    told = json.loads(first.out)
    assert (first.code, told["choice"], told["missing"]) == (0, None, 1), first.said
    again = pair.orch("decide", "last", "continue", "--yes")
    assert (again.code, "said continue to decision 1" in again.said) == (2, True), again.said
    resumed = pair.orch("resume", "last", "--yes")
    assert (resumed.code, pair.untouched()) == (6, True), resumed.said
    ended = pair.orch("decide", "last", "abort", "--yes", "--resume")
    assert (ended.code, pair.untouched()) == (5, True), ended.said
