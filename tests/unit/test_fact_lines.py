"""Facts as plain lines: each says what it means, to somebody who knows none of our words."""

import pytest
from stages import node, plan, stage, way_back

from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import (
    Fact,
    OrderTaken,
    RollbackBegan,
    RunBegan,
    StageBegan,
    Stamped,
    StepEnded,
    StepIntended,
)
from orchestrator.domain.results import Outcome, Phase, Result, Step
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


def test_a_number_that_is_in_the_words_is_told_once() -> None:
    step = Step(stage=0, unit="sql@db-01", phase=Phase.STOP)
    said = "sql is Running, the stop was refused: access denied (error 5); the host says: OpenService FAILED 5"
    problem = Problem(ProblemKind.REFUSED, "OpenService FAILED 5", code=5)
    timeline = Timeline()
    facts: list[Fact] = [RESTART, StageBegan(0), StepIntended(step)]
    ended = StepEnded(Result(step=step, outcome=Outcome.FAILED, said=said, problem=problem))
    for number, one in enumerate([*facts, ended], start=1):
        timeline.fact(Stamped(number, 0.0, 0.0, one))
    [line] = lines_of(ended, timeline, own=False)
    assert line.endswith(said)
    assert line.count("error 5") == 1
