"""A journal whose file goes away while it is written."""

import asyncio
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
