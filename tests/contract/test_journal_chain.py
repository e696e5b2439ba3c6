"""The chain over a run's facts, on SQLite and in memory; then what `verify` says of a file that somebody changed."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
import state_folders
from state_folders import Drive, StateFolder, asked, began, begin

from orchestrator.adapters.journal.sqlite import FILE_NAME, SqliteJournal
from orchestrator.domain.chain import Verified
from orchestrator.domain.errors import BadInput
from orchestrator.domain.fact_codec import encode
from orchestrator.domain.facts import RunEnded, StageBegan, Stamped

drive = state_folders.drive

ENDED = RunEnded(verdict="done", exit_code=0)


def test_every_fact_has_the_head_that_anybody_can_compute(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        store = folder.store
        await begin(store, "r-2")
        await begin(store, "r-1")
        given = [*await store.append("r-1", [StageBegan(0), asked(1)]), *await store.append("r-1", [ENDED])]
        read = await folder.another().read("r-1")
        assert list(read[1:]) == given
        previous = ""
        for one in read:
            stamp = json.dumps(["r-1", one.number, one.at, one.elapsed_s])
            previous = hashlib.sha256(f"{previous}\n{stamp}\n{encode(one.fact)}".encode()).hexdigest()
            assert one.head == previous
        first = Verified(run="r-1", facts=4, head=previous)
        assert list(await folder.another().verify("r-1")) == [first]
        assert [(one.run, one.facts, one.wrong) for one in await store.verify()] == [("r-1", 4, ""), ("r-2", 1, "")]

    drive(body)


def test_a_head_that_was_noted_is_found_where_it_stands(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        store = folder.store
        for run in ("r-1", "r-2"):
            await begin(store, run)
        noted, last = await store.append("r-1", [StageBegan(0), StageBegan(1)])
        for head in (noted.head, noted.head[:12].upper()):
            assert [(one.run, one.known_at, one.head) for one in await store.verify(head=head)] == [
                ("r-1", 2, last.head)
            ]
        [other] = await store.verify("r-2", head=noted.head)
        assert f"none of its 1 facts has the head {noted.head}" in other.wrong
        with pytest.raises(BadInput, match="no run here has the head"):
            await store.verify(head="0" * 64)
        for head in ("abc", "g" * 64):
            with pytest.raises(BadInput, match="is no head"):
                await store.verify(head=head)
        with pytest.raises(BadInput, match="there is no run r-9"):
            await store.verify("r-9")

    drive(body)


# --- a file that was changed ----------------------------------------------------------------------------------------

UNLOCKED = "DROP TRIGGER IF EXISTS facts_are_never_changed; DROP TRIGGER IF EXISTS facts_are_never_removed;"
RUN = [began("r-1"), StageBegan(0), asked(1), StageBegan(1), ENDED]
TAMPERED = {
    "one byte of a fact": (
        """UPDATE facts SET body = replace(body, '"stage":0', '"stage":1') WHERE number = 2""",
        "fact 2 is not what was written",
        1,
    ),
    "its time": ("UPDATE facts SET at = at + 1 WHERE number = 3", "fact 3 is not what was written", 2),
    "its duration": ("UPDATE facts SET elapsed_s = 7 WHERE number = 3", "fact 3 is not what was written", 2),
    "its head": (f"UPDATE facts SET head = '{'0' * 64}' WHERE number = 4", "fact 4 is not what was written", 3),
    "no text": ("UPDATE facts SET body = x'ff00' WHERE number = 3", "fact 3 is not what was written", 2),
    "no values": ("UPDATE facts SET body = 7, at = 'x', head = '' WHERE number = 3", "fact 3 is not what", 2),
    "the first removed": ("DELETE FROM facts WHERE number = 1", "fact 1 is missing: the first", 0),
    "one removed": ("DELETE FROM facts WHERE number = 3", "fact 3 is missing: after 2 comes 4", 2),
    "one removed, renumbered": (
        "DELETE FROM facts WHERE number = 3; UPDATE facts SET number = number - 1 WHERE number > 3",
        "fact 3 is not what was written",
        2,
    ),
    "one moved": (
        "UPDATE facts SET body = (SELECT body FROM facts WHERE number = 4) WHERE number = 2",
        "fact 2 is not what was written",
        1,
    ),
    "the end removed": ("DELETE FROM facts WHERE number = 5", "listed as ended, but fact 4, the last one", 4),
    "all removed": ("DELETE FROM facts", "none of its facts is there any more", 0),
}


def made(folder: Path, run: str = "r-1", facts: Sequence[object] = RUN) -> list[Stamped]:
    async def body() -> list[Stamped]:
        journal = SqliteJournal(folder)
        stamped = list(await journal.append(run, list(facts)))  # type: ignore[arg-type] # a list of facts
        await journal.aclose()
        return stamped

    return asyncio.run(body())


def verified(folder: Path, run: str | None = None, head: str = "") -> list[Verified]:
    return list(asyncio.run(SqliteJournal(folder).verify(run, head=head)))


def change(folder: Path, statements: str) -> None:
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.executescript(UNLOCKED + statements)
    connection.close()


@pytest.mark.parametrize("what", sorted(TAMPERED))
def test_what_was_changed_on_disk_is_named(tmp_path: Path, what: str) -> None:
    stamped = made(tmp_path)
    made(tmp_path, "r-2", [began("r-2")])
    statements, said, good = TAMPERED[what]
    change(tmp_path, statements.replace("WHERE", "WHERE run = 'r-1' AND"))
    [found] = verified(tmp_path, "r-1")
    assert said in found.wrong
    assert (found.facts, found.head) == (good, stamped[good - 1].head if good else "")


def test_a_chain_that_was_made_anew_is_told_by_a_head_that_was_noted(tmp_path: Path) -> None:
    [*_, last] = made(tmp_path)
    forged = made(tmp_path / "elsewhere", "r-1", [began("r-1"), StageBegan(7), ENDED])
    rows = [("r-1", one.number, one.at, one.elapsed_s, encode(one.fact), one.head) for one in forged]
    change(tmp_path, "DELETE FROM facts;")
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.executemany("INSERT INTO facts (run, number, at, elapsed_s, body, head) VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    assert [one.wrong for one in verified(tmp_path)] == [""]  # nothing inside the file tells
    assert "none of its 3 facts has the head" in verified(tmp_path, "r-1", last.head)[0].wrong


def test_a_fact_that_fits_but_cannot_be_read_is_named(tmp_path: Path) -> None:
    [only] = made(tmp_path, "r-1", [StageBegan(0)])
    body = '{"kind":"stage_began","version":9,"stage":1}'
    stamp = json.dumps(["r-1", 2, only.at, 0.0])
    head = hashlib.sha256(f"{only.head}\n{stamp}\n{body}".encode()).hexdigest()
    change(tmp_path, f"INSERT INTO facts VALUES ('r-1', 2, {only.at!r}, 0.0, '{body}', '{head}')")
    [found] = verified(tmp_path)
    assert "fact 2 is what was written, but can't be read" in found.wrong
    assert found.facts == 1


def test_where_no_journal_is_nothing_is_wrong_and_nothing_is_made(tmp_path: Path) -> None:
    assert verified(tmp_path / "state") == []
    with pytest.raises(BadInput, match="there is no run"):
        verified(tmp_path / "state", "r-1")
    assert not (tmp_path / "state").exists()
