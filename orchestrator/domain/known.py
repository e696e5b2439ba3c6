"""What a run's state is made of, and what is so at the moment. How it changes is `folded`'s.

Room: domain.
"""

from orchestrator.domain.decisions import CauseKind
from orchestrator.domain.errands import Errands
from orchestrator.domain.facts import Fact, RollbackBegan, RunEnded
from orchestrator.domain.failing import Failures
from orchestrator.domain.findings import Findings
from orchestrator.domain.open_questions import Asked, Questions
from orchestrator.domain.plan import Action, Plan, Stage
from orchestrator.domain.results import Step
from orchestrator.domain.service import State
from orchestrator.domain.stage_run import StageRun
from orchestrator.domain.way_back import whole_way_back

ABOUT_FAILURES = (CauseKind.FAILURE, CauseKind.VANISHED)
_NO_STAGE = Stage(goal=State.RUNNING, nodes=(), barriers=())


class Known:
    """The parts of a run's state."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.run = ""
        self.stages = plan.stages
        """All stages by number: the plan's, then those of the way back."""
        self.stage = -1
        self.orders: list[str] = []
        self.ended: RunEnded | None = None
        self.lost: list[Step] = []
        """Steps that were lost with the process before, at the last resume."""
        self.findings = Findings(plan)
        self.questions = Questions()
        self.errands = Errands(plan.hooks)
        may = bool(whole_way_back(plan)) and plan.action is not Action.ROLLBACK
        self.failures = Failures(plan, self.findings.units, self.findings.order, way_back=may)
        self.now = StageRun(-1, _NO_STAGE)
        self.runs: dict[int, StageRun] = {}
        """Every stage that began, by number."""
        self.cancelled = False
        """A cancel was ordered, and nobody has said what then."""
        self.window_closed = False
        self.approved = False
        self.accept_drift = False
        self.going_back = False
        """The answer was to roll back: what is under way settles, and what was touched is looked at."""
        self.looked_back = False
        """The looks before the way back are issued, or done."""
        self.back: RollbackBegan | None = None
        self.ending = False
        """Nothing begins any more; the units are read once more, and that is all."""
        self.called_off = False
        """It ends because somebody wanted it to."""
        self.closing = False
        """The last readings are issued."""
        self.spent_s: dict[str, float] = {}
        """How long each unit has been worked on, on the way back."""

    # What is so

    @property
    def rolling_back(self) -> bool:
        """Whether the run is on the way back, or is one: no decision about failures is asked there."""
        return self.back is not None or self.plan.action is Action.ROLLBACK

    @property
    def turned(self) -> bool:
        """Whether the run goes back and no stage of the way back began yet: the one that was is over as it stands."""
        return self.back is not None and self.stage < len(self.plan.stages)

    @property
    def idle(self) -> bool:
        """Whether no step is under way or due at once."""
        now, found = self.now, self.findings
        busy = now.under_way or found.reading or found.looking or self.errands.under_way
        return not (busy or now.goes_on(paused=self.halting))

    @property
    def halting(self) -> bool:
        """Whether nodes that are under way and have not acted wait, too."""
        shut = self.window_closed and self.now.takes_down and not self.rolling_back
        return self.leaving or self.turned or self.closing or self.paused or shut

    @property
    def leaving(self) -> bool:
        """Whether the plan is not gone on with any more."""
        return self.ending or (self.going_back and self.back is None)

    @property
    def hands_off(self) -> bool:
        """Whether a person has stopped the run, or it is on hold: nothing is ended by force without another word."""
        return self.cancelled or self.leaving or bool(self.questions.held or self.questions.on_hold)

    @property
    def paused(self) -> bool:
        """Whether nothing new may begin for now."""
        return self.cancelled or self.questions.pausing or self.findings.round_open

    def to_find(self) -> list[str]:
        """The units that are looked at before it is asked what becomes of a run that was cancelled: their last steps
        were lost. Cost: O(touched log touched)."""
        asked = self.leaving or CauseKind.CANCELLED in self.questions.kinds()
        return [] if asked else self.findings.adrift(self.failures.known)

    def is_asked_about(self, unit: str) -> bool:
        """Whether a look at *unit* is for a question: it failed, or nobody knows where a run left it that is
        cancelled."""
        return unit in self.failures.known or (self.cancelled and not self.findings.left[unit])

    @property
    def complete(self) -> bool:
        """Whether every node of every stage ended ok."""
        return len(self.runs) == len(self.stages) and all(
            run.schedule.whole and not run.marred for run in self.runs.values()
        )

    @property
    def as_planned(self) -> bool:
        """Whether a run of which all has been read once more went as planned, the hooks of its end aside."""
        return self.back is None and self.complete and not (self.ending or self.findings.strayed)

    @property
    def next_stage(self) -> int | None:
        """The number of the stage that comes after this one, if one does."""
        number = self.stage + 1 if self.back is None else max(self.stage + 1, len(self.plan.stages))
        return number if number < len(self.stages) else None

    def next_questions(self) -> list[Fact]:
        """What is asked, withdrawn or decided by the policy next: what was held, then a failure that nobody has judged.
        On the way back no failure is asked about."""
        return self.questions.again() or ([] if self.rolling_back else self.failures.next_facts(self.questions))

    def moot(self, asked: Asked) -> str:
        """Why an open question needs no answer any more; "" if it does."""
        if asked.cause.kind in ABOUT_FAILURES and not asked.units:
            return "the run does without its hosts"
        if asked.cause.kind is CauseKind.CHANGED and self.findings.back_again(asked.units):
            return "all is where the run left it again"
        return ""
