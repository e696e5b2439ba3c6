"""`orch snapshot take | list | diff | restore`: what every unit was, under a tag, and the way back to it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.draft import OnUnreachable
from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import MadeFrom
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.observed import Unread, What, differences, observed, questions_about
from orchestrator.domain.run_names import check_tag
from orchestrator.domain.service import Asked
from orchestrator.domain.survey import Survey
from orchestrator.engine.book_ports import Snapshot
from orchestrator.engine.jobs.surveying import survey
from orchestrator.interfaces import snapshots_view, surveying
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.act import Options, act, on_unreachable
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.loading import load, load_again, made_from
from orchestrator.interfaces.options import Sources
from orchestrator.interfaces.terminal import out, print_json, say
from orchestrator.interfaces.theme import plural


def take(
    *, plan: Path, tag: str, inventory: Sources, unreachable: str | None, ask_pass: bool, state_dir: Path | None
) -> None:
    """Read every unit and keep what was seen under *tag*."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        check_tag(tag)
        project = load(plan, inventory, ask_pass=ask_pass)
        policy = on_unreachable(unreachable, project.draft.unreachable)
        asyncio.run(_take(state, tag, project, policy, made_from(plan, inventory, ask_pass=ask_pass)))


async def _take(state: Path, tag: str, project: wiring.Project, policy: OnUnreachable, made: MadeFrom) -> None:
    asked = questions(project.draft, Choice(), Action.STATUS)
    async with to_write(state) as books:
        units, unread = observed(project.draft, await _survey(project, asked, quiet=False))
        if unread and policy is not OnUnreachable.EXCLUDE:
            hint = "--unreachable exclude keeps a snapshot of the others"
            raise BadInput(f"{_lacking(unread)}\nno snapshot was kept, and nothing was touched", hint=hint)
        by = state_wiring.requester()
        snapshot = Snapshot(tag=tag, at=books.clock(), by=by, name=project.draft.name, made_from=made, units=units)
        await books.snapshots.save(snapshot)
    if unread:
        say(_lacking(unread))
    said = f"snapshot {tag}: {plural(len(units), 'unit')} of {project.draft.name} ({snapshots_view.counted(units)})"
    say(f"{said}\ntry: orch snapshot diff {tag}")


def _lacking(unread: Sequence[Unread]) -> str:
    lines = (f"  {one.unit}: {one.why}" for one in unread)
    return "\n".join([f"{plural(len(unread), 'unit')} can't be read:", *lines])


def list_(*, json: bool, state_dir: Path | None) -> None:
    """Print the snapshots."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        found = asyncio.run(_all(state))
        if json:
            print_json(snapshots_view.snapshots_json(found))
        else:
            out().print(snapshots_view.snapshots_table(found))


async def _all(state: Path) -> Sequence[Snapshot]:
    async with state_wiring.books(state) as books:
        return await books.snapshots.all()


def diff(*, tag: str, json: bool, state_dir: Path | None) -> None:
    """Read the snapshot's units again and print what is not as it was. Exit 1 if something is not."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        snapshot = asyncio.run(_load(state, tag))
        asked = questions_about(snapshot.units)
        ways = load_again(snapshot.made_from, asked)
        found = differences(snapshot.units, asyncio.run(_survey(ways, asked, quiet=json)))
        if json:
            print_json(snapshots_view.differences_json(tag, found))
        else:
            out().print(snapshots_view.differences_table(tag, len(snapshot.units), found))
        raise typer.Exit(1 if any(one.what is not What.PROCESS for one in found) else 0)


async def _load(state: Path, tag: str) -> Snapshot:
    async with state_wiring.books(state) as books:
        snapshot = await books.snapshots.load(tag)
        if snapshot is None:
            raise BadInput(f"there is no snapshot {tag!r}", hint="orch snapshot list")
        return snapshot


def restore(tag: str, options: Options) -> None:
    """Bring every unit back to where the snapshot has it: a run like any other."""
    act("restore", replace(options, recorded=tag))


async def _survey(ways: wiring.Ways, asked: Mapping[str, Sequence[Asked]], *, quiet: bool) -> Survey:
    asker = Asker()
    async with wiring.world(ways, asked, ask=asker.ask) as world:
        with surveying.shown(len(asked), asker, quiet=quiet) as answered:
            return await survey(asked, world.hosts, answered=answered)
