"""The pipelines that are sent to a host: commands with parameters and arguments, one per statement, never script."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.adapters.winrm.answers import for_sc
from orchestrator.domain.powershell_words import wildcard
from orchestrator.domain.service import Asked, Control

SC, GET_SERVICE, GET_CIM = "sc.exe", "Get-Service", "Get-CimInstance"
_CIM_S = 5
"""How long Windows' management service may take: it may be broken while all else is well."""
_CONTROLS = {Control.START: "Start-Service", Control.STOP: "Stop-Service", Control.RESUME: "Resume-Service"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One command of a pipeline: a cmdlet or a program, with named parameters (lists as tuples) and plain arguments."""

    command: str
    parameters: tuple[tuple[str, object], ...] = ()
    arguments: tuple[str, ...] = ()


EVERYTHING = Statement(SC, arguments=("queryex", "type=", "service", "state=", "all", "bufsize=", "262144"))
"""The numbers of all services."""
_START = Statement(
    GET_CIM,
    (("ClassName", "Win32_OperatingSystem"), ("Property", "LastBootUpTime"), ("OperationTimeoutSec", _CIM_S)),
)


def states(asked: Sequence[Asked], *, with_sc: bool, with_start: bool = False) -> list[Statement]:
    """Everything asked in one pipeline: Get-Service once, then the SCM's numbers of each literal name, or of all
    services if they are asked for, and last when the host started."""
    names = tuple(dict.fromkeys(wildcard(question) for question in asked))
    get = Statement(GET_SERVICE, (("Name", names),))
    literal = dict.fromkeys(question.name for question in asked if not question.pattern and for_sc(question.name))
    rows = [Statement(SC, arguments=("queryex", name)) for name in literal if with_sc]
    if with_sc and any(question.pattern and question.name == "*" for question in asked):
        rows = [EVERYTHING]
    return [get, *rows, *([_START] if with_start else [])]


def processes(pids: Sequence[int]) -> list[Statement]:
    """Those of *pids* that run, by Windows' management service."""
    wanted = " OR ".join(f"ProcessId={pid:d}" for pid in pids)
    told = ("ProcessId", "ParentProcessId", "Name", "CreationDate")
    parameters = (
        ("ClassName", "Win32_Process"),
        ("Filter", wanted),
        ("Property", told),
        ("OperationTimeoutSec", _CIM_S),
    )
    return [Statement(GET_CIM, parameters)]


def tasks() -> list[Statement]:
    """All processes, where Windows' management service is not to be had. With a filter, tasklist.exe would say in words
    that there is none."""
    return [Statement("tasklist.exe", arguments=("/fo", "csv", "/nh"))]


def control(name: str, wanted: Control) -> list[Statement]:
    """One control of one service, whose name is taken literally. It waits on the host for as long as that takes."""
    return [Statement(_CONTROLS[wanted], (("Name", wildcard(Asked(name))),))]


def descriptors(names: Sequence[str]) -> list[Statement]:
    """The security descriptor of each name."""
    return [Statement(SC, arguments=("sdshow", name)) for name in names]


def program(exe: str, args: Sequence[str]) -> list[Statement]:
    """One program, and then how it ended: both statements run in the same runspace."""
    exit_code = Statement("Get-Variable", (("Name", "LASTEXITCODE"), ("ValueOnly", True)))
    return [Statement(exe, arguments=tuple(_native(arg) for arg in args)), exit_code]


def _native(argument: str) -> str:
    """*argument* as Windows PowerShell must be given it, for it hands quotes and empty text on unquoted."""
    if not argument:
        return '""'
    if '"' not in argument:
        return argument
    quoted, slashes = "", 0
    for mark in argument:
        if mark == '"':
            quoted += "\\" * (slashes + 1)
        slashes = slashes + 1 if mark == "\\" else 0
        quoted += mark
    return quoted


def facts() -> tuple[list[Statement], ...]:
    """Three pipelines, for at a constrained endpoint a missing command ends its pipeline: the clock, the computer's
    name, and who we are there."""
    return (
        [Statement("Get-Date")],
        [Statement("hostname.exe")],
        [Statement("whoami.exe", arguments=("/user", "/groups", "/fo", "csv", "/nh"))],
    )
