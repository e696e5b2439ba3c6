"""What a rolling restart promises for any batches, outcomes and answers, past any window, and killed at any moment."""

import json
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from rolling import bare, in_batches, rolled, rolling
from scripted_work import Decision, ScriptedWork
from test_conductor_life_properties import DICE, Dice, deciders
from virtual_time import run_virtual

from orchestrator.domain.facts import DecisionAsked, Fact, OrderTaken, RunBegan, RunEnded, RunResumed, Stamped
from orchestrator.domain.facts import StepEnded as Ended
from orchestrator.domain.facts import StepIntended as Intended
from orchestrator.domain.plan import Plan, Role
from orchestrator.domain.results import Phase, Step
from orchestrator.domain.runstate import RunState, Standing
from orchestrator.domain.timeline import Timeline
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.ports import Order

RESUMED = RunResumed(requester="me", controller="here", epoch=2)
DONE_ON_THE_WAY_DOWN = {"drain", "clear", "keep_down"}


@st.composite
def farms(draw: st.DrawFn) -> Plan:
    """One service in batches, with or without a life, counted or not, with a pause or none."""
    count, size = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    make = bare if draw(st.booleans()) else rolled
    sizes = [size] * (count // size) + [count % size] * bool(count % size)
    at_least = draw(st.none() | st.just(max(0, count - size)))
    pause_s = draw(st.sampled_from([0.0, 30.0]))
    nodes = [make(f"web@w-{number}") for number in range(count)]
    return rolling(in_batches(nodes, sizes, at_least=at_least, pause_s=pause_s))


def the_batch_before_is_over(state: RunState, step: Step) -> None:
    """Nobody of it is on its way, waits, or is asked about; and the count before this one held."""
    here = state.stages[step.stage]
    mine = next(node for node in here.nodes if node.unit.id == step.unit)
    asked = {unit for number in state.asking for unit in state.open[number].cause.units}
    for barrier in (here.barriers[number] for number in mine.waits_for):
        units = [here.nodes[place].unit.id for instance in barrier.instances for place in instance]
        stands = {state.standing(unit) for unit in units}
        if barrier.soft:
            assert not asked & set(units)
            assert not stands & {Standing.WAITING, Standing.UNDER_WAY}
        else:
            assert stands == {Standing.OK}


@settings(max_examples=80, deadline=None)
@given(
    plan=farms(),
    dice=DICE,
    decide=deciders(),
    cut=st.none() | st.floats(0, 1),
    cancel_at_s=st.none() | st.sampled_from([3.0, 20.0, 70.0]),
    window_s=st.none() | st.sampled_from([5.0, 12.0, 40.0]),
)
def test_whatever_happens_no_batch_overtakes_and_nobody_goes_down_too_late(
    plan: Plan,
    dice: Dice,
    decide: Callable[[DecisionAsked], Decision],
    cut: float | None,
    cancel_at_s: float | None,
    window_s: float | None,
) -> None:
    orders = [] if window_s is None else [(window_s, Order.WINDOW_CLOSED)]
    work = ScriptedWork(dice, decide=decide, before="Running", cancel_at_s=cancel_at_s, orders_at=orders)
    state = run_virtual(conduct(plan, RunState.begin(plan), work.ports))
    if cut is not None:
        kept = [fact for fact in work.journal[: int(cut * len(work.journal))] if not isinstance(fact, RunEnded)]
        facts: list[Fact] = [*kept, RESUMED]
        work = ScriptedWork(dice, decide=decide, states=dict(work.states), facts=[(0.0, fact) for fact in facts])
        state = RunState.begin(plan)
        for fact in facts:
            state.apply(fact)
        state = run_virtual(conduct(plan, state, work.ports))
    assert state.finished
    steps = [fact.step.id for fact in work.journal if isinstance(fact, Intended)]
    assert len(steps) == len(set(steps))
    retold(plan, work.journal, state)
    verdict, watched = (
        state.verdict().verdict,
        any(isinstance(fact, Ended) and fact.result.step.phase is Phase.WATCH for fact in work.journal),
    )
    if verdict == "done" and not watched:  # what is watched may be left down by the dice, and told as well
        assert all(state.left[node.unit.id] == "Running" for node in plan.stages[0].nodes if node.role is Role.ACT)
    if verdict == "rolled back":
        assert not [unit for unit, names in state.owed.items() if DONE_ON_THE_WAY_DOWN & {*names}]


def retold(plan: Plan, journal: list[Fact], end: RunState) -> None:
    """Fact by fact: who may go down, what is dumped and loaded again, and that eyes see the end of it."""
    state, timeline, closed = RunState.begin(plan), Timeline(), False
    timeline.fact(Stamped(1, 0.0, 0.0, RunBegan(run="r", plan=plan, requester="", controller="")))
    first: set[str] = set()
    for number, fact in enumerate(journal, start=2):
        if isinstance(fact, Intended) and fact.step.phase is Phase.STOP and not state.rolling_back:
            assert not closed or state.whereabouts(fact.step.unit) == "Stopped", "a stop past the window"
            if fact.step.unit not in first:
                first.add(fact.step.unit)
                the_batch_before_is_over(state, fact.step)
        closed = closed or (isinstance(fact, OrderTaken) and fact.order == Order.WINDOW_CLOSED)
        state.apply(fact)
        timeline.fact(Stamped(number, float(number), float(number), fact))
        if number % 9 == 0:
            dumped = json.loads(json.dumps(state.dump()))
            assert json.loads(json.dumps(RunState.load(plan, dumped).dump())) == dumped
    timeline.fact(Stamped(len(journal) + 2, 9e3, 9e3, end.verdict()))
    assert not timeline.under_way(1)
