"""How many connections are made at once: a handshake is all CPU, and a thousand begun together would all be late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PLACES = 64
"""Handshakes that are begun at once."""
MOMENT_S = 0.5
"""A handshake that takes longer than this waits for its host, and its place goes to another."""


class Places:
    """One object for all hosts; used from one event loop. First come, first served."""

    def __init__(self, places: int = PLACES) -> None:
        self._free = asyncio.Semaphore(places)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place and hold it, for MOMENT_S at most."""
        await self._free.acquire()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._free.release()

        patience = asyncio.get_running_loop().call_later(MOMENT_S, give_back)
        try:
            yield
        finally:
            patience.cancel()
            give_back()
