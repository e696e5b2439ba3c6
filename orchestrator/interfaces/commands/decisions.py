"""`orch decisions`: what waits for an answer."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import state_wiring
from orchestrator.engine.book_ports import OpenDecision
from orchestrator.interfaces import decisions_view
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.terminal import out, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.domain.consequences import Consequence
    from orchestrator.interfaces.commands.found import Found


def decisions(*, run: str | None, json: bool, state_dir: Path | None) -> None:
    """Print what waits; of one run, what each answer would do."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        if run is not None:
            _of_run(state, run, json=json)
            return
        waiting, now, carried = asyncio.run(_open(state))
        if json:
            print_json(decisions_view.waiting_json(waiting, now))
        else:
            out().print(decisions_view.waiting(waiting, now, carried))


async def _open(state: Path) -> tuple[Sequence[OpenDecision], float, frozenset[str]]:
    """What waits, the time, and the runs that a process carries."""
    async with state_wiring.books(state) as books:
        carried = frozenset(one.run for one in await books.locks.holdings() if one.alive)
        return await books.decisions.open(), books.clock(), carried


def _of_run(state: Path, run: str, *, json: bool) -> None:
    from orchestrator.interfaces.commands.found import look  # noqa: PLC0415 - the table reads no plan

    found = asyncio.run(look(state, run))
    if json:
        print_json(decisions_view.waiting_json(found.open, found.now, _foreseen(found)))
    elif found.open:
        out().print(*_in_full(found), sep="\n")
    else:
        out().print(decisions_view.waiting((), found.now))


def _foreseen(found: "Found") -> "dict[int, Sequence[Consequence]]":
    from orchestrator.domain.consequences import consequences  # noqa: PLC0415 - as above

    state = found.state()
    return {one.asked.decision: consequences(state, one.asked.decision) for one in found.open}


def _in_full(found: "Found") -> "Iterator[RenderableType]":
    """Each open decision as the run's own terminal asks it, who said what, and what to type."""
    from rich.text import Text  # noqa: PLC0415 - as above

    from orchestrator.interfaces.question_view import Asked, question  # noqa: PLC0415 - as above

    foreseen, ends = _foreseen(found), found.ends()
    for one in found.open:
        number = one.asked.decision
        asked = Asked(
            question=found.timeline.decisions.all[number],
            foreseen=foreseen[number],
            ends=ends,
            approval=one.approval,
            requester=one.requester,
            behind=0,
        )
        yield decisions_view.heading(one, found.now)
        yield question(asked)
        yield from decisions_view.said_so_far(one)
        typed = (f" --decision {number}" if len(found.open) > 1 else "") + ("" if found.alive else " --resume")
        yield Text(f"orch decide {found.run} ANSWER{typed}", style="bold")
