"""The state folder, opened for a command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from orchestrator import state_wiring
from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.engine.jobs.world import Books


@asynccontextmanager
async def to_write(state: Path) -> AsyncIterator[Books]:
    """The books of *state*, made if they are missing. Raises BadInput if they can't be written: nothing was touched."""
    books = state_wiring.books(state, to_write=True)
    try:
        opened = await books.__aenter__()
    except OrchError as error:
        raise BadInput(str(error), hint=f"free {state}, or name another local folder with --state-dir") from error
    try:
        yield opened
    finally:
        await books.__aexit__(None, None, None)
