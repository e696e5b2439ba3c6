"""`orch resume`: going on with a run that is parked, or whose process is gone."""

import asyncio
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.errors import BadInput, Declined
from orchestrator.engine.jobs import resuming
from orchestrator.engine.jobs.journey import Ending
from orchestrator.engine.jobs.world import Header
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.carrying import Terminal, Way, addresses, carried
from orchestrator.interfaces.commands.found import Found, look
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.loading import load_again
from orchestrator.interfaces.resume_view import what_is_found
from orchestrator.interfaces.terminal import confirm, err, interactive
from orchestrator.interfaces.theme import marks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOn:
    """How it is gone on with, as typed."""

    accept_drift: bool = False
    wait: bool = False
    yes: bool = False
    json: bool = False
    state_dir: Path | None = None

    def way(self, header: Header, ways: wiring.Ways, asker: Asker, state: Path) -> Way:
        """How a run that goes on over *ways* is carried."""
        return Way(
            json=self.json,
            wait=self.wait,
            asker=asker,
            by=header.requester,
            state=state,
            addresses=addresses(ways.connections),
        )

    def check(self, what: str) -> None:
        """Raises BadInput if there is nobody who could be asked first."""
        if not self.yes and not interactive():
            raise BadInput(
                f"orch {what} asks before it goes on, and there is no terminal to ask in",
                hint="add --yes to go on without asking",
            )


def resume(*, run: str, going: GoOn) -> None:
    """Tell what is found, ask, and go on; ends the process with the run's exit code."""
    state = state_wiring.state_folder(going.state_dir)
    with boundary(state):
        going.check("resume")
        found = asyncio.run(look(state, run))
        found.free()
        console = err()
        alive = found.holding.alive if found.holding else None
        console.print(what_is_found(found.timeline, found.open, alive=alive, now=found.now, marks=marks_of(console)))
        if not going.yes and not confirm("Go on? The hosts are read first."):
            raise Declined("nothing was touched; the run keeps its locks", hint=f"orch decisions {found.run}")
        go_on(state, found, going)


def go_on(state: Path, found: Found, going: GoOn) -> None:
    """Go on with a run that nobody carries. Raises typer.Exit with its exit code; OrchError as `resuming.resume`."""
    ways = load_again(found.began.made_from, found.hosts)  # before there is an event loop, as for a new run
    raise typer.Exit(asyncio.run(_go_on(state, found, ways, going)))


async def _go_on(state: Path, found: Found, ways: wiring.Ways, going: GoOn) -> int:
    asker = Asker()
    header = state_wiring.header(sys.argv[1:], found.began.made_from, run=found.run)
    async with wiring.world(ways, found.hosts, ask=asker.ask) as world, to_write(state) as books:

        def begin(terminal: Terminal) -> Awaitable[Ending]:
            return resuming.resume(
                found.run,
                world,
                books,
                header=header,
                people=terminal.people,
                watch=terminal.watch,
                note=terminal.note,
                notifier=wiring.notifier(ways),
                accept_drift=going.accept_drift,
            )

        way = going.way(header, ways, asker, state)
        return await carried(begin, found.run, way, past=found.facts)
