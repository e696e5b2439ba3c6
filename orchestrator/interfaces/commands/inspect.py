"""`orch status | check`: looking at the hosts, without changing anything."""

import asyncio
import json as json_module
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.errors import BadInput
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.status import expectations
from orchestrator.domain.service import State
from orchestrator.engine.jobs import surveying as looking
from orchestrator.engine.jobs.world import World
from orchestrator.interfaces import surveying
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.loading import load
from orchestrator.interfaces.options import Sources
from orchestrator.interfaces.status_view import checkup_tables, status_table
from orchestrator.interfaces.terminal import out, print_json

EXPECTED = {"running": State.RUNNING, "stopped": State.STOPPED}


def status(  # noqa: PLR0913 - one parameter an option
    *,
    plan: Path,
    inventory: Sources,
    limit: Sequence[str] | None,
    exclude: Sequence[str] | None,
    service: Sequence[str] | None,
    expect: str | None,
    json: bool,
    ask_pass: bool,
    state_dir: Path | None,
) -> None:
    """Read every chosen unit. Exit 1 if one is not as expected, or could not be read."""
    with boundary(state_wiring.state_folder(state_dir)):
        if expect is not None and expect not in EXPECTED:
            raise BadInput(f"--expect {expect}: choose running or stopped")
        project = load(plan, inventory, ask_pass=ask_pass, limit=limit, exclude=exclude)
        choice = Choice(
            hosts=project.select(limit),
            exclude=project.select(exclude) or frozenset(),
            services=tuple(service) if service else None,
        )
        asked = questions(project.draft, choice, Action.STATUS)

        async def look(world: World, asker: Asker) -> int:
            with surveying.shown(len(asked), asker, quiet=json) as answered:
                survey = await looking.survey(asked, world.hosts, answered=answered)
            found = expectations(project.draft, choice, survey, expected=EXPECTED.get(expect or ""))
            if json:
                print_json(json_module.dumps({**asdict(found), "detours": survey.detours}))
            else:
                out().print(status_table(found, survey))
            return 1 if found.unmet or any(row.state is None for row in found.rows) else 0

        raise typer.Exit(_with_world(project, asked, look))


def check(
    *,
    plan: Path,
    inventory: Sources,
    limit: Sequence[str] | None,
    exclude: Sequence[str] | None,
    json: bool,
    ask_pass: bool,
    state_dir: Path | None,
) -> None:
    """Ask everything that can be asked beforehand. Exit 1 if something would hurt the night."""
    with boundary(state_wiring.state_folder(state_dir)):
        project = load(plan, inventory, ask_pass=ask_pass, limit=limit, exclude=exclude)
        choice = Choice(hosts=project.select(limit), exclude=project.select(exclude) or frozenset())
        asked = questions(project.draft, choice, Action.STATUS)

        async def look(world: World, asker: Asker) -> int:
            with surveying.shown(len(asked), asker, quiet=json) as answered:
                found = await looking.check(project.draft, asked, world, answered=answered)
            if json:
                print_json(json_module.dumps({**asdict(found), "problems": found.problems}))
            else:
                out().print(checkup_tables(found))
            return 1 if found.problems else 0

        raise typer.Exit(_with_world(project, asked, look))


def _with_world(project: wiring.Project, asked: Iterable[str], look: Callable[[World, Asker], Awaitable[int]]) -> int:
    async def main() -> int:
        asker = Asker()
        async with wiring.world(project, asked, ask=asker.ask) as world:
            return await look(world, asker)

    return asyncio.run(main())
