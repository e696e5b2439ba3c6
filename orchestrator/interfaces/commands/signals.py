"""Signals as orders: Ctrl-C, a terminal that goes away, the end of input."""

import asyncio
import os
import signal
from collections.abc import Callable

from orchestrator.engine.ports import Order
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.terminal import say

LEFT = 6
"""The exit code of who leaves at once: like one that is parked, the run has not ended, and keeps its locks."""


class Orders:
    """The first Ctrl-C is a cancel, the second leaves at once with the journal intact.

    A terminal that goes away is a cancel too, however often it says so (shell and kernel both do): nobody watches any
    more, and what is under way shall be on record. Then the run parks, for nobody can be asked here; one that *stays*
    (`--wait`) does not. *leave* takes the picture off the terminal.
    """

    def __init__(self, run: str, asker: Asker, leave: Callable[[], None], *, stays: bool) -> None:
        self.queue: asyncio.Queue[Order] = asyncio.Queue()
        self._run = run
        self._asker = asker
        self._leave = leave
        self._stays = stays
        self._ordered: set[Order] = set()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take signals from now on. Under nohup a terminal may go as it likes."""
        loop.add_signal_handler(signal.SIGINT, self.press)
        loop.add_signal_handler(signal.SIGTERM, self.press)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self.hang_up)

    def deaf(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave signals to Python again."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def press(self) -> None:
        """Ctrl-C, or somebody's SIGTERM."""
        if Order.CANCEL not in self._ordered:
            self._cancel()
            return
        self._leave()
        self._asker.leave()
        say(
            "\nleft at once; what was asked of the hosts goes on there; the journal is intact, and the run keeps its "
            f"locks\ntry: orch resume {self._run} takes the cancel up: it reads the hosts, and ends or asks whether to "
            f"go on, to keep or to roll back; orch show {self._run} tells what was done"
        )
        os._exit(LEFT)

    def hang_up(self) -> None:
        """The terminal went away."""
        self._cancel()
        self.gone()

    def gone(self) -> None:
        """Nobody can be asked here any more."""
        if not self._stays:
            self._order(Order.PARK)

    def _cancel(self) -> None:
        """Order it, once, before anything is said: nobody may listen."""
        if self._order(Order.CANCEL):
            self._asker.withdraw()
            say("\ncancelling: nothing more is begun, what is under way settles; Ctrl-C again leaves at once")
            self._asker.again()

    def _order(self, order: Order) -> bool:
        """Whether it was not ordered before."""
        if order in self._ordered:
            return False
        self._ordered.add(order)
        self.queue.put_nowait(order)
        return True
