"""The journal where everything else that blocks is stuck: answers and orders are still heard of."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from state_folders import begin

from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.engine.ports import Order

BOUND_S = 20.0


def test_an_order_is_read_while_names_that_nobody_answers_for_hold_all_threads(tmp_path: Path) -> None:
    freed = threading.Event()

    async def body() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        stuck = loop.run_in_executor(None, freed.wait)  # as getaddrinfo is, without a name server
        journal = SqliteJournal(tmp_path)
        try:
            async with asyncio.timeout(BOUND_S):
                await begin(journal, "r-1", "a@h")
                await journal.order("r-1", Order.CANCEL, "ben")
                await journal.changed("r-1")
                assert list(await journal.orders("r-1")) == [(Order.CANCEL, "ben")]
                await journal.aclose()
        finally:
            freed.set()
            await stuck

    asyncio.run(body())
