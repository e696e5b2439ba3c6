"""The journal's contract, on SQLite and on the twin in memory; then what only a disk can do."""

import asyncio
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.journal.folder import network_type
from orchestrator.adapters.journal.sqlite import FILE_NAME, SqliteJournal
from orchestrator.adapters.journal.store import Store
from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.adapters.run_id import new_run_id
from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.facts import Fact, RunBegan, RunEnded, StageBegan, Stamped, StepEnded, StepIntended
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.engine.book_ports import Journal

BOUND_S = 60.0


def began(run: str) -> RunBegan:
    plan = Plan(name="shop", action=Action.STOP, stages=())
    return RunBegan(run=run, plan=plan, requester="ada@ops", controller="ctl-01", command="orch stop --plan shop.yaml")


def steps(count: int) -> list[Fact]:
    return [StepIntended(Step(0, f"orders@app-{number:03}", Phase.STOP)) for number in range(count)]


Body = Callable[[Journal], Coroutine[Any, Any, None]]
Drive = Callable[[Body], None]


@pytest.fixture(params=["memory", "sqlite"])
def drive(request: pytest.FixtureRequest, tmp_path: Path) -> Drive:
    """Runs a test's body on a journal of each kind, and closes it."""

    async def driven(body: Body) -> None:
        journal: Journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "state")
        async with asyncio.timeout(BOUND_S):
            await body(journal)
            await journal.aclose()
            await journal.aclose()

    return lambda body: asyncio.run(driven(body))


def test_facts_come_back_numbered_stamped_and_in_order(drive: Drive) -> None:
    async def body(journal: Journal) -> None:
        first = await journal.append("r-1", [began("r-1"), StageBegan(0)])
        other = await journal.append("r-2", [began("r-2")])
        second = await journal.append(
            "r-1", [*steps(3), StepEnded(Result(step=Step(0, "a@b", Phase.STOP), outcome=Outcome.OK))]
        )
        read = await journal.read("r-1")
        assert [one.number for one in read] == [1, 2, 3, 4, 5, 6]
        assert [*first, *second] == list(read)
        assert [one.number for one in other] == [1]
        assert read[0].elapsed_s == 0
        assert read[-1].elapsed_s >= 0
        assert datetime.fromtimestamp(read[0].at, UTC).year >= 2026
        assert await journal.append("r-1", []) in ([], ())
        assert await journal.read("r-1") == read

    drive(body)


def test_a_run_that_is_not_there_has_no_facts(drive: Drive) -> None:
    async def body(journal: Journal) -> None:
        assert list(await journal.read("r-1")) == []
        assert list(await journal.runs(10)) == []
        with pytest.raises(BadInput, match="no runs yet"):
            await journal.resolve("last")

    drive(body)


def test_runs_are_listed_newest_first_with_their_end(drive: Drive) -> None:
    async def body(journal: Journal) -> None:
        for run in ("r-b", "r-a", "r-c"):
            await journal.append(run, [began(run)])
        await journal.append("r-a", [RunEnded(verdict="failed", exit_code=1, counts={"ok": 2, "failed": 1})])
        listed = await journal.runs(10)
        assert [one.run for one in listed] == ["r-c", "r-a", "r-b"]
        open_run, ended = listed[0], listed[1]
        assert (open_run.verdict, open_run.ended_at, dict(open_run.counts)) == (None, None, {})
        assert (ended.verdict, dict(ended.counts)) == ("failed", {"ok": 2, "failed": 1})
        assert (ended.plan, ended.action, ended.requester) == ("shop", "stop", "ada@ops")
        assert ended.ended_at is not None
        assert ended.ended_at >= ended.began_at
        assert [one.run for one in await journal.runs(1)] == ["r-c"]

    drive(body)


def test_a_run_is_found_by_id_prefix_or_last(drive: Drive) -> None:
    async def body(journal: Journal) -> None:
        for run in ("20261121-0213-k7q2", "20261121-0213-k7q2x", "20261122-0001-aaaa"):
            await journal.append(run, [began(run)])
        assert await journal.resolve("last") == "20261122-0001-aaaa"
        assert await journal.resolve("20261122") == "20261122-0001-aaaa"
        assert await journal.resolve("20261121-0213-k7q2") == "20261121-0213-k7q2"
        with pytest.raises(BadInput, match=r"fits 2 runs: 20261121-0213-k7q2x, 20261121-0213-k7q2$"):
            await journal.resolve("20261121")
        for wrong in ("", "%", "nope"):
            with pytest.raises(BadInput, match="newest: 20261122-0001-aaaa, "):
                await journal.resolve(wrong)

    drive(body)


def test_appends_that_wait_together_keep_their_order(drive: Drive) -> None:
    async def body(journal: Journal) -> None:
        await journal.append("r-1", [began("r-1")])
        facts = steps(300)
        stamped = await asyncio.gather(*(journal.append("r-1", [fact]) for fact in facts))
        assert [one.fact for [one] in stamped] == facts
        assert [one.fact for one in await journal.read("r-1")][1:] == facts

    drive(body)


def test_a_run_begins_once(drive: Drive) -> None:
    async def body(journal: Journal) -> None:
        await journal.append("r-1", [began("r-1")])
        with pytest.raises(OrchError, match="begun"):
            await journal.append("r-1", [StageBegan(0), began("r-1")])
        assert len(await journal.read("r-1")) == 1

    drive(body)


def test_half_a_surrogate_pair_of_a_host_survives(drive: Drive) -> None:
    async def body(journal: Journal) -> None:
        result = Result(step=Step(0, "a@b", Phase.STOP), outcome=Outcome.FAILED, said="\ud800 \x00 \x1b[31m é")
        await journal.append("r-1", [StepEnded(result)])
        [read] = await journal.read("r-1")
        assert read.fact == StepEnded(result)

    drive(body)


# --- what only a disk can do ---------------------------------------------------------------------------------------


def once(folder: Path, run: str, facts: Sequence[Fact], *, lock_wait_s: float = 30.0) -> Sequence[Stamped]:
    """Append by a journal of its own, and close it."""

    async def body() -> Sequence[Stamped]:
        journal = SqliteJournal(folder, lock_wait_s=lock_wait_s)
        try:
            return await journal.append(run, facts)
        finally:
            await journal.aclose()

    return asyncio.run(body())


def read(folder: Path, run: str) -> list[Stamped]:
    return list(asyncio.run(SqliteJournal(folder).read(run)))


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "state", "r-1") == []
    assert not (tmp_path / "state").exists()


def test_a_reopened_journal_goes_on_counting(tmp_path: Path) -> None:
    once(tmp_path, "r-1", [began("r-1")])
    [second] = once(tmp_path, "r-1", [StageBegan(0)])
    assert (second.number, second.elapsed_s) == (2, 0.0)
    assert [one.number for one in read(tmp_path, "r-1")] == [1, 2]


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    once(folder, "r-1", [began("r-1")])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600


def test_a_folder_made_for_a_group_stays_the_groups(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2770)

    async def body() -> None:
        journal = SqliteJournal(folder)
        await journal.append("r-1", [began("r-1")])
        assert {path.name: stat.S_IMODE(path.stat().st_mode) & 0o777 for path in folder.iterdir()} == {
            FILE_NAME: 0o660,
            f"{FILE_NAME}-wal": 0o660,
            f"{FILE_NAME}-shm": 0o660,
        }
        await journal.aclose()

    asyncio.run(body())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2770


def test_the_disk_is_waited_for_at_every_commit(tmp_path: Path) -> None:
    once(tmp_path, "r-1", [began("r-1")])
    connection = Store(tmp_path / FILE_NAME, wall=lambda: 0.0, lock_wait_s=1.0).opened()
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("statement", ["DELETE FROM facts", "UPDATE facts SET body = ''"])
def test_facts_are_never_rewritten(tmp_path: Path, statement: str) -> None:
    once(tmp_path, "r-1", [began("r-1")])
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with pytest.raises(sqlite3.IntegrityError, match="facts are never"):
        connection.execute(statement)
    connection.close()


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    once(tmp_path, "r-1", [began("r-1")])
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    attempts: list[Callable[[], object]] = [
        lambda: read(tmp_path, "r-1"),
        lambda: once(tmp_path, "r-1", [StageBegan(0)]),
    ]
    for attempt in attempts:
        with pytest.raises(OrchError, match="newer orch: its schema is 3"):
            attempt()


@pytest.mark.parametrize("kind", ["another program's", "no database"])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / FILE_NAME
    if kind == "no database":
        path.write_text("my diary, by ada\n" * 100)
    else:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE diary (entry TEXT)")
        connection.commit()
        connection.close()
    before = path.read_bytes()
    attempts: list[Callable[[], object]] = [
        lambda: read(tmp_path, "r-1"),
        lambda: once(tmp_path, "r-1", [began("r-1")]),
    ]
    for attempt in attempts:
        with pytest.raises(OrchError, match=r"database of another program|no SQLite database") as caught:
            attempt()
        assert "--state-dir" in caught.value.hint
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_says_that_nothing_was_touched(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def body() -> None:
        journal = SqliteJournal(tmp_path / "file" / "state")
        try:
            await journal.prepare()
        finally:
            await journal.aclose()

    with pytest.raises(OrchError, match="can't be written.*no run was begun and nothing was touched"):
        asyncio.run(body())


def test_a_journal_locked_by_another_process_says_what_is_known_of_the_run(tmp_path: Path) -> None:
    once(tmp_path, "r-1", [began("r-1")])
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OrchError, match="another process keeps it locked.*everything acknowledged before") as caught:
        once(tmp_path, "r-1", steps(1), lock_wait_s=0.05)
    assert "orch show r-1" in caught.value.hint
    other.execute("ROLLBACK")
    other.close()
    once(tmp_path, "r-1", steps(1))
    assert len(read(tmp_path, "r-1")) == 2


def test_one_bad_append_spoils_no_other_of_the_same_commit(tmp_path: Path) -> None:
    once(tmp_path, "r-1", [began("r-1")])
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def body() -> list[object]:
        journal = SqliteJournal(tmp_path)
        calls: list[list[Fact]] = [steps(1), [StageBegan(0), began("r-1")], steps(2)]
        waiting = [asyncio.ensure_future(journal.append("r-1", facts)) for facts in calls]
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        ended: list[object] = list(await asyncio.gather(*waiting, return_exceptions=True))
        await journal.aclose()
        return ended

    first, bad, last = asyncio.run(body())
    other.close()
    assert isinstance(bad, OrchError)
    assert [one.number for one in (*_stamps(first), *_stamps(last))] == [2, 3, 4]
    assert [one.fact for one in read(tmp_path, "r-1")][1:] == [*steps(1), *steps(2)]


def _stamps(given: object) -> Sequence[Stamped]:
    assert isinstance(given, Sequence)
    return given


def test_a_second_process_reads_while_the_first_writes(tmp_path: Path) -> None:
    async def body() -> None:
        writer, reader = SqliteJournal(tmp_path), SqliteJournal(tmp_path)
        await writer.append("r-1", [began("r-1")])
        for number in range(1, 20):
            assert len(await reader.read("r-1")) == number
            await writer.append("r-1", steps(1))
        await writer.aclose()

    asyncio.run(body())


WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.domain.facts import StepIntended, RunBegan
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.results import Phase, Step

async def main(folder, run, count):
    journal = SqliteJournal(Path(folder))
    plan = Plan(name="shop", action=Action.STOP, stages=())
    await journal.append(run, [RunBegan(run=run, plan=plan, requester="", controller="")])
    number = 0
    while number < count:
        number += 1
        stamped = await journal.append(run, [StepIntended(Step(0, f"orders@app-{number}", Phase.STOP))] * 2)
        print(stamped[-1].number, flush=True)
    await journal.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def writer(folder: Path, run: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(folder), run, str(count)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_survives_the_process_being_killed(tmp_path: Path, acknowledged: int) -> None:
    with writer(tmp_path, "r-1", 1_000_000) as process:
        assert process.stdout is not None
        last = 0
        for _ in range(acknowledged):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            last = int(line)
    found = read(tmp_path, "r-1")
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    assert len(found) >= last
    assert len(found) % 2 == 1  # an append is there whole or not at all
    once(tmp_path, "r-1", [StageBegan(0)])


def test_processes_write_different_runs_at_once_even_the_first_time(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    writers = [writer(folder, f"r-{number}", 20) for number in range(3)]
    for process in writers:
        with process:
            process.communicate(timeout=BOUND_S)
        assert process.returncode == 0
    for number in range(3):
        assert [one.number for one in read(folder, f"r-{number}")] == list(range(1, 42))


FILL_THE_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits to borrow")
def test_a_full_disk_stops_the_run_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK + WRITE_FOR_EVER, str(tmp_path), "r-1", "1000000"],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 1
    assert "can't be written" in done.stderr
    assert "everything acknowledged before this is on disk" in done.stderr
    found = read(tmp_path, "r-1")
    assert len(found) == int(done.stdout.split()[-1])


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/team\\040disk rw,relatime shared:2 master:1 - nfs4 filer:/team rw,vers=4.2
31 22 0:27 / /home rw - cifs //filer/home rw
32 31 254:1 / /home/ada rw - xfs /dev/vdb rw
33 22 0:28 / /srv rw - ext4 /dev/vdc rw
34 22 0:29 / /srv rw - fuse.sshfs ada@far:/ rw
garbage
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/orch", None),
        ("/mnt/team disk/orch", "nfs4"),
        ("/mnt/team disk", "nfs4"),
        ("/mnt/team diskette", None),
        ("/home/bob/state", "cifs"),
        ("/home/ada/state", None),
        ("/srv/orch", "fuse.sshfs"),
    ],
)
def test_network_file_systems_are_known_by_name(folder: str, kind: str | None) -> None:
    assert network_type(folder, MOUNTS) == kind


def test_run_ids_are_typeable_and_sort_by_time() -> None:
    first = new_run_id(datetime(2026, 11, 21, 2, 13, tzinfo=UTC))
    later = new_run_id(datetime(2026, 11, 21, 2, 14, tzinfo=UTC))
    assert re.fullmatch(r"20261121-0213-[2-9a-z]{4}", first)
    assert first < later
    assert len({new_run_id() for _ in range(100)}) > 95
