"""What goes on beside a run, for as long as it does."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(*coming: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let all of *coming* go on while the block lasts, and cancel what is left of them then. They raise nothing on
    purpose: a bug in one of them is raised at the end of the block."""
    tasks = [asyncio.create_task(one) for one in coming]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for bug in ended:
        if isinstance(bug, Exception):
            raise bug
