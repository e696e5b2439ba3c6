"""The world's own log of one night, and a fleet that writes into it: what was asked, what arrived, what was told.

Entries are plain JSON values. Each has a number, so that of two entries it is known which came first even where the
clock stood still. The checker reads this log and nothing else.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryHost, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts, MemoryLink
from orchestrator.adapters.memory.probes import MemoryProbe
from orchestrator.domain.errors import HostError, Problem
from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.service import Control, StartType, State
from orchestrator.engine.ports import CommandOutput, Seen

if TYPE_CHECKING:
    from beside import Beside

T = TypeVar("T")
KEPT = "HKEY_LOCAL_MACHINE\\SOFTWARE\\orch\\KeptDown"
Entry = dict[str, Any]


class Log:
    """Everything that happened, in order. `what` is one of fact, call, arrived, state, process, lock, vote, event."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, what: str, **said: Any) -> Entry:
        """Write an entry, numbered and timed."""
        entry = {"n": len(self.entries), "t": asyncio.get_running_loop().time(), "what": what, **said}
        self.entries.append(entry)
        return entry

    def facts(self, run: str, by: int, bodies: Sequence[str]) -> None:
        """Facts that were committed just now, as they stand on disk."""
        for body in bodies:
            self.add("fact", run=run, by=by, fact=json.loads(body))


class Process:
    """One process of orch: it can be killed, and frozen. Every port that it has asks `turn` before it does anything."""

    def __init__(self, number: int, log: Log) -> None:
        self.number = number
        self.dead = False
        self.log = log
        self.on_freeze: asyncio.Future[None] | None = None
        self._thaw: asyncio.Future[None] | None = None

    async def turn(self) -> None:
        """Wait while the process is frozen.

        Raises:
            CancelledError: the process is dead: nothing that it still wants happens.
        """
        while self._thaw is not None:
            await asyncio.shield(self._thaw)
        if self.dead:
            raise asyncio.CancelledError

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._thaw is not None

    def kill(self) -> None:
        """As kill -9 does: from here on it does nothing, and nobody is told."""
        self.dead = True
        self.log.add("process", by=self.number, did="killed")

    def freeze(self, lasts_s: float) -> None:
        """As a closed laptop does."""
        loop = asyncio.get_running_loop()
        self._thaw = loop.create_future()
        if self.on_freeze is not None:
            self.on_freeze.set_result(None)
        self.log.add("process", by=self.number, did="frozen")
        loop.call_later(lasts_s, self._wake)

    def _wake(self) -> None:
        if self._thaw is not None:
            thaw, self._thaw = self._thaw, None
            self.log.add("process", by=self.number, did="woken")
            thaw.set_result(None)


class WatchedFleet(MemoryFleet):
    """A fleet that logs every state that a service reaches and every control that arrives."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self.acting = 0
        self.beside: Beside | None = None

    def enter(self, host: str, service: MemoryService, state: State) -> None:
        """See MemoryFleet."""
        before = service.pid
        entry = self._log.add("state", host=host, service=service.name, state=str(state), pid=None, left=None)
        super().enter(host, service, state)
        entry["pid"] = service.pid
        if before is not None and before != service.pid and before in self.hosts[host].processes:
            entry["left"] = before

    def end(self, host: str, pid: int) -> list[int]:
        """See MemoryFleet."""
        gone = super().end(host, pid)
        self._log.add("gone", host=host, pids=gone)
        return gone

    def reboot(self, host: str, *, down_s: float = 30.0) -> None:
        """See MemoryFleet."""
        super().reboot(host, down_s=down_s)
        self._log.add("down", host=host)

    def crash(self, host: str, service: MemoryService) -> None:
        """The process of *service* is gone from one moment to the next."""
        self._crash(host, service)

    def kept(self, host: MemoryHost) -> tuple[list[str], list[str]]:
        """The services of which the host has on record how they were, and those that are disabled."""
        below = KEPT.lower() + "\\"
        records = [
            path.removeprefix(below) for path, key in host.registry.items() if path.startswith(below) and key.values
        ]
        disabled = [name for name, service in host.services.items() if service.start_type is StartType.DISABLED]
        return sorted(records), sorted(disabled)

    def control(self, host: MemoryHost, service: MemoryService, control: Control) -> Problem | None:
        """See MemoryFleet."""
        entry = self._log.add(
            "arrived", by=self.acting, host=host.name, service=service.name, control=str(control), refused=None
        )
        problem = super().control(host, service, control)
        if problem is not None:
            entry["refused"] = problem.code or -1
        return problem


class WatchedHosts(MemoryHosts):
    """The way of one process to the fleet: sessions of its own, which end with it."""

    def __init__(self, fleet: WatchedFleet, process: Process) -> None:
        super().__init__(fleet)
        self._watched = fleet
        self._process = process

    def services(self, host: str) -> MemoryLink:
        """See MemoryHosts."""
        if host not in self._links:
            self._links[host] = WatchedLink(self._watched, self._watched.hosts[host], self._process)
        return self._links[host]


class WatchedLink(MemoryLink):
    """A link that logs what was asked over it and what came back."""

    def __init__(self, fleet: WatchedFleet, host: MemoryHost, process: Process) -> None:
        super().__init__(fleet, host)
        self._watched = fleet
        self._process = process

    async def request(self, name: str, control: Control) -> None:
        """See MemoryLink. What is on the wire arrives, whatever becomes of who sent it."""
        if not self._host.latency_s:
            return await super().request(name, control)
        await self._process.turn()
        sent = asyncio.ensure_future(super().request(name, control))
        sent.add_done_callback(_heard)
        return await asyncio.shield(sent)

    def _take(self, name: str, control: Control) -> None:
        self._watched.acting = self._process.number
        super()._take(name, control)

    def _output(self, exe: str, args: Sequence[str]) -> CommandOutput:
        by, host, log = self._process.number, self._host, self._process.log
        beside = self._watched.beside
        if exe == "hook.exe" and beside is not None:
            unit, *words = args
            return beside.program(by, [f"{unit}@{host.name}" if unit.startswith("#") else unit, *words])
        if exe == "shutdown.exe" and beside is not None:
            answer, away_s = beside.restart(by, host.name)
            if away_s is not None:
                self._watched.reboot(host.name, down_s=away_s)
            return answer
        if exe == "taskkill.exe":
            pid = int(args[1])
            inside = sorted(one.name for one in host.services.values() if one.pid == pid)
            log.add("kill", by=by, host=host.name, pid=pid, inside=inside)
        before = self._watched.kept(host)
        ran = super()._output(exe, args)
        after = self._watched.kept(host)
        if before != after:
            log.add("kept", by=by, host=host.name, records=after[0], disabled=after[1])
        return ran

    async def _exchange(self, verb: str, act: Callable[[], T], *, of: str = "") -> T:
        await self._process.turn()
        entry = self._process.log.add(
            "call", by=self._process.number, host=self._host.name, verb=verb, of=of, told="nothing", ended=None
        )
        try:
            answer = await super()._exchange(verb, act, of=of)
        except HostError as error:
            entry["told"] = str(error.kind)
            entry["sent"] = error.sent
            raise
        else:
            entry["told"] = "ok"
            if verb == "read":
                entry["states"] = _states(answer)
        finally:
            entry["ended"] = len(self._process.log.entries)
        await self._process.turn()
        return answer


def _heard(sent: "asyncio.Future[None]") -> None:
    if not sent.cancelled():
        sent.exception()  # whoever sent it may be gone


def _states(readings: Any) -> dict[str, str]:
    return {status.name: str(status.state) for reading in readings for status in reading.found}


class WatchedProbe(MemoryProbe):
    """Probes of one process."""

    def __init__(self, fleet: WatchedFleet, process: Process) -> None:
        super().__init__(fleet)
        self._beside = fleet.beside
        self._process = process

    async def tcp(self, host: str, port: int, *, timeout_s: float) -> Seen:
        """See MemoryProbe."""
        await self._process.turn()
        return await super().tcp(host, port, timeout_s=timeout_s)

    async def http(self, check: HttpCheck, *, timeout_s: float) -> Seen:
        """See MemoryProbe."""
        await self._process.turn()
        if self._beside is not None and check.url.startswith("http://beside/"):
            return await self._beside.http(self._process, check)
        return await super().http(check, timeout_s=timeout_s)
