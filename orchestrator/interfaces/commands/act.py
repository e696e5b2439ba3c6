"""`orch stop | start | restart`: survey, preview, ask, run, report."""

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.draft import OnUnreachable
from orchestrator.domain.errors import BadInput, Declined, OrchError
from orchestrator.domain.facts import RunEnded
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, chosen, questions
from orchestrator.domain.planning.left_alone import left_alone
from orchestrator.domain.preview import preview
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.engine.jobs.running import run
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.jobs.world import World
from orchestrator.engine.ports import Journal
from orchestrator.interfaces import preview_view, surveying
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.carrying import Terminal, carried
from orchestrator.interfaces.loading import load, made_from
from orchestrator.interfaces.options import Sources
from orchestrator.interfaces.terminal import confirm, interactive, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed."""

    plan: Path
    inventory: Sources = Sources()
    limit: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    service: Sequence[str] | None = None
    dry_run: bool = False
    yes: bool = False
    json: bool = False
    unreachable: str | None = None
    allow: Sequence[str] | None = None
    with_dependents: bool = False
    ignore_dependents: bool = False
    ask_pass: bool = False
    state_dir: Path | None = None


def act(action_name: str, options: Options) -> None:
    """Carry the command out; ends the process with its exit code."""
    state = wiring.state_folder(options.state_dir)
    with boundary(state):
        if not (options.yes or options.dry_run or interactive()):
            raise BadInput(
                f"orch {action_name} asks before it touches anything, and there is no terminal to ask in",
                hint="add --yes to go on without asking, or --dry-run to look first",
            )
        # Before there is an event loop: Ctrl-C then ends a program of the inventory that does not end.
        project = load(
            options.plan,
            options.inventory,
            ask_pass=options.ask_pass,
            limit=options.limit,
            exclude=options.exclude,
        )
        raise typer.Exit(asyncio.run(_act(Action(action_name), project, options, state)))


async def _act(action: Action, project: wiring.Project, options: Options, state: Path) -> int:
    policy = _policy(options.unreachable, project.draft.unreachable)
    choice = Choice(
        hosts=project.select(options.limit),
        exclude=project.select(options.exclude) or frozenset(),
        services=tuple(options.service) if options.service else None,
        with_dependents=options.with_dependents,
        ignore_dependents=options.ignore_dependents,
        allow=tuple(options.allow or ()),
    )
    asked = questions(project.draft, choice, action)
    asker = Asker()
    async with wiring.world(project, asked, ask=asker.ask) as world:
        try:
            with surveying.shown(len(asked), asker, quiet=options.json) as answered:
                live = await survey(asked, world.hosts, answered=answered)
        except asyncio.CancelledError:  # Ctrl-C, as asyncio hands it over
            raise Declined("interrupted while the live state was read; nothing was touched") from None
        excluded = _excluded(project, choice, action, live, policy, dry_run=options.dry_run)
        plan = build(project.draft, choice, action, live, excluded=excluded, controller=world.controller)
        if options.dry_run:
            preview_view.show(preview(plan), live, json=options.json)
            return 1 if live.unreachable and policy is not OnUnreachable.EXCLUDE else 0
        journal = state_wiring.journal(state)
        try:
            await journal.prepare()
        except OrchError as error:
            raise BadInput(str(error), hint=f"free {state}, or name another local folder with --state-dir") from error
        if options.yes:
            preview_view.warn(live)
        else:
            _agree(plan, live)
        return await _run(plan, world, journal, options, asker)


def _policy(typed: str | None, written: OnUnreachable) -> OnUnreachable:
    if typed is None:
        return written
    try:
        return OnUnreachable(typed)
    except ValueError:
        raise BadInput(f"--unreachable {typed}: choose ask, exclude or fail") from None


def _excluded(
    project: wiring.Project,
    choice: Choice,
    action: Action,
    survey: Survey,
    policy: OnUnreachable,
    *,
    dry_run: bool,
) -> frozenset[str]:
    """The hosts that gave no answer, once it is settled that the run goes on without them."""
    lost = survey.unreachable
    if not lost:
        return frozenset()
    hosts = frozenset(found.host for found in lost)
    if dry_run:
        return hosts
    words = _lost_in_words(lost)
    if policy is OnUnreachable.FAIL:
        raise BadInput(f"{words}\nnothing was touched", hint="--unreachable exclude goes on without them")
    alone = left_alone(project.draft, choice, action, hosts)
    units = "\n".join(f"  {left.unit}: {left.why}" for left in alone)
    message = f"{words}\nwithout them these units are left alone:\n{units}"
    if len(alone) == len(chosen(project.draft, choice, action)):
        raise BadInput(f"{message}\nthat is all that was chosen: there is nothing to {action}; nothing was touched")
    if policy is OnUnreachable.ASK:
        if not interactive():
            raise BadInput(
                f"{message}\nnothing was touched; there is no terminal to ask in",
                hint="--unreachable exclude goes on without them; --unreachable fail never does",
            )
        say(message)
        if not confirm("Go on without them?"):
            raise Declined("nothing was touched", hint="orch check tells more about each host")
    else:
        say(message)
    return hosts


def _lost_in_words(lost: Sequence[HostSurvey]) -> str:
    plural = "hosts give" if len(lost) != 1 else "host gives"
    problems = {found.host: found.problem for found in lost if found.problem}
    alike: dict[str, list[str]] = {}
    for host, problem in problems.items():
        alike.setdefault(f"{problem.kind}: {problem.text}", []).append(host)
    lines = [f"  {', '.join(hosts)}: {text}" for text, hosts in alike.items()]
    hints = dict.fromkeys(problem.hint for problem in problems.values() if problem.hint)
    return "\n".join([f"{len(lost)} {plural} no usable answer:", *lines, *hints])


def _agree(plan: Plan, survey: Survey) -> None:
    """Show what would happen and ask. Raises Declined."""
    seen = preview(plan)
    preview_view.show(seen, survey.reached, json=False, to_person=True)
    if not confirm(preview_view.question(seen)):
        raise Declined("nothing was touched")


async def _run(plan: Plan, world: World, journal: Journal, options: Options, asker: Asker) -> int:
    made = made_from(options.plan, options.inventory, ask_pass=options.ask_pass)
    header = state_wiring.header(sys.argv[1:], made)

    def begin(terminal: Terminal) -> Awaitable[RunEnded]:
        return run(
            plan, world, journal, header=header, orders=terminal.orders, watch=terminal.watch, note=terminal.note
        )

    try:
        return await carried(begin, run=header.run, json=options.json, asker=asker)
    finally:
        await journal.aclose()
