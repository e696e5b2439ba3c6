"""Makes connections: the way there, the handshake, the host's key, the sign-in. Imports asyncssh, so it is loaded when
needed."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import asyncssh

from orchestrator.adapters.ssh.config import OPTIONS, Configurations, Target
from orchestrator.adapters.ssh.errors import in_our_words, is_rejection, rejected, said
from orchestrator.adapters.ssh.jumps import Hop, Jumps
from orchestrator.adapters.ssh.keys import KeyProblem, KeyRing
from orchestrator.adapters.ssh.leave import Leave
from orchestrator.adapters.ssh.peer import Client, Peer
from orchestrator.adapters.ssh.places import Places
from orchestrator.adapters.ssh.trust import Known, TrustStore, refusal
from orchestrator.adapters.ssh.way import Way, way_to
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import AuthRejected, HostError, Unreachable
from orchestrator.engine.ports import Credentials

KEX = "^curve25519-sha256"
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""What is cheapest comes first; all that asyncssh offers by itself stays behind it."""
KEEPALIVES = 3
"""So many unanswered signs of life in a row end a connection."""


class _Prepared(NamedTuple):
    """All that asyncssh needs for one connection, and what we need to tell about it."""

    target: Target
    known: Known | None
    options: Any


class Dialer:
    """Connects to hosts. One object for all of them; used from one event loop.

    *credentials* says which password may be tried where; *reveal* resolves passphrases, in a thread.
    """

    def __init__(self, credentials: Credentials, reveal: Callable[[str], str]) -> None:
        self._credentials = credentials
        self._configurations = Configurations()
        self._trust = TrustStore()
        self._keys = KeyRing(reveal)
        self._places = Places()
        self._jumps = Jumps(self.dial)
        self._options: dict[tuple[object, ...], asyncssh.SSHClientConnectionOptions] = {}
        self._rejected: dict[str, AuthRejected] = {}

    async def dial(self, connection: Connection, hop: Hop | None = None) -> Peer:
        """A connection to the host of *connection*, signed in; as a *hop* on the way to another, if that is given.

        A password that the host rejected is not tried again. If there is another one then, that is.
        """
        while True:
            await self._check(connection)
            leave = Leave(self._credentials, connection)
            try:
                return await self._patiently(connection, hop, leave)
            except AuthRejected as exc:
                if connection.password is None or not leave.given:
                    raise
                leave.end(accepted=False)
                self._rejected[connection.host] = exc
            finally:
                leave.end(accepted=None)

    async def aclose(self) -> None:
        """End what hosts share: jump hosts and agents. Never raises."""
        await self._jumps.aclose()
        await self._keys.aclose()

    async def _check(self, connection: Connection) -> None:
        if connection.password is None:
            return
        try:
            await self._credentials.check(connection)
        except AuthRejected as exc:
            raise self._rejected.get(connection.host, exc) from None  # what the host itself said tells more

    async def _patiently(self, connection: Connection, hop: Hop | None, leave: Leave) -> Peer:
        """As `_once`; if the host loses patience while we wait for the leave to try the password, wait on, and then
        connect anew."""
        try:
            return await self._once(connection, hop, leave)
        except Unreachable:
            if not leave.waiting:
                raise
        await leave.granted()
        return await self._once(connection, hop, leave)

    async def _once(self, connection: Connection, hop: Hop | None, leave: Leave) -> Peer:
        target = await self._target(connection, hop.user if hop else None)
        via, places = hop.via if hop else None, self._places
        if target.jumps and hop is None:  # a jump host's own ProxyJump is not followed: all of the way is said at once
            via, places = await self._jumps.last(connection, target)
        way = await way_to(connection, target, via)
        try:
            async with places.one():
                prepared = await self._prepare(connection, target, way.ip)
                return await self._handshake(connection, prepared, way, leave)
        finally:
            way.close()

    async def _target(self, connection: Connection, behind: str | None) -> Target:
        if self._configurations.reads(connection):
            return await asyncio.to_thread(self._configurations.target, connection, behind=behind)
        return self._configurations.target(connection, behind=behind)

    async def _prepare(self, connection: Connection, target: Target, ip: str) -> _Prepared:
        known = await self._known(target, ip) if target.verify else None
        try:
            keys = await self._keys.pairs(target.keys, target.agent, alone=target.alone, must=target.must)
        except KeyProblem as exc:
            raise AuthRejected(connection.host, f"{exc}; nothing was sent", hint=exc.hint) from exc
        options: Any = copy.copy(self._shared(target, connection))
        options.host, options.port, options.username = target.address, target.port, target.user
        options.host_key_alias = target.alias or None
        options.known_hosts = known.for_asyncssh() if known else None
        options.client_keys = keys
        return _Prepared(target, known, options)

    async def _known(self, target: Target, ip: str) -> Known:
        # What is known by an alias is not known by an address too: behind that may be many, or another one.
        asked = target.known_hosts, target.alias or target.address, "" if target.alias else ip, target.port
        known = self._trust.at_once(*asked)
        return await asyncio.to_thread(self._trust.known, *asked) if known is None else known

    def _shared(self, target: Target, connection: Connection) -> asyncssh.SSHClientConnectionOptions:
        """Options that connections have in common: asyncssh takes a third of a millisecond to work them out."""
        key = target.options, connection.ssh.keepalive_s
        if key not in self._options:
            self._options[key] = _options(target, connection)
        return self._options[key]

    async def _handshake(self, connection: Connection, prepared: _Prepared, way: Way, leave: Leave) -> Peer:
        loop, limit, options = asyncio.get_running_loop(), connection.connection_timeout_s, prepared.options
        client = Client(connection, leave)
        options.waiter = loop.create_future()
        options.protocol_factory = lambda: client
        peer, made = Peer(loop, options, connection), False
        try:
            with in_our_words(connection, lambda: False, lambda: True):
                async with asyncio.timeout(limit) as client.deadline:
                    await way.take(peer)
                    await options.waiter
            made = True
        except TimeoutError as exc:
            text = f"{connection.address}:{connection.port} did not finish the SSH handshake in {limit:g} s"
            raise Unreachable(connection.host, text) from exc
        except HostError as exc:
            raise _explained(exc, connection, prepared, peer, client, leave) from exc.__cause__
        finally:
            client.deadline = None
            if not made:
                if not options.waiter.cancel() and not options.waiter.cancelled():
                    options.waiter.exception()  # it was told, or came too late to be
                peer.abort()
        return peer


def _explained(
    error: HostError, connection: Connection, prepared: _Prepared, peer: Peer, client: Client, leave: Leave
) -> HostError:
    """*error* in the words of what was being done when asyncssh raised it."""
    cause = error.__cause__
    if isinstance(cause, asyncssh.HostKeyNotVerifiable) and prepared.known is not None:
        return refusal(connection.host, prepared.known, peer.shown, said(cause))
    if cause is not None and is_rejection(cause):
        return rejected(
            connection,
            prepared.target.user,
            tried=peer.tried,
            offered=peer.offered,
            password=leave.given and connection.password is not None,
            expired=client.expired,
        )
    if prepared.target.proxy and isinstance(error, Unreachable):
        hint = f"the SSH configuration leads there by its ProxyCommand: {prepared.target.proxy}"
        return Unreachable(connection.host, error.text, hint=hint)
    return error


def _options(target: Target, connection: Connection) -> asyncssh.SSHClientConnectionOptions:
    """Ours, and what the configuration says instead, read as asyncssh reads it there: unknown algorithms are left
    out."""
    made = asyncssh.SSHClientConnectionOptions(
        config=None,
        known_hosts=None,
        username="",
        client_keys=None,
        agent_path=None,
        kex_algs=KEX,
        encryption_algs=CIPHERS,
        compression_algs=None,
        x509_trusted_certs=None,
        gss_host=None,
        host_based_auth=False,
        preferred_auth=("publickey", "password", "keyboard-interactive"),
        login_timeout=0,
        keepalive_interval=connection.ssh.keepalive_s,
        keepalive_count_max=KEEPALIVES,
    )
    if target.options:
        config: Any = made.config
        config._options.update(dict(target.options))
        unset: dict[str, Any] = {OPTIONS[option]: () for option, _ in target.options}
        made = asyncssh.SSHClientConnectionOptions(made, **unset)
    return made
