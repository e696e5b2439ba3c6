"""The TCP ports of a running service: real listening sockets that health gates may knock at."""

import asyncio
from collections.abc import Callable
from typing import Any

from orchestrator.lab.fleet import PortSpec
from orchestrator.lab.listen import Listener
from orchestrator.lab.processes import Process
from orchestrator.lab.service import Service, Timer

_LONGEST_HEAD = 65536


class ServicePort:
    """One port of one service. Opening happens after its warm-up; closing drops the connections too."""

    def __init__(self, address: str, service: Service, spec: PortSpec, log: Callable[..., None]) -> None:
        self.spec = spec
        self.service = service
        self.owner: Process | None = None
        """The process that listens."""
        self.connections: set[asyncio.Transport] = set()
        self._address = address
        self._log = log
        self._listener: Listener | None = None
        self._warming: Timer | None = None

    @property
    def is_open(self) -> bool:
        """Whether it listens now."""
        return self._listener is not None

    def open(self, warmup_s: float) -> None:
        """Listen after *warmup_s*; now, if that is 0. Not while a process of the service's earlier life does."""
        service = self.service
        if self._listener is not None and self.owner in service.left:
            self._log("port-failed", service=service.name, port=self.spec.port, error="Address already in use")
            return
        self.close()
        self.owner = service.children[0] if self.spec.by_child and service.children else service.process
        if warmup_s:
            self._warming = asyncio.get_running_loop().call_later(warmup_s, self._listen)
        else:
            self._listen()

    def close(self) -> None:
        """Listen no more."""
        if self._warming:
            self._warming.cancel()
            self._warming = None
        if self._listener:
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.abort()

    def probed(self, **seen: Any) -> None:
        """Somebody knocked."""
        self._log("probe", service=self.service.name, port=self.spec.port, **seen)

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body of an HTTP port for *path*."""
        if "never-healthy" in self.service.faults:
            return 503, b"Service Unavailable"
        if path.partition("?")[0] != self.spec.path:
            return 404, b"Not Found"
        return self.spec.status, self.spec.body.encode()

    def _listen(self) -> None:
        self._warming = None
        try:
            self._listener = Listener(self._address, self.spec.port, lambda: _Visitor(self))
        except OSError as exc:
            self._log("port-failed", service=self.service.name, port=self.spec.port, error=str(exc))


class _Visitor(asyncio.Protocol):
    """One connection to a service port; a tcp one is held until the client leaves."""

    def __init__(self, port: ServicePort) -> None:
        self._port = port
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._port.connections.add(transport)
        if self._port.spec.speaks == "tcp":
            self._port.probed(speaks="tcp")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport:
            self._port.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._port.spec.speaks == "tcp" or self._transport is None:
            return
        self._head += data
        if not self._head[:1].isalpha():  # TLS, for one, where plain HTTP is spoken
            self._transport.abort()
            return
        if b"\r\n\r\n" not in self._head and len(self._head) < _LONGEST_HEAD:
            return
        method, _, rest = self._head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0]
        status, body = self._port.answer(path)
        self._port.probed(speaks="http", method=method, path=path, status=status)
        kind = "application/json" if body[:1] in (b"{", b"[") else "text/plain"
        head = f"HTTP/1.1 {status} Lab\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        self._transport.write(head.encode() + b"\r\n" + (b"" if method == "HEAD" else body))
        self._transport.close()
