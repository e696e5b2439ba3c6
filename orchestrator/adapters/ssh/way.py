"""The way to a host: a TCP connection, a program of the user's that makes one, or a channel of a jump host."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import asyncssh

from orchestrator.adapters.ssh.config import Target
from orchestrator.adapters.ssh.errors import in_our_words, said
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import HostError, Unreachable

if TYPE_CHECKING:
    from orchestrator.adapters.ssh.peer import Peer

_SHELL = "/bin/sh"


class Way(Protocol):
    """Leads to a host. `ip` is the address at its end, "" if that is not known here."""

    ip: str

    async def take(self, peer: "Peer") -> None:
        """Let *peer* speak over it; once. Raises HostError, and what asyncssh and the system raise."""

    def close(self) -> None:
        """Free it, if it was not taken."""


async def way_to(connection: Connection, target: Target, via: "Peer | None") -> Way:
    """The way that *target* says, through *via* if there is one. Raises HostError and its kin: Unreachable after the
    connection's time to connect."""
    if via is not None:
        return _Tunnel(connection, target, via)
    limit = connection.connection_timeout_s
    try:
        with in_our_words(connection, lambda: False, lambda: True):
            async with asyncio.timeout(limit):
                if target.proxy:
                    return await _through_program(target.proxy)
                return await _straight(connection, target)
    except TimeoutError as exc:
        text = f"no connection to {target.address}:{target.port} in {limit:g} s"
        raise Unreachable(connection.host, text) from exc


class _Socket:
    """A connected socket; *program* is what makes it work, if that is not the system."""

    def __init__(self, sock: socket.socket, ip: str, program: "_Program | None" = None) -> None:
        self.ip = ip
        self._sock: socket.socket | None = sock
        self._program = program

    async def take(self, peer: "Peer") -> None:
        """See Way."""
        assert self._sock is not None
        sock, self._sock = self._sock, None
        peer.set_tunnel(self._program)
        await asyncio.get_running_loop().create_connection(lambda: peer, sock=sock)

    def close(self) -> None:
        """See Way."""
        if self._sock is not None:
            self._sock.close()
            if self._program is not None:
                self._program.close()


class _Tunnel:
    """A channel of a jump host."""

    ip = ""

    def __init__(self, connection: Connection, target: Target, via: "Peer") -> None:
        self._connection = connection
        self._target = target
        self._via = via

    async def take(self, peer: "Peer") -> None:
        """See Way. A channel that comes after nobody waits for it any longer is closed."""
        place = f"{self._target.address}:{self._target.port}"
        factory: Any = lambda: peer  # noqa: E731  asyncssh's annotation knows no connection as a session
        making = asyncio.ensure_future(self._via.create_connection(factory, self._target.address, self._target.port))
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_abandon)
            raise
        except asyncssh.ChannelOpenError as exc:
            jump = f"the jump host {self._via.name}"
            if self._via.is_closed():
                raise Unreachable(self._connection.host, f"the connection to {jump} broke") from exc
            if exc.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                hint = "see AllowTcpForwarding and PermitOpen in its sshd_config"
                raise HostError(
                    self._connection.host, f"{jump} may not connect to {place}: {said(exc)}", hint=hint
                ) from exc
            raise Unreachable(self._connection.host, f"{jump} can't connect to {place}: {said(exc)}") from exc

    def close(self) -> None:
        """See Way."""


def _abandon(making: "asyncio.Future[Any]") -> None:
    if not making.cancelled() and making.exception() is None:
        making.result()[0].abort()


class _Program:
    """A program between us and the host. It ends with the connection."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def close(self) -> None:
        """End it."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def wait_closed(self) -> None:
        """Wait for its end."""
        await self._process.wait()


async def _through_program(command: str) -> _Socket:
    """Run *command* as OpenSSH runs a ProxyCommand: by a shell, with the connection as its input and output."""
    ours, its = socket.socketpair()
    try:
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            _SHELL, "-c", f"exec {command}", stdin=its.fileno(), stdout=its.fileno(), start_new_session=True
        )
    except BaseException:
        ours.close()
        raise
    finally:
        its.close()
    return _Socket(ours, "", _Program(process))


async def _straight(connection: Connection, target: Target) -> _Socket:
    """A TCP connection to the first address that answers."""
    loop = asyncio.get_running_loop()
    failure = OSError(0, "the name leads to no address")
    for address in await _addresses(connection, target):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, (address, target.port))
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:
            sock.close()
            raise
        else:
            return _Socket(sock, address)
    raise failure


async def _addresses(connection: Connection, target: Target) -> Sequence[str]:
    if connection.resolved and target.address == connection.address:
        return connection.resolved
    try:
        return [str(ipaddress.ip_address(target.address))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
