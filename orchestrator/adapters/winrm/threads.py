"""Threads for a library that blocks: borrowed for one short exchange each, never for a wait.

pypsrp is synchronous. What costs is its CPU under one interpreter lock: dozens of threads that want it at once spend
half again as much as one. So a thread computes behind a `Gate` that lets one through, and steps aside while it waits
for its host. Silent hosts then hold a sleeping thread each until their deadline, and slow nobody down.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PLACES = 64
"""Exchanges that are begun at once."""
MOMENT_S = 0.5
"""An exchange that takes longer than this waits for its host, and its place goes to another."""
MOST_THREADS = 4096
"""One per host at the very most, for a host is asked one thing at a time; a thread is started when none is idle."""


class Gate:
    """Lets one thread compute. Enter it to compute; `aside` lets others through while this thread waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Out of the gate and back. Only for a thread that is in it."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()


class WinrmThreads:
    """Runs blocking calls of many hosts. One object for the whole process; used from one event loop."""

    def __init__(self, places: int = PLACES) -> None:
        self.gate = Gate()
        self._places = asyncio.Semaphore(places)
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None

    async def begin(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Wait for a place, then start *work* in a thread; returns its future. *work* enters the gate by itself.

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
