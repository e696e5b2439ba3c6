"""Probes from the controller: TCP by asyncio, HTTP by httpx (loaded when the first HTTP gate is met).

Nothing that a probe says holds a secret or a piece of a body: libraries' messages that may quote a request are
replaced by our own words.
"""

import asyncio
import errno
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.domain.errors import SecretError
from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.http_verdict import BODY_LIMIT, verdict
from orchestrator.domain.secrets import OPEN
from orchestrator.engine.ports import Seen

if TYPE_CHECKING:
    import httpx

CLOSE_S = 1.0
Trust = tuple[bool, bool, str]
"""What clients are told apart by: whether TLS is spoken, whether it is verified, and the CA."""


class ControllerProbe:
    """The Probe port. *reveal* resolves the secret references of a text; it may block, and runs in a thread.

    Every probe opens a connection of its own, for that is what it asks about; TLS trust is loaded once per CA.
    """

    def __init__(self, reveal: Callable[[str], str]) -> None:
        self._reveal = reveal
        self._clients: dict[Trust, httpx.AsyncClient] = {}

    async def tcp(self, host: str, port: int, *, timeout_s: float) -> Seen:
        """See Probe."""
        try:
            async with asyncio.timeout(timeout_s):
                host = (await self._revealed([host]))[host]
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return Seen(False, f"no answer within {timeout_s:g} s (filtered, or the host is down)")
        except (OSError, UnicodeError, OverflowError, SecretError) as error:
            refused = _refused(error)
            return Seen(False, "connection refused" if refused else _why(error), answered=refused)
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await writer.wait_closed()
        return Seen(True, "connected")

    async def http(self, check: HttpCheck, *, timeout_s: float) -> Seen:
        """See Probe. At most 64 KiB of the body are read."""
        import httpx  # noqa: PLC0415 - a tenth of a second that only runs with HTTP gates should pay

        way = _Way()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._asked(check, way)
        except TimeoutError:
            return Seen(False, f"no whole answer within {timeout_s:g} s", lost=way.sent)
        except httpx.TransportError as error:
            return Seen(False, _why(error), lost=way.sent)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError):
            return Seen(False, "the request can't be made: look at its URL, method and headers", lost=way.sent)
        except (OSError, SecretError) as error:
            return Seen(False, _why(error), lost=way.sent)

    async def aclose(self) -> None:
        """Close the clients. Safe to call twice."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.aclose()

    async def _asked(self, check: HttpCheck, way: "_Way") -> Seen:
        values = [value for _, value in check.json if isinstance(value, str)]
        headers = [value for _, value in check.headers]
        plain = await self._revealed([check.url, check.text, check.regex, check.body, *headers, *values])
        url = plain[check.url]
        client = await self._client((url[:6].lower() == "https:", check.verify, check.ca))
        sent = [(name, plain[value]) for name, value in check.headers]
        if not any(name.lower() == "accept-encoding" for name, _ in sent):
            sent.append(("Accept-Encoding", "identity"))
        watched, content = {"trace": way.trace}, plain[check.body].encode() or None
        async with client.stream(check.method, url, headers=sent, content=content, extensions=watched) as response:
            body = bytearray()
            async for chunk in response.aiter_raw():  # raw: a compressed answer can't blow up here
                body += chunk
                if len(body) >= BODY_LIMIT:
                    break
            text = _decoded(bytes(body[:BODY_LIMIT]), response.charset_encoding)
            held, saw = verdict(check, response.status_code, text, reveal=lambda text: plain.get(text, text))
            return Seen(held, saw, answered=not held, status=None if held else response.status_code)

    async def _revealed(self, texts: list[str]) -> dict[str, str]:
        """Each text with its references resolved."""
        plain = {text: text for text in texts}
        for text in plain:
            if OPEN in text:
                plain[text] = await asyncio.to_thread(self._reveal, text)
        return plain

    async def _client(self, trust: Trust) -> "httpx.AsyncClient":
        if trust not in self._clients:
            import httpx  # noqa: PLC0415 - see above

            # At INFO and below these two log URLs and headers, with the secrets in them.
            logging.getLogger("httpx").setLevel(logging.WARNING)
            logging.getLogger("httpcore").setLevel(logging.WARNING)
            context = _context(trust)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._clients[trust] = httpx.AsyncClient(
                verify=context, trust_env=False, follow_redirects=False, timeout=None, limits=limits
            )
        return self._clients[trust]


class _Way:
    """How far one request got. `sent` from the moment on that its first byte may have left."""

    def __init__(self) -> None:
        self.sent = False

    async def trace(self, event: str, _details: object) -> None:
        """Told by httpcore of every event of the request."""
        self.sent = self.sent or event.endswith(".send_request_headers.started")


def _context(trust: Trust) -> ssl.SSLContext:
    """TLS as asked for; the system's CAs unless one is named. For plain HTTP an empty one, which costs nothing.

    Raises: OSError (ssl.SSLError is one) when the CA can't be loaded.
    """
    tls, verify, ca = trust
    if tls and verify:
        in_folder = bool(ca) and Path(ca).is_dir()
        return ssl.create_default_context(cafile=ca if ca and not in_folder else None, capath=ca if in_folder else None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


def _refused(error: BaseException) -> bool:
    """Whether an address of the name refused; asyncio puts what several addresses said into the text of one OSError."""
    return isinstance(error, ConnectionRefusedError) or str(errno.ECONNREFUSED) in _ERRNO.findall(str(error))


def _why(error: BaseException) -> str:
    """What went wrong, in words, from the most telling error of the chain."""
    chain = list(_chain(error))
    for kind, words in _WORDS:
        if any(isinstance(link, kind) for link in chain):
            return words
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {link.verify_message} (`ca: FILE`, or `verify: false`)"
        if isinstance(link, ssl.SSLError):
            return f"TLS failed: {link.reason or 'the certificate or CA file is no PEM'}"
        if isinstance(link, SecretError) or (isinstance(link, OSError) and link.strerror):
            return str(link) if isinstance(link, SecretError) else str(link.strerror)
    return f"no connection ({type(chain[-1]).__name__})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """*error* and everything that it came from."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        yield from _chain(error.exceptions[0])
    elif (cause := error.__cause__ or error.__context__) is not None:
        yield from _chain(cause)


_ERRNO = re.compile(r"\[Errno (\d+)\]")
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (socket.gaierror, "name not found"),
    (UnicodeError, "that is no host name"),
    (ConnectionResetError, "the connection was reset"),
)
