"""HostServices and HostCommand of one host over WinRM."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.adapters.winrm import answers, sc, statements
from orchestrator.adapters.winrm.lane import Lane
from orchestrator.adapters.winrm.threads import WinrmThreads
from orchestrator.domain import processes, sc_output
from orchestrator.domain.connection import Connection, ControlBy
from orchestrator.domain.errors import HostError, Problem, ProblemKind, QuotaExceeded, Refused, SecretError
from orchestrator.domain.processes import Process
from orchestrator.domain.secrets import OPEN, shown
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus
from orchestrator.engine.ports import OUTPUT_MOST, CommandOutput, ControlAnswer, Credentials, HostFacts

if TYPE_CHECKING:
    from orchestrator.adapters.winrm.session import Job, Session

SHORT_S = 0.5
"""How long an answer is waited for on the host: the least that WinRM takes as an operation timeout."""
FRESH_S = 3.0
"""How long a reading that shows a service on its way spares asking the cmdlet that waits for it."""
DEPENDENTS_S = 10.0
"""How long what depends on a service is taken for known, where sc.exe tells it: a state never is."""
SLICE_S = 1.0
"""How long a program's output is waited for before others may use the lane."""
WAITING_MOST = 15
"""Controls that may wait on a host beside each other: one runspace fewer than the shell has, for the reader."""
_UNASKABLE = Problem(ProblemKind.REFUSED, "sc.exe can't be asked for a service with such a name")


@dataclass(slots=True)
class _Control:
    """A control that was handed over. `before` and `seen` are the last readings before and after it."""

    wanted: Control
    session: "Session"
    job: "Job"
    before: ServiceStatus | None
    seen: ServiceStatus | None = None
    seen_at_s: float = 0.0

    @property
    def may_wait(self) -> bool:
        """Whether the cmdlet may still be at work on the host: it waits for as long as the service is on its way."""
        return self.seen is None or self.seen.state.pending

    @property
    def waits(self) -> bool:
        """Whether it was so a moment ago."""
        return self.seen is not None and self.seen.state.pending and time.monotonic() - self.seen_at_s < FRESH_S


class WinrmServices:
    """The services and programs of the host of *connection*.

    *credentials* give the password when a session is opened; references to secrets in a program's words are resolved
    by *reveal*, in a thread, when it is run. Requests on the wire: 3 to open a session (and 3 for NTLM's handshake), 2
    for a read, 1 for a control, 1 for its answer, 1 to close.
    """

    def __init__(
        self, connection: Connection, credentials: Credentials, reveal: Callable[[str], str], threads: WinrmThreads
    ) -> None:
        self._host = connection.host
        self._limit_s = connection.read_timeout_s
        self._reveal = reveal
        self._threads = threads
        self._lane = Lane(connection, threads, credentials)
        self._controls: dict[str, _Control] = {}
        self._last: dict[str, ServiceStatus] = {}
        self._dependents: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._has_sc = True
        self._has_cim = True
        self._booted_at: float | None = None
        self._start_told_in: Session | None = None
        self._by_sc = connection.control is ControlBy.SC

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        """See HostServices. Get-Service tells all but PID, checkpoint and exit codes; those are `sc.exe queryex`'s.

        Where an endpoint has no sc.exe they stay unknown, as they do for services found by a pattern, unless it is `*`.
        Start types come from .NET, which says Automatic of a delayed one on Windows PowerShell. Driven by sc.exe alone,
        display names stay unknown, dependents are at most DEPENDENTS_S old, and patterns take one more exchange.
        """
        if not asked:
            return []
        readings = await (self._read_by_sc(asked) if self._by_sc else self._read_by_cmdlets(asked))
        for status in (status for reading in readings for status in reading.found):
            self._take_in(status)
        return readings

    async def _read_by_cmdlets(self, asked: Sequence[Asked]) -> list[Reading]:
        with_start = self._has_cim and (self._lane.session is None or self._lane.session is not self._start_told_in)
        try:
            output = await self._run(statements.states(asked, with_sc=self._has_sc, with_start=with_start))
        except HostError as exc:
            # What was asked beside the states may be what hangs: they are worth more.
            self._has_cim = self._has_cim and not (with_start and exc.sent)
            raise
        if output.lacks(statements.SC):
            self._has_sc = False
        elif with_start:
            self._has_cim = not output.lacks(statements.GET_CIM)
            self._booted_at, self._start_told_in = answers.booted_at(output), self._lane.session
        if output.failed and not output.items:
            raise Refused(self._host, output.failures[-1].problem())
        return answers.readings(asked, output)

    async def _read_by_sc(self, asked: Sequence[Asked]) -> list[Reading]:
        asked_s = time.monotonic()
        known = {name: above for name, (until_s, above) in self._dependents.items() if until_s > asked_s}
        output = await self._run(sc.states(asked, known))
        if output.failed and not output.lines and not output.items:
            raise Refused(self._host, output.failures[-1].problem())
        listed = sc.listed(asked, output)
        if more := sc.configurations(asked, listed):
            output.values += (await self._run(more)).values
        fresh = sc_output.dependents_of(output.lines)
        self._dependents |= {name: (asked_s + DEPENDENTS_S, above) for name, above in fresh.items()}
        return sc.readings(asked, output, listed, known)

    async def request(self, name: str, control: Control) -> None:
        """See HostServices. The cmdlet, or sc.exe, runs on a pipeline of its own."""
        ours = [one for one in self._controls.values() if one.session is self._lane.session]
        if sum(one.may_wait for one in ours) >= WAITING_MOST:
            raise QuotaExceeded(self._host, f"{WAITING_MOST} controls still wait on this host")
        sent = sc.control(name, control) if self._by_sc else statements.control(name, control)
        before = self._last.get(name.lower())

        def hand_over(session: "Session") -> None:
            self._controls[name.lower()] = _Control(control, session, session.begin(sent), before)

        await self._lane.exchange(hand_over)

    async def answer(self, name: str) -> ControlAnswer:
        """See HostServices. Costs nothing while the last reading shows the service on its way.

        Where the error record of a refusal holds no Win32 number, which is so with Windows PowerShell 5.1, it is
        completed from one more reading: see `answers.complete`.
        """
        control = self._controls.get(name.lower())
        if control is None:
            return ControlAnswer(ended=True)
        if control.session is not self._lane.session:
            return self._lost(name)
        if control.waits:
            return ControlAnswer(ended=False)
        try:
            output = await self._lane.exchange(lambda session: self._hear(session, control))
        except HostError:
            return self._lost(name)
        if output is None:
            return self._lost(name)
        if not output.ended:
            return ControlAnswer(ended=False)
        self._controls.pop(name.lower(), None)
        return ControlAnswer(ended=True, problem=await self._refusal(name, control, output))

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        """See HostServices. Asks `sc.exe sdshow`, so quotes in a name are a problem."""
        askable = [name for name in names if answers.for_sc(name)]
        told: dict[str, str | Problem] = {}
        if askable:
            output = await self._run(statements.descriptors(askable))
            told = dict(zip(askable, answers.descriptors(askable, output), strict=True))
        return [told.get(name, _UNASKABLE) for name in names]

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        """See HostServices. Two requests on the wire; two more where Windows' management service does not answer, or an
        endpoint does not have its cmdlet. Driven by sc.exe alone, and there, tasklist.exe tells no start and no parent.
        """
        if not pids:
            return []
        found = await self._by_cim(pids) if self._has_cim and not self._by_sc else None
        if found is None:
            output = await self._run(statements.tasks())
            found = processes.listed(output.lines)
            if not found:
                raise Refused(self._host, output.failures[-1].problem() if output.failures else answers.NO_TASKS)
        return [found[pid] for pid in pids if pid in found]

    async def _by_cim(self, pids: Sequence[int]) -> dict[int, Process] | None:
        """What runs, by PID; None if Windows' management service does not say."""
        sent = statements.processes(pids)
        try:
            output = await self._lane.exchange(lambda session: session.run(sent, limit_s=self._limit_s, once=True))
        except HostError as exc:
            self._has_cim = not exc.sent
            raise
        if output.failures:
            self._has_cim = not output.lacks(statements.GET_CIM)
            return None
        return answers.processes(output)

    async def facts(self) -> HostFacts:
        """See HostServices. Each command may be missing at a constrained endpoint: then its facts are."""
        parts: list[answers.Output] = []
        version, began_at, ended_at = "", time.time(), time.time()

        def ask(session: "Session") -> None:
            nonlocal version, began_at, ended_at
            version = session.version
            began_at = time.time()
            for number, pipeline in enumerate(statements.facts()):
                parts.append(session.run(pipeline, limit_s=self._limit_s))
                if number == 0:
                    ended_at = time.time()

        await self._lane.exchange(ask, limit_s=2 * self._limit_s)
        date, hostname, whoami = parts
        when = next((found for item in date.items if (found := answers.moment(item.text)) is not None), None)
        return HostFacts(
            transport="psrp",
            computer_name=next((line.strip() for line in hostname.lines if line.strip()), ""),
            version=version,
            clock_skew_s=None if when is None else when - (began_at + ended_at) / 2,
            sids=sc_output.sids(whoami.lines),
        )

    def booted_at(self) -> float | None:
        """See HostServices. Asked with the first read of each session, where services are driven by cmdlets."""
        return self._booted_at

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See HostCommand. Its output is fetched in slices, between which states are read; past the time it is
        told to stop."""
        ends_s = time.monotonic() + timeout_s
        named, (exe, *args) = shown(exe), await self._revealed([exe, *args])
        sent = statements.program(exe, args)
        session, job = await self._lane.exchange(lambda session: _begin_and_look(session, sent))
        while not job.output.ended:
            if time.monotonic() >= ends_s:
                await self._lane.exchange(lambda now: now.stop(job) if now is session else None)
                raise HostError(self._host, f"{named} did not end within {timeout_s:g} s", sent=True)
            if self._lane.session is not session:
                raise HostError(self._host, f"{named}: the session was lost while it ran", sent=True)
            await self._lane.exchange(lambda now: now.poll(job, SLICE_S) if now is session else job.output)
        if job.output.lacks(exe):
            problem = job.output.failures[-1].problem()
            if named != exe:  # the host's own words quote it as it was sent
                problem = replace(problem, text=f"the host has no program {named}")
            raise Refused(self._host, problem)
        return _printed(job.output)

    async def aclose(self) -> None:
        """See HostServices: at most four seconds."""
        self._controls.clear()
        await self._lane.close()

    async def _revealed(self, words: list[str]) -> list[str]:
        """The words of a program with their references resolved."""
        if not any(OPEN in word for word in words):
            return words
        try:
            return await (await self._threads.begin(lambda: [self._reveal(word) for word in words]))
        except SecretError as exc:
            raise HostError(self._host, f"{shown(words[0])} was not run: {exc}", hint=exc.hint) from None

    async def _run(self, pipeline: Sequence[statements.Statement]) -> answers.Output:
        return await self._lane.exchange(lambda session: session.run(pipeline, limit_s=self._limit_s))

    def _take_in(self, status: ServiceStatus) -> None:
        key = status.name.lower()
        self._last[key] = status
        control = self._controls.get(key)
        if control is not None:
            control.seen, control.seen_at_s = status, time.monotonic()

    @staticmethod
    def _hear(session: "Session", control: _Control) -> answers.Output | None:
        return session.poll(control.job, SHORT_S) if session is control.session else None

    def _lost(self, name: str) -> ControlAnswer:
        self._controls.pop(name.lower(), None)
        text = f"the session with {self._host} was lost before it said what came of the control"
        return ControlAnswer(ended=True, problem=Problem(ProblemKind.UNREACHABLE, text))

    async def _refusal(self, name: str, control: _Control, output: answers.Output) -> Problem | None:
        if self._by_sc and (refused := sc.refusal(control.wanted, output)) is not None:
            return refused
        if not output.failures:
            return None
        failure = output.failures[-1]
        if failure.problem().code is not None:
            return failure.problem()
        try:
            reading = (await self.read([Asked(name)]))[0]
        except HostError:
            return failure.problem()
        after = reading.found[0] if reading.found else None
        return answers.complete(control.wanted, failure, control.before, after)


def _begin_and_look(session: "Session", pipeline: Sequence[statements.Statement]) -> "tuple[Session, Job]":
    job = session.begin(pipeline, kept=False)
    session.poll(job, SLICE_S)
    return session, job


def _printed(output: answers.Output) -> CommandOutput:
    """The program's lines, then its errors, and LASTEXITCODE, which is the last value and a number."""
    last = output.values[-1] if output.values else None
    exit_code = last if isinstance(last, int) and not isinstance(last, bool) else None
    printed = "\n".join([*output.lines, *(failure.text for failure in output.failures)])
    return CommandOutput(exit_code, printed.encode()[:OUTPUT_MOST].decode(errors="ignore"))
