"""The steps under way, and what has come in of them: the one place where completion becomes order."""

import asyncio

from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.plan import Plan
from orchestrator.domain.results import Acted, Outcome, Result, Step
from orchestrator.engine.ports import ConductorPorts, Order

ABANDON_S = 5.0
"""How long cancelled steps may take to end."""


class UnderWay:
    """The tasks of issued steps, and one that listens for an order.

    Tasks report by callback into a list, and `ended` hands the list over sorted by plan index, so that the order in
    which the loop got to them doesn't matter. True as long as a step is under way.
    """

    def __init__(self, plan: Plan, ports: ConductorPorts) -> None:
        self._loop = asyncio.get_running_loop()
        self._run = ports.run
        self._order: dict[str, int] = {}
        for stage in plan.stages:
            for node in stage.nodes:
                self._order.setdefault(node.unit.id, len(self._order))
        self._tasks: dict[asyncio.Task[Result], Step] = {}
        self._ended: list[asyncio.Task[Result]] = []
        self._on_end = self._note  # bound once: there are many tasks
        self._woken: asyncio.Future[None] | None = None
        self._listener: asyncio.Task[Order] | None = self._loop.create_task(_listen(ports))
        self._listener.add_done_callback(self._wake)

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def issue(self, step: Step) -> None:
        """Let *step* be carried out."""
        task = self._loop.create_task(self._run(step))
        self._tasks[task] = step
        task.add_done_callback(self._on_end)

    async def ended(self) -> tuple[list[Result], list[Order]]:
        """Wait for at least one result or order; all of that moment, results in plan order."""
        while not self._ended and not (self._listener and self._listener.done()):
            await self._turn()
        await self._rest_of_the_moment()
        tasks = sorted(self._ended, key=lambda task: self._order[self._tasks[task].unit])
        self._ended.clear()
        results = [_result(self._tasks.pop(task), task) for task in tasks]
        orders: list[Order] = []
        if self._listener and self._listener.done():
            orders.append(self._listener.result())
            self._listener = None  # after a cancel there is nothing else to order
        return results, orders

    async def abandon(self) -> None:
        """Cancel whatever is still under way and wait for it, at most ABANDON_S."""
        tasks: list[asyncio.Task[Result] | asyncio.Task[Order]] = [*self._tasks]
        if self._listener:
            tasks.append(self._listener)
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

    def _note(self, task: asyncio.Task[Result]) -> None:
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


async def _listen(ports: ConductorPorts) -> Order:
    return await ports.orders()


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
