"""What goes on beside a run, for as long as it does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from orchestrator.domain.errors import OrchError


@asynccontextmanager
async def beside(*coming: Coroutine[Any, Any, None], fail: Callable[[OrchError], None]) -> AsyncIterator[None]:
    """Let all of *coming* go on while the block lasts, and cancel what is left of them then.

    They raise nothing on purpose. Should a bug end one of them, *fail* is told at once, for a run must not go on
    without it, and the bug is raised at the end of the block.
    """
    tasks = [asyncio.create_task(one) for one in coming]

    def ended(task: asyncio.Task[None]) -> None:
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            fail(OrchError(f"a bug in orch: {type(bug).__name__}: {bug}"))

    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for bug in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(bug, Exception):
                raise bug
