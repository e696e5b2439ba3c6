"""The processes of one virtual host: which there are, who began them, and when."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

_IDLE, _SYSTEM, _STEP = 0, 4, 4
_FIRST = 1200


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `started_at` is by the host's own clock, seconds since 1970."""

    pid: int
    name: str
    parent: int
    started_at: float
    vital: bool = False
    """Windows itself: nobody may end it."""


class Processes:
    """All processes of a host. *now* is its clock; `watchers` are called with each process that is gone, and why."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._next = _FIRST
        self._all: dict[int, Process] = {}
        self.watchers: list[Callable[[Process, str], None]] = []
        self.services = self._windows(now())

    def __iter__(self) -> Iterator[Process]:
        """All that run, by PID."""
        return iter(sorted(self._all.values(), key=lambda process: process.pid))

    def __contains__(self, process: object) -> bool:
        return isinstance(process, Process) and self._all.get(process.pid) is process

    def find(self, pid: int) -> Process | None:
        """The process with that PID."""
        return self._all.get(pid)

    def begin(self, name: str, parent: Process | None = None) -> Process:
        """A new process; services.exe begins it, if nobody else does."""
        self._next += _STEP
        whose = self.services if parent is None else parent
        return self._add(Process(self._next, name, whose.pid, self._now()))

    def end(self, process: Process, why: str) -> None:
        """*process* is gone; its children stay."""
        if process in self:
            del self._all[process.pid]
            for watcher in self.watchers:
                watcher(process, why)

    def below(self, process: Process) -> list[Process]:
        """What *process* began, and what those began, the youngest first."""
        own = [each for each in self if each.parent == process.pid and each.started_at >= process.started_at]
        return [found for child in reversed(own) for found in (*self.below(child), child)]

    def restart(self) -> None:
        """All are gone, as at a reboot, without a word; Windows' own begin anew, and PIDs go on where they were."""
        self._all.clear()
        self.services = self._windows(self._now())

    def _add(self, process: Process) -> Process:
        self._all[process.pid] = process
        return process

    def _windows(self, now: float) -> Process:
        self._add(Process(_IDLE, "System Idle Process", _IDLE, now, vital=True))
        self._add(Process(_SYSTEM, "System", _IDLE, now, vital=True))
        self._next += _STEP
        return self._add(Process(self._next, "services.exe", _SYSTEM, now, vital=True))
