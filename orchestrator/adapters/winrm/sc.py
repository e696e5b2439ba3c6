"""Services driven by sc.exe over WinRM: what is asked, and what its lines mean, by numbers and positions alone.

sc.exe is a command of a structured pipeline, one statement per call, so no name crosses a shell. It hands a control
over and returns, with the Win32 number of a refusal: no cmdlet waits on the host. A name that can't be handed to
sc.exe as it is (with a quote or `=` in it) is driven by the cmdlets all the same; one that its code page may not have
is read by them, for what is printed could not be told from another.
"""

from collections.abc import Iterator, Sequence

from orchestrator.adapters.winrm import answers, statements
from orchestrator.adapters.winrm.answers import Output, for_sc
from orchestrator.adapters.winrm.statements import SC, Statement
from orchestrator.domain import sc_output
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.sc_output import ScmConfig, ScmRow
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus

_UNREAD = Problem(ProblemKind.PROTOCOL, "sc.exe gave no answer that can be read")


def states(asked: Sequence[Asked]) -> list[Statement]:
    """Everything asked in one pipeline: state and configuration of each name; all services if there is a pattern."""
    parts = [Statement(SC, arguments=(verb, name)) for name in _literal(asked) for verb in ("queryex", "qc")]
    if any(question.pattern for question in asked):
        parts.append(statements.EVERYTHING)
    odd = _odd(asked)
    return [*parts, *statements.states(odd, with_sc=False)] if odd else parts


def configurations(asked: Sequence[Asked], output: Output) -> list[Statement]:
    """What is asked once *output* of `states` is there: the configuration of each service that a pattern found."""
    listed = sc_output.listed(output.lines, [question.name for question in asked if question.pattern])
    known = {name.lower() for name in _literal(asked)}
    rows = [row for found in listed.values() if not isinstance(found, Problem) for row in found]
    names = dict.fromkeys(row.name for row in rows if row.name.lower() not in known and _printable(row.name))
    return [Statement(SC, arguments=("qc", name)) for name in names]


def control(name: str, wanted: Control) -> list[Statement]:
    """One control of one service, whose name is taken literally."""
    return (
        [Statement(SC, arguments=(sc_output.VERBS[wanted], name))] if for_sc(name) else statements.control(name, wanted)
    )


def refusal(wanted: Control, output: Output) -> Problem | None:
    """Why sc.exe did not take a control, if that is so."""
    return sc_output.refused(wanted, output.lines)


def readings(asked: Sequence[Asked], output: Output) -> list[Reading]:
    """Each question with what *output* of `states`, and then of `configurations`, says to it.

    A refusal does not name its service: they are dealt out in the order in which the questions were put.
    """
    rows, configs = sc_output.rows(output.lines), sc_output.configs(output.lines)
    refused = sc_output.refusals(output.lines)
    plain = {name.lower(): _literally(name, rows, configs, refused) for name in _literal(asked)}
    odd = iter(answers.readings(_odd(asked), output))
    listed = sc_output.listed(output.lines, [question.name for question in asked if question.pattern])

    def reading(question: Asked) -> Reading:
        if question.pattern:
            return _several(question, listed[question.name], configs)
        return _of(question, plain[question.name.lower()]) if _printable(question.name) else next(odd)

    return [reading(question) for question in asked]


def _literally(
    name: str, rows: dict[str, ScmRow], configs: dict[str, ScmConfig], refused: Iterator[Problem]
) -> ServiceStatus | Problem:
    row, config = rows.get(name.lower()), configs.get(name.lower())
    problem = None if row else next(refused, _UNREAD)
    if config is None:
        next(refused, None)
    return problem if row is None else _status(row, config)  # type: ignore[return-value] # one of the two is there


def _of(question: Asked, answer: ServiceStatus | Problem) -> Reading:
    if isinstance(answer, Problem):
        return Reading(question, problem=answer)
    return Reading(question, (answer,))


def _several(question: Asked, found: list[ScmRow] | Problem, configs: dict[str, ScmConfig]) -> Reading:
    if isinstance(found, Problem):
        return Reading(question, problem=found)
    return Reading(question, tuple(_status(row, configs.get(row.name.lower())) for row in found))


def _status(row: ScmRow, config: ScmConfig | None) -> ServiceStatus:
    return row.status(row.name) if config is None else row.status(row.name, config.start_type, config.requires)


def _literal(asked: Sequence[Asked]) -> list[str]:
    names = {question.name.lower(): question.name for question in asked if not question.pattern}
    return [name for name in names.values() if _printable(name)]


def _odd(asked: Sequence[Asked]) -> list[Asked]:
    return [question for question in asked if not question.pattern and not _printable(question.name)]


def _printable(name: str) -> bool:
    return for_sc(name) and name.isascii()
