"""What a Windows host says, as plain data, and what it means.

Texts and labels are localised and never looked at: ids, numbers, type names and positions are. Nothing here knows the
library that brought the data.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain import sc_output
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.powershell_words import (
    COMMAND_NOT_FOUND,
    NO_SUCH_SERVICE,
    code_of,
    matches,
    start_type,
    told_by_state,
    wildcard,
)
from orchestrator.domain.processes import Process
from orchestrator.domain.sc_output import ScmRow
from orchestrator.domain.service import BY_NUMBER, Asked, Control, Reading, ServiceStatus, StartType

_NATIVE = re.compile(r"Win32Exception \((\d{1,5})\)")
"""How .NET 5 and later print a Win32Exception: the number in brackets. .NET Framework prints none."""

NO_TASKS = Problem(ProblemKind.PROTOCOL, "tasklist.exe gave no list of processes")


@dataclass(frozen=True, slots=True)
class Item:
    """One object that a pipeline put out: its text, its value if it is a number or an enum, its properties by name."""

    text: str
    number: int | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """One error record. `id` is the part before the comma; `native` a Win32 number of the exceptions, if one shows."""

    text: str
    id: str
    target: str = ""
    native: int | None = None

    def problem(self, code: int | None = None) -> Problem:
        """The failure as data; *code* is used where the record tells none."""
        known = code_of(self.id, self.native)
        return Problem(ProblemKind.REFUSED, self.text, known if known is not None else code)


@dataclass(slots=True)
class Output:
    """What a pipeline has said so far: strings, numbers and items in order, error records, and whether it ended."""

    values: list[object] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ended: bool = False
    failed: bool = False
    """It ended by a terminating error, the last of `failures`."""

    @property
    def lines(self) -> list[str]:
        """The strings alone."""
        return [value for value in self.values if isinstance(value, str)]

    @property
    def items(self) -> list[Item]:
        """The objects alone."""
        return [value for value in self.values if isinstance(value, Item)]

    def lacks(self, command: str) -> bool:
        """Whether the endpoint said that it has no such command."""
        named = command.lower()
        return any(failure.id == COMMAND_NOT_FOUND and failure.target.lower() == named for failure in self.failures)


def native_code(text: str) -> int | None:
    """The Win32 number in the text of an exception chain, where .NET prints one."""
    found = _NATIVE.search(text)
    return int(found[1]) if found else None


def for_sc(name: str) -> bool:
    """Whether *name* reaches sc.exe as it is: Windows PowerShell mangles quotes."""
    return '"' not in name and sc_output.for_sc(name)


def status(item: Item, row: ScmRow | None) -> ServiceStatus | None:
    """One ServiceController, completed by its row of sc.exe, which was read after it. None: it is not one."""
    seen = item.properties
    number = _number(seen.get("Status"))
    name = str(seen.get("Name") or seen.get("ServiceName") or "")
    if number not in BY_NUMBER or not name:
        return None
    state = row.state if row else BY_NUMBER[number]
    can_stop = seen.get("CanStop")
    return ServiceStatus(
        name=name,
        state=state,
        start_type=_start_type(seen),
        display_name=str(seen.get("DisplayName") or ""),
        pid=(row.pid or None) if row else None,
        checkpoint=row.checkpoint if row else 0,
        wait_hint_s=row.wait_hint_s if row else 0.0,
        win32_exit_code=row.exit_code if row else 0,
        service_exit_code=row.service_exit_code if row else 0,
        can_stop=can_stop if isinstance(can_stop, bool) else None,
        requires=_names(seen.get("RequiredServices") or seen.get("ServicesDependedOn")),
        required_by=_names(seen.get("DependentServices")),
    )


def _number(value: object) -> int:
    if isinstance(value, Item):
        return value.number if value.number is not None else -1
    return value if isinstance(value, int) else -1


def _start_type(seen: Mapping[str, object]) -> StartType | None:
    return start_type(_number(seen.get("StartType")), delayed=seen.get("DelayedAutoStart") is True)


def _names(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple(name for name in (_name(item) for item in items) if name)


def _name(value: object) -> str:
    if isinstance(value, Item):
        return str(value.properties.get("Name") or value.properties.get("ServiceName") or value.text)
    return str(value)


def readings(asked: Sequence[Asked], output: Output) -> list[Reading]:
    """Each question with what *output* of Get-Service and of sc.exe says to it."""
    rows = sc_output.rows(output.lines)
    found: dict[str, ServiceStatus] = {}
    for item in output.items:
        name = str(item.properties.get("Name") or item.properties.get("ServiceName") or "").lower()
        seen = status(item, rows.get(name))
        if seen is not None:
            found[name] = seen
    refusals = {failure.target.lower(): failure for failure in output.failures}
    return [_reading(question, found, refusals) for question in asked]


def _reading(question: Asked, found: Mapping[str, ServiceStatus], refusals: Mapping[str, Failure]) -> Reading:
    if question.pattern:
        return Reading(question, tuple(found[name] for name in sorted(found) if matches(question.name, name)))
    seen = found.get(question.name.lower())
    if seen is not None:
        return Reading(question, (seen,))
    said = refusals.get(wildcard(question).lower()) or refusals.get(question.name.lower())
    text = said.text if said else f"Get-Service shows no service named {question.name!r}"
    return Reading(question, problem=Problem(ProblemKind.REFUSED, text, NO_SUCH_SERVICE))


def complete(control: Control, failure: Failure, before: ServiceStatus | None, after: ServiceStatus | None) -> Problem:
    """The refusal of a control, with its number taken from the service where the error record tells none: Windows
    PowerShell 5.1 serialises no number of the inner exception."""
    problem = failure.problem()
    if problem.code is not None or after is None:
        return problem
    return Problem(problem.kind, problem.text, told_by_state(control, failure.id, before, after))


def descriptors(names: Sequence[str], output: Output) -> list[str | Problem]:
    """The answers of one `sc.exe sdshow` per name: an SDDL line or a line with an error number, in order."""
    answers = sc_output.descriptors(output.lines)
    if len(answers) == len(names):
        return answers
    said = output.failures[0].text if output.failures else "sc.exe sdshow gave no answer that can be read"
    kind = ProblemKind.REFUSED if output.failures else ProblemKind.PROTOCOL
    return [Problem(kind, said)] * len(names)


def processes(output: Output) -> dict[int, Process]:
    """What Win32_Process told, by PID."""
    found = (_process(item.properties) for item in output.items)
    return {process.pid: process for process in found if process is not None}


def _process(seen: Mapping[str, object]) -> Process | None:
    pid, parent, began = (seen.get(name) for name in ("ProcessId", "ParentProcessId", "CreationDate"))
    if not isinstance(pid, int):
        return None
    return Process(
        pid=pid,
        name=str(seen.get("Name") or ""),
        parent=parent if isinstance(parent, int) else None,
        started_at=moment(_text(began)) if began is not None else None,
    )


def booted_at(output: Output) -> float | None:
    """When the host started, if Win32_OperatingSystem is among what it said."""
    said = (item.properties.get("LastBootUpTime") for item in output.items)
    return next((moment(_text(value)) for value in said if value is not None), None)


def _text(value: object) -> str:
    return value.text if isinstance(value, Item) else str(value)


def moment(text: str) -> float | None:
    """The UTC time of a CLIXML date and time, in seconds since 1970; None without an offset in it."""
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text.strip())
    try:
        when = datetime.fromisoformat(cut)
    except ValueError:
        return None
    return when.timestamp() if when.tzinfo else None
