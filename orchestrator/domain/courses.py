"""What comes after what in the lives of one stage's units, for eyes: who has more to do, and who has ended.

Room: domain. Only for lives of several parts; a plain unit has its act and its gates. What is really done next is
`stage_run`'s.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from orchestrator.domain.parts import KEPT_DOWN, Part, act_before, act_of, goal_of, goes_down, left_out, parts, place_of
from orchestrator.domain.plan import Stage
from orchestrator.domain.results import Phase, Result, Step


class Courses:
    """The lives of a stage. *owed* are the hooks of each unit that may have run and were not undone, by name, *spent*
    those whose undo is not carried out once more by itself: they are the caller's, and change while the stage goes on.
    *back*: on a way back undos are carried out only of what is owed. *all_owed*: it is a rollback of its own, and its
    plan has only the undos that are owed. Cost: O(parts) a step."""

    def __init__(
        self,
        stage: Stage,
        owed: Mapping[str, Collection[str]],
        spent: Mapping[str, Collection[str]] = MappingProxyType({}),
        *,
        back: bool = False,
        all_owed: bool = False,
    ) -> None:
        self._goal = stage.goal
        self._spent = spent
        self._owed = owed
        self._back = back
        self._all_owed = all_owed
        self._lives = {
            node.unit.id: parts(node, stage.goal)
            for node in stage.nodes
            if (node.life is not None or node.down is not None) and not stage.checks
        }
        self._both_ways = {node.unit.id for node in stage.nodes if node.down is not None}
        self._there: set[str] = set()
        self._carried: dict[str, set[Part]] = {}

    def __contains__(self, unit: str) -> bool:
        return unit in self._lives

    def ends_with(self, result: Result) -> bool:
        """Fold in a step that ended well. True: nothing of its unit's life comes after it."""
        step = result.step
        life = self._lives[step.unit]
        at = self._place(step)
        if at is None:
            return False
        if life[at].of_hook:
            self._carried.setdefault(step.unit, set()).add(life[at])
        elif at == 0 and life[at].phase is Phase.READ:
            self._carried.pop(step.unit, None)  # it begins anew
        if life[at].phase is Phase.READ and result.after == goal_of(life[act_of(life) or 0], self._goal):
            self._there.add(step.unit)
        return all(self._left_out(step.unit, part) for part in life[at + 1 :])

    def failed(self, step: Step) -> None:
        """Fold in a step that did not end well: a unit that was there already, and is not healthy, goes on like any."""
        if step.phase in (Phase.GATE, Phase.HEALTHY, Phase.WATCH):
            self._there.discard(step.unit)

    def acted(self, step: Step) -> bool:
        """Whether the unit of *step*, which ended well, has come past its act, or has nothing to do up to there."""
        life = self._lives[step.unit]
        at, act = self._place(step), act_before(life, len(life) - 1)
        acts = at is not None and act_of(life) is not None
        return acts and all(self._left_out(step.unit, one) for one in life[(at or 0) + 1 : act + 1])

    def _place(self, step: Step) -> int | None:
        try:
            return place_of(step, self._lives[step.unit])
        except ValueError:
            return None

    def _left_out(self, unit: str, part: Part) -> bool:
        return left_out(
            part,
            there=unit in self._there and (unit not in self._both_ways or goes_down(part)),
            carried=self._carried.get(unit, ()),
            owed=(part.hook, KEPT_DOWN) if self._all_owed else self._owed.get(unit, ()),
            spent=self._spent.get(unit, ()),
            back=self._back,
        )
