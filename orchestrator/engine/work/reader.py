"""One reader per host: what is asked together is read in one exchange."""

import asyncio

from orchestrator.domain.service import Asked, Reading
from orchestrator.engine.ports import HostServices


class Reader:
    """Reads the services of one host, one exchange at a time, whoever asks.

    An answer always comes from an exchange that began after the question: one that is under way serves those who
    asked before it began, all others share the next one. A failed exchange fails everybody who waited for it, with
    the same HostError. Whoever is cancelled leaves the others' exchange alone.
    """

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._names: dict[str, None] = {}
        self._next: asyncio.Task[dict[str, Reading]] | None = None
        self._last: asyncio.Task[dict[str, Reading]] | None = None

    async def read(self, name: str) -> Reading:
        """The state of the service *name* now, by its literal SCM name. Raises HostError and its kin."""
        if self._next is None:
            self._names = {}
            self._next = asyncio.create_task(self._exchange(self._names, self._last))
            self._next.add_done_callback(_retrieve)
        self._names[name] = None
        return (await asyncio.shield(self._next))[name]

    async def _exchange(
        self, names: dict[str, None], before: asyncio.Task[dict[str, Reading]] | None
    ) -> dict[str, Reading]:
        if before is not None and not before.done():
            await asyncio.wait([before])
        # Steps that are due at the same moment wake one after the other in this turn of the loop; one more turn
        # lets the last of them in.
        await asyncio.sleep(0)
        self._last, self._next = self._next, None
        readings = await self._services.read([Asked(name) for name in names])
        return dict(zip(names, readings, strict=True))


def _retrieve(task: asyncio.Task[dict[str, Reading]]) -> None:
    if not task.cancelled():
        task.exception()  # those who wait are told; nobody may be left
