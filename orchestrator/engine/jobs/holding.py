"""A run that this process holds: facts go on record under its lease, and a heartbeat says that it lives."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import Fact, Stamped
from orchestrator.engine.book_ports import LEASE_S, Lease
from orchestrator.engine.jobs.beside import beside
from orchestrator.engine.jobs.world import Books

BEAT_S = LEASE_S / 6
"""Between two heartbeats: several may fail to come before anybody takes the run over."""
DOUBT_S = LEASE_S / 2
"""After so long without a renewal one is made before anything is sent to a host. Nobody can have taken the run over
before that."""


class Held:
    """A held run. The first thing that goes wrong with its lease or its record is its end here: nothing is appended
    after it, and whoever asks gets the same error.

    *lost* is called once, when that happens: somebody has to wake the conductor, which may wait for an answer.
    """

    def __init__(self, lease: Lease, books: Books, lost: Callable[[], None]) -> None:
        self.lease = lease
        self.head = ""
        self.failed: OrchError | None = None
        self._books = books
        self._lost = lost
        self._renewed_at = books.clock()

    async def append(self, facts: Sequence[Fact]) -> Sequence[Stamped]:
        """Put *facts* on record. Raises OrchError: they are not, and nothing will be any more."""
        if self.failed is not None:
            raise self.failed
        try:
            written = await self._books.journal.append(self.lease.run, facts, lease=self.lease)
        except OrchError as error:
            self.fail(error)
            raise
        if written:
            self.head = written[-1].head
        return written

    async def sure(self) -> None:
        """Return once this process may act for the run: its lease was its own a moment ago.

        A machine that slept, or a process that was stopped, wakes up here first. Raises OrchError if it may not.
        """
        if self.failed is None and abs(self._books.clock() - self._renewed_at) > DOUBT_S:
            await self._renew()
        if self.failed is not None:
            raise self.failed

    def beating(self) -> AbstractAsyncContextManager[None]:
        """Renew the lease for as long as the block lasts."""
        return beside(self._beat(), fail=self.fail)

    def fail(self, error: OrchError) -> None:
        """The lease or the record is lost: the first *error* counts."""
        if self.failed is None:
            self.failed = error
            self._lost()

    async def _beat(self) -> None:
        while self.failed is None:
            await asyncio.sleep(BEAT_S)
            await self._renew()

    async def _renew(self) -> None:
        asked_at = self._books.clock()
        try:
            await self._books.locks.renew(self.lease)
        except OrchError as error:
            self.fail(error)
        else:
            self._renewed_at = asked_at
