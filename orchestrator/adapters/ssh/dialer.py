"""Makes connections: TCP, the handshake, the host's key, the sign-in. Imports asyncssh, so it is loaded when needed."""

import asyncio
import copy
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Any

import asyncssh

from orchestrator.adapters.ssh.errors import in_our_words
from orchestrator.adapters.ssh.peer import Client, Peer
from orchestrator.adapters.ssh.places import Places
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import Unreachable
from orchestrator.engine.ports import Credentials

KEX = "^curve25519-sha256"
CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"


class Dialer:
    """Connects to hosts. One object for all of them; used from one event loop."""

    def __init__(self, credentials: Credentials, reveal: Callable[[str], str]) -> None:
        self._credentials = credentials
        self._reveal = reveal
        self._places = Places()
        self._options: dict[tuple[object, ...], Any] = {}

    async def dial(self, connection: Connection) -> Peer:
        """A connection to the host of *connection*, signed in."""
        sock = await self._connect(connection)
        async with self._places.one():
            return await self._sign_in(connection, sock)

    async def _connect(self, connection: Connection) -> socket.socket:
        limit = connection.connection_timeout_s
        try:
            with in_our_words(connection, lambda: False, lambda: True):
                async with asyncio.timeout(limit):
                    return await self._first_that_answers(connection)
        except TimeoutError as exc:
            text = f"no connection to {connection.address}:{connection.port} in {limit:g} s"
            raise Unreachable(connection.host, text) from exc

    async def _first_that_answers(self, connection: Connection) -> socket.socket:
        loop = asyncio.get_running_loop()
        failure = OSError(0, "the name leads to no address")
        for address in connection.resolved or await _addresses(connection):
            family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                await loop.sock_connect(sock, (address, connection.port))
            except OSError as exc:
                sock.close()
                failure = exc
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure

    async def _sign_in(self, connection: Connection, sock: socket.socket) -> Peer:
        loop = asyncio.get_running_loop()
        try:
            options = copy.copy(await self._prepared(connection))
            options.host, options.port, options.username = connection.address, connection.port, connection.user
            options.waiter = loop.create_future()
            client = Client(connection, self._credentials)
            options.protocol_factory = lambda: client
        except BaseException:
            sock.close()
            raise
        limit = connection.connection_timeout_s
        peer = Peer(loop, options, connection)
        try:
            with in_our_words(connection, lambda: False, lambda: True):
                async with asyncio.timeout(limit) as deadline:
                    client.deadline = deadline
                    await loop.create_connection(lambda: peer, sock=sock)
                    await options.waiter
        except TimeoutError as exc:
            peer.abort()
            raise Unreachable(connection.host, f"the SSH handshake took more than {limit:g} s") from exc
        except BaseException:
            peer.abort()
            raise
        finally:
            client.end()
        return peer

    async def _prepared(self, connection: Connection) -> Any:
        key = (connection.ssh.key_file, connection.ssh.keepalive_s)
        if key not in self._options:
            self._options[key] = await asyncio.to_thread(_options, connection)
        return self._options[key]


async def _addresses(connection: Connection) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(connection.address, connection.port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _options(connection: Connection) -> asyncssh.SSHClientConnectionOptions:
    keys = [os.fspath(connection.ssh.key_file)] if connection.ssh.key_file else None
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        known_hosts=None,
        client_keys=keys,
        kex_algs=KEX,
        encryption_algs=CIPHERS,
        compression_algs=None,
        preferred_auth=("publickey", "password", "keyboard-interactive"),
        x509_trusted_certs=None,
        gss_host=None,
        agent_path=None,
        username="",
        login_timeout=0,
        keepalive_interval=connection.ssh.keepalive_s,
        keepalive_count_max=3,
    )
