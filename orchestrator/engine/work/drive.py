"""START and STOP: probe, act only if needed, probe again until the goal or the deadline.

What is next is `domain.service.next_move`'s to say; this waits, asks, and keeps the record of what was asked. One
rule stands above all: a control that may have reached Windows is never sent again, unless Windows itself said no.
"""

import asyncio
import math
from collections.abc import Callable
from enum import Enum

from orchestrator.domain.errors import TRANSIENT, AuthRejected, HostError, Problem, ProblemKind, Refused
from orchestrator.domain.life import IfStuck
from orchestrator.domain.plan import Node
from orchestrator.domain.processes import has_restarted
from orchestrator.domain.results import Acted, Outcome, Result, Step
from orchestrator.domain.service import Control, Move, ServiceStatus, State, next_move
from orchestrator.engine.work.looks import FINISH_S, Had, Host, Looks
from orchestrator.engine.work.pace import TICK_S
from orchestrator.engine.work.processes import Exit, Fate, identify
from orchestrator.engine.work.record import STALLED_S, Record, span

NOT_NOW = 1061
"""The service can't take a control at this moment: Windows said no, and may be asked again."""
TRIED = (1053, 1066, 1067, 1068, 1070)
"""Errors of a start that Windows did try: something ran, or a dependency was started."""
AT_ONCE_S = 25.0
"""A no that comes sooner was said before any service was waited for: Windows waits 30 s for one to take a control or
to begin its start, and then says no as well (1053)."""
LEAVING_S = 2.0
"""How long a process has at least to go after its service said Stopped, even if that came at the last moment."""
CONTROLS = {Move.START: Control.START, Move.STOP: Control.STOP, Move.RESUME: Control.RESUME}


class Sent(Enum):
    """How far this step's control got."""

    NO = "no"
    TAKEN = "taken"
    LOST = "lost"
    """It was sent, and what became of it is not known."""


class Drive:
    """Brings one unit to its goal, once. Nothing in here raises but for cancellation and our own bugs.

    A state that can't be read is tried for the node's timeout; as long as nothing was asked, for *patience_s* at most.
    A service is stopped when its process is gone too: the one that it was last seen with, by whatever step.
    A host that restarts meanwhile has forgotten what was asked: its services are driven anew.
    """

    def __init__(
        self,
        step: Step,
        node: Node,
        goal: State,
        host: Host,
        note: Callable[[str], None],
        *,
        patience_s: float = math.inf,
    ) -> None:
        self._patience_s = patience_s
        self._step = step
        self._scm_name = node.unit.scm_name or ""
        self._node = node
        self._goal = goal
        self._host = host
        self._note = note
        self._looks = Looks(host, self._scm_name, note)
        self._record = Record(step, goal)
        self._sent = Sent.NO
        self._asked_of: ServiceStatus | None = None
        self._asked_at_s = 0.0
        self._moved = False
        self._answered = False
        self._at_once = False
        self._refusal: Problem | None = None
        self._acted = Acted.NO
        self._hindrance: Problem | None = None
        self._looked = 0
        self._failures = 0
        self._began_s = self._ends_s = 0.0
        self._booted_at: float | None = None
        self._identified = False

    async def run(self) -> Result:
        """Drive until the goal is read back, or it can't be reached, or nobody can tell."""
        self._began_s = self._now_s()
        self._ends_s = self._began_s + self._node.timeout_s
        while True:
            try:
                status = await self._looks.status(self._tried_until_s())
            except HostError as error:
                return self._blind(error)
            self._take_in(status)
            result = await self._turn(status)
            if result is not None:
                return result

    def _tried_until_s(self) -> float:
        patience_s = self._patience_s if self._sent is Sent.NO else math.inf
        return min(self._ends_s, self._now_s() + patience_s)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def _late(self) -> bool:
        return self._now_s() + TICK_S >= self._ends_s

    def _take_in(self, status: ServiceStatus) -> None:
        self._looked += 1
        self._reboot()
        said = self._record.take(status, self._now_s())
        stretched = self._stretch(status)
        if said:
            self._note(said + stretched)
        asked_of = self._asked_of
        if asked_of is not None and (status.state is not asked_of.state or _other_process(asked_of, status)):
            self._moved = True
            if self._sent is not Sent.NO and self._refusal is None:
                self._acted = Acted.YES

    def _reboot(self) -> None:
        """A host that has started again has no control under way, and other processes."""
        before, now = self._booted_at, self._host.services.booted_at()
        self._booted_at = before if now is None else now
        if has_restarted(before, now):
            self._sent, self._refusal, self._asked_of = Sent.NO, None, None
            self._moved = self._answered = False
            self._looked = 0
            self._identified = False
            self._record.rebooted()
            self._note(f"{self._host.name} has restarted")

    def _stretch(self, status: ServiceStatus) -> str:
        """The deadline of a stop moves on while its checkpoint rises, as far as the node's life lets it. Returns where
        to, in words; "" where it stays."""
        most_s = self._node.life.max_timeout_s if self._node.life else None
        if most_s is not None and status.state is State.STOP_PENDING and self._record.rose_s is not None:
            patient_s = self._record.rose_s + max(status.wait_hint_s, STALLED_S)
            moved_to_s = min(patient_s, self._began_s + most_s)
            if moved_to_s > self._ends_s:
                self._ends_s = moved_to_s
                return f" rises: deadline {span(moved_to_s - self._began_s)}, at most {span(most_s)}"
        return ""

    async def _turn(self, status: ServiceStatus) -> Result | None:
        """Judge one fresh status and do what follows from it. None: read again, now."""
        move = next_move(status.state, self._goal, asked=self._sent is not Sent.NO)
        if move is Move.DONE:
            return await self._done()
        if self._refusal is not None and not status.state.pending:
            return await self._said_no(self._refusal, status)
        if self._came_back(status, move):
            return await self._fell_back(status)
        if self._late:
            return await self._out_of_time()
        if move in CONTROLS:
            return await self._ask(CONTROLS[move], status)
        if self._sent is Sent.TAKEN and not self._moved and await self._hear():
            return None
        if self._sent is Sent.NO and status.state is State.STOP_PENDING:
            await self._identify()  # somebody else asked it, or this run before it was resumed
        await self._until_next_look()
        return None

    def _came_back(self, status: ServiceStatus, move: Move) -> bool:
        """Whether the service moved after it was asked, and then turned away from the goal for good."""
        if self._sent is Sent.NO:
            return False
        if move is Move.GIVE_UP:
            return self._moved or self._answered
        return self._goal is State.STOPPED and status.state is State.RUNNING and self._moved

    async def _ask(self, control: Control, status: ServiceStatus) -> Result | None:
        if control is Control.STOP:
            await self._identify()
        self._note(f"{status.state}; asking it to {control}")
        self._looks.exchanges += 1
        try:
            async with asyncio.timeout_at(self._ends_s):
                await self._host.services.request(self._scm_name, control)
        except TimeoutError:
            self._send(Sent.LOST, control, status)
            self._hindrance = Problem(ProblemKind.TIMEOUT, f"the {control} was handed over and the host never took it")
            return None
        except HostError as error:
            return await self._not_taken(error, control, status)
        self._send(Sent.TAKEN, control, status)
        await self._until_next_look()
        return None

    async def _identify(self) -> None:
        """Know the process that may have to be ended: once, while it is the service's for certain."""
        if self._node.life is None or self._node.life.if_stuck is IfStuck.FAIL or self._identified:
            return
        self._identified = True
        self._looks.exchanges += 1
        await identify(self._host, self._scm_name)

    async def _not_taken(self, error: HostError, control: Control, status: ServiceStatus) -> Result | None:
        """The control raised: what that means hangs on whether it may have arrived."""
        self._hindrance = error.problem
        if isinstance(error, Refused):
            self._send(Sent.TAKEN, control, status)
            self._refuse(error.problem)
            return None
        if error.sent:
            self._send(Sent.LOST, control, status)
        elif isinstance(error, AuthRejected) or not isinstance(error, TRANSIENT):
            return self._failed(self._record.not_handed_over(error.problem), error.problem)
        self._note(f"the {control} did not get through: {error.text}")
        await self._pause()
        return None

    def _send(self, sent: Sent, control: Control, status: ServiceStatus) -> None:
        self._sent = sent
        self._acted = Acted.MAYBE
        self._asked_of, self._asked_at_s = status, self._now_s()
        self._moved = self._answered = False
        self._looked = 0
        self._record.asked(control, self._now_s(), lost=sent is Sent.LOST)

    def _refuse(self, problem: Problem) -> None:
        self._answered = True
        self._at_once = self._now_s() - self._asked_at_s < AT_ONCE_S
        self._refusal = problem
        if self._moved or problem.code in TRIED:
            self._acted = Acted.YES
        elif problem.code is not None:
            self._acted = Acted.NO

    async def _said_no(self, problem: Problem, status: ServiceStatus) -> Result | None:
        """Windows refused, and *status* was read after that."""
        if problem.code == NOT_NOW:
            return await self._not_now(problem)
        if problem.code is None and self._untouched(status):
            self._acted = Acted.NO
        return self._failed(self._record.refused(problem), problem)

    def _untouched(self, status: ServiceStatus) -> bool:
        """Whether a refusal without a number did nothing, as *status*, read after it, shows: not of a program of the
        playbook, which may have done anything.

        Windows PowerShell 5.1 gives none where rights are missing. A start that was tried leaves its exit code behind.
        """
        tried = status.state is State.STOPPED and self._goal is State.RUNNING and status.win32_exit_code != 0
        return self._at_once and not self._moved and not tried and self._node.unit.by is None

    async def _not_now(self, problem: Problem) -> Result | None:
        """Windows refused for the moment alone: wait before asking again."""
        self._unask(problem)
        if self._late:
            return await self._out_of_time()
        await self._pause()
        return None

    def _unask(self, problem: Problem) -> None:
        """Forget that anything was asked: Windows said "not now"."""
        self._sent, self._refusal, self._asked_of = Sent.NO, None, None
        self._hindrance = problem
        self._record.unasked()

    async def _hear(self) -> bool:
        """Ask what the host said to the control, unless it has said it. True: it ended just now, so read again."""
        if self._answered or self._sent is not Sent.TAKEN:
            return False
        self._looks.exchanges += 1
        try:
            async with asyncio.timeout(FINISH_S):
                answer = await self._host.services.answer(self._scm_name)
        except (HostError, TimeoutError):
            return False  # the state decides, and it is read next
        if not answer.ended:
            return False
        problem = answer.problem
        if problem is None:
            self._answered = True
        elif problem.kind is ProblemKind.UNREACHABLE:
            self._sent = Sent.LOST
            self._hindrance = problem
            self._record.lost = True
        else:
            self._refuse(problem)
        return True

    async def _fell_back(self, status: ServiceStatus) -> Result:
        await self._hear()
        said = self._record.fell_back(status)
        problem = self._refusal or Problem(ProblemKind.REMOTE, said, status.win32_exit_code or None)
        return self._failed(said, problem)

    async def _out_of_time(self) -> Result:
        await self._hear()
        if self._refusal is not None:
            if self._refusal.code != NOT_NOW:
                return self._failed(self._record.refused(self._refusal), self._refusal)
            self._unask(self._refusal)
        if self._sent is Sent.NO and self._hindrance is not None:
            after_s = self._ends_s - self._began_s
            return self._failed(self._record.never_asked(after_s, self._hindrance), self._hindrance)
        said = self._record.late(self._now_s(), self._ends_s - self._began_s, self._node.timeout_s)
        return self._failed(said, Problem(ProblemKind.TIMEOUT, said))

    async def _done(self) -> Result:
        said = self._record.done(self._now_s())
        had = self._host.had.get(self._scm_name.lower()) or self._had_when_planned()
        if self._goal is State.STOPPED and had is not None:
            return await self._gone(had, said)
        return self._record.result(Outcome.OK, self._acted, said=said, exchanges=self._looks.exchanges)

    def _had_when_planned(self) -> Had | None:
        """The process that an attempt before this one may have stopped, if nobody remembers it any more."""
        seen, booted_at = self._node.unit.seen, self._node.unit.booted_at
        if self._step.attempt == 1 or seen is None or seen.pid is None or booted_at is None:
            return None
        return Had(seen.pid, booted_at)

    async def _gone(self, had: Had, said: str) -> Result:
        """The service is stopped: wait for its process, too."""
        began_s, leaving = self._now_s(), Exit(self._host, had, self._scm_name, self._note)
        found = await leaving.until(max(self._ends_s, began_s + LEAVING_S))
        self._looks.exchanges += leaving.exchanges
        self._record.left(had, found)
        if found.fate is Fate.LEFT:
            self._host.had[self._scm_name.lower()] = had
            text = self._record.orphaned(had, found, self._now_s() - began_s)
            return self._failed(text, Problem(ProblemKind.ORPHAN, text))
        if found.fate is Fate.SILENT:
            problem = found.problem or Problem(ProblemKind.UNREACHABLE, "no answer")
            text = f"{said}, but nobody could tell whether its process {had.pid} is gone ({problem.text})"
            return self._record.result(
                Outcome.UNKNOWN, self._acted, said=text, problem=problem, exchanges=self._looks.exchanges
            )
        if found.fate is not Fate.UNTOLD:
            self._host.had.pop(self._scm_name.lower(), None)
        return self._record.result(Outcome.OK, self._acted, said=said, exchanges=self._looks.exchanges)

    def _failed(self, said: str, problem: Problem) -> Result:
        return self._record.result(
            Outcome.FAILED, self._acted, said=said, problem=problem, exchanges=self._looks.exchanges
        )

    def _blind(self, error: HostError) -> Result:
        """The state can't be read. A host that said no is an answer; silence, or anything after an act, is none."""
        answered = isinstance(error, TRANSIENT) is False
        outcome = Outcome.FAILED if answered and self._acted is Acted.NO else Outcome.UNKNOWN
        said = self._record.blind(error, self._now_s())
        return self._record.result(
            outcome, self._acted, said=said, problem=error.problem, exchanges=self._looks.exchanges, read=False
        )

    async def _until_next_look(self) -> None:
        due_s = self._host.pace.next_look_s(self._now_s(), self._looked)
        await asyncio.sleep(min(due_s, self._ends_s) - self._now_s())

    async def _pause(self) -> None:
        self._failures += 1
        await asyncio.sleep(min(self._host.pace.pause_s(self._failures), self._ends_s - self._now_s()))


def _other_process(before: ServiceStatus, after: ServiceStatus) -> bool:
    return before.pid is not None and after.pid is not None and before.pid != after.pid
