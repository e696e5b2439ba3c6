"""Facts as plain lines: each says what it means, to somebody who knows none of our words."""

import pytest
from stages import node, plan, stage, way_back

from orchestrator.domain.facts import Fact, OrderTaken, RollbackBegan, RunBegan, StageBegan, Stamped
from orchestrator.domain.service import State
from orchestrator.domain.timeline import Timeline
from orchestrator.interfaces.fact_lines import lines_of

STOPS = stage([node("sql@db-01")], goal=State.STOPPED)
STARTS = stage([node("sql@db-01")])
RESTART = RunBegan(run="r1", plan=plan(STOPS, STARTS), requester="anna", controller="desk")
BACK = RollbackBegan(stages=(way_back(STARTS),))


@pytest.mark.parametrize(
    ("before", "fact", "line"),
    [
        ([], StageBegan(0), "stage 1 of 2 begins: stop"),
        ([StageBegan(0)], StageBegan(1), "stage 2 of 2 begins: start"),
        ([StageBegan(0), BACK], StageBegan(2), "the way back, stage 1 of 1 begins: stop"),
        ([], OrderTaken("park"), "nobody is waited for here: when nothing but answers is left, the run parks"),
        ([], OrderTaken("window closed"), "the window has closed: nothing more is stopped, starts go on"),
        ([], OrderTaken("cancel", "ben"), "cancel was ordered by ben: nothing new is begun, what is under way settles"),
    ],
)
def test_a_line_says_what_it_means(before: list[Fact], fact: Fact, line: str) -> None:
    timeline = Timeline()
    for number, one in enumerate((RESTART, *before, fact), start=1):
        timeline.fact(Stamped(number, 0.0, 0.0, one))
    assert list(lines_of(fact, timeline, own=False)) == [line]
