"""A run, from its first fact to its last."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from orchestrator.domain.facts import Fact, RunBegan, RunEnded, Stamped
from orchestrator.domain.plan import Plan
from orchestrator.domain.runstate import RunState
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.jobs.world import Header, World
from orchestrator.engine.ports import ConductorPorts, Journal, NoteTaker, Order
from orchestrator.engine.work.work import Work


async def run(
    plan: Plan,
    world: World,
    journal: Journal,
    *,
    header: Header,
    orders: Callable[[], Coroutine[Any, Any, Order]],
    watch: Callable[[Stamped], None],
    note: NoteTaker,
) -> RunEnded:
    """Carry the plan out and return how it ended; every fact is on disk before `watch` hears of it.

    Raises:
        OrchError: the journal can't be written. Nothing further was issued; what was under way has settled.
    """

    async def append(facts: Sequence[Fact]) -> None:
        for stamped in await journal.append(header.run, facts):
            watch(stamped)

    began = RunBegan(
        run=header.run,
        plan=plan,
        requester=header.requester,
        controller=header.controller,
        command=header.command,
        made_from=header.made_from,
        of=header.of,
    )
    await append([began])
    state = RunState.begin(plan)
    state.apply(began)
    work = Work(plan, world.hosts, world.probe, world.local, note)
    state = await conduct(plan, state, ConductorPorts(run=work.run, append=append, orders=orders))
    ended = state.verdict()
    await append([ended])
    return ended
