"""`orch cancel | close`: what is said to a run from elsewhere, and the end of one that nobody carries any more."""

import asyncio
import sys
from pathlib import Path

from orchestrator import state_wiring
from orchestrator.domain.facts import MadeFrom
from orchestrator.domain.locks import puts_back
from orchestrator.engine.jobs import answering, resuming
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.terminal import say


def cancel(*, run: str, reason: str, state_dir: Path | None) -> None:
    """Leave the order for whoever carries the run, now or later."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        say(asyncio.run(_cancel(state, run, reason)))


async def _cancel(state: Path, name: str, reason: str) -> str:
    async with to_write(state) as books:
        run = await books.journal.resolve(name)
        by = state_wiring.requester()
        holding = await answering.cancel(run, books, by=f"{by}: {reason}" if reason else by)
    if holding is None:
        return f"run {run} ended in this moment: there is nothing to cancel"
    said = f"run {run}: cancel is ordered"
    owner = f"{holding.owner.requester} on {holding.owner.controller} (process {holding.owner.pid})"
    if holding.alive:
        return (
            f"{said}; {owner} carries it: what is under way settles, then it asks whether to keep or roll back\n"
            f"try: orch decisions {run}"
        )
    gone = "it is parked" if holding.alive is None else f"its process ({owner}) is gone"
    return f"{said}; {gone}, so the order is taken up when somebody goes on with it\ntry: orch resume {run}"


def close(*, run: str, reason: str, state_dir: Path | None) -> None:
    """End the run as it is."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        say(asyncio.run(_close(state, run, reason)))


async def _close(state: Path, name: str, reason: str) -> str:
    async with to_write(state) as books:
        run = await books.journal.resolve(name)
        header = state_wiring.header(sys.argv[1:], MadeFrom(), run=run)
        ending = await resuming.close(run, books, reason=reason, header=header)
        began = resuming.began_of(run, await books.journal.read(run))
    return (
        f"run {run} is closed and its units are free; no host was asked, all is as it was left\n"
        f"head {ending.head}\n"
        f"try: `orch show {run}` tells what was left where; {puts_back(run, began.plan.action, began.of)}"
    )
