"""`orch stop | start | restart`, and a restore: survey, preview, ask, run or save, report."""

import asyncio
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.draft import OnUnreachable
from orchestrator.domain.errors import BadInput, Declined
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import STOPPING, Choice, check_rolling, chosen, questions
from orchestrator.domain.planning.left_alone import left_alone
from orchestrator.domain.preview import preview
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.domain.way_back import stops_running
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.jobs.world import Header
from orchestrator.interfaces import preview_view, surveying
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.carrying import Way, addresses, carry
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.commands.recorded import Recorded, recorded
from orchestrator.interfaces.loading import load, made_from, sources_of
from orchestrator.interfaces.options import Sources
from orchestrator.interfaces.terminal import confirm, interactive, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed. `recorded` is the run or tag whose snapshot is gone back to; `plan` may be left out with it."""

    plan: Path | None = None
    inventory: Sources = Sources()
    limit: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    service: Sequence[str] | None = None
    recorded: str | None = None
    dry_run: bool = False
    save: Path | None = None
    overwrite: bool = False
    wait: bool = False
    yes: bool = False
    json: bool = False
    unreachable: str | None = None
    allow: Sequence[str] | None = None
    with_dependents: bool = False
    ignore_dependents: bool = False
    rolling: bool = False
    ask_pass: bool = False
    state_dir: Path | None = None


def act(action_name: str, options: Options) -> None:
    """Carry the command out; ends the process with its exit code."""
    state = state_wiring.state_folder(options.state_dir)
    with boundary(state):
        if options.rolling:
            check_rolling(Action(action_name))
        before = asyncio.run(_recorded(state, options.recorded)) if options.recorded else None
        if not (options.yes or options.dry_run or options.save or interactive()):
            raise BadInput(
                f"orch {action_name} asks before it touches anything, and there is no terminal to ask in",
                hint="add --yes to go on without asking, or --dry-run to look first",
            )
        if options.save:
            state_wiring.refuse_file(options.save, overwrite=options.overwrite)
        plan, sources, ask_pass = _files(options, before)
        # Before there is an event loop: Ctrl-C then ends a program of the inventory that does not end.
        project = load(plan, sources, ask_pass=ask_pass, limit=options.limit, exclude=options.exclude)
        header = state_wiring.header(
            sys.argv[1:], made_from(plan, sources, ask_pass=ask_pass), of=before.of if before else ""
        )
        raise typer.Exit(asyncio.run(_act(Action(action_name), project, before, options, header, state)))


async def _recorded(state: Path, name: str) -> Recorded:
    async with state_wiring.books(state) as books:
        return await recorded(books, name)


def _files(options: Options, before: Recorded | None) -> tuple[Path, Sources, bool]:
    """The playbook, where its hosts come from, and whether a password is asked for: as typed, or as recorded."""
    if options.plan is not None:
        return options.plan, options.inventory, options.ask_pass
    if before is None:
        raise BadInput("no playbook is named", hint="--plan FILE, or --from RUN|TAG for what ran once")
    made = before.made_from
    if not made.playbook:
        raise BadInput(f"of {before.of} no playbook is on record", hint="name it with --plan FILE")
    sources = options.inventory if options.inventory.files else sources_of(made)
    if made.ask_pass and not options.ask_pass:
        say(f"{before.of} was made with --ask-pass: the password is kept nowhere, and asked for again")
    return Path(made.playbook), sources, options.ask_pass or made.ask_pass


async def _act(
    action: Action, project: wiring.Project, before: Recorded | None, options: Options, header: Header, state: Path
) -> int:
    policy = on_unreachable(options.unreachable, project.draft.unreachable)
    choice = _choice(action, project, before, options)
    asked = questions(project.draft, choice, action)
    asker = Asker()
    async with wiring.world(project, asked, ask=asker.ask) as world:
        try:
            with surveying.shown(len(asked), asker, quiet=options.json) as answered:
                live = await survey(asked, world.hosts, answered=answered, dependents=action in STOPPING)
        except asyncio.CancelledError:  # Ctrl-C, as asyncio hands it over
            raise Declined("interrupted while the live state was read; nothing was touched") from None
        excluded = _excluded(project, choice, action, live, policy, dry_run=options.dry_run)
        units = before.units if before and action is Action.RESTORE else ()
        plan = build(project.draft, choice, action, live, before=units, excluded=excluded, controller=world.controller)
        if before and action is Action.START and before.stayed:
            say(before.stayed)
        if options.dry_run:
            preview_view.show(preview(plan, dry_run=True), live, json=options.json)
            return 1 if live.unreachable and policy is not OnUnreachable.EXCLUDE else 0
        if options.save:
            return _save(plan, live, header, options.save, options)
        async with to_write(state) as books:
            if options.yes:
                _warn(plan, live)
            else:
                _agree(plan, live)
            way = Way(
                json=options.json,
                wait=options.wait,
                asker=asker,
                by=header.requester,
                state=state,
                addresses=addresses(project.connections),
            )
            return await carry(plan, world, books, header, wiring.notifier(project), way)


def _choice(action: Action, project: wiring.Project, before: Recorded | None, options: Options) -> Choice:
    units = None
    if before is not None:
        units = before.ran if action is Action.START else frozenset(unit.id for unit in before.units)
    return Choice(
        hosts=project.select(options.limit),
        exclude=project.select(options.exclude) or frozenset(),
        services=tuple(options.service) if options.service else None,
        with_dependents=options.with_dependents,
        ignore_dependents=options.ignore_dependents,
        allow=tuple(options.allow or ()),
        units=units,
        rolling=options.rolling,
    )


def on_unreachable(typed: str | None, written: OnUnreachable) -> OnUnreachable:
    """What `--unreachable` says, or else the playbook. Raises BadInput."""
    if typed is None:
        return written
    try:
        return OnUnreachable(typed)
    except ValueError:
        raise BadInput(f"--unreachable {typed}: choose ask, exclude or fail") from None


def _save(plan: Plan, live: Survey, header: Header, path: Path, options: Options) -> int:
    """Show what is frozen, and freeze it."""
    preview_view.show(preview(plan), live.reached, json=options.json)
    state_wiring.save_plan(path, plan, header, overwrite=options.overwrite, allow=options.allow or ())
    say(f"saved to {path}; nothing was touched\ntry: orch apply {shlex.quote(str(path))}")
    return 0


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


def _warn(plan: Plan, live: Survey) -> None:
    """What has to be known by somebody who is shown no preview."""
    preview_view.warn(live)
    stopped = stops_running(plan) if plan.action is Action.RESTORE else 0
    if stopped:
        say(preview_view.stops_words(stopped))


def _agree(plan: Plan, survey: Survey) -> None:
    """Show what would happen and ask. Raises Declined."""
    seen = preview(plan)
    preview_view.show(seen, survey.reached, json=False, to_person=True)
    if not confirm(preview_view.question(seen)):
        raise Declined("nothing was touched")
