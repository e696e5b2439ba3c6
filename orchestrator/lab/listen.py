"""Listening sockets on loopback, many of them cheaply: no asyncio server object, no task until somebody connects."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

BACKLOG = 1024


class Listener:
    """Accepts on *address*:*port* from construction until `close`.

    Raises: OSError when the address can't be bound. `secure` is asked for the TLS context at the first connection, so
    that a thousand hosts do not make a thousand certificates before anybody comes.
    """

    def __init__(
        self,
        address: str,
        port: int,
        protocol: Callable[[], asyncio.Protocol],
        *,
        secure: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._secure = secure
        self._accepting: set[asyncio.Task[None]] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setblocking(False)
            self._socket.bind((address, port))
            self._socket.listen(BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening; accepted connections are not touched."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        for task in self._accepting:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._adopt(connection))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _adopt(self, connection: socket.socket) -> None:
        context = self._secure() if self._secure else None
        # A client that leaves in mid-handshake is its own affair: asyncio has closed the socket by then.
        with contextlib.suppress(OSError, ssl.SSLError):
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=context)
