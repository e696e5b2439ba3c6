"""What a run knows of its units: where it left them, which it touched, what looks and last readings found since.

Room: domain. Knows states and results; what follows from them is `runstate`'s.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import UNREAD, Strayed
from orchestrator.domain.life import Hook
from orchestrator.domain.parts import CHANGES, KEPT_DOWN, both_ways, repeatable, spends
from orchestrator.domain.plan import Action, Plan, Role, Stage, Unit
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.service import State
from orchestrator.domain.way_back import TOWARDS, Touch, as_before, home, undone_by

_BRINGS_TO = {Phase.START: State.RUNNING, Phase.STOP: State.STOPPED, Phase.KILL: State.STOPPED}
_READS = (Phase.READ, *_BRINGS_TO)
"""What reads the state in any case: if it tells none, nobody knows it. Others tell it if they saw it change."""


@dataclass(frozen=True, slots=True)
class Final:
    """What the last reading of a unit found ("" if it could not tell) and said."""

    found: str
    said: str


class Findings:
    """The units of a run, folded. Cost: building O(nodes); a step O(1); a round of looks O(units)."""

    def __init__(self, plan: Plan) -> None:
        self.units: dict[str, Unit] = {}
        self.order: dict[str, int] = {}
        """Plan order: every unit's place in it."""
        self.left: dict[str, str] = {}
        """The state in which the run left each unit: what its last step read, or the plan's survey; "" if unknown."""
        self.acting: dict[str, None] = {}
        """Units that the run is to act on."""
        self.home: dict[str, int] = {}
        """The stage of each unit's last step, or its first one."""
        self.touched: dict[str, Acted] = {}
        self.coming: dict[str, str] = {}
        """Where a start or stop that was sent and did not end well may yet bring its unit; or what was done while it
        was down."""
        self.owed: dict[str, dict[str, State]] = {}
        """What may have run of each unit's hooks and was not undone, by name, and on the way to which state; KEPT_DOWN
        if it is kept down."""
        self.inherited: dict[str, tuple[str, ...]] = {}
        """What a rollback is to undo, by unit: another run has done it."""
        self.not_undone: dict[tuple[str, str], str] = {}
        """(unit, hook) of the undos that were tried and did not end ok, and what was said."""
        self.spent: dict[str, dict[str, bool]] = {}
        """By unit, the hooks whose undo may have been carried out, and is not by itself once more; and whether it has
        told that it failed."""
        self.orphans: dict[str, None] = {}
        """Units whose process outlived their last stop."""
        self.both_ways = both_ways(plan)
        """Units that go down and come up again in one life."""
        self.done_once: dict[str, dict[str, None]] = {}
        """By unit, the hooks that may have been carried out, and are not by themselves once more."""
        self.stepped: dict[str, None] = {}
        """Units whose state a step of this run has read, or should have."""
        self.live: dict[str, str] = {}
        """What the looks of the round now, or of the last one, found; "" where they could not tell."""
        self.lately: dict[str, str] = {}
        """Where a look found units whose failure is asked about, or whose last step was lost, if no step of theirs has
        read them since."""
        self.todo: dict[str, None] = {}
        """Units that the round has still to look at."""
        self.looking: dict[str, Step] = {}
        self.changed: dict[str, Strayed] = {}
        """Units that a look found elsewhere than the run left them."""
        self.told: dict[str, str] = {}
        """Which state of a changed unit somebody was told of, or has accepted."""
        self.finals: dict[str, Final | None] = {}
        """The last readings; None while one is under way."""
        self.reading: dict[str, Step] = {}
        self.strays_due: dict[str, Strayed] = {}
        self.strayed: list[Strayed] = []
        self.attempts: dict[tuple[str, Phase], int] = {}
        """How many looks, and last readings, of each unit were issued."""
        self._take_in(plan)

    def _take_in(self, plan: Plan) -> None:
        for number, stage in enumerate(plan.stages):
            for node in stage.nodes:
                if node.unit.id not in self.units:
                    self.units[node.unit.id] = node.unit
                    self.order[node.unit.id] = len(self.order)
                    self.home[node.unit.id] = number
                    self.left[node.unit.id] = str(node.unit.seen.state) if node.unit.seen else ""
                if node.role is Role.ACT:
                    self.acting[node.unit.id] = None
                    if node.life is not None and plan.action is Action.ROLLBACK and (owes := undone_by(node, stage)):
                        away = State.STOPPED if stage.goal is State.RUNNING else State.RUNNING
                        self.owed[node.unit.id] = dict.fromkeys(owes, away)  # the planner has left what is owed
                        self.inherited[node.unit.id] = tuple(owes)

    def begin_stage(self, stage: Stage) -> None:
        """Units that only a way back knows."""
        for node in stage.nodes:
            self.units.setdefault(node.unit.id, node.unit)
            self.order.setdefault(node.unit.id, len(self.order))
            self.left.setdefault(node.unit.id, str(node.unit.seen.state) if node.unit.seen else "")

    @property
    def round_open(self) -> bool:
        """Whether looks are still to come."""
        return bool(self.todo or self.looking)

    @property
    def untold(self) -> list[str]:
        """Changed units that nobody was told of as they are now, in plan order. Cost: O(changed)."""
        new = [unit for unit, stray in self.changed.items() if self.told.get(unit) != stray.found]
        return sorted(new, key=self.order.__getitem__)

    def back_again(self, units: Iterable[str]) -> bool:
        """Whether all of *units* are where the run left them, and no look is to come that could say otherwise."""
        return not self.round_open and not any(unit in self.changed for unit in units)

    def now(self, unit: str) -> str:
        """Where *unit* is, as far as is known: where a look found it, if others moved it, its failure is asked about or
        its last step was lost; or where the run left it."""
        if unit in self.changed:
            return self.changed[unit].found
        return self.lately.get(unit) or self.left.get(unit, "")

    def missed(self, unit: str, goal: State) -> bool:
        """Whether *unit* is known to be neither at *goal* nor on its way there."""
        found = self.now(unit)
        return found != "" and found not in TOWARDS[goal]

    def changed_words(self, units: Sequence[str]) -> str:
        """How the first of *units*, all of them changed, has moved, and how many more did."""
        first = self.changed[units[0]]
        more = f", and {len(units) - 1} more changed" if len(units) > 1 else ""
        before = "the run had left it" if first.unit in self.stepped else "it was before"
        return f"{first.unit} is {first.found} and not {first.left}, as {before}{more}"

    def begin_round(self, units: Iterable[str]) -> None:
        """Look at all of *units* that can be looked at."""
        self.live = {}
        self.todo = {unit: None for unit in units if self._readable(unit)}

    def _readable(self, unit: str) -> bool:
        return self.units[unit].host is not None and self.units[unit].scm_name is not None

    def known(self, busy: Iterable[str], asked: Iterable[str]) -> list[str]:
        """The units that this run acted on and knows where it left them, but for *busy*; and those of *asked* that it
        acts on, for what is told and done about them is to be true. In plan order. Cost: O(units).

        What is only probed was left nowhere: that somebody mends it is what a run that waits for it hopes for.
        """
        away, too = set(busy), set(asked)
        here = (unit for unit in self.order if unit in self.acting)
        return [unit for unit in here if unit in too or (unit in self.stepped and self.left[unit] and unit not in away)]

    def adrift(self, asked: Container[str], *, again: bool = False) -> list[str]:
        """The units that the run may have moved, and of which no step tells where they are; but for those that are
        *asked* about and, if not *again*, that were looked at since. In plan order. Cost: O(touched log touched)."""
        unread = (unit for unit in self.touched if not self.left[unit] and unit not in asked)
        return sorted((unit for unit in unread if again or unit not in self.lately), key=self.order.__getitem__)

    def surveyed(self) -> list[str]:
        """The units that the plan's survey saw, in plan order. Cost: O(units)."""
        return [unit for unit in self.order if self.left[unit]]

    def tell_of(self, units: Iterable[str]) -> None:
        """Somebody was told how *units* changed, or has accepted it."""
        for unit in units:
            if unit in self.changed:
                self.told[unit] = self.changed[unit].found

    def touches(self) -> dict[str, Touch]:
        """What the run touched, with what the last round found, in plan order. Cost: O(touched log touched)."""
        units = sorted(self.touched, key=self.order.__getitem__)
        return {unit: self.touch(unit, self.live.get(unit, "")) for unit in units}

    def touch(self, unit: str, live: str) -> Touch:
        """*unit*, found in the state *live*."""
        return Touch(self.left[unit], live, self.coming.get(unit, ""), self.owes(unit))

    def owes(self, unit: str) -> tuple[str, ...]:
        """What may have run of the unit's hooks on the way from where it was before, and was not undone."""
        owed = self.owed.get(unit)
        if not owed:
            return ()
        before = home(self.units[unit])
        return tuple(name for name, goal in owed.items() if goal is not before)

    def next_step(self, stage: int, unit: str, phase: Phase) -> Step:
        """The next look at *unit*, or its next last reading."""
        return Step(stage, unit, phase, self.attempts.get((unit, phase), 0) + 1)

    def look_intended(self, step: Step) -> None:
        """Raises ValueError if nobody is to look at that unit."""
        if step.unit not in self.todo or step != self.next_step(self.home[step.unit], step.unit, Phase.LOOK):
            raise ValueError(f"step {step.id} does not follow from what happened")
        del self.todo[step.unit]
        self.looking[step.unit] = step
        self.attempts[step.unit, Phase.LOOK] = step.attempt

    def looked(self, result: Result, *, accepted: bool, asked: bool) -> None:
        """Fold a look in; *accepted*: somebody has said that what changed may have. *asked*: it is asked about anyway,
        and may be mended."""
        unit = result.step.unit
        if self.looking.get(unit) != result.step:
            raise ValueError(f"step {result.step.id} was answered but is not under way")
        del self.looking[unit]
        self.live[unit] = result.after
        if asked:
            self.lately[unit] = result.after
        elif self.touch(unit, result.after).changed:
            self.changed[unit] = Strayed(unit, self.left[unit], result.after)
            if accepted:
                self.told[unit] = result.after
        elif result.after:
            self.forget(unit)

    def forget(self, unit: str) -> None:
        """*unit* is where the run has it (again)."""
        self.lately.pop(unit, None)
        self.changed.pop(unit, None)
        self.told.pop(unit, None)

    def began(self, step: Step) -> None:
        """A step of the unit's own is about to be issued."""
        self.home[step.unit] = step.stage

    def stepped_on(self, result: Result) -> None:
        """A step of the unit's own has ended."""
        unit = result.step.unit
        self._touch(unit, result.acted)
        if result.step.phase in _BRINGS_TO:
            if result.problem is not None and result.problem.kind is ProblemKind.ORPHAN:
                self.orphans[unit] = None
            elif result.outcome is Outcome.OK:
                self.orphans.pop(unit, None)
            if result.outcome is Outcome.OK:
                self.coming.pop(unit, None)
            elif result.acted is not Acted.NO:
                self.coming[unit] = _BRINGS_TO[result.step.phase]
        elif result.step.phase is Phase.BETWEEN and result.acted is not Acted.NO:
            self._may_come_up(unit)
        if result.step.phase in _READS or (result.after and result.step.phase is not Phase.GATE):
            self.left[unit] = result.after
            self.stepped[unit] = None
            self.forget(unit)

    def did(self, step: Step, goal: State, hook: Hook | None, result: Result | None) -> None:
        """A step carried *hook* out, or its undo, or took what revives a unit away, or put it back, on the way to
        *goal*; *result* None: it was lost with its process."""
        name = hook.name if hook is not None else KEPT_DOWN
        undoes = step.phase in (Phase.UNDO, Phase.RELEASE) or (hook is not None and hook.undoes)
        if undoes:
            if result is not None and result.outcome is Outcome.OK:
                self._undone(step.unit, name)
            else:
                self.not_undone[step.unit, name] = _why(result)
                if spends(hook, result):
                    failed = result is not None and result.outcome is Outcome.FAILED
                    self.spent.setdefault(step.unit, {})[name] = failed
            return
        did = result is None or result.acted is not Acted.NO
        if did and not repeatable(hook):
            self.done_once.setdefault(step.unit, {})[name] = None
        if did and (hook is None or hook.undo is not None):
            self.owed.setdefault(step.unit, {})[name] = goal
            self.not_undone.pop((step.unit, name), None)
            self.spent.get(step.unit, {}).pop(name, None)

    def _undone(self, unit: str, name: str) -> None:
        self.not_undone.pop((unit, name), None)
        self.spent.get(unit, {}).pop(name, None)
        self.done_once.get(unit, {}).pop(name, None)
        owed = self.owed.get(unit, {})
        owed.pop(name, None)
        if not owed:
            self.owed.pop(unit, None)

    def undo_again(self) -> None:
        """A person wants all to be put back: undos that told that they failed are carried out once more."""
        for of in self.spent.values():
            for name in [name for name, failed in of.items() if failed]:
                del of[name]

    def lost(self, step: Step) -> None:
        """A step of the unit's own was lost with its process."""
        if step.phase in _BRINGS_TO:
            self._touch(step.unit, Acted.MAYBE)
            self.coming[step.unit] = _BRINGS_TO[step.phase]
            self.left[step.unit] = ""
            self.forget(step.unit)
        elif step.phase in CHANGES:
            self._touch(step.unit, Acted.MAYBE)
            if step.phase is Phase.BETWEEN:
                self._may_come_up(step.unit)

    def _may_come_up(self, unit: str) -> None:
        """What is done while *unit* is down may start it: a reboot starts what is Automatic."""
        if self._readable(unit):
            self.coming[unit] = State.RUNNING

    def _touch(self, unit: str, acted: Acted) -> None:
        if not self._readable(unit):
            return  # a host between stop and start: it has no state that could be put back
        if acted is Acted.YES or (acted is Acted.MAYBE and unit not in self.touched):
            self.touched[unit] = acted

    def lose(self) -> list[Step]:
        """Looks and last readings that were under way are lost, and due again. Returns them."""
        lost = [*self.looking.values(), *self.reading.values()]
        self.todo.update(dict.fromkeys(self.looking))
        for unit in self.reading:
            del self.finals[unit]
        self.looking.clear()
        self.reading.clear()
        return lost

    def reading_intended(self, step: Step) -> None:
        """A last reading is about to be issued. Raises ValueError if the unit had one."""
        if step.unit in self.finals or step != self.next_step(step.stage, step.unit, Phase.READ):
            raise ValueError(f"step {step.id} was asked twice")
        self.finals[step.unit] = None
        self.reading[step.unit] = step
        self.attempts[step.unit, Phase.READ] = step.attempt

    def read_last(self, result: Result, *, told: bool) -> None:
        """Fold a last reading in. *told*: that the unit failed is known already."""
        unit = result.step.unit
        if self.reading.get(unit) != result.step:
            raise ValueError(f"step {result.step.id} was answered but is not under way")
        del self.reading[unit]
        self.finals[unit] = Final(result.after, result.said)
        self.judge_final(unit, told=told)

    def judge_final(self, unit: str, *, told: bool) -> None:
        """Note the unit as strayed if it was found elsewhere than the run left it."""
        final = self.finals[unit]
        assert final is not None
        found, left = final.found or UNREAD, self.left[unit] or UNREAD
        if found == left and (found != UNREAD or told):  # one that can't be read any more is told once
            return
        why = ""
        if found == UNREAD:
            why = final.said
        elif left == UNREAD:
            why = "the last step could not read the state"
        elif self.touch(unit, found).own_doing:
            why = "what this run asked of it took effect later"
        self.strays_due[unit] = Strayed(unit, left, found, why)

    def tell(self, fact: Strayed) -> None:
        """It is on record that the unit strayed."""
        self.strayed.append(fact)
        self.strays_due.pop(fact.unit, None)

    def needs_hands(self, *, gone_back: bool) -> dict[tuple[str, str], str]:
        """(unit, hook) of what was to be undone and is not, at the end of a run, and why: undos that did not end ok,
        and what was done for a unit that was not found where it was done for, or was not to stay there. If the run has
        *gone_back*, all that was done on the way from where it was before; if it is a rollback, all that its plan was
        to undo. Cost: O(owed)."""
        found = dict(self.not_undone)
        for unit, owed in self.owed.items():
            final = self.finals.get(unit)
            at = (final.found if final else "") or self.now(unit)
            away = self.inherited.get(unit) or (self.owes(unit) if gone_back else ())
            for name in (name for name in owed if name in away or self.in_vain(unit, name, at)):
                found.setdefault((unit, name), f"it was not undone, and its unit is {at or UNREAD}")
        return found

    def in_vain(self, unit: str, name: str, at: str) -> bool:
        """Whether what is owed by *name* was done for where *unit*, which is *at*, is not, or was not to stay."""
        goal = self.owed[unit][name]
        return at != goal or (goal is State.STOPPED and unit in self.both_ways)

    def all_before(self) -> bool:
        """Whether every touched unit was found at the end where it was before, left no process behind, and owes
        nothing. Cost: O(touched)."""
        finals = ((unit, self.finals.get(unit)) for unit in self.touched)
        return not (self.orphans or any(map(self.owes, self.owed))) and all(
            final is not None and as_before(self.units[unit], final.found) for unit, final in finals
        )


def _why(result: Result | None) -> str:
    if result is None:
        return "its answer was lost, and nobody knows whether it was done"
    return result.said or (result.problem.text if result.problem else "it did not succeed")
