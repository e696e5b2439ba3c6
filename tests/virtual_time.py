"""Virtual time: an event loop whose clock jumps to the next timer, so that an hour passes in a millisecond, exactly.

    @in_virtual_time
    async def test_a_slow_service_is_waited_for() -> None: ...

The loop has tasks, futures and timers; no sockets, no pipes. It refuses to hang: when nothing is ready and no timer is
set, nothing can ever happen again, and it raises; so it does after MOST_JUMPS, for who looks every second for what
never comes would look for ever. With hypothesis, `@given(...)` stands above `@in_virtual_time`.
"""

import asyncio
import functools
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


MOST_JUMPS = 300_000
"""Three days and more of a look every second: half a minute. The longest test takes some thousands."""


class NothingLeftToWaitFor(RuntimeError):
    """Every task waits for something that nobody will bring about. The message names the tasks."""


class VirtualTimeLoop(BaseEventLoop):
    """An event loop that never waits: its time starts at 0 and jumps from timer to timer."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._jumps = 0
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
            NothingLeftToWaitFor: no handle is ready and no timer is set; or it has jumped too often.
        """
        if timeout is None:
            raise self._hung("nothing left to wait for")
        if timeout > 0:
            self._jumps += 1
            if self._jumps > MOST_JUMPS:
                self._jumps = 0  # what is cancelled now may wait for some time yet
                raise self._hung(f"{MOST_JUMPS} jumps, and no end")
            self._now_s = max(self._now_s, self._scheduled[0].when())
        return ()

    def _hung(self, what: str) -> NothingLeftToWaitFor:
        waiting = sorted(str(task.get_coro()) for task in asyncio.all_tasks(self))
        return NothingLeftToWaitFor(f"{what} at {self._now_s:g} s; waiting: {waiting}")

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
