"""A reboot: the host is asked once to start again, and waited for until it answers with a later start.

What tells is the host's start by its own clock, before and after: a lost answer, or a process of ours that is gone,
leaves no doubt that way.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.domain.durations import spoken
from orchestrator.domain.errors import TRANSIENT, HostError, Problem, ProblemKind
from orchestrator.domain.life import Reboot
from orchestrator.domain.plan import Node
from orchestrator.domain.results import Acted, Outcome, Result, Step
from orchestrator.engine.work.looks import FINISH_S, SILENT, Host
from orchestrator.engine.work.pace import TICK_S

EXE = "shutdown.exe"
ARGS = ("/r", "/t", "0", "/d", "p:4:1")
"""Now, and as planned maintenance in the event log."""
ASKED_S = 30.0
"""How long shutdown.exe itself may take: it only hands the order on."""
ASKED_ABOUT = "EventLog"
"""The service that is asked about, on every host: an answer shows that the service control manager is there again."""
ON_ITS_WAY = 1115
"""`A system shutdown is in progress`: it was asked already."""
LATER_S = 30.0
"""A start that is later by less is the same one, told by a clock that was put right since."""


class Reboots:
    """The reboots of one run, and how each host had started when it was asked, as long as this process lives."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], float | None] = {}
        self._came_by: set[str] = set()

    def came_by(self, step: Step) -> None:
        """Something before it was done by this process: what comes after was not asked by another one."""
        self._came_by.add(step.unit)

    async def run(self, step: Step, node: Node, host: Host, note: Callable[[str], None]) -> Result:
        """Carry *step*, a reboot of the *node*, out. A process before this one may have asked for it; then a later
        start than the plan's tells that it was done. Raises ValueError if the node has no such reboot."""
        hooks = node.life.before if node.life else ()
        reboots = {hook.name: hook.do for hook in hooks if isinstance(hook.do, Reboot)}
        if step.hook not in reboots:
            raise ValueError(f"{step.id}: the plan has no such reboot")
        key = step.unit, step.hook
        asked_before = step.attempt > 1 and key not in self._before and step.unit not in self._came_by
        self.came_by(step)
        before = self._before.setdefault(key, node.unit.booted_at if asked_before else None)
        if asked_before and (before is None or step.hook != next(iter(reboots))):
            self._before[key] = None
            text = "whether it was asked to restart is not known: the plan does not tell the start before it"
            problem = Problem(ProblemKind.REMOTE, text)
            said = f"{host.name}: {text}; `retry` reboots it"
            return Result(step=step, outcome=Outcome.UNKNOWN, acted=Acted.MAYBE, said=said, problem=problem)
        one = Rebooting(step, host, reboots[step.hook].timeout_s, note, before)
        result = await one.run()
        self._before[key] = one.before
        return result


@dataclass(slots=True)
class Rebooting:
    """One reboot of *host*, within *timeout_s*.

    `before` is its start when it was first asked, as far as that is known; None: it is read now.
    """

    step: Step
    host: Host
    timeout_s: float
    note: Callable[[str], None]
    before: float | None = None
    exchanges: int = 0
    _acted: Acted = Acted.NO
    _tries: int = 0
    _ends_s: float = 0.0

    async def run(self) -> Result:
        """Ask, unless that has been done, and wait. Takes at most its time, and a few seconds for an exchange that
        began before it was over."""
        self._ends_s = self._now_s() + self.timeout_s
        problem = await self._until(lambda _: True)
        if problem is not None:
            return self._result(Outcome.FAILED, f"it was not asked to restart: {problem.text}", problem)
        started = self.host.services.booted_at()
        if started is None:
            text = "it does not tell when it started, so nobody could say whether it has restarted; nothing was asked"
            return self._result(Outcome.FAILED, text, Problem(ProblemKind.REMOTE, text))
        if self.before is None:
            self.before = started
        elif self._is_later(started):
            return self._result(Outcome.OK, "it has restarted since it was asked, or since the plan was made")
        refused = await self._ask()
        if refused is not None:
            return refused
        return await self._wait()

    async def _ask(self) -> Result | None:
        """Ask once; None if it was taken, or may have been."""
        while True:
            self._tries += 1
            self.exchanges += 1
            try:
                async with asyncio.timeout(ASKED_S + FINISH_S):
                    ran = await self.host.command.run(EXE, ARGS, timeout_s=ASKED_S)
            except TimeoutError:
                self._perhaps("shutdown.exe was not answered")
                return None
            except HostError as error:
                if error.sent and isinstance(error, TRANSIENT):
                    self._perhaps(f"the answer to shutdown.exe was lost ({error.text})")
                    return None
                if not isinstance(error, TRANSIENT) or self._is_over():
                    return self._result(Outcome.FAILED, f"it was not asked to restart: {error.text}", error.problem)
                self.note(f"not asked to restart so far: {error.text}; trying again")
                await self._pause()
                continue
            if ran.exit_code is None:
                self._perhaps("how shutdown.exe ended is not known")
                return None
            if ran.exit_code not in (0, ON_ITS_WAY):
                text = f"shutdown.exe refused (exit code {ran.exit_code}): {ran.output.strip()[:200] or 'no words'}"
                return self._result(Outcome.FAILED, text, Problem(ProblemKind.REMOTE, text, ran.exit_code))
            self._acted = Acted.YES
            self.note("asked to restart")
            return None

    def _perhaps(self, words: str) -> None:
        self._acted = Acted.MAYBE
        self.note(f"{words}: its start will tell")

    async def _wait(self) -> Result:
        began_s = self._now_s()
        self._tries = 0
        problem = await self._until(self._is_later)
        if problem is None:
            self._acted = Acted.YES
            said = f"restarted, and its service control manager answers after {spoken(self._now_s() - began_s)}"
            return self._result(Outcome.OK, said)
        if problem.kind in (ProblemKind.UNREACHABLE, ProblemKind.AUTH):
            text = f"it was asked to restart, and is not back after {spoken(self.timeout_s)} ({problem.text})"
            if problem.kind is ProblemKind.AUTH:
                text = f"it was asked to restart, and refused the sign-in since ({problem.text})"
            return self._result(Outcome.UNKNOWN, text, problem)
        return self._result(Outcome.FAILED, problem.text, problem)

    async def _until(self, there: Callable[[float | None], bool]) -> Problem | None:
        """Wait until the service control manager answers, and the host's start is one that is wanted; else why not."""
        while True:
            problem = await self._answered()
            if problem is None:
                if there(self.host.services.booted_at()):
                    return None
                text = f"it was asked to restart, and has not restarted within {spoken(self.timeout_s)}"
                problem = Problem(ProblemKind.TIMEOUT, text)
            elif problem.kind is ProblemKind.AUTH or (problem.kind not in SILENT and self._acted is Acted.NO):
                return problem
            if self._is_over():
                return problem
            self._tries += 1
            await self._pause()

    async def _answered(self) -> Problem | None:
        """Read a service, whatever is said of it; None if that was an answer."""
        self.exchanges += 1
        try:
            async with asyncio.timeout_at(max(self._ends_s, self._now_s()) + FINISH_S):
                reading = await self.host.reader.read(ASKED_ABOUT)
        except TimeoutError:
            return Problem(ProblemKind.UNREACHABLE, "silent: it took a question and never answered")
        except HostError as error:
            return error.problem
        problem = reading.problem
        return problem if problem is not None and problem.kind in SILENT else None

    def _is_later(self, started: float | None) -> bool:
        return self.before is not None and started is not None and started - self.before > LATER_S

    def _is_over(self) -> bool:
        return self._now_s() + TICK_S >= self._ends_s

    async def _pause(self) -> None:
        await asyncio.sleep(max(0.0, min(self.host.pace.pause_s(self._tries), self._ends_s - self._now_s())))

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def _result(self, outcome: Outcome, text: str, problem: Problem | None = None) -> Result:
        return Result(
            step=self.step,
            outcome=outcome,
            acted=self._acted,
            said=f"{self.host.name}: {text}",
            problem=problem,
            exchanges=self.exchanges,
        )
