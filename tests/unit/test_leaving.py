"""Which processes a run that goes on has to know of: those that it may have asked to go and did not see gone."""

from dataclasses import replace

import pytest
from stages import node, plan, stage

from orchestrator.domain.facts import Fact, StepEnded, StepIntended
from orchestrator.domain.leaving import leaving
from orchestrator.domain.results import Outcome, Phase, Result, Step

UP = Step(0, "app@web", Phase.START)
DOWN = Step(1, "app@web", Phase.STOP)


def ended(step: Step, outcome: Outcome = Outcome.OK, **evidence: str) -> Fact:
    return StepEnded(Result(step=step, outcome=outcome, evidence=evidence))


STARTED = (ended(UP, pid_after="812"),)
ASKED = (*STARTED, StepIntended(DOWN))


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        (STARTED, []),
        (ASKED, [812]),
        ((*ASKED, ended(DOWN, Outcome.UNKNOWN)), [812]),
        ((*ASKED, ended(DOWN, Outcome.FAILED, pid_before="812", orphan="812")), [812]),
        ((*ASKED, ended(DOWN, pid_before="812")), []),
        ((*ASKED, ended(DOWN, Outcome.FAILED), ended(UP, pid_after="900")), []),
        ((StepIntended(DOWN),), []),
    ],
)
def test_a_process_is_known_from_the_stop_that_was_asked_until_it_is_gone(facts: list[Fact], known: list[int]) -> None:
    app = node("app@web")
    for booted_at in (5.0, None):
        made = plan(stage([replace(app, unit=replace(app.unit, booted_at=booted_at))]))
        found = leaving(made, facts)
        assert [one.pid for one in found] == ([] if booted_at is None else known), "a PID of another boot means nothing"
        assert all((one.host, one.scm_name, one.booted_at) == ("web", app.unit.scm_name, 5.0) for one in found)
