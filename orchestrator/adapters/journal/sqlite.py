"""The journal in SQLite: one file, one thread that writes, every fact on disk before `append` returns.

Appends that wait together share one commit: with `synchronous=FULL` a commit is a wait for the disk, and a run of
thousands of units has many. Readers have connections of their own and never wait for the writer (WAL).
"""

import asyncio
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from orchestrator.adapters.journal.folder import make_file, make_folder, refuse_network
from orchestrator.domain.errors import OrchError
from orchestrator.domain.fact_codec import decode, encode
from orchestrator.domain.facts import Fact, RunBegan, RunEnded, Stamped
from orchestrator.domain.run_names import pick
from orchestrator.engine.ports import RunSummary

FILE_NAME = "journal.db"
SCHEMA_VERSION = 1
APPLICATION_ID = 0x6F726368
LOCK_WAIT_S = 30.0
"""How long to wait for another process's commit. Commits take milliseconds; this long means that one hangs."""
TOGETHER = 256
"""How many waiting appends one commit takes at most."""

_MEANS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space there, then"),
    sqlite3.SQLITE_READONLY: ("it is read-only for this user", "give this user the right to write there, then"),
    sqlite3.SQLITE_PERM: ("this user may not write there", "give this user the right to write there, then"),
    sqlite3.SQLITE_CANTOPEN: ("it can't be opened", "look at the folder's owner and rights, then"),
    sqlite3.SQLITE_BUSY: ("another process keeps it locked", "look for an orch or a backup that hangs, then"),
    sqlite3.SQLITE_IOERR: ("the disk gives errors", "look at the disk (dmesg), then"),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "keep a copy of it, move it away, then"),
    sqlite3.SQLITE_CONSTRAINT: ("the run has begun or ended already", "begin a new run, or"),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database", "move it away or name another --state-dir, then"),
}


@dataclass(slots=True)
class _Append:
    """One call of `append`: the facts, as text, and who waits for them."""

    run: str
    facts: tuple[Fact, ...]
    bodies: tuple[str, ...]
    done: Future[Sequence[Stamped]] = field(default_factory=Future)


_Queue = queue.SimpleQueue[_Append | None]
"""What waits to be written; None ends the writer."""


class SqliteJournal:
    """Implements `engine.ports.Journal` in *folder*.

    Nothing is opened or made before the first `append` (or `prepare`); reading where no journal is finds no runs.
    An append that is cancelled may or may not be on disk. *lock_wait_s*
    is how long to wait for the commit of another process. A second process may read and write other runs meanwhile.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> None:
        self._path = folder / FILE_NAME
        self._wall = wall
        self._monotonic = monotonic
        self._began: dict[str, float] = {}
        self._lock_wait_s = lock_wait_s
        self._waiting: _Queue = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._file: os.stat_result | None = None

    async def prepare(self) -> None:
        """Make folder and database if they are missing, and make sure that facts can be written.

        Raises:
            OrchError: they can't; said before a run has touched anything.
        """
        await self._write(_Append("", (), ()))

    async def append(self, run: str, facts: Sequence[Fact]) -> Sequence[Stamped]:
        """See `Journal.append`. ValueError for a fact with a number that is not finite: nothing is written."""
        if not facts:
            return ()
        return await self._write(_Append(run, tuple(facts), tuple(map(encode, facts))))

    async def read(self, run: str) -> Sequence[Stamped]:
        """See `Journal.read`. Raises OrchError when the file can't be read."""
        rows = await self._rows("facts_of", run=run)
        return await asyncio.to_thread(_stamped, rows)

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        """See `Journal.runs`. Raises OrchError when the file can't be read."""
        return tuple(
            RunSummary(
                run=run,
                plan=plan,
                action=action,
                requester=requester,
                began_at=began_at,
                ended_at=ended_at,
                verdict=verdict,
                counts=json.loads(counts or "{}"),
            )
            for run, plan, action, requester, began_at, ended_at, verdict, counts in await self._rows(
                "newest_runs", limit=limit
            )
        )

    async def resolve(self, name: str) -> str:
        """See `Journal.resolve`. Raises OrchError when the file can't be read."""
        return pick(name, [run for (run,) in await self._rows("run_ids")])

    async def aclose(self) -> None:
        """See `Journal.aclose`. Safe to call twice; a later append opens the journal again."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._waiting.put(None)
            self._waiting = queue.SimpleQueue()
            await asyncio.to_thread(writer.join)

    async def _write(self, job: _Append) -> Sequence[Stamped]:
        if self._writer is None:
            # A daemon: leaving at once must not wait for a disk that hangs. What is acknowledged is on disk already.
            self._writer = threading.Thread(target=self._write_all, args=(self._waiting,), name="journal", daemon=True)
            self._writer.start()
        self._waiting.put(job)
        return await asyncio.wrap_future(job.done)

    def _write_all(self, waiting: _Queue) -> None:
        """The writer thread: take what waits, commit it, answer; until None comes."""
        connection: sqlite3.Connection | None = None
        while jobs := _taken(waiting):
            try:
                connection = connection or self._opened()
                self._commit(connection, jobs)
            except OrchError as exc:
                _fail(jobs, exc)
            except (sqlite3.Error, OSError) as exc:
                if connection is None or len(jobs) == 1:
                    _fail(jobs, self._refused(exc, jobs))
                else:
                    self._commit_apart(connection, jobs)
            except BaseException as exc:
                _fail(jobs, exc)
                raise
        if connection is not None:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, jobs: Sequence[_Append]) -> None:
        """Write *jobs* in one transaction and answer them; on an error nothing of it stays."""
        self._check_file()
        connection.execute("BEGIN IMMEDIATE")
        try:
            stamped = [self._insert(connection, job) for job in jobs]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        for job, facts in zip(jobs, stamped, strict=True):
            job.done.set_result(facts)

    def _check_file(self) -> None:
        """Raises OSError if the file that is written is not where it was: what goes there, nobody finds again."""
        try:
            stands = self._file is not None and os.path.samestat(self._path.stat(), self._file)
        except FileNotFoundError:
            stands = False
        if not stands:
            raise OSError("it was deleted or moved away meanwhile")

    def _commit_apart(self, connection: sqlite3.Connection, jobs: Sequence[_Append]) -> None:
        """One of *jobs* spoiled the common commit: give each its own."""
        for job in jobs:
            try:
                self._commit(connection, [job])
            except (sqlite3.Error, OSError) as exc:
                _fail([job], self._refused(exc, [job]))

    def _insert(self, connection: sqlite3.Connection, job: _Append) -> Sequence[Stamped]:
        at, now_s = self._wall(), self._monotonic()
        elapsed_s = now_s - self._began.setdefault(job.run, now_s)
        [(first,)] = connection.execute(_query("next_number"), {"run": job.run})
        stamped = [Stamped(first + index, at, elapsed_s, fact) for index, fact in enumerate(job.facts)]
        connection.executemany(
            _query("add_fact"),
            (
                {"run": job.run, "number": one.number, "at": at, "elapsed_s": elapsed_s, "body": body}
                for one, body in zip(stamped, job.bodies, strict=True)
            ),
        )
        for fact in job.facts:
            if isinstance(fact, RunBegan):
                connection.execute(_query("add_run"), _beginning(job.run, fact, at))
            elif isinstance(fact, RunEnded):
                ending = {"run": job.run, "ended_at": at, "verdict": fact.verdict, "counts": json.dumps(fact.counts)}
                connection.execute(_query("add_ending"), ending)
        return stamped

    def _opened(self) -> sqlite3.Connection:
        """The writer's connection; folder, file and schema are made where they are missing."""
        folder = self._path.parent
        refuse_network(folder)
        make_folder(folder)
        make_file(self._path)
        connection = sqlite3.connect(self._path, timeout=self._lock_wait_s, isolation_level=None)
        try:
            if _version(connection, self._path) == 0:
                _set_wal(connection, self._lock_wait_s)
                connection.executescript(_sql("schema.sql"))
            connection.execute("PRAGMA synchronous = FULL")
            self._file = self._path.stat()
        except BaseException:
            connection.close()
            raise
        return connection

    async def _rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        return await asyncio.to_thread(self._rows_now, query, values)

    def _rows_now(self, query: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        with self._unreadable_said(), closing(sqlite3.connect(self._path, timeout=self._lock_wait_s)) as connection:
            if _version(connection, self._path) == 0:
                return []
            connection.execute("PRAGMA query_only = TRUE")
            return connection.execute(_query(query), values).fetchall()

    @contextmanager
    def _unreadable_said(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            why, do = _meaning(exc)
            raise OrchError(
                f"the journal {self._path} can't be read: {why}", hint=f"{do} type the command again"
            ) from exc

    def _refused(self, exc: Exception, jobs: Sequence[_Append]) -> OrchError:
        """What it means for the run that its facts are not on disk, and what to do."""
        why, do = _meaning(exc)
        said = f"the journal {self._path} can't be written: {why}"
        runs = sorted({job.run for job in jobs if job.facts})
        if not runs or any(isinstance(fact, RunBegan) for job in jobs for fact in job.facts):
            return OrchError(f"{said}; no run was begun and nothing was touched", hint=f"{do} type the command again")
        return OrchError(
            f"{said}; of run {', '.join(runs)} everything acknowledged before this is on disk, what came after is "
            "not: nothing new is issued, and steps that were under way may have ended since, only their hosts know",
            hint=f"{do} `orch show {runs[0]}` and `orch status --plan FILE`",
        )


def _taken(waiting: _Queue) -> list[_Append]:
    """The appends that wait now, at least one; none: the journal is being closed."""
    jobs: list[_Append] = []
    while not jobs or (len(jobs) < TOGETHER and not waiting.empty()):
        job = waiting.get()
        if job is None:
            if jobs:
                waiting.put(None)  # first what was taken, then the end
            break
        if job.done.set_running_or_notify_cancel():
            jobs.append(job)
    return jobs


def _set_wal(connection: sqlite3.Connection, lock_wait_s: float) -> None:
    """Switch the file to a write-ahead log, which lasts.

    Two processes that make the same journal meet here, and SQLite does not wait at this switch: so we do.
    """
    until_s = time.monotonic() + lock_wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if _code(exc) != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(0.01)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version; 0: the file is new. Raises OrchError for a file that this orch can't use."""
    [(version,)] = connection.execute("PRAGMA user_version")
    [(application,)] = connection.execute("PRAGMA application_id")
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_master")
    if application != APPLICATION_ID and (version or tables):
        raise OrchError(f"{path} is a database of another program", hint="name another --state-dir")
    if version > SCHEMA_VERSION:
        raise OrchError(
            f"{path} was written by a newer orch: its schema is {version}, this one knows {SCHEMA_VERSION}",
            hint="use the newer orch, or name another --state-dir",
        )
    return int(version)


def _beginning(run: str, fact: RunBegan, at: float) -> dict[str, object]:
    return {
        "run": run,
        "plan": fact.plan.name,
        "action": str(fact.plan.action),
        "requester": fact.requester,
        "began_at": at,
    }


def _stamped(rows: Sequence[tuple[int, float, float, str]]) -> Sequence[Stamped]:
    return tuple(Stamped(number, at, elapsed_s, decode(body)) for number, at, elapsed_s, body in rows)


def _fail(jobs: Sequence[_Append], exc: BaseException) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_exception(exc)


def _code(exc: BaseException) -> int:
    """SQLite's primary result code; 0: none."""
    return (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF


def _meaning(exc: Exception) -> tuple[str, str]:
    why, do = _MEANS.get(_code(exc), (str(exc), "see what the message says, then"))
    return (why if why == str(exc) else f"{why} ({exc})"), do


def _sql(name: str) -> str:
    return resources.files("orchestrator.adapters.journal").joinpath(name).read_text(encoding="utf-8")


@cache
def _queries() -> dict[str, str]:
    parts = _sql("queries.sql").split("-- name: ")[1:]
    return {name.strip(): text.strip() for name, _, text in (part.partition("\n") for part in parts)}


def _query(name: str) -> str:
    return _queries()[name]
