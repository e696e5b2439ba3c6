"""KILL: ends the process of a service that is stuck on its way down, or that outlived its stop.

Exactly that process and what descends from it, once, and nobody else's: who shares it is asked first, and a process
that is not for certain the one is left alone. What recovery actions revive is stopped again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from orchestrator.domain.errors import TRANSIENT, HostError, Problem, ProblemKind, Refused
from orchestrator.domain.plan import Node
from orchestrator.domain.processes import Process, described, same
from orchestrator.domain.results import ORPHAN, Acted, Outcome, Result, Step
from orchestrator.domain.service import ServiceStatus, State
from orchestrator.engine.work.drive import Drive
from orchestrator.engine.work.looks import Had, Host, Looks
from orchestrator.engine.work.processes import Exit, Fate, sharing
from orchestrator.engine.work.record import evidence

EXE = "taskkill.exe"
COMMAND_S = 20.0
"""How long taskkill.exe may take: it waits for nothing."""
GONE_S = 30.0
"""How long an ended process may take to be gone: its memory is given back, its files are closed."""
LOOK_S = 30.0
"""How long the state is tried to be read before anything is ended."""
SURE_S = 60.0
"""How long it may take to be sure which process it is, and whose else."""
REVIVAL_S = 10.0
"""How long it is watched whether a recovery action revives the service, where none was taken away before."""
REVIVALS = 3
"""How often a revived service is stopped. It is watched after each of these stops; one that comes up once more has
failed, and somebody has to look at what starts it."""
NEVER = ("csrss.exe", "lsass.exe", "services.exe", "smss.exe", "system", "wininit.exe", "winlogon.exe")
"""Processes whose end is the host's end."""


class _No(Exception):
    """Nothing is to be ended: *result* says why."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.said)
        self.result = result


class Kill:
    """One KILL. Nothing in here raises but for cancellation and our own bugs."""

    def __init__(self, step: Step, node: Node, host: Host, note: Callable[[str], None]) -> None:
        self._step = step
        self._node = node
        self._host = host
        self._note = note
        self._scm_name = node.unit.scm_name or ""
        self._looks = Looks(host, self._scm_name, note)
        self._exchanges = 0
        self._acted = Acted.NO
        self._before: ServiceStatus | None = None
        self._evidence: dict[str, str] = {}

    async def run(self) -> Result:
        """End it and read back. Bounded by the times above, and by the node's timeout for each time that it is revived
        and stopped."""
        try:
            async with asyncio.timeout(SURE_S):
                had, process = await self._target()
                others = await self._others(had, process)
                still = await self._still(had)
            if not still:
                return await self._read_back(f"process {described(process)} was gone by itself")
            await self._end(had, process)
        except _No as no:
            return no.result
        except TimeoutError:
            text = f"nothing was ended: the host is silent for {SURE_S:g} s"
            return self._result(Outcome.UNKNOWN, text, Problem(ProblemKind.UNREACHABLE, text))
        except HostError as error:
            answered = isinstance(error, Refused)
            said = f"nothing was ended: {error.text}"
            return self._result(Outcome.FAILED if answered else Outcome.UNKNOWN, said, error.problem)
        ended = f"process {described(process)} was ended" + (f", and with it {', '.join(others)}" if others else "")
        return await self._read_back(ended)

    async def _target(self) -> tuple[Had, Process]:
        """The process that is to be ended, and that it is the one. Raises _No if there is none."""
        status = await self._looks.status(asyncio.get_running_loop().time() + LOOK_S)
        self._before = status
        had = self._host.had.get(self._scm_name.lower())
        if status.state not in (State.STOPPED, State.STOP_PENDING):
            raise self._refusal(f"it is {status.state}, not stuck on its way down")
        if had is None and status.state is State.STOPPED:
            seen = self._node.unit.seen
            if seen is None or seen.pid is None:
                raise _No(self._result(Outcome.OK, "it is Stopped, and no process of it is known"))
            raise self._refusal(
                f"whether process {seen.pid} is still the one that it had is not known any more: retry the stop, which"
                " looks for it, or look at the process yourself"
            )
        if had is None:
            raise self._refusal("the host does not tell which process it runs in")
        if self._host.restarted(had):
            raise _No(self._result(Outcome.OK, "its host has restarted since: its process is gone"))
        return await self._running(had, status)

    async def _running(self, had: Had, status: ServiceStatus) -> tuple[Had, Process]:
        """The process, which still runs and is the one. Raises _No if it is not."""
        self._exchanges += 1
        process = await self._host.reader.process(had.pid)
        if process is None or not same(had.started_at, process.started_at):
            if status.state is State.STOPPED:
                self._host.had.pop(self._scm_name.lower(), None)
                raise _No(self._result(Outcome.OK, f"its process {had.pid} is gone"))
            raise self._refusal(f"it is {status.state}, and process {had.pid} is gone or another one: read it again")
        if status.pid != had.pid and not _is_the_one(had, process):
            raise self._refusal(
                f"whether process {described(process)} is the one that it had is not known: nobody could tell which it"
                " was while it ran; look at it, and end it on the host if it is"
            )
        return Had(had.pid, had.booted_at, process.started_at, process.name), process

    async def _others(self, had: Had, process: Process) -> Sequence[str]:
        """The services that go with it, all of them named by the plan. Raises _No if it must not be ended."""
        if process.name.lower() in NEVER or had.pid <= 4:
            raise self._refusal(f"process {described(process)} is one that its host can't be without")
        self._exchanges += 1
        others = await sharing(self._host, had.pid, self._scm_name)
        if others is None:
            raise self._refusal(f"who else runs in process {described(process)} can't be read")
        if others.untold:
            told = ", ".join(others.untold[:3]) + (f" and {len(others.untold) - 3} more" * (len(others.untold) > 3))
            raise self._refusal(f"who else runs in process {described(process)} can't be told: no process of {told}")
        allowed = {name.lower() for name in self._node.life.kill_shared} if self._node.life else set()
        if forbidden := [name for name in others.names if name.lower() not in allowed]:
            raise self._refusal(
                f"process {described(process)} is shared with {', '.join(forbidden)}, which would end with it: name"
                " them in `kill_shared` if they may"
            )
        return others.names

    async def _still(self, had: Had) -> bool:
        """Whether it still runs: a list of all services takes its time, and its PID may be another's since."""
        self._exchanges += 1
        process = await self._host.reader.process(had.pid)
        if process is not None and same(had.started_at, process.started_at):
            return had.name.lower() == process.name.lower()
        return False

    async def _end(self, had: Had, process: Process) -> None:
        """Hand it to taskkill.exe, and wait until it is gone. Raises _No if it is not."""
        self._note(f"ending process {described(process)} and what descends from it")
        self._exchanges += 1
        said = ""
        try:
            ran = await self._host.command.run(EXE, ("/PID", str(had.pid), "/T", "/F"), timeout_s=COMMAND_S)
            self._acted = Acted.YES if ran.exit_code == 0 else Acted.MAYBE
            said = " ".join(ran.output.split())[:300]
        except HostError as error:
            if isinstance(error, Refused) or not error.sent:
                raise
            self._acted, said = Acted.MAYBE, error.text
        self._evidence["killed"] = described(process)
        leaving = Exit(self._host, had, self._scm_name, lambda _: None)
        found = await leaving.until(asyncio.get_running_loop().time() + GONE_S)
        self._exchanges += leaving.exchanges
        if found.fate in (Fate.GONE, Fate.REBOOTED):
            self._acted = Acted.YES
            self._host.had.pop(self._scm_name.lower(), None)
            return
        told = f"{EXE} says: {said}" if said else f"{EXE} says nothing"
        if found.fate in (Fate.SILENT, Fate.UNTOLD):
            problem = found.problem or Problem(ProblemKind.UNREACHABLE, "no answer")
            text = f"whether process {had.pid} was ended is not known ({problem.text}); {told}"
            raise _No(self._result(Outcome.UNKNOWN, text, problem))
        text = f"process {described(process)} still runs {GONE_S:g} s after it should have been ended; {told}"
        kind = ProblemKind.TIMEOUT
        if self._before is not None and self._before.state is State.STOPPED:  # else it still is its service's
            self._evidence[ORPHAN] = str(had.pid)
            kind = ProblemKind.ORPHAN
        raise _No(self._result(Outcome.FAILED, text, Problem(kind, text)))

    async def _read_back(self, ended: str) -> Result:
        """The service is stopped now; what revives it is stopped again."""
        times = 0
        while True:
            result = await Drive(self._step, self._node, State.STOPPED, self._host, self._note).run()
            self._exchanges += result.exchanges
            revived = await self._revived() if result.outcome is Outcome.OK else None
            if revived is None:
                break
            if times == REVIVALS:
                result = self._never_stays(result, revived)
                break
            times += 1
            self._note("something revived it: stopping it again")
        again = f"; it was revived {times} time{'s' * (times != 1)}, and stopped again" if times else ""
        return replace(
            result,
            acted=Acted.YES if self._acted is Acted.YES or times else result.acted,
            before=str(self._before.state) if self._before else "",
            said=f"{ended}{again}; {result.said}",
            evidence=result.evidence | self._evidence,
            exchanges=self._exchanges + self._looks.exchanges,
        )

    def _never_stays(self, stopped: Result, revived: State) -> Result:
        text = f"{self._step.unit} is {revived} once more within {REVIVAL_S:g} s: it does not stay stopped"
        hint = "`keep_down: true` takes away what starts it, or look for that on the host"
        problem = Problem(ProblemKind.REMOTE, text, hint=hint)
        return replace(stopped, outcome=Outcome.FAILED, after=str(revived), said=text, problem=problem)

    async def _revived(self) -> State | None:
        """Where the service is that comes up by itself within a while; None if it stays stopped."""
        if self._node.life is not None and self._node.life.keep_down:
            return None
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + REVIVAL_S
        while loop.time() < ends_s:
            await asyncio.sleep(self._host.pace.poll_s)
            try:
                state = (await self._looks.status(loop.time())).state
                if state is not State.STOPPED:
                    return state
            except TRANSIENT:
                continue
            except HostError:
                return None
        return None

    def _refusal(self, why: str) -> _No:
        text = f"nothing was ended: {why}"
        return _No(self._result(Outcome.FAILED, text, Problem(ProblemKind.REFUSED, text)))

    def _result(self, outcome: Outcome, text: str, problem: Problem | None = None) -> Result:
        state = str(self._before.state) if self._before else ""
        return Result(
            step=self._step,
            outcome=outcome,
            acted=self._acted,
            before=state,
            after=state,
            said=f"{self._step.unit}: {text}",
            problem=problem,
            evidence=evidence(self._before, self._before) | self._evidence,
            exchanges=self._exchanges + self._looks.exchanges,
        )


def _is_the_one(had: Had, process: Process) -> bool:
    """Whether *process* is known to be the one that was identified while the service ran. Where a host tells no start,
    its name has to do beside its PID."""
    if had.started_at is not None and process.started_at is not None:
        return same(had.started_at, process.started_at)
    return had.started_at is None and bool(had.name) and had.name.lower() == process.name.lower()
