"""What follows from where a run stands: questions, looks, steps, stages, the way back, the end.

Room: domain. Everything that follows is a fact, and is folded in at once, for more follows from it.
"""

from collections.abc import Iterable

from orchestrator.domain.decisions import Cause, CauseKind
from orchestrator.domain.facts import (
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    RollbackBegan,
    StageBegan,
    StepIntended,
)
from orchestrator.domain.folded import Folded
from orchestrator.domain.judging import PAUSING, choices
from orchestrator.domain.plan import Node, Role
from orchestrator.domain.results import Phase, Step
from orchestrator.domain.way_back import way_back


class Following:
    """The facts that follow from one state, in order. `closed`: nothing is left to do but to end."""

    def __init__(self, folded: Folded) -> None:
        self._folded = folded
        self.facts: list[Fact] = []
        self.closed = False

    def follow(self) -> None:
        """Apply and collect them all."""
        due = self._folded.findings.strays_due
        for unit in sorted(due, key=self._folded.findings.order.__getitem__):
            self._follow(due[unit])
        while True:
            self._question()
            self._look()
            self._go_on()
            if not self._advance():
                return

    def _follow(self, fact: Fact) -> None:
        self._folded.apply(fact)
        self.facts.append(fact)

    def _question(self) -> None:
        """Ask what is to be asked now, and withdraw what needs no answer any more."""
        folded = self._folded
        while not (self._folded.leaving or folded.closing) and (questions := folded.next_questions()):
            for fact in questions:
                self._follow(fact)
        if self._folded.leaving:
            self._withdraw()
        elif not folded.closing:
            self._withdraw_decided()
            self._ask_what_changed()
            self._ask_what_pauses()

    def _withdraw(self) -> None:
        questions = self._folded.questions
        why = "the run ends" if self._folded.ending else "the run goes back"
        for number in sorted([*questions.open, *questions.late]):
            self._follow(DecisionWithdrawn(decision=number, why=why))

    def _withdraw_decided(self) -> None:
        for number in sorted(self._folded.questions.open):
            asked = self._folded.questions.open[number]
            if why := self._folded.moot(asked):
                self._follow(DecisionWithdrawn(decision=number, why=why))

    def _ask_what_changed(self) -> None:
        """After a round of looks: tell of what others moved, and let no late answer count then."""
        folded = self._folded
        number = folded.questions.of_kind(CauseKind.CHANGED)
        if folded.accept_drift and number is not None:
            self._follow(DecisionWithdrawn(decision=number, why="what changed was accepted on resume"))
        if folded.findings.round_open or folded.rolling_back or not folded.findings.changed:
            return
        units = tuple(folded.findings.untold)
        if not units:
            return
        moved = folded.findings.changed_words(units)
        said = f"{folded.questions.not_applied()}{moved}"
        for late in sorted(folded.questions.late):
            self._follow(DecisionWithdrawn(decision=late, why=f"units changed meanwhile: {moved}"))
        number = folded.questions.of_kind(CauseKind.CHANGED)
        if number is not None:
            self._follow(DecisionGrew(decision=number, units=units, pauses=True))
        else:
            self._ask(Cause(kind=CauseKind.CHANGED, said=said, units=units))

    def _ask_what_pauses(self) -> None:
        folded = self._folded
        if folded.cancelled:
            if folded.idle and not folded.findings.round_open and CauseKind.CANCELLED not in folded.questions.kinds():
                self._ask(Cause(kind=CauseKind.CANCELLED, said="the run was cancelled"))
        elif folded.paused:
            return
        elif folded.stage < 0:
            self._ask_before()
        elif folded.rolling_back:
            return
        elif folded.now.schedule.fresh or folded.next_stage is not None:
            cause = folded.failures.tally.exceeded()
            if cause is not None:
                self._ask(cause)

    def _ask_before(self) -> None:
        """What is asked before the first stage."""
        folded = self._folded
        if folded.errands.failed is not None and not folded.errands.told:
            name, said, kind = folded.errands.failed
            self._ask(Cause(kind=CauseKind.HOOK, said=said or f"{name} did not succeed", problem=kind))
        elif self._wants_approval():
            said = f"a {folded.plan.action} is approved before anything is touched"
            self._ask(Cause(kind=CauseKind.APPROVAL, said=said))

    def _wants_approval(self) -> bool:
        folded = self._folded
        if folded.approved or folded.rolling_back or not folded.plan.policy.approve_before:
            return False
        return any(node.role is Role.ACT for stage in folded.plan.stages for node in stage.nodes)

    def _ask(self, cause: Cause) -> None:
        folded = self._folded
        way = folded.failures.way_back and not folded.rolling_back
        may = choices(cause.kind, way_back=way and folded.stage >= 0, begun=folded.stage >= 0)
        number = folded.questions.last + 1
        pauses = cause.kind in PAUSING
        self._follow(DecisionAsked(decision=number, cause=cause, choices=may, pauses=pauses))

    def _look(self) -> None:
        findings = self._folded.findings
        for unit in list(findings.todo):
            self._follow(StepIntended(findings.next_step(findings.home[unit], unit, Phase.LOOK)))

    def _go_on(self) -> None:
        """What is under way goes on in any case, but where nobody has acted yet: that, and what waits, begins unless
        the run pauses or ends."""
        now = self._folded.now
        halting = self._halts()
        halted = [step for step in now.due_now() if not self._goes_on(step, halting=halting)]
        if halting:
            return
        if halted:
            self._ask_window(halted[0].unit)
            return
        while (place := now.schedule.next_node()) is not None:
            if self._too_late_to_stop(place):
                self._ask_window(now.stage.nodes[place].unit.id)
                return
            if now.asks(place):
                self._ask_batch(now.stage.nodes[place])
            else:
                self._follow(StepIntended(now.first(place)))
        if now.to_watch and (now.under_way or now.suspended or now.schedule.fresh):
            for place in sorted(now.to_watch):
                self._follow(StepIntended(now.watch(place)))

    def _halts(self) -> bool:
        folded = self._folded
        return folded.leaving or folded.closing or folded.paused or folded.turned

    def _goes_on(self, step: Step, *, halting: bool) -> bool:
        now = self._folded.now
        if (halting or self._too_late_to_stop(now.places[step.unit])) and now.halts(step):
            return False
        self._follow(StepIntended(step))
        return True

    def _ask_window(self, unit: str) -> None:
        said = f"the window has closed, and {unit} was to be stopped next"
        self._ask(Cause(kind=CauseKind.WINDOW, said=said))

    def _ask_batch(self, node: Node) -> None:
        if node.batch is not None:
            batch, service = node.batch, node.unit.service
            said = f"batch {batch.number} of {batch.of} of {service} is next: {batch.size} of its instances"
            self._ask(Cause(kind=CauseKind.PAUSE, said=said, service=service, units=(node.unit.id,)))

    def _too_late_to_stop(self, place: int) -> bool:
        folded = self._folded
        if not folded.window_closed or folded.rolling_back:
            return False
        return folded.now.stops(place, folded.findings.now(folded.now.stage.nodes[place].unit.id))

    def _advance(self) -> bool:
        """What comes when nothing is under way: the next stage, the way back, the end. False: nothing does, now."""
        folded = self._folded
        if not folded.idle:
            return False
        if folded.closing or folded.ending:
            self._close()
            return False
        if self._folded.leaving:
            self._turn_back()
            return True
        if folded.paused or ((folded.now.suspended or folded.now.asking) and not folded.turned):
            return False
        if folded.stage < 0 and (step := folded.errands.next_begin()) is not None:
            self._follow(StepIntended(step))
            return False
        number = folded.next_stage
        if number is None:
            self._close()
            return False
        self._follow(StageBegan(number))
        return True

    def _turn_back(self) -> None:
        folded = self._folded
        way = way_back(folded.plan, folded.findings.touches(), accept_drift=folded.accept_drift)
        self._follow(RollbackBegan(stages=way.stages, changed_since=way.changed_since))

    def _close(self) -> None:
        """Read once more what was acted on: all units of the stages that began, or on the way back those touched."""
        folded = self._folded
        acted: dict[str, int] = {}
        for number, run in sorted(folded.runs.items()):
            acted.update((node.unit.id, number) for node in run.stage.nodes if node.role is Role.ACT)
        units: Iterable[str] = acted if folded.back is None else folded.findings.touches()
        due = [unit for unit in units if unit not in folded.findings.finals]
        for unit in due:
            self._follow(StepIntended(folded.findings.next_step(acted[unit], unit, Phase.READ)))
        if due or folded.findings.strays_due:
            return
        if (folded.stage >= 0 or folded.errands.came_up) and (step := folded.errands.next_end(done=folded.as_planned)):
            self._follow(StepIntended(step))
        else:
            self.closed = True
