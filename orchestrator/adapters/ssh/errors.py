"""asyncssh's errors in our words: what happened, whether the host may have been asked, and what to type next."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncssh

from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import HostError, ProtocolError, QuotaExceeded, Unreachable

_SAID_MOST = 300
_OPEN_CODES = {
    asyncssh.OPEN_CONNECT_FAILED: QuotaExceeded,
    asyncssh.OPEN_RESOURCE_SHORTAGE: QuotaExceeded,
}
LIBRARY = (asyncssh.Error, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError, EOFError)
"""What asyncssh lets out, from its own errors to what its parsers stumble over."""


@contextmanager
def in_our_words(connection: Connection, sent: Callable[[], bool], broken: Callable[[], bool]) -> Iterator[None]:
    """Raise HostError or its kin instead of anything that the library raises. *sent*: see HostError.sent; *broken*:
    whether the connection is closed by now."""
    try:
        yield
    except HostError:
        raise
    except LIBRARY as exc:
        raise _ours(connection, exc, sent=sent(), broken=broken()) from exc


def _ours(connection: Connection, exc: BaseException, *, sent: bool, broken: bool) -> HostError:
    host = connection.host
    if isinstance(exc, asyncssh.ChannelOpenError):
        if broken:
            return Unreachable(host, "the connection broke", sent=sent)
        kind = _OPEN_CODES.get(exc.code, HostError)
        hint = "see MaxSessions in sshd_config on the host" if kind is QuotaExceeded else ""
        return kind(host, f"the host opens no further channel: {said(exc)}", sent=False, hint=hint)
    if isinstance(exc, asyncssh.DisconnectError):
        kind = ProtocolError if isinstance(exc, asyncssh.ProtocolError) else Unreachable
        return kind(host, f"the connection broke: {said(exc)}", sent=sent)
    if isinstance(exc, socket.gaierror):
        hint = "correct ansible_host, or the name service of this machine"
        return Unreachable(host, f"the name {connection.address} leads to no address", hint=hint)
    if isinstance(exc, OSError):
        text = (os.strerror(exc.errno) if exc.errno else str(exc)).lower()
        hint = "is sshd running there, and the port open?"
        return Unreachable(host, f"{connection.address}:{connection.port}: {text}", sent=sent, hint=hint)
    return ProtocolError(host, f"the answer can't be read ({type(exc).__name__}: {said(exc)})", sent=sent)


def said(exc: BaseException) -> str:
    """The first line of what the library said, or its type."""
    text = str(exc).strip().partition("\n")[0] or type(exc).__name__
    return text if len(text) <= _SAID_MOST else text[:_SAID_MOST] + " ..."
