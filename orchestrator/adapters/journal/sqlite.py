"""The state folder's ports on one SQLite file, so that a fact, the lease it needs and the answer it follows are one
transaction. What each call does stands in the file of its question; here it is handed to the store."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import Connection

from orchestrator.adapters.journal import chained, decisions, leases, snapshots
from orchestrator.adapters.journal.processes import exists
from orchestrator.adapters.journal.store import NOTHING_TOUCHED, Store, Unwritten
from orchestrator.domain.chain import Verified, no_such_run, typed_head
from orchestrator.domain.decisions import Answer, Choice
from orchestrator.domain.fact_codec import encode
from orchestrator.domain.facts import Fact, RunBegan, Stamped
from orchestrator.domain.policy import Approval
from orchestrator.domain.run_names import check_tag, pick
from orchestrator.engine.book_ports import Holding, Lease, OpenDecision, Owner, RunSummary, Snapshot, Tally, Vote
from orchestrator.engine.ports import Order

FILE_NAME = "journal.db"
LOCK_WAIT_S = 30.0
"""How long to wait for another process's commit. Commits take milliseconds; this long means that one hangs."""
LOOK_S = 1.0
"""How long `changed` waits when nobody writes."""
LOOK_EVERY_S = 0.2


class SqliteJournal:
    """Implements `engine.ports`' Journal, Locks, Decisions and Snapshots in *folder*.

    Nothing is opened or made before the first write (or `prepare`); reading where no journal is finds nothing. A write
    that is cancelled may or may not be on disk. *lock_wait_s* is how long to wait for the commit of another process,
    which may read and write meanwhile. *process* says whether an owner's process is there; None: it can't be told.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        lock_wait_s: float = LOCK_WAIT_S,
        process: leases.Exists = exists,
    ) -> None:
        self._store = Store(folder / FILE_NAME, wall=wall, lock_wait_s=lock_wait_s)
        self._monotonic = monotonic
        self._began: dict[str, float] = {}
        self._exists = process

    async def prepare(self) -> None:
        """Make folder and database if they are missing, and make sure that facts can be written.

        Raises:
            OrchError: they can't; said before a run has touched anything.
        """
        await self._store.write(lambda connection, now: None, NOTHING_TOUCHED)

    # --- Journal

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        """See `Journal.append`. ValueError for a fact with a number that is not finite: nothing is written."""
        bodies = tuple(map(encode, facts))
        if not facts and lease is None:
            return ()

        def work(connection: Connection, now: float) -> Sequence[Stamped]:
            if lease is not None:
                leases.check(connection, lease)
            now_s = self._monotonic()
            elapsed_s = now_s - self._began.setdefault(run, now_s)
            return chained.append(connection, run, facts, bodies, at=now, elapsed_s=elapsed_s)

        return await self._store.write(work, _unwritten(run, facts))

    async def read(self, run: str) -> Sequence[Stamped]:
        """See `Journal.read`. Raises OrchError when the file can't be read."""
        return await self._store.read(lambda connection: chained.read(connection, run), ())

    async def verify(self, run: str | None = None, *, head: str = "") -> Sequence[Verified]:
        """See `Journal.verify`. Raises OrchError when the file can't be read."""
        wanted = typed_head(head)
        found = await self._store.read(lambda connection: chained.verify_all(connection, run, wanted), None)
        if found is None:
            if run is not None:
                raise no_such_run(run)
            return ()
        return found

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        """See `Journal.runs`. Raises OrchError when the file can't be read."""
        return await self._store.read(
            lambda connection: chained.runs(connection, limit, now=self._store.now(), exists=self._exists), ()
        )

    async def resolve(self, name: str) -> str:
        """See `Journal.resolve`. Raises OrchError when the file can't be read."""
        return pick(name, await self._store.read(chained.run_ids, ()))

    async def aclose(self) -> None:
        """See `Journal.aclose`. Safe to call twice; a later write opens the journal again."""
        await self._store.aclose()

    # --- Locks

    async def take(self, run: str, units: Sequence[str], owner: Owner) -> Lease:
        """See `Locks.take`."""
        return await self._store.write(
            lambda connection, now: leases.take(connection, run, units, owner, now=now, exists=self._exists),
            NOTHING_TOUCHED,
        )

    async def take_over(self, run: str, owner: Owner) -> Lease:
        """See `Locks.take_over`."""
        return await self._store.write(
            lambda connection, now: leases.take_over(connection, run, owner, now=now, exists=self._exists)
        )

    async def renew(self, lease: Lease) -> None:
        """See `Locks.renew`. Does nothing under a lease that was given back by its own process."""
        await self._store.write(lambda connection, now: leases.renew(connection, lease, now))

    async def park(self, lease: Lease) -> None:
        """See `Locks.park`. Does nothing under a lease that was given back by its own process."""
        await self._store.write(lambda connection, now: leases.park(connection, lease))

    async def release(self, lease: Lease) -> None:
        """See `Locks.release`."""
        await self._store.write(lambda connection, now: leases.release(connection, lease))

    async def holdings(self) -> Sequence[Holding]:
        """See `Locks.holdings`."""
        return await self._store.read(
            lambda connection: leases.holdings(connection, now=self._store.now(), exists=self._exists), ()
        )

    # --- Decisions

    async def open(self) -> Sequence[OpenDecision]:
        """See `Decisions.open`."""
        return await self._store.read(decisions.open_decisions, ())

    async def vote(self, run: str, decision: int, vote: Vote, approval: Approval, requester: str) -> Tally:
        """See `Decisions.vote`."""
        return await self._store.write(
            lambda connection, now: decisions.vote(connection, run, decision, vote, approval, requester, now=now)
        )

    async def settled(self, run: str, decision: int) -> Answer | None:
        """See `Decisions.settled`."""
        return await self._store.read(lambda connection: decisions.settled(connection, run, decision), None)

    async def settle_by_timeout(self, run: str, decision: int, choice: Choice) -> Answer:
        """See `Decisions.settle_by_timeout`."""
        return await self._store.write(
            lambda connection, now: decisions.settle_by_timeout(connection, run, decision, choice, now=now)
        )

    async def order(self, run: str, order: Order, by: str) -> None:
        """See `Decisions.order`."""
        await self._store.write(lambda connection, now: decisions.order(connection, run, order, by, now=now))

    async def orders(self, run: str) -> Sequence[tuple[Order, str]]:
        """See `Decisions.orders`."""
        return await self._store.read(lambda connection: decisions.orders(connection, run), ())

    async def changed(self, run: str) -> None:
        """See `Decisions.changed`. Any commit counts, of whatever run."""
        now_s = asyncio.get_running_loop().time
        until_s, before = now_s() + LOOK_S, await self._store.version()
        while now_s() < until_s:
            await asyncio.sleep(LOOK_EVERY_S)
            if await self._store.version() != before:
                return

    # --- Snapshots

    async def save(self, snapshot: Snapshot) -> None:
        """See `Snapshots.save`."""
        check_tag(snapshot.tag)
        await self._store.write(lambda connection, now: snapshots.save(connection, snapshot))

    async def load(self, tag: str) -> Snapshot | None:
        """See `Snapshots.load`."""
        check_tag(tag)
        return await self._store.read(lambda connection: snapshots.load(connection, tag), None)

    async def all(self) -> Sequence[Snapshot]:
        """See `Snapshots.all`."""
        return await self._store.read(snapshots.all_of_them, ())


def _unwritten(run: str, facts: Sequence[Fact]) -> Unwritten:
    """What it means for *run* that these facts are not on disk, and what to do."""
    if any(isinstance(fact, RunBegan) for fact in facts):
        return NOTHING_TOUCHED
    return Unwritten(
        f"of run {run} everything acknowledged before this is on disk, what came after is not: nothing new is issued, "
        "and steps that were under way may have ended since, only their hosts know",
        f"`orch resume {run}` goes on with it; `orch show {run}` tells what is on record",
    )
