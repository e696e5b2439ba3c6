"""Threads for a library that blocks: borrowed for one short exchange each, never for a wait.

pypsrp is synchronous. What costs is its CPU under one interpreter lock: dozens of threads that want it at once spend
half again as much as one. So a thread computes behind a `Gate` that lets one through, and steps aside while it waits
for its host. Silent hosts then hold a sleeping thread each until their deadline, and slow nobody down.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PLACES = 64
"""Exchanges that are begun at once."""
MOMENT_S = 0.5
"""The place of an exchange that waits for its host for longer than this goes to another, unless waits are usually long:
where all hosts answer late, something that they share is busy, and asking more of them at once makes them later."""
UNUSUAL = 4.0
"""How many times the usual wait is a long one."""
_LEARNT = 0.05
MOST_THREADS = 4096
"""One per host at the very most, for a host is asked one thing at a time; a thread is started when none is idle."""


class _Exchange:
    """One exchange in a thread. `waits_since_s` is None while it computes or queues at the gate to do so: a busy
    machine is no reason to begin more. `longest_s` is its longest wait that is over."""

    __slots__ = ("longest_s", "waits_since_s")

    def __init__(self) -> None:
        self.waits_since_s: float | None = time.monotonic()
        self.longest_s = 0.0

    def waits(self, since_s: float | None) -> None:
        """It waits from now on, or no more (None)."""
        if since_s is None and self.waits_since_s is not None:
            self.longest_s = max(self.longest_s, time.monotonic() - self.waits_since_s)
        self.waits_since_s = since_s


class _Patience:
    """How long an exchange may wait with its place: learnt from those that ended."""

    def __init__(self) -> None:
        self._usual_s = 0.0

    @property
    def s(self) -> float:
        """Seconds."""
        return max(MOMENT_S, UNUSUAL * self._usual_s)

    def learn(self, wait_s: float) -> None:
        """One exchange's longest wait; a host that was silent to its deadline counts as a late one, no more."""
        self._usual_s += _LEARNT * (min(wait_s, 2 * self.s) - self._usual_s)


class Gate:
    """Lets one thread compute. Enter it to compute; `aside` lets others through while this thread waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()

    def __enter__(self) -> None:
        self._waits(None)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._waits(time.monotonic())

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Out of the gate and back. Only for a thread that is in it."""
        self._lock.release()
        self._waits(time.monotonic())
        try:
            yield
        finally:
            self._waits(None)
            self._lock.acquire()

    def run(self, exchange: _Exchange, work: Callable[[], T]) -> T:
        """*work*, noting on *exchange* when this thread waits."""
        self._here.exchange = exchange
        return work()

    def _waits(self, since_s: float | None) -> None:
        exchange: _Exchange | None = getattr(self._here, "exchange", None)
        if exchange is not None:
            exchange.waits(since_s)


class _Place:
    """A place that was taken, until its exchange ends or waits for its host for long."""

    def __init__(self, places: asyncio.Semaphore, patience: _Patience) -> None:
        self.exchange = _Exchange()
        self._patience = patience
        self._places: asyncio.Semaphore | None = places
        self._watch: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Look every now and then whether the exchange waits, and give the place back if it does."""
        since_s = self.exchange.waits_since_s
        left_s = self._patience.s - (0.0 if since_s is None else time.monotonic() - since_s)
        if left_s > 0:
            self._watch = asyncio.get_running_loop().call_later(left_s, self.watch)
        else:
            self.give_back()

    def end(self, _: object = None) -> None:
        """The exchange ended."""
        self._patience.learn(self.exchange.longest_s)
        self.give_back()

    def give_back(self) -> None:
        """Once: later calls change nothing."""
        if self._watch is not None:
            self._watch.cancel()
        if self._places is not None:
            self._places.release()
            self._places = None


class WinrmThreads:
    """Runs blocking calls of many hosts. One object for the whole process; used from one event loop."""

    def __init__(self, places: int = PLACES) -> None:
        self.gate = Gate()
        self._places = asyncio.Semaphore(places)
        self._patience = _Patience()
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None

    async def begin(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Wait for a place, then start *work* in a thread; returns its future. *work* enters the gate by itself.

        Cancelling the wait for a place leaves *work* undone. Once it began it goes on to its end, whoever looks at
        the future or not.
        """
        await self._places.acquire()
        place = _Place(self._places, self._patience)
        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="winrm")
        try:
            running = asyncio.get_running_loop().run_in_executor(self._executor, self.gate.run, place.exchange, work)
        except BaseException:
            place.give_back()
            raise
        place.watch()
        running.add_done_callback(place.end)
        return running

    def close(self) -> None:
        """Let idle threads end. Those that still run end by themselves."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
