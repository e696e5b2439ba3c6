"""One unit's state, read fresh, tried again while a deadline allows."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.domain.errors import TRANSIENT, ProblemKind, ProtocolError, Refused, Unreachable
from orchestrator.domain.processes import has_restarted
from orchestrator.domain.service import Reading, ServiceStatus
from orchestrator.engine.ports import HostCommand, HostServices
from orchestrator.engine.work.pace import TICK_S, Pace
from orchestrator.engine.work.reader import Reader

FINISH_S = 10.0
"""How long past a deadline an exchange that began before it may still take."""
SILENT = (ProblemKind.UNREACHABLE, ProblemKind.QUOTA, ProblemKind.PROTOCOL, ProblemKind.TIMEOUT)
"""Of an answer that is none: it may come yet."""


@dataclass(frozen=True, slots=True)
class Had:
    """A process that a service has or had: a PID means nothing after another boot. `started_at` None: not known.
    `name` and `started_at` were told of it while it was the service's: what has its PID later may be another."""

    pid: int
    booted_at: float | None = None
    started_at: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """All that the steps of one host share. `had` is the process that each service was last seen with, by its SCM name
    in lower case, until it is seen to be gone; `shown_as` its display name."""

    name: str
    services: HostServices
    command: HostCommand
    reader: Reader
    pace: Pace
    had: dict[str, Had] = field(default_factory=dict)
    shown_as: dict[str, str] = field(default_factory=dict)

    def seen(self, status: ServiceStatus) -> None:
        """Keep in mind what a read has just told of a service: its process, its display name."""
        key, before = status.name.lower(), self.had.get(status.name.lower())
        if status.pid is not None and (before is None or before.pid != status.pid or self.restarted(before)):
            self.had[key] = Had(status.pid, self.services.booted_at())
        if status.display_name:
            self.shown_as[key] = status.display_name

    def restarted(self, had: Had) -> bool:
        """Whether the host has started again since it was read with *had*, as far as it tells."""
        return bool(has_restarted(had.booted_at, self.services.booted_at()))


class Looks:
    """Reads one service for one step, and counts the exchanges that this took part in."""

    def __init__(self, host: Host, scm_name: str, note: Callable[[str], None]) -> None:
        self.exchanges = 0
        self._host = host
        self._scm_name = scm_name
        self._note = note

    async def status(self, ends_s: float) -> ServiceStatus:
        """The state now. Transient errors are tried again, with growing pauses, until the clock says *ends_s*.

        Raises:
            HostError: the last one, when time is up (a read that began before may end up to `FINISH_S` later), or
                one that trying again can't help.
        """
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            try:
                return await self._once(ends_s)
            except TRANSIENT as error:
                if loop.time() + TICK_S >= ends_s:
                    raise
                self._note(f"no state from {self._host.name}: {error.text}; trying again")
            attempt += 1
            await asyncio.sleep(min(self._host.pace.pause_s(attempt), ends_s - loop.time()))

    async def _once(self, ends_s: float) -> ServiceStatus:
        self.exchanges += 1
        limit_s = max(ends_s, asyncio.get_running_loop().time()) + FINISH_S
        try:
            async with asyncio.timeout_at(limit_s):
                reading = await self._host.reader.read(self._scm_name)
        except TimeoutError:
            raise Unreachable(self._host.name, "silent: it took a question and never answered") from None
        return self._only(reading)

    def _only(self, reading: Reading) -> ServiceStatus:
        problem = reading.problem
        if problem is None:
            if reading.found:
                self._host.seen(reading.found[0])
                return reading.found[0]
            raise ProtocolError(self._host.name, f"the answer says nothing of {self._scm_name}")
        if problem.kind in SILENT:
            raise ProtocolError(self._host.name, problem.text)
        raise Refused(self._host.name, problem)
