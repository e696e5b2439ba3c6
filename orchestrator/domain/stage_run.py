"""One stage of a run under way: which steps its nodes are in, which come next, and how each node ended.

Room: domain. Knows steps and results, no decisions: `runstate` says when something may begin, what goes again, and what
is given up.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.judging import pause_s
from orchestrator.domain.life import IfStuck
from orchestrator.domain.parts import (
    Part,
    act_before,
    act_of,
    checked,
    goal_of,
    is_last_reading,
    life_down,
    place_of,
    repeatable,
)
from orchestrator.domain.plan import Role, Stage
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.domain.service import State
from orchestrator.domain.stage_lives import StageLives

_OWES_NOTHING: Mapping[str, Collection[str]] = MappingProxyType({})
_KILL = Part(Phase.KILL)


@dataclass(frozen=True, slots=True)
class Again:
    """A node that goes again when its turn comes: as which attempt, how it ended before, and how long it pauses."""

    attempt: int
    outcome: Outcome
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A node that is undone before it is settled: what is left to undo, and what it ends as (None: it never acted, or
    is settled already)."""

    outcome: Outcome | None
    left: tuple[Part, ...]


def stuck(result: Result) -> bool:
    """Whether a STOP failed because the service hangs on its way down, or its process outlived it."""
    if result.step.phase is not Phase.STOP or result.outcome is not Outcome.FAILED or result.problem is None:
        return False
    hangs = result.problem.kind is ProblemKind.TIMEOUT and result.after == State.STOP_PENDING
    return hangs or result.problem.kind is ProblemKind.ORPHAN


class StageRun(StageLives):
    """The steps of stage *number*, folded. Cost: building O(nodes + edges); everything else O(neighbours).

    *owed* are the hooks of each unit that may have run and were not undone, by name, *spent* those whose undo may have
    run and is not repeated by itself, *done* those that may have run and must not by themselves once more: they are the
    caller's, and change while the stage goes on. *back*: it is a way back, where undos are carried out only of what is
    owed, and nothing that is done. *watched*: who ended ok and is counted on is watched.
    """

    def __init__(
        self,
        number: int,
        stage: Stage,
        owed: Mapping[str, Collection[str]] = _OWES_NOTHING,
        spent: Mapping[str, Collection[str]] = _OWES_NOTHING,
        done: Mapping[str, Collection[str]] = _OWES_NOTHING,
        *,
        back: bool = False,
        watched: bool = False,
    ) -> None:
        super().__init__(number, stage, owed, spent, done, back=back)
        self.under_way: dict[int, Step] = {}
        self.counting: dict[int, Step] = {}
        """Those of them that only wait for time to pass, before a batch."""
        self.suspended: dict[int, Outcome] = {}
        """Nodes that did not end ok, and of which nobody has said yet what becomes of them."""
        self.again: dict[int, Again] = {}
        self.attempts: dict[int, int] = {}
        """The attempt that each node is at, if it is not the first."""
        self.marred: dict[int, Outcome] = {}
        """Nodes that went on past a hook after their act that did not end ok, and how that ended."""
        self.given_up: dict[int, GivenUp] = {}
        self.watching: dict[int, Step] = {}
        self.to_watch: dict[int, None] = {}
        """Nodes that ended ok, and are to be watched from now on."""
        self.asking: dict[int, None] = {}
        """Nodes whose turn has come, and that wait for a person to say so."""
        self.granted: dict[int, None] = {}
        """Those of which one has."""
        self._watched = watched

    def owns(self, step: Step) -> bool:
        """Whether *step* is one of its unit's own: not a look, and not the reading at the end."""
        acts = step.stage == self.number and self.stage.nodes[self.place(step)].role is Role.ACT
        return step.phase is not Phase.LOOK and not (acts and is_last_reading(step, Role.ACT))

    # What happened

    def intended(self, step: Step) -> None:
        """Fold in that *step* is about to be issued."""
        place = self.place(step)
        if step.phase is Phase.WATCH:
            self._watch(place, step)
            return
        if place in self.under_way:
            raise ValueError(f"step {step.id} was asked while {self.under_way[place].id} is under way")
        if self.due.get(place) == step:
            del self.due[place]
        elif not self.schedule.begun[place] and self.schedule.lives[place] and self.first(place) == step:
            self.schedule.begin(place)
            if self.again.pop(place, None):
                self.attempts[place] = step.attempt
                self.goes_on_at.pop(place, None)
        else:
            raise ValueError(f"step {step.id} does not follow from what happened")
        self.under_way[place] = step
        if step.phase is Phase.COUNT:
            self.counting[place] = step

    def _watch(self, place: int, step: Step) -> None:
        if place not in self.to_watch or step != self.watch(place):
            raise ValueError(f"step {step.id} does not follow from what happened")
        del self.to_watch[place]
        self.watching[place] = step

    def ended(self, result: Result, *, kills: bool = True) -> bool:
        """Fold in what came of a step. True: its node did not end ok, was needed, and is suspended now. *kills*: the
        process of a stop that is stuck is ended where the playbook says so."""
        step = result.step
        place = self.place(step)
        if step.phase is Phase.WATCH:
            return self._watch_ended(place, result)
        if self.under_way.get(place) != step:
            raise ValueError(f"step {step.id} was answered but is not under way")
        del self.under_way[place]
        if step.phase is Phase.COUNT:
            del self.counting[place]
        if place in self.given_up:
            self._undo_next(place)
            return False
        if result.outcome is not Outcome.OK:
            return self._ended_badly(place, result, kills=kills)
        life = self.schedule.lives[place]
        if len(life) == 1:
            self._ended_well(place)
        else:
            self._go_on(place, step, life, result)
        return False

    def _ended_badly(self, place: int, result: Result, *, kills: bool) -> bool:
        if self.schedule.dispensable(place):
            self.schedule.end(place, result.outcome)
            return False
        life = life_down(self.stage.nodes[place])
        if kills and life is not None and life.if_stuck is IfStuck.KILL and stuck(result):
            self.due[place] = replace(result.step, phase=Phase.KILL, delay_s=0.0)
            return False
        self._suspend(place, result.step, result.outcome)
        return True

    def _suspend(self, place: int, step: Step, outcome: Outcome) -> None:
        self.schedule.suspend(place)
        self.suspended[place] = outcome
        self._goes_on(place, step)

    def _goes_on(self, place: int, step: Step) -> None:
        """Note where the node goes on that came as far as *step*: there, or at the act if a gate of it failed."""
        life = self.schedule.lives[place]
        at = place_of(step, life)
        if step.phase in (Phase.GATE, Phase.HEALTHY):
            at = 0 if self.is_there(place, step) else act_before(life, at)
        if at == 0:
            self.at_goal.pop(place, None)
        else:
            self.goes_on_at[place] = life[at]

    def _go_on(self, place: int, step: Step, life: tuple[Part, ...], result: Result) -> None:
        at = place_of(step, life)
        part = life[at]
        if part.of_hook:
            self.carried[place] = (*self.carried.get(place, ()), part)
        elif at == 0 and step.hook and result.after == goal_of(life[act_of(life) or 0], self.stage.goal):
            self.at_goal[place] = None
        following = next((one for one in life[at + 1 :] if not self.left_out(place, one)), None)
        if following is None:
            self._ended_well(place)
        else:
            self.due[place] = Step(self.number, step.unit, following.phase, step.attempt, hook=following.hook)

    def _ended_well(self, place: int) -> None:
        self.schedule.end(place, Outcome.OK)
        acts = self.stage.nodes[place].role is Role.ACT
        if self._watched and acts and self.schedule.counted_on(place):
            self.to_watch[place] = None

    def _watch_ended(self, place: int, result: Result) -> bool:
        del self.watching[place]
        if result.outcome is Outcome.OK:
            return False
        self.schedule.revoke(place)
        self.suspended[place] = result.outcome
        self.at_goal.pop(place, None)
        life = self.schedule.lives[place]
        self.goes_on_at[place] = life[act_before(life, len(life) - 1)]
        return True

    # What follows

    def first(self, place: int) -> Step:
        """The step with which the node begins, or begins again."""
        again = self.again.get(place, Again(1, Outcome.UNKNOWN))
        part = self.goes_on_at.get(place, self.schedule.lives[place][0])
        unit = self.stage.nodes[place].unit.id
        return Step(self.number, unit, part.phase, again.attempt, again.delay_s, part.hook)

    def watch(self, place: int) -> Step:
        """The step that watches the node's unit."""
        return Step(self.number, self.stage.nodes[place].unit.id, Phase.WATCH, self.attempts.get(place, 1))

    def due_now(self) -> list[Step]:
        """What follows from steps that ended, by rank, ties by plan order."""
        nodes = self.stage.nodes
        return [self.due[place] for place in sorted(self.due, key=lambda place: (-nodes[place].rank_s, place))]

    def halts(self, step: Step) -> bool:
        """Whether *step*, which is due, may wait while the run pauses: its unit has not been acted on. Its hooks may
        have run."""
        place = self.places[step.unit]
        return place not in self.given_up and step.phase is not Phase.KILL and self.comes_to_act(place, step)

    def goes_on(self, *, paused: bool) -> bool:
        """Whether a step is due that is issued even now. Cost: O(due) if *paused*."""
        return bool(self.due) and not (paused and all(map(self.halts, self.due.values())))

    def asks(self, place: int) -> bool:
        """Whether the node, whose turn has come, begins only when a person has said so."""
        batch = self.stage.nodes[place].batch
        return batch is not None and batch.asks and place not in self.granted

    # What becomes of nodes

    def ask(self, place: int) -> None:
        """The node waits for a person, and holds up nobody but those that wait for it."""
        if place not in self.asking:  # what was held is asked again
            self.asking[place] = None
            self.schedule.begin(place)
            self.schedule.suspend(place)

    def grant(self, place: int) -> None:
        """A person has said that the node may begin."""
        if place in self.asking:
            del self.asking[place]
            self.granted[place] = None
            self.schedule.again(place)

    def ask_again(self, place: int) -> None:
        """Nobody has said whether the node may begin: it is asked anew when its turn comes."""
        if place in self.asking:
            del self.asking[place]
            self.schedule.again(place)

    def break_off(self) -> None:
        """Whoever only waits for time to pass waits no longer, and begins anew if the run goes on."""
        for place in list(self.counting):
            del self.counting[place]
            self._lost(place, self.under_way.pop(place))

    def retry(self, place: int, *, pausing: bool, kill: bool = False, anew: bool = False) -> None:
        """Let a suspended node go again when its turn comes; *pausing*: after a pause, and behind all others. *kill*:
        it goes on with the end of its process. *anew*: what was done for it before its act, and can be checked, is
        checked again, for somebody may have undone it meanwhile."""
        outcome = self.suspended.pop(place)
        attempt = self._next_attempt(place)
        if kill:
            self.goes_on_at[place] = _KILL
        elif anew:
            self._check_again(place)
        part = self.goes_on_at.get(place, self.schedule.lives[place][0])
        step = Step(self.number, self.stage.nodes[place].unit.id, part.phase, attempt, hook=part.hook)
        self.again[place] = Again(attempt, outcome, pause_s(step.id, attempt) if pausing else 0.0)
        self.schedule.again(place, last=pausing)

    def _check_again(self, place: int) -> None:
        """Go back to the first hook before the act that ended ok and has a check, if the node is at its act, or on the
        way there."""
        life, part = self.schedule.lives[place], self.goes_on_at.get(place)
        carried = self.carried.get(place, ())
        if part is None or not carried or part not in life:
            return
        at = life.index(part)
        begins = act_before(life, at - 1) if at else 0
        if act_of(life[at:]) is None:
            return
        node = self.stage.nodes[place]
        again = [one for one in life[begins:at] if one in carried and checked(node, one)]
        if again:
            self.carried[place] = tuple(one for one in carried if one not in again)
            self.goes_on_at[place] = again[0]

    def pass_over(self, place: int) -> bool:
        """Let a suspended node that failed at a hook after its act go on past it, and hold up nobody: its unit is where
        it was to be. False: it failed elsewhere."""
        life, part = self.schedule.lives[place], self.goes_on_at.get(place)
        if part is None or not part.of_hook or life.index(part) < act_before(life, len(life) - 1):
            return False
        del self.goes_on_at[place]
        outcome = self.suspended.pop(place)
        self.marred.setdefault(place, outcome)
        following = next((one for one in life[life.index(part) + 1 :] if not self.left_out(place, one)), None)
        if following is None:
            self.schedule.settle(place, Outcome.OK)
        else:
            self.goes_on_at[place] = following
            self.again[place] = Again(self.attempts.get(place, 1), self.marred[place])
            self.schedule.again(place)
        return True

    def repeat(self, place: int) -> None:
        """Let a node that ended ok go again, and those behind it that have not begun wait for it."""
        if self.schedule.outcomes[place] is Outcome.OK and self.schedule.lives[place]:
            attempt = self._next_attempt(place)
            self.again[place] = Again(attempt, Outcome.OK)
            self.at_goal.pop(place, None)
            self.carried.pop(place, None)  # who moved it may have undone them
            self.to_watch.pop(place, None)
            self.watching.pop(place, None)
            self.schedule.reopen(place)

    def give_up(self, place: int, *, undo: bool) -> None:
        """Give a suspended node up: it ended as it did, and what waits for it never begins. *undo*: what it may have
        done on the way is undone first."""
        outcome, owes = self.suspended.pop(place), self.unit_owes(place)
        self.goes_on_at.pop(place, None)
        self._undo(place, GivenUp(outcome, owes if undo else ()))

    def withdraw(self, place: int, *, undo: bool) -> None:
        """Nothing more is done for a node that is not suspended and has not acted, or waits to go again."""
        owes = self.unit_owes(place) if undo else ()
        if place in self.due and self.halts(self.due[place]):
            del self.due[place]
            self.schedule.withdraw(place)
        elif place in self.again:
            self.schedule.bar(place)
        else:
            return
        self._undo(place, GivenUp(None, owes))

    def _undo(self, place: int, given_up: GivenUp) -> None:
        self.given_up[place] = given_up
        self._undo_next(place)

    def _undo_next(self, place: int) -> None:
        given_up = self.given_up[place]
        if not given_up.left:
            del self.given_up[place]
            if given_up.outcome is not None:
                self.schedule.settle(place, given_up.outcome)
            return
        part, *left = given_up.left
        self.given_up[place] = replace(given_up, left=tuple(left))
        unit, attempt = self.stage.nodes[place].unit.id, self.attempts.get(place, 1)
        self.due[place] = Step(self.number, unit, part.phase, attempt, hook=part.hook)

    def exclude(self, place: int, *, undo: bool) -> None:
        """Do without a node: if it has not begun, or would go again, it never does."""
        if place in self.suspended:
            self.give_up(place, undo=undo)
        elif place in self.again:
            self.withdraw(place, undo=undo)
        elif self.schedule.lives[place] and not self.schedule.begun[place]:
            self.schedule.bar(place)

    def unsettled(self) -> list[int]:
        """The nodes that are suspended, wait to go again, or stopped on their way before they acted."""
        halted = [place for place, step in self.due.items() if self.halts(step)]
        return sorted({*self.suspended, *self.again, *halted})

    def called_off(self, step: Step) -> bool:
        """Whether *step* is a watch that is over, or a count that was broken off: what it finds is nothing."""
        place = self.places.get(step.unit, -1)
        if step.phase is Phase.COUNT:
            return self.counting.get(place) != step
        return step.phase is Phase.WATCH and self.watching.get(place) != step

    def unwatch(self) -> None:
        """Nobody is watched any more, and nobody waits for time to pass."""
        self.break_off()
        self.to_watch.clear()
        self.watching.clear()

    def lose(self) -> list[Step]:
        """The process is gone: its steps are lost, and their nodes go again, but those whose hook must not be carried
        out twice: they are suspended. Returns the steps, in plan order; who was watched is watched again."""
        lost = [self.under_way[place] for place in sorted(self.under_way)]
        self.under_way.clear()
        self.counting.clear()
        for step in lost:
            self._lost(self.places[step.unit], step)
        for place in sorted(self.watching):
            self.attempts[place] = self._next_attempt(place)
            self.to_watch[place] = None
        self.watching.clear()
        return lost

    def _lost(self, place: int, step: Step) -> None:
        once = step.hook != "" and not repeatable(self.hook(step))
        if place in self.given_up:
            attempt = self.attempts[place] = self._next_attempt(place)
            if once:
                self._undo_next(place)
            else:
                self.due[place] = replace(step, attempt=attempt, delay_s=0.0)
        elif once:
            self._suspend(place, step, Outcome.UNKNOWN)
        else:
            self.again[place] = Again(self._next_attempt(place), Outcome.UNKNOWN)
            self._goes_on(place, step)
            self.schedule.suspend(place)
            self.schedule.again(place)

    def _next_attempt(self, place: int) -> int:
        return self.attempts.get(place, 1) + 1

    def outcome(self, place: int) -> Outcome | None:
        """How the node ended, as far as is known: one that was to go again, and has not, ended as before."""
        settled = self.schedule.outcomes[place]
        if settled is not None:
            return self.marred.get(place, settled)
        if place in self.suspended:
            return self.suspended[place]
        if place in self.given_up and self.given_up[place].outcome is not None:
            return self.given_up[place].outcome
        return self.again[place].outcome if place in self.again else None

    def outcomes(self) -> list[Outcome | None]:
        """`outcome` of every node. Cost: O(nodes)."""
        return [self.outcome(place) for place in range(len(self.stage.nodes))]
