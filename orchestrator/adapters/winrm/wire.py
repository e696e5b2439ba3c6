"""pypsrp's WS-Management client on one TCP connection of ours, with its retries and surprises taken out.

One `Wire` is one connection: it is connected by the event loop and handed over, it is never replaced when it breaks,
and it can be cut from another thread, which frees the thread that waits on it. All methods block.
"""

import functools
import http.client
import io
import logging
import os
import socket
import warnings
from collections.abc import Callable
from typing import Any, cast
from xml.etree import ElementTree

import requests
import requests.adapters
import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import RunspacePoolWarning
from pypsrp.wsman import WSMan, _TransportHTTP
from urllib3.util.wait import wait_for_read

from orchestrator.adapters.winrm.threads import Gate
from orchestrator.domain.connection import Auth, Connection

# These libraries log what we raise, and their debug logs hold whole conversations.
for _library in ("pypsrp", "urllib3", "spnego", "requests"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", category=RunspacePoolWarning)


class Line:
    """The TCP connection of one session. `written` becomes True when bytes of a request leave."""

    def __init__(self, prepared: socket.socket | None, gate: Gate) -> None:
        self.gate = gate
        self._prepared = prepared
        self._used = False
        self._sock: socket.socket | None = prepared
        self.proxied = prepared is None
        self.written = False

    def take(self) -> socket.socket | None:
        """The socket for the first connection; None for any later one: what broke is not replaced."""
        taken, self._prepared, self._used = self._prepared, None, True
        return taken

    def watch(self, sock: socket.socket | None) -> None:
        """*sock* is what is read from now on (TLS wraps the first one)."""
        self._sock = sock

    @property
    def dropped(self) -> bool:
        """Whether the host closed the connection while nobody used it."""
        if self._sock is None or self._sock.fileno() < 0:
            return not self.proxied and self._used
        return wait_for_read(self._sock, timeout=0.0)

    def cut(self) -> None:
        """End the connection from any thread; who waits on it gets an error."""
        sock = self._sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed, or was never connected
                sock.close()

    def close(self) -> None:
        """Free the socket, even where a library still holds it because an error took it by surprise."""
        for sock in (self._prepared, self._sock):
            if sock is not None and sock.fileno() >= 0:
                os.close(sock.detach())


class _Plain(urllib3.connection.HTTPConnection):
    """A connection that uses its line's socket, tells when it writes, and steps aside from the gate to wait."""

    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line
        self.response_class = cast(Any, functools.partial(_Answer, gate=line.gate))

    def _new_conn(self) -> socket.socket:
        return _first(self, self._line)

    def connect(self) -> None:
        with self._line.gate.aside():
            super().connect()

    def send(self, data: Any) -> None:
        _about_to_write(self, self._line)
        super().send(data)


class _Tls(urllib3.connection.HTTPSConnection):
    """The same over TLS."""

    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line
        self.response_class = cast(Any, functools.partial(_Answer, gate=line.gate))

    def _new_conn(self) -> socket.socket:
        return _first(self, self._line)

    def connect(self) -> None:
        with self._line.gate.aside():
            super().connect()

    def send(self, data: Any) -> None:
        _about_to_write(self, self._line)
        super().send(data)


class _Answer(http.client.HTTPResponse):
    """A response whose reader steps aside from the gate while it waits for the host."""

    def __init__(self, sock: socket.socket, *args: Any, gate: Gate, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Aside(self.fp.detach(), gate))


class _Aside(io.RawIOBase):
    """*raw*, read outside the gate. pypsrp looks for `_sock` to bind its handshake to the TLS channel."""

    def __init__(self, raw: io.RawIOBase, gate: Gate) -> None:
        self._raw = raw
        self._gate = gate

    @property
    def _sock(self) -> Any:
        return cast(Any, self._raw)._sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        with self._gate.aside():
            return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _first(connection: urllib3.connection.HTTPConnection, line: Line) -> socket.socket:
    sock = line.take()
    if sock is None:
        raise urllib3.exceptions.NewConnectionError(connection, "the connection broke")
    timeout = connection.timeout
    sock.settimeout(timeout if isinstance(timeout, float | int) else None)
    return sock


def _about_to_write(connection: urllib3.connection.HTTPConnection, line: Line) -> None:
    if connection.sock is None:
        connection.connect()
    line.watch(connection.sock)
    line.written = True


class _PlainPool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ConnectionCls = cast(Any, functools.partial(_Plain, line=line))


class _TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ConnectionCls = cast(Any, functools.partial(_Tls, line=line))


def _adapter(line: Line) -> requests.adapters.HTTPAdapter:
    """An HTTP adapter whose one connection is *line*."""
    adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1)
    pools = {"http": functools.partial(_PlainPool, line=line), "https": functools.partial(_TlsPool, line=line)}
    adapter.poolmanager.pool_classes_by_scheme = cast(Any, pools)
    return adapter


class _Transport(_TransportHTTP):
    """pypsrp's HTTP transport on one line: no retries, no environment, one read timeout for every request."""

    line: Line

    def send(self, message: bytes, *, retries_on_read_timeout: int = 0, timeout: Any = None) -> bytes:
        return super().send(message)

    def _build_session(self) -> requests.Session:
        session = super()._build_session()
        session.trust_env = False
        adapter = _adapter(self.line)
        if not self.line.proxied:
            session.mount("http://", adapter)
            session.mount("https://", adapter)
        return session


class Wire(WSMan):
    """One connection to one host. `requests` counts WS-Management requests, without the handshake's.

    `let_in` is called when WinRM first answers a request, with a fault or without: whoever gets an answer is signed in.
    """

    def __init__(self, connection: Connection, password: str | None, line: Line) -> None:
        settings = _settings(connection, password)
        seconds = max(1, min(int(connection.operation_timeout_s), int(connection.read_timeout_s) - 1))
        super().__init__(connection.address, operation_timeout=seconds, **settings)
        self.line = line
        self.transport = _Transport(connection.address, **settings)
        self.transport.line = line
        self.requests = 0
        self.let_in: Callable[[], object] | None = None

    def invoke(self, *args: Any, **kwargs: Any) -> ElementTree.Element:
        self.requests += 1
        try:
            answer = super().invoke(*args, **kwargs)
        except WSManFaultError:
            self._answered()
            raise
        self._answered()
        return answer

    def _answered(self) -> None:
        tell, self.let_in = self.let_in, None
        if tell is not None:
            tell()


def _settings(connection: Connection, password: str | None) -> dict[str, Any]:
    """The connection in pypsrp's words.

    Basic over HTTP has no message encryption; whoever wants it says `encryption: never` and means it.
    """
    verify: bool | str = connection.ca or True if connection.verify else False
    settings: dict[str, Any] = {
        "port": connection.port,
        "username": connection.user or None,
        "password": password,
        "ssl": connection.https,
        "path": connection.path,
        "auth": connection.auth.value,
        "cert_validation": verify,
        "connection_timeout": connection.connection_timeout_s,
        "read_timeout": connection.read_timeout_s,
        "encryption": connection.encryption,
        "proxy": connection.proxy or None,
        "no_proxy": not connection.proxy,
    }
    return settings | _of_auth(connection)


def _of_auth(connection: Connection) -> dict[str, Any]:
    if connection.auth is Auth.CERTIFICATE:
        return {
            "certificate_pem": connection.certificate_pem,
            "certificate_key_pem": connection.certificate_key_pem or connection.certificate_pem,
        }
    if connection.auth in (Auth.NTLM, Auth.NEGOTIATE, Auth.KERBEROS):
        return {
            "negotiate_service": connection.negotiate_service,
            "negotiate_hostname_override": connection.negotiate_hostname_override or None,
            "negotiate_delegate": connection.negotiate_delegate,
        }
    return {}
