"""`orch graph`: what depends on what, drawn; with `--live` also what runs."""

import asyncio
import json as json_module
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.errors import BadInput
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.picture import GOALS, Picture, picture
from orchestrator.domain.survey import Survey
from orchestrator.engine.jobs.surveying import survey
from orchestrator.interfaces import surveying
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.graph_markup import dot, mermaid
from orchestrator.interfaces.graph_view import render
from orchestrator.interfaces.loading import load
from orchestrator.interfaces.options import Sources
from orchestrator.interfaces.preview_view import by_another_way
from orchestrator.interfaces.terminal import err, out, print_json

MARKUP = {"mermaid": mermaid, "dot": dot}


def graph(  # noqa: PLR0913 - one parameter an option
    *,
    plan: Path,
    inventory: Sources,
    format: str,  # the option's name
    action: str,
    live: bool,
    limit: Sequence[str] | None,
    exclude: Sequence[str] | None,
    service: Sequence[str] | None,
    json: bool,
    ask_pass: bool,
    state_dir: Path | None,
) -> None:
    """Draw the graph. Exit 1 if a live state was wanted and not all could be read."""
    with boundary(state_wiring.state_folder(state_dir)):
        if format not in ("text", *MARKUP):
            raise BadInput(f"--format {format}: choose text, mermaid or dot")
        if action not in list(GOALS):
            raise BadInput(f"--action {action}: choose start or stop")
        project = load(plan, inventory, ask_pass=ask_pass, limit=limit, exclude=exclude)
        choice = Choice(
            hosts=project.select(limit),
            exclude=project.select(exclude) or frozenset(),
            services=tuple(service) if service else None,
        )
        live_state = asyncio.run(_survey(project, choice, quiet=json)) if live else None
        found = picture(project.draft, choice, Action(action), live_state)
        _show(found, live_state or Survey(), format, json=json)
        raise typer.Exit(1 if found.not_read else 0)


async def _survey(project: wiring.Project, choice: Choice, *, quiet: bool) -> Survey:
    asked, asker = questions(project.draft, choice, Action.STATUS), Asker()
    async with wiring.world(project, asked, ask=asker.ask) as world:
        with surveying.shown(len(asked), asker, quiet=quiet) as answered:
            return await survey(asked, world.hosts, answered=answered)


def _show(found: Picture, live: Survey, format: str, *, json: bool) -> None:
    if json:
        print_json(json_module.dumps({**asdict(found), "detours": live.detours}))
    elif format in MARKUP:
        sys.stdout.write(MARKUP[format](found))
        for line in by_another_way(live):
            err().print(line)
    else:
        console = out()
        console.print(render(found, console), *by_another_way(live), sep="\n")
