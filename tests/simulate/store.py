"""The state folder of a night: the twin in memory, with blows that fall on writes, and a door for each process."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from misfortunes import Blow
from seeds import BEGAN_AT, Script
from witness import Log, Process

from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import Fact, Stamped
from orchestrator.engine.book_ports import Lease, Owner
from orchestrator.engine.jobs.world import Books

RUN = "r1"
WRITES = ("take", "take_over", "renew", "park", "release", "vote", "settle_by_timeout", "order")
SAID = ("take", "take_over", "park", "release", "vote", "settle_by_timeout")
"""What goes into the log, and what came of it."""


class DiskFull(OrchError):
    """What the store says for a while."""


class NightStore(MemoryJournal):
    """What all processes share. Blows fall on the appends of the night's own run.

    *hear* is told every fact that was committed: people read what is asked.
    """

    def __init__(self, script: Script, log: Log, hear: Callable[[str, Fact], None]) -> None:
        super().__init__(began_at=BEGAN_AT - (script.window_s or 0.0), exists=self._there)
        self.log = log
        self.processes: list[Process] = []
        self._hear = hear
        self._blows = {blow.at: blow for blow in script.blows}
        self._writes = 0
        self._commit_s = script.commit_s
        self._full_until_s = -1.0

    def _there(self, owner: Owner) -> bool | None:
        """Whether an owner's process is there; from another machine it can't be told."""
        if owner.controller != "desk":
            return None
        return not self.processes[owner.pid - 1].dead

    def clock(self) -> float:
        """The time that facts are stamped with."""
        return self._now()

    def need_disk(self) -> None:
        """Raise if it is full now."""
        if self._full_until_s >= asyncio.get_running_loop().time():
            raise DiskFull("the disk is full")

    async def write(self, process: Process, run: str, facts: Sequence[Fact], lease: Lease | None) -> Sequence[Stamped]:
        """`append` as *process* calls it."""
        await process.turn()
        blow = self._blow(run)
        if blow is not None and blow.kind == "disk full":
            self._full_until_s = asyncio.get_running_loop().time() + blow.lasts_s
            self.log.add("event", kind="disk full")
        self.need_disk()
        await _strike(blow, "before", process)
        if self._commit_s:
            await asyncio.sleep(self._commit_s)
            await process.turn()
        stamped = await super().append(run, facts, lease=lease)
        if stamped:
            self.log.facts(run, process.number, self._runs[run].bodies[-len(stamped) :])
        for fact in facts:
            self._hear(run, fact)
        await _strike(blow, "after", process)
        return stamped

    def _blow(self, run: str) -> Blow | None:
        if run != RUN:
            return None
        self._writes += 1
        return self._blows.pop(self._writes, None)

    async def changed(self, run: str) -> None:
        """See MemoryJournal; there is no need to look every second: whoever writes wakes."""
        event = asyncio.Event()
        looking = self._looking.setdefault(run, [])
        looking.append(event)
        try:
            await event.wait()
        finally:
            looking.remove(event)


async def _strike(blow: Blow | None, when: str, process: Process) -> None:
    if blow is None or not blow.kind.endswith(when):
        return
    if blow.kind.startswith("kill"):
        process.kill()
    else:
        process.freeze(blow.lasts_s)
    await process.turn()


class Door:
    """The store as one process has it: nothing goes in or out while it is frozen, or ever when it is dead."""

    def __init__(self, store: NightStore, process: Process) -> None:
        self._store = store
        self._process = process

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        """See Journal."""
        return await self._store.write(self._process, run, facts, lease)

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self._store, name)
        store, process = self._store, self._process

        async def asked(*args: Any, **options: Any) -> Any:
            await process.turn()
            run = getattr(args[0], "run", args[0]) if args else ""
            if name in WRITES:
                store.need_disk()
            try:
                answer = await ask(*args, **options)
            except OrchError as error:
                if name in SAID:
                    no = type(error).__name__
                    store.log.add("store", by=process.number, did=name, run=run, no=no, said=str(error))
                raise
            if name in SAID:
                store.log.add("store", by=process.number, did=name, run=run, no="", **_told(name, args, answer))
            await process.turn()
            return answer

        return asked

    def books(self) -> Books:
        """All ports of the store, by this door."""
        door = cast(Any, self)
        return Books(journal=door, locks=door, decisions=door, snapshots=door, clock=self._store.clock)


def _told(name: str, args: tuple[Any, ...], answer: Any) -> dict[str, Any]:
    if name == "vote":
        vote = args[2]
        return {
            "decision": args[1],
            "voter": vote.by,
            "choice": str(vote.choice),
            "settled": answer.choice and str(answer.choice),
        }
    if name == "settle_by_timeout":
        return {"decision": args[1], "settled": str(answer.choice), "source": str(answer.source)}
    return {}
