"""A run in this terminal, begun or resumed: what it shows, what it hears, and the exit code that it ends with."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.facts import RunEnded, Stamped
from orchestrator.engine.ports import NoteTaker, Order
from orchestrator.interfaces import views
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.terminal import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What a use case is given of this process: orders that come in, and who is told."""

    orders: Callable[[], Coroutine[Any, Any, Order]]
    watch: Callable[[Stamped], None]
    note: NoteTaker


async def carried(begin: Callable[[Terminal], Awaitable[RunEnded]], *, run: str, json: bool, asker: Asker) -> int:
    """Do what *begin* returns, the run *run*, with a view and with signals as orders; returns its exit code."""
    view = views.of_run(json=json)

    def leave() -> None:
        view.leave()
        asker.leave()

    orders = _Orders(run, leave, asker.withdraw)
    loop = asyncio.get_running_loop()
    orders.listen(loop)
    try:
        with asker.over(view):
            ended = await begin(Terminal(orders=orders.queue.get, watch=view.fact, note=view.note))
    finally:
        view.close()
        orders.deaf(loop)
    return ended.exit_code


@dataclass(slots=True)
class _Orders:
    """Signals as values: the first Ctrl-C is a cancel, the second leaves at once with the journal intact.

    A terminal that goes away is a cancel too, however often it says so (shell and kernel both do): nobody watches any
    more, and what is under way shall be on record.
    """

    run: str
    leave: Callable[[], None]
    """Takes the picture off the terminal."""
    withdraw: Callable[[], None]
    """Takes back what a person is being asked: who cancels does not want to answer."""
    queue: asyncio.Queue[Order] = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take signals from now on. Under nohup a terminal may go as it likes."""
        loop.add_signal_handler(signal.SIGINT, self.press)
        loop.add_signal_handler(signal.SIGTERM, self.press)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self.cancel)

    def deaf(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave signals to Python again."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def cancel(self) -> None:
        """Order it, once, before anything is said: nobody may listen."""
        if not self.cancelled:
            self.cancelled = True
            self.queue.put_nowait(Order.CANCEL)
            self.withdraw()
            say("\ncancelling: nothing more is begun, what is under way settles; Ctrl-C again leaves at once")

    def press(self) -> None:
        """Ctrl-C, or somebody's SIGTERM."""
        if not self.cancelled:
            self.cancel()
            return
        self.leave()
        say(f"\nleft at once; what was asked of the hosts goes on there; the journal is intact: orch show {self.run}")
        os._exit(5)
