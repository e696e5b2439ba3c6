"""PowerShell's own words about services: wildcards, and what the ids of its error records mean.

Texts are localised and never looked at; ids and numbers are.
"""

import re

from orchestrator.domain.service import Asked, Control, ServiceStatus, StartType, State

NO_SUCH_SERVICE, DEPENDENTS_RUNNING, NOT_STARTED = 1060, 1051, 1062
COMMAND_NOT_FOUND = "CommandNotFoundException"
_CODES = {
    "NoServiceFoundForGivenName": NO_SUCH_SERVICE,
    "ServiceHasDependentServices": DEPENDENTS_RUNNING,
    "ServiceHasDependentServicesNoForce": DEPENDENTS_RUNNING,
    "CouldNotResumeServiceNotRunning": NOT_STARTED,
    "CouldNotResumeServiceNotSupported": 1052,
    COMMAND_NOT_FOUND: 2,
}
START_TYPES = {0: "Boot", 1: "System", 2: "Automatic", 3: "Manual", 4: "Disabled"}
"""ServiceStartMode, which are the numbers of the service control manager too."""
_SPECIAL = re.compile(r"[`\[\]]")
_SPECIAL_LITERAL = re.compile(r"[`\[\]*?]")


def wildcard(asked: Asked) -> str:
    """The question as PowerShell's -Name takes it: a literal name matches itself alone, a pattern by * and ? alone.

    [WildcardPattern]::Escape is not asked: it leaves backticks as they are.
    """
    return (_SPECIAL if asked.pattern else _SPECIAL_LITERAL).sub(lambda found: "`" + found[0], asked.name)


def literal(text: str) -> str:
    """*text* as a value in PowerShell that can't end early or expand, in ASCII alone.

    What is no printable ASCII is put in by its number: `('caf{0}' -f [char]0xE9)`. So are the quotes that PowerShell
    takes for one of ASCII.
    """
    if text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    pieces: list[str] = []
    numbers: list[int] = []
    for mark in text:
        if " " <= mark <= "~":
            pieces.append({"'": "''", "{": "{{", "}": "}}"}.get(mark, mark))
            continue
        for unit in _utf_16(mark):
            pieces.append(f"{{{len(numbers)}}}")
            numbers.append(unit)
    return f"('{''.join(pieces)}' -f {', '.join(f'[char]0x{number:X}' for number in numbers)})"


def _utf_16(mark: str) -> tuple[int, ...]:
    data = mark.encode("utf-16-be", "surrogatepass")
    return tuple(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))


def matches(pattern: str, name: str) -> bool:
    """Whether *name* is one of *pattern*, which knows `*` and `?` alone; without case."""
    pieces = (".*" if mark == "*" else "." if mark == "?" else re.escape(mark) for mark in pattern.lower())
    return re.fullmatch("".join(pieces), name.lower(), re.DOTALL) is not None


def code_of(id: str, native: int | None = None) -> int | None:
    """The Win32 number of an error record: of its exceptions, else what its *id* (up to the comma) stands for."""
    return native or _CODES.get(id)


def start_type(number: int, *, delayed: bool = False) -> StartType | None:
    """The start type of that number; None if there is none."""
    if number == 2 and delayed:
        return StartType.AUTOMATIC_DELAYED
    word = START_TYPES.get(number)
    return StartType(word) if word else None


def told_by_state(control: Control, id: str, before: ServiceStatus | None, after: ServiceStatus) -> int | None:
    """The number of a control's refusal, taken from the service where the error record tells none.

    What the service shows right after is one: Disabled and stopped (1058), pending (1061), not stoppable (1052), or
    the exit code of a start, if the start set it: it differs from the one *before*, or the service began to start and
    fell back.
    """
    if control is Control.START:
        if after.state is State.STOPPED and after.start_type is StartType.DISABLED:
            return 1058
        fresh = id == "StartServiceFailed" or (before and before.win32_exit_code != after.win32_exit_code)
        return after.win32_exit_code or None if fresh else None
    if after.state.pending:
        return 1061
    return 1052 if control is Control.STOP and after.state is State.RUNNING and after.can_stop is False else None
