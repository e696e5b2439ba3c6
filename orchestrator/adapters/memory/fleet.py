"""The world of the in-memory twins: hosts, services and what goes wrong with them, as plain data.

The clock is the running event loop's, so that tests which own the loop own the time. A `MemoryFleet` keeps a log of
what it was asked. Faults are data: a service refuses, fails to start, hangs or crashes, its process outlives it, its
recovery actions revive it; a host is unreachable, silent, cut off, out of quota, talks garbage, rejects the credentials
or reboots.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.adapters.memory.objects import MemoryObject
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.service import Control, StartType, State
from orchestrator.engine.ports import CommandOutput, HostFacts

BOOTED_AT = 1_767_225_600.0
"""When hosts have started unless they say otherwise: a day before the loop's clock stood at 0."""
UP_S = 86_400.0
DELAYED_S = 120.0
"""How long after a boot Automatic (delayed) services are started."""
SERVICES_EXE = 600
"""The PID of the service control manager on every host: the parent of services' processes."""
ANYONE_MAY_CONTROL = "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPort:
    """A TCP port that a running service opens *warmup_s* after it runs; an HTTP answer on it if `status` is set.

    Its owner is the service's process, or with `by_child` a child of that.
    """

    port: int
    warmup_s: float = 0.0
    status: int = 0
    path: str = "/"
    body: str = ""
    by_child: bool = False


@dataclass(slots=True, kw_only=True)
class MemoryProcess:
    """A process of a host. `started_at` is UTC, seconds since 1970; `ports` are what it holds open by itself."""

    pid: int
    name: str
    parent: int
    started_at: float
    ports: tuple[MemoryPort, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEvent:
    """A record of a host's event log. `level`: 2 is an error, 3 a warning, 4 information; `user` the SID of whoever."""

    log: str
    provider: str
    id: int
    at: float
    data: tuple[str, ...] = ()
    message: str = ""
    level: int = 2
    user: str = ""


@dataclass(slots=True)
class MemoryKey:
    """A key of a registry: how its path is spelled, and its values (name, type, data) by name in lower case."""

    path: str
    values: dict[str, tuple[str, str, str]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class MemoryService:
    """One service and how it behaves. Durations are seconds of the running loop.

    `refuses` answers a control with a problem at once. `hangs` never gets out of the pending state of these controls.
    `fails_to_start` is the exit code with which every start falls back to Stopped after `start_s`. `crashes_after_s`
    ends it that long after it ran. `checkpoint_s` is the time between two checkpoints of a pending service, which end
    at `checkpoints_end_s`.
    `requires` names services of the same host: running ones keep those they require from being stopped (1051).
    `lingers_s`: that long its process outlives its stop (math.inf: for ever), with the ports that it had. Services with
    the same `shares` run in one process. `revives_s`: a recovery action starts it that long after a crash or a kill.
    """

    name: str
    state: State = State.STOPPED
    start_type: StartType = StartType.AUTOMATIC
    display_name: str = ""
    start_s: float = 0.0
    stop_s: float = 0.0
    checkpoint_s: float = 1.0
    wait_hint_s: float = 0.0
    requires: tuple[str, ...] = ()
    can_stop: bool = True
    ports: tuple[MemoryPort, ...] = ()
    security: str | Problem = ANYONE_MAY_CONTROL
    win32_exit_code: int = 0
    service_exit_code: int = 0
    refuses: dict[Control, Problem] = field(default_factory=dict)
    hangs: frozenset[Control] = frozenset()
    fails_to_start: int = 0
    crashes_after_s: float | None = None
    checkpoints_end_s: float = math.inf
    lingers_s: float = 0.0
    shares: str = ""
    revives_s: float | None = None
    pid: int | None = None
    spawned_at: float = BOOTED_AT
    since_s: float = 0.0
    timer: asyncio.TimerHandle | None = None
    """What happens to it next by itself, if anything."""

    @property
    def program(self) -> str:
        """The file name of its program."""
        return "svchost.exe" if self.shares else f"{self.name}.exe"


class Fault(StrEnum):
    """What can go wrong with an exchange. CUT_*: the connection breaks before, during, after the host acted on it."""

    UNREACHABLE = "unreachable"
    SILENT = "silent"
    CUT_BEFORE = "cut before"
    CUT_DURING = "cut during"
    CUT_AFTER = "cut after"
    GARBAGE = "garbage"
    QUOTA = "quota"
    AUTH = "auth"


@dataclass(slots=True)
class HostFault:
    """*kind* strikes the next exchanges: *times* of them (None: for ever), only those in *on* unless it is empty.

    `on` holds the words of the log: read, start, stop, resume, answer, security, processes, facts, run.
    """

    kind: Fault
    times: int | None = 1
    on: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class MemoryHost:
    """One host. `latency_s` is what an exchange takes; `silence_s` how long a silent host is waited for. `booted_at` is
    when it started, UTC in seconds since 1970, None if it does not tell."""

    name: str
    address: str
    services: dict[str, MemoryService] = field(default_factory=dict)
    commands: dict[str, CommandOutput | Callable[[Sequence[str]], CommandOutput]] = field(default_factory=dict)
    facts: HostFacts = field(default_factory=lambda: HostFacts(transport="memory", version="5.1", clock_skew_s=0.0))
    faults: list[HostFault] = field(default_factory=list)
    latency_s: float = 0.0
    silence_s: float = 30.0
    booted_at: float | None = BOOTED_AT
    processes: dict[int, MemoryProcess] = field(default_factory=dict)
    """What runs beside services' own processes: orphans, children, anything that a test puts there."""
    events: list[MemoryEvent] = field(default_factory=list)
    registry: dict[str, MemoryKey] = field(default_factory=dict)
    """By path in lower case; what services have of it by their own nature is added when it is read."""
    objects: dict[tuple[str, str], MemoryObject] = field(default_factory=dict)
    """What is no service, by kind and name in lower case."""


@dataclass(frozen=True, slots=True)
class Change:
    """A service reached a state, at a time of the loop."""

    at_s: float
    service: str
    host: str
    state: State


class MemoryFleet:
    """Hosts by inventory name, and what they were asked.

    `asked` holds controls and programs in order ("stop MSSQLSERVER@db-01", "run netstat.exe@db-01"); `exchanges` counts
    every exchange by ("db-01", "read"); `changes` holds every state that a service reached.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, MemoryHost] = {}
        self.asked: list[str] = []
        self.exchanges: Counter[tuple[str, str]] = Counter()
        self.changes: list[Change] = []
        self._by_address: dict[str, MemoryHost] = {}
        self._next_pid = 1000

    def add(self, host: str, *services: MemoryService, address: str = "") -> MemoryHost:
        """Add *services* to *host*, which is made on first mention; its address is its name unless given."""
        made = self.hosts.setdefault(host, MemoryHost(name=host, address=address or host))
        self._by_address.setdefault(made.address, made)
        for service in services:
            made.services[service.name.lower()] = service
            if service.state is not State.STOPPED and service.pid is None:
                service.pid = _shared_pid(made, service) or self._pid()
        return made

    def service(self, name: str, host: str) -> MemoryService:
        """The service itself, to look at or to change."""
        return self.hosts[host].services[name.lower()]

    def fault(self, host: str, kind: Fault, *, times: int | None = 1, on: tuple[str, ...] = ()) -> None:
        """Make the next exchanges with *host* go wrong; see HostFault."""
        self.hosts[host].faults.append(HostFault(kind, times, on))

    def listening(self, host: MemoryHost) -> dict[int, MemoryPort]:
        """The ports that are open on *host* now."""
        return {number: port for number, (port, _) in self.listeners(host).items()}

    def listeners(self, host: MemoryHost) -> dict[int, tuple[MemoryPort, int]]:
        """The ports that are open on *host* now, with the PIDs of their owners."""
        now_s = asyncio.get_running_loop().time()
        held = {port.port: (port, one.pid) for one in host.processes.values() for port in one.ports}
        for service in host.services.values():
            for port in service.ports:
                if service.state is State.RUNNING and now_s >= service.since_s + port.warmup_s:
                    held[port.port] = (port, self._owner(host, service, port))
        return held

    def processes(self, host: MemoryHost) -> dict[int, MemoryProcess]:
        """All that runs on *host* now, by PID."""
        return host.processes | {
            service.pid: MemoryProcess(
                pid=service.pid, name=service.program, parent=SERVICES_EXE, started_at=service.spawned_at
            )
            for service in host.services.values()
            if service.pid is not None
        }

    def spawn(self, host: str, name: str, *, parent: int = 4, ports: tuple[MemoryPort, ...] = ()) -> MemoryProcess:
        """Start a process beside the services."""
        made = MemoryProcess(pid=self._pid(), name=name, parent=parent, started_at=clock(), ports=ports)
        self.hosts[host].processes[made.pid] = made
        return made

    def end(self, host: str, pid: int) -> list[int]:
        """End a process and all that descend from it, at once; services in them crash, and recovery actions follow.

        Returns the PIDs that are gone, the given one first; empty if there was no such process.
        """
        it, table, gone = self.hosts[host], self.processes(self.hosts[host]), [pid]
        for parent in gone:
            gone += [child for child, one in table.items() if one.parent == parent and child not in gone]
        for one in gone:
            it.processes.pop(one, None)
            for service in [service for service in it.services.values() if service.pid == one]:
                self._crash(host, service)
        return gone if pid in table else []

    def reboot(self, host: str, *, down_s: float = 30.0) -> None:
        """Restart *host*: nothing runs and nobody is answered for *down_s*; then Automatic services come up."""
        it = self.hosts[host]
        for service in it.services.values():
            service.pid, service.win32_exit_code = None, 0
            if service.state is not State.STOPPED or service.timer is not None:
                self.enter(host, service, State.STOPPED)
        it.processes.clear()
        down = HostFault(Fault.UNREACHABLE, times=None)
        it.faults.append(down)
        asyncio.get_running_loop().call_later(down_s, self._boot, it, down)

    def at(self, address: str) -> MemoryHost | None:
        """The host with that address or name."""
        return self.hosts.get(address) or self._by_address.get(address)

    def enter(self, host: str, service: MemoryService, state: State) -> None:
        """Put *service* into *state* now, by itself or by somebody else's hand; what it was about to do is off."""
        if service.timer is not None:
            service.timer.cancel()
            service.timer = None
        loop = asyncio.get_running_loop()
        service.state, service.since_s = state, loop.time()
        self.changes.append(Change(service.since_s, service.name, host, state))
        if state is State.STOPPED:
            self._leave(host, service)
        elif service.pid is None:
            service.pid, service.spawned_at = _shared_pid(self.hosts[host], service) or self._pid(), clock()
        if state is State.RUNNING:
            service.win32_exit_code = 0
            if service.crashes_after_s is not None:
                service.timer = loop.call_later(service.crashes_after_s, self._crash, host, service)

    def control(self, host: MemoryHost, service: MemoryService, control: Control) -> Problem | None:
        """Carry out *control* as the service control manager would; the problem if it refuses."""
        problem = service.refuses.get(control) or _refusal(host, service, control)
        if problem is not None:
            return problem
        if control is Control.STOP and service.state in (State.RUNNING, State.PAUSED):
            self._go(host.name, service, control, State.STOP_PENDING, service.stop_s, State.STOPPED)
        elif control is Control.START and service.state is State.STOPPED:
            target = State.STOPPED if service.fails_to_start else State.RUNNING
            self._go(host.name, service, control, State.START_PENDING, service.start_s, target)
        elif control is Control.RESUME and service.state is State.PAUSED:
            self._go(host.name, service, control, State.CONTINUE_PENDING, service.start_s, State.RUNNING)
        return None

    def _go(
        self, host: str, service: MemoryService, control: Control, pending: State, after_s: float, target: State
    ) -> None:
        if control in service.hangs:
            self.enter(host, service, pending)
        elif after_s > 0:
            self.enter(host, service, pending)
            service.timer = asyncio.get_running_loop().call_later(after_s, self._arrive, host, service, target)
        else:
            self._arrive(host, service, target)

    def _arrive(self, host: str, service: MemoryService, state: State) -> None:
        self.enter(host, service, state)
        if state is State.STOPPED:
            service.win32_exit_code = service.fails_to_start
            if service.fails_to_start:
                text = f"The {service.name} service terminated with the following error: {service.fails_to_start}"
                self._note(host, 7023, service, text)

    def _crash(self, host: str, service: MemoryService) -> None:
        pid, service.pid = service.pid, None
        self.enter(host, service, State.STOPPED)
        service.win32_exit_code = 1067
        self._note(host, 7031, service, f"The {service.name} service terminated unexpectedly.")
        if service.revives_s is not None:
            service.timer = asyncio.get_running_loop().call_later(service.revives_s, self._revive, host, service)
        if pid is not None:
            self.end(host, pid)

    def _revive(self, host: str, service: MemoryService) -> None:
        service.timer = None
        self.control(self.hosts[host], service, Control.START)

    def _leave(self, host: str, service: MemoryService) -> None:
        """The service has stopped: its process goes, now or later, unless others are in it."""
        it, pid, service.pid = self.hosts[host], service.pid, None
        if pid is None or any(other.pid == pid for other in it.services.values()):
            return
        if service.lingers_s <= 0:
            self.end(host, pid)
            return
        it.processes[pid] = MemoryProcess(
            pid=pid, name=service.program, parent=SERVICES_EXE, started_at=service.spawned_at, ports=service.ports
        )
        if service.lingers_s < math.inf:
            asyncio.get_running_loop().call_later(service.lingers_s, self.end, host, pid)

    def _boot(self, host: MemoryHost, down: HostFault) -> None:
        host.faults.remove(down)
        host.booted_at = None if host.booted_at is None else clock()
        for service in host.services.values():
            delay_s = {StartType.AUTOMATIC: 0.0, StartType.AUTOMATIC_DELAYED: DELAYED_S}.get(service.start_type)
            if delay_s is not None and service.state is State.STOPPED:
                service.timer = asyncio.get_running_loop().call_later(delay_s, self._revive, host.name, service)

    def _owner(self, host: MemoryHost, service: MemoryService, port: MemoryPort) -> int:
        """The PID that holds *port* for *service*; the child that should hold it is made when it is first asked for."""
        pid = service.pid or 4
        if not port.by_child:
            return pid
        children = [one for one in host.processes.values() if one.parent == pid]
        return (children[0] if children else self.spawn(host.name, "child.exe", parent=pid)).pid

    def _note(self, host: str, id: int, service: MemoryService, text: str) -> None:
        record = MemoryEvent(
            log="System", provider="Service Control Manager", id=id, at=clock(), data=(service.name,), message=text
        )
        self.hosts[host].events.append(record)

    def _pid(self) -> int:
        self._next_pid += 4
        return self._next_pid


def _shared_pid(host: MemoryHost, service: MemoryService) -> int | None:
    """The process that *service* shares with others, if it runs."""
    beside = (other.pid for other in host.services.values() if service.shares and other.shares == service.shares)
    return next((pid for pid in beside if pid is not None), None)


def clock() -> float:
    """The hosts' clock: UTC, seconds since 1970."""
    try:
        return BOOTED_AT + UP_S + asyncio.get_running_loop().time()
    except RuntimeError:  # the world is made before its loop runs
        return BOOTED_AT + UP_S


def _refusal(host: MemoryHost, service: MemoryService, control: Control) -> Problem | None:
    """Why the service control manager says no to *control* now, if it does."""
    if control is Control.START:
        if service.start_type is StartType.DISABLED and service.state is State.STOPPED:
            return refused(1058, f"Service '{service.name}' cannot be started: it is disabled.")
        return None
    if service.state.pending and not (control is Control.STOP and service.state is State.STOP_PENDING):
        return refused(1061, f"Service '{service.name}' cannot accept control messages at this time.")
    if control is Control.RESUME:
        return refused(1062, f"Service '{service.name}' is not started.") if service.state is State.STOPPED else None
    if service.state is State.STOPPED:
        return None
    if not service.can_stop:
        return refused(1052, f"Service '{service.name}' does not accept the stop control.")
    if any(other.state is not State.STOPPED for other in dependents(host, service)):
        return refused(1051, f"Cannot stop service '{service.name}' because it has dependent services.")
    return None


def refused(code: int, text: str) -> Problem:
    """The service control manager's no, with its number."""
    return Problem(ProblemKind.REFUSED, text, code)


def dependents(host: MemoryHost, service: MemoryService) -> list[MemoryService]:
    """The services of *host* that require *service*."""
    name = service.name.lower()
    return [other for other in host.services.values() if any(name == need.lower() for need in other.requires)]
