"""`orch kept-down | release`: what runs left kept down, and putting it back."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.errors import BadInput, Declined
from orchestrator.domain.facts import MadeFrom
from orchestrator.engine.jobs.releasing import Leftovers, leftovers, release
from orchestrator.engine.jobs.world import World
from orchestrator.interfaces import kept_down_view
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.found import look
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.loading import load_again, load_hosts, made_from
from orchestrator.interfaces.options import Sources
from orchestrator.interfaces.terminal import confirm, err, interactive, out, print_json, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed: leftovers of *run*, or those on *hosts* (patterns); of *services* alone, by SCM name."""

    run: str | None = None
    hosts: Sequence[str] = ()
    services: Sequence[str] = ()
    plan: Path | None = None
    inventory: Sources = Sources()
    ask_pass: bool = False
    yes: bool = False
    json: bool = False
    state_dir: Path | None = None


def kept_down(options: Options) -> None:
    """List what is kept down. Exit 1 if a host did not tell."""
    with boundary(state_wiring.state_folder(options.state_dir)):
        ways = _ways(options)
        found = asyncio.run(_found(ways))
        if options.json:
            print_json(kept_down_view.kept_json(found))
        else:
            out().print(kept_down_view.kept_table(found))
            if found.found:
                say("try: orch release RUN, or orch release --host HOST")
        raise typer.Exit(1 if found.unread else 0)


async def _found(ways: wiring.Ways) -> Leftovers:
    async with wiring.world(ways, ways.connections, ask=Asker().ask) as world:
        return await leftovers(list(ways.connections), world)


def release_(options: Options) -> None:
    """Put back what a run, or whoever it was, left kept down. Exit 1 if something could not be put back or read."""
    state = state_wiring.state_folder(options.state_dir)
    with boundary(state):
        if (options.run is None) == (not options.hosts):
            raise BadInput(
                "say what to release: a run, or --host HOST with --inventory or --plan", hint="orch kept-down lists it"
            )
        if not (options.yes or interactive()):
            raise BadInput(
                "orch release asks before it touches anything, and there is no terminal to ask in",
                hint="add --yes to go on without asking; orch kept-down only looks",
            )
        ways, made, run = _of_run(state, options) if options.run else _of_hosts(options)
        raise typer.Exit(asyncio.run(_release(state, ways, made, run, options)))


def _of_run(state: Path, options: Options) -> tuple[wiring.Ways, MadeFrom, str]:
    found = asyncio.run(look(state, options.run or ""))
    stages = (*found.began.plan.stages, *found.began.plan.back)
    units = (node.unit for stage in stages for node in stage.nodes if node.life is not None and node.life.keep_down)
    hosts = tuple(dict.fromkeys(unit.host for unit in units if unit.host is not None))
    if not hosts:
        raise BadInput(
            f"run {found.run} keeps no service down", hint="orch kept-down --plan FILE lists what others left"
        )
    return load_again(found.began.made_from, hosts), found.began.made_from, found.run


def _of_hosts(options: Options) -> tuple[wiring.Ways, MadeFrom, str]:
    made = made_from(options.plan, options.inventory, ask_pass=options.ask_pass)
    return _ways(options), made, ""


def _ways(options: Options) -> wiring.Ways:
    if not options.inventory.files and options.plan is None:
        hint = "--inventory FILE, or --plan FILE for the one that a playbook names"
        raise BadInput("no inventory is named", hint=hint)
    pattern = ",".join(options.hosts) or "all"
    return load_hosts(options.plan, options.inventory, pattern, ask_pass=options.ask_pass)


async def _release(state: Path, ways: wiring.Ways, made: MadeFrom, run: str, options: Options) -> int:
    async with wiring.world(ways, ways.connections, ask=Asker().ask) as world:
        every = await leftovers(list(ways.connections), world)
        found = every.only(run=run, services=options.services)
        if not found.found:
            _nothing(found, every, json=options.json)
            return 1 if found.unread else 0
        if not options.yes:
            err().print(kept_down_view.kept_table(found))
            if not confirm(kept_down_view.question(found)):
                raise Declined("nothing was touched")
        return await _put_back(state, found, world, made, run, options)


def _nothing(found: Leftovers, every: Leftovers, *, json: bool) -> None:
    """There is nothing to put back; what else is kept down there is named."""
    if json:
        print_json(kept_down_view.released_json(found, []))
        return
    out().print(kept_down_view.kept_table(found))
    for run in dict.fromkeys(left.record.run for left in every.found):
        say(f"run {run} keeps something down there: orch release {run}")


async def _put_back(state: Path, found: Leftovers, world: World, made: MadeFrom, run: str, options: Options) -> int:
    header = state_wiring.header(sys.argv[1:], made, of=run)
    async with to_write(state) as books:
        done = await release(found.found, world, books, header)
    if options.json:
        print_json(kept_down_view.released_json(found, done))
    else:
        out().print(kept_down_view.released_table(done))
    return 1 if found.unread or not all(one.ok for one in done) else 0
