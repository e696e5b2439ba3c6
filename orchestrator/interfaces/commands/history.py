"""`orch runs | show`: the journal, read back."""

import asyncio
from pathlib import Path

from orchestrator import state_wiring
from orchestrator.engine.book_ports import RunSummary
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.found import look
from orchestrator.interfaces.runs_view import runs_json, runs_table, show_json
from orchestrator.interfaces.runs_view import show as show_tables
from orchestrator.interfaces.terminal import out, print_json
from orchestrator.interfaces.theme import marks_of


def runs(*, limit: int, json: bool, state_dir: Path | None) -> None:
    """Print the newest runs."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        found = asyncio.run(_runs(state, limit))
        console = out()
        if json:
            print_json(runs_json(found))
        else:
            console.print(runs_table(found, marks_of(console)))


def show(*, run: str, json: bool, state_dir: Path | None) -> None:
    """Print one run."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        found = asyncio.run(look(state, run))
        console = out()
        if json:
            print_json(show_json(found.facts, found.holding))
        else:
            left = state_wiring.undo_left(state, found.run)
            console.print(show_tables(found.facts, found.holding, marks_of(console), left))


async def _runs(state: Path, limit: int) -> list[RunSummary]:
    async with state_wiring.books(state) as books:
        return list(await books.journal.runs(limit))
