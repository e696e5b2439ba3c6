"""Processes of a host, and its starts: what a service left behind, who owns a port, whom a kill would hit."""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

_SAME_START_S = 300.0
"""Two times of a host's start that differ by no more are of the same one: they are told by its clock, which is put
right now and then, and which no counter keeps up with over months."""
_ROW = re.compile(r'"([^"]*)","(\d+)",')


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process that runs now. `started_at` is UTC, seconds since 1970, by the host's own clock: with it, a PID that
    was given out again is told from the one before. None, like an unknown parent, where the host does not tell."""

    pid: int
    name: str = ""
    parent: int | None = None
    started_at: float | None = None


def listed(lines: Iterable[str]) -> dict[int, Process]:
    """All processes that `tasklist.exe /fo csv /nh` printed, by PID: it tells no start and no parent. Read by position;
    what it says in words, in any language, is no row. A host always has some: empty means that there is no list."""
    rows = (found for line in lines if (found := _ROW.match(line)) is not None)
    return {int(row[2]): Process(pid=int(row[2]), name=row[1]) for row in rows}


def same(before: float | None, now: float | None) -> bool:
    """Whether two starts of one PID are of one process, as far as they are known: some ways cut them to a second."""
    return before is None or now is None or abs(before - now) < 2.0


def has_restarted(then: float | None, now: float | None) -> bool | None:
    """Whether a host that had started at *then* has started again, at *now*; None where one of them is not known."""
    return None if then is None or now is None else now - then > _SAME_START_S


def described(process: Process) -> str:
    """A process for people: `812 (Orders.exe, started 2026-01-01 02:00:10 UTC)`."""
    known = [process.name] if process.name else []
    if process.started_at is not None:
        started = datetime.datetime.fromtimestamp(process.started_at, tz=datetime.UTC)
        known.append(f"started {started:%Y-%m-%d %H:%M:%S} UTC")
    return f"{process.pid} ({', '.join(known)})" if known else str(process.pid)
