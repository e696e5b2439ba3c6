"""The conductor: carries out a plan by asking the run state what follows, writing it down, and doing it.

Tasks, futures and timers only, so that it runs unchanged on any loop that has those. What it does depends on the plan
and on results, answers and orders, on nothing else.
"""

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import DecisionAnswered, Fact, StepEnded, StepIntended
from orchestrator.domain.plan import Plan
from orchestrator.domain.runstate import RunState
from orchestrator.engine.conductor.under_way import Moment, UnderWay
from orchestrator.engine.ports import ConductorPorts, Order


async def conduct(plan: Plan, state: RunState, ports: ConductorPorts) -> RunState:
    """Go on with *plan* from *state*, and return where it ended or waits.

    It has ended when `state.finished`. It waits when nothing is under way and only answers could move it on, and
    nobody is there to give them (`ports.patient`, or an order to park) or one of them was to hold.

    Every intent is on disk before its step is issued, every result before anything that follows from it; all facts of
    a turn are one append. Whatever becomes of a step is a result: only the ports' own failures are raised.

    Args:
        plan: what *state* is a state of.
        state: has no step that was asked and not answered (`RunResumed` declares them lost). It is the one returned.
        ports: see `ConductorPorts`.

    Raises:
        OrchError: a fact could not be written, or a decision not asked. Nothing was issued after that, and what was
            under way has ended; its results are not on disk.
    Cancellation: steps under way are cancelled and awaited for a bounded time; facts on disk stay as they are.
    """
    if state.under_way:
        raise ValueError(f"steps were asked and not answered: {', '.join(step.id for step in state.under_way)}")
    under_way = UnderWay((*plan.stages, *plan.back, *state.stages), ports)
    try:
        await _play(state, ports, under_way)
    except OrchError:
        await under_way.settled()
        raise
    finally:
        await under_way.abandon()
    return state


async def _play(state: RunState, ports: ConductorPorts, under_way: UnderWay) -> None:
    facts: list[Fact] = []
    patient = ports.patient
    while True:
        for fact in facts:
            state.apply(fact)
        facts += state.decide()
        if facts:
            await ports.append(facts)
        for fact in facts:
            if isinstance(fact, StepIntended):
                under_way.issue(fact.step)
        under_way.keep_watching(state.watching)
        under_way.keep_counting(state.counting)
        if state.finished or not (under_way.steps or (patient and not state.held)):
            return
        if not (under_way.steps or state.asking):
            raise RuntimeError(f"run {state.run} is not over, and nothing is under way or asked")
        under_way.keep_asking(state.asking)
        moment = await under_way.moment()
        patient = patient and all(order.order != Order.PARK for order in moment.orders)
        facts = _facts(moment)


def _facts(moment: Moment) -> list[Fact]:
    return [
        *map(StepEnded, moment.results),
        *(DecisionAnswered(decision=number, answer=answer) for number, answer in moment.answers),
        *moment.orders,
    ]
