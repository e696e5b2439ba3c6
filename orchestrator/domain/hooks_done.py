"""What a run may have done beside starts and stops and not undone: what somebody may have to undo by hand.

Room: domain. A fold of results; what is undone when is the run's own business.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from orchestrator.domain.life import Hook
from orchestrator.domain.parts import KEPT_DOWN, both_ways, spends
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.results import MOVES, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.service import State
from orchestrator.domain.way_back import inherited

_UNDOES = (Phase.UNDO, Phase.RELEASE)
_KEEPS = (Phase.KEEP_DOWN, Phase.RELEASE)
_DONE_FOR = {
    Phase.PRE_STOP: State.STOPPED,
    Phase.KEEP_DOWN: State.STOPPED,
    Phase.POST_STOP: State.STOPPED,
    Phase.PRE_START: State.RUNNING,
    Phase.POST_START: State.RUNNING,
}


@dataclass(frozen=True, slots=True)
class Done:
    """A hook of *unit* (`RUN`: of the run itself) whose do may be in effect; *hook* None: the unit is kept down.
    *tried* is the result of an undo of it that did not end well; *lost*: such an undo was under way when its process
    was lost. *goal* is where it was done for to bring the unit (None: nowhere), *now* where that was read last.
    *inherited*: another run has done it, and this one is to undo it. *passing*: its unit was to come up again in the
    same life, so what was done for its way down was to be undone by the end of that."""

    unit: str
    hook: Hook | None
    acted: Acted
    tried: Result | None = None
    lost: bool = False
    goal: State | None = None
    now: str = ""
    inherited: bool = False
    passing: bool = False

    @property
    def name(self) -> str:
        """The hook's, or KEPT_DOWN."""
        return self.hook.name if self.hook else KEPT_DOWN

    @property
    def failed(self) -> bool:
        """Whether it was to be undone, and nobody can say that it is."""
        return self.lost or self.tried is not None

    @property
    def in_vain(self) -> bool:
        """Whether its unit is not where it was done for, or was not to stay there."""
        return self.goal is not None and (self.now != self.goal or self.passing)


class HooksDone:
    """Folded step by step. Cost: O(1) each, but for a run whose process was lost: O(steps under way)."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Done]] = {}
        """By unit and name, what has an undo and may need it."""
        self.spent: dict[str, set[str]] = {}
        """By unit, the hooks whose undo may have been carried out, and is not by itself once more."""
        self._under_way: dict[str, tuple[Step, Hook | None]] = {}
        self._at: dict[str, str] = {}
        """Where each unit was read last; "" if the last step that had to could not."""
        self._both_ways: Set[str] = frozenset()
        """Units that go down and come up again in one life."""

    def begin(self, plan: Plan) -> None:
        """What a rollback is to undo was done by another run."""
        self._both_ways = both_ways(plan)
        if plan.action is Action.ROLLBACK:
            for unit, hook, goal in inherited(plan):
                self._keep(Done(unit, hook, Acted.YES, goal=goal, inherited=True))

    def intended(self, step: Step, hook: Hook | None) -> None:
        """A step is issued; *hook* is what it carries out or undoes."""
        if hook is not None or step.phase in _KEEPS:
            self._under_way[step.id] = (step, hook)

    def ended(self, result: Result) -> None:
        """A step ended: one that undoes takes its do away, or leaves what it said."""
        step = result.step
        if step.phase in MOVES or (result.after and step.phase not in (Phase.GATE, Phase.LOOK)):
            self._at[step.unit] = result.after
        found = self._under_way.pop(step.id, None)
        if found is not None:
            self._fold(*found, result)

    def undo_again(self) -> None:
        """A person wants all to be put back: undos that told that they failed are carried out once more."""
        for unit, names in self.spent.items():
            tried = ((name, self.of[unit][name].tried) for name in tuple(names) if name in self.of.get(unit, {}))
            names.difference_update([name for name, one in tried if one is not None and one.outcome is Outcome.FAILED])

    def lose(self) -> None:
        """The process is gone: what it was about to do may have been done, and what it was about to undo may not."""
        lost, self._under_way = self._under_way, {}
        for step, hook in lost.values():
            self._fold(step, hook, None)

    def _fold(self, step: Step, hook: Hook | None, result: Result | None) -> None:
        name = hook.name if hook else KEPT_DOWN
        before = self.of.get(step.unit, {}).pop(name, None)
        if step.phase in _UNDOES or (hook is not None and hook.undoes):
            if result is not None and result.outcome is Outcome.OK:
                self.spent.get(step.unit, set()).discard(name)
                return
            if spends(hook, result):
                self.spent.setdefault(step.unit, set()).add(name)
            acted = before.acted if before else Acted.MAYBE
            goal = before.goal if before else None
            passing = before is not None and before.passing
            self._keep(Done(step.unit, hook, acted, tried=result, lost=result is None, goal=goal, passing=passing))
        elif (hook is None or hook.undo is not None) and (result is None or result.acted is not Acted.NO):
            self.spent.get(step.unit, set()).discard(name)
            acted = result.acted if result else Acted.MAYBE
            goal = _DONE_FOR.get(step.phase)
            passing = goal is State.STOPPED and step.unit in self._both_ways
            self._keep(Done(step.unit, hook, acted, goal=goal, passing=passing))
        elif before is not None:
            self._keep(before)

    def _keep(self, done: Done) -> None:
        self.of.setdefault(done.unit, {})[done.name] = done

    def due(self) -> Iterator[Done]:
        """What may have to be undone: unit by unit, what was done last first."""
        for unit, of in self.of.items():
            yield from (replace(done, now=self._at.get(unit, "")) for done in reversed(of.values()))
