"""A service of a virtual host as its service control manager knows it, and the clock that its timers come from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from orchestrator.lab.fleet import Recovery, ServiceSpec
from orchestrator.lab.processes import Process


class State(IntEnum):
    """Windows' numbers for the seven service states."""

    Stopped = 1
    StartPending = 2
    StopPending = 3
    Running = 4
    ContinuePending = 5
    PausePending = 6
    Paused = 7


class Timer(Protocol):
    """A callback that is yet to come."""

    def cancel(self) -> None:
        """It will not come."""


class Clock(Protocol):
    """Calls back later; asyncio's event loop is one."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call *callback* after *delay* seconds."""


@dataclass(slots=True)
class Service:
    """A service and all that `sc.exe queryex` would tell of it. `wait_hint_ms` is milliseconds, as Windows has it."""

    spec: ServiceSpec
    state: State
    start_type: str
    recovery: Recovery = Recovery()
    triggers: tuple[str, ...] = ()
    process: Process | None = None
    children: list[Process] = field(default_factory=list)
    left: list[Process] = field(default_factory=list)
    """Processes of an earlier life that run on: it is Stopped, or lives in another one."""
    failures: int = 0
    """How often it died, as recovery actions count it."""
    revivals: list[Timer] = field(default_factory=list)
    win32_exit_code: int = 0
    service_exit_code: int = 0
    checkpoint: int = 0
    wait_hint_ms: int = 0
    faults: dict[str, Any] = field(default_factory=dict)
    timers: list[Timer] = field(default_factory=list)
    watchers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The SCM name, in the case in which it was registered."""
        return self.spec.name

    @property
    def pid(self) -> int:
        """The PID of its process; 0 if it has none."""
        return self.process.pid if self.process is not None else 0

    @property
    def can_stop(self) -> bool:
        """Whether it takes a stop control now."""
        return self.spec.can_stop and self.state in (State.Running, State.Paused)

    @property
    def can_pause(self) -> bool:
        """Whether it takes pause and continue controls now."""
        return self.spec.can_pause and self.state in (State.Running, State.Paused)
