"""One channel of a connection: a program on the host, what it has said so far, and how it ended.

asyncssh calls the methods of a session here; nothing of it is imported, so that this costs nothing until it is used.
"""

import asyncio
from typing import TYPE_CHECKING

from orchestrator.domain.errors import HostError, ProtocolError, Unreachable

if TYPE_CHECKING:
    from asyncssh import SSHClientChannel

MOST = 1 << 20
"""Bytes of output that a channel may hold unread. What says more is not listened to any longer."""
ERRORS_MOST = 64 << 10
"""Bytes of error output that are kept, the first ones: a program may complain for hours."""


class Channel:
    """A program that runs on *host*, begun on the connection of number *generation*.

    `status` is the exit status as the host sent it, all 32 bits of it; None until one came, and often for good.
    `spoke` says whether it ever wrote to its output.
    Use from one task at a time; `said`, `errors`, `closed` and `close` at any moment.
    """

    def __init__(self, host: str, generation: int) -> None:
        self.host = host
        self.generation = generation
        self.status: int | None = None
        self.opened = False
        self.spoke = False
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._channel: SSHClientChannel[bytes] | None = None
        self._said = bytearray()
        self._errors = bytearray()
        self._lost: HostError | None = None
        self._marker: bytes | None = None
        self._looked = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def said(self) -> bytes:
        """What the program has written to its output and no `read_until` has taken. It stays there."""
        return bytes(self._said)

    @property
    def errors(self) -> bytes:
        """What the program has written to its error output, at most ERRORS_MOST of it."""
        return bytes(self._errors)

    @property
    def lost(self) -> HostError | None:
        """Why nothing more comes, if that is not because the program ended."""
        return self._lost

    def write(self, data: bytes) -> None:
        """Send *data* to the program's input. Raises Unreachable (`sent` False) if it ended or the connection broke."""
        if self.closed or self._channel is None:
            raise self._lost or Unreachable(self.host, "the program at the other end has ended")
        try:
            self._channel.write(data)
        except OSError as exc:
            raise Unreachable(self.host, "the program at the other end takes nothing more") from exc

    def feed(self, data: bytes) -> None:
        """Send *data* as all of the program's input. One that has ended by itself needs none."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)
            self._channel.write_eof()

    async def read_until(self, marker: bytes, *, limit_s: float) -> bytes:
        """Wait for *marker* in the output and take all up to and with it; what follows stays for the next time.

        Raises: Unreachable with `sent` True after *limit_s*, or if the program ends or the connection breaks before;
        ProtocolError if more than MOST bytes came. Cancelled or too late, nothing is taken.
        """
        self._marker, self._looked = marker, 0
        try:
            if not self._found():
                self._check()
                await self._limited(limit_s)
                self._check()
            end = self._said.index(marker) + len(marker)
        finally:
            self._marker = None
        taken = bytes(self._said[:end])
        del self._said[:end]
        return taken

    async def ended(self) -> None:
        """Wait until the program has ended, for ever if need be. Raises what broke the connection before that."""
        if not self.closed:
            await self._wait()
        if self._lost is not None:
            raise self._lost

    def close(self) -> None:
        """Close the channel without waiting: what the program does then is its host's affair."""
        self.closed = True
        if self._channel is not None:
            self._channel.abort()

    async def _limited(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._wait()
        except TimeoutError as exc:
            raise Unreachable(self.host, f"no answer within {limit_s:g} s", sent=True) from exc

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _check(self) -> None:
        """Raise why the marker will not come, if that is so."""
        if self._lost is not None:
            raise self._lost
        if self.closed and not self._found():
            raise Unreachable(self.host, "the program at the other end has ended", sent=True)

    def _found(self) -> bool:
        """Whether the marker is there. Looks at each byte about once."""
        if self._marker is None:
            return False
        found = self._said.find(self._marker, self._looked)
        self._looked = max(0, len(self._said) - len(self._marker) + 1) if found < 0 else found
        return found >= 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What asyncssh calls.

    def connection_made(self, chan: "SSHClientChannel[bytes]") -> None:
        """The host opened the channel; the command goes out next."""
        self._channel = chan
        self.opened = True

    def session_started(self) -> None:
        """The host took the command."""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The program wrote something: to its output, or, with a *datatype*, to its error output."""
        if datatype is not None:
            self._errors += data[: ERRORS_MOST - len(self._errors)]
            return
        self.spoke = True
        self._said += data
        if len(self._said) > MOST:
            self._lost = ProtocolError(self.host, f"the host said more than {MOST >> 20} MiB at once", sent=True)
            self.close()
            self._wake()
        elif self._marker is not None and self._found():
            self._wake()

    def eof_received(self) -> bool:
        """The output ended. What it lacks won't come."""
        return False

    def exit_status_received(self, status: int) -> None:
        """The program ended."""
        self.status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """The program was ended; there is no status then."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed; by the program's end, or with the connection (*exc*)."""
        self.closed = True
        if exc is not None and self._lost is None:
            why = exc.strerror.lower() if isinstance(exc, OSError) and exc.strerror else exc
            self._lost = Unreachable(self.host, f"the connection broke: {why}", sent=True)
        self._channel = None
        self._wake()

    def pause_writing(self) -> None:
        """The host reads slowly; what we write is little, so it may wait in memory."""

    def resume_writing(self) -> None:
        """See pause_writing."""
