"""asyncssh's errors in our words: what happened, whether the host may have been asked, and what to type next."""

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import asyncssh

from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import AuthRejected, HostError, ProtocolError, QuotaExceeded, Unreachable

_SAID_MOST = 300
_FULL = (asyncssh.OPEN_CONNECT_FAILED, asyncssh.OPEN_RESOURCE_SHORTAGE)
"""What sshd answers when MaxSessions is reached, and what the standard says for it."""
_TOO_MANY = "too many authentication failures"
LIBRARY = (asyncssh.Error, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError, EOFError)
"""What asyncssh lets out, from its own errors to what its parsers stumble over."""


@contextmanager
def in_our_words(connection: Connection, sent: Callable[[], bool], broken: Callable[[], bool]) -> Iterator[None]:
    """Raise HostError or its kin instead of anything that the library raises. *sent*: see HostError.sent; *broken*:
    whether the connection is closed by now. TimeoutError passes: whoever set the limit knows what it means."""
    try:
        yield
    except (HostError, TimeoutError):
        raise
    except LIBRARY as exc:
        raise ours(connection, exc, sent=sent(), broken=broken()) from exc


def ours(connection: Connection, exc: BaseException, *, sent: bool, broken: bool) -> HostError:
    """The error that *exc* means."""
    host = connection.host
    if isinstance(exc, asyncssh.ChannelOpenError):
        return _channel(host, exc, sent=sent, broken=broken)
    if isinstance(exc, asyncssh.DisconnectError):
        return _broken(host, exc, sent=sent)
    if isinstance(exc, socket.gaierror):
        hint = "correct ansible_host, or the name service of this machine"
        return Unreachable(host, f"the name {connection.address} leads to no address", hint=hint)
    if isinstance(exc, OSError):
        reason = (os.strerror(exc.errno) if exc.errno else said(exc)).lower()
        ours_alone = exc.errno in (errno.EMFILE, errno.ENFILE)
        hint = "raise the limit here: ulimit -n" if ours_alone else "is sshd running there, and the port open?"
        return Unreachable(host, f"{connection.address}:{connection.port}: {reason}", sent=sent, hint=hint)
    return ProtocolError(host, f"the answer can't be read ({type(exc).__name__}: {said(exc)})", sent=sent)


def _channel(host: str, exc: asyncssh.ChannelOpenError, *, sent: bool, broken: bool) -> HostError:
    if broken:
        return Unreachable(host, "the connection broke", sent=sent)
    if exc.code in _FULL:
        hint = "see MaxSessions in sshd_config on the host"
        return QuotaExceeded(host, f"the host opens no further channel: {said(exc)}", hint=hint)
    return HostError(host, f"the host opens no channel for commands: {said(exc)}")


def _broken(host: str, exc: asyncssh.DisconnectError, *, sent: bool) -> HostError:
    if isinstance(exc, asyncssh.KeyExchangeFailed):
        hint = "Ciphers, KexAlgorithms and MACs of the SSH configuration choose what is offered"
        return HostError(host, f"no common algorithm: {said(exc)}", hint=hint)
    if isinstance(exc, asyncssh.ProtocolError | asyncssh.ProtocolNotSupported | asyncssh.MACError):
        hint = "does something else than sshd listen there?" if not sent else ""
        return ProtocolError(host, f"what answers speaks no SSH that can be understood: {said(exc)}", hint=hint)
    return Unreachable(host, f"the connection broke: {said(exc)}", sent=sent)


def rejected(
    connection: Connection, user: str, *, tried: Sequence[str], offered: Sequence[str], password: bool, expired: bool
) -> AuthRejected:
    """Nothing that we have lets us in."""
    host = connection.host
    if expired:
        return AuthRejected(host, f"the password of {user} has expired", hint="change it, then run it again")
    means = [*(f"the key {name}" for name in dict.fromkeys(tried)), *(["the password"] if password else [])]
    ways = f"it takes {', '.join(offered)}" if offered else "it takes none of what we know"
    if not means:
        hint = "set ansible_ssh_private_key_file or ansible_password, or load a key: ssh-add FILE"
        return AuthRejected(host, f"the host lets {user} not in without a key or password ({ways})", hint=hint)
    if password:
        hint = "check ansible_user and ansible_password; the same secret is not tried again"
    else:
        hint = (
            r"is its public half in the user's .ssh\authorized_keys on the host, or, for administrators, in"
            r" C:\ProgramData\ssh\administrators_authorized_keys?"
        )
    return AuthRejected(host, f"the host refused {user} with {' and '.join(means)} ({ways})", hint=hint)


def is_rejection(exc: BaseException) -> bool:
    """Whether the host says by *exc* that nothing lets us in."""
    if isinstance(exc, asyncssh.PermissionDenied):
        return True
    return isinstance(exc, asyncssh.DisconnectError) and _TOO_MANY in str(exc).lower()


def said(exc: BaseException) -> str:
    """The first line of what the library said, or its type."""
    text = str(exc).strip().partition("\n")[0] or type(exc).__name__
    return text if len(text) <= _SAID_MOST else text[:_SAID_MOST] + " ..."
