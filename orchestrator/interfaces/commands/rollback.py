"""`orch rollback`: putting back what a run changed, now or days later."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from orchestrator import state_wiring, wiring
from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import BadInput, Declined, Drifted
from orchestrator.domain.facts import Stamped, Strayed
from orchestrator.domain.preview import preview
from orchestrator.domain.way_back import in_words, stops_running, whole_way_back
from orchestrator.engine.jobs.going_back import Rollback, plan_rollback, touched_hosts
from orchestrator.interfaces import preview_view, surveying
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.carrying import carry
from orchestrator.interfaces.commands.decide import answer, show_meant
from orchestrator.interfaces.commands.found import Found, look
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.commands.resume import GoOn
from orchestrator.interfaces.loading import load_again
from orchestrator.interfaces.terminal import confirm, say

NEWEST = 1000
"""Among how many runs those are looked for that went on from the one that is rolled back."""


def rollback(*, run: str, dry_run: bool, going: GoOn) -> None:
    """Of a run that has ended, a run of its own; of an open one, the answer to what it asks, and going on with it."""
    state = state_wiring.state_folder(going.state_dir)
    with boundary(state):
        found = asyncio.run(look(state, run))
        if not dry_run:
            going.check("rollback")
        if found.holding is not None:
            _of_open(state, found, going, dry_run=dry_run)
            return
        if not whole_way_back(found.began.plan):
            raise BadInput(
                f"run {found.run} is a rollback itself, and has no way back of its own",
                hint=f"orch rollback {found.began.of} puts back what it could not; "
                f"orch start --from {found.run}, or orch snapshot restore TAG, go to what was before it",
            )
        hosts = touched_hosts(found.run, found.facts)
        if not hosts:
            say(f"run {found.run} changed nothing: there is nothing to put back")
            return
        ways = load_again(found.began.made_from, hosts)
        raise typer.Exit(asyncio.run(_rollback(state, found, ways, going, dry_run=dry_run)))


def _of_open(state: Path, found: Found, going: GoOn, *, dry_run: bool) -> None:
    """Answer what it asks. Raises BadInput if it asks nothing that may be answered so."""
    asked = [one for one in found.open if one.settled is None and Choice.ROLLBACK in one.asked.choices]
    if not asked:
        close = f"orch close {found.run} --reason TEXT ends it as it is; then orch rollback {found.run} puts back"
        raise BadInput(
            f"run {found.run} has not ended and asks nothing that could be answered with rollback; nothing was changed",
            hint=f"orch cancel {found.run}: it asks then whether to keep or roll back" if found.alive else close,
        )
    number = asked[0].asked.decision
    if dry_run:
        show_meant(found, Choice.ROLLBACK, number)
        return
    answer(state, found, Choice.ROLLBACK, decision=number, reason="", resume=True, going=going)


async def _rollback(state: Path, found: Found, ways: wiring.Ways, going: GoOn, *, dry_run: bool) -> int:
    asker = Asker()
    async with wiring.world(ways, ways.connections, ask=asker.ask) as world:
        with surveying.shown(len(ways.connections), asker, quiet=going.json) as answered:
            back = await plan_rollback(
                found.run,
                found.facts,
                world,
                later=await _later(state, found.run),
                accept_drift=going.accept_drift,
                answered=answered,
            )
        if dry_run:
            preview_view.show(preview(back.plan, dry_run=True), back.live, json=going.json)
            _warn(back, shown=True)
            return 0
        if not back.plan.stages:
            _nothing(found.run, back)
            return 0
        async with to_write(state) as books:
            if not going.yes:
                preview_view.show(preview(back.plan), back.live.reached, json=False, to_person=True)
            _warn(back, shown=not going.yes)
            if not going.yes and not confirm(preview_view.question(preview(back.plan))):
                raise Declined("nothing was touched")
            header = state_wiring.header(sys.argv[1:], found.began.made_from, of=found.run)
            way = going.way(header, ways, asker, state)
            return await carry(back.plan, world, books, header, wiring.notifier(ways), way)


async def _later(state: Path, run: str) -> list[Sequence[Stamped]]:
    """The facts of the runs that went back from *run*, or on from it, oldest first."""
    async with state_wiring.books(state) as books:
        of = [one.run for one in await books.journal.runs(NEWEST) if one.of == run]
        return [await books.journal.read(one) for one in reversed(of)]


def _nothing(run: str, back: Rollback) -> None:
    """Say why there is nothing to do. Raises Drifted if that is so because somebody else moved what there was."""
    if not back.changed_since:
        say(f"all that run {run} changed is as it was before: there is nothing to put back")
        return
    raise Drifted(
        f"nothing of what run {run} changed can be put back as things are:\n{_listed(back.changed_since)}\n"
        "nothing was touched",
        hint=f"orch rollback {run} --accept-drift acts on units that somebody else moved since",
    )


def _warn(back: Rollback, *, shown: bool) -> None:
    """What has to be known before it is done; *shown*: the preview was, which names what is left alone."""
    if shown:
        return
    stopped = stops_running(back.plan)
    if stopped:
        say(preview_view.stops_words(stopped))
    if back.changed_since:
        say(f"not put back:\n{_listed(back.changed_since)}")


def _listed(changed: Sequence[Strayed]) -> str:
    return "\n".join(f"  {one.unit}: {in_words(one)}" for one in changed)
