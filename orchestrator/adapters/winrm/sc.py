"""Services driven by sc.exe over WinRM: what is asked, and what its lines mean, by numbers and positions alone.

sc.exe is a command of a structured pipeline, one statement per call, so no name crosses a shell. It hands a control
over and returns, with the Win32 number of a refusal: no cmdlet waits on the host. A name that can't be handed to
sc.exe as it is (with a quote or `=` in it) is driven by the cmdlets all the same; one that its code page may not have
is read by them, for what is printed could not be told from another.
"""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.adapters.winrm import answers, statements
from orchestrator.adapters.winrm.answers import Output, for_sc
from orchestrator.adapters.winrm.statements import SC, Statement
from orchestrator.domain import sc_output
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.sc_output import ScmConfig, ScmRow
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus

_DEPENDENTS_MOST = "64000"
"""Bytes of dependents: all that the SCM gives; sc.exe alone would take 1,024."""
_UNREAD = Problem(ProblemKind.PROTOCOL, "sc.exe gave no answer that can be read")


Listed = Mapping[str, list[ScmRow] | Problem]
Dependents = Mapping[str, tuple[str, ...]]
"""What depends on services, by their names in lower case."""


def states(asked: Sequence[Asked], known: Dependents) -> list[Statement]:
    """Everything asked in one pipeline: state, configuration and dependents, if not *known*, of each name; all services
    if there is a pattern."""
    parts: list[Statement] = []
    for name in _literal(asked):
        parts += [Statement(SC, arguments=(verb, name)) for verb in ("queryex", "qc")]
        parts += [_dependents(name)] if name.lower() not in known else []
    if any(question.pattern for question in asked):
        parts.append(statements.EVERYTHING)
    odd = _odd(asked)
    return [*parts, *statements.states(odd, with_sc=False)] if odd else parts


def _dependents(name: str) -> Statement:
    return Statement(SC, arguments=("enumdepend", name, _DEPENDENTS_MOST))


def listed(asked: Sequence[Asked], output: Output) -> Listed:
    """What each pattern found, as *output* of `states` has it."""
    return sc_output.listed(output.lines, [question.name for question in asked if question.pattern])


def configurations(asked: Sequence[Asked], listed: Listed) -> list[Statement]:
    """What is asked once it is known what patterns found: the configuration and dependents of each such service."""
    known = {name.lower() for name in _literal(asked)}
    rows = [row for found in listed.values() if not isinstance(found, Problem) for row in found]
    names = dict.fromkeys(row.name for row in rows if row.name.lower() not in known and _printable(row.name))
    return [one for name in names for one in (Statement(SC, arguments=("qc", name)), _dependents(name))]


def control(name: str, wanted: Control) -> list[Statement]:
    """One control of one service, whose name is taken literally."""
    return (
        [Statement(SC, arguments=(sc_output.VERBS[wanted], name))] if for_sc(name) else statements.control(name, wanted)
    )


def refusal(wanted: Control, output: Output) -> Problem | None:
    """Why sc.exe did not take a control, if that is so."""
    return sc_output.refused(wanted, output.lines)


def readings(asked: Sequence[Asked], output: Output, listed: Listed, known: Dependents) -> list[Reading]:
    """Each question with what *output* of `states`, and then of `configurations`, says to it. What depends on a service
    is *known*, or told.

    A refusal does not name its service: they are dealt out in the order in which the questions were put.
    """
    rows, configs = sc_output.rows(output.lines), sc_output.configs(output.lines)
    refused = sc_output.refusals(output.lines)
    above = {**known, **sc_output.dependents_of(output.lines)}
    plain = {name.lower(): _literally(name, rows, configs, above, refused) for name in _literal(asked)}
    odd = iter(answers.readings(_odd(asked), output))

    def reading(question: Asked) -> Reading:
        if question.pattern:
            return _several(question, listed[question.name], configs, above)
        return _of(question, plain[question.name.lower()]) if _printable(question.name) else next(odd)

    return [reading(question) for question in asked]


def _literally(
    name: str, rows: dict[str, ScmRow], configs: dict[str, ScmConfig], above: Dependents, refused: Iterator[Problem]
) -> ServiceStatus | Problem:
    row, config = rows.get(name.lower()), configs.get(name.lower())
    problem = None if row else next(refused, _UNREAD)
    for told in (config, above.get(name.lower())):
        if told is None:
            next(refused, None)
    return problem if row is None else _status(row, config, above)  # type: ignore[return-value] # one of the two is there


def _of(question: Asked, answer: ServiceStatus | Problem) -> Reading:
    if isinstance(answer, Problem):
        return Reading(question, problem=answer)
    return Reading(question, (answer,))


def _several(
    question: Asked, found: list[ScmRow] | Problem, configs: dict[str, ScmConfig], above: Dependents
) -> Reading:
    if isinstance(found, Problem):
        return Reading(question, problem=found)
    return Reading(question, tuple(_status(row, configs.get(row.name.lower()), above) for row in found))


def _status(row: ScmRow, config: ScmConfig | None, above: Dependents) -> ServiceStatus:
    told = (None, ()) if config is None else (config.start_type, config.requires)
    return row.status(row.name, *told, above.get(row.name.lower(), ()))


def _literal(asked: Sequence[Asked]) -> list[str]:
    names = {question.name.lower(): question.name for question in asked if not question.pattern}
    return [name for name in names.values() if _printable(name)]


def _odd(asked: Sequence[Asked]) -> list[Asked]:
    return [question for question in asked if not question.pattern and not _printable(question.name)]


def _printable(name: str) -> bool:
    return for_sc(name) and name.isascii()
