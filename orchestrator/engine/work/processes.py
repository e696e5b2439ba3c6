"""Whether the process that a service had is gone: `Stopped` in the SCM's words alone is not.

A PID is told from the one before by its start, where the host tells it, and means nothing after another boot. A
process that other services run in (svchost) does not go with one of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from orchestrator.domain.errors import TRANSIENT, AuthRejected, HostError, Problem, Unreachable
from orchestrator.domain.processes import Process, same
from orchestrator.domain.service import State
from orchestrator.engine.work.looks import FINISH_S, Had, Host
from orchestrator.engine.work.pace import TICK_S

SVCHOST = "svchost.exe"


class Fate(Enum):
    """What became of a process. UNTOLD: the host says no to the question; SILENT: it does not answer."""

    GONE = "gone"
    REBOOTED = "its host has restarted since"
    SHARED = "shared"
    LEFT = "left"
    UNTOLD = "untold"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Found:
    """A fate, and what it is known by. `sharing` are the services that run in it still."""

    fate: Fate
    process: Process | None = None
    problem: Problem | None = None
    sharing: tuple[str, ...] = ()


class Exit:
    """Waits for one process to be gone, and counts the exchanges."""

    def __init__(self, host: Host, had: Had, scm_name: str, note: Callable[[str], None]) -> None:
        self.exchanges = 0
        self._host = host
        self._had = had
        self._scm_name = scm_name
        self._note = note
        self._started_at = had.started_at
        self._looks = self._failures = 0

    async def until(self, ends_s: float) -> Found:
        """Look until it is gone, or the clock says *ends_s*: at least once; a look that began may end `FINISH_S` later.
        Never raises but for cancellation."""
        loop = asyncio.get_running_loop()
        while True:
            if self._host.restarted(self._had):
                return Found(Fate.REBOOTED)
            late = loop.time() + TICK_S >= ends_s
            try:
                found = await self._found(ends_s, late=late)
            except TRANSIENT as error:
                if late:
                    return Found(Fate.SILENT, problem=error.problem)
                self._failures += 1
                self._note(
                    f"no answer from {self._host.name} about process {self._had.pid}: {error.text}; trying again"
                )
                await asyncio.sleep(min(self._host.pace.pause_s(self._failures), ends_s - loop.time()))
                continue
            except HostError as error:
                silent = isinstance(error, AuthRejected)
                return Found(Fate.SILENT if silent else Fate.UNTOLD, problem=error.problem)
            if found.fate is not Fate.LEFT or late:
                return found
            due_s = self._host.pace.next_look_s(loop.time(), self._looks)
            await asyncio.sleep(min(due_s, ends_s) - loop.time())

    async def _found(self, ends_s: float, *, late: bool) -> Found:
        """What one look tells. Who shares the process is asked once: when it is not gone at the second look."""
        process = await self._look(ends_s)
        if process is None:
            return Found(Fate.GONE)
        self._looks += 1
        if self._looks == 1:
            self._note(f"Stopped; its process {self._had.pid} still runs")
        svchost = process.name.lower() == SVCHOST
        if self._looks == 2 or svchost or (late and self._looks == 1):
            sharing = await self._sharing()
            if sharing or (sharing is None and svchost):
                return Found(Fate.SHARED, process, sharing=tuple(sharing or ()))
        return Found(Fate.LEFT, process)

    async def _look(self, ends_s: float) -> Process | None:
        """The process, if it is there and the one."""
        self.exchanges += 1
        limit_s = max(ends_s, asyncio.get_running_loop().time()) + FINISH_S
        try:
            async with asyncio.timeout_at(limit_s):
                process = await self._host.reader.process(self._had.pid)
        except TimeoutError:
            raise Unreachable(self._host.name, "silent: it took a question and never answered") from None
        if process is None or not same(self._started_at, process.started_at):
            return None
        self._started_at = self._started_at or process.started_at
        return process

    async def _sharing(self) -> Sequence[str] | None:
        self.exchanges += 1
        try:
            async with asyncio.timeout(FINISH_S):
                found = await sharing(self._host, self._had.pid, self._scm_name)
        except (HostError, TimeoutError):
            return None
        return None if found is None or (found.untold and not found.names) else found.names


@dataclass(frozen=True, slots=True)
class Sharing:
    """Other services that run in a process; `untold` run too, and nobody says in which."""

    names: tuple[str, ...]
    untold: tuple[str, ...]


async def sharing(host: Host, pid: int, scm_name: str) -> Sharing | None:
    """The other services of the host that run in the process *pid* now; None if the host can't tell. One exchange."""
    reading = await host.reader.everything()
    if reading.problem is not None:
        return None
    others = [one for one in reading.found if one.name.lower() != scm_name.lower() and one.state is not State.STOPPED]
    return Sharing(
        names=tuple(one.name for one in others if one.pid == pid),
        untold=tuple(one.name for one in others if one.pid is None),
    )


async def identify(host: Host, scm_name: str) -> None:
    """Learn which process it is that a service runs in now, before it goes: best effort, one exchange."""
    had = host.had.get(scm_name.lower())
    if had is None or had.name or had.started_at is not None:
        return
    try:
        async with asyncio.timeout(FINISH_S):
            process = await host.reader.process(had.pid)
    except (HostError, TimeoutError):
        return
    if process is not None:
        host.had[scm_name.lower()] = Had(had.pid, had.booted_at, process.started_at, process.name)
