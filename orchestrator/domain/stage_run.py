"""One stage of a run under way: which steps its nodes are in, which come next, and how each node ended.

Room: domain. Knows steps and results, no decisions: `runstate` says when something may begin, what goes again, and what
is given up.
"""

from dataclasses import dataclass

from orchestrator.domain.judging import pause_s
from orchestrator.domain.plan import Role, Stage
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.domain.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Again:
    """A node that goes again when its turn comes: as which attempt, how it ended before, and how long it pauses."""

    attempt: int
    outcome: Outcome
    delay_s: float = 0.0


class StageRun:
    """The steps of stage *number*, folded. Cost: building O(nodes + edges); everything else O(neighbours)."""

    def __init__(self, number: int, stage: Stage) -> None:
        self.number = number
        self.stage = stage
        self.schedule = Schedule(stage)
        self.places = {node.unit.id: place for place, node in enumerate(stage.nodes)}
        self.under_way: dict[int, Step] = {}
        self.suspended: dict[int, Outcome] = {}
        """Nodes that did not end ok, and of which nobody has said yet what becomes of them."""
        self.again: dict[int, Again] = {}
        self.due: dict[int, Step] = {}
        """Steps that follow from one that ended, and are not issued yet."""
        self.attempts: dict[int, int] = {}
        """The attempt that each node is at, if it is not the first."""

    def place(self, step: Step) -> int:
        """Where *step* belongs. Raises ValueError if it is none of this stage's."""
        place = self.places.get(step.unit)
        if place is None or step.stage != self.number:
            raise ValueError(f"step {step.id} belongs to no unit of stage {self.number}")
        return place

    def owns(self, step: Step) -> bool:
        """Whether *step* is one of its unit's own: not a look, and not the reading at the end."""
        acts = step.stage == self.number and self.stage.nodes[self.place(step)].role is Role.ACT
        return step.phase is not Phase.LOOK and not (step.phase is Phase.READ and acts)

    def intended(self, step: Step) -> None:
        """Fold in that *step* is about to be issued."""
        place = self.place(step)
        if place in self.under_way:
            raise ValueError(f"step {step.id} was asked while {self.under_way[place].id} is under way")
        if self.due.get(place) == step:
            del self.due[place]
        elif not self.schedule.begun[place] and self.schedule.lives[place] and self.first(place) == step:
            self.schedule.begin(place)
            if self.again.pop(place, None):
                self.attempts[place] = step.attempt
        else:
            raise ValueError(f"step {step.id} does not follow from what happened")
        self.under_way[place] = step

    def ended(self, result: Result) -> bool:
        """Fold in what came of a step. True: its node did not end ok, was needed, and is suspended now."""
        step = result.step
        place = self.place(step)
        if self.under_way.get(place) != step:
            raise ValueError(f"step {step.id} was answered but is not under way")
        del self.under_way[place]
        life = self.schedule.lives[place]
        if result.outcome is not Outcome.OK:
            if self.schedule.dispensable(place):
                self.schedule.end(place, result.outcome)
                return False
            self.schedule.suspend(place)
            self.suspended[place] = result.outcome
            return True
        if step.phase is life[-1]:
            self.schedule.end(place, Outcome.OK)
        else:
            self.due[place] = Step(self.number, step.unit, life[-1], step.attempt)
        return False

    def first(self, place: int) -> Step:
        """The step with which the node begins, or begins again."""
        again = self.again.get(place, Again(1, Outcome.UNKNOWN))
        unit = self.stage.nodes[place].unit.id
        return Step(self.number, unit, self.schedule.lives[place][0], again.attempt, again.delay_s)

    def due_now(self) -> list[Step]:
        """What follows from steps that ended, by rank, ties by plan order."""
        nodes = self.stage.nodes
        return [self.due[place] for place in sorted(self.due, key=lambda place: (-nodes[place].rank_s, place))]

    def retry(self, place: int, *, pausing: bool) -> None:
        """Let a suspended node go again when its turn comes; *pausing*: after a pause, and behind all others."""
        outcome = self.suspended.pop(place)
        attempt = self._next_attempt(place)
        phase = self.schedule.lives[place][0]
        step = Step(self.number, self.stage.nodes[place].unit.id, phase, attempt)
        self.again[place] = Again(attempt, outcome, pause_s(step.id, attempt) if pausing else 0.0)
        self.schedule.again(place, last=pausing)

    def repeat(self, place: int) -> None:
        """Let a node that ended ok go again, and those behind it that have not begun wait for it."""
        if self.schedule.outcomes[place] is Outcome.OK and self.schedule.lives[place]:
            self.again[place] = Again(self._next_attempt(place), Outcome.OK)
            self.schedule.reopen(place)

    def settle(self, place: int) -> None:
        """Give a suspended node up: it ended as it did, and what waits for it never begins."""
        self.schedule.settle(place, self.suspended.pop(place))

    def exclude(self, place: int) -> None:
        """Do without a node: if it has not begun, or would go again, it never does."""
        if place in self.suspended:
            self.settle(place)
        elif self.schedule.lives[place] and not self.schedule.begun[place]:
            self.schedule.bar(place)

    def lose(self) -> list[Step]:
        """The process is gone: its steps are lost, and their nodes go again. Returns the steps, in plan order."""
        lost = [self.under_way[place] for place in sorted(self.under_way)]
        for place in sorted(self.under_way):
            self.again[place] = Again(self._next_attempt(place), Outcome.UNKNOWN)
            self.schedule.suspend(place)
            self.schedule.again(place)
        self.under_way.clear()
        return lost

    def _next_attempt(self, place: int) -> int:
        return self.attempts.get(place, 1) + 1

    def outcome(self, place: int) -> Outcome | None:
        """How the node ended, as far as is known: one that was to go again, and has not, ended as before."""
        settled = self.schedule.outcomes[place]
        if settled is not None:
            return settled
        if place in self.suspended:
            return self.suspended[place]
        return self.again[place].outcome if place in self.again else None

    def outcomes(self) -> list[Outcome | None]:
        """`outcome` of every node. Cost: O(nodes)."""
        return [self.outcome(place) for place in range(len(self.stage.nodes))]
