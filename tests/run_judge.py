"""Judges the facts of a run by the words of the plan alone, the slow and plain way.

Shares nothing with the schedule that it judges: every question is answered by looking at all nodes again.
"""

from itertools import groupby

from orchestrator.domain.facts import Fact, OrderTaken, StageBegan, StepEnded, StepIntended, Strayed
from orchestrator.domain.plan import Node, Plan, Role, Stage
from orchestrator.domain.results import Outcome, Phase, Step


class Judge:
    """One run, followed fact by fact. Asserts as it goes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.number = -1
        self.stage = Stage(goal=plan.stages[0].goal, nodes=(), barriers=())
        self.halted = False
        self.asked: list[str] = []
        self.outcomes: dict[int, Outcome] = {}
        self.spared: list[int] = []
        self.under_way: dict[int, Step | None] = {}  # None between a step and its gates
        self.reads: dict[str, str | None] = {}
        self.left = {n.unit.id: n.unit.seen.state.value if n.unit.seen else "" for s in plan.stages for n in s.nodes}
        self.strayed: list[str] = []

    def watch(self, facts: list[tuple[float, Fact]]) -> None:
        """Follow the whole run; whenever the clock is about to move, no slot may be wasted."""
        for _, moment in groupby(facts, key=lambda timed: timed[0]):
            for _, fact in moment:
                self._see(fact)
                self._pass_on()
            self.nothing_wasted()

    def _see(self, fact: Fact) -> None:
        match fact:
            case StageBegan(stage=number):
                assert number == self.number + 1
                assert not self.halted
                assert len(self.outcomes) == len(self.stage.nodes), "the stage before has not ended"
                self.number, self.stage = number, self.plan.stages[number]
                self.outcomes, self.spared, self.under_way = {}, [], {}
            case OrderTaken():
                self.halted = self.halted or not self._complete()
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

    def _intended(self, step: Step) -> None:
        place = self._place(step)
        node = self.stage.nodes[place]
        assert node.role is not Role.PASS
        if step.phase is Phase.READ and node.role is Role.ACT:
            assert not self.under_way or all(unit in self.reads for unit in self._units_under_way())
            self.reads[step.unit] = None
        elif place in self.under_way:
            assert (step.phase, self.under_way[place]) == (Phase.GATE, None)
        else:
            assert step.phase is self._life(node)[0]
            self._may_begin(place)
        self.under_way[place] = step

    def _may_begin(self, place: int) -> None:
        assert not self.halted, "nothing begins after a failure or a cancel"
        assert place not in self.outcomes
        assert self.free(place), "its dependencies do not hold"
        assert self.admitted(place), "a limit is exceeded"
        mine = self._rank(place)
        rivals = [self._rank(n) for n in range(len(self.stage.nodes)) if n != place and self._could_begin(n)]
        assert self._instance(place) in self._active() or all(mine <= other for other in rivals), "out of turn"

    def _ended(self, fact: StepEnded) -> None:
        result = fact.result
        place = self._place(result.step)
        assert self.under_way[place] == result.step
        if result.step.unit in self.reads:
            self.reads[result.step.unit] = result.after
            del self.under_way[place]
            return
        if result.step.phase is not Phase.GATE:
            self.left[result.step.unit] = result.after
        self.under_way[place] = None
        if result.outcome is not Outcome.OK or result.step.phase is self._life(self.stage.nodes[place])[-1]:
            self.outcomes[place] = result.outcome
            del self.under_way[place]
        if result.outcome is not Outcome.OK:
            if self._dispensable(place):
                self.spared.append(place)
            else:
                self.halted = True

    def _dispensable(self, place: int) -> bool:
        """Whether the node was only looked at, and who counts on it can still have enough."""
        hard = [one for one in self.stage.barriers if not one.soft]
        counting = [one for one in hard if any(place in group for group in one.instances)]
        enough = [
            sum(all(self.outcomes.get(n, Outcome.OK) is Outcome.OK for n in group) for group in one.instances)
            >= one.need
            for one in counting
        ]
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
        if self.halted:
            return
        waiting = [self.stage.nodes[n].unit.id for n in range(len(self.stage.nodes)) if self._could_begin(n)]
        assert not waiting, f"{waiting} could have begun"
        assert None not in self.under_way.values(), "gates were not asked at once"

    def _complete(self) -> bool:
        ok = [outcome is Outcome.OK or place in self.spared for place, outcome in self.outcomes.items()]
        return self.number + 1 == len(self.plan.stages) and all(ok) and len(ok) == len(self.stage.nodes)

    def _could_begin(self, place: int) -> bool:
        fresh = place not in self.outcomes and place not in self.under_way
        return fresh and self.free(place) and self.admitted(place)

    def free(self, place: int) -> bool:
        """Whether the barriers of the node are open, and who goes before it has begun."""
        node = self.stage.nodes[place]
        before = node.begins_after
        begun = before is None or before in self.outcomes or before in self.under_way
        return begun and all(self._open(number) for number in node.waits_for)

    def _open(self, number: int) -> bool:
        barrier = self.stage.barriers[number]
        if barrier.soft:
            return all(place in self.outcomes for group in barrier.instances for place in group)
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

    def _place(self, step: Step) -> int:
        assert step.stage == self.number
        return next(place for place, node in enumerate(self.stage.nodes) if node.unit.id == step.unit)
