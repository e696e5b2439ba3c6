"""The line to one host: one connection at a time, opened when it is needed and dropped when it fails.

Commands and long-lived programs run on channels of their own beside each other; whoever waits for one holds up no
other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.adapters.ssh.channel import Channel
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import Unreachable

if TYPE_CHECKING:
    from orchestrator.adapters.ssh.peer import Peer

CLOSE_S = 3.0
"""How long closing may take in all."""
DOUBT_S = 3.0
"""How long a connection in doubt has to answer."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command wrote, and its exit status as the host sent it: all 32 bits of it, or None if it sent none."""

    stdout: bytes
    stderr: bytes
    status: int | None


class SshLine:
    """Leads to the host of *connection*; *dial* makes a connection to it.

    Raises, from every method: only HostError and its kin, with `sent` False as long as no command was sent. Cancel at
    any await; a command that was sent then goes on as its host likes. Calls may run beside each other.
    """

    def __init__(self, connection: Connection, dial: "Callable[[Connection], Awaitable[Peer]]") -> None:
        self._connection = connection
        self._dial = dial
        self._peer: Peer | None = None
        self._dialing: asyncio.Task[Peer] | None = None
        self._waiting = 0
        self._number = 0
        self._doubt: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int:
        """The number of the connection of now; 0 while none is open. What was begun on another one is lost."""
        return self._number if self._peer is not None and not self._peer.is_closed() else 0

    async def run(self, command: str, *, limit_s: float, stdin: bytes = b"") -> Ran:
        """Run *command* on a channel of its own, give it *stdin*, and wait for its end.

        *limit_s* covers the channel, the command and its output, but not the making of a connection, which has its
        own limit. Past it the channel is closed, Unreachable says `sent` True if the command was sent.
        """
        channel = Channel(self._connection.host, 0)
        try:
            await self._begin(channel, command, limit_s, stdin)
        finally:
            if not channel.closed:
                channel.close()
        return Ran(channel.said, channel.errors, channel.status)

    async def open(self, command: str, *, limit_s: float | None = None) -> Channel:
        """Start *command* on a channel of its own that lasts. *limit_s* (the connection's read timeout unless given)
        covers the channel and the host's word that it took the command."""
        channel = Channel(self._connection.host, 0)
        await self._begin(channel, command, self._connection.read_timeout_s if limit_s is None else limit_s, None)
        return channel

    async def aclose(self) -> None:
        """End the connection. Never raises; takes CLOSE_S at most."""
        for task in (self._doubt, self._dialing):
            if task is not None:
                task.cancel()
        self._dialing = None
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.hang_up(CLOSE_S)

    async def _begin(self, channel: Channel, command: str, limit_s: float, stdin: bytes | None) -> None:
        """Start *command*; if it gets a *stdin*, to its end."""
        peer = await self._ready()
        channel.generation = self._number
        try:
            async with asyncio.timeout(limit_s):
                await peer.start(channel, command)
                if stdin is not None:
                    channel.feed(stdin)
                    await channel.ended()
        except TimeoutError as exc:
            self.distrust(channel)
            text = f"no answer within {limit_s:g} s"
            raise Unreachable(self._connection.host, text, sent=channel.opened) from exc

    async def _ready(self) -> "Peer":
        """The connection, or a new one: made once for all who wait for it, and given up when nobody does any longer."""
        if self._doubt is not None:
            await asyncio.wait([self._doubt])
        if self._peer is not None and not self._peer.is_closed():
            return self._peer
        if self._dialing is None:
            self._dialing = asyncio.create_task(self._connect())
            self._dialing.add_done_callback(_retrieve)
        dialing = self._dialing
        self._waiting += 1
        try:
            return await asyncio.shield(dialing)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if dialing.cancelled() and task is not None and not task.cancelling():
                raise Unreachable(self._connection.host, "the connection was closed while it was made") from None
            raise
        finally:
            self._waiting -= 1
            if not self._waiting and self._dialing is dialing:
                self._dialing = None
                dialing.cancel()

    async def _connect(self) -> "Peer":
        try:
            peer = await self._dial(self._connection)
        finally:
            if self._dialing is asyncio.current_task():
                self._dialing = None
        self._peer = peer
        self._number += 1
        return peer

    def distrust(self, channel: Channel) -> None:
        """A host that did not answer in time may be slow or gone: ask the connection, and drop it if it is mute."""
        peer = self._peer
        asked = self._doubt is not None and not self._doubt.done()
        if peer is not None and channel.generation == self.generation and not asked:
            self._doubt = asyncio.create_task(peer.drop_if_mute(DOUBT_S))


def _retrieve(task: "asyncio.Task[Peer]") -> None:
    if not task.cancelled():
        task.exception()  # those who wait are told; nobody may be left
