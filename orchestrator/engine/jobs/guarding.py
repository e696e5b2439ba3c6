"""The last look before something is sent that changes the world: whether this process still holds the run."""

from collections.abc import Sequence

from orchestrator.domain.connection import Transport
from orchestrator.domain.errors import OrchError, Problem, ProblemKind, Refused
from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, Reading
from orchestrator.engine.jobs.holding import Held
from orchestrator.engine.ports import (
    CommandOutput,
    ControlAnswer,
    HostCommand,
    HostFacts,
    Hosts,
    HostServices,
    LocalCommand,
    Probe,
    Seen,
)


class GuardedHosts:
    """Implements `engine.ports.Hosts` over *hosts*: no control is handed over, and no program run, once *held* is lost.
    Looking is free."""

    def __init__(self, hosts: Hosts, held: Held) -> None:
        self._hosts = hosts
        self._held = held
        self._known: dict[str, HostServices] = {}

    def transport(self, host: str) -> Transport | None:
        """See `Hosts.transport`."""
        return self._hosts.transport(host)

    def detour(self, host: str) -> str:
        """See `Hosts.detour`."""
        return self._hosts.detour(host)

    def services(self, host: str) -> HostServices:
        """See `Hosts.services`."""
        if host not in self._known:
            self._known[host] = _GuardedServices(host, self._hosts.services(host), self._held)
        return self._known[host]

    def command(self, host: str) -> HostCommand:
        """See `Hosts.command`. Programs change hosts too: what keeps a service down, a hook, a kill."""
        return _GuardedCommand(host, self._hosts.command(host), self._held)

    async def aclose(self) -> None:
        """See `Hosts.aclose`."""
        await self._hosts.aclose()


class GuardedProbe:
    """Implements `engine.ports.Probe` over *probe*: no request is made once *held* is lost, for it may be a hook's.
    Whether a port is open may be looked at."""

    def __init__(self, probe: Probe, held: Held) -> None:
        self._probe = probe
        self._held = held

    async def tcp(self, host: str, port: int, *, timeout_s: float) -> Seen:
        """See `Probe.tcp`."""
        return await self._probe.tcp(host, port, timeout_s=timeout_s)

    async def http(self, check: HttpCheck, *, timeout_s: float) -> Seen:
        """See `Probe.http`."""
        try:
            await self._held.sure()
        except OrchError as error:
            return Seen(False, f"not sent: {error}")
        return await self._probe.http(check, timeout_s=timeout_s)


class GuardedLocal:
    """Implements `engine.ports.LocalCommand` over *local*: nothing is run once *held* is lost."""

    def __init__(self, local: LocalCommand, held: Held) -> None:
        self._local = local
        self._held = held

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See `LocalCommand.run`."""
        try:
            await self._held.sure()
        except OrchError as error:
            raise OSError(f"not run: {error}") from error
        return await self._local.run(exe, args, timeout_s=timeout_s)


class _GuardedServices:
    def __init__(self, host: str, services: HostServices, held: Held) -> None:
        self._host = host
        self._services = services
        self._held = held

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        return await self._services.read(asked)

    async def request(self, name: str, control: Control) -> None:
        """Raises Refused if the run is not held any more: the host was not asked, whatever `sent` says then."""
        await _sure(self._host, self._held)
        await self._services.request(name, control)

    async def answer(self, name: str) -> ControlAnswer:
        return await self._services.answer(name)

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        return await self._services.security(names)

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        return await self._services.processes(pids)

    async def facts(self) -> HostFacts:
        return await self._services.facts()

    def booted_at(self) -> float | None:
        return self._services.booted_at()

    async def aclose(self) -> None:
        await self._services.aclose()


class _GuardedCommand:
    def __init__(self, host: str, command: HostCommand, held: Held) -> None:
        self._host = host
        self._command = command
        self._held = held

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """Raises Refused as `request` does."""
        await _sure(self._host, self._held)
        return await self._command.run(exe, args, timeout_s=timeout_s)


async def _sure(host: str, held: Held) -> None:
    try:
        await held.sure()
    except OrchError as error:
        raise Refused(host, Problem(ProblemKind.INTERNAL, f"not sent: {error}", hint=error.hint)) from error
