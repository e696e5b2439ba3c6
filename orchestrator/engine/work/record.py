"""What one START or STOP has seen and asked so far, and the sentences that tell it."""

from orchestrator.domain.errors import HostError, Problem, ProblemKind
from orchestrator.domain.processes import described
from orchestrator.domain.results import EXIT, ORPHAN, Acted, Outcome, Result, Step
from orchestrator.domain.service import Control, ServiceStatus, State
from orchestrator.domain.win32 import in_words
from orchestrator.engine.work.looks import Had
from orchestrator.engine.work.processes import Fate, Found

STALLED_S = 30.0
"""A checkpoint that has not risen for so long, or for the wait hint if that is longer, is stalled: many services give
no hint, or a small one."""


def span(duration_s: float) -> str:
    """A duration as it stands in results: `0.4 s`, `94 s`, `600 s`. Seconds, so that it compares with the timeout."""
    return f"{duration_s:.0f} s" if duration_s >= 10 else f"{round(duration_s, 1):g} s"


class Record:
    """The story of one step. Times are the loop's, in seconds."""

    def __init__(self, step: Step, goal: State) -> None:
        self.lost = False
        self.rose_s: float | None = None
        """When the checkpoint rose last in the state that it is in."""
        self._told: dict[str, str] = {}
        self._rebooted = False
        self._step = step
        self._goal = goal
        self._first: ServiceStatus | None = None
        self._last: ServiceStatus | None = None
        self._read_s = 0.0
        self._since_s = 0.0
        self._control: Control | None = None
        self._asked_s = 0.0

    def take(self, status: ServiceStatus, now_s: float) -> str:
        """Take a fresh status in. Returns what is new about it, in words; "" if nothing is."""
        before, self._last, self._read_s = self._last, status, now_s
        self._first = self._first or status
        if before is None or before.state is not status.state:
            self._since_s, self.rose_s = now_s, None
        elif status.checkpoint > before.checkpoint:
            self.rose_s = now_s
        else:
            return ""
        return f"{status.state}, checkpoint {status.checkpoint}" if status.state.pending else str(status.state)

    def asked(self, control: Control, now_s: float, *, lost: bool) -> None:
        """A control may have reached the host. *lost*: whether it did is not known."""
        self._control, self._asked_s, self.lost = control, now_s, lost

    def unasked(self) -> None:
        """Windows said "not now": nothing has been asked of it."""
        self._control = None

    def rebooted(self) -> None:
        """The host has started again: what was asked of it before came to nothing, or to the reboot."""
        self._control, self._rebooted = None, True

    def left(self, had: Had, found: Found) -> None:
        """What became of the process of a service that is stopped."""
        pid = str(had.pid)
        match found.fate:
            case Fate.GONE | Fate.REBOOTED:
                self._told["process"] = f"{pid} is gone" + (", with all others" if found.fate is Fate.REBOOTED else "")
            case Fate.SHARED:
                others = ", ".join(found.sharing) or "others, as svchost.exe does"
                self._told["process"] = f"{pid} is shared with {others}: it goes on"
            case Fate.LEFT:
                self._told["process"] = described(found.process) if found.process else pid
                self._told[ORPHAN] = pid
                if found.process is None or found.process.started_at is None:
                    self._told["known_by"] = "its PID alone: the host does not tell when it started"
            case Fate.UNTOLD | Fate.SILENT:
                self._told["process"] = f"whether {pid} is gone is not known: {found.problem and found.problem.text}"

    def orphaned(self, had: Had, found: Found, waited_s: float) -> str:
        """The service is stopped, and its process is not gone."""
        process = described(found.process) if found.process else str(had.pid)
        return (
            f"{self._unit} is Stopped, but its process {process} still runs {span(waited_s)} later: it may hold files "
            "and ports"
        )

    def done(self, now_s: float) -> str:
        """The goal was read back."""
        if self._control is not None:
            return f"{self._unit} {self._goal} {span(now_s - self._asked_s)} after it was asked to {self._control}"
        if self._rebooted:
            return f"{self._unit} is {self._goal}: its host restarted meanwhile"
        if self._first is not None and self._first.state is self._goal:
            return f"{self._unit} is {self._goal} already"
        return f"{self._unit} became {self._goal} without being asked"

    def late(self, now_s: float, deadline_s: float, timeout_s: float) -> str:
        """The deadline passed on the way; *timeout_s* is what it was before it was stretched."""
        stretched = f", stretched from {span(timeout_s)}" if deadline_s > timeout_s else ""
        deadline = f"deadline {span(deadline_s)} passed{stretched}"
        if self._control is None:
            return f"{self._unit} {self._standing(now_s)} ({deadline}; {self._unasked})"
        if self.lost:
            tail = f"the answer to the {self._control} was lost, it was not asked again and may still happen"
        else:
            tail = f"the {self._control} was not undone and may still finish"
        return f"{self._unit} {self._standing(now_s)} ({deadline}; {tail})"

    def never_asked(self, timeout_s: float, hindrance: Problem) -> str:
        """The deadline passed before the host took the control."""
        return (
            f"{self._unit} is {self._state}: the host never took the request ({hindrance.text}); "
            f"deadline {span(timeout_s)} passed, {self._unasked}"
        )

    def not_handed_over(self, problem: Problem) -> str:
        """The control could not be sent, and trying again would not help."""
        return f"{self._unit} is {self._state}: the request could not be made ({problem.text}); {self._unasked}"

    def refused(self, problem: Problem) -> str:
        """Windows said no."""
        code = "" if problem.code is None else f"{in_words(problem.code)}; "
        # Windows PowerShell 5.1 gives no number, and its words for missing rights are "Cannot open ... service".
        rights = problem.code is None and problem.kind is ProblemKind.REFUSED
        advice = "; `orch check` shows whether the account may" if rights else ""
        refused = f"{self._unit} is {self._state}, the {self._control} was refused"
        return f"{refused}: {code}the host says: {problem.text}{advice}"

    def fell_back(self, status: ServiceStatus) -> str:
        """It moved, and then turned away from the goal."""
        if status.state is State.STOPPED:
            codes = f"exit code {status.win32_exit_code}"
            if status.win32_exit_code:
                codes = f"{in_words(status.win32_exit_code)}, service exit code {status.service_exit_code}"
            return f"{self._unit} is Stopped again after the {self._control}: {codes}; it was not asked twice"
        pids = self._processes(status)
        return (
            f"{self._unit} is {status.state} again after the {self._control}{pids}: the stop failed, or a recovery "
            "action, a trigger or a person started it; it was not asked twice"
        )

    def blind(self, error: HostError, now_s: float) -> str:
        """The state can't be read."""
        seen = ""
        if self._last is not None:
            seen = f", last seen {self._state} {span(now_s - self._read_s)} ago"
        if self._control is None:
            return f"{self._unit}: its state can't be read ({error.text}){seen}; {self._unasked}"
        sent = "sent and its answer lost" if self.lost else "taken by the host"
        return (
            f"{self._unit}: its state can't be read ({error.text}){seen}; the {self._control} was {sent}: "
            "read the state before asking again"
        )

    def result(
        self,
        outcome: Outcome,
        acted: Acted,
        *,
        said: str,
        exchanges: int,
        problem: Problem | None = None,
        read: bool = True,
    ) -> Result:
        """The step's result. *read* False: the state now is not known."""
        return Result(
            step=self._step,
            outcome=outcome,
            acted=acted,
            before=str(self._first.state) if self._first else "",
            after=self._state if read else "",
            said=said,
            problem=problem,
            evidence=evidence(self._first, self._last) | self._told,
            exchanges=exchanges,
        )

    @property
    def _unasked(self) -> str:
        """That no control was sent, of this attempt: what those before it sent it can't tell."""
        return "nothing was asked of it" if self._step.attempt == 1 else "this attempt asked nothing of it"

    @property
    def _unit(self) -> str:
        return self._step.unit

    @property
    def _state(self) -> str:
        return str(self._last.state) if self._last else "unread"

    def _standing(self, now_s: float) -> str:
        """Where it stands and for how long: `StopPending for 130 s, stalled at checkpoint 3 for 94 s`."""
        last = self._last
        if last is None or not last.state.pending:
            since_s = self._since_s if self._control is None else max(self._since_s, self._asked_s)
            after = "" if self._control is None else f" after it was asked to {self._control}"
            return f"is still {self._state} {span(now_s - since_s)}{after}"
        still_s = now_s - (self._since_s if self.rose_s is None else self.rose_s)
        if self.rose_s is not None and still_s < max(last.wait_hint_s, STALLED_S):
            progress = f"checkpoint {last.checkpoint} rose {span(still_s)} ago"
        else:
            progress = f"stalled at checkpoint {last.checkpoint} for {span(still_s)}"
        pending_s = now_s - self._since_s
        return f"{last.state}{f' for {span(pending_s)}' if pending_s > still_s else ''}, {progress}"

    def _processes(self, status: ServiceStatus) -> str:
        first = self._first
        if first is None or first.pid is None or status.pid is None or first.pid == status.pid:
            return ""
        return f" (process {first.pid} before, {status.pid} now)"


def evidence(first: ServiceStatus | None, last: ServiceStatus | None) -> dict[str, str]:
    """The numbers that the host gave: only those that say something."""
    found: dict[str, str] = {}
    if first is None or last is None:
        return found
    if first.pid is not None:
        found["pid_before"] = str(first.pid)
    if last.pid is not None:
        found["pid_after"] = str(last.pid)
    if last.state.pending:
        found["checkpoint"] = str(last.checkpoint)
        found["wait_hint_s"] = f"{last.wait_hint_s:g}"
    if last.win32_exit_code:
        found["win32_exit_code"] = str(last.win32_exit_code)
        found[EXIT] = ended(last)
    if last.service_exit_code:
        found["service_exit_code"] = str(last.service_exit_code)
    return found


def ended(status: ServiceStatus) -> str:
    """How a service ended, in words: `the service ended with an error code of its own (error 1066): 42 (0x2A)`."""
    words, own = in_words(status.win32_exit_code), status.service_exit_code
    return f"{words}: {own} (0x{own & 0xFFFFFFFF:X})" if own else words
