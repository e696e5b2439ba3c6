"""Services driven by sc.exe over WinRM: what is asked, and what its lines mean, by numbers and positions alone.

sc.exe is a command of a structured pipeline, one statement per call, so no name crosses a shell. It hands a control
over and returns, with the Win32 number of a refusal: no cmdlet waits on the host.
"""

import re
from collections.abc import Iterator, Sequence

from orchestrator.adapters.winrm.answers import Output
from orchestrator.adapters.winrm.statements import SC, Statement
from orchestrator.domain import sc_output
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.sc_output import ScmConfig, ScmRow
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus

VERBS = {Control.START: "start", Control.STOP: "stop", Control.RESUME: "continue"}
_EVERYTHING = Statement(SC, arguments=("queryex", "type=", "service", "state=", "all", "bufsize=", "262144"))
UNASKABLE = Problem(ProblemKind.REFUSED, "sc.exe can't be asked for a service with such a name")
_UNREAD = Problem(ProblemKind.PROTOCOL, "sc.exe gave no answer that can be read")


def askable(name: str) -> bool:
    """Whether *name* reaches sc.exe as it is: Windows PowerShell mangles quotes."""
    return '"' not in name and sc_output.for_sc(name)


def states(asked: Sequence[Asked]) -> list[Statement]:
    """Everything asked in one pipeline: state and configuration of each name; all services if there is a pattern."""
    parts = [Statement(SC, arguments=(verb, name)) for name in _literal(asked) for verb in ("queryex", "qc")]
    return [*parts, _EVERYTHING] if any(question.pattern for question in asked) else parts


def control(name: str, wanted: Control) -> list[Statement]:
    """One control of one service, whose name is taken literally."""
    return [Statement(SC, arguments=(VERBS[wanted], name))]


def readings(asked: Sequence[Asked], output: Output) -> list[Reading]:
    """Each question with what *output* of `states` says to it.

    A refusal does not name its service: they are dealt out in the order in which the questions were put.
    """
    rows, configs = sc_output.rows(output.lines), sc_output.configs(output.lines)
    refused = sc_output.refusals(output.lines)
    told = {name.lower(): _literally(name, rows, configs, refused) for name in _literal(asked)}
    return [_matching(one, rows, configs) if one.pattern else _of(one, told) for one in asked]


def _literally(
    name: str, rows: dict[str, ScmRow], configs: dict[str, ScmConfig], refused: Iterator[Problem]
) -> ServiceStatus | Problem:
    row, config = rows.get(name.lower()), configs.get(name.lower())
    problem = None if row else next(refused, _UNREAD)
    if config is None:
        next(refused, None)
    return problem if row is None else _status(row, config)  # type: ignore[return-value] # one of the two is there


def _of(question: Asked, told: dict[str, ServiceStatus | Problem]) -> Reading:
    answer = told.get(question.name.lower(), UNASKABLE)
    if isinstance(answer, Problem):
        return Reading(question, problem=answer)
    return Reading(question, (answer,))


def _matching(question: Asked, rows: dict[str, ScmRow], configs: dict[str, ScmConfig]) -> Reading:
    pieces = (".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in question.name.lower())
    whole = re.compile("".join(pieces), re.DOTALL)
    return Reading(
        question, tuple(_status(rows[name], configs.get(name)) for name in sorted(rows) if whole.fullmatch(name))
    )


def _status(row: ScmRow, config: ScmConfig | None) -> ServiceStatus:
    return row.status(row.name) if config is None else row.status(row.name, config.start_type, config.requires)


def _literal(asked: Sequence[Asked]) -> list[str]:
    names = {question.name.lower(): question.name for question in asked if not question.pattern}
    return [name for name in names.values() if askable(name)]
