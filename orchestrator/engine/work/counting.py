"""COUNT: what passes before a batch of a service.

First the pause, then a look at the batch before: whoever reads the journal sees how it stood when the next one began.
The look decides nothing: a unit that did not get there was asked about before, and one that dies is watched.

Where as many instances have to stay up as a batch leaves, all of the service are read, and the batch waits for them.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain.durations import spoken
from orchestrator.domain.errors import HostError, Problem, ProblemKind
from orchestrator.domain.gates import Gate
from orchestrator.domain.plan import Batch, Node, Role, Stage, Unit
from orchestrator.domain.results import WAITS, Outcome, Result, Step
from orchestrator.domain.service import State
from orchestrator.engine.work.gates import Watch
from orchestrator.engine.work.looks import Looks
from orchestrator.engine.work.pace import TICK_S
from orchestrator.engine.work.sights import Eyes

COUNT_S = 10.0
"""How long a state is tried to be read; who is silent meanwhile counts as unread."""
AGAIN_S = 5.0
"""How long it is waited until all are read again that have to be up."""
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


class Services:
    """Who is counted before the batches of a *stage*, by service, in plan order. Cost: building O(nodes + edges)."""

    def __init__(self, stage: Stage) -> None:
        counts = [node for node in stage.nodes if node.batch is not None and node.batch.at_least is not None]
        self._units: dict[str, dict[str, tuple[Unit, tuple[Gate, ...]]]] = {one.unit.service: {} for one in counts}
        self._coming: dict[str, set[str]] = {one.unit.id: set() for one in counts}
        before = {
            number: self._coming[barrier.name]
            for number, barrier in enumerate(stage.barriers)
            if not barrier.soft and barrier.name in self._coming
        }
        for node in stage.nodes:
            if node.batch is None and node.role is not Role.PASS and node.unit.host is not None:
                self._count(node.unit, node.gates)
                for number in before.keys() & node.waits_for:
                    before[number].add(node.unit.instance)
        for unit in stage.others:
            self._count(unit, ())

    def _count(self, unit: Unit, gates: tuple[Gate, ...]) -> None:
        if unit.service in self._units:
            self._units[unit.service].setdefault(unit.id, (unit, gates))

    def staying(self, batch: Node) -> Iterator[tuple[Unit, tuple[Gate, ...]]]:
        """The units of the service that are not of the coming *batch*, each with its ready gates."""
        coming = self._coming[batch.unit.id]
        return (one for one in self._units[batch.unit.service].values() if one[0].instance not in coming)


@dataclass(frozen=True, slots=True)
class Doubts:
    """Why units may be of no use although they run, as the run goes on: what those said who came up *badly*, and of a
    unit the hooks that were done for where it is not and are *left*."""

    badly: Mapping[str, str] = field(default_factory=dict)
    left: Callable[[str], Sequence[str]] = lambda _: ()


@dataclass(frozen=True, slots=True)
class Counted:
    """One unit that is counted: how it is read, its ready gates (who has none is not up if it came up badly), and what
    else speaks against it."""

    unit: Unit
    looks: Looks | None
    gates: Sequence[Gate]
    eyes: Eyes
    doubts: Doubts


async def enough(
    step: Step, batch: Batch, staying: Sequence[Counted], timeout_s: float, note: Callable[[str], None]
) -> Result:
    """Pause, then wait until as many instances are up as the batch has to leave up.

    One is up if all its units are Running and their ready gates hold in one probe, whatever they were before. Of a unit
    without such gates that came up badly in this run nothing tells that it is up; and who was drained by this run, and
    not put back, is of no use, however well it is.
    Fails, as a gate that does not hold, when that was not so for *timeout_s*; bounded by that, the pause, and one
    more round of reads and probes.
    """
    loop = asyncio.get_running_loop()
    if batch.pause_s > 0:
        note(f"pausing for {spoken(batch.pause_s)}")
        await asyncio.sleep(batch.pause_s)
    every, least = dict.fromkeys(one.unit.instance for one in staying), batch.at_least or 0
    ends_s = loop.time() + timeout_s
    service, exchanges, said = step.unit.rpartition("#")[0], 0, ""
    while True:
        found = await asyncio.gather(*(_missing(one) for one in staying))
        exchanges += sum(asked for _, asked in found)
        away: dict[str, str] = {}
        for one, (why, _) in zip(staying, found, strict=True):
            if why:
                away.setdefault(one.unit.instance, f"{one.unit.id} {why}")
        up = len(every) - len(away)
        evidence = {"up": str(up), "at_least": str(least)}
        batches = f"batch {batch.number} of {batch.of} takes {batch.size} of {service} down"
        if up >= least:
            words = f"{up} of {service} are up without them, {least} have to be"
            said = f"{batches}: {words}{_named(away)}"
            return Result(step=step, outcome=Outcome.OK, said=said, evidence=evidence, exchanges=exchanges)
        if loop.time() + TICK_S >= ends_s:
            break
        told, said = said, f"{WAITS}{up} of {service} are up without batch {batch.number}, {least} have to be"
        said += f"; at most {spoken(timeout_s)}{_named(away)}"
        if said != told:
            note(said)
        await asyncio.sleep(min(AGAIN_S, ends_s - loop.time()))
    said = f"{batches}, and only {up} are up without them where {least} have to be{_named(away)}"
    problem = Problem(ProblemKind.GATE, said)
    return Result(step=step, outcome=Outcome.FAILED, said=said, problem=problem, evidence=evidence, exchanges=exchanges)


def _named(away: Mapping[str, str]) -> str:
    """Who is not up, and why."""
    more = f" and {len(away) - NAMED} more" if len(away) > NAMED else ""
    return f" (not up: {'; '.join(list(away.values())[:NAMED])}{more})" if away else ""


async def _missing(one: Counted) -> tuple[str, int]:
    """Why the unit does not count as up, "" if it does, and the exchanges that this took."""
    if one.unit.id in one.doubts.badly and not one.gates:
        return f"did not end well in this run: {one.doubts.badly[one.unit.id]}", 0
    if one.looks is None:
        return "has no service", 0
    asked = one.looks.exchanges
    state = await _state(one.looks)
    asked = one.looks.exchanges - asked
    if state != State.RUNNING:
        return f"is {state}", asked
    watches = [Watch(gate, one.eyes, lambda _: None) for gate in one.gates]
    sights = await asyncio.gather(*(watch.look() for watch in watches))
    lost = [watch for watch, sight in zip(watches, sights, strict=True) if not sight.held]
    left = one.doubts.left(one.unit.id)
    why = f"is not put back: what was done for its way down is not undone ({', '.join(left)})" if left else ""
    why = f"is Running, but {lost[0].gate.words}: {lost[0].last.saw}" if lost else why
    return why, asked + sum(watch.exchanges for watch in watches)
