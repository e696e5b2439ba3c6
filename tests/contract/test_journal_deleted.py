"""A journal whose file goes away while it is written, and one that an older orch left."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from orchestrator.adapters.journal.sqlite import FILE_NAME, SqliteJournal
from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import StageBegan


def test_what_went_into_a_deleted_file_is_not_acknowledged(tmp_path: Path) -> None:
    async def body() -> None:
        journal = SqliteJournal(tmp_path)
        await journal.append("r-1", [StageBegan(0)])
        (tmp_path / FILE_NAME).unlink()
        with pytest.raises(OrchError, match="deleted or moved away meanwhile"):
            await journal.append("r-1", [StageBegan(1)])
        await journal.aclose()

    asyncio.run(body())


def test_a_file_from_before_the_first_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.executescript("CREATE TABLE facts (run); PRAGMA application_id = 1869767528; PRAGMA user_version = 1")
    connection.close()
    before = (tmp_path / FILE_NAME).read_bytes()

    async def body() -> None:
        journal = SqliteJournal(tmp_path)
        for attempt in (journal.read("r-1"), journal.append("r-1", [StageBegan(0)])):
            with pytest.raises(
                OrchError, match="before the first release: its schema is 1, this one knows 2"
            ) as caught:
                await attempt
            assert "move it away" in caught.value.hint
        await journal.aclose()

    asyncio.run(body())
    assert (tmp_path / FILE_NAME).read_bytes() == before
