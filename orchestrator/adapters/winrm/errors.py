"""The border: every error of pypsrp and of what it stands on, said in our words. The most specific entry wins.

Loads requests and pypsrp, so only the modules that need the wire import it.
"""

import http.client
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

import pypsrp.exceptions as psrp
import requests.exceptions as web
import spnego.exceptions as nego
import urllib3.exceptions as http3
from pypsrp._pool_manager import NewConnectionDisabled

from orchestrator.domain.connection import Auth, Connection
from orchestrator.domain.errors import (
    AuthRejected,
    HostError,
    ProtocolError,
    QuotaExceeded,
    Unreachable,
    Untrusted,
)

OPERATION_TIMED_OUT = 2150858793
QUOTA_FAULTS = frozenset({2150858815, *range(2150859173, 2150859177), 2150859179, *range(2150859236, 2150859243)})
"""ERROR_WSMAN_QUOTA_*: shells, operations, users, commands per shell. Source: wsmerror.h of the Windows SDK."""
_LOST_FAULTS = {
    OPERATION_TIMED_OUT: "WinRM on the host did not finish in time",
    2150858843: "the shell on the host is gone",
    995: "the shell on the host was closed under us",
}
_ACCESS_DENIED_FAULT = 5
_USUAL = {(5985, True): "http", (5986, False): "https"}
"""What a port speaks by convention, by port and by whether HTTPS is spoken to it."""
_SAID_MOST = 300
_NO_TICKET = (nego.BadMechanismError, nego.NoCredentialError, nego.OperationNotAvailableError)
_EXTRAS = {Auth.KERBEROS: "kerberos", Auth.CREDSSP: "credssp"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong, with which connection, and whether the request may have reached the host."""

    exc: BaseException
    connection: Connection
    sent: bool

    @property
    def host(self) -> str:
        """The inventory name."""
        return self.connection.host

    @property
    def said(self) -> str:
        """The first line of what the library said, or its type."""
        text = str(self.exc).strip().partition("\n")[0] or type(self.exc).__name__
        return text if len(text) <= _SAID_MOST else text[:_SAID_MOST] + " ..."


@contextmanager
def in_our_words(connection: Connection, written: Callable[[], bool]) -> Iterator[None]:
    """Raise HostError or its kin instead of anything that the libraries raise. *written*: see HostError.sent."""
    try:
        yield
    except HostError:
        raise
    except tuple(MEANS) as exc:
        ours = next(MEANS[kind] for kind in type(exc).__mro__ if kind in MEANS)
        raise ours(Trouble(exc, connection, written())) from exc


def _unreachable(trouble: Trouble) -> HostError:
    return Unreachable(trouble.host, _cause(trouble), sent=trouble.sent, hint=_crossed(trouble.connection))


def _crossed(connection: Connection) -> str:
    """What to say if HTTP and HTTPS may have met: the port is the usual one of the other."""
    other = _USUAL.get((connection.port, connection.https), "")
    return f"{connection.port} usually speaks {other}: set ansible_psrp_protocol: {other}" if other else ""


def _silent(trouble: Trouble) -> HostError:
    text = f"no answer within {trouble.connection.read_timeout_s:g} s"
    return Unreachable(trouble.host, text, sent=trouble.sent)


def _garbage(trouble: Trouble) -> HostError:
    return ProtocolError(
        trouble.host, f"the answer can't be read ({type(trouble.exc).__name__}: {trouble.said})", sent=trouble.sent
    )


def _rejected(trouble: Trouble) -> HostError:
    connection = trouble.connection
    return AuthRejected(
        trouble.host,
        f"the host refused {connection.user or 'the credentials'} ({connection.auth}): {trouble.said}",
        hint="check ansible_user, ansible_password and ansible_psrp_auth; the same secret is not tried again",
    )


def _tls(trouble: Trouble) -> HostError:
    cause = _innermost(trouble.exc)
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = (
            "set ansible_psrp_ca_cert to the PEM file of the authority that signed the host's certificate, and"
            " ansible_host to a name in it; ansible_psrp_cert_validation: ignore accepts any certificate"
        )
        return Untrusted(trouble.host, f"TLS failed: {cause.verify_message}", sent=trouble.sent, hint=hint)
    hint = _crossed(trouble.connection) or "check that the port speaks HTTPS and which TLS versions the host allows"
    return Unreachable(trouble.host, f"TLS failed: {_cause(trouble)}", sent=trouble.sent, hint=hint)


def _missing(trouble: Trouble) -> HostError:
    extra = _EXTRAS.get(trouble.connection.auth, "kerberos")
    return HostError(
        trouble.host,
        f"{trouble.connection.auth} authentication needs a library that is not installed ({trouble.said})",
        hint=f"run: pip install 'orchestrator[{extra}]'",
    )


def _nego(trouble: Trouble) -> HostError:
    """The handshake could not be made with what we have: never tried again as it is."""
    if trouble.connection.auth in _EXTRAS and isinstance(
        trouble.exc, (nego.BadMechanismError, nego.FeatureMissingError)
    ):
        return _missing(trouble)
    if trouble.connection.password is None and isinstance(trouble.exc, _NO_TICKET):
        hint = "set ansible_password, or type it with --ask-pass; for a ticket run kinit as this user"
        text = "no password is set, and there is no Kerberos ticket that could be used"
        return AuthRejected(trouble.host, text, hint=hint)
    return _rejected(trouble)


def _fault(trouble: Trouble) -> HostError:
    assert isinstance(trouble.exc, psrp.WSManFaultError)
    code, said = trouble.exc.code, trouble.exc.reason or trouble.said
    if code in QUOTA_FAULTS:
        hint = "see `winrm get winrm/config/winrs` on the host: MaxShellsPerUser, MaxConcurrentUsers"
        return QuotaExceeded(trouble.host, said, sent=False, hint=hint)
    if code in _LOST_FAULTS:
        return Unreachable(trouble.host, f"{_LOST_FAULTS[code]} ({said})", sent=trouble.sent)
    if code == _ACCESS_DENIED_FAULT:
        hint = "the account may sign in but not use this endpoint: see Get-PSSessionConfiguration on the host"
        return AuthRejected(trouble.host, said, hint=hint)
    return HostError(trouble.host, f"WinRM refused: {said} (code {code})", sent=trouble.sent)


def _status(trouble: Trouble) -> HostError:
    """An HTTP status without a WS-Management fault in it."""
    assert isinstance(trouble.exc, psrp.WinRMTransportError)
    code = trouble.exc.code
    if code == 403:
        return _rejected(trouble)
    if code in (429, 502, 503, 504):
        return Unreachable(trouble.host, f"HTTP {code}: WinRM on the host is not ready", sent=trouble.sent)
    hint = "check port and path: WinRM answers at /wsman on 5985 (HTTP) and 5986 (HTTPS)" if code == 404 else ""
    hint = _crossed(trouble.connection) or hint
    return ProtocolError(trouble.host, f"HTTP {code} instead of an answer of WinRM", sent=trouble.sent, hint=hint)


def _setting(trouble: Trouble) -> HostError:
    return HostError(trouble.host, f"the connection can't be used as set: {trouble.said}", sent=trouble.sent)


MEANS: Mapping[type[BaseException], Callable[[Trouble], HostError]] = {
    psrp.WinRMError: _garbage,
    psrp.WinRMTransportError: _status,
    psrp.WSManFaultError: _fault,
    psrp.AuthenticationError: _rejected,
    NewConnectionDisabled: _unreachable,
    web.RequestException: _unreachable,
    web.Timeout: _silent,
    web.ConnectTimeout: _silent,
    web.SSLError: _tls,
    web.InvalidURL: _setting,
    web.MissingSchema: _setting,
    web.InvalidSchema: _setting,
    web.InvalidHeader: _setting,
    web.InvalidJSONError: _garbage,
    web.ContentDecodingError: _garbage,
    web.TooManyRedirects: _garbage,
    http3.HTTPError: _unreachable,
    http3.SSLError: _tls,
    http3.DecodeError: _garbage,
    http3.TimeoutError: _silent,
    http3.NewConnectionError: _unreachable,
    http3.ProtocolError: _unreachable,
    http3.IncompleteRead: _unreachable,
    http3.HeaderParsingError: _garbage,
    http3.LocationValueError: _setting,
    http3.ProxySchemeUnknown: _setting,
    http3.ProxySchemeUnsupported: _setting,
    nego.SpnegoError: _nego,
    nego.NativeError: _nego,
    nego.FeatureMissingError: _nego,
    nego.InvalidTokenError: _garbage,
    nego.BadMICError: _garbage,
    http.client.HTTPException: _garbage,
    ElementTree.ParseError: _garbage,
    ssl.SSLError: _tls,
    OSError: _unreachable,
    ImportError: _missing,
    struct.error: _garbage,
    ValueError: _garbage,
    LookupError: _garbage,
    TypeError: _garbage,
    AttributeError: _garbage,
    AssertionError: _garbage,
    RecursionError: _garbage,
}
"""What pypsrp lets out, by type. Its parsers stumble over garbage with Python's own errors, from ValueError down."""


def _cause(trouble: Trouble) -> str:
    """The reason in a few words: the system's own if there is one below the libraries' wrappings."""
    cause = _innermost(trouble.exc)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower() if cause.strerror[:1].isupper() else cause.strerror
    text = str(cause).strip().partition("\n")[0] or type(cause).__name__
    return text[:_SAID_MOST]


def _innermost(exc: BaseException) -> BaseException:
    """The error that the libraries wrapped, some of them as an argument or a `reason`."""
    seen: list[BaseException] = []
    current: BaseException | None = exc
    while current is not None and current not in seen:
        seen.append(current)
        inside = [getattr(current, "reason", None), *current.args, current.__cause__, current.__context__]
        current = next((one for one in inside if isinstance(one, BaseException)), None)
    return seen[-1]
