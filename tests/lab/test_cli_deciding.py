"""A decision in the run's own terminal, against the lab: asked, answered here or elsewhere, and what came of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import Ended, Site, in_terminal, site

ONE, TWO, SQL = "Orders@app-01", "Orders@app-02", "MSSQLSERVER@db-01"
ASKED, WHY, SURE = "show it again]:", "(may be empty):", "Roll back? [y/N]"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("deciding")) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(pair: Site, tmp_path: Path) -> None:
    pair.reset(tmp_path / "state")


def test_a_rollback_decided_in_the_terminal_puts_back_what_was_stopped(pair: Site) -> None:
    pair.fault(ONE, "refuses")
    answers = {ASKED: "r", WHY: "the night is over", SURE: "y"}
    code, seen = in_terminal(pair, "stop", "--yes", answers=answers)
    said = " ".join(seen.split())
    assert code == 3, seen
    assert "DECISION 1 orders@app-01 failed (refused)" in said
    assert "puts 1 unit back to the state before the run" in said
    assert "ROLLED BACK stop pair" in said
    assert "rolled back: 1 of 1 touched unit is as before the run" in said
    assert set(pair.states().values()) == {"Running"}
    assert pair.controls() == [f"stop {ONE}", f"stop {TWO}", f"start {TWO}"] or pair.controls() == [
        f"stop {TWO}",
        f"stop {ONE}",
        f"start {TWO}",
    ]
    [decision] = json.loads(pair.orch("show", "last", "--json").out)["decisions"]
    assert (decision["answer"]["choice"], decision["answer"]["reason"]) == ("rollback", "the night is over")
    assert decision["answer"]["shown"].startswith("puts 1 unit back")


def test_an_answer_from_elsewhere_takes_the_question_away(pair: Site) -> None:
    pair.fault(ONE, "refuses")
    elsewhere: list[Ended] = []

    def skip() -> None:
        elsewhere.append(pair.orch("decide", "last", "skip", "--yes", "--reason", "it is being replaced"))

    code, seen = in_terminal(pair, "stop", "--yes", answers={ASKED: skip})
    said = " ".join(seen.split())
    assert elsewhere[0].code == 0, elsewhere[0].said
    assert code == 1, seen
    assert "decision 1: skip by " in said
    assert "it is being replaced" in said
    assert f"stop {SQL}" not in pair.controls(), "what waits for a skipped unit is not touched"


def test_who_ends_the_input_leaves_a_run_that_waits(pair: Site) -> None:
    pair.fault(ONE, "refuses")
    code, seen = in_terminal(pair, "stop", "--yes", answers={ASKED: "\x04"})
    said = " ".join(seen.split())
    assert code == 6, seen
    assert "the input has ended: nobody is asked here any more" in said
    assert "PARKED stop pair" in said
    assert "orch decide" in said
    pair.lab.order(op="clear")
    decided = pair.orch("decide", "last", "retry", "--yes", "--resume")
    assert decided.code == 0, decided.said
    assert set(pair.states().values()) == {"Stopped"}


def test_what_does_not_come_back_is_named_with_what_to_type(pair: Site) -> None:
    pair.fault(ONE, "refuses")
    pair.fault(TWO, "fails-to-start")
    code, seen = in_terminal(pair, "stop", "--yes", answers={ASKED: "rollback", WHY: "", SURE: "yes"})
    said = " ".join(seen.split())
    assert code == 4, seen
    assert "! orders@app-02 was Running, is Stopped" in said
    [script] = pair.state.glob("runs/*/undo.ps1")
    typed = f"Invoke-Command -ComputerName '{pair.addresses['app-02']}' -ScriptBlock {{ Start-Service -Name 'Orders' }}"
    assert typed in script.read_text(encoding="ascii")
    assert typed in said
    shown = " ".join(pair.orch("show", "last").out.split())
    assert typed in shown, "as it was told when the run ended"
    assert f"the same as a file: {script}" in shown
    assert script.stat().st_mode & 0o077 == 0
    assert pair.states()[SQL] == "Running"
