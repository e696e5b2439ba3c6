"""Judges the facts of a run by the words of the plan alone, the slow and plain way.

Shares nothing with the schedule that it judges: every question is answered by looking at all nodes again.
"""

from dataclasses import replace
from itertools import groupby

from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    OrderTaken,
    RollbackBegan,
    StageBegan,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.plan import Node, Plan, Role, Stage
from orchestrator.domain.results import Acted, Outcome, Phase, Step


class Judge:
    """One run, followed fact by fact. Asserts as it goes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stages = plan.stages
        self.number = -1
        self.stage = Stage(goal=plan.stages[0].goal, nodes=(), barriers=())
        self.begun: list[int] = []
        self.asked: list[str] = []
        self.outcomes: dict[int, Outcome] = {}
        self.spared: list[int] = []
        self.suspended: dict[int, Outcome] = {}
        self.retried: dict[int, Outcome] = {}
        self.attempts: dict[int, int] = {}
        self.under_way: dict[int, Step | None] = {}  # None between a step and its gates
        self.looking: dict[str, Step] = {}
        self.reads: dict[str, str | None] = {}
        self.left = {n.unit.id: n.unit.seen.state.value if n.unit.seen else "" for s in plan.stages for n in s.nodes}
        self.strayed: list[str] = []
        self.failed_whole = False
        self.excluded: set[str] = set()
        self.questions: dict[int, DecisionAsked] = {}
        self.late: dict[int, tuple[DecisionAsked, Choice]] = {}  # answered, and looked first
        self.touched: set[str] = set()
        self.cancelled = self.held = self.over = self.going_back = self.turned = False

    def watch(self, facts: list[tuple[float, Fact]]) -> None:
        """Follow the whole run; whenever the clock is about to move, no slot may be wasted."""
        for _, moment in groupby(facts, key=lambda timed: timed[0]):
            for _, fact in moment:
                self._see(fact)
                self._pass_on()
            self.nothing_wasted()

    @property
    def paused(self) -> bool:
        """Whether nothing may begin, whatever for."""
        asked = any(question.pauses for question in self.questions.values())
        back = self.going_back and self.number < len(self.plan.stages)
        return bool(self.cancelled or self.held or self.over or back or asked or self.late or self.looking)

    def _see(self, fact: Fact) -> None:
        beside = isinstance(fact, StepIntended) and fact.step.phase in (Phase.LOOK, Phase.WATCH)
        if not beside and isinstance(fact, StepIntended | StageBegan | RollbackBegan):
            self._take_late()
        match fact:
            case StageBegan(stage=number):
                self._begin(number)
            case OrderTaken():
                self.cancelled = self.cancelled or not (self._complete() or self.reads)
            case Strayed(unit=unit, left=left, found=found):
                assert (left or "unknown") == (self.left[unit] or "unknown")
                assert found == (self.reads[unit] or "unknown")
                self.strayed.append(unit)
            case StepIntended(step=step):
                assert step.id not in self.asked, f"{step.id} was asked twice"
                self.asked.append(step.id)
                self._intended(step)
            case StepEnded():
                self._ended(fact)
            case RollbackBegan():
                assert self.going_back
                assert not self.under_way
                assert self.touched <= {one.split("/")[1] for one in self.asked if "/look/" in one}
                self.stages, self.turned = (*self.plan.stages, *fact.stages), True
            case _:
                self._decided(fact)

    def _begin(self, number: int) -> None:
        first = len(self.plan.stages) if self.going_back else self.number + 1
        assert number == max(first, self.number + 1)
        going = not self.going_back or self.number >= len(self.plan.stages)
        if going and self.number >= 0:
            assert not self.paused
            assert not self.suspended
            never = self.never()
            left = [n for n in range(len(self.stage.nodes)) if n not in self.outcomes and n not in never]
            assert not left, "the stage before has not ended"
            self.failed_whole |= not self._whole()
        self.number, self.stage = number, self.stages[number]
        self.begun.append(number)
        self.outcomes, self.spared, self.suspended, self.retried, self.attempts = {}, [], {}, {}, {}
        self.under_way = {}
        if self.going_back:
            self.excluded = set()

    def _decided(self, fact: Fact) -> None:
        match fact:
            case DecisionAsked():
                assert fact.decision not in self.questions
                self.questions[fact.decision] = fact
            case DecisionGrew():
                asked = self.questions[fact.decision]
                cause = replace(asked.cause, units=asked.cause.units + fact.units)
                self.questions[fact.decision] = replace(asked, cause=cause, pauses=asked.pauses or fact.pauses)
            case DecisionWithdrawn(decision=number):
                assert self.late.pop(number, None) or self.questions.pop(number, None)
            case DecisionAnswered():
                asked = self.questions.pop(fact.decision)
                assert fact.answer.choice in asked.choices
                if fact.answer.waited_s > 60 and fact.answer.choice not in (Choice.HOLD, Choice.ABORT):
                    self.late[fact.decision] = (asked, fact.answer.choice)
                else:
                    self._counts(asked, fact.answer.choice)

    def _take_late(self) -> None:
        """A late answer counts once everybody has been looked at, and nothing was withdrawn."""
        while self.late and not self.looking:
            self._counts(*self.late.pop(min(self.late)))

    def _counts(self, asked: DecisionAsked, choice: Choice) -> None:
        if not (self.over or (self.going_back and not self.turned)):
            self._answered(asked, choice)

    def _answered(self, asked: DecisionAsked, choice: Choice) -> None:
        places = [place for place in self.suspended if self.stage.nodes[place].unit.id in asked.cause.units]
        match choice:
            case Choice.ABORT:
                self.over = True
            case Choice.HOLD:
                self.held = True
            case Choice.ROLLBACK:
                self.going_back, self.cancelled = True, False
            case Choice.CONTINUE:
                self.cancelled = self.cancelled and asked.cause.kind is not CauseKind.CANCELLED
            case Choice.RETRY:
                for place in places:
                    self.retried[place] = self.suspended.pop(place)
            case Choice.SKIP | Choice.EXCLUDE:
                self._give_up(places, exclude=choice is Choice.EXCLUDE)

    def _give_up(self, places: list[int], *, exclude: bool) -> None:
        hosts = {self.stage.nodes[place].unit.host for place in places} - {None}
        self.excluded |= {str(host) for host in hosts} if exclude else set()
        for place in [*self.suspended]:
            if place in places or self.stage.nodes[place].unit.host in self.excluded:
                self.outcomes[place] = self.suspended.pop(place)

    def _intended(self, step: Step) -> None:
        if step.phase is Phase.WATCH:
            self._watched(step)
            return
        if step.phase is Phase.LOOK:
            assert step.unit not in self._units_under_way()
            self.looking[step.unit] = step
            return
        if step.phase is Phase.READ and self._node(step).role is Role.ACT:
            assert not self.under_way
            assert step.unit not in self.reads
            self.reads[step.unit] = None
            return
        place = self._place(step)
        node = self.stage.nodes[place]
        assert node.role is not Role.PASS
        if place in self.under_way:
            assert (step.phase, self.under_way[place]) == (Phase.GATE, None)
        else:
            assert step.phase is self._life(node)[0]
            self._may_begin(place)
            self.attempts[place] = self.attempts.get(place, 0) + 1
            self.retried.pop(place, None)
        assert step.attempt == self.attempts[place]
        self.under_way[place] = step

    def _watched(self, step: Step) -> None:
        """Only who ended ok and is counted on is watched, once; scripted watches never end."""
        place = self._place(step)
        assert self.outcomes[place] is Outcome.OK
        assert self.stage.nodes[place].role is Role.ACT
        assert any(place in group for barrier in self.stage.barriers for group in barrier.instances)
        assert self.number < len(self.plan.stages)

    def _may_begin(self, place: int) -> None:
        assert not self.paused, "nothing begins in a pause"
        assert not self.reads
        assert place not in self.outcomes
        assert place not in self.suspended
        assert self.free(place), "its dependencies do not hold"
        assert self.admitted(place), "a limit is exceeded"
        assert self.stage.nodes[place].unit.host not in self.excluded
        if self.retried:
            return
        mine = self._rank(place)
        rivals = [self._rank(n) for n in range(len(self.stage.nodes)) if n != place and self._could_begin(n)]
        assert self._instance(place) in self._active() or all(mine <= other for other in rivals), "out of turn"

    def _ended(self, fact: StepEnded) -> None:
        result = fact.result
        if result.step.phase is Phase.LOOK:
            assert self.looking.pop(result.step.unit) == result.step
            return
        if result.step.unit in self.reads:
            self.reads[result.step.unit] = result.after
            return
        place = self._place(result.step)
        assert self.under_way[place] == result.step
        if result.step.phase is not Phase.GATE:
            self.left[result.step.unit] = result.after
        if result.acted is not Acted.NO:
            self.touched.add(result.step.unit)
        self.under_way[place] = None
        if result.outcome is Outcome.OK and result.step.phase is not self._life(self.stage.nodes[place])[-1]:
            return
        del self.under_way[place]
        self._end(place, result.outcome)

    def _end(self, place: int, outcome: Outcome) -> None:
        excluded = self.stage.nodes[place].unit.host in self.excluded
        lost = outcome is not Outcome.OK and not self._dispensable(place) and not excluded
        if lost and self.number < len(self.plan.stages):
            self.suspended[place] = outcome
            return
        if outcome is not Outcome.OK and self._dispensable(place):
            self.spared.append(place)
        self.outcomes[place] = outcome

    def never(self) -> set[int]:
        """The nodes that have not begun and never will: each hangs on what is lost, or its host is excluded."""
        found: set[int] = set()
        while True:
            more = {n for n in range(len(self.stage.nodes)) if self._is_never(n, found)} - found
            if not more:
                return found
            found |= more

    def _is_never(self, place: int, known: set[int]) -> bool:
        node = self.stage.nodes[place]
        if place in self.outcomes or place in self.under_way or place in self.suspended:
            return False
        if node.role is not Role.PASS and self._life(node) and node.unit.host in self.excluded:
            return True
        lost = {n for n, outcome in self.outcomes.items() if outcome is not Outcome.OK} | known
        hard = [self.stage.barriers[number] for number in node.waits_for if not self.stage.barriers[number].soft]
        return any(
            sum(any(n in lost for n in group) for group in one.instances) > len(one.instances) - one.need
            for one in hard
        )

    def _dispensable(self, place: int) -> bool:
        """Whether the node was only looked at, and who counts on it can still have enough."""
        hard = [one for one in self.stage.barriers if not one.soft]
        counting = [one for one in hard if any(place in group for group in one.instances)]
        lost = {n for n, outcome in self.outcomes.items() if outcome is not Outcome.OK} | self.never() | {place}
        enough = [sum(not any(n in lost for n in group) for group in one.instances) >= one.need for one in counting]
        return self.stage.nodes[place].role is Role.PROBE and bool(counting) and all(enough)

    def _pass_on(self) -> None:
        moved = True
        while moved:
            moved = False
            for place, node in enumerate(self.stage.nodes):
                if place not in self.outcomes and not self._life(node) and self.free(place):
                    self.outcomes[place] = Outcome.OK
                    moved = True

    def nothing_wasted(self) -> None:
        """Who could begin has begun."""
        assert None not in self.under_way.values(), "gates were not asked at once"
        if self.paused or self.reads:
            return
        waiting = [self.stage.nodes[n].unit.id for n in range(len(self.stage.nodes)) if self._could_begin(n)]
        assert not waiting, f"{waiting} could have begun"

    def _whole(self) -> bool:
        ok = [outcome is Outcome.OK or place in self.spared for place, outcome in self.outcomes.items()]
        return all(ok) and len(ok) == len(self.stage.nodes)

    def _complete(self) -> bool:
        return not self.failed_whole and self.number + 1 == len(self.stages) and self._whole()

    @property
    def done(self) -> bool:
        """Whether all went as planned."""
        return self._complete() and not (self.over or self.going_back or self.cancelled or self.strayed)

    def _could_begin(self, place: int) -> bool:
        fresh = place not in self.outcomes and place not in self.under_way and place not in self.suspended
        allowed = self.stage.nodes[place].unit.host not in self.excluded
        return fresh and allowed and self.free(place) and self.admitted(place)

    def free(self, place: int) -> bool:
        """Whether the barriers of the node are open, and who goes before it has begun, or never will."""
        node = self.stage.nodes[place]
        before = node.begins_after
        begun = {*self.outcomes, *self.under_way, *self.suspended, *self.retried}
        led = before is None or before in begun or before in self.never()
        return led and all(self._open(number) for number in node.waits_for)

    def _open(self, number: int) -> bool:
        barrier = self.stage.barriers[number]
        if barrier.soft:
            never = self.never()
            return all(place in self.outcomes or place in never for group in barrier.instances for place in group)
        whole = [all(self.outcomes.get(place) is Outcome.OK for place in group) for group in barrier.instances]
        return sum(whole) >= barrier.need

    def admitted(self, place: int) -> bool:
        """Whether the node's instance is under way already, or each of its limits has room for one more."""
        unit, limits, active = self.stage.nodes[place].unit, self.stage.limits, self._active()
        if unit.instance in active:
            return True
        on_host = [host for _, host in active.values() if host is not None and host == unit.host]
        of_service = [service for service, _ in active.values() if service == unit.service]
        return (
            (limits.run is None or len(active) < limits.run)
            and (limits.host is None or len(on_host) < limits.host)
            and len(of_service) < dict(limits.services).get(unit.service, 10**9)
        )

    def _active(self) -> dict[str, tuple[str, str | None]]:
        units = [self.stage.nodes[place].unit for place in self.under_way]
        return {unit.instance: (unit.service, unit.host) for unit in units}

    def _units_under_way(self) -> list[str]:
        return [self.stage.nodes[place].unit.id for place in self.under_way]

    def _instance(self, place: int) -> str:
        return self.stage.nodes[place].unit.instance

    def _rank(self, place: int) -> tuple[float, int]:
        mine = [(-n.rank_s, at) for at, n in enumerate(self.stage.nodes) if n.unit.instance == self._instance(place)]
        return min(rank for rank, _ in mine), min(at for _, at in mine)

    def _life(self, node: Node) -> list[Phase]:
        gate = [Phase.GATE] if node.gates else []
        if node.role is Role.PASS:
            return []
        if node.role is Role.ACT:
            return [Phase.START if self.stage.goal == "Running" else Phase.STOP, *gate]
        return [*([Phase.READ] if node.unit.scm_name else []), *gate]

    def _node(self, step: Step) -> Node:
        return next(node for node in self.stages[step.stage].nodes if node.unit.id == step.unit)

    def _place(self, step: Step) -> int:
        assert step.stage == self.number
        return next(place for place, node in enumerate(self.stage.nodes) if node.unit.id == step.unit)
