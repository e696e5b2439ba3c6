"""A run in this terminal, begun or resumed: what it shows, what it hears, and the exit code that it ends with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator import state_wiring
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import Stamped
from orchestrator.domain.plan import Plan
from orchestrator.domain.undo import script
from orchestrator.engine.jobs import running
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.journey import Ending, Watch
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import NoteTaker, Notifier
from orchestrator.interfaces import views
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.commands.signals import Orders
from orchestrator.interfaces.deciding import Decider
from orchestrator.interfaces.report_end import INCOMPLETE, Undo, undo_of
from orchestrator.interfaces.runs_view import timeline_of
from orchestrator.interfaces.terminal import interactive, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What a use case is given of this process: the people here, and who watches."""

    people: People
    watch: Watch
    note: NoteTaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a run is carried here: as JSON or for eyes, whether it stays though nobody is here to answer, who asks.

    `by` is who sits here; `state` the state folder; `addresses` where each host is, for what is typed by hand.
    """

    json: bool
    wait: bool
    asker: Asker
    by: str
    state: Path
    addresses: Mapping[str, str]


def addresses(connections: Mapping[str, Sequence[Connection]]) -> dict[str, str]:
    """The address of each host, by the first way that leads to it."""
    return {host: ways[0].address for host, ways in connections.items() if ways}


async def carried(
    begin: Callable[[Terminal], Awaitable[Ending]], run: str, way: Way, *, past: Sequence[Stamped] = ()
) -> int:
    """Do what *begin* returns, the run *run*, with a view and with signals as orders; returns its exit code.

    *past* are the facts of a run that is gone on with.
    """
    view, asker = views.of_run(json=way.json), way.asker
    orders = Orders(run, asker, view.leave, stays=way.wait)
    decider = Decider(asker, way.by, gone=orders.gone)
    told = [*past]

    def watch(stamped: Stamped) -> None:
        told.append(stamped)
        view.fact(stamped)
        decider.hear(stamped)

    loop = asyncio.get_running_loop()
    orders.listen(loop)
    here = interactive()
    people = People(orders=orders.queue.get, ask=decider.ask if here else None, patient=way.wait or here)
    undo = None
    try:
        for stamped in past:
            view.history(stamped)
            decider.hear(stamped)
        with asker.over(view):
            ending = await begin(Terminal(people=people, watch=watch, note=view.note))
        undo = _undo(told, way) if ending.exit_code == INCOMPLETE else None
    finally:
        view.close(undo)
        orders.deaf(loop)
    for why in ending.unsent:
        say(why)
    return ending.exit_code


def _undo(told: Sequence[Stamped], way: Way) -> Undo | None:
    """What is left to do by hand, on disk too."""
    timeline = timeline_of(told)
    undo = undo_of(timeline, way.addresses)
    if undo is None:
        return None
    try:
        path = state_wiring.leave_undo(way.state, timeline.run, script(timeline.run, undo.hands, undo.hooks))
    except OrchError as error:
        say(f"{error}")
        return undo
    return replace(undo, path=str(path))


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
