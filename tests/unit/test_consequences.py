"""What each answer would mean is what then happens, if all goes well."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from drafts import READY, draft, entry, survey
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_planning_properties import Case, cases, plan_or_reject

from orchestrator.domain.consequences import Consequence, consequences
from orchestrator.domain.decisions import Answer, CauseKind, Source
from orchestrator.domain.decisions import Choice as Say
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import CANCEL, DecisionAnswered, OrderTaken, RunResumed, StepEnded, StepIntended
from orchestrator.domain.plan import Action, Plan, Role
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.policy import Policy
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import State
from orchestrator.domain.way_back import Touch, as_before, way_back

SHOP = draft(
    entry("sql", "db-01", of_instance={"ready": (READY,), "start_expected_s": 30.0, "stop_expected_s": 20.0}),
    entry("broker", "mq-01", "sql", of_instance={"start_expected_s": 10.0, "stop_expected_s": 5.0}),
    entry("orders", "app-01 app-02", "broker", of_instance={"start_expected_s": 10.0, "stop_expected_s": 5.0}),
)
RUNNING, STOPPED = State.RUNNING, State.STOPPED


def planned(action: Action, was: State, *, but: Mapping[str, State] | None = None) -> Plan:
    return build(SHOP, Choice(), action, survey(SHOP, was, but=but))


def until_it_asks(plan: Plan, failing: Mapping[str, str], *, cancel: bool = False) -> RunState:
    """The run of *plan* until nothing goes on: the steps of *failing* fail and leave their units in that state."""
    return played(RunState.begin(plan), failing, cancel=cancel)


def played(state: RunState, failing: Mapping[str, str], *, cancel: bool = False) -> RunState:
    waiting: list[Step] = []
    while True:
        waiting += [fact.step for fact in state.decide() if isinstance(fact, StepIntended)]
        if not waiting:
            return state
        if cancel:
            state.apply(OrderTaken(CANCEL))
            cancel = False
        step = waiting.pop(0)
        goal = state.stages[step.stage].goal
        looks = step.phase in (Phase.LOOK, Phase.READ) and step.unit in state.touched
        if looks and not failing:
            left = state.left[step.unit]
            result = Result(step=step, outcome=Outcome.OK if left else Outcome.UNKNOWN, after=left)
        elif step.unit in failing and step.phase is not Phase.GATE:
            gone = Problem(ProblemKind.TIMEOUT, "took too long")
            after = failing[step.unit]
            result = Result(step=step, outcome=Outcome.FAILED, acted=Acted.YES, after=after, problem=gone)
        else:
            acted = Acted.YES if step.phase in (Phase.START, Phase.STOP) else Acted.NO
            result = Result(step=step, outcome=Outcome.OK, acted=acted, after="" if step.phase is Phase.GATE else goal)
        state.apply(StepEnded(result))


def told(state: RunState) -> dict[Say, Consequence]:
    (decision,) = state.open
    found = consequences(state, decision)
    assert tuple(one.choice for one in found) == state.open[decision].choices
    return {one.choice: one for one in found}


def test_a_stop_that_failed_halfway() -> None:
    state = until_it_asks(planned(Action.STOP, RUNNING), {"broker@mq-01": "StopPending"})
    before = state.dump()
    seen = told(state)
    assert state.dump() == before, "nothing was answered"
    back = seen[Say.ROLLBACK]
    assert back.units == ("broker@mq-01", "orders@app-01", "orders@app-02")
    assert (back.expected_s, back.stays_down, back.warning) == (20.0, (), "")
    assert back.said == "puts 3 units back to the state before the run"
    again = seen[Say.RETRY]
    assert (again.units, again.expected_s) == (("broker@mq-01", "sql@db-01"), 25.0)
    skipped = seen[Say.SKIP]
    assert (skipped.units, skipped.stays_down) == ((), ())
    assert skipped.said.endswith("; 2 units would not be where the run was to bring them: broker@mq-01, sql@db-01")
    held = seen[Say.HOLD]
    assert held.stays_down == ("orders@app-01", "orders@app-02", "broker@mq-01")
    assert seen[Say.ABORT].stays_down == held.stays_down
    assert "exit 1" in seen[Say.ABORT].said


def test_a_start_that_failed_for_one_of_two_and_would_be_rolled_back() -> None:
    state = until_it_asks(planned(Action.START, STOPPED), {"orders@app-02": "Stopped"})
    seen = told(state)
    back = seen[Say.ROLLBACK]
    assert back.units == ("orders@app-01", "broker@mq-01", "sql@db-01")
    assert (back.warning, back.expected_s, back.stays_down) == ("this STOPS 3 running units", 30.0, ())
    assert seen[Say.SKIP].stays_down == seen[Say.HOLD].stays_down == ("orders@app-02",)
    assert seen[Say.RETRY].stays_down == ()
    assert seen[Say.EXCLUDE].said.startswith("does without app-02 from here on")


def test_a_restart_that_skips_starts_the_rest_again() -> None:
    state = until_it_asks(planned(Action.RESTART, RUNNING), {"orders@app-02": "Running"})
    skipped = told(state)[Say.SKIP]
    assert skipped.units == ("orders@app-01",)
    assert (skipped.stays_down, skipped.expected_s) == ((), 10.0)


@pytest.mark.parametrize(("touches", "units"), [(True, ("orders@app-01",)), (False, ())])
def test_what_nobody_knows_is_said(touches: bool, units: tuple[str, ...]) -> None:
    but = {"orders@app-02": STOPPED} | ({} if touches else {"orders@app-01": STOPPED})
    state = until_it_asks(planned(Action.STOP, RUNNING, but=but), {"broker@mq-01": ""})
    back = told(state)[Say.ROLLBACK]
    assert set(back.units) == {"broker@mq-01", *units}
    assert back.warning == "the state of 1 unit is not known: it is read first"


def test_what_was_paused_is_named_before_it_is_put_back() -> None:
    plan = planned(Action.STOP, RUNNING, but={"orders@app-01": State.PAUSED})
    back = told(until_it_asks(plan, {"broker@mq-01": "Running"}))[Say.ROLLBACK]
    assert back.units == ("orders@app-01", "orders@app-02")
    assert back.warning.startswith("orders@app-01 is not put back: it was Paused")


def test_what_is_under_way_ends_first_and_then_goes_back_too() -> None:
    plan = planned(Action.STOP, RUNNING)
    state = RunState.begin(plan)
    one, other = (fact.step for fact in state.decide() if isinstance(fact, StepIntended))
    gone = Problem(ProblemKind.TIMEOUT, "took too long")
    failed = Result(step=one, outcome=Outcome.FAILED, acted=Acted.YES, after="StopPending", problem=gone)
    state.apply(StepEnded(failed))
    state.decide()
    assert state.under_way == [other]
    back = told(state)[Say.ROLLBACK]
    assert set(back.units) == {one.unit, other.unit}
    assert back.expected_s == 5.0 + 10.0


def test_a_cancelled_run_and_an_approval() -> None:
    state = until_it_asks(planned(Action.STOP, RUNNING), {}, cancel=True)
    seen = told(state)
    assert "exit 5" in seen[Say.ABORT].said
    assert seen[Say.CONTINUE].said == "goes on as if nobody had cancelled"
    assert seen[Say.CONTINUE].units == ("broker@mq-01", "sql@db-01")
    assert set(seen[Say.ROLLBACK].units) == {"orders@app-01", "orders@app-02"}, "nothing more is stopped before"
    plan = planned(Action.START, STOPPED)
    approval = until_it_asks(replace(plan, policy=Policy(approve_before=True)), {})
    begins = told(approval)[Say.CONTINUE]
    assert begins.units == ("sql@db-01", "broker@mq-01", "orders@app-01", "orders@app-02")
    assert begins.expected_s == plan.stages[0].expected_s == 50.0


def test_what_others_moved_is_foretold_as_it_is_now() -> None:
    plan = planned(Action.STOP, RUNNING)
    state = until_it_asks(plan, {"broker@mq-01": "Running"})
    state.apply(RunResumed(requester="ada", controller="here", epoch=2))
    steps = [fact.step for fact in state.decide() if isinstance(fact, StepIntended)]
    for step in steps:
        after = STOPPED if step.unit == "orders@app-02" else RUNNING
        state.apply(StepEnded(Result(step=step, outcome=Outcome.OK, before=after, after=after)))
    state.decide()
    number = next(number for number, asked in state.open.items() if asked.cause.kind is CauseKind.CHANGED)
    seen = {one.choice: one for one in consequences(state, number)}
    assert seen[Say.ROLLBACK].units == ("orders@app-02",)
    assert seen[Say.RETRY].units[:1] == ("orders@app-01",)
    assert seen[Say.HOLD].stays_down == ("orders@app-02",)


@settings(max_examples=60, deadline=None)
@given(cases(), st.data())
def test_the_way_back_that_is_shown_is_the_way_back(case: Case, data: st.DataObject) -> None:
    plan = plan_or_reject(case)
    units = {node.unit.id: node.unit for stage in plan.stages for node in stage.nodes if node.role is Role.ACT}
    assume(units)
    some = data.draw(st.lists(st.sampled_from(sorted(units)), unique=True, min_size=1, max_size=3))
    failing = {unit: data.draw(st.sampled_from(["", *State])) for unit in some}
    state = until_it_asks(plan, failing)
    touched = {unit: Touch(left=state.left[unit], live=state.left[unit]) for unit in state.touched}
    way = way_back(plan, touched, accept_drift=False)
    due = [node.unit.id for stage in way.stages for node in stage.nodes if node.role is Role.ACT]
    for number in state.open:
        for one in consequences(state, number):
            if one.choice is Say.ROLLBACK:
                assert sorted(one.units) == sorted(due)
                assert set(one.stays_down) <= {unit for unit in units if unit not in due}
            elif one.choice in (Say.HOLD, Say.ABORT):
                assert one.units == ()
            else:
                assert one.expected_s >= 0
    if state.open:
        told_back = Answer(choice=Say.ROLLBACK, source=Source.PERSON, by="ada")
        if Say.ROLLBACK not in state.open[min(state.open)].choices:
            return
        state.apply(DecisionAnswered(decision=min(state.open), answer=told_back))
        played(state, {})
        named = {one.unit for one in way.changed_since}
        unlike = {unit for unit in state.touched if not as_before(units[unit], state.left[unit])}
        assert unlike <= named, "what is not as before is named"
        assert (state.verdict().exit_code == 3) == (not unlike)
