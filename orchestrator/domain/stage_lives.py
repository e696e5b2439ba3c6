"""The lives of one stage's nodes: where each goes on, what is left out of it, and what it owes when it is given up.

Room: domain. What happens to nodes, and what they become, is `stage_run`'s.
"""

from collections.abc import Collection, Mapping

from orchestrator.domain.life import Hook
from orchestrator.domain.parts import (
    GIVEN_UP,
    KEPT_DOWN,
    Part,
    act_of,
    goal_of,
    goes_down,
    hook_of,
    left_out,
    place_of,
)
from orchestrator.domain.plan import Node, Role, Stage
from orchestrator.domain.results import Phase, Step
from orchestrator.domain.schedule import Schedule
from orchestrator.domain.service import State


class StageLives:
    """The lives of stage *number*; *owed*, *spent*, *done* and *back* are as of `StageRun`. Cost: building O(nodes +
    edges); everything else O(parts of the node)."""

    def __init__(
        self,
        number: int,
        stage: Stage,
        owed: Mapping[str, Collection[str]],
        spent: Mapping[str, Collection[str]],
        done: Mapping[str, Collection[str]],
        *,
        back: bool,
    ) -> None:
        self.number = number
        self.stage = stage
        self.schedule = Schedule(stage)
        self.places = {node.unit.id: place for place, node in enumerate(stage.nodes)}
        self.goes_on_at: dict[int, Part] = {}
        """Where a suspended node, or one that goes again, goes on, if that is not its first part."""
        self.due: dict[int, Step] = {}
        """Steps that follow from one that ended, and are not issued yet."""
        self.at_goal: dict[int, None] = {}
        """Nodes whose units were at the goal of their first act when their turn came."""
        self.carried: dict[int, tuple[Part, ...]] = {}
        """The hooks that ended ok: they are not carried out again."""
        self.takes_down = stage.goal is State.STOPPED or any(node.down is not None for node in stage.nodes)
        """Whether it stops anything: it is held to the window."""
        self._owed = owed
        self._spent = spent
        self._done = done
        self._back = back

    def place(self, step: Step) -> int:
        """Where *step* belongs. Raises ValueError if it is none of this stage's."""
        place = self.places.get(step.unit)
        if place is None or step.stage != self.number:
            raise ValueError(f"step {step.id} belongs to no unit of stage {self.number}")
        return place

    def node(self, step: Step) -> Node:
        """Whose step it is. Raises ValueError if it is none of this stage's."""
        return self.stage.nodes[self.place(step)]

    def hook(self, step: Step) -> Hook | None:
        """The hook that *step* carries out or undoes; None if it does neither."""
        return hook_of(self.node(step), step) if step.hook else None

    def goal(self, place: int) -> State:
        """Where the node is to bring its unit next: one that lives both ways goes down first."""
        if self.stage.nodes[place].down is None:
            return self.stage.goal
        part = self._next(place)
        return State.STOPPED if part.phase is Phase.READ else goal_of(part, self.stage.goal)

    def _next(self, place: int) -> Step | Part:
        """Where the node stands or goes on."""
        return self.due.get(place) or self.goes_on_at.get(place) or self.schedule.lives[place][0]

    def stops(self, place: int, now: str) -> bool:
        """Whether the node, when it goes on, stops its unit, which is *now* in that state. In a rolling restart who is
        down already comes up."""
        node = self.stage.nodes[place]
        if node.role is not Role.ACT or node.down is None:
            return node.role is Role.ACT and self.stage.goal is State.STOPPED
        return now != State.STOPPED and self.comes_to_act(place, self._next(place))

    def comes_to_act(self, place: int, of: Step | Part) -> bool:
        """Whether the node, at *of*, has its first act before it."""
        life = self.schedule.lives[place]
        act = act_of(life)
        return act is not None and place_of(of, life) <= act

    def left_out(self, place: int, part: Part) -> bool:
        """Whether *part* needs not be done for its node."""
        unit = self.stage.nodes[place].unit.id
        return left_out(
            part,
            there=self.is_there(place, part),
            carried=self.carried.get(place, ()),
            owed=self._owed.get(unit, ()),
            spent=self._spent.get(unit, ()),
            back=self._back,
            done=self._done.get(unit, ()),
        )

    def is_there(self, place: int, of: Step | Part) -> bool:
        """Whether the unit was where that way brings it when its turn came: one found down still comes up."""
        return place in self.at_goal and (self.stage.nodes[place].down is None or goes_down(of))

    def unit_owes(self, place: int) -> tuple[Part, ...]:
        """What has to be undone if the node is given up now, last done first: of one that lives both ways what it did
        on the way that it is on, for who is left down is not put back to where others use it. Cost: O(its hooks)."""
        node = self.stage.nodes[place]
        owed, spent = self._owed.get(node.unit.id, ()), self._spent.get(node.unit.id, ())
        if not owed or (node.life is None and node.down is None):
            return ()
        undos: list[Part] = []
        down = node.down is not None and self.goal(place) is State.STOPPED
        for part in reversed(self.schedule.lives[place]):
            if node.down is not None and goes_down(part) is not down:
                continue
            if part.phase is Phase.KEEP_DOWN and KEPT_DOWN in owed:
                undos.append(Part(Phase.RELEASE, GIVEN_UP if node.down is not None else ""))
            elif part.of_hook and not part.undoes and part.hook in owed and part.hook not in spent:
                undos.append(Part(Phase.UNDO, part.hook))
        return tuple(undos)
