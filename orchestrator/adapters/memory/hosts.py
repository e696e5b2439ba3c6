"""The in-memory twins of Hosts, HostServices and HostCommand, on a `MemoryFleet`."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryHost, MemoryService, dependents, refused
from orchestrator.adapters.memory.programs import PROGRAMS
from orchestrator.domain.connection import Transport
from orchestrator.domain.errors import (
    AuthRejected,
    HostError,
    Problem,
    ProblemKind,
    ProtocolError,
    QuotaExceeded,
    Refused,
    Unreachable,
)
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus, State
from orchestrator.engine.ports import CommandOutput, ControlAnswer, HostFacts

T = TypeVar("T")


class MemoryHosts:
    """The twin of Hosts."""

    def __init__(self, fleet: MemoryFleet) -> None:
        self.fleet = fleet
        self._links: dict[str, MemoryLink] = {}

    def services(self, host: str) -> "MemoryLink":
        """The host's services; KeyError if the fleet has no such host."""
        if host not in self._links:
            self._links[host] = MemoryLink(self.fleet, self.fleet.hosts[host])
        return self._links[host]

    def command(self, host: str) -> "MemoryLink":
        """The host's programs."""
        return self.services(host)

    def transport(self, host: str) -> Transport:
        """See Hosts."""
        return Transport.PSRP

    def detour(self, host: str) -> str:
        """See Hosts: there is one way in memory."""
        return ""

    async def aclose(self) -> None:
        """Close every link."""
        for link in self._links.values():
            await link.aclose()


class MemoryLink:
    """The twin of HostServices and of HostCommand, for one host. Two reads at once are refused: that breaks the port's
    contract."""

    def __init__(self, fleet: MemoryFleet, host: MemoryHost) -> None:
        self._fleet = fleet
        self._host = host
        self._controls: dict[str, tuple[Control, Problem | None]] = {}
        self._lost: set[str] = set()
        self._rejected = False
        self._reading = False
        self._booted_at: float | None = None

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        """See HostServices."""
        if self._reading:
            raise RuntimeError(f"two reads at once on {self._host.name}")
        self._reading = True
        try:
            return await self._exchange("read", lambda: self._readings(asked))
        finally:
            self._reading = False

    async def request(self, name: str, control: Control) -> None:
        """See HostServices."""
        await self._exchange(control.value, lambda: self._take(name, control), of=name)

    async def answer(self, name: str) -> ControlAnswer:
        """See HostServices."""
        key = name.lower()
        if key in self._lost:
            self._lost.discard(key)
            return _lost_answer(self._host.name)
        if key not in self._controls:
            return ControlAnswer(ended=True)
        try:
            answer = await self._exchange("answer", lambda: self._judge(key))
        except HostError:
            if key not in self._lost:
                raise
            self._lost.discard(key)
            return _lost_answer(self._host.name)
        if answer.ended:
            self._controls.pop(key, None)
        return answer

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        """See HostServices."""
        services = self._host.services
        return await self._exchange(
            "security",
            lambda: [services[key].security if (key := name.lower()) in services else _missing(name) for name in names],
        )

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        """See HostServices. A host that does not tell when it started tells neither start nor parent."""
        return await self._exchange("processes", lambda: self._running(pids))

    async def facts(self) -> HostFacts:
        """See HostServices."""
        return await self._exchange("facts", lambda: self._host.facts)

    def booted_at(self) -> float | None:
        """See HostServices."""
        return self._booted_at

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See HostCommand. Programs of `PROGRAMS` answer from the fleet unless the host's table has them."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange("run", lambda: self._output(exe, args), of=exe)
        except TimeoutError:
            raise HostError(self._host.name, f"{exe} did not end within {timeout_s:g} s", sent=True) from None

    async def aclose(self) -> None:
        """See HostServices."""
        self._controls.clear()
        self._lost.clear()

    async def _exchange(self, verb: str, act: Callable[[], T], *, of: str = "") -> T:
        """One exchange: counted, delayed, struck by the fault that is due, carried out by *act*."""
        host = self._host
        if self._rejected:
            raise AuthRejected(host.name, "the credentials were rejected before and are not tried again")
        self._fleet.exchanges[host.name, verb] += 1
        if of:
            self._fleet.asked.append(f"{verb} {of}@{host.name}")
        await asyncio.sleep(host.latency_s)
        fault = _due(host, verb) if host.faults else None
        if fault is None:
            return act()
        if fault is Fault.SILENT:
            await asyncio.sleep(host.silence_s)
        if fault in (Fault.CUT_AFTER, Fault.GARBAGE):
            act()
        if fault is Fault.AUTH:
            self._rejected = True
        if fault is not Fault.QUOTA:
            self._lost.update(self._controls)
            self._controls.clear()
        raise _ERRORS[fault](host.name)

    def _readings(self, asked: Sequence[Asked]) -> list[Reading]:
        self._booted_at = self._host.booted_at
        return [self._reading_of(question) for question in asked]

    def _reading_of(self, question: Asked) -> Reading:
        services = self._host.services
        if not question.pattern:
            service = services.get(question.name.lower())
            if service is None:
                return Reading(question, problem=_missing(question.name))
            return Reading(question, (self._status(service),))
        matches = _pattern(question.name)
        return Reading(question, tuple(self._status(services[key]) for key in sorted(services) if matches(key)))

    def _status(self, service: MemoryService) -> ServiceStatus:
        checkpoint = 0
        if service.state.pending and service.timer is not None:
            elapsed_s = min(asyncio.get_running_loop().time() - service.since_s, service.checkpoints_end_s)
            checkpoint = 1 + int(elapsed_s / service.checkpoint_s)
        return ServiceStatus(
            name=service.name,
            state=service.state,
            start_type=service.start_type,
            display_name=service.display_name or service.name,
            pid=service.pid,
            checkpoint=checkpoint,
            wait_hint_s=service.wait_hint_s if service.state.pending else 0.0,
            win32_exit_code=service.win32_exit_code,
            service_exit_code=service.service_exit_code,
            can_stop=service.can_stop and service.state in (State.RUNNING, State.PAUSED),
            requires=service.requires,
            required_by=tuple(other.name for other in dependents(self._host, service)),
        )

    def _running(self, pids: Sequence[int]) -> list[Process]:
        table, quiet = self._fleet.processes(self._host), self._host.booted_at is None
        return [
            Process(
                pid=one.pid,
                name=one.name,
                parent=None if quiet else one.parent,
                started_at=None if quiet else one.started_at,
            )
            for pid in pids
            if (one := table.get(pid)) is not None
        ]

    def _take(self, name: str, control: Control) -> None:
        service = self._host.services.get(name.lower())
        problem = _missing(name) if service is None else self._fleet.control(self._host, service, control)
        self._controls[name.lower()] = (control, problem)

    def _judge(self, key: str) -> ControlAnswer:
        control, problem = self._controls[key]
        if problem is not None:
            return ControlAnswer(ended=True, problem=problem)
        service = self._host.services[key]
        wanted = State.STOPPED if control is Control.STOP else State.RUNNING
        if service.state is wanted:
            return ControlAnswer(ended=True)
        if service.state.pending:
            return ControlAnswer(ended=False)
        text = f"Failed to {control} service '{service.name}'."
        return ControlAnswer(ended=True, problem=refused(service.win32_exit_code or 1067, text))

    def _output(self, exe: str, args: Sequence[str]) -> CommandOutput:
        table = self._host.commands
        if exe.lower() in table:
            answer = table[exe.lower()]
            return answer(args) if callable(answer) else answer
        if exe.lower() in PROGRAMS:
            return PROGRAMS[exe.lower()](self._fleet, self._host, args)
        raise Refused(self._host.name, Problem(ProblemKind.MISSING, f"{exe}: no such program"))


def _lost_answer(host: str) -> ControlAnswer:
    return ControlAnswer(ended=True, problem=Problem(ProblemKind.UNREACHABLE, f"the session with {host} was lost"))


def _missing(name: str) -> Problem:
    return refused(1060, f"Cannot find any service with service name '{name}'.")


def _pattern(pattern: str) -> Callable[[str], bool]:
    words = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    compiled = re.compile(words, re.DOTALL)
    return lambda name: compiled.fullmatch(name) is not None


def _due(host: MemoryHost, verb: str) -> Fault | None:
    """The fault that strikes this exchange, used up by one."""
    for fault in host.faults:
        if not fault.on or verb in fault.on:
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    host.faults.remove(fault)
            return fault.kind
    return None


_ERRORS: Mapping[Fault, Callable[[str], HostError]] = {
    Fault.UNREACHABLE: lambda host: Unreachable(host, "connection refused"),
    Fault.SILENT: lambda host: Unreachable(host, "no answer", sent=True),
    Fault.CUT_BEFORE: lambda host: Unreachable(host, "the connection broke before the request was sent"),
    Fault.CUT_DURING: lambda host: Unreachable(host, "the connection broke", sent=True),
    Fault.CUT_AFTER: lambda host: Unreachable(host, "the connection broke", sent=True),
    Fault.GARBAGE: lambda host: ProtocolError(host, "the answer is not one", sent=True),
    Fault.QUOTA: lambda host: QuotaExceeded(host, "too many shells"),
    Fault.AUTH: lambda host: AuthRejected(host, "the credentials were rejected"),
}
