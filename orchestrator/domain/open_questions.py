"""The decisions of a run that are open, held, or answered so late that a look comes first.

Room: domain. A fold of the facts about decisions; what an answer does is `runstate`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.domain.decision_log import given
from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice
from orchestrator.domain.facts import DecisionAnswered, DecisionAsked, DecisionGrew, DecisionWithdrawn, Fact

LATE_S = 60.0
"""An answer that took longer than this meets a fresh look at the units before it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """A decision that waits for its answer, with its cause as grown so far."""

    decision: int
    cause: Cause
    choices: tuple[Choice, ...]
    pauses: bool


@dataclass(slots=True)
class Asked:
    """A question as it grows; `cause` has no units, they are in `units`. `held`: it was answered with hold before."""

    cause: Cause
    units: dict[str, None]
    choices: tuple[Choice, ...]
    pauses: bool
    held: bool = False


class Questions:
    """Decisions by number. Cost: a fact O(its units)."""

    def __init__(self) -> None:
        self.last = 0
        self.open: dict[int, Asked] = {}
        self.held: dict[int, Asked] = {}
        """Answered with hold, and not asked again yet."""
        self.on_hold: dict[int, None] = {}
        """Open ones that were asked again after a hold: the run parks, and none of them is answered or resumed yet."""
        self.late: dict[int, tuple[Asked, Answer]] = {}
        """Answered, and not in force before a look has shown that things are as the question said."""

    @property
    def pausing(self) -> bool:
        """Whether nothing new may begin. Cost: O(open)."""
        return bool(self.held or self.on_hold or self.late) or any(asked.pauses for asked in self.open.values())

    def not_applied(self) -> str:
        """Begins a sentence about the late answers that are not in force for what changed; "" if there are none."""
        words = [given(answer) for _, (_, answer) in sorted(self.late.items())]
        return f"{', '.join(words)} {'was' if len(words) == 1 else 'were'} not applied: " if words else ""

    def kinds(self) -> list[CauseKind]:
        """What is open, held or answered late."""
        waiting = [*self.open.values(), *self.held.values(), *(asked for asked, _ in self.late.values())]
        return [asked.cause.kind for asked in waiting]

    def alike(self, cause: Cause, *, kill: bool = False) -> int | None:
        """The open decision about failures of the same cause as *cause* (without units), if there is one; *kill*:
        one of those whose processes may be ended."""
        for number, asked in self.open.items():
            kinds = (CauseKind.FAILURE, CauseKind.VANISHED)
            same = (asked.cause.problem, asked.cause.service) == (cause.problem, cause.service)
            if same and asked.cause.kind in kinds and cause.kind in kinds and kill == (Choice.KILL in asked.choices):
                return number
        return None

    def of_kind(self, kind: CauseKind) -> int | None:
        """The open decision of that kind, if there is one."""
        return next((number for number, asked in self.open.items() if asked.cause.kind is kind), None)

    def whole(self, number: int) -> OpenQuestion:
        """One open decision, for people. Cost: O(its units)."""
        asked = self.open[number]
        cause = replace(asked.cause, units=tuple(asked.units))
        return OpenQuestion(decision=number, cause=cause, choices=asked.choices, pauses=asked.pauses)

    def asked(self, fact: DecisionAsked) -> None:
        """Raises ValueError if the number is not the next one."""
        if fact.decision != self.last + 1:
            raise ValueError(f"decision {fact.decision} was asked after decision {self.last}")
        if fact.held and not self.held:
            raise ValueError(f"decision {fact.decision} asks again, and nothing was answered with hold")
        self.last = fact.decision
        units = dict.fromkeys(fact.cause.units)
        self.open[fact.decision] = Asked(replace(fact.cause, units=()), units, fact.choices, fact.pauses, fact.held)
        if fact.held:
            self.held.pop(min(self.held), None)
            self.on_hold[fact.decision] = None

    def again(self) -> list[Fact]:
        """What asks the first that was answered with hold again, so that it can be answered while the run is parked.
        What is asked for the same reason is asked together with it."""
        if not self.held:
            return []
        asked = self.held[min(self.held)]
        twin = self.alike(asked.cause, kill=Choice.KILL in asked.choices)
        why = "it is asked together with what was held"
        withdrawn = [] if twin is None else [DecisionWithdrawn(decision=twin, why=why)]
        cause = replace(asked.cause, units=tuple(asked.units))
        number = self.last + 1
        asks = DecisionAsked(decision=number, cause=cause, choices=asked.choices, pauses=asked.pauses, held=True)
        return [*withdrawn, asks]

    def grew(self, fact: DecisionGrew) -> None:
        """A failure that makes most hosts vanish makes its decision one about that. Raises ValueError if it is not
        open."""
        asked = self._open(fact.decision)
        asked.units.update(dict.fromkeys(fact.units))
        if fact.pauses and not asked.pauses:
            asked.pauses = True
            asked.cause = replace(asked.cause, kind=CauseKind.VANISHED)

    def answered(self, fact: DecisionAnswered) -> Asked:
        """It is open no more. Raises ValueError if it was not."""
        asked = self._open(fact.decision)
        if fact.answer.choice not in asked.choices:
            raise ValueError(f"decision {fact.decision} can't be answered with {fact.answer.choice}")
        self.on_hold.pop(fact.decision, None)
        return self.open.pop(fact.decision)

    def withdrawn(self, fact: DecisionWithdrawn) -> Asked:
        """It is open no more, or its late answer is not in force. Raises ValueError if it was neither."""
        if fact.decision in self.late:
            return self.late.pop(fact.decision)[0]
        asked = self._open(fact.decision)
        del self.open[fact.decision]
        self.on_hold.pop(fact.decision, None)
        return asked

    def _open(self, number: int) -> Asked:
        if number not in self.open:
            raise ValueError(f"decision {number} is not open")
        return self.open[number]

    def without(self, units: Iterable[str]) -> None:
        """What became of *units* is decided: they are no longer part of any question."""
        for unit in units:
            for asked in (*self.open.values(), *self.held.values()):
                asked.units.pop(unit, None)
