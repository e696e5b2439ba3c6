"""Books in memory, and people who answer by script, for tests of the use cases."""

import asyncio
from collections.abc import Mapping
from typing import Any

from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.policy import Notice
from orchestrator.engine.jobs.world import Books

BEGAN_AT = 1_795_000_000.0


def books(store: MemoryJournal) -> Books:
    """One store for all, with a clock that is the loop's: the one by which the twin stamps facts."""
    now_s = asyncio.get_running_loop().time
    return Books(journal=store, locks=store, decisions=store, snapshots=store, clock=lambda: BEGAN_AT + now_s())


class Told:
    """Implements `engine.ports.Notifier`: keeps what it was to send, with the loop's time. *wrong* is its answer."""

    def __init__(self, *, wrong: str = "", takes_s: float = 0.0) -> None:
        self.events: list[tuple[float, Mapping[str, Any]]] = []
        self._wrong = wrong
        self._takes_s = takes_s

    async def send(self, notice: Notice, event: Mapping[str, Any]) -> str:
        """See `Notifier.send`."""
        self.events.append((asyncio.get_running_loop().time(), event))
        await asyncio.sleep(self._takes_s)
        return self._wrong
