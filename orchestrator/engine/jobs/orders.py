"""What comes in from outside while a run goes on, made one queue: signals, `orch cancel`, the window's end."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import OrderTaken, Stamped
from orchestrator.engine.jobs.beside import beside
from orchestrator.engine.jobs.world import Books
from orchestrator.engine.ports import Order

CLOCK_LOOK_S = 30.0
"""A machine may sleep: the end of a window is looked for on the clock, at least so often."""


class Inbox:
    """The conductor's port `orders`. `recall` has to be told what is on record already."""

    def __init__(self, run: str, books: Books) -> None:
        self._run = run
        self._books = books
        self._queue: asyncio.Queue[OrderTaken] = asyncio.Queue()
        self._taken = 0
        self._window_closed = False
        self.fail: Callable[[OrchError], None] = lambda _: None

    def recall(self, facts: Iterable[Stamped]) -> None:
        """Orders that were taken before: those that stand in the store were left by somebody, who is named."""
        for stamped in facts:
            if isinstance(stamped.fact, OrderTaken):
                self._taken += bool(stamped.fact.by)
                self._window_closed |= stamped.fact.order == Order.WINDOW_CLOSED

    async def missed(self, closes_at: float | None) -> list[OrderTaken]:
        """What was ordered while no process held the run: it has to be known before anything new begins.

        Raises OrchError.
        """
        orders = await self._left()
        if self._closed(closes_at):
            self._window_closed = True
            orders.append(OrderTaken(Order.WINDOW_CLOSED.value))
        return orders

    async def next(self) -> OrderTaken:
        """The next order; waits for ever if none comes."""
        return await self._queue.get()

    def put(self, order: Order) -> None:
        """Leave an order of this process's own."""
        self._queue.put_nowait(OrderTaken(order.value))

    def listening(
        self, signals: Callable[[], Coroutine[Any, Any, Order]], closes_at: float | None
    ) -> AbstractAsyncContextManager[None]:
        """Take orders for as long as the block lasts. *closes_at* is the window's end (UTC, seconds since 1970)."""
        feeds = [self._from_signals(signals), self._from_the_store()]
        if closes_at is not None and not self._window_closed:
            feeds.append(self._from_the_window(closes_at))
        return beside(*feeds, fail=self.fail)

    async def _from_signals(self, signals: Callable[[], Coroutine[Any, Any, Order]]) -> None:
        while True:
            self.put(await signals())

    async def _from_the_store(self) -> None:
        try:
            while True:
                for order in await self._left():
                    self._queue.put_nowait(order)
                await self._books.decisions.changed(self._run)
        except OrchError as error:
            self.fail(error)

    async def _left(self) -> list[OrderTaken]:
        """The orders of the store that were not taken yet."""
        orders = await self._books.decisions.orders(self._run)
        new = [OrderTaken(order.value, by) for order, by in orders[self._taken :]]
        self._taken += len(new)
        return new

    def _closed(self, closes_at: float | None) -> bool:
        return closes_at is not None and not self._window_closed and self._books.clock() >= closes_at

    async def _from_the_window(self, closes_at: float) -> None:
        while True:
            left_s = closes_at - self._books.clock()
            if left_s <= 0:
                break
            await asyncio.sleep(min(left_s, CLOCK_LOOK_S))
        self.put(Order.WINDOW_CLOSED)
