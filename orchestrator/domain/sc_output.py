"""What sc.exe and whoami.exe print, read by numbers and positions alone: labels and words are localised."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.powershell_words import matches, start_type
from orchestrator.domain.service import BY_NUMBER, Control, ServiceStatus, StartType, State

VERBS = {Control.START: "start", Control.STOP: "stop", Control.RESUME: "continue"}
_ALREADY = {Control.START: 1056, Control.STOP: 1062}
"""Errors that say that it is so already; PowerShell's cmdlets keep quiet about them."""
_FAILED = re.compile(r"\s*\[SC\].*?\b([0-9]+)[\s\ufffd]*:")
_NUMBER = re.compile(r"0x([0-9a-fA-F]+)|([0-9]+)")
_ACCEPTS = re.compile(r"\s+\((NOT_)?STOPPABLE\b")
_AUTOMATIC = re.compile(r"(\d+)\s+\S+(\s+\()?")
_SDDL = re.compile(r"\s*((?:O:|G:|D:|S:)\S.*)")
_SID = re.compile(r"\bS-1-\d+(?:-\d+)+\b")
_LOST = re.compile("[?\ufffd]")
"""What a letter becomes that a code page does not have, or that is not read."""
_NO_LOSS = re.compile(r"\?|[^\x00-\x7f]")
_NEVER_STARTED = 1077
_SAID_MOST = 4
_FULL = 7
"""So many fields a service has where its process is told: six without."""
_DEPENDENCIES, _ACCOUNT = 7, 8
"""Where labels stand in what `qc` prints: TYPE, START_TYPE, ERROR_CONTROL, BINARY_PATH_NAME, LOAD_ORDER_GROUP, TAG,
DISPLAY_NAME, DEPENDENCIES, SERVICE_START_NAME."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScmRow:
    """What `sc.exe queryex` tells of one service, whose `name` is spelled as it was printed.

    `can_stop` comes from the names of the accepted controls, which are constants; None where they don't stand.
    """

    name: str
    state: State
    win32_exit_code: int
    service_exit_code: int
    checkpoint: int
    wait_hint_s: float
    pid: int
    can_stop: bool | None = None

    def status(
        self,
        name: str,
        started: StartType | None = None,
        requires: tuple[str, ...] = (),
        required_by: tuple[str, ...] = (),
    ) -> ServiceStatus:
        """The row as a status of the service *name*."""
        return ServiceStatus(
            name=name,
            state=self.state,
            start_type=started,
            pid=self.pid or None,
            checkpoint=self.checkpoint,
            wait_hint_s=self.wait_hint_s,
            win32_exit_code=self.exit_code,
            service_exit_code=self.service_exit_code,
            can_stop=self.can_stop,
            requires=requires,
            required_by=required_by,
        )

    @property
    def exit_code(self) -> int:
        """The exit code; 0 for a service that was never started, for that is no failure."""
        return self.win32_exit_code if self.win32_exit_code != _NEVER_STARTED else 0


@dataclass(frozen=True, slots=True)
class ScmConfig:
    """What `sc.exe qc` tells of one service. `requires` names services; groups of them are left out."""

    start_type: StartType | None
    requires: tuple[str, ...]


@dataclass(slots=True)
class _Block:
    """A service's lines: its name, then `label : value` each."""

    name: str
    fields: list[tuple[str, str]]
    can_stop: bool | None = None
    answers: bool = False
    """Its first line says of a call that it went well."""

    @property
    def in_short(self) -> bool:
        """Whether it is a service with a state and no more than that: no process, no configuration."""
        return bool(self.name) and 1 < len(self.fields) < _FULL and _number(self.fields[1][1]) in BY_NUMBER

    def take(self, line: str) -> None:
        """Add what one indented line tells. A label keeps the blanks behind it."""
        label, colon, value = line.strip().partition(":")
        if colon:
            self.fields.append((label, value.lstrip()))
        elif found := _ACCEPTS.match(line):
            self.can_stop = found[1] is None


def for_sc(name: str) -> bool:
    """Whether sc.exe takes *name* for a name, and for all of it: it takes `x=` as an option and `\\\\x` as a host, a
    backslash may undo the quote behind it, and a NUL ends a command line. No service has such a name."""
    return name.isprintable() and bool(name) and "=" not in name and "\\" not in name


def rows(lines: Iterable[str]) -> dict[str, ScmRow]:
    """The services that `sc.exe queryex` printed, by name in lower case. Incomplete blocks are left out."""
    found = (row for block in _blocks(lines) if (row := _row(block)) is not None)
    return {row.name.lower(): row for row in found}


def listed(lines: Sequence[str], patterns: Iterable[str]) -> dict[str, list[ScmRow] | Problem]:
    """What each pattern finds in the list of all services with which *lines* end, in name order; or why that can't be
    told: there is no list, it is cut off, or a name that may match can't be read."""
    ends = next((at for at in range(len(lines), 0, -1) if lines[at - 1][:1].isspace() and lines[at - 1].strip()), 0)
    *_, refused = None, *refusals(lines[ends:])
    cut = any(line.strip() for line in lines[ends:])
    if not ends or cut:
        problem = refused or Problem(ProblemKind.REFUSED, _CUT if ends else _NO_LIST)
        return dict.fromkeys(patterns, problem)
    found = rows(lines)
    return {pattern: _matching(pattern, found) for pattern in patterns}


_CUT = (
    "the host has more services than sc.exe lists at once: write their names out, or set orch_control: powershell for"
    " this host"
)
_NO_LIST = "sc.exe gave no list of services"


def _matching(pattern: str, found: Mapping[str, ScmRow]) -> list[ScmRow] | Problem:
    loose = _NO_LOSS.sub("*", pattern)
    if any(_LOST.search(row.name) and matches(loose, row.name) for row in found.values()):
        text = f"{pattern!r} may match a service whose name sc.exe can't print here: write its name out"
        return Problem(ProblemKind.REFUSED, text)
    return [found[name] for name in sorted(found) if matches(pattern, name)]


def _row(block: _Block) -> ScmRow | None:
    """TYPE, STATE, two exit codes, CHECKPOINT, WAIT_HINT, PID. TYPE is hexadecimal without saying so."""
    values = [number for _, value in block.fields[1:7] if (number := _number(value)) is not None]
    if len(values) < 6 or values[0] not in BY_NUMBER:
        return None
    return ScmRow(
        name=block.name,
        state=BY_NUMBER[values[0]],
        win32_exit_code=values[1],
        service_exit_code=values[2],
        checkpoint=values[3],
        wait_hint_s=values[4] / 1000,
        pid=values[5],
        can_stop=block.can_stop,
    )


def _number(value: str) -> int | None:
    """The number that *value* begins with."""
    found = _NUMBER.match(value)
    if found is None:
        return None
    return int(found[1], 16) if found[1] else int(found[2])


def accepted(lines: Iterable[str]) -> bool:
    """Whether a service with a state was printed, as `start`, `stop` and `continue` do when the control was taken."""
    blocks = (block for block in _blocks(lines) if block.name and len(block.fields) > 1)
    return any(_number(block.fields[1][1]) in BY_NUMBER for block in blocks)


def config(lines: Iterable[str]) -> ScmConfig | None:
    """The one service that `sc.exe qc` printed; None if the block is not whole."""
    return next(iter(configs(lines).values()), None)


def configs(lines: Iterable[str]) -> dict[str, ScmConfig]:
    """The services that `sc.exe qc` printed, by name in lower case. Incomplete blocks are left out."""
    found: dict[str, ScmConfig] = {}
    for block in _blocks(lines):
        if (one := _config(block)) is not None:
            found.setdefault(block.name.lower(), one)
    return found


def _config(block: _Block) -> ScmConfig | None:
    labelled = [at for at, (label, _) in enumerate(block.fields) if label]
    if len(labelled) <= _ACCOUNT or (number := _AUTOMATIC.match(block.fields[labelled[1]][1])) is None:
        return None
    named = block.fields[labelled[_DEPENDENCIES] : labelled[_ACCOUNT]]
    requires = tuple(name for _, name in named if name and not name.startswith("+"))
    return ScmConfig(start_type(int(number[1]), delayed=number[2] is not None), requires)


def dependents(lines: Iterable[str]) -> tuple[str, ...]:
    """The services that one `sc.exe enumdepend` printed, in its order; none where it was refused."""
    return tuple(block.name for block in _blocks(lines) if block.in_short)


def dependents_of(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The same of several, each asked right after `sc.exe qc` of its service: by the name in lower case of that. Who
    was refused is left out."""
    told: dict[str, tuple[str, ...]] = {}
    needed = ""
    for block in _blocks(lines):
        if (found := _config(block)) is not None or _row(block) is not None:
            needed = block.name.lower() if found is not None else ""
        elif needed and block.in_short:
            told[needed] = (*told.get(needed, ()), block.name)
        elif needed and block.answers:
            told.setdefault(needed, ())
    return told


def _blocks(lines: Iterable[str]) -> Iterator[_Block]:
    """A block begins with unindented lines, the first of which ends with the name; indented fields follow."""
    block = _Block("", [])
    heading = False
    for line in lines:
        first = line[:1]
        indented, empty = first.isspace(), not first or line.isspace()
        if indented and not empty:
            block.take(line)
        elif not empty and not heading:
            yield block
            called = line.startswith("[SC]") and _FAILED.match(line) is None
            block = _Block(line.partition(":")[2].strip(), [], answers=called)
        heading = not indented and not empty
    yield block


def refusal(lines: Sequence[str]) -> Problem | None:
    """The first `[SC]` line with an error number, and what it says; None if there is none, which alone doesn't mean
    that all was well."""
    return next(refusals(lines), None)


def refused(wanted: Control, lines: Sequence[str]) -> Problem | None:
    """Why a control was not taken, if that is so. That it is so already is no refusal."""
    problem = refusal(lines)
    return problem if problem is not None and problem.code != _ALREADY.get(wanted) else None


def refusals(lines: Sequence[str]) -> Iterator[Problem]:
    """Each `[SC]` line with an error number, and what it says, in order."""
    for at, line in enumerate(lines):
        if "[SC]" in line and (found := _FAILED.match(line)):
            said = " ".join(word for later in lines[at : at + _SAID_MOST] for word in later.split())
            yield Problem(ProblemKind.REFUSED, said, int(found[1]))


def descriptors(lines: Iterable[str]) -> list[str | Problem]:
    """The answers of `sc.exe sdshow`, in order: a descriptor in SDDL or a refusal each."""
    told: list[str | Problem] = []
    for line in lines:
        if number := _FAILED.match(line):
            told.append(Problem(ProblemKind.REFUSED, line.strip(), int(number[1])))
        elif sddl := _SDDL.match(line):
            told.append(sddl[1].strip())
    return told


def sids(lines: Iterable[str]) -> tuple[str, ...]:
    """The SIDs in the output of `whoami.exe /user /groups /fo csv /nh`, in order, each once."""
    return tuple(dict.fromkeys(sid for line in lines for sid in _SID.findall(line)))
