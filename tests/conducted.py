"""Runs over scripted work, in virtual time: begun or gone on with, and what they asked of a unit."""

import json
from collections.abc import Callable

from scripted_work import Answer, Decision, ScriptedWork
from virtual_time import run_virtual

from orchestrator.domain.decisions import Choice
from orchestrator.domain.facts import DecisionAsked, Fact
from orchestrator.domain.plan import Plan
from orchestrator.domain.results import Phase
from orchestrator.domain.runstate import RunState
from orchestrator.engine.conductor.conduct import conduct


def says(*choices: Choice) -> Callable[[DecisionAsked], Decision]:
    """The n-th decision is answered with the n-th of *choices*; then it is aborted."""
    return lambda asked: Decision(([*choices, *[Choice.ABORT] * 9])[asked.decision - 1])


def running(script: dict[str, Answer] | None = None, *choices: Choice) -> ScriptedWork:
    """A world in which all runs."""
    return ScriptedWork(script or {}, before="Running", decide=says(*choices))


def run(plan: Plan, work: ScriptedWork, before: list[Fact] | None = None) -> RunState:
    """The run to its end, or on from the facts *before*; what was dumped on the way is taken up again."""
    state = RunState.begin(plan)
    for fact in before or []:
        state.apply(fact)
    state = RunState.load(plan, json.loads(json.dumps(state.dump())))
    return run_virtual(conduct(plan, state, work.ports))


def of(unit: str, work: ScriptedWork) -> list[str]:
    """What was asked of *unit*: `phase:hook/attempt`, looks and last readings left out."""
    steps = [step for step in work.asked if step.unit == unit and step.phase is not Phase.LOOK]
    steps = [step for step in steps if step.phase is not Phase.READ or step.hook]
    return [step.id.split("/", 2)[2] for step in steps]
