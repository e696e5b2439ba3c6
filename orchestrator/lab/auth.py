"""Who is there: Basic, NTLM and Negotiate with message encryption, one security context for each connection."""

import base64
import binascii
import hmac
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import spnego
from spnego._ntlm_raw.crypto import ntowfv1
from spnego.exceptions import SpnegoError

from orchestrator.lab.http import Request, Response

_ENCRYPTED = "multipart/encrypted"
_PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
_PART = re.compile(rb"--\s*Encrypted Boundary(?:--)?\r\n")
_SCHEMES = [("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", 'Basic realm="WSMAN"')]


def write_users(path: Path, users: Mapping[str, str]) -> None:
    """The credential file that pyspnego's NTLM server reads, in smbpasswd's format: hashes, so that any letter goes."""
    path.touch(mode=0o600)
    lines = [f"{user}:1000:{'0' * 32}:{ntowfv1(password).hex()}:[U]:LCT-00000000\n" for user, password in users.items()]
    path.write_text("".join(lines), encoding="utf-8")


class NotReadable(ValueError):
    """An encrypted body can't be decrypted; the connection is of no more use."""


class Gatekeeper:
    """The authentication of one connection.

    `user` is who was let in last. With an established NTLM context all bodies are encrypted both ways, except over
    TLS, where clients send them plainly.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users
        self._context: spnego.ContextProxy | None = None
        self._encrypts = False
        self.user = ""
        self.attempted = False
        """Whether the last request brought credentials that were looked at to the end."""
        self.known = False
        """Whether somebody was let in before on this connection; whoever logs it sets it."""
        self.token: list[tuple[str, str]] = []
        """The header that completes a handshake; it belongs on the answer to the same request."""

    def admit(self, request: Request, *, reject: bool) -> Response | None:
        """None if the request may go on; else the answer that it gets: a challenge, or the last token."""
        self.attempted, self.token = False, []
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            self.attempted = True
            return None if self._basic(value) and not reject else self._refuse()
        if scheme.lower() in ("negotiate", "ntlm"):
            return self._negotiate(scheme, value, request, reject=reject)
        if self._context is not None and self._context.complete and self.user and not reject:
            return None
        return self._refuse()

    def open(self, request: Request) -> bytes:
        """The body, decrypted if need be. Raises NotReadable."""
        if not request.headers.get("content-type", "").startswith(_ENCRYPTED):
            self._encrypts = False
            return request.body
        if self._context is None or not self._context.complete:
            raise NotReadable("an encrypted body without a security context")
        self._encrypts = True
        parts = _PART.split(request.body)
        try:
            sealed = parts[2].removeprefix(b"\tContent-Type: application/octet-stream\r\n")
            (length,) = struct.unpack("<i", sealed[:4])
            return self._context.unwrap_winrm(sealed[4 : 4 + length], sealed[4 + length :])
        except (IndexError, struct.error, SpnegoError) as exc:
            raise NotReadable(str(exc)) from exc

    def seal(self, body: bytes) -> tuple[bytes, str]:
        """Body and content type as they go out: encrypted if the request was."""
        if not self._encrypts or self._context is None:
            return body, "application/soap+xml;charset=UTF-8"
        sealed = self._context.wrap_winrm(body)
        head = (
            f"--Encrypted Boundary\r\n\tContent-Type: {_PROTOCOL}\r\n"
            "\tOriginalContent: type=application/soap+xml;charset=UTF-8;"
            f"Length={len(body) + sealed.padding_length}\r\n"
            "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
        ).encode()
        data = (
            head + struct.pack("<i", len(sealed.header)) + sealed.header + sealed.data + b"--Encrypted Boundary--\r\n"
        )
        return data, f'{_ENCRYPTED};protocol="{_PROTOCOL}";boundary="Encrypted Boundary"'

    def _basic(self, value: str) -> bool:
        try:
            data = base64.b64decode(value, validate=True)
        except binascii.Error:
            return False
        try:
            user, _, password = data.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            user, _, password = data.decode("latin-1").partition(":")
        self.user = user
        known = self._users.get(user)
        return known is not None and hmac.compare_digest(known.encode(), password.encode())

    def _negotiate(self, scheme: str, value: str, request: Request, *, reject: bool) -> Response | None:
        try:
            token = base64.b64decode(value, validate=True)
        except binascii.Error:
            return self._refuse()
        if self._context is None or self._context.complete:
            protocol = "ntlm" if token.startswith(b"NTLMSSP\0") else "negotiate"
            options = spnego.NegotiateOptions.use_ntlm if protocol == "ntlm" else spnego.NegotiateOptions.use_negotiate
            self._context = spnego.server(protocol=protocol, options=options)
            self.user = ""
        try:
            back = self._context.step(token)
        except (SpnegoError, ValueError):
            self.attempted = True
            return self._refuse()
        if not self._context.complete:
            return Response(401, headers=[("WWW-Authenticate", f"{scheme} {base64.b64encode(back or b'').decode()}")])
        self.attempted = True
        if reject:
            return self._refuse()
        self.user = str(self._context.client_principal or "")
        if back:
            self.token = [("WWW-Authenticate", f"{scheme} {base64.b64encode(back).decode()}")]
        return None if request.body else Response(200, headers=self.token)

    def _refuse(self) -> Response:
        self._context = None
        return Response(401, headers=list(_SCHEMES))
