"""Services by way of sc.exe: one line for cmd.exe asks for all of a host."""

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.adapters.ssh import answers, powershell, sc
from orchestrator.adapters.ssh.line import SshLine
from orchestrator.adapters.ssh.reader import ended
from orchestrator.adapters.ssh.talk import Sentence
from orchestrator.domain import processes, sc_output
from orchestrator.domain.errors import Problem, ProblemKind, ProtocolError, Refused
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, Reading
from orchestrator.engine.ports import HostFacts

CONFIG_S = 10.0
"""How long a start type and dependencies are taken for known: a state never is."""
_NAMES_MOST = 7500
"""Characters of names, with the blanks between them, in one line."""
_CODED_MOST = 1400
"""The same in one command for PowerShell, where UTF-16 and base64 make the most of them."""
_EVERYTHING = "*"
_UNASKABLE = "sc.exe can't be asked for a service with such a name"
_Row = sc_output.ScmRow | Problem
_Config = tuple[sc_output.ScmConfig | None, tuple[str, ...]]
"""The configuration, None if it can't be read, and what depends on it."""
_Found = Mapping[str, list[sc_output.ScmRow] | Problem]


class BySc:
    """Implements Talk. Names that could mean something to a shell go by PowerShell, which runs sc.exe with them.

    What sc.exe does not tell stays unknown: display names, the clock.
    """

    def __init__(self, host: str, line: SshLine, limit_s: float) -> None:
        self._host = host
        self._line = line
        self._limit_s = limit_s
        self._configs: dict[str, tuple[float, _Config]] = {}

    async def read(self, asked: Sequence[Asked]) -> list[Reading]:
        """See HostServices. One exchange, for names of some 7,000 characters together; one more if there are patterns:
        first all services are listed. Start types and dependencies, both ways, are at most CONFIG_S old. The pattern
        `*` costs the list alone, and tells none: hosts have hundreds of services, and each would take three programs.
        """
        patterns = [one.name for one in asked if one.pattern]
        try:
            found = await self._found(patterns) if patterns else {}
            literal = [one.name for one in asked if not one.pattern] + [
                row.name
                for pattern, rows in found.items()
                if pattern != _EVERYTHING and not isinstance(rows, Problem)
                for row in rows
            ]
            names = [name for name in dict.fromkeys(literal) if sc_output.for_sc(name)]
            known = await (self._states(names) if all(map(sc.plain, names)) else self._odd_states(names))
        except answers.Garbled as exc:
            raise self._garbled(exc) from exc
        return [
            self._several(one, found[one.name], known) if one.pattern else self._literal(one, known.get(one.name))
            for one in asked
        ]

    async def security(self, names: Sequence[str]) -> list[str | Problem]:
        """See HostServices."""
        askable = [name for name in names if sc_output.for_sc(name)]
        try:
            if all(map(sc.plain, askable)):
                told = [
                    _descriptor(lines)
                    for part in _parted(askable, len, _NAMES_MOST)
                    for lines in await self._descriptors(part)
                ]
            else:
                rows = await self._odd(("sdshow ?",), askable)
                told = [_descriptor(_lines(row)) for row in rows]
        except answers.Garbled as exc:
            raise self._garbled(exc) from exc
        known = dict(zip(askable, told, strict=True))
        unaskable = Problem(ProblemKind.REFUSED, _UNASKABLE)
        return [known.get(name, unaskable) for name in names]

    async def processes(self, pids: Sequence[int]) -> list[Process]:
        """See HostServices. tasklist.exe tells no start and no parent."""
        nonce = _token()
        try:
            (lines,) = answers.sections(await self._said(sc.processes(nonce)), nonce, 1)
        except answers.Garbled as exc:
            raise self._garbled(exc) from exc
        found = processes.listed(lines)
        if not found:
            raise Refused(self._host, Problem(ProblemKind.PROTOCOL, "tasklist.exe gave no list of processes"))
        return [found[pid] for pid in pids if pid in found]

    async def facts(self) -> HostFacts:
        """See HostServices. No program tells a time in a form that is the same in every language."""
        nonce = _token()
        try:
            hostname, whoami = answers.sections(await self._said(sc.facts(nonce)), nonce, 2)
        except answers.Garbled as exc:
            raise self._garbled(exc) from exc
        name = next((line.strip() for line in hostname if line.strip()), "")
        return HostFacts(transport="SSH, sc", computer_name=name, sids=sc_output.sids(whoami))

    def booted_at(self) -> float | None:
        """See HostServices. No program tells it in a form that is the same in every language."""
        return None

    def control(self, nonce: str, name: str, wanted: Control) -> Sentence:
        """See Talk. sc.exe does not wait for the service to get there."""
        if not sc_output.for_sc(name):
            raise Refused(self._host, Problem(ProblemKind.REFUSED, _UNASKABLE))

        def outcome(said: bytes) -> answers.Outcome | None:
            printed, ended, _ = said.decode("ascii", "replace").partition(f"{nonce} ended")
            return answers.taken(wanted, answers.lines(printed)) if ended else None

        def odd_outcome(said: bytes) -> answers.Outcome | None:
            rows = answers.framed(said, nonce)
            return answers.taken(wanted, _lines(rows[0] if rows else {})) if rows is not None else None

        if sc.plain(name):
            return Sentence(sc.control(nonce, name, wanted), outcome)
        return Sentence(powershell.sc(nonce, (f"{sc_output.VERBS[wanted]} ?",), (name,)), odd_outcome)

    def close(self) -> None:
        """See Talk: nothing lives on."""

    async def _found(self, patterns: Sequence[str]) -> _Found:
        """All services that match each pattern. Raises Garbled."""
        nonce = _token()
        (lines,) = answers.sections(await self._said(sc.everything(nonce)), nonce, 1)
        if not any(map(str.strip, lines)):
            raise answers.Garbled("no list of services")
        return sc_output.listed(lines, patterns)

    async def _states(self, names: Sequence[str]) -> dict[str, _Row]:
        known: dict[str, _Row] = {}
        for part in _parted(names, len, _NAMES_MOST):
            nonce = _token()
            fresh = [name for name in part if self._has_config(name)]
            stale = [name for name in part if not self._has_config(name)]
            said = await self._said(sc.states(nonce, fresh, stale))
            found = iter(answers.sections(said, nonce, len(sc.CONFIGURED) * len(stale) + len(fresh)))
            for name in stale:
                known[name] = answers.scm_row(name, next(found))
                self._keep(name, next(found), next(found))
            known |= {name: answers.scm_row(name, next(found)) for name in fresh}
        return known

    async def _odd_states(self, names: Sequence[str]) -> dict[str, _Row]:
        rows = map(_lines, await self._odd(sc.CONFIGURED, names))
        known: dict[str, _Row] = {}
        for name in names:
            known[name] = answers.scm_row(name, next(rows), named=False)
            self._keep(name, next(rows), next(rows))
        return known

    def _keep(self, name: str, config: Sequence[str], above: Sequence[str]) -> None:
        self._configs[name.lower()] = (time.monotonic(), (sc_output.config(config), sc_output.dependents(above)))

    async def _odd(self, calls: Sequence[str], names: Sequence[str]) -> list[answers.Row]:
        """A row for each call about each name."""
        told: list[answers.Row] = []
        for part in _parted(names, lambda name: len(base64.b64encode(name.encode())), _CODED_MOST):
            nonce = _token()
            rows = answers.framed(await self._said(powershell.sc(nonce, calls, part)), nonce)
            if rows is None or len(rows) != len(part) * len(calls):
                raise answers.Garbled("half an answer")
            told += rows
        return told

    async def _descriptors(self, names: Sequence[str]) -> list[list[str]]:
        nonce = _token()
        return answers.sections(await self._said(sc.descriptors(nonce, names)), nonce, len(names))

    async def _said(self, command: str) -> bytes:
        """What *command* printed. Raises HostError and its kin."""
        ran = await self._line.run(command, limit_s=self._limit_s)
        if not ran.stdout:
            raise ended(self._host, "the command for sc.exe", ran.stderr, ran.status, spoke=False)
        return ran.stdout

    def _has_config(self, name: str) -> bool:
        read_s, (config, _) = self._configs.get(name.lower(), (0.0, (None, ())))
        return config is not None and time.monotonic() - read_s < CONFIG_S

    def _literal(self, asked: Asked, row: _Row | None) -> Reading:
        if row is None:
            return Reading(asked, problem=Problem(ProblemKind.REFUSED, _UNASKABLE))
        if isinstance(row, Problem):
            return Reading(asked, problem=row)
        _, (config, above) = self._configs[asked.name.lower()]
        name = row.name if row.name.lower() == asked.name.lower() else asked.name
        told = (config.start_type, config.requires) if config is not None else (None, ())
        return Reading(asked, (row.status(name, *told, above),))

    def _several(self, asked: Asked, found: list[sc_output.ScmRow] | Problem, known: Mapping[str, _Row]) -> Reading:
        """What a pattern found, without what went away since it was listed."""
        if isinstance(found, Problem):
            return Reading(asked, problem=found)
        if asked.name == _EVERYTHING:
            return Reading(asked, tuple(row.status(row.name) for row in found))
        rows = [(row.name, known[row.name]) for row in found if row.name in known]
        single = [self._literal(Asked(name), row) for name, row in rows if not isinstance(row, Problem)]
        return Reading(asked, tuple(status for reading in single for status in reading.found))

    def _garbled(self, what: object) -> ProtocolError:
        return ProtocolError(self._host, f"sc.exe gave {what}", sent=True)


def _descriptor(lines: Sequence[str]) -> str | Problem:
    told = sc_output.descriptors(lines)
    return told[0] if told else Problem(ProblemKind.PROTOCOL, "sc.exe sdshow gave no answer that can be read")


def _lines(row: answers.Row) -> list[str]:
    """What sc.exe printed. Raises Garbled, also if it could not be run."""
    if "out" not in row:
        raise answers.Garbled(f"nothing: {answers.failure(row).problem}")
    return answers.lines(answers.program_output(row)[1])


def _parted(names: Sequence[str], size: Callable[[str], int], most: int) -> Iterator[list[str]]:
    """*names* in parts of at most *most* characters, the one that parts them included."""
    part: list[str] = []
    room = most
    for name in names:
        needed = size(name) + 1
        if part and needed > room:
            yield part
            part, room = [], most
        part.append(name)
        room -= needed
    if part:
        yield part


def _token() -> str:
    return secrets.token_hex(8)
