"""What is under way, and what has come in of it: the one place where completion becomes order."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.decisions import Answer
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import OrderTaken
from orchestrator.domain.plan import Stage
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.engine.ports import ConductorPorts

ABANDON_S = 5.0
"""How long cancelled steps may take to end."""
_OF_THE_RUN = -1
"""Where results that are no unit's come: before all others of their moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What came in at one moment: results in plan order, answers by decision, orders as they came."""

    results: tuple[Result, ...]
    answers: tuple[tuple[int, Answer], ...]
    orders: tuple[OrderTaken, ...]


class UnderWay:
    """The tasks of issued steps and of asked decisions, and one that listens for orders.

    Tasks report by callback into lists, and `moment` hands those over sorted, so that the order in which the loop got
    to them doesn't matter. `stages` are all in which a step may be issued; they decide the order of results.
    """

    def __init__(self, stages: Iterable[Stage], ports: ConductorPorts) -> None:
        self._loop = asyncio.get_running_loop()
        self._ports = ports
        self._order: dict[str, int] = {}
        for stage in stages:
            for node in stage.nodes:
                self._order.setdefault(node.unit.id, len(self._order))
        self._steps: dict[asyncio.Task[Result], Step] = {}
        self._watches: dict[Step, asyncio.Task[Result]] = {}
        self._counts: dict[Step, asyncio.Task[Result]] = {}
        self._ended: list[asyncio.Task[Result]] = []
        self._on_end = self._note  # bound once: there are many tasks
        self._asking: dict[int, asyncio.Task[Answer]] = {}
        self._withdrawn: list[asyncio.Task[Any]] = []
        self._woken: asyncio.Future[None] | None = None
        self._listener = self._listen()

    @property
    def steps(self) -> int:
        """How many steps are under way, watches aside: nobody waits for the end of those."""
        return len(self._steps) - len(self._watches)

    def issue(self, step: Step) -> None:
        """Let *step* be carried out."""
        task = self._loop.create_task(self._ports.run(step))
        self._steps[task] = step
        if step.phase is Phase.WATCH:
            self._watches[step] = task
        elif step.phase is Phase.COUNT:
            self._counts[step] = task
        task.add_done_callback(self._on_end)

    def keep_asking(self, decisions: Collection[int]) -> None:
        """Ask those of *decisions* that are not asked yet, and withdraw all others."""
        for decision in [one for one in self._asking if one not in decisions]:
            task = self._asking.pop(decision)
            self._withdrawn.append(task)
            task.cancel()
        for decision in decisions:
            if decision not in self._asking:
                task = self._loop.create_task(self._ports.ask(decision))
                self._asking[decision] = task
                task.add_done_callback(self._wake)

    def keep_watching(self, watches: Collection[Step]) -> None:
        """Call off all watches but *watches*. What they find from now on is nothing. Cost: O(1) if there are none to
        call off."""
        if len(self._watches) == len(watches):
            return
        for step in [one for one in self._watches if one not in watches]:
            self._call_off(self._watches.pop(step))

    def keep_counting(self, counts: Collection[Step]) -> None:
        """Call off all counts before a batch but *counts*: they may be far from over. Cost: as `keep_watching`."""
        if len(self._counts) == len(counts):
            return
        for step in [one for one in self._counts if one not in counts]:
            self._call_off(self._counts.pop(step))

    def _call_off(self, task: asyncio.Task[Result]) -> None:
        del self._steps[task]
        self._withdrawn.append(task)
        if task in self._ended:
            self._ended.remove(task)
        task.cancel()

    async def moment(self) -> Moment:
        """Wait for at least one result, answer or order, and return all of that moment.

        Raises: whatever `ask` or `orders` raised.
        """
        while not self._ended and not self._listener.done() and not any(map(asyncio.Task.done, self._asking.values())):
            await self._turn()
        await self._rest_of_the_moment()
        tasks = sorted(self._ended, key=lambda task: self._order.get(self._steps[task].unit, _OF_THE_RUN))
        self._ended.clear()
        for task in tasks:
            self._watches.pop(self._steps[task], None)
            self._counts.pop(self._steps[task], None)
        results = tuple(_result(self._steps.pop(task), task) for task in tasks)
        settled = sorted(decision for decision, task in self._asking.items() if task.done())
        answers = tuple((decision, self._asking.pop(decision).result()) for decision in settled)
        orders: tuple[OrderTaken, ...] = ()
        if self._listener.done():
            orders = (self._listener.result(),)
            self._listener = self._listen()
        return Moment(results=results, answers=answers, orders=orders)

    async def settled(self) -> None:
        """Wait until no step is under way, watches and pauses aside; what comes in is lost."""
        self.keep_watching(())
        self.keep_counting(())
        while len(self._ended) < len(self._steps):
            await self._turn()

    async def abandon(self) -> None:
        """Cancel whatever is still under way and wait for it, at most ABANDON_S."""
        tasks: list[asyncio.Task[Any]] = [*self._steps, *self._asking.values(), *self._withdrawn, self._listener]
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.add_done_callback(self._wake)
            task.cancel()
        deadline_s = self._loop.time() + ABANDON_S
        timer = self._loop.call_at(deadline_s, self._wake)
        while self._loop.time() < deadline_s and not all(task.done() for task in left):
            await self._turn()
        timer.cancel()
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()  # seen, or the loop complains that nobody looked

    def _listen(self) -> asyncio.Task[OrderTaken]:
        async def listen() -> OrderTaken:
            return await self._ports.orders()

        coroutine: Coroutine[Any, Any, OrderTaken] = listen()
        task = self._loop.create_task(coroutine)
        task.add_done_callback(self._wake)
        return task

    def _note(self, task: asyncio.Task[Result]) -> None:
        if task in self._steps:
            self._ended.append(task)
            self._wake()

    async def _rest_of_the_moment(self) -> None:
        """Let everything that ends at this moment of the loop's clock come in.

        What is one turn then depends on when things end, not on how the loop orders its callbacks.
        """
        passed: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(0, _set, passed)
        try:
            await passed
        finally:
            timer.cancel()

    async def _turn(self) -> None:
        self._woken = self._loop.create_future()
        await self._woken

    def _wake(self, _: object = None) -> None:
        if self._woken and not self._woken.done():
            self._woken.set_result(None)


def _set(future: asyncio.Future[None]) -> None:
    future.set_result(None)


def _result(step: Step, task: asyncio.Task[Result]) -> Result:
    """What came of the step, whatever its task did: a port that breaks its promise ends as unknown."""
    if task.cancelled():
        said = "the step was cancelled from outside"
    elif (error := task.exception()) is not None:
        said = f"a bug in orch: {type(error).__name__}: {error}"
    elif (result := task.result()).step == step:
        return result
    else:
        said = f"a bug in orch: the answer was that of {result.step.id}"
    return Result(
        step=step,
        outcome=Outcome.UNKNOWN,
        acted=Acted.MAYBE,
        said=said,
        problem=Problem(ProblemKind.INTERNAL, said),
    )
