"""Virtual time: an event loop whose clock jumps to the next timer, so that an hour passes in a millisecond, exactly.

    @in_virtual_time
    async def test_a_slow_service_is_waited_for() -> None: ...

The loop has tasks, futures and timers; no sockets, no pipes. It refuses to hang: when nothing is ready and no timer is
set, nothing can ever happen again, and it raises. With hypothesis, `@given(...)` stands above `@in_virtual_time`.
"""

import asyncio
import functools
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class NothingLeftToWaitFor(RuntimeError):
    """Every task waits for something that nobody will bring about. The message names the tasks."""


class VirtualTimeLoop(BaseEventLoop):
    """An event loop that never waits: its time starts at 0 and jumps from timer to timer."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        # Timers fall due when they are less than this ahead. A nanosecond, the default, would vanish in the rounding
        # of a clock that stands at months.
        self._clock_resolution = 1e-6
        self._selector = self  # all that BaseEventLoop asks of one is `select`

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now_s

    def select(self, timeout: float | None) -> tuple[()]:
        """Called by BaseEventLoop where a real loop would wait: jump instead.

        Raises:
            NothingLeftToWaitFor: no handle is ready and no timer is set.
        """
        if timeout is None:
            waiting = sorted(str(task.get_coro()) for task in asyncio.all_tasks(self))
            raise NothingLeftToWaitFor(f"nothing left to wait for at {self._now_s:g} s; waiting: {waiting}")
        if timeout > 0:
            self._now_s = max(self._now_s, self._scheduled[0].when())
        return ()

    def _process_events(self, events: object) -> None:
        """There are none: no file descriptor is watched."""

    def _write_to_self(self) -> None:
        """A real loop wakes itself up here; this one never sleeps."""


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on a fresh VirtualTimeLoop and leave nothing open."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async test an ordinary one that runs on virtual time. Fixtures and parameters pass through."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_virtual(test(*args, **kwargs))

    return run
