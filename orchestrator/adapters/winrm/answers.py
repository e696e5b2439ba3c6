"""What a Windows host says, as plain data, and what it means.

Texts and labels are localised and never looked at: ids, numbers, type names and positions are. Nothing here knows the
library that brought the data.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.service import BY_NUMBER, Asked, Control, Reading, ServiceStatus, StartType, State

NO_SUCH_SERVICE, DEPENDENTS_RUNNING, NOT_STARTED = 1060, 1051, 1062
_CODES = {
    "NoServiceFoundForGivenName": NO_SUCH_SERVICE,
    "ServiceHasDependentServices": DEPENDENTS_RUNNING,
    "ServiceHasDependentServicesNoForce": DEPENDENTS_RUNNING,
    "CouldNotResumeServiceNotRunning": NOT_STARTED,
    "CouldNotResumeServiceNotSupported": 1052,
    "CommandNotFoundException": 2,
}
"""Ids of PowerShell's error records that say which Win32 error it was."""
COMMAND_NOT_FOUND = "CommandNotFoundException"
START_TYPES = {0: "Boot", 1: "System", 2: "Automatic", 3: "Manual", 4: "Disabled"}
_NEVER_STARTED = 1077
_NATIVE = re.compile(r"Win32Exception \((\d{1,5})\)")
"""How .NET 5 and later print a Win32Exception: the number in brackets. .NET Framework prints none."""
_SPECIAL = re.compile(r"[`\[\]]")
_SPECIAL_LITERAL = re.compile(r"[`\[\]*?]")
_FIELD = re.compile(r"\s[^:]*?:\s*(0x[0-9a-fA-F]+|\d+)?")
_SC_FAILED = re.compile(r"\[SC\].*?\b(\d+)\s*:")
_SDDL = re.compile(r"\s*((?:O:|G:|D:|S:)\S.*)")
_SID = re.compile(r"\bS-1-\d+(?:-\d+)+\b")


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
        known = self.native or _CODES.get(self.id)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmRow:
    """What `sc.exe queryex` tells of one service."""

    state: State
    win32_exit_code: int
    service_exit_code: int
    checkpoint: int
    wait_hint_s: float
    pid: int


def native_code(text: str) -> int | None:
    """The Win32 number in the text of an exception chain, where .NET prints one."""
    found = _NATIVE.search(text)
    return int(found[1]) if found else None


def wildcard(asked: Asked) -> str:
    """The question as PowerShell's -Name takes it: a literal name matches itself alone, a pattern by * and ? alone."""
    return (_SPECIAL if asked.pattern else _SPECIAL_LITERAL).sub(lambda found: "`" + found[0], asked.name)


def for_sc(name: str) -> bool:
    """Whether *name* reaches sc.exe as it is: Windows PowerShell mangles quotes, and sc.exe takes `x=` as an option."""
    return bool(name) and not set('"=') & set(name) and not name.startswith("\\")


def sc_rows(lines: Iterable[str], names: Iterable[str]) -> dict[str, ScmRow]:
    """The blocks of `sc.exe queryex`, by name in lower case.

    A block begins with an unindented line that ends with one of *names*. Its numbers stand in the order TYPE, STATE,
    two exit codes, CHECKPOINT, WAIT_HINT, PID. Incomplete blocks are left out.
    """
    wanted = {name.lower() for name in names}
    blocks: dict[str, list[int]] = {}
    current: list[int] | None = None
    for line in lines:
        if line[:1].strip():
            name = line.partition(":")[2].strip().lower()
            current = blocks.setdefault(name, []) if name in wanted else None
        elif current is not None and (found := _FIELD.match(line)) and found[1]:
            current.append(int(found[1], 0))
    return {name: row for name, block in blocks.items() if (row := _row(block)) is not None}


def _row(numbers: Sequence[int]) -> ScmRow | None:
    if len(numbers) < 7 or numbers[1] not in BY_NUMBER:
        return None
    return ScmRow(
        state=BY_NUMBER[numbers[1]],
        win32_exit_code=numbers[2],
        service_exit_code=numbers[3],
        checkpoint=numbers[4],
        wait_hint_s=numbers[5] / 1000,
        pid=numbers[6],
    )


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
        win32_exit_code=_exit_code(row),
        service_exit_code=row.service_exit_code if row else 0,
        can_stop=can_stop if isinstance(can_stop, bool) else None,
        requires=_names(seen.get("RequiredServices") or seen.get("ServicesDependedOn")),
        required_by=_names(seen.get("DependentServices")),
    )


def _exit_code(row: ScmRow | None) -> int:
    return row.win32_exit_code if row and row.win32_exit_code != _NEVER_STARTED else 0


def _number(value: object) -> int:
    if isinstance(value, Item):
        return value.number if value.number is not None else -1
    return value if isinstance(value, int) else -1


def _start_type(seen: Mapping[str, object]) -> StartType | None:
    if seen.get("DelayedAutoStart") is True:
        return StartType.AUTOMATIC_DELAYED
    word = START_TYPES.get(_number(seen.get("StartType")))
    return StartType(word) if word else None


def _names(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple(name for name in (_name(item) for item in items) if name)


def _name(value: object) -> str:
    if isinstance(value, Item):
        return str(value.properties.get("Name") or value.properties.get("ServiceName") or value.text)
    return str(value)


def readings(asked: Sequence[Asked], output: Output) -> list[Reading]:
    """Each question with what *output* of Get-Service and of sc.exe says to it."""
    rows = sc_rows(output.lines, [question.name for question in asked if not question.pattern])
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
        pieces = (".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in question.name.lower())
        whole = re.compile("".join(pieces), re.DOTALL)
        return Reading(question, tuple(found[name] for name in sorted(found) if whole.fullmatch(name)))
    seen = found.get(question.name.lower())
    if seen is not None:
        return Reading(question, (seen,))
    said = refusals.get(wildcard(question).lower()) or refusals.get(question.name.lower())
    text = said.text if said else f"Get-Service shows no service named {question.name!r}"
    return Reading(question, problem=Problem(ProblemKind.REFUSED, text, NO_SUCH_SERVICE))


def complete(control: Control, failure: Failure, before: ServiceStatus | None, after: ServiceStatus | None) -> Problem:
    """The refusal of a control, with its number taken from the service where the error record tells none.

    Windows PowerShell 5.1 serialises no number of the inner exception. What the service shows right after is one:
    Disabled and stopped (1058), pending (1061), not stoppable (1052), or the exit code of a start, if the start set
    it: it differs from the one *before*, or the service began to start and fell back.
    """
    problem = failure.problem()
    if problem.code is not None or after is None:
        return problem
    return Problem(problem.kind, problem.text, _told(control, failure, before, after))


def _told(control: Control, failure: Failure, before: ServiceStatus | None, after: ServiceStatus) -> int | None:
    if control is Control.START:
        if after.state is State.STOPPED and after.start_type is StartType.DISABLED:
            return 1058
        fresh = failure.id == "StartServiceFailed" or (before and before.win32_exit_code != after.win32_exit_code)
        return after.win32_exit_code or None if fresh else None
    if after.state.pending:
        return 1061
    return 1052 if control is Control.STOP and after.state is State.RUNNING and after.can_stop is False else None


def descriptors(names: Sequence[str], output: Output) -> list[str | Problem]:
    """The answers of one `sc.exe sdshow` per name: an SDDL line or a line with an error number, in order."""
    answers: list[str | Problem] = []
    for line in output.lines:
        if failed := _SC_FAILED.match(line):
            answers.append(Problem(ProblemKind.REFUSED, line.strip(), int(failed[1])))
        elif sddl := _SDDL.match(line):
            answers.append(sddl[1].strip())
    if len(answers) == len(names):
        return answers
    said = output.failures[0].text if output.failures else "sc.exe sdshow gave no answer that can be read"
    kind = ProblemKind.REFUSED if output.failures else ProblemKind.PROTOCOL
    return [Problem(kind, said)] * len(names)


def sids(lines: Iterable[str]) -> tuple[str, ...]:
    """The SIDs in the output of `whoami.exe /user /groups /fo csv /nh`, in order, each once."""
    return tuple(dict.fromkeys(sid for line in lines for sid in _SID.findall(line)))


def moment(text: str) -> float | None:
    """The UTC time of a CLIXML date and time, in seconds since 1970; None without an offset in it."""
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text.strip())
    try:
        when = datetime.fromisoformat(cut)
    except ValueError:
        return None
    return when.timestamp() if when.tzinfo else None
