"""HTTP/1.1 as WinRM needs it: keep-alive, one request after the other on a connection, POST bodies with a length."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_LONGEST_HEAD = 65536
_LONGEST_BODY = 8 * 1024 * 1024
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, and how its sending may go wrong: `cut` drops the connection in the middle of it (or before it,
    when `cut` is "before"), `silent` leaves it hanging there."""

    status: int
    body: bytes = b""
    content_type: str = "application/soap+xml;charset=UTF-8"
    headers: list[tuple[str, str]] = field(default_factory=list)
    cut: str = ""


class Connection(asyncio.Protocol):
    """One client connection. *answer* is awaited for one request at a time and cancelled when the client leaves.

    `cut` of an answer: "" sends it whole; "before" drops the connection instead; "during" drops it half-way;
    "silent" sends half and then nothing more.
    """

    def __init__(
        self,
        answer: Callable[["Connection", Request], Awaitable[Response]],
        opened: Callable[["Connection"], None],
        closed: Callable[["Connection"], None],
    ) -> None:
        self._answer = answer
        self._opened = opened
        self._closed = closed
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str], int] | None = None
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task:
            self._task.cancel()
        self._closed(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def drop(self) -> None:
        """Cut the connection at once, with a reset if anything is on its way."""
        if self.transport:
            self.transport.abort()

    def _next(self) -> None:
        if self._task is not None:
            return
        try:
            request = self._parse()
        except ValueError:
            self._send(Response(400))
            self.drop()
            return
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._serve(request))
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A mistake of ours must not look like a host that fell silent."""
        if not task.cancelled() and (bug := task.exception()):
            self.drop()
            asyncio.get_running_loop().call_exception_handler({"message": "a request broke", "exception": bug})

    async def _serve(self, request: Request) -> None:
        response = await self._answer(self, request)
        if not self._send(response):
            return
        self._task = None
        self._next()

    def _parse(self) -> Request | None:
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                # A method begins with a letter; TLS, for one, does not.
                if len(self._buffer) > _LONGEST_HEAD or (self._buffer and not self._buffer[:1].isalpha()):
                    raise ValueError("no HTTP")
                return None
            lines = self._buffer[:end].decode("latin-1").split("\r\n")
            del self._buffer[: end + 4]
            method, path, _ = lines[0].split(" ", 2)
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
            }
            length = int(headers.get("content-length", "0"))
            if not 0 <= length <= _LONGEST_BODY:
                raise ValueError("body too long")
            self._head = (method, path, headers, length)
        method, path, headers, length = self._head
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        return Request(method, path, headers, body)

    def _send(self, response: Response) -> bool:
        """Whether the connection goes on after it."""
        if self.transport is None or self.transport.is_closing():
            return False
        if response.cut == "before":
            self.drop()
            return False
        lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Lab')}", "Server: Microsoft-HTTPAPI/2.0"]
        if response.body:
            lines.append(f"Content-Type: {response.content_type}")
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        data = "\r\n".join(lines).encode("latin-1") + response.body
        if not response.cut:
            self.transport.write(data)
            return True
        self.transport.write(data[: len(data) - max(1, len(response.body) // 2)])
        if response.cut == "during":
            self.transport.close()
        return False
