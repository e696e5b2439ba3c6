"""One reader per host: what is asked together is answered by one exchange, whoever asks."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Reading
from orchestrator.engine.ports import HostServices

Q = TypeVar("Q")
A = TypeVar("A")
ALL = Asked("*", pattern=True)


class Shared(Generic[Q, A]):
    """Questions to one host, one exchange at a time.

    An answer always comes from an exchange that began after the question: one that is under way serves those who
    asked before it began, all others share the next one. A failed exchange fails everybody who waited for it, with
    the same HostError. Whoever is cancelled leaves the others' exchange alone.
    """

    def __init__(self, exchange: Callable[[Sequence[Q]], Coroutine[Any, Any, dict[Q, A]]]) -> None:
        self._answers = exchange
        self._questions: dict[Q, None] = {}
        self._next: asyncio.Task[dict[Q, A]] | None = None
        self._last: asyncio.Task[dict[Q, A]] | None = None

    async def ask(self, question: Q) -> A:
        """The answer to *question* now. Raises HostError and its kin."""
        if self._next is None:
            self._questions = {}
            self._next = asyncio.create_task(self._exchange(self._questions, self._last))
            self._next.add_done_callback(_retrieve)
        self._questions[question] = None
        return (await asyncio.shield(self._next))[question]

    async def _exchange(self, questions: dict[Q, None], before: asyncio.Task[dict[Q, A]] | None) -> dict[Q, A]:
        if before is not None and not before.done():
            await asyncio.wait([before])
        # Steps that are due at the same moment wake one after the other in this turn of the loop; one more turn
        # lets the last of them in.
        await asyncio.sleep(0)
        self._last, self._next = self._next, None
        return await self._answers(list(questions))


class Reader:
    """Reads services and processes of one host: each in exchanges that all who are due share."""

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._states: Shared[Asked, Reading] = Shared(self._read)
        self._processes: Shared[int, Process | None] = Shared(self._running)

    async def read(self, name: str) -> Reading:
        """The state of the service *name* now, by its literal SCM name. Raises HostError and its kin."""
        return await self._states.ask(Asked(name))

    async def everything(self) -> Reading:
        """The states of all services of the host now. Raises HostError and its kin."""
        return await self._states.ask(ALL)

    async def process(self, pid: int) -> Process | None:
        """The process with that PID; None if there is none now. Raises HostError and its kin."""
        return await self._processes.ask(pid)

    async def _read(self, asked: Sequence[Asked]) -> dict[Asked, Reading]:
        return dict(zip(asked, await self._services.read(asked), strict=True))

    async def _running(self, pids: Sequence[int]) -> dict[int, Process | None]:
        running = {one.pid: one for one in await self._services.processes(pids)}
        return {pid: running.get(pid) for pid in pids}


def _retrieve(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()  # those who wait are told; nobody may be left
