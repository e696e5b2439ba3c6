"""Hosts that are reached by several ways: the first that works is kept, and the next is tried when it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.domain.connection import Connection, Transport
from orchestrator.domain.errors import TRANSIENT, AuthRejected, HostError, Problem, Refused, Untrusted
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, Reading
from orchestrator.engine.ports import CommandOutput, ControlAnswer, HostCommand, HostFacts, Hosts, HostServices

T = TypeVar("T")

FALLS_OVER = (*TRANSIENT, Untrusted)
"""What leads to the next way, as long as `sent` is False.

No connection, a cut one, silence, no shell or channel left, and garbage say that this way does not work now. A
certificate or host key that does not pass says that nobody whom we know answers there; the next way looks at the host's
key by itself, so nothing is lost by trying it. AuthRejected is not among them: the same account would be tried once
more, and that is how accounts get locked. Nor is any other HostError: the host has answered, or a setting is wrong.
"""


def reaching(
    connections: Mapping[str, Sequence[Connection]],
    wires: Mapping[Transport, Callable[[Mapping[str, Connection]], Hosts]],
) -> "EitherHosts":
    """All hosts by their ways, in the order of *connections*. A wire is made for its own hosts, if it has any."""
    of: dict[Transport, dict[str, Connection]] = {}
    for host, ways in connections.items():
        for way in ways:
            of.setdefault(way.transport, {})[host] = way
    made = {transport: wires[transport](hosts) for transport, hosts in of.items()}
    return EitherHosts(
        {host: [(way.transport.value, made[way.transport]) for way in ways] for host, ways in connections.items()}
    )


class EitherHosts:
    """Implements Hosts over other ones. *ways*: each host's, in the order in which they are tried, with their names.

    A host with one way is handed through: the very object, at no cost. To be used from one event loop.
    """

    def __init__(self, ways: Mapping[str, Sequence[tuple[str, Hosts]]]) -> None:
        self._ways = ways
        self._either: dict[str, _Either] = {}

    def transport(self, host: str) -> Transport | None:
        """See Hosts."""
        ways = self._ways[host]
        return ways[0][1].transport(host) if len(ways) == 1 else None

    def detour(self, host: str) -> str:
        """See Hosts."""
        ways = self._ways[host]
        if len(ways) == 1:
            return ways[0][1].detour(host)
        return self._either[host].detour() if host in self._either else ""

    def services(self, host: str) -> HostServices:
        """The host's services; KeyError if there is no such host."""
        ways = self._ways[host]
        return ways[0][1].services(host) if len(ways) == 1 else self._of(host)

    def command(self, host: str) -> HostCommand:
        """The host's programs."""
        ways = self._ways[host]
        return ways[0][1].command(host) if len(ways) == 1 else self._of(host)

    async def aclose(self) -> None:
        """Close what the ways lead to, side by side. Never raises."""
        everything = dict.fromkeys(hosts for ways in self._ways.values() for _, hosts in ways)
        await asyncio.gather(*(hosts.aclose() for hosts in everything))

    def _of(self, host: str) -> "_Either":
        if host not in self._either:
            ways = [_Way(name, hosts.services(host), hosts.command(host)) for name, hosts in self._ways[host]]
            self._either[host] = _Either(host, ways)
        return self._either[host]


@dataclass(frozen=True, slots=True)
class _Way:
    name: str
    services: HostServices
    command: HostCommand


class _Either:
    """One host with several ways. Implements HostServices and HostCommand.

    The way that answered last is kept, and asked first. Where it fails as FALLS_OVER tells, the others are tried in
    their order, within the same exchange. What may have been sent is never sent on another way.
    """

    def __init__(self, host: str, ways: Sequence[_Way]) -> None:
        self._host = host
        self._ways = ways
        self._kept = 0
        self._failed: dict[int, str] = {}  # why each way was left, since it last worked
        self._controls: dict[str, int] = {}  # the way that took the last control of a service

    def detour(self) -> str:
        """See Hosts."""
        why = self._left(self._kept)
        return f"{self._ways[self._kept].name}; {why}" if self._kept and why else ""

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        """See HostServices."""
        return await self._exchange(lambda way: self._ways[way].services.read(asked))

    async def request(self, name: str, control: Control) -> None:
        """See HostServices."""
        key = name.lower()
        before = self._controls.pop(key, None)

        async def hand_over(way: int) -> None:
            # Noted first: a request that is cancelled half-way has its answer here, if it has one.
            self._controls[key] = way
            await self._ways[way].services.request(name, control)

        try:
            await self._exchange(hand_over)
        except HostError as error:
            if not error.sent:
                self._controls.pop(key)
                if before is not None:
                    self._controls[key] = before
            raise

    async def answer(self, name: str) -> ControlAnswer:
        """See HostServices. Asked of the way that took the control, and of no other."""
        key = name.lower()
        answer = await self._ways[self._controls.get(key, self._kept)].services.answer(name)
        if answer.ended:
            self._controls.pop(key, None)
        return answer

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        """See HostServices."""
        return await self._exchange(lambda way: self._ways[way].services.security(names))

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        """See HostServices."""
        return await self._exchange(lambda way: self._ways[way].services.processes(pids))

    async def facts(self) -> HostFacts:
        """See HostServices."""
        return await self._exchange(lambda way: self._ways[way].services.facts())

    def booted_at(self) -> float | None:
        """See HostServices: as the way that answered last has it."""
        return self._ways[self._kept].services.booted_at()

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See HostCommand. Each way that is tried has *timeout_s*."""
        return await self._exchange(lambda way: self._ways[way].command.run(exe, args, timeout_s=timeout_s))

    async def aclose(self) -> None:
        """See HostServices."""
        await asyncio.gather(*(way.services.aclose() for way in self._ways))

    async def _exchange(self, ask: Callable[[int], Awaitable[T]]) -> T:
        """Ask by the kept way, then by the others, until one may have reached the host.

        Raises: HostError; it names the way that gave it, and why the others were left or did not get through. A Refused
        is handed on as it is: its words are the host's own.
        """
        failed: dict[int, HostError] = {}
        for way in sorted(range(len(self._ways)), key=lambda way: way != self._kept):
            try:
                answer = await ask(way)
            except HostError as error:
                if error.sent:
                    self._keep(way, failed)
                    if isinstance(error, Refused):
                        raise
                    raise self._named(way, error) from error
                failed[way] = error
                if not isinstance(error, FALLS_OVER):
                    break
            else:
                self._keep(way, failed)
                return answer
        raise self._all(failed)

    def _keep(self, way: int, failed: Mapping[int, HostError]) -> None:
        self._failed.update({other: error.text for other, error in failed.items()})
        self._failed.pop(way, None)
        self._kept = way

    def _all(self, failed: Mapping[int, HostError]) -> HostError:
        """One error of several, which are in the order tried. If a way must not be tried again its error is the one."""
        errors = list(failed.values())
        if len(failed) == 1:
            return self._named(*next(iter(failed.items())))
        final = next((error for error in errors if not isinstance(error, FALLS_OVER)), None)
        chosen = final or next((error for error in errors if isinstance(error, TRANSIENT)), errors[0])
        text = "; ".join(f"{self._ways[way].name}: {error.text}" for way, error in failed.items())
        hint = "; ".join(dict.fromkeys(error.hint for error in errors if error.hint))
        return _kind(chosen)(self._host, text, hint=hint)

    def _named(self, way: int, error: HostError) -> HostError:
        """*error* with the way that gave it, and why the others were left."""
        left = self._left(way)
        text = f"by {self._ways[way].name}: {error.text}" + (f" ({left})" if left else "")
        return _kind(error)(self._host, text, sent=error.sent, hint=error.hint)

    def _left(self, but: int) -> str:
        """Why each way except *but* was left, since it last worked; "" if none was."""
        return "; ".join(
            f"{self._ways[way].name} failed: {self._failed[way]}" for way in sorted(self._failed) if way != but
        )


def _kind(error: HostError) -> type[HostError]:
    return type(error) if isinstance(error, (*FALLS_OVER, AuthRejected)) else HostError
