"""`orch apply`: a plan that was frozen on another day, held against what is there now, and run."""

import asyncio
import sys
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.drift import Drift, drift, goes_down, questions
from orchestrator.domain.errors import Declined, Drifted
from orchestrator.domain.plan import Plan
from orchestrator.domain.planning.observed import as_seen
from orchestrator.domain.planning.vital import refuse_vital
from orchestrator.domain.preview import preview
from orchestrator.domain.saved_plan import SavedPlan
from orchestrator.domain.survey import Survey
from orchestrator.engine.jobs.surveying import survey
from orchestrator.interfaces import preview_view, surveying
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.carrying import carry
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.commands.resume import GoOn
from orchestrator.interfaces.loading import load_again
from orchestrator.interfaces.terminal import confirm, say
from orchestrator.interfaces.theme import moment, plural


def apply(*, file: Path, dry_run: bool, going: GoOn) -> None:
    """Refuse drift that matters and what planning would refuse now, or run the plan; ends the process with its exit
    code."""
    state = state_wiring.state_folder(going.state_dir)
    with boundary(state):
        if not dry_run:
            going.check("apply")
        saved = state_wiring.load_plan(file)
        asked = questions(saved.plan)
        ways = load_again(saved.made_from, asked)
        say(f"{file}: {saved.command}, saved at {moment(saved.saved_at)} by {saved.saved_by}")
        raise typer.Exit(asyncio.run(_apply(state, saved, ways, going, dry_run=dry_run)))


async def _apply(state: Path, saved: SavedPlan, ways: wiring.Ways, going: GoOn, *, dry_run: bool) -> int:
    asker, asked = Asker(), questions(saved.plan)
    async with wiring.world(ways, asked, ask=asker.ask) as world:
        with surveying.shown(len(asked), asker, quiet=going.json) as answered:
            above = bool(goes_down(saved.plan)) and "--ignore-dependents" not in saved.command.split()
            live = await survey(asked, world.hosts, answered=answered, dependents=above)
        found = drift(saved.plan, live)
        plan = as_seen(saved.plan, live)
        if found and not going.accept_drift:
            raise Drifted(
                f"the plan has drifted: {plural(len(found), 'unit')} not as when it was saved\n{_listed(found)}\n"
                "nothing was touched",
                hint="plan anew, or --accept-drift runs it all the same",
            )
        refuse_vital(plan, live, allow=saved.allow, controller=world.controller)
        if dry_run:
            preview_view.show(preview(plan, dry_run=True), live, json=going.json)
            _warn(found)
            return 0
        async with to_write(state) as books:
            _agree(plan, live, found, going)
            header = state_wiring.header(sys.argv[1:], saved.made_from, of=saved.of)
            way = going.way(header, ways, asker, state)
            return await carry(plan, world, books, header, wiring.notifier(ways), way)


def _agree(plan: Plan, live: Survey, found: tuple[Drift, ...], going: GoOn) -> None:
    """Show what would happen and ask. Raises Declined."""
    if going.yes:
        preview_view.warn(live)
        _warn(found)
        return
    seen = preview(plan)
    preview_view.show(seen, live.reached, json=False, to_person=True)
    _warn(found)
    if not confirm(preview_view.question(seen)):
        raise Declined("nothing was touched")


def _warn(found: tuple[Drift, ...]) -> None:
    if found:
        say(f"drift that was accepted:\n{_listed(found)}")


def _listed(found: tuple[Drift, ...]) -> str:
    return "\n".join(f"  {one}" for one in found)
