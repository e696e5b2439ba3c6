"""What happened in a run, folded fact by fact. What follows from it is `runstate`'s.

Room: domain. Everything in here is a function of the facts alone, so that a run can be taken up by another process.
"""

from collections.abc import Iterable

from orchestrator.domain.decisions import LEAVES_ALL, Answer, CauseKind, Choice, Source
from orchestrator.domain.errands import is_errand
from orchestrator.domain.facts import (
    CANCEL,
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    OrderTaken,
    RollbackBegan,
    RunBegan,
    RunEnded,
    RunParked,
    RunResumed,
    StageBegan,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.judging import TRANSIENT, Failure
from orchestrator.domain.known import ABOUT_FAILURES, Known
from orchestrator.domain.life import IfStuck
from orchestrator.domain.open_questions import LATE_S, Asked
from orchestrator.domain.parts import CHANGES, goal_of, is_last_reading, life_down, spends
from orchestrator.domain.plan import Action, Role
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.domain.service import State
from orchestrator.domain.stage_run import StageRun, stuck

_WINDOW_CLOSED = "window closed"
_AFTER_A_KILL = "; kill is no answer to that: retry waits for the stop once more, and a kill comes after that again"


class Folded(Known):
    """The parts of a run's state. Cost: a stage's beginning O(nodes + edges), a resume O(units), doing without a host
    O(nodes of the stage); every other fact O(its neighbours, or units that it names)."""

    # What happened

    def apply(self, fact: Fact) -> None:
        """Fold one fact in.

        Raises:
            ValueError: the fact can't follow from the state: a step asked twice, an answer to nothing, a stage out of
                turn. Then the facts are not those of this plan, or there is a bug.
        """
        match fact:
            case StepIntended():
                self._intended(fact.step)
            case StepEnded():
                self._step_ended(fact.result)
            case StageBegan():
                self._stage_began(fact.stage)
            case DecisionAsked() | DecisionGrew() | DecisionAnswered() | DecisionWithdrawn():
                self._decision(fact)
            case _:
                self._aside(fact)
        self._settle()

    def _aside(self, fact: OrderTaken | Strayed | RollbackBegan | RunResumed | RunBegan | RunEnded | RunParked) -> None:
        match fact:
            case OrderTaken():
                self._order_taken(fact.order)
            case Strayed():
                self.findings.tell(fact)
            case RollbackBegan():
                self.back = fact
                self.now.unwatch()
                self.stages = (*self.plan.stages, *fact.stages)
            case RunResumed():
                self._resumed(fact)
            case RunBegan():
                self.run = fact.run
            case RunEnded():
                self.ended = fact
                self._lose()
            case RunParked():
                pass

    def _settle(self) -> None:
        """What changes by itself when the last step of something is in."""
        if self.findings.round_open:
            return
        if self.questions.late and (self.rolling_back or not self.findings.untold):
            for number in sorted(self.questions.late):
                self._take(number, *self.questions.late.pop(number))
        if not self.idle:
            return
        if self.cancelled and self.back is None and not self.closing:
            self._settle_cancelled()
        if self.going_back and not self.looked_back and not self.ending:
            self.looked_back = True
            self.findings.begin_round(self.findings.touches())

    def _settle_cancelled(self) -> None:
        if not self.findings.touched:
            self._end(called_off=True)
        elif adrift := self.to_find():
            self.findings.begin_round(adrift)

    def _stage_began(self, number: int) -> None:
        if number != self.next_stage or self.now.under_way:
            raise ValueError(f"stage {number} can't begin after stage {self.stage}")
        self.stage = number
        self.now.unwatch()
        self.now = self.runs[number] = self.stage_run(number)
        self.findings.begin_stage(self.stages[number])
        if self.back is None:
            self._exclude(self.failures.excluded)
            self._bar_unchecked()
            self._bar_where_not_down()

    def stage_run(self, number: int) -> StageRun:
        """A stage of which nothing has happened yet."""
        stage = self.stages[number]
        back = number >= len(self.plan.stages) or self.plan.action is Action.ROLLBACK
        watched = stage.goal is State.RUNNING and not back
        found = self.findings
        return StageRun(number, stage, found.owed, found.spent, found.done_once, back=back, watched=watched)

    def _bar_unchecked(self) -> None:
        """Leave the units alone whose checks, in a stage before, did not hold for what is done to them now."""
        for number in sorted(self.runs):
            before = self.runs[number]
            if not before.stage.checks or before is self.now:
                continue
            for place, node in enumerate(before.stage.nodes):
                mine = self.now.places.get(node.unit.id)
                if mine is None or before.outcome(place) is Outcome.OK:
                    continue
                if before.stage.goal in (self.now.stage.goal, self.now.goal(mine)):
                    self.now.exclude(mine, undo=False)

    def _bar_where_not_down(self) -> None:
        """Do nothing between stop and start on a host where something may still run that was to be stopped."""
        if not self.now.stage.between:
            return
        stop = self.runs[self.stage - 1]
        ended = zip(stop.stage.nodes, stop.outcomes(), strict=True)
        up = {node.unit.host for node, outcome in ended if node.role is Role.ACT and outcome is not Outcome.OK}
        for place, node in enumerate(self.now.stage.nodes):
            if node.unit.host in up:
                self.now.exclude(place, undo=False)

    def _order_taken(self, order: str) -> None:
        self.orders.append(order)
        if order == CANCEL and not (self.closing or self.ending or self.complete):
            self.cancelled = True
            self.now.break_off()
        elif order == _WINDOW_CLOSED:
            self.window_closed = True

    def _intended(self, step: Step) -> None:
        if step.phase is Phase.LOOK:
            self.findings.look_intended(step)
        elif is_errand(step):
            self.errands.intended(step)
            self.closing = self.closing or step.phase is not Phase.ON_BEGIN
        elif self._is_last_reading(step):
            self.findings.reading_intended(step)
            self.closing = True
            self.now.unwatch()
        else:
            self.now.intended(step)
            self.findings.began(step)

    def _is_last_reading(self, step: Step) -> bool:
        if step.phase is not Phase.READ or step.hook or step.stage not in self.runs:
            return False
        run = self.runs[step.stage]
        return is_last_reading(step, run.stage.nodes[run.place(step)].role)

    def _step_ended(self, result: Result) -> None:
        step = result.step
        if step.phase is Phase.LOOK:
            asked = self.is_asked_about(step.unit) and not self.going_back
            self.findings.looked(result, accepted=self.accept_drift, asked=asked)
        elif is_errand(step):
            self.errands.ended(result)
        elif self._is_last_reading(step):
            self.findings.read_last(result, told=self.is_failed(step.unit))
        else:
            self._went_on(result)

    def _went_on(self, result: Result) -> None:
        step = result.step
        if self.now.called_off(step):
            return
        undoes = bool(self.now.given_up) and self.now.place(step) in self.now.given_up
        failed = self.now.ended(result, kills=not self.hands_off)
        self.findings.stepped_on(result)
        if step.phase in CHANGES:
            self.findings.did(step, goal_of(step, self.now.stage.goal), self.now.hook(step), result)
        if not undoes:
            self._comes_of(result, failed=failed)

    def _comes_of(self, result: Result, *, failed: bool) -> None:
        """What follows for the run from a step of a unit's life."""
        place = self.now.place(result.step)
        if result.outcome is Outcome.OK:
            self.failures.answered(result.step.unit, whole=self.now.outcome(place) is Outcome.OK)
        if self.rolling_back:
            self._went_on_back(result, failed=failed)
        elif failed:
            self._failed(result)
        elif self.ending and place in self.now.unsettled():
            self._leave(place)  # it was under way when the run came to end, and has not acted

    def _failed(self, result: Result) -> None:
        place = self.now.place(result.step)
        life = life_down(self.now.stage.nodes[place])
        kill = life is not None and life.if_stuck is not IfStuck.FAIL and stuck(result)
        kind = result.problem.kind if result.problem else None
        said = result.said or (result.problem.text if result.problem else "")
        if result.step.phase is Phase.KILL:
            said += _AFTER_A_KILL
        self._is_suspended(place, Failure(kind, said, kill=kill, once=self._was_once(result)))

    def _was_once(self, result: Result) -> bool:
        """Whether a hook that must not be carried out twice may have run."""
        return result.step.hook != "" and spends(self.now.hook(result.step), result)

    def _is_suspended(self, place: int, failure: Failure) -> None:
        unit = self.now.stage.nodes[place].unit
        self.failures.add(unit.id, failure)
        gone = unit.host in self.failures.excluded  # it was under way when its host was given up
        if gone or (self.ending and self.now.unit_owes(place)):
            self._give_up(place)
            self.failures.forget(unit.id)

    def _give_up(self, place: int) -> None:
        """A suspended node ended as it did; what may have been done for it is undone, unless it came to its goal."""
        self.now.give_up(place, undo=self._missed(place))

    def _missed(self, place: int) -> bool:
        """Whether the node's unit is known not to come to where it was to be brought next: a service that is on its way
        down may be down in a minute."""
        return self.findings.missed(self.now.stage.nodes[place].unit.id, self.now.goal(place))

    def _went_on_back(self, result: Result, *, failed: bool) -> None:
        """On the way back nobody is asked: what may be gone in a minute is tried again, in bounds; else it failed."""
        step = result.step
        spent_s = self.spent_s.get(step.unit, 0.0) + max(result.took_s, step.delay_s)
        self.spent_s[step.unit] = spent_s
        if not failed:
            return
        place = self.now.places[step.unit]
        passing = result.problem is not None and result.problem.kind in TRANSIENT and not self._was_once(result)
        if passing and spent_s < self.plan.policy.rollback_timeout_s:
            self.now.retry(place, pausing=True)
        else:
            self._without(place)

    def _without(self, place: int) -> None:
        """On a way back as much comes up as can: a hook after the act is named, and neither holds up others nor what
        is left to undo; what failed before that is given up."""
        if not self.now.pass_over(place):
            self._give_up(place)

    def is_failed(self, unit: str) -> bool:
        """Whether the unit's last stage ended with it failed or unknown, as far as is known."""
        run = self.runs.get(self.findings.home.get(unit, -1))
        place = None if run is None else run.places.get(unit)
        return run is not None and place is not None and run.outcome(place) in (Outcome.FAILED, Outcome.UNKNOWN)

    def _resumed(self, fact: RunResumed) -> None:
        self.accept_drift = fact.accept_drift
        self._lose()
        self.questions.on_hold.clear()
        self.looked_back = self.looked_back and self.back is not None
        if fact.accept_drift:
            self.findings.tell_of(list(self.findings.changed))
        if self.ending:
            for place in self.now.unsettled():
                self._leave(place)
        elif not self.closing:
            adrift = self.findings.adrift(self.failures.known, again=True) if self.cancelled else []
            self.findings.begin_round(self.findings.known((), [*self.failures.known, *adrift]))

    def _lose(self) -> None:
        """What is under way is lost with its process, be the run resumed or closed: it may have been done."""
        own = self.now.lose()
        for step in own:
            self.findings.lost(step)
            if step.phase in CHANGES:
                self.findings.did(step, goal_of(step, self.now.stage.goal), self.now.hook(step), None)
        for step in own:
            self._is_lost(step)
        self.lost = [*own, *self.findings.lose(), *self.errands.lose()]

    def _is_lost(self, step: Step) -> None:
        """What must not be carried out twice has suspended its node; on the way back nobody is asked."""
        place = self.now.places[step.unit]
        if place not in self.now.suspended:
            return
        if self.rolling_back:
            self._without(place)
        else:
            what = f"{step.unit}: the answer of {step.hook} was lost; nobody knows whether it was done"
            said = f"{what}, and it is not done twice unless you say retry"
            self._is_suspended(place, Failure(None, said, once=True))

    # What was decided

    def _decision(self, fact: DecisionAsked | DecisionGrew | DecisionAnswered | DecisionWithdrawn) -> None:
        match fact:
            case DecisionAsked():
                self.questions.asked(fact)
                self._is_asked(fact.cause.kind, fact.cause.units)
            case DecisionGrew():
                self.questions.grew(fact)
                self._is_asked(self.questions.open[fact.decision].cause.kind, fact.units)
            case DecisionWithdrawn():
                self._is_not_decided(self.questions.withdrawn(fact))
            case DecisionAnswered():
                asked = self.questions.answered(fact)
                late = fact.answer.waited_s > LATE_S or (self.findings.round_open and not self.leaving)
                if late and fact.answer.choice not in LEAVES_ALL:
                    self._look_first(fact.decision, asked, fact.answer)
                else:
                    self._take(fact.decision, asked, fact.answer)

    def _is_not_decided(self, asked: Asked) -> None:
        """A question was withdrawn: where the run goes on, it is asked anew."""
        if asked.cause.kind in ABOUT_FAILURES:
            self.failures.ask_again(asked.units)
        elif asked.cause.kind is CauseKind.HOOK:
            self.errands.told = False
        elif asked.cause.kind is CauseKind.PAUSE:
            for place in [self.now.places[unit] for unit in asked.units if unit in self.now.places]:
                self.now.ask_again(place)

    def _is_asked(self, kind: CauseKind, units: tuple[str, ...]) -> None:
        if kind in ABOUT_FAILURES:
            self.failures.asked(units)
        elif kind is CauseKind.CHANGED:
            self.findings.tell_of(units)
        elif kind is CauseKind.CANCELLED:
            self.findings.todo.clear()  # an older version asked without a look
        elif kind is CauseKind.HOOK:
            self.errands.told = True
        elif kind is CauseKind.PAUSE and units[0] in self.now.places:
            self.now.ask(self.now.places[units[0]])

    def _look_first(self, number: int, asked: Asked, answer: Answer) -> None:
        """The answer came late, or while they are looked at: before it counts, all units are whose state the run knows;
        before anything began, those that it would act on."""
        self.questions.late[number] = (asked, answer)
        if not self.findings.round_open:
            busy = (step.unit for step in (*self.now.under_way.values(), *self.now.due.values()))
            failed = self.failures.known
            owing = [unit for unit in failed if unit in self.findings.owed]  # whether that is undone depends on it
            known = self.findings.known((*busy, *failed), owing) if self.stage >= 0 else self.findings.surveyed()
            self.findings.begin_round(known)

    def _take(self, number: int, asked: Asked, answer: Answer) -> None:
        """Do what was answered. Of answers that came in together the first to end or to go back counts."""
        if self.ending or (self.going_back and self.back is None):
            return
        match answer.choice:
            case Choice.HOLD:
                self.questions.held[number] = asked
            case Choice.ABORT:
                no_harm = asked.cause.kind in (CauseKind.CANCELLED, CauseKind.APPROVAL, CauseKind.PAUSE)
                of_hook = asked.cause.kind is CauseKind.HOOK
                self._end(called_off=no_harm or self.cancelled or (self.stage < 0 and not of_hook))
            case Choice.ROLLBACK:
                self.going_back = True
                if answer.source is Source.PERSON:
                    self.findings.undo_again()
                self.now.unwatch()
                self.cancelled = False
                self.questions.held.clear()
            case Choice.CONTINUE:
                self._continue(asked)
            case _:
                self._take_again(asked, answer)

    def _take_again(self, asked: Asked, answer: Answer) -> None:
        """RETRY, SKIP, EXCLUDE or KILL: what becomes of that which did not go well."""
        if asked.cause.kind is CauseKind.CHANGED:
            self._act_again(asked.units)
        elif asked.cause.kind is CauseKind.HOOK:
            self.errands.retry()
        else:
            self._take_failed(asked, answer)

    def _act_again(self, units: Iterable[str]) -> None:
        """Others moved *units*: those that the stage now was done with go again, but where the run does without."""
        for unit in units:
            if self.findings.units[unit].host in self.failures.excluded:
                continue
            if unit in self.now.places:
                self.now.repeat(self.now.places[unit])

    def _take_failed(self, asked: Asked, answer: Answer) -> None:
        """What becomes of units that failed."""
        for unit in asked.units:
            place = self.now.places.get(unit)
            if place not in self.now.suspended or place is None:
                continue
            if answer.choice in (Choice.RETRY, Choice.KILL):
                kill = answer.choice is Choice.KILL
                policy = answer.source is Source.POLICY
                self.now.retry(place, pausing=policy, kill=kill, anew=not policy and self._missed(place))
            else:
                self._give_up(place)
        self.failures.decided(asked.units, asked.cause.kind, answer)
        if answer.choice is Choice.EXCLUDE:
            hosts = [self.findings.units[unit].host for unit in asked.units]
            self._exclude(dict.fromkeys(host for host in hosts if host is not None))

    def _end(self, *, called_off: bool) -> None:
        self.ending = True
        self.called_off = called_off
        self.cancelled = False
        self.questions.held.clear()
        self.findings.todo = {}
        self.now.unwatch()
        for place in self.now.unsettled():
            self._leave(place)

    def _leave(self, place: int) -> None:
        """The run ends over the node: what may have been done for it is undone, unless it came to its goal."""
        missed = self._missed(place)
        if place not in self.now.suspended:
            self.now.withdraw(place, undo=missed)
        elif missed and self.now.unit_owes(place):
            self._give_up(place)

    def _continue(self, asked: Asked) -> None:
        kind = asked.cause.kind
        if kind is CauseKind.CANCELLED:
            self.cancelled = False
        elif kind is CauseKind.HOOK:
            self.errands.go_on()
        elif kind is CauseKind.BUDGET:
            self.failures.tally.begin_anew()
        elif kind is CauseKind.PAUSE:
            for unit in asked.units:
                self.now.grant(self.now.places[unit])
        elif kind is CauseKind.APPROVAL or self.stage < 0:
            self.approved = True

    def _exclude(self, hosts: dict[str, None]) -> None:
        """Do without *hosts*: what has not begun there never does, and what failed there is given up."""
        if not hosts:
            return
        for host in hosts:
            self.failures.exclude(host)
        for place, node in enumerate(self.now.stage.nodes):
            if node.unit.host in hosts:
                self.now.exclude(place, undo=self._missed(place))
                self.failures.forget(node.unit.id)
                self.questions.without([node.unit.id])
