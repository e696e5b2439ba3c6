"""What the conductor does with nodes that live both ways: a rolling restart."""

import json
from collections.abc import Callable

from rolling import bare, rolled, rolling
from scripted_work import Answer, Decision, ScriptedWork
from stages import stage
from virtual_time import run_virtual

from orchestrator.domain.decisions import Choice
from orchestrator.domain.facts import DecisionAsked, Fact
from orchestrator.domain.plan import Plan
from orchestrator.domain.results import Phase
from orchestrator.domain.runstate import RunState
from orchestrator.engine.conductor.conduct import conduct

WHOLE = [
    "read:first/1",
    "precheck/1",
    "pre_stop:warm/1",
    "pre_stop:drain/1",
    "drained/1",
    "keep_down/1",
    "stop/1",
    "gate:stopped/1",
    "post_stop:clear/1",
    "between:between.1/1",
    "pre_start:clear/1",
    "pre_start:mount/1",
    "release/1",
    "start/1",
    "gate/1",
    "healthy/1",
    "post_start:warm/1",
    "post_start:drain/1",
]
"""The life of a unit in a rolling restart, part by part."""
WEB = "web@w-1"


def says(*choices: Choice) -> Callable[[DecisionAsked], Decision]:
    """The n-th decision is answered with the n-th of *choices*; then it is aborted."""
    return lambda asked: Decision(([*choices, *[Choice.ABORT] * 9])[asked.decision - 1])


def running(script: dict[str, Answer] | None = None, *choices: Choice) -> ScriptedWork:
    """A world in which all runs."""
    return ScriptedWork(script or {}, before="Running", decide=says(*choices))


def run(any_plan: Plan, work: ScriptedWork, before: list[Fact] | None = None) -> RunState:
    """The run to its end, or on from the facts *before*."""
    state = RunState.begin(any_plan)
    for fact in before or []:
        state.apply(fact)
    state = RunState.load(any_plan, json.loads(json.dumps(state.dump())))
    return run_virtual(conduct(any_plan, state, work.ports))


def of(unit: str, work: ScriptedWork) -> list[str]:
    """What was asked of *unit*: `phase:hook/attempt`, looks and last readings left out."""
    steps = [step for step in work.asked if step.unit == unit and step.phase is not Phase.LOOK]
    steps = [step for step in steps if step.phase is not Phase.READ or step.hook]
    return [step.id.split("/", 2)[2] for step in steps]


def test_a_unit_goes_down_and_comes_up_in_one_life() -> None:
    work = running()
    state = run(rolling(stage([rolled(WEB)])), work)
    assert of(WEB, work) == WHOLE
    assert len(set(work.ids)) == len(work.ids)
    assert (state.verdict().verdict, state.left) == ("done", {WEB: "Running"})
    assert state.owed == {WEB: ("mount", "warm")}
    plain = running()
    assert run(rolling(stage([bare(WEB)])), plain).verdict().verdict == "done"
    assert of(WEB, plain) == ["stop/1", "start/1"]
