"""How answers are read: frames out of whatever a shell printed, and what stands in them. Doubtful is Garbled."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import sc_output
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.powershell_words import code_of, start_type
from orchestrator.domain.processes import Process
from orchestrator.domain.service import BY_NUMBER, Asked, Control, Reading, ServiceStatus

Row = Mapping[str, Any]
_TICKS_1970 = 621_355_968_000_000_000
_TICKS_PER_S = 10_000_000


class Garbled(Exception):
    """The answer can't be read; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a control ended. `id` is that of PowerShell's error record, where there is one."""

    problem: Problem | None = None
    id: str = ""


def framed(said: bytes, nonce: str) -> list[Row] | None:
    """The rows of `NONCE:BASE64:NONCE`; None as long as its end is missing. Raises Garbled."""
    end = said.find(f":{nonce}".encode())
    if end < 0:
        return None
    begin = f"{nonce}:".encode()
    start = said.find(begin)
    if start < 0:
        raise Garbled("an answer without a beginning")
    try:
        text = base64.b64decode(said[start + len(begin) : end], validate=True).decode()
        rows = [json.loads(line) for line in lines(text) if line]
    except ValueError as exc:
        raise Garbled(f"an answer that can't be read ({type(exc).__name__})") from exc
    if not all(isinstance(row, dict) for row in rows):
        raise Garbled("an answer without rows")
    return rows


def sections(said: bytes, nonce: str, count: int) -> list[list[str]]:
    """The *count* sections that begin with the nonce, as lines; one more nonce ends the last. Raises Garbled.

    The host's code page is not known, and what is looked for is ASCII: anything else is replaced.
    """
    parts = said.decode("ascii", "replace").split(nonce)
    if len(parts) != count + 2:
        raise Garbled(f"{len(parts) - 2} of {count} sections of an answer")
    return [lines(part)[1:] for part in parts[1:-1]]


def lines(text: str) -> list[str]:
    """The lines of *text*, however many carriage returns stand at their ends: a line too many would part a block."""
    return text.replace("\r", "").split("\n")


def failure(row: Row) -> Outcome:
    """An error record. Raises Garbled."""
    id = _typed(row, "id", str).partition(",")[0]
    native = row.get("code")
    code = code_of(id, native if isinstance(native, int) else None)
    return Outcome(Problem(ProblemKind.REFUSED, _typed(row, "text", str).strip(), code), id)


def readings(asked: Sequence[Asked], rows: Sequence[Row]) -> list[Reading]:
    """Each question with the rows that answer it. Raises Garbled."""
    answers: list[list[Row]] = [[] for _ in asked]
    for row in (row for row in rows if "up" not in row):
        at = _typed(row, "q", int)
        if not 0 <= at < len(asked):
            raise Garbled("an answer to another question")
        answers[at].append(row)
    return [_reading(question, rows) for question, rows in zip(asked, answers, strict=True)]


def moment(ticks: int) -> float:
    """.NET's ticks of UTC as seconds since 1970."""
    return (ticks - _TICKS_1970) / _TICKS_PER_S


def booted_at(rows: Sequence[Row]) -> float | None:
    """When the host started: its clock less what its counter, which runs since then, shows; None if it tells neither.
    Raises Garbled."""
    row = next((row for row in rows if "up" in row), None)
    if row is None or row["up"] is None:
        return None
    now, up, per_s = (int(_typed(row, key, int)) for key in ("now", "up", "per"))
    if up < 0 or per_s < 1:
        raise Garbled(f"a counter of {up} at {per_s} a second")
    return moment(now) - up / per_s


def processes(rows: Sequence[Row]) -> dict[int, Process]:
    """The processes that run, by PID. Raises Garbled."""
    found = (_process(row) for row in rows)
    return {process.pid: process for process in found}


def _process(row: Row) -> Process:
    parent, began = row.get("parent"), row.get("began")
    return Process(
        pid=_typed(row, "pid", int),
        name=_typed(row, "name", str),
        parent=None if parent is None else _typed(row, "parent", int),
        started_at=None if began is None else moment(_typed(row, "began", int)),
    )


def _reading(asked: Asked, rows: Sequence[Row]) -> Reading:
    everything = [_typed(row, "all", str) for row in rows if "all" in row]
    known = sc_output.rows(lines(everything[0])) if everything else {}
    rows = [row for row in rows if "all" not in row]
    failures = [failure(row) for row in rows if "name" not in row]
    if failures and not asked.pattern:
        return Reading(asked, problem=failures[0].problem)
    found = sorted((_status(row, known) for row in rows if "name" in row), key=lambda status: status.name.lower())
    if not asked.pattern and len(found) != 1:
        raise Garbled(f"{len(found)} answers about {asked.name!r}")
    return Reading(asked, tuple(found))


def _status(row: Row, known: Mapping[str, sc_output.ScmRow]) -> ServiceStatus:
    """What Get-Service says, completed by sc.exe: by what was asked of it after that, or is *known* of all. Raises
    Garbled."""
    number, name = _typed(row, "status", int), _typed(row, "name", str)
    rows = sc_output.rows(lines(_typed(row, "sc", str)))
    scm = rows.get(name.lower()) if name.isascii() else next(iter(rows.values()), None)
    scm = scm or known.get(name.lower())
    if number not in BY_NUMBER or not name:
        raise Garbled(f"state {number}")
    started = row.get("type")
    return ServiceStatus(
        name=name,
        state=scm.state if scm else BY_NUMBER[number],
        start_type=start_type(started, delayed=row.get("delayed") == 1) if isinstance(started, int) else None,
        display_name=_typed(row, "display", str),
        pid=(scm.pid or None) if scm else None,
        checkpoint=scm.checkpoint if scm else 0,
        wait_hint_s=scm.wait_hint_s if scm else 0.0,
        win32_exit_code=scm.exit_code if scm else 0,
        service_exit_code=scm.service_exit_code if scm else 0,
        can_stop=_typed(row, "stop", bool),
        requires=_names(row, "requires"),
        required_by=_names(row, "wanted"),
    )


def _names(row: Row, key: str) -> tuple[str, ...]:
    """Names with slashes between them, which no name can hold."""
    return tuple(name for name in _typed(row, key, str).split("/") if name)


def _typed(row: Row, key: str, kind: type) -> Any:
    value = row.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Garbled(f"{key} is {value!r}")
    return value


def scm_row(name: str, said: Sequence[str], *, named: bool = True) -> sc_output.ScmRow | Problem:
    """What `sc.exe queryex` said of *name*. Raises Garbled.

    Not *named*: the name may be printed in letters that were lost on the way.
    """
    refused = sc_output.refusal(said)
    if refused is not None:
        return refused
    rows = sc_output.rows(said)
    row = rows.get(name.lower()) if named else next(iter(rows.values()), None)
    if row is None:
        raise Garbled(f"sc.exe's answer about {name!r} is not whole")
    return row


def taken(wanted: Control, said: Sequence[str]) -> Outcome:
    """What sc.exe said to a control. Raises Garbled if that was neither yes nor no."""
    if sc_output.refusal(said) is None and not sc_output.accepted(said):
        raise Garbled("sc.exe's answer is not whole")
    return Outcome(sc_output.refused(wanted, said))


def program_output(row: Row) -> tuple[int, str]:
    """The exit code of a program, and what it wrote to its output and then to its error output. Raises Garbled."""
    text = _typed(row, "out", str) + _typed(row, "err", str)
    return _typed(row, "exit", int), text.replace("\r\n", "\n")
