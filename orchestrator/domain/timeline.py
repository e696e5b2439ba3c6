"""A run as eyes see it: facts and notes folded once into what every view draws.

Room: domain. Holds no clock: times come with the facts, and "now" as an argument, on the facts' own monotonic clock.
Notes may be lost; nothing here decides anything.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import assert_never

from orchestrator.domain.courses import Courses
from orchestrator.domain.decision_log import DecisionLog, Question
from orchestrator.domain.decisions import CauseKind, Choice, Source
from orchestrator.domain.facts import (
    CANCEL,
    UNREAD,
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    OrderTaken,
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
from orchestrator.domain.hooks_done import HooksDone
from orchestrator.domain.hooks_of_run import HooksOfRun
from orchestrator.domain.kept_units import KeptUnits
from orchestrator.domain.life import Hook
from orchestrator.domain.parts import is_last_reading
from orchestrator.domain.plan import Action, Role, Stage
from orchestrator.domain.progress import LOOKED_AT, StageProgress
from orchestrator.domain.results import REACHED_BY, RUN, Acted, Note, Phase, Result, Step
from orchestrator.domain.runstate import Standing
from orchestrator.domain.step_words import step_words
from orchestrator.domain.track import ServiceRow, Track, Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Another process went on at `at` (UTC, seconds since 1970); `lost` are the units whose steps were under way."""

    fact: RunResumed
    at: float
    lost: tuple[str, ...]


class Timeline:
    """Folds the facts of one run, the first (`RunBegan`) first.

    A run may be carried on by one process after the other. Its clock (`*_s`) goes on from one to the next by the time
    of day between them.

    Cost: the first fact O(plan); a rollback's beginning O(units); every other O(neighbours); reading is O(what is
    shown), unless said otherwise.
    """

    def __init__(self) -> None:
        self.began: RunBegan | None = None
        self.ended: RunEnded | None = None
        self.began_at = 0.0
        """UTC, seconds since 1970; `last_at` is the latest fact's."""
        self.last_at = 0.0
        self.last_s = 0.0
        """The latest fact's time on the run's clock; the run began at `first_s`."""
        self.first_s = 0.0
        self._shift_s = 0.0
        self.head = ""
        """The hash of the run's chain up to the latest fact."""
        self.stages: tuple[StageProgress, ...] = ()
        self.stage = -1
        """The stage that goes on, or went on last; -1 before the first."""
        self.back_from: int | None = None
        """The first stage of the way back; None as long as the run goes forward."""
        self.changed_since: list[Strayed] = []
        """Units that a rollback leaves alone, for they are not where the run left them."""
        self.failures: list[Track] = []
        """Failed and unknown units, in the order in which they ended."""
        self.strayed: list[Strayed] = []
        self.orders: list[OrderTaken] = []
        self.decisions = DecisionLog()
        self.excluded: dict[str, str] = {}
        """The hosts that the run does without since a decision, and which that was, in words."""
        self.parked: RunParked | None = None
        self.resumes: list[Resumed] = []
        self.detours: dict[str, str] = {}
        """The hosts that were not reached by the first of their ways, and how and why at last."""
        self.kept = KeptUnits()
        self.hooks_done = HooksDone()
        self.hooks_of_run = HooksOfRun()
        self.checking = 0
        """Readings under way that belong to no unit's own steps."""
        self.looking = False
        """Whether those are a look at what was touched, and not the one at everybody at the end."""
        self._cancelled = False
        self._decided: Choice | None = None

    def fact(self, stamped: Stamped) -> None:
        """Take one fact in."""
        stamped = self._on_our_clock(stamped)
        self.last_at, self.last_s, self.head = stamped.at, stamped.elapsed_s, stamped.head
        fact = stamped.fact
        match fact:
            case RunBegan():
                self._begin(fact, stamped)
            case StageBegan(stage=stage):
                self._begin_stage(stage)
            case StepIntended(step=step):
                self._intend(step, stamped)
            case StepEnded():
                self._end_step(fact, stamped)
            case DecisionAsked() | DecisionGrew() | DecisionAnswered() | DecisionWithdrawn():
                self._decide(fact, stamped)
            case RunEnded():
                self._end(fact)
            case _:
                self._take_aside(fact, stamped.at)

    def _take_aside(self, fact: OrderTaken | Strayed | RollbackBegan | RunParked | RunResumed, at: float) -> None:
        match fact:
            case OrderTaken(order=order):
                self.orders.append(fact)
                self._cancelled = self._cancelled or order == CANCEL
            case Strayed():
                self.strayed.append(fact)
            case RollbackBegan():
                self._go_back(fact)
            case RunParked():
                self.parked = fact
            case RunResumed():
                self._resume(fact, at)
            case _:
                assert_never(fact)

    def _on_our_clock(self, stamped: Stamped) -> Stamped:
        """Another process counts from zero."""
        shifted_s = stamped.elapsed_s + self._shift_s
        if self.began is not None and (isinstance(stamped.fact, RunResumed) or shifted_s < self.last_s):
            by_day_s = self.last_s + max(0.0, stamped.at - self.last_at)
            self._shift_s, shifted_s = by_day_s - stamped.elapsed_s, by_day_s
        return replace(stamped, elapsed_s=shifted_s) if self._shift_s else stamped

    def note(self, note: Note) -> None:
        """Take in what a step saw on its way."""
        if note.step.unit == RUN:
            self.hooks_of_run.note(note)
        elif 0 <= note.step.stage < len(self.stages):
            self.stages[note.step.stage].note(note.step, note.text)

    def _begin(self, fact: RunBegan, stamped: Stamped) -> None:
        self.began, self.began_at, self.first_s = fact, stamped.at, stamped.elapsed_s
        self.stages = self._staged(fact.plan.stages)
        self.hooks_of_run.begin(fact.plan.hooks)
        self.hooks_done.begin(fact.plan)

    def _begin_stage(self, number: int) -> None:
        self._finish()
        self.stage = number
        if 0 <= number < len(self.stages) and self.back_from is None:
            for host, why in self.excluded.items():
                self.stages[number].exclude(host, why)
            self._bar_unchecked(self.stages[number])

    def _bar_unchecked(self, now: StageProgress) -> None:
        """Units whose prechecks did not hold are left as they are."""
        for before in self.stages[: now.number]:
            if before.stage.checks and before.stage.goal is now.stage.goal:
                for unit, track in before.tracks.items():
                    if track.standing is not Standing.OK:
                        now.bar(unit, "skipped", "its prechecks did not hold")
        if now.stage.between:
            stopped = self.stages[now.number - 1].tracks.values()
            up = {track.host for track in stopped if track.role is Role.ACT and track.standing is not Standing.OK}
            for unit in [unit for unit, track in now.tracks.items() if track.host in up]:
                now.bar(unit, "skipped", "not everything is down there")

    def _staged(self, stages: Sequence[Stage], first: int = 0) -> tuple[StageProgress, ...]:
        assert self.began is not None
        alone = self.began.plan.action is Action.ROLLBACK
        back = alone or first > 0
        done = self.hooks_done
        courses = (Courses(stage, done.of, done.spent, back=back, all_owed=alone) for stage in stages)
        return tuple(map(StageProgress, range(first, first + len(stages)), stages, courses))

    def _finish(self) -> None:
        """The steps of the stage now are over."""
        if self.current is not None:
            self.current.finish()

    def _intend(self, step: Step, stamped: Stamped) -> None:
        self.hooks_done.intended(step, self.hook_of(step))
        if step.unit == RUN:
            self.hooks_of_run.intended(step, stamped)
            return
        if not 0 <= step.stage < len(self.stages):
            return
        self._goes_on(step)
        if self.owns(step):
            self.stages[step.stage].begin(step, stamped)
        elif step.phase in (Phase.READ, Phase.LOOK):
            if step.phase is Phase.READ:
                self._finish()
            self.checking += 1
            self.looking = step.phase is Phase.LOOK
        else:
            self.stages[step.stage].beside(step, stamped)

    def _goes_on(self, step: Step) -> None:
        """A step of a unit that had ended: what failed goes again without a word on a way back, or is killed, and one
        that seemed to have ended well has more to its life."""
        stage = self.stages[step.stage]
        track = stage.tracks.get(step.unit)
        if track is None or stage.is_beside(step) or is_last_reading(step, track.role):
            return
        if track in self.failures:
            if (step.phase is Phase.KILL or step.attempt > track.attempts) and stage.again(step.unit):
                self.failures.remove(track)
        else:
            stage.reopen(step.unit)

    def _end_step(self, fact: StepEnded, stamped: Stamped) -> None:
        step = fact.result.step
        self.hooks_done.ended(fact.result)
        self.kept.take(fact.result)
        if step.unit == RUN:
            self.hooks_of_run.ended(fact.result, stamped)
            return
        if REACHED_BY in fact.result.evidence:
            self.detours[step.unit.rpartition("@")[2]] = fact.result.evidence[REACHED_BY]
        if step.phase in (Phase.READ, Phase.LOOK) and not self.owns(step):
            self.checking -= 1
        if step.phase is Phase.LOOK:
            self._looked(fact.result)
        elif 0 <= step.stage < len(self.stages):
            self._end_own(fact.result, stamped)

    def _end_own(self, result: Result, stamped: Stamped) -> None:
        step, stage = result.step, self.stages[result.step.stage]
        track = stage.end(result, stamped, kills=not self._cancelled and self._decided is None)
        for later in self.stages[step.stage + 1 :]:
            later.found(step.unit, stage.state_of(step.unit))
        if track is None:
            return
        if track.standing is not Standing.OK:
            self.failures.append(track)

    def _looked(self, result: Result) -> None:
        """What a look found is where the unit is now, in the last stage that moved it; later ones begin from there."""
        unit = result.step.unit
        for stage in self.stages[max(self.stage, 0) :: -1]:
            if unit in stage.tracks:
                stage.looked(unit, result)
                break
        for later in self.stages[self.stage + 1 :]:
            later.found(unit, result.after or UNREAD)

    def owns(self, step: Step) -> bool:
        """Whether *step* is one of its unit's own: False for a look at it beside them."""
        return 0 <= step.stage < len(self.stages) and self.stages[step.stage].owns(step)

    def hook_of(self, step: Step) -> Hook | None:
        """The hook that *step* carries out, as the plan has it; None if it carries out none."""
        if step.unit == RUN:
            return self.hooks_of_run.hook(step)
        track = self._track(step)
        return track.hook_of(step) if track else None

    def words(self, step: Step) -> str:
        """What *step* is called: `stop`, `pre_stop hook drain`, `undo of drain`."""
        track = self._track(step)
        return track.name(step) if track else step_words(step)

    def process(self, step: Step) -> str:
        """The PID of the process that is stuck, as the unit's last result told; "" if it told none."""
        track = self._track(step)
        return track.process if track else ""

    def _track(self, step: Step) -> Track | None:
        return self.stages[step.stage].tracks.get(step.unit) if 0 <= step.stage < len(self.stages) else None

    def _decide(
        self, fact: DecisionAsked | DecisionGrew | DecisionAnswered | DecisionWithdrawn, stamped: Stamped
    ) -> None:
        match fact:
            case DecisionAsked():
                self.decisions.asked(fact, stamped.at, stamped.elapsed_s)
            case DecisionGrew():
                self.decisions.grew(fact)
            case DecisionWithdrawn():
                question = self.decisions.withdrawn(fact, stamped.at)
                if question is not None and question.answer is not None and question.answer.choice is self._decided:
                    self._decided = None  # it came late, and is not applied
            case DecisionAnswered():
                question = self.decisions.answered(fact, stamped.at)
                if question is not None:
                    self._obey(question, fact.answer.choice)
                if fact.answer.choice is Choice.ROLLBACK and fact.answer.source is Source.PERSON:
                    self.hooks_done.undo_again()

    def _obey(self, question: Question, choice: Choice) -> None:
        """What follows from an answer for the units of its question."""
        if choice in (Choice.ROLLBACK, Choice.HOLD, Choice.ABORT):
            self._decided = choice
        elif self._decided is Choice.HOLD:
            self._decided = None
        if question.cause.kind is CauseKind.CANCELLED and choice is Choice.CONTINUE:
            self._cancelled = False
        if self.current is None:
            return
        if choice in (Choice.RETRY, Choice.KILL):
            again = [track for unit in question.units if (track := self.current.again(unit))]
            self.failures = [failed for failed in self.failures if failed not in again]
        elif choice in (Choice.SKIP, Choice.EXCLUDE, Choice.CONTINUE):
            self._set_aside(question, choice, self.current)

    def _set_aside(self, question: Question, choice: Choice, stage: StageProgress) -> None:
        if choice is Choice.EXCLUDE:
            hosts = dict.fromkeys(stage.tracks[unit].host for unit in question.units if unit in stage.tracks)
            for host in filter(None, hosts):
                self.excluded[host] = f"{host} was excluded by decision {question.number}"
                stage.exclude(host, self.excluded[host])
        for unit in question.units:
            stage.settle(unit, "skipped")

    def _go_back(self, fact: RollbackBegan) -> None:
        self._close_all("the run goes back")
        self.back_from = len(self.stages)
        self.stage = max(self.stage, 0)
        back = self._staged(fact.stages, self.back_from)
        now = {unit: found for unit, found in self.states().items() if found}
        for stage in back:
            for unit in stage.tracks:
                stage.found(unit, now.get(unit, ""))
        self.stages += back
        self.stage = self.back_from if back else self.stage
        self.changed_since = list(fact.changed_since)
        self._decided, self._cancelled = None, False

    def _resume(self, fact: RunResumed, at: float) -> None:
        under_way = self.current.under_way.values() if self.current else ()
        lost = tuple(track.unit for track in under_way if track.busy)
        self.hooks_done.lose()
        self.hooks_of_run.lose()
        self.resumes.append(Resumed(fact=fact, at=at, lost=lost))
        self.parked, self.checking = None, 0
        self._decided = None if self._decided is Choice.HOLD else self._decided
        if self.current:
            self.failures += self.current.lose()

    def _end(self, fact: RunEnded) -> None:
        why = self.halted or "the run ended"
        self.ended = fact
        self.hooks_done.lose()
        self._close_all(f"nothing more was begun: {why}")

    def _close_all(self, why: str) -> None:
        for stage in self.stages:
            self.failures += stage.close(why)

    @property
    def halted(self) -> str:
        """Why nothing new is begun; empty: it is."""
        if self._decided is not None:
            return f"{self._decided} was decided"
        pausing = next((question for question in self.decisions.open if question.pauses), None)
        if self._cancelled:
            return "cancel was ordered"
        return pausing.headline if pausing else ""

    @property
    def current(self) -> StageProgress | None:
        """The stage that goes on, or went on last; the first one before any began."""
        return self.stages[max(self.stage, 0)] if self.stages else None

    @property
    def going(self) -> tuple[StageProgress, ...]:
        """The stages of the run, or those of its way back once that began."""
        return self.stages[self.back_from or 0 :]

    @property
    def total(self) -> int:
        """Units to go, of the way back alone once that began; checks and counts are none. Cost: O(services)."""
        return sum(row.total for row in self._rows())

    @property
    def ended_count(self) -> int:
        """How many of them have ended, however they ended. Cost: O(services)."""
        return sum(row.ended for row in self._rows())

    def _rows(self) -> Iterator[ServiceRow]:
        return (row for stage in self.going if not stage.stage.checks for row in stage.rows.values())

    @property
    def run(self) -> str:
        """The run's id; empty before the first fact."""
        return self.began.run if self.began else ""

    def states(self) -> dict[str, str]:
        """Every unit's state as read last. Cost: O(units)."""
        return {unit: track.now for stage in self.stages for unit, track in stage.tracks.items()}

    def touched(self) -> list[str]:
        """The units that the run changed or may have changed on its way forward, stage by stage. Cost: O(units)."""
        forward = self.stages[: self.back_from]
        tracks = [track for stage in forward for track in stage.tracks.values()]
        acted = {track.unit for track in tracks if track.role is Role.ACT and track.acted is not Acted.NO}
        return [unit for unit in dict.fromkeys(track.unit for track in tracks) if unit in acted]

    def elapsed_s(self, now_s: float) -> float:
        """Since the run began; stands still once it has ended or while it is parked."""
        return max(0.0, (self.last_s if self.ended or self.parked else now_s) - self.first_s)

    def remaining_s(self, now_s: float) -> float | None:
        """An estimate of the time left, from the plan's expectations; None when there is nothing to go by."""
        if self.ended or self.parked or self.current is None:
            return None
        if self.halted:
            under_way = islice(self.current.under_way.values(), LOOKED_AT)
            return max([0.0, *(track.expected_s - (now_s - track.since_s) for track in under_way)])
        later = sum(stage.stage.expected_s for stage in self.stages[max(self.stage, 0) + 1 :])
        return self.current.remaining_s(now_s) + later

    def under_way(self, most: int) -> list[Track]:
        """What is under way, the longest first."""
        return list(islice(self.current.under_way.values(), most)) if self.current else []

    def waits(self, most: int, *, held_by: int = 2) -> list[Wait]:
        """What waits for what is under way: at most *most*, each naming at most *held_by* of what it waits for."""
        return self.current.waits(most=most, held_by=held_by) if self.current and not self.halted else []

    def counts(self) -> Counter[Standing]:
        """Units by where they stand, over all stages that it goes through now. Cost: O(services)."""
        found: Counter[Standing] = Counter()
        for row in self._rows():
            found.update(row.counts)
        return found

    def tracks(self) -> Iterator[Track]:
        """Every unit of every stage, in plan order. Cost: O(units)."""
        return chain.from_iterable(stage.tracks.values() for stage in self.stages)
