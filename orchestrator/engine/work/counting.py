"""COUNT: what passes between two batches of a service.

First the pause, then a look at the batch before: whoever reads the journal sees how it stood when the next one began.
The look decides nothing: a unit that did not get there was asked about before, and one that dies is watched.
"""

import asyncio
from collections.abc import Callable, Sequence

from orchestrator.domain.durations import spoken
from orchestrator.domain.errors import HostError
from orchestrator.domain.plan import Batch, Node, Stage, Unit
from orchestrator.domain.results import Outcome, Result, Step
from orchestrator.domain.service import State
from orchestrator.engine.work.looks import Looks

COUNT_S = 10.0
"""How long a state is tried to be read; who is silent meanwhile counts as unread."""
NAMED = 3
"""How many of those that are elsewhere a sentence names."""


def batch_before(stage: Stage, node: Node) -> list[Node]:
    """The nodes of the batch before *node*. Cost: O(them)."""
    named = (stage.barriers[number] for number in node.waits_for)
    over = [barrier for barrier in named if barrier.soft and barrier.name == node.unit.id]
    return [stage.nodes[place] for barrier in over for instance in barrier.instances for place in instance]


async def count(
    step: Step, batch: Batch, goal: State, looks: Sequence[tuple[Unit, Looks]], note: Callable[[str], None]
) -> Result:
    """Pause, then read all *looks*. Ends ok, whatever they say; bounded by the pause and COUNT_S."""
    if batch.pause_s > 0:
        note(f"pausing for {spoken(batch.pause_s)}")
        await asyncio.sleep(batch.pause_s)
    found = await asyncio.gather(*(_state(one) for _, one in looks))
    away = [(unit, state) for (unit, _), state in zip(looks, found, strict=True) if state != goal]
    there = len(looks) - len(away)
    said = f"batch {batch.number - 1}: {there} of {len(looks)} {goal}"
    if away:
        more = f" and {len(away) - NAMED} more" if len(away) > NAMED else ""
        said += f", but {', '.join(f'{unit.id} {state}' for unit, state in away[:NAMED])}{more}"
    said += f"; batch {batch.number} of {batch.of} is next, {batch.size} of {step.unit.rpartition('#')[0]}"
    return Result(step=step, outcome=Outcome.OK, said=said, exchanges=sum(one.exchanges for _, one in looks))


async def _state(looks: Looks) -> str:
    try:
        status = await looks.status(asyncio.get_running_loop().time() + COUNT_S)
    except HostError as error:
        return f"unread ({error.text})"
    return str(status.state)
