"""A hook: something that is done beside a service, once, and never called done unless something says so.

First the hook's check, if it has one: what is so already is not done again. Then the do, or the undo. Where its answer
was lost, the check is asked once more; without one nobody knows, and nothing is done twice.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from orchestrator.domain.errors import TRANSIENT, AuthRejected, HostError, Problem, ProblemKind, Refused
from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin, describe
from orchestrator.domain.http_verdict import says_nothing, verdict
from orchestrator.domain.life import Hook, Reboot
from orchestrator.domain.results import Acted, Outcome, Result, Step
from orchestrator.domain.secrets import shown
from orchestrator.engine.ports import CommandOutput
from orchestrator.engine.work import curl
from orchestrator.engine.work.pace import TICK_S, Pace
from orchestrator.engine.work.sights import NOT_FOUND, Eyes, Sight, of_command

ANSWER_S = 5.0
"""How much longer than a program on the host the exchange around it may take."""


class Came(Enum):
    """How far a deed got. NOWHERE: nothing was sent. LOST: it may have arrived, and nothing tells what became of it.
    ENDED: it was answered, or the program ended by itself."""

    NOWHERE = "nowhere"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Deed:
    """What became of one do or undo. `well` only where it ended as wanted; `saw` holds no secret."""

    came: Came
    saw: str
    well: bool = False
    problem: Problem | None = None
    exchanges: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One hook to be carried out: its undo if *undo*. *pace* is the host's, where it has one."""

    step: Step
    hook: Hook
    undo: bool
    eyes: Eyes
    pace: Pace
    note: Callable[[str], None]

    async def run(self) -> Result:
        """Carry it out. Takes at most the hook's timeout, twice that of its check, and a few seconds for exchanges."""
        deed = self.hook.undo if self.undo else self.hook.do
        if deed is None:
            return self._result(Outcome.OK, Acted.NO, "it has no undo")
        if isinstance(deed, Reboot):
            raise ValueError(f"{self.step.id}: a reboot is no errand")
        before = await self._checked()
        if before is not None and before.held is self._wanted:
            return self._result(Outcome.OK, Acted.NO, f"{'undone' if self.undo else 'done'} already: {before.saw}")
        if before is not None and before.held is None and not self.hook.idempotent:
            text = f"its check can't tell whether it is done ({before.saw}), so it was not carried out"
            return self._result(Outcome.UNKNOWN, Acted.NO, text, before.problem or _remote(before.saw))
        self.note(f"{self._name}: {describe(deed)}")
        done = await self._carried_out(deed)
        return await self._judged(deed, done)

    @property
    def _wanted(self) -> bool:
        return not self.undo

    @property
    def _name(self) -> str:
        return f"{'the undo of ' if self.undo else ''}{self.hook.name}"

    async def _checked(self) -> Sight | None:
        """What the hook's check tells now; None if it has none. Silence does not say that it is not done; nor does an
        error of who is asked say that it is undone."""
        check = self.hook.check
        if check is None:
            return None
        sight = await self.eyes.look(Gate(check=check, origin=self.hook.origin, timeout_s=self.hook.timeout_s))
        mute = self.undo and sight.status is not None and says_nothing(sight.status)
        return replace(sight, held=None) if sight.silent or mute else sight

    async def _judged(self, deed: HttpCheck | CommandCheck, done: Deed) -> Result:
        said = f"{describe(deed)}: {done.saw}"
        problem = done.problem or _remote(done.saw)
        if done.well:
            return self._result(Outcome.OK, Acted.YES, said, exchanges=done.exchanges)
        if done.came is Came.NOWHERE:
            return self._result(Outcome.FAILED, Acted.NO, said, problem, exchanges=done.exchanges)
        if done.came is Came.ENDED:
            return self._result(Outcome.FAILED, Acted.MAYBE, said, problem, exchanges=done.exchanges)
        after = await self._checked()
        if after is None or after.held is None:
            tail = "" if after is None else f", and its check can't tell: {after.saw}"
            text = f"{said}; whether it was carried out is not known{tail}"
            return self._result(Outcome.UNKNOWN, Acted.MAYBE, text, problem, exchanges=done.exchanges)
        if after.held is self._wanted:
            text = f"{said}; its check says that it is {'undone' if self.undo else 'done'}: {after.saw}"
            return self._result(Outcome.OK, Acted.YES, text, exchanges=done.exchanges)
        text = f"{said}; its check says that it is not {'undone' if self.undo else 'done'} so far: {after.saw}"
        return self._result(Outcome.FAILED, Acted.MAYBE, text, problem, exchanges=done.exchanges)

    async def _carried_out(self, deed: HttpCheck | CommandCheck) -> Deed:
        """Do it, once."""
        if self.hook.origin is Origin.HOST:
            return await self._on_host(deed)
        if isinstance(deed, HttpCheck):
            seen = await self.eyes.probe.http(deed, timeout_s=self.hook.timeout_s)
            came = Came.ENDED if seen.held or seen.answered else Came.LOST if seen.lost else Came.NOWHERE
            return Deed(came, seen.saw, seen.held)
        try:
            ran = await self.eyes.local.run(deed.exe, deed.args, timeout_s=self.hook.timeout_s)
        except TimeoutError:
            text = f"did not end within {self.hook.timeout_s:g} s, and was ended"
            return Deed(Came.LOST, text, problem=Problem(ProblemKind.TIMEOUT, text))
        except OSError as error:
            return Deed(Came.NOWHERE, f"can't be run: {error}")
        return _of_program(deed, ran)

    async def _on_host(self, deed: HttpCheck | CommandCheck) -> Deed:
        """Run it on the host; again as long as it was not sent, for the hook's timeout."""
        loop, tries = asyncio.get_running_loop(), 0
        ends_s = loop.time() + self.hook.timeout_s
        while True:
            tries += 1
            try:
                return await self._ran_on_host(deed, tries)
            except HostError as error:
                # A Refused was not run: there is no such program, or the run is not held any more.
                lost = error.sent and not isinstance(error, Refused)
                again = isinstance(error, TRANSIENT) and not isinstance(error, AuthRejected) and not error.sent
                if not again or loop.time() + TICK_S >= ends_s:
                    return Deed(Came.LOST if lost else Came.NOWHERE, error.text, False, error.problem, tries)
                self.note(f"{self._name} did not get through: {error.text}; trying again")
            await asyncio.sleep(min(self.pace.pause_s(tries), ends_s - loop.time()))

    async def _ran_on_host(self, deed: HttpCheck | CommandCheck, tries: int) -> Deed:
        command = self.eyes.command
        if command is None:
            text = "it should run on the unit's host, and the unit has none"
            return Deed(Came.NOWHERE, text, problem=Problem(ProblemKind.INTERNAL, text))
        web = isinstance(deed, HttpCheck)
        exe = curl.EXE if isinstance(deed, HttpCheck) else deed.exe
        args = curl.http_args(deed, self.hook.timeout_s) if isinstance(deed, HttpCheck) else deed.args
        try:
            async with asyncio.timeout(self.hook.timeout_s + 2 * ANSWER_S):
                ran = await command.run(exe, args, timeout_s=self.hook.timeout_s + (ANSWER_S if web else 0))
        except TimeoutError:
            return Deed(
                Came.LOST, f"no answer from the host for {self.hook.timeout_s + 2 * ANSWER_S:g} s", False, None, tries
            )
        if ran.exit_code == NOT_FOUND:
            text = f"there is no {shown(exe)} on the host"
            return Deed(Came.NOWHERE, text, False, Problem(ProblemKind.MISSING, text), tries)
        return _of_curl(deed, ran, tries) if isinstance(deed, HttpCheck) else _of_program(deed, ran, tries)

    def _result(
        self, outcome: Outcome, acted: Acted, text: str, problem: Problem | None = None, *, exchanges: int = 0
    ) -> Result:
        return Result(
            step=self.step,
            outcome=outcome,
            acted=acted,
            said=f"{self.step.unit}: {self._name}: {text}",
            problem=problem,
            exchanges=exchanges,
        )


def _remote(text: str) -> Problem:
    return Problem(ProblemKind.REMOTE, text)


def _of_program(deed: CommandCheck, ran: CommandOutput, exchanges: int = 0) -> Deed:
    sight = of_command(deed, ran)
    came = Came.LOST if sight.held is None else Came.ENDED
    return Deed(came, sight.saw, sight.held is True, sight.problem, exchanges)


def _of_curl(deed: HttpCheck, ran: CommandOutput, exchanges: int) -> Deed:
    number = curl.number(ran.output) or ran.exit_code
    said = curl.failure(ran.output)
    answer = None if said else curl.answer(ran.output)
    if answer is not None:
        held, saw = verdict(deed, *answer)
        return Deed(Came.ENDED, saw, held, exchanges=exchanges)
    text = said or f"curl.exe gave no HTTP answer (exit code {ran.exit_code})"
    return Deed(Came.NOWHERE if number in curl.NOT_SENT else Came.LOST, text, exchanges=exchanges)
