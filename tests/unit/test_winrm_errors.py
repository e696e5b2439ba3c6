"""The border: no exception of pypsrp, or of what it stands on, gets past it unsaid."""

import inspect
import ssl
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pypsrp.exceptions
import pytest
import requests.exceptions
import spnego
import spnego.exceptions
import urllib3.exceptions

from orchestrator.adapters.winrm.errors import MEANS, QUOTA_FAULTS, in_our_words
from orchestrator.domain.connection import Auth, Connection
from orchestrator.domain.errors import (
    TRANSIENT,
    AuthRejected,
    HostError,
    ProblemKind,
    ProtocolError,
    QuotaExceeded,
    Unreachable,
    Untrusted,
)
from orchestrator.domain.secrets import Secret

HERE = Connection(host="db-01", address="10.0.0.4", port=5986, user="CORP\\orch")


def exceptions_of(module: ModuleType) -> list[type[Exception]]:
    """The exception classes that *module* defines, by name; warnings are no errors."""
    found = [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, Exception) and not issubclass(one, Warning) and one.__module__ == module.__name__
    ]
    assert len(found) > 5
    return found


@pytest.mark.parametrize(
    "kind",
    [
        *exceptions_of(pypsrp.exceptions),
        *exceptions_of(requests.exceptions),
        *exceptions_of(urllib3.exceptions),
        *exceptions_of(spnego.exceptions),
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_every_exception_of_the_libraries_has_a_meaning(kind: type[Exception]) -> None:
    assert any(base in MEANS for base in kind.__mro__)


def said(exc: BaseException, *, written: bool = False) -> HostError:
    with pytest.raises(HostError) as caught, in_our_words(HERE, lambda: written):
        raise exc
    return caught.value


def fault(code: int) -> pypsrp.exceptions.WSManFaultError:
    return pypsrp.exceptions.WSManFaultError(code, "db-01", "Der Dienst sagt nein.", None, None, None)


@pytest.mark.parametrize(
    ("exc", "ours"),
    [
        (requests.exceptions.ReadTimeout("slow"), Unreachable),
        (requests.exceptions.ConnectionError("cut"), Unreachable),
        (requests.exceptions.ChunkedEncodingError("half"), Unreachable),
        (requests.exceptions.SSLError("tls"), Unreachable),
        (pypsrp.exceptions.AuthenticationError("no"), AuthRejected),
        (pypsrp.exceptions.FragmentError("half"), ProtocolError),
        (pypsrp.exceptions.WinRMTransportError("http", 500, "<html>"), ProtocolError),
        (pypsrp.exceptions.WinRMTransportError("http", 403, ""), AuthRejected),
        (pypsrp.exceptions.WinRMTransportError("http", 503, ""), Unreachable),
        (spnego.exceptions.InvalidTokenError(), ProtocolError),
        (spnego.exceptions.InvalidCredentialError(), AuthRejected),
        (ValueError("not base64"), ProtocolError),
        (ConnectionResetError(104, "Connection reset by peer"), Unreachable),
        (fault(5), AuthRejected),
        (fault(995), Unreachable),
        (fault(2150858843), Unreachable),
        (fault(2150858793), Unreachable),
        *((fault(code), QuotaExceeded) for code in sorted(QUOTA_FAULTS)),
    ],
)
def test_the_most_specific_meaning_wins(exc: Exception, ours: type[HostError]) -> None:
    assert type(said(exc)) is ours


@pytest.mark.parametrize("auth", [Auth.NEGOTIATE, Auth.KERBEROS])
def test_neither_password_nor_ticket_is_told_in_words(auth: Auth) -> None:
    raw = spnego.exceptions.NoCredentialError(context_msg="the credential cache did not exist")
    with pytest.raises(AuthRejected) as caught, in_our_words(replace(HERE, auth=auth), lambda: False):
        raise raw
    assert caught.value.text == "no password is set, and there is no Kerberos ticket that could be used"
    assert all(word in caught.value.hint for word in ("ansible_password", "--ask-pass", "kinit"))


def test_the_library_itself_without_password_and_ticket_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    with pytest.raises(AuthRejected, match="no password is set"), in_our_words(HERE, lambda: False):
        spnego.client(None, None, hostname="db-01", service="http", protocol="negotiate").step()


def test_a_wrong_password_is_not_told_as_a_missing_one() -> None:
    own = replace(HERE, password=Secret("x"))
    with pytest.raises(AuthRejected, match="the host refused"), in_our_words(own, lambda: False):
        raise spnego.exceptions.NoCredentialError


def test_our_own_mistakes_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), in_our_words(HERE, lambda: False):
        _ = 1 / 0


@pytest.mark.parametrize("written", [False, True])
def test_sent_says_whether_bytes_left(written: bool) -> None:
    assert said(requests.exceptions.ConnectionError("cut"), written=written).sent is written
    assert said(fault(2150859173), written=written).sent is False, "a quota fault says that nothing was done"


def test_the_text_is_the_systems_own_word() -> None:
    inner = urllib3.exceptions.ProtocolError(
        "Connection aborted.", ConnectionResetError(104, "Connection reset by peer")
    )
    assert said(requests.exceptions.ConnectionError(inner)).text == "connection reset by peer"


def test_an_untrusted_certificate_says_what_to_set() -> None:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "unable to get local issuer certificate"
    error = said(requests.exceptions.SSLError(urllib3.exceptions.SSLError(cause)))
    assert error.text == "TLS failed: unable to get local issuer certificate"
    assert isinstance(error, Untrusted)
    assert not isinstance(error, TRANSIENT), "it would be tried again"
    assert error.problem.kind is ProblemKind.UNREACHABLE
    assert "ansible_psrp_ca_cert" in error.hint


def on(port: int, exc: BaseException, *, https: bool) -> str:
    """The hint of *exc* on a connection to *port*."""
    with pytest.raises(HostError) as caught, in_our_words(replace(HERE, port=port, https=https), lambda: False):
        raise exc
    return caught.value.hint


def test_http_and_https_mixed_up_are_told() -> None:
    cut = requests.exceptions.ConnectionError("Remote end closed connection without response")
    bad_request = pypsrp.exceptions.WinRMTransportError("http", 400, "")
    assert on(5986, cut, https=False) == "5986 usually speaks https: set ansible_psrp_protocol: https"
    assert on(5986, bad_request, https=False).startswith("5986 usually speaks https")
    assert on(5985, requests.exceptions.SSLError("WRONG_VERSION_NUMBER"), https=True).startswith("5985 usually speaks")
    assert not on(5985, cut, https=False)
    assert not on(5986, cut, https=True)


def test_a_long_answer_is_cut() -> None:
    assert len(said(ValueError("x" * 100_000)).text) < 1000
