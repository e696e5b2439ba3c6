"""Gates of one unit: probed side by side, each in its own time, until each has held.

The words are Kubernetes': the first probe after `initial_delay`, then one every `period` counted from the beginning
of the one before (at once, if that took longer), each at most `timeout` long, `success_threshold` in a row. Only the
deadline is counted differently: from the beginning of the gate. A probe may begin until then, and is waited for.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.gates import Gate, Origin, PortClosedCheck, ServiceCheck
from orchestrator.domain.results import GATE, Outcome, Result, Step
from orchestrator.engine.work.pace import TICK_S
from orchestrator.engine.work.sights import Eyes, Sight


class Watch:
    """One gate being watched: what it saw last, and how often."""

    def __init__(self, gate: Gate, eyes: Eyes, note: Callable[[str], None]) -> None:
        self.gate = gate
        self.held = False
        self.attempts = 0
        self.last = Sight(None, "not probed yet")
        self.saw_no = False
        self.exchanges = 0
        self._eyes = eyes
        self._note = note

    async def until_decided(self) -> None:
        """Probe until the gate has held, or its deadline has passed, or the host rejects our credentials."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        ends_s = began_s + self.gate.deadline_s
        due_s = began_s + self.gate.initial_delay_s
        in_a_row = 0
        while due_s <= ends_s + TICK_S:
            await asyncio.sleep(due_s - loop.time())
            sight = await self.look()
            in_a_row = in_a_row + 1 if sight.held else 0
            self.held = in_a_row >= self.gate.success_threshold
            if self.held or (sight.problem is not None and sight.problem.kind is ProblemKind.AUTH):
                return
            due_s = max(due_s + self.gate.period_s, loop.time())
        await asyncio.sleep(ends_s - loop.time())

    async def look(self) -> Sight:
        """Probe once; of a bound gate that holds, look who it is that listens."""
        self.attempts += 1
        self.exchanges += _on_host(self.gate)
        sight = await self._eyes.look(self.gate)
        if sight.held and self.gate.bound:
            sight, exchanges = await self._eyes.owner(self.gate)
            self.exchanges += exchanges
        if sight != self.last:
            self._note(f"{self.gate.words}: {sight.saw}")
        self.last = sight
        self.saw_no = self.saw_no or sight.held is False
        return sight

    @property
    def unknown(self) -> bool:
        """Whether nobody could tell, however often it was probed."""
        return not self.held and not self.saw_no

    @property
    def told(self) -> str:
        """What it saw last, and how often it looked."""
        return f"{self.last.saw} ({self.attempts} probe{'s' * (self.attempts != 1)})"


async def hold(
    step: Step,
    gates: Sequence[Gate],
    eyes: Eyes,
    note: Callable[[str], None],
    *,
    beside: Coroutine[Any, Any, Result] | None = None,
) -> Result:
    """Wait until every gate has held. Ends at the first one that can't hold any more; the others are left then.

    A gate that saw a no fails the step; one that could not be probed until its deadline makes it unknown. *beside* is
    waited for meanwhile: it ends only if there is no use in waiting, and says why.
    """
    watches = [Watch(gate, eyes, note) for gate in gates]
    tasks = [asyncio.create_task(watch.until_decided()) for watch in watches]
    other = [asyncio.create_task(beside)] if beside is not None else []
    try:
        while pending := [task for task in tasks if not task.done()]:
            await asyncio.wait([*pending, *other], return_when=asyncio.FIRST_COMPLETED)
            lost = any(task.done() and not watch.held for task, watch in zip(tasks, watches, strict=True))
            if lost or any(task.done() for task in other):
                break
    finally:
        for task in (*tasks, *other):
            task.cancel()
        ends = await asyncio.gather(*tasks, *other, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
    return _ended(step, watches, tasks, next((end for end in ends if isinstance(end, Result)), None))


def _ended(step: Step, watches: Sequence[Watch], tasks: Sequence[asyncio.Task[None]], down: Result | None) -> Result:
    lost = [watch for task, watch in zip(tasks, watches, strict=True) if not task.cancelled() and not watch.held]
    evidence = {}
    for number, watch in enumerate(watches, 1):
        evidence[f"{GATE}{number}"] = f"{watch.gate.words}: {watch.told}"
    exchanges = sum(watch.exchanges for watch in watches)
    if down is not None:
        return replace(down, evidence=evidence | down.evidence, exchanges=exchanges + down.exchanges)
    if not lost:
        words = "; ".join(f"{watch.gate.words}: {watch.last.saw}" for watch in watches) or "it has no gates"
        return Result(
            step=step, outcome=Outcome.OK, said=f"{step.unit}: {words}", evidence=evidence, exchanges=exchanges
        )
    return replace(_not_held(step, lost), evidence=evidence, exchanges=exchanges)


def _on_host(gate: Gate) -> bool:
    return gate.origin is Origin.HOST or isinstance(gate.check, ServiceCheck | PortClosedCheck)


def _not_held(step: Step, lost: Sequence[Watch]) -> Result:
    watch = next((watch for watch in lost if not watch.unknown), lost[0])
    told = f"{watch.gate.words}: {watch.told}"
    deadline = f"deadline {watch.gate.deadline_s:g} s passed"
    why = watch.last.problem
    if why is not None and why.kind is ProblemKind.AUTH:
        return Result(step=step, outcome=Outcome.FAILED, said=f"{step.unit}: {told}", problem=why)
    if watch.unknown:
        said = f"{step.unit}: nobody could tell whether the gate holds ({deadline}); {told}"
        problem = why or Problem(ProblemKind.UNREACHABLE, watch.last.saw)
        return Result(step=step, outcome=Outcome.UNKNOWN, said=said, problem=problem)
    said = f"{step.unit}: the gate did not hold ({deadline}); {told}"
    return Result(step=step, outcome=Outcome.FAILED, said=said, problem=Problem(ProblemKind.GATE, watch.last.saw))
