"""Snapshots, the way back up from a run, and plans frozen for another day: typed, and judged by the lab."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import Edge, Site, judge, site

NEEDS = [Edge("Orders", "MSSQLSERVER")]
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("snapshots")) as made:
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def test_a_snapshot_is_taken_compared_and_restored(pair: Site) -> None:
    pair.put(TWO, "Stopped")
    taken = pair.orch("snapshot", "take", "--tag", "before-patch")
    assert taken.code == 0, taken.said
    assert "snapshot before-patch: 3 units of pair (2 Running, 1 Stopped)" in taken.said
    assert "already, taken at" in pair.orch("snapshot", "take", "--tag", "before-patch").said
    same = pair.orch("snapshot", "diff", "before-patch")
    assert (same.code, "all 3 units are as in before-patch" in same.said) == (0, True), same.said

    for unit, state in ((ONE, "Stopped"), (SQL, "Stopped"), (TWO, "Running")):
        pair.put(unit, state)
    pair.read = len(pair.lab.log())
    differs = pair.orch("snapshot", "diff", "before-patch", "--json")
    assert differs.code == 1
    assert {(one["unit"], one["was"], one["now"]) for one in json.loads(differs.out)["differences"]} == {
        ("sql@db-01", "Running", "Stopped"),
        ("orders@app-01", "Running", "Stopped"),
        ("orders@app-02", "Stopped", "Running"),
    }
    assert pair.untouched()

    before = pair.states()
    seen = pair.orch("snapshot", "restore", "before-patch", "--dry-run")
    assert (seen.code, pair.untouched()) == (0, True), seen.said
    restored = pair.orch("snapshot", "restore", "before-patch", "--yes")
    assert restored.code == 0, restored.said
    assert "this STOPS 1 running unit" in restored.said
    assert judge(pair, NEEDS, before) == {SQL: "Running", ONE: "Running", TWO: "Stopped"}
    again = json.loads(pair.orch("snapshot", "diff", "before-patch", "--json").out)["differences"]
    assert {(one["unit"], one["what"], one["restarted"]) for one in again} == {
        ("sql@db-01", "process", False),
        ("orders@app-01", "process", False),
    }
    [listed] = json.loads(pair.orch("snapshot", "list", "--json").out)["snapshots"]
    assert (listed["tag"], len(listed["units"])) == ("before-patch", 3)


def test_a_start_from_a_run_brings_up_what_had_run_and_nothing_else(pair: Site, tmp_path: Path) -> None:
    pair.put(TWO, "Stopped")
    assert pair.orch("stop", "--yes").code == 0
    before = pair.states()
    assert set(before.values()) == {"Stopped"}
    ended = pair.orch("start", "--from", "last", "--yes")
    assert ended.code == 0, ended.said
    assert judge(pair, NEEDS, before) == {SQL: "Running", ONE: "Running", TWO: "Stopped"}
    first = json.loads(pair.orch("runs", "--json").out)["runs"][-1]["run"]
    assert pair.orch("show", "last", "--json").code == 0
    unknown = pair.orch("start", "--from", "nothing", "--yes")
    assert (unknown.code, "there is no snapshot 'nothing', and no run is named 'nothing'" in unknown.said) == (2, True)
    assert first in unknown.said
    nobody = pair.orch("start", "--from", first, "--yes", "--service", "mail")
    assert (nobody.code, "the playbook has no service mail" in nobody.said) == (2, True)


def test_a_saved_plan_is_applied_unless_what_matters_has_changed(pair: Site, tmp_path: Path) -> None:
    file = tmp_path / "stop.orchplan"
    saved = pair.orch("stop", "--save", str(file))
    assert (saved.code, pair.untouched()) == (0, True), saved.said
    assert f"try: orch apply {file}" in saved.said
    assert "is there already" in pair.orch("stop", "--save", str(file)).said
    pair.put(TWO, "Stopped")  # where it should go already, and again with another process: neither is drift
    pair.put(ONE, "Stopped")
    pair.put(ONE, "Running")
    pair.put(SQL, "Paused")
    pair.read = len(pair.lab.log())
    drifted = pair.orch("apply", str(file), "--yes")
    assert (drifted.code, pair.untouched()) == (8, True), drifted.said
    assert "sql@db-01 was Running, is Paused" in drifted.said
    assert "orders@" not in drifted.err.partition("nothing was touched")[0].partition("drifted")[2]

    pair.put(SQL, "Running")
    before = pair.states()
    pair.read = len(pair.lab.log())
    ended = pair.orch("apply", str(file), "--yes")
    assert ended.code == 0, ended.said
    assert set(judge(pair, NEEDS, before).values()) == {"Stopped"}
    assert sorted(pair.controls()) == [f"stop {SQL}", f"stop {ONE}"]

    back = pair.orch("rollback", "last", "--yes")
    assert back.code == 0, back.said
    assert pair.states() == {SQL: "Running", ONE: "Running", TWO: "Stopped"}


def test_the_record_is_verified_and_what_was_changed_in_it_is_found(pair: Site) -> None:
    assert pair.orch("stop", "--yes").code == 0
    head = pair.orch("audit", "head", "last").out.strip()
    assert len(head) == 64
    good = pair.orch("audit", "verify", "last", "--head", head[:16])
    assert (good.code, "as written" in good.said) == (0, True), good.said
    wrong = pair.orch("audit", "verify", "last", "--head", "0" * 16)
    assert wrong.code == 1, wrong.said
    [told] = json.loads(pair.orch("audit", "verify", "--json").out)["runs"]
    assert (told["ok"], told["head"]) == (True, head)
