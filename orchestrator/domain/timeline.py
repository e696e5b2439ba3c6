"""A run as eyes see it: facts and notes folded once into what every view draws.

Room: domain. Holds no clock: times come with the facts, and "now" as an argument, on the facts' own monotonic clock.
Notes may be lost; nothing here decides anything.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, islice
from typing import Any, assert_never

from orchestrator.domain.facts import (
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
from orchestrator.domain.progress import LOOKED_AT, StageProgress, Track, Wait
from orchestrator.domain.results import REACHED_BY, Note, Phase, Step
from orchestrator.domain.runstate import Standing


class Timeline:
    """Folds the facts of one run, the first (`RunBegan`) first.

    Cost: the first fact O(plan); every other O(neighbours); reading is O(what is shown), unless said otherwise.
    """

    def __init__(self) -> None:
        self.began: RunBegan | None = None
        self.ended: RunEnded | None = None
        self.began_at = 0.0
        """UTC, seconds since 1970; `last_at` is the latest fact's."""
        self.last_at = 0.0
        self.last_s = 0.0
        """The latest fact's time on the monotonic clock; the run began at `first_s`."""
        self.first_s = 0.0
        self.stages: tuple[StageProgress, ...] = ()
        self.stage = -1
        """The stage that goes on, or went on last; -1 before the first."""
        self.total = 0
        self.ended_count = 0
        self.failures: list[Track] = []
        """Failed and unknown units, in the order in which they ended."""
        self.strayed: list[Strayed] = []
        self.orders: list[str] = []
        self.detours: dict[str, str] = {}
        """The hosts that were not reached by the first of their ways, and how and why at last."""
        self.checking = 0
        """Readings under way that belong to no unit's own steps: the look at everybody at the end."""
        self.halted = ""
        """Why nothing new is begun; empty: it is."""

    def fact(self, stamped: Stamped) -> None:
        """Take one fact in."""
        self.last_at, self.last_s = stamped.at, stamped.elapsed_s
        fact = stamped.fact
        match fact:
            case RunBegan():
                self._begin(fact, stamped)
            case StageBegan(stage=stage):
                self.stage = stage
            case StepIntended(step=step):
                self._intend(step, stamped)
            case StepEnded():
                self._end_step(fact, stamped)
            case OrderTaken(order=order):
                self.orders.append(order)
                self.halted = self.halted or f"{order} was ordered"
            case Strayed():
                self.strayed.append(fact)
            case RunEnded():
                self._end(fact)
            case (
                DecisionAsked()
                | DecisionGrew()
                | DecisionAnswered()
                | DecisionWithdrawn()
                | RollbackBegan()
                | RunParked()
                | RunResumed()
            ):
                pass
            case _:
                assert_never(fact)

    def note(self, note: Note) -> None:
        """Take in what a step saw on its way."""
        if 0 <= note.step.stage < len(self.stages):
            self.stages[note.step.stage].note(note.step, note.text)

    def _begin(self, fact: RunBegan, stamped: Stamped) -> None:
        self.began, self.began_at, self.first_s = fact, stamped.at, stamped.elapsed_s
        self.stages = tuple(StageProgress(number, stage) for number, stage in enumerate(fact.plan.stages))
        self.total = sum(len(stage.tracks) for stage in self.stages)

    def _intend(self, step: Step, stamped: Stamped) -> None:
        if self.owns(step):
            self.stages[step.stage].begin(step, stamped)
        elif step.phase is Phase.READ:
            self.checking += 1

    def _end_step(self, fact: StepEnded, stamped: Stamped) -> None:
        step = fact.result.step
        if REACHED_BY in fact.result.evidence:
            self.detours[step.unit.rpartition("@")[2]] = fact.result.evidence[REACHED_BY]
        if step.phase is Phase.READ and not self.owns(step):
            self.checking -= 1
        if not 0 <= step.stage < len(self.stages):
            return
        track = self.stages[step.stage].end(fact.result, stamped)
        for later in self.stages[step.stage + 1 :]:
            later.found(step.unit, self.stages[step.stage].state_of(step.unit))
        if track is None:
            return
        self.ended_count += 1
        if track.standing is not Standing.OK:
            self.failures.append(track)
            if not self.stages[step.stage].spares(track):
                self.halted = (
                    self.halted or f"{track.unit} {'failed' if track.standing is Standing.FAILED else 'is unknown'}"
                )

    def owns(self, step: Step) -> bool:
        """Whether *step* is one of its unit's own: False for the look at everybody at the end."""
        return 0 <= step.stage < len(self.stages) and self.stages[step.stage].owns(step)

    def _end(self, fact: RunEnded) -> None:
        self.ended = fact
        for stage in self.stages:
            stage.close(f"nothing more was begun: {self.halted or 'the run ended'}")

    @property
    def current(self) -> StageProgress | None:
        """The stage that goes on, or went on last; the first one before any began."""
        return self.stages[max(self.stage, 0)] if self.stages else None

    @property
    def run(self) -> str:
        """The run's id; empty before the first fact."""
        return self.began.run if self.began else ""

    def elapsed_s(self, now_s: float) -> float:
        """Since the run began; stands still once it has ended."""
        return max(0.0, (self.last_s if self.ended else now_s) - self.first_s)

    def remaining_s(self, now_s: float) -> float | None:
        """An estimate of the time left, from the plan's expectations; None when there is nothing to go by."""
        if self.ended or self.current is None:
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
        """Units by where they stand, over all stages. Cost: O(services)."""
        found: Counter[Standing] = Counter()
        for stage in self.stages:
            for row in stage.rows.values():
                found.update(row.counts)
        return found

    def tracks(self) -> Iterator[Track]:
        """Every unit of every stage, in plan order. Cost: O(units)."""
        return chain.from_iterable(stage.tracks.values() for stage in self.stages)

    def snapshot(self, now_s: float) -> dict[str, Any]:
        """Everything as JSON can hold it, `orch show --json`. Cost: O(units)."""
        began, ended = self.began, self.ended
        return {
            "run": self.run,
            "plan": began.plan.name if began else None,
            "action": began.plan.action if began else None,
            "requester": began.requester if began else None,
            "controller": began.controller if began else None,
            "command": began.command if began else None,
            "began_at": self.began_at,
            "ended_at": self.last_at if ended else None,
            "elapsed_s": self.elapsed_s(now_s),
            "remaining_s": self.remaining_s(now_s),
            "verdict": ended.verdict if ended else None,
            "exit_code": ended.exit_code if ended else None,
            "halted": self.halted or None,
            "orders": list(self.orders),
            "counts": dict(ended.counts)
            if ended
            else {str(word): count for word, count in self.counts().items() if count},
            "stages": [_stage_snapshot(stage) for stage in self.stages],
            "units": [_track_snapshot(track) for track in self.tracks()],
            "failures": [track.unit for track in self.failures],
            "strayed": [asdict(strayed) for strayed in self.strayed],
            "detours": dict(self.detours),
            "left_alone": [asdict(left) for left in began.plan.left_alone] if began else [],
        }


def _stage_snapshot(stage: StageProgress) -> dict[str, Any]:
    return {
        "goal": stage.stage.goal,
        "services": {
            row.service: {"total": row.total} | {str(standing): row.counts[standing] for standing in Standing}
            for row in stage.rows.values()
        },
    }


def _track_snapshot(track: Track) -> dict[str, Any]:
    problem = track.result.problem if track.result else None
    return {
        "unit": track.unit,
        "service": track.service,
        "host": track.host,
        "stage": track.stage,
        "goal": track.goal,
        "standing": track.standing,
        "phase": track.phase,
        "before": track.before,
        "now": track.now,
        "acted": track.acted,
        "attempts": track.attempts,
        "exchanges": track.exchanges,
        "began_at": track.began_at,
        "ended_at": track.ended_at,
        "took_s": track.took_s,
        "said": track.result.said if track.result else "",
        "problem": asdict(problem) if problem else None,
        "why": track.why,
    }
