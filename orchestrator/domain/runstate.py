"""Where a run stands, folded from its facts, and what follows from that.

Room: domain. The conductor appends facts and carries steps to the world; which step may be issued, when a stage is
over, and what the verdict is are decided here. The same facts give the same state and the same decisions.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from orchestrator.domain.facts import Fact, OrderTaken, RunBegan, RunEnded, StageBegan, StepEnded, StepIntended, Strayed
from orchestrator.domain.plan import Plan, Role, Stage
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.domain.schedule import Schedule
from orchestrator.domain.service import State

CANCEL = "cancel"
UNREAD = "unknown"
"""What `Strayed` says for a state that could not be read."""
_NO_STAGE = Stage(goal=State.RUNNING, nodes=(), barriers=())


class Verdict(StrEnum):
    """How a run ended, in `RunEnded`'s words."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


EXIT_CODES = {Verdict.DONE: 0, Verdict.FAILED: 1, Verdict.CANCELLED: 5}


class Standing(StrEnum):
    """Where one unit stands in the stage now. UNTOUCHED: nothing was asked of it, and nothing will be."""

    WAITING = "waiting"
    UNDER_WAY = "under way"
    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNTOUCHED = "untouched"


class RunState:
    """One run over one plan.

    After the first failed or unknown node, or a cancel, no node begins any more (`halted` says which of them came
    first); those under way go on to the end of their gates. A node that is only probed may fail as long as whoever
    needs some of its kind can have enough without it. A stage begins when the one before it ended whole. When
    none is left to begin, every unit that the last one was to act on is read once more.

    `left` holds per unit the state in which the run left it: what its last step read, or the plan's survey, or "" if
    that step could not read it.

    Cost: a stage's beginning O(nodes + edges); every other fact O(its neighbours).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.run = ""
        self.stage = -1
        self.halted: Verdict | None = None
        self.orders: list[str] = []
        self.left: dict[str, str] = {}
        self.strayed: list[Strayed] = []
        self.ended: RunEnded | None = None
        for stage in plan.stages:
            for node in stage.nodes:
                self.left.setdefault(node.unit.id, node.unit.seen.state if node.unit.seen else "")
        self._past: list[list[Outcome | None]] = []
        self._now = _NO_STAGE
        self._schedule = Schedule(_NO_STAGE)
        self._places: dict[str, int] = {}
        self._under_way: dict[int, Step] = {}
        self._due: dict[int, Step] = {}
        self._finals: dict[int, tuple[str, str]] = {}  # what the last read of a node found and said; "" before it ended
        self._strays_due: dict[int, Strayed] = {}
        self._closing = False

    @classmethod
    def begin(cls, plan: Plan) -> "RunState":
        """A run of *plan* of which nothing has happened yet."""
        return cls(plan)

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
            case OrderTaken():
                self._order_taken(fact.order)
            case Strayed():
                self.strayed.append(fact)
                self._strays_due.pop(self._places[fact.unit], None)
            case RunBegan():
                self.run = fact.run
            case RunEnded():
                self.ended = fact

    def _order_taken(self, order: str) -> None:
        self.orders.append(order)
        if order == CANCEL and not self._complete and self.halted is None:
            self.halted = Verdict.CANCELLED

    def _stage_began(self, number: int) -> None:
        if number != self.stage + 1 or number >= len(self.plan.stages) or self._under_way:
            raise ValueError(f"stage {number} can't begin after stage {self.stage}")
        if self.stage >= 0:
            self._past.append(self._schedule.outcomes)
        self.stage = number
        self._now = self.plan.stages[number]
        self._schedule = Schedule(self._now)
        self._places = {node.unit.id: place for place, node in enumerate(self._now.nodes)}

    def _intended(self, step: Step) -> None:
        place = self._place(step)
        node = self._now.nodes[place]
        if place in self._under_way:
            raise ValueError(f"step {step.id} was asked while {self._under_way[place].id} is under way")
        if node.role is Role.ACT and step.phase is Phase.READ:
            if place in self._finals:
                raise ValueError(f"step {step.id} was asked twice")
            self._finals[place] = ("", "")
        elif self._due.get(place) == step:
            del self._due[place]
        elif not self._schedule.begun[place] and self._schedule.lives[place][:1] == (step.phase,):
            self._schedule.begin(place)
        else:
            raise ValueError(f"step {step.id} does not follow from what happened")
        self._under_way[place] = step

    def _step_ended(self, result: Result) -> None:
        step = result.step
        place = self._place(step)
        if self._under_way.get(place) != step:
            raise ValueError(f"step {step.id} was answered but is not under way")
        del self._under_way[place]
        if place in self._finals:
            self._read_last(place, result.after or UNREAD, result.said)
            return
        if step.phase is not Phase.GATE:
            self.left[step.unit] = result.after
        life = self._schedule.lives[place]
        if result.outcome is not Outcome.OK:
            self._schedule.end(place, result.outcome)
            if place not in self._schedule.spared:
                self.halted = self.halted or Verdict.FAILED
        elif step.phase is life[-1]:
            self._schedule.end(place, Outcome.OK)
        else:
            self._due[place] = Step(self.stage, step.unit, life[-1])

    def _read_last(self, place: int, found: str, said: str) -> None:
        unit = self._now.nodes[place].unit.id
        left = self.left[unit] or UNREAD
        self._finals[place] = (found, said)
        told = self._schedule.outcomes[place] in (Outcome.FAILED, Outcome.UNKNOWN)
        if found == left and (found != UNREAD or told):  # one that can't be read any more is told once
            return
        if found == UNREAD:
            self._strays_due[place] = Strayed(unit, left, found, said)
        elif left == UNREAD:
            self._strays_due[place] = Strayed(unit, left, found, "the last step could not read the state")
        else:
            self._strays_due[place] = Strayed(unit, left, found)

    def _place(self, step: Step) -> int:
        place = self._places.get(step.unit)
        if place is None or step.stage != self.stage:
            raise ValueError(f"step {step.id} belongs to no unit of stage {self.stage}")
        return place

    # What follows

    def decide(self) -> list[Fact]:
        """Apply and return the facts that follow from the state now: stages and steps to begin, units that strayed.

        They must be on disk before any of their steps is issued. Gates come first, then nodes by rank, ties by plan
        order. No steps and nothing under way means that the run is over.
        """
        facts: list[Fact] = []
        for place in sorted(self._strays_due):
            self._follow(facts, self._strays_due[place])
        while True:
            self._go_on(facts)
            if self._under_way or self._closing:
                return facts
            if self._complete or self.halted is not None or not self._schedule.whole:
                break
            self._follow(facts, StageBegan(self.stage + 1))
        self._closing = True
        for place, node in enumerate(self._now.nodes):
            if node.role is Role.ACT and place not in self._finals:
                self._follow(facts, StepIntended(Step(self.stage, node.unit.id, Phase.READ)))
        return facts

    def _go_on(self, facts: list[Fact]) -> None:
        """What is under way goes on in any case; what waits begins unless the run is halted."""
        nodes, schedule = self._now.nodes, self._schedule
        for place in sorted(self._due, key=lambda place: (-nodes[place].rank_s, place)):
            self._follow(facts, StepIntended(self._due[place]))
        if self.halted is not None:
            return
        while (following := schedule.next_node()) is not None:
            first = schedule.lives[following][0]
            self._follow(facts, StepIntended(Step(self.stage, nodes[following].unit.id, first)))

    def _follow(self, facts: list[Fact], fact: Fact) -> None:
        self.apply(fact)
        facts.append(fact)

    # What is known

    @property
    def _complete(self) -> bool:
        """Whether every node of every stage ended ok."""
        return self.stage + 1 == len(self.plan.stages) and self._schedule.whole

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages by number: the plan's, then those of the way back."""
        return self.plan.stages

    @property
    def asking(self) -> tuple[int, ...]:
        """The decisions that wait for an answer, in order."""
        return ()

    @property
    def held(self) -> bool:
        """Whether somebody answered to hold: the run goes on when it is resumed."""
        return False

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do but to end."""
        return self._closing and not self._under_way and not self._strays_due

    @property
    def under_way(self) -> list[Step]:
        """The steps that were asked and not answered, in plan order."""
        return [self._under_way[place] for place in sorted(self._under_way)]

    def standing(self, unit: str) -> Standing:
        """Where *unit* stands in the stage now.

        Raises:
            KeyError: the stage has no such unit.
        """
        place = self._places[unit]
        outcome = self._schedule.outcomes[place]
        if outcome is not None:
            return Standing(outcome.value)
        if self._schedule.begun[place]:
            return Standing.UNDER_WAY
        return Standing.UNTOUCHED if self.halted or self._closing else Standing.WAITING

    def verdict(self) -> RunEnded:
        """How the run ended, once nothing is left to do.

        `done` only if every node that was needed ended ok and every unit was found at the end where the run left it.
        The counts are of units to be acted on, by the last stage that began with them; units that were only probed
        count if they failed or are unknown, and were needed. `strayed` is there if any unit was.
        """
        counts = self._counts()
        if self.strayed:
            counts["strayed"] = len(self.strayed)
        verdict = self.halted or (Verdict.DONE if self._complete and not self.strayed else Verdict.FAILED)
        return RunEnded(verdict=verdict.value, exit_code=EXIT_CODES[verdict], counts=counts)

    def _counts(self) -> dict[str, int]:
        counts = {word.value: 0 for word in (Standing.OK, Standing.FAILED, Standing.UNKNOWN, Standing.UNTOUCHED)}
        counted: set[str] = set()
        outcomes = [*self._past, self._schedule.outcomes]
        for number in range(min(max(self.stage, 0), len(self.plan.stages) - 1), -1, -1):
            for place, node in enumerate(self.plan.stages[number].nodes):
                outcome = outcomes[number][place] if number <= self.stage else None
                acted = node.role is Role.ACT and node.unit.id not in counted
                spared = number == self.stage and place in self._schedule.spared  # no stop spares anybody
                if acted or (outcome in (Outcome.FAILED, Outcome.UNKNOWN) and not spared):
                    counts[outcome or Standing.UNTOUCHED.value] += 1
                    counted.add(node.unit.id)
        return counts

    # To and from JSON

    def dump(self) -> dict[str, Any]:
        """The state without its plan, as JSON values. Equal states dump equally."""
        begun = self._schedule.begun
        return {
            "run": self.run,
            "stage": self.stage,
            "halted": self.halted,
            "orders": list(self.orders),
            "left": dict(self.left),
            "past": [list(outcomes) for outcomes in self._past],
            "outcomes": list(self._schedule.outcomes),
            "begun": [place for place, outcome in enumerate(self._schedule.outcomes) if begun[place] and not outcome],
            "under_way": [[step.unit, step.phase, step.attempt] for step in self.under_way],
            "finals": [[place, *self._finals[place]] for place in sorted(self._finals)],
            "strayed": [[fact.unit, fact.left, fact.found, fact.why] for fact in self.strayed],
            "ended": self.ended and [self.ended.verdict, self.ended.exit_code, self.ended.counts],
        }

    @classmethod
    def load(cls, plan: Plan, dumped: Mapping[str, Any]) -> "RunState":
        """The state that was dumped, over the plan that it had. Cost: O(nodes + edges)."""
        state = cls(plan)
        for number in range(dumped["stage"] + 1):
            state._stage_began(number)
        state._past = [_outcomes(past) for past in dumped["past"]]
        state._restore(_outcomes(dumped["outcomes"]), dumped)
        state.run = dumped["run"]
        state.halted = Verdict(dumped["halted"]) if dumped["halted"] else None
        state.orders = list(dumped["orders"])
        state.left = dict(dumped["left"])
        state.strayed = [Strayed(*fact) for fact in dumped["strayed"]]
        if dumped["ended"]:
            verdict, exit_code, counts = dumped["ended"]
            state.ended = RunEnded(verdict=verdict, exit_code=exit_code, counts=dict(counts))
        known = {fact.unit for fact in state.strayed}
        for place, found, said in dumped["finals"]:
            state._finals[place] = (found, said)
            if found and state._now.nodes[place].unit.id not in known:
                state._read_last(place, found, said)
        return state

    def _restore(self, outcomes: list[Outcome | None], dumped: Mapping[str, Any]) -> None:
        nodes, lives = self._now.nodes, self._schedule.lives
        for place in dumped["begun"]:
            self._schedule.begin(place)
        for place, outcome in enumerate(outcomes):
            if outcome is not None and lives[place]:
                self._schedule.begin(place)
                self._schedule.end(place, outcome)
        for unit, phase, attempt in dumped["under_way"]:
            self._under_way[self._places[unit]] = Step(self.stage, unit, Phase(phase), attempt)
        for place in dumped["begun"]:
            if place not in self._under_way:
                self._due[place] = Step(self.stage, nodes[place].unit.id, lives[place][-1])


def _outcomes(dumped: list[str | None]) -> list[Outcome | None]:
    return [None if word is None else Outcome(word) for word in dumped]
