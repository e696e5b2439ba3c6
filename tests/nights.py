"""Nights that went badly, as facts: a run that fails, waits, is parked, resumed in another process, and goes back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fake_run import BEGAN_AT, CHOICES, SMALL, fleet

from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.estimate import complete
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    RollbackBegan,
    RunBegan,
    RunEnded,
    RunParked,
    RunResumed,
    StageBegan,
    Stamped,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.plan import Node, Plan, Stage
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step

RUN = "20261121-0213-k7q2"
HEAD = "5f" * 32
FAILED = Problem(ProblemKind.TIMEOUT, "The service did not respond.", 1053)


@dataclass(slots=True)
class Night:
    """Stamps facts; time passes by `later`, and by `another_process` the monotonic clock begins at zero again."""

    plan: Plan
    at: float = BEGAN_AT
    elapsed_s: float = 0.0
    facts: list[Stamped] = field(default_factory=list)

    def begin(self) -> "Night":
        command = "orch stop --plan playbooks/shop.yaml"
        self.tell(RunBegan(run=RUN, plan=self.plan, requester="ada@ops", controller="ctl-01", command=command))
        self.tell(StageBegan(0))
        return self

    def tell(self, *facts: Fact) -> "Night":
        for fact in facts:
            self.facts.append(Stamped(len(self.facts) + 1, self.at, self.elapsed_s, fact, HEAD))
        return self

    def later(self, by_s: float) -> "Night":
        self.at, self.elapsed_s = self.at + by_s, self.elapsed_s + by_s
        return self

    def another_process(self, after_s: float, *, by: str = "bob@ops") -> "Night":
        self.at, self.elapsed_s = self.at + after_s, 0.0
        return self.tell(RunResumed(requester=by, controller="ctl-02", epoch=2))

    def intend(self, *units: str, stage: int = 0, phase: Phase = Phase.STOP, attempt: int = 1) -> "Night":
        return self.tell(*(StepIntended(Step(stage, unit, phase, attempt)) for unit in units))

    def ended(
        self,
        unit: str,
        *,
        stage: int = 0,
        phase: Phase = Phase.STOP,
        attempt: int = 1,
        outcome: Outcome = Outcome.OK,
        after: str = "Stopped",
        acted: Acted = Acted.YES,
    ) -> "Night":
        result = Result(
            step=Step(stage, unit, phase, attempt),
            outcome=outcome,
            acted=acted if phase in (Phase.START, Phase.STOP) else Acted.NO,
            before="Running" if phase is Phase.STOP else "Stopped",
            after=after,
            said="" if outcome is Outcome.OK else f"{unit} was {after or 'silent'} for 90 s",
            problem=None if outcome is Outcome.OK else FAILED,
            took_s=4.0,
        )
        return self.tell(StepEnded(result))

    def ask(
        self,
        number: int,
        *units: str,
        pauses: bool = False,
        kind: CauseKind = CauseKind.FAILURE,
        waits: bool = True,
    ) -> "Night":
        problem = ProblemKind.TIMEOUT if kind is CauseKind.FAILURE else None
        cause = Cause(
            kind=kind,
            said=f"{units[0] if units else kind} was StopPending for 90 s",
            problem=problem,
            service="web",
            units=units,
        )
        return self.tell(DecisionAsked(decision=number, cause=cause, choices=CHOICES, pauses=pauses, waits=waits))

    def answer(
        self, number: int, choice: Choice, *, by: str = "bob@ops", reason: str = "", source: Source = Source.PERSON
    ) -> "Night":
        answer = Answer(choice=choice, source=source, by=by, reason=reason, approvals=(by,), waited_s=125.0)
        return self.tell(DecisionAnswered(decision=number, answer=answer))


def failing() -> Night:
    """A stop of two web units and one sql: web-01 is down, web-02 hung, and sql waits. One decision is open."""
    night = Night(fleet(SMALL)).begin().intend("web@web-01", "web@web-02").later(4).ended("web@web-01")
    return night.later(86).ended("web@web-02", outcome=Outcome.FAILED, after="StopPending").ask(1, "web@web-02")


def parked() -> Night:
    """The same, and nobody there to ask."""
    return failing().later(1).tell(RunParked(decisions=(1,)))


def going_back(*, changed: Sequence[Strayed] = ()) -> Night:
    """Parked for two hours, then decided by somebody else in another process: back to where it was."""
    night = parked().another_process(7200)
    night.tell(DecisionGrew(decision=1, units=("web@web-01",))).ask(2, kind=CauseKind.CHANGED, pauses=True)
    night.tell(DecisionWithdrawn(decision=2, why="they are where the run left them again"))
    night.answer(1, Choice.ROLLBACK, reason="the window is over").later(1)
    start = fleet(SMALL, twice=True).stages[1]
    acting = tuple(node for node in start.nodes if node.unit.service == "web")
    return night.tell(RollbackBegan(stages=(_only(start, acting),), changed_since=tuple(changed)), StageBegan(1))


def _only(stage: Stage, nodes: Sequence[Node]) -> Stage:
    free = tuple(replace(node, waits_for=()) for node in nodes)
    return complete(replace(stage, nodes=free, barriers=(), critical_path=()))


def rolled_back() -> Night:
    """And everything is as it was."""
    night = going_back().intend("web@web-01", "web@web-02", stage=1, phase=Phase.START).later(5)
    for unit in ("web@web-01", "web@web-02"):
        night.ended(unit, stage=1, phase=Phase.START, after="Running")
    counts = {"ok": 2, "failed": 0, "unknown": 0, "untouched": 1}
    return night.later(1).tell(RunEnded(verdict="rolled back", exit_code=3, counts=counts))


def incomplete() -> Night:
    """And one unit does not come up again."""
    night = going_back().intend("web@web-01", "web@web-02", stage=1, phase=Phase.START).later(5)
    night.ended("web@web-01", stage=1, phase=Phase.START, after="Running")
    night.ended("web@web-02", stage=1, phase=Phase.START, after="Stopped", outcome=Outcome.FAILED)
    counts = {"ok": 1, "failed": 1, "unknown": 0, "untouched": 1}
    return night.later(1).tell(RunEnded(verdict="rollback incomplete", exit_code=4, counts=counts))
