"""What the conductor promises for any plan, any outcomes, any answers, and a cancel at any moment."""

import json
from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from run_judge import Judge
from scripted_work import Decision, ScriptedWork, all_answered, scripts
from stages import plan, stages, way_back
from virtual_time import run_virtual

from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAsked, Fact, RunResumed, StepEnded, StepIntended
from orchestrator.domain.plan import Plan, Role, Stage
from orchestrator.domain.policy import Do, Policy, Rule
from orchestrator.domain.results import Phase
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import State
from orchestrator.engine.conductor.conduct import conduct

BOUND = st.none() | st.integers(0, 2)
RULES = st.builds(
    Rule,
    do=st.just(Do.RETRY),
    kinds=st.sampled_from([(), (ProblemKind.TIMEOUT,), (ProblemKind.GATE,)]),
    services=st.sampled_from([(), ("s0",)]),
    count=st.integers(1, 2),
) | st.builds(Rule, do=st.sampled_from([Do.ASK, Do.CONTINUE]), services=st.sampled_from([(), ("s1",)]))
POLICIES = st.builds(
    Policy,
    on_failure=st.sampled_from([Do.ASK, Do.ASK, Do.CONTINUE, Do.ROLLBACK]),
    rules=st.lists(RULES, max_size=2).map(tuple),
    max_failures=BOUND,
    approve_before=st.booleans(),
)
RESUMED = RunResumed(requester="me", controller="here", epoch=2)
HURRIED = [choice for choice in Choice if choice is not Choice.HOLD]


def _plan(stages_: tuple[Stage, ...], policy: Policy) -> Plan:
    return plan(*stages_, policy=policy, back=way_back(*stages_))


ONE = st.tuples(stages()) | st.tuples(stages(goal=State.STOPPED), stages())
PLANS = st.builds(_plan, ONE, POLICIES)
CANCELS = st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 61.0])


@st.composite
def deciders(draw: st.DrawFn) -> Callable[[DecisionAsked], Decision]:
    """Somebody who gives any allowed answer, and after a while only such as end the run."""
    wanted = draw(st.lists(st.tuples(st.sampled_from(HURRIED), st.sampled_from([0.0, 0.5, 2.0, 90.0])), max_size=12))

    def decide(asked: DecisionAsked) -> Decision:
        told = wanted[asked.decision - 1 :][:1] or [(Choice.ABORT, 0.0)]
        choice, after_s = told[0]
        again = asked.cause.kind is CauseKind.CHANGED and choice is Choice.RETRY  # the judge knows nothing of that
        if choice not in asked.choices or again:
            choice = next(one for one in (Choice.CONTINUE, Choice.SKIP, Choice.ABORT) if one in asked.choices)
        return Decision(choice, after_s)

    return decide


def _run(any_plan: Plan, work: ScriptedWork) -> RunState:
    return run_virtual(conduct(any_plan, RunState.begin(any_plan), work.ports))


@settings(max_examples=120, deadline=None)
@given(data=st.data(), any_plan=PLANS, cancel_at_s=CANCELS)
def test_any_run_keeps_its_promises(data: st.DataObject, any_plan: Plan, cancel_at_s: float | None) -> None:
    work = ScriptedWork(data.draw(scripts(any_plan)), cancel_at_s=cancel_at_s, decide=data.draw(deciders()))
    state = _run(any_plan, work)
    judge = Judge(any_plan)
    judge.watch(work.facts)

    intended = [fact.step for fact in work.journal if isinstance(fact, StepIntended)]
    assert work.asked == [step for step in intended if step.phase is not Phase.WATCH]
    assert all_answered(work)
    assert state.finished
    assert not state.under_way
    assert not state.open
    assert state.decide() == []
    _none_is_lost(any_plan, state, judge)


def _none_is_lost(any_plan: Plan, state: RunState, judge: Judge) -> None:
    if judge.going_back and state.rolling_back:
        assert sorted(judge.reads) == sorted(judge.touched) == sorted(state.touched)
    acted = {n.unit.id for number in judge.begun for n in state.stages[number].nodes if n.role is Role.ACT}
    if not judge.going_back:
        assert acted <= set(judge.reads), "every unit that was to be acted on is read once more"
    for unit in judge.strayed:
        assert (judge.reads[unit] or "unknown") != judge.left[unit]
    standings = Counter(state.standing(node.unit.id) for node in state.stages[state.stage].nodes if state.stage >= 0)
    assert set(standings) <= {"ok", "failed", "unknown", "untouched"}
    ended = state.verdict()
    assert ended.verdict in ("done", "failed", "cancelled", "rolled back", "rollback incomplete")
    assert (ended.verdict == "done") == judge.done


@settings(max_examples=60, deadline=None)
@given(data=st.data(), any_plan=PLANS, cancel_at_s=CANCELS)
def test_facts_fold_to_the_live_state_and_so_does_its_json(
    data: st.DataObject, any_plan: Plan, cancel_at_s: float | None
) -> None:
    work = ScriptedWork(
        data.draw(scripts(any_plan)), cancel_at_s=cancel_at_s, append_takes_s=0.25, decide=data.draw(deciders())
    )
    live = _run(any_plan, work)
    assert all_answered(work)
    folded = RunState.begin(any_plan)
    for fact in work.journal:
        folded.apply(fact)
        loaded = RunState.load(any_plan, json.loads(json.dumps(folded.dump())))
        assert loaded.dump() == folded.dump()
    assert folded.dump() == live.dump()
    assert folded.verdict() == live.verdict()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), any_plan=PLANS, cancel_at_s=CANCELS)
def test_killed_anywhere_and_resumed_it_ends_and_asks_no_step_twice(
    data: st.DataObject, any_plan: Plan, cancel_at_s: float | None
) -> None:
    decide = data.draw(deciders())
    whole = ScriptedWork(data.draw(scripts(any_plan)), cancel_at_s=cancel_at_s, decide=decide)
    _run(any_plan, whole)
    cut = data.draw(st.integers(0, len(whole.facts)))
    facts: list[Fact] = [*whole.journal[:cut], RESUMED]
    state, loaded = RunState.begin(any_plan), RunState.begin(any_plan)
    for fact in facts:
        state.apply(fact)
    loaded = RunState.load(any_plan, json.loads(json.dumps(state.dump())))
    assert not state.under_way
    assert {step.id for step in state.lost} == _asked(facts) - _answered(facts)
    rest = ScriptedWork(whole.script, decide=decide, states=dict(whole.states), facts=[(0.0, fact) for fact in facts])
    again = ScriptedWork(whole.script, decide=decide, states=dict(whole.states), facts=[(0.0, fact) for fact in facts])
    state = run_virtual(conduct(any_plan, state, rest.ports))
    loaded = run_virtual(conduct(any_plan, loaded, again.ports))
    assert rest.facts == again.facts, "what was loaded goes on as what was folded"
    assert state.finished
    asked = [fact.step.id for fact in rest.journal if isinstance(fact, StepIntended)]
    assert len(asked) == len(set(asked))
    assert loaded.dump() == state.dump()


def _asked(facts: list[Fact]) -> set[str]:
    return {fact.step.id for fact in facts if isinstance(fact, StepIntended) and fact.step.phase is not Phase.WATCH}


def _answered(facts: list[Fact]) -> set[str]:
    return {fact.result.step.id for fact in facts if isinstance(fact, StepEnded)}
