"""Threads for a library that blocks: borrowed for one short exchange each, never for a wait.

pypsrp is synchronous, and so is the time a host takes to answer. What costs us is CPU under one interpreter lock, not
waiting: so only a few exchanges may be busy at once, and one that waits longer than a moment for its host stops
counting. Silent hosts then hold a sleeping thread each until their deadline, and slow nobody down.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

BUSY = 16
"""Exchanges that may be busy at once. Measured on two cores: 8 to 32 are equally fast, 128 cost a third more CPU."""
MOMENT_S = 0.1
"""An exchange that takes longer than this waits for its host, and its place goes to another."""
MOST_THREADS = 4096
"""One per host at the very most, for a host is asked one thing at a time; a thread is started when none is idle."""


class WinrmThreads:
    """Runs blocking calls of many hosts. One object for the whole process; used from one event loop."""

    def __init__(self, busy: int = BUSY) -> None:
        self._places = asyncio.Semaphore(busy)
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None

    async def begin(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Wait for a place, then start *work* in a thread; returns its future.

        Cancelling the wait for a place leaves *work* undone. Once it began it goes on to its end, whoever looks at
        the future or not.
        """
        await self._places.acquire()
        given_back = False

        def give_back(_: object = None) -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self._places.release()

        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="winrm")
        loop = asyncio.get_running_loop()
        try:
            running = loop.run_in_executor(self._executor, work)
        except BaseException:
            give_back()
            raise
        patience = loop.call_later(MOMENT_S, give_back)
        running.add_done_callback(lambda _: patience.cancel())
        running.add_done_callback(give_back)
        return running

    def close(self) -> None:
        """Let idle threads end. Those that still run end by themselves."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
