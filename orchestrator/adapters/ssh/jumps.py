"""Jump hosts: one connection to each, shared by all hosts behind it."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from orchestrator.adapters.ssh.config import Target
from orchestrator.adapters.ssh.peer import Peer
from orchestrator.adapters.ssh.places import Places
from orchestrator.domain.connection import Connection, Jump
from orchestrator.domain.errors import HostError

WIDTH = 32
"""Handshakes that go through one jump host at once."""
CLOSE_S = 2.0
"""How long it may take to say goodbye to one."""


class Hop(NamedTuple):
    """A place on the way: through which hop it is reached, if any, and the user there if nobody says another."""

    via: Peer | None
    user: str


class Dial(Protocol):
    """See Dialer.dial."""

    def __call__(self, connection: Connection, hop: Hop | None = None) -> Awaitable[Peer]:
        """See there."""


class Jumps:
    """The jump hosts of a process; used from one event loop. *dial* connects to them.

    They are signed in to with keys alone: those of their own entry in the SSH configuration, or else those of the
    host behind them, and an agent's. A password is not tried on them.
    """

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._peers: dict[tuple[object, ...], asyncio.Task[Peer]] = {}
        self._places: dict[tuple[object, ...], Places] = {}

    async def last(self, connection: Connection, target: Target) -> tuple[Peer, Places]:
        """The last jump host on the way to *connection*, whose jumps *target* names, and the places for handshakes
        behind it. One that is gone is connected anew, once for all who wait.

        Raises HostError and its kin, which name the jump host that failed.
        """
        via: Peer | None = None
        key: tuple[object, ...] = ()
        for jump in target.jumps:
            key = (*key, jump, connection.ssh, connection.verify, target.user)
            via = await self._one(key, connection, target, jump, via)
        assert via is not None
        return via, self._places.setdefault(key, Places(WIDTH))

    async def aclose(self) -> None:
        """Say goodbye, side by side, to the last ones on their ways first. Never raises."""
        peers, self._peers = self._peers, {}
        for length in sorted({len(key) for key in peers}, reverse=True):
            await asyncio.gather(*(_leave(task) for key, task in peers.items() if len(key) == length))

    async def _one(
        self, key: tuple[object, ...], connection: Connection, target: Target, jump: Jump, via: Peer | None
    ) -> Peer:
        making = self._peers.get(key)
        if making is None or (making.done() and _gone(making)):
            making = self._peers[key] = asyncio.create_task(self._make(connection, target, jump, via))
            making.add_done_callback(_retrieve)
        try:
            return await asyncio.shield(making)
        except HostError as exc:
            text = f"the jump host {jump.address}: {exc.text}"
            raise type(exc)(connection.host, text, hint=exc.hint) from exc

    async def _make(self, connection: Connection, target: Target, jump: Jump, via: Peer | None) -> Peer:
        hop = Connection(
            host=jump.address,
            address=jump.address,
            port=jump.port or 22,
            transport=connection.transport,
            user=jump.user,
            verify=connection.verify,
            connection_timeout_s=connection.connection_timeout_s,
            ssh=replace(connection.ssh, jumps=()),
        )
        return await self._dial(hop, Hop(via, target.user))


async def _leave(making: "asyncio.Task[Peer]") -> None:
    if not making.done():
        making.cancel()
    elif not making.cancelled() and making.exception() is None:
        await making.result().hang_up(CLOSE_S)


def _gone(making: "asyncio.Task[Peer]") -> bool:
    return making.cancelled() or making.exception() is not None or making.result().is_closed()


def _retrieve(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()  # those who wait are told; nobody may be left
