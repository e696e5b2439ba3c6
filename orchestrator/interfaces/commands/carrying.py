"""A run in this terminal, begun or resumed: what it shows, what it hears, and the exit code that it ends with."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.domain.facts import Stamped
from orchestrator.domain.plan import Plan
from orchestrator.engine.jobs import running
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.journey import Ending, Watch
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import NoteTaker, Notifier, Order
from orchestrator.interfaces import views
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.terminal import interactive, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What a use case is given of this process: the people here, and who watches."""

    people: People
    watch: Watch
    note: NoteTaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a run is carried here: as JSON or for eyes, whether it stays though nobody is here to answer, who asks."""

    json: bool
    wait: bool
    asker: Asker


async def carried(
    begin: Callable[[Terminal], Awaitable[Ending]], run: str, way: Way, *, past: Sequence[Stamped] = ()
) -> int:
    """Do what *begin* returns, the run *run*, with a view and with signals as orders; returns its exit code.

    *past* are the facts of a run that is gone on with.
    """
    view, asker = views.of_run(json=way.json), way.asker

    def leave() -> None:
        view.leave()
        asker.leave()

    orders = _Orders(run, leave, asker.withdraw)
    loop = asyncio.get_running_loop()
    orders.listen(loop)
    people = People(orders=orders.queue.get, patient=way.wait or interactive())
    try:
        for stamped in past:
            view.history(stamped)
        with asker.over(view):
            ending = await begin(Terminal(people=people, watch=view.fact, note=view.note))
    finally:
        view.close()
        orders.deaf(loop)
    return ending.exit_code


async def carry(plan: Plan, world: World, books: Books, header: Header, notifier: Notifier, way: Way) -> int:
    """Begin a run of *plan* and carry it; returns its exit code. Raises as `running.run`."""

    def begin(terminal: Terminal) -> Awaitable[Ending]:
        return running.run(
            plan,
            world,
            books,
            header=header,
            people=terminal.people,
            watch=terminal.watch,
            note=terminal.note,
            notifier=notifier,
        )

    return await carried(begin, header.run, way)


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
