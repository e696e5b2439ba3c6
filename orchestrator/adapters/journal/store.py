"""The file: one thread that writes, every commit on disk before anybody hears of it.

Writes that wait together share one commit: with `synchronous=FULL` a commit is a wait for the disk, and a run of
thousands of units has many. Readers have connections of their own and never wait for the writer (WAL).
"""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from orchestrator.adapters.journal.folder import make_file, make_folder, refuse_network
from orchestrator.adapters.journal.queries import script
from orchestrator.domain.errors import BadInput, OrchError

SCHEMA_VERSION = 2
APPLICATION_ID = 0x6F726368
TOGETHER = 256
"""How many waiting writes one commit takes at most."""
READERS = 2

T = TypeVar("T")

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


class Unwritten(NamedTuple):
    """What it means that something is not on disk, what to type then, and as which error that is said."""

    said: str
    then: str = "type the command again"
    error: type[OrchError] = OrchError


NOTHING_TOUCHED = Unwritten("no run was begun and nothing was touched", error=BadInput)
NOTHING_CHANGED = Unwritten("nothing was changed")


@dataclass(slots=True)
class _Job:
    """One write: what to do inside the transaction, and who waits for it."""

    work: Callable[[sqlite3.Connection, float], Any]
    unwritten: Unwritten
    done: Future[Any] = field(default_factory=Future)


_Queue = queue.SimpleQueue[_Job | None]
"""What waits to be written; None ends the writer."""


class Store:
    """The database at *path*. Nothing is opened or made before the first `write`; where no file is, nothing is read.

    *wall* is the time that writes are told, UTC, seconds since 1970; *lock_wait_s* how long to wait for the commit of
    another process, which may read and write meanwhile.
    """

    def __init__(self, path: Path, *, wall: Callable[[], float], lock_wait_s: float) -> None:
        self.path = path
        self._wall = wall
        self._lock_wait_s = lock_wait_s
        self._waiting: _Queue = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._file: os.stat_result | None = None
        self._watching: sqlite3.Connection | None = None
        self._watch_lock = threading.Lock()
        self._readers: ThreadPoolExecutor | None = None

    async def write(self, work: Callable[[sqlite3.Connection, float], T], unwritten: Unwritten = NOTHING_CHANGED) -> T:
        """Do *work* in a transaction that is on disk when this returns; a write that is cancelled may or may not be.

        *work* gets the connection and the time. It may be called twice: what it did before was undone then.
        Raises what *work* raises, and OrchError when the disk refuses: nothing of it is on disk.
        """
        job = _Job(work, unwritten)
        if self._writer is None or not self._writer.is_alive():
            # A daemon: leaving at once must not wait for a disk that hangs. What is acknowledged is on disk already.
            self._writer = threading.Thread(target=self._write_all, args=(self._waiting,), name="journal", daemon=True)
            self._writer.start()
        self._waiting.put(job)
        done: T = await asyncio.wrap_future(job.done)
        return done

    async def read(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What *work* finds, at one moment; *otherwise* where there is no file.

        Raises OrchError when it can't be read.
        """
        return await self._apart(lambda: self._read_now(work, otherwise))

    async def version(self) -> int:
        """A number that changes when anybody commits. Raises OrchError when the file can't be read."""
        return await self._apart(self._version_now)

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do *work* in a thread of our own: those of the loop may all wait for a name server that is silent."""
        if self._readers is None:
            self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="journal-reads")
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def aclose(self) -> None:
        """Wait for what is being written, and close. Safe to call twice; a later write opens the file again."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._waiting.put(None)
            self._waiting = queue.SimpleQueue()
            await self._apart(writer.join)
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.shutdown(wait=False, cancel_futures=True)
        with self._watch_lock:
            watching, self._watching = self._watching, None
        if watching is not None:
            watching.close()

    def now(self) -> float:
        """The time, as writes are told it."""
        return self._wall()

    def _write_all(self, waiting: _Queue) -> None:
        """The writer thread: take what waits, commit it, answer; until None comes."""
        connection: sqlite3.Connection | None = None
        while jobs := _taken(waiting):
            try:
                connection = connection or self.opened()
                self._commit(connection, jobs)
            except (OrchError, sqlite3.Error, OSError, ValueError) as exc:
                if connection is None or len(jobs) == 1:
                    self._refuse(jobs, exc)
                else:
                    self._commit_apart(connection, jobs)
            except BaseException as exc:
                _fail(jobs, exc)
                raise
        if connection is not None:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        """Do *jobs* in one transaction and answer them; on an error nothing of it stays."""
        self._check_file()
        connection.execute("BEGIN IMMEDIATE")
        try:
            now = self._wall()
            answers = [job.work(connection, now) for job in jobs]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        for job, answer in zip(jobs, answers, strict=True):
            job.done.set_result(answer)

    def _commit_apart(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        """One of *jobs* spoiled the common commit: give each its own."""
        for job in jobs:
            try:
                self._commit(connection, [job])
            except (OrchError, sqlite3.Error, OSError, ValueError) as exc:
                self._refuse([job], exc)

    def _check_file(self) -> None:
        """Raises OSError if the file that is written is not where it was: what goes there, nobody finds again."""
        try:
            stands = self._file is not None and os.path.samestat(self.path.stat(), self._file)
        except FileNotFoundError:
            stands = False
        if not stands:
            raise OSError("it was deleted or moved away meanwhile")

    def opened(self) -> sqlite3.Connection:
        """A connection that writes; folder, file and schema are made where they are missing."""
        folder = self.path.parent
        refuse_network(folder)
        make_folder(folder)
        make_file(self.path)
        connection = sqlite3.connect(self.path, timeout=self._lock_wait_s, isolation_level=None)
        try:
            if _schema(connection, self.path) == 0:
                _set_wal(connection, self._lock_wait_s)
                connection.executescript(script("schema.sql"))
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = TRUE")
            self._file = self.path.stat()
        except BaseException:
            connection.close()
            raise
        return connection

    def _read_now(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        if not self.path.exists():
            return otherwise
        with (
            self._unreadable_said(),
            closing(sqlite3.connect(self.path, timeout=self._lock_wait_s, isolation_level=None)) as connection,
        ):
            if _schema(connection, self.path) == 0:
                return otherwise
            connection.execute("PRAGMA query_only = TRUE")
            connection.execute("BEGIN")
            return work(connection)

    def _version_now(self) -> int:
        with self._watch_lock, self._unreadable_said():
            if self._watching is None:
                if not self.path.exists():
                    return 0
                self._watching = sqlite3.connect(self.path, timeout=self._lock_wait_s, check_same_thread=False)
            [(version,)] = self._watching.execute("PRAGMA data_version")
            return int(version)

    @contextmanager
    def _unreadable_said(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            why, do = _meaning(exc)
            raise OrchError(
                f"the journal {self.path} can't be read: {why}", hint=f"{do} type the command again"
            ) from exc

    def _refuse(self, jobs: Sequence[_Job], exc: Exception) -> None:
        """Tell who waits for *jobs* what it means that they are not on disk."""
        for job in jobs:
            if isinstance(exc, sqlite3.Error | OSError):
                why, do = _meaning(exc)
                said = f"the journal {self.path} can't be written: {why}; {job.unwritten.said}"
                _fail([job], job.unwritten.error(said, hint=f"{do} {job.unwritten.then}"))
            else:
                _fail([job], exc)


def _taken(waiting: _Queue) -> list[_Job]:
    """The writes that wait now, at least one; none: the journal is being closed."""
    jobs: list[_Job] = []
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


def _schema(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version; 0: the file is new. Raises OrchError for a file that this orch can't use."""
    connection.execute("BEGIN")  # all three of one moment: another process may be making the file
    [(version,)] = connection.execute("PRAGMA user_version")
    [(application,)] = connection.execute("PRAGMA application_id")
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_master")
    connection.execute("ROLLBACK")
    if application != APPLICATION_ID and (version or tables):
        raise OrchError(f"{path} is a database of another program", hint="name another --state-dir")
    if version > SCHEMA_VERSION:
        raise OrchError(
            f"{path} was written by a newer orch: its schema is {version}, this one knows {SCHEMA_VERSION}",
            hint="use the newer orch, or name another --state-dir",
        )
    if 0 < version < SCHEMA_VERSION:
        raise OrchError(
            f"{path} was written by an orch from before the first release: its schema is {version}, this one knows "
            f"{SCHEMA_VERSION}, and its facts are not chained",
            hint="move it away (that orch can still read it), or name another --state-dir",
        )
    return int(version)


def _fail(jobs: Sequence[_Job], exc: BaseException) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_exception(exc)


def _code(exc: BaseException) -> int:
    """SQLite's primary result code; 0: none."""
    return (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF


def _meaning(exc: Exception) -> tuple[str, str]:
    why, do = _MEANS.get(_code(exc), (str(exc), "see what the message says, then"))
    return (why if why == str(exc) else f"{why} ({exc})"), do
