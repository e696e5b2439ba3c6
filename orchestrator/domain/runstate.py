"""Where a run stands, folded from its facts, and what follows from that.

Room: domain. The conductor appends facts and carries steps and questions to the world; which step may be issued, what
is asked, when a stage is over, and what the verdict is are decided here. The same facts give the same state and the
same decisions.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any

from orchestrator.domain import runstate_dump
from orchestrator.domain.facts import Fact, RunBegan, RunEnded, Strayed
from orchestrator.domain.folded import Folded
from orchestrator.domain.following import Following
from orchestrator.domain.open_questions import OpenQuestion
from orchestrator.domain.plan import Action, Plan, Role, Stage
from orchestrator.domain.results import Acted, Outcome, Phase, Step
from orchestrator.domain.service import State
from orchestrator.domain.way_back import Touch

_BAD = (Outcome.FAILED, Outcome.UNKNOWN)


class Verdict(StrEnum):
    """How a run ended, in `RunEnded`'s words."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled back"
    ROLLBACK_INCOMPLETE = "rollback incomplete"
    CLOSED = "closed"
    """Somebody ended it from outside; nothing more was done."""


EXIT_CODES = {
    Verdict.DONE: 0,
    Verdict.FAILED: 1,
    Verdict.CANCELLED: 5,
    Verdict.ROLLED_BACK: 3,
    Verdict.ROLLBACK_INCOMPLETE: 4,
    Verdict.CLOSED: 1,
}


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

    A node that failed or is unknown is suspended: what waits for it waits, the rest goes on, and the policy or a person
    decides what becomes of it, once per cause. Some decisions, and a cancel, pause the run: nothing new begins, and
    what is under way goes on to the end of its gates. A node that is only probed may fail as long as whoever needs some
    of its kind can have enough without it. A stage begins when the one before it is over and nothing is left to decide.

    A resume, an answer that came late and a rollback look at the units first. On the way back nobody is asked about
    failures. When nothing is left to begin, the units that were acted on are read once more.

    Cost: a stage's beginning O(nodes + edges), a round of looks O(units); every other fact O(its neighbours).
    """

    def __init__(self, plan: Plan) -> None:
        self._folded = Folded(plan)
        self._closed = False

    @classmethod
    def begin(cls, plan: Plan) -> "RunState":
        """A run of *plan* of which nothing has happened yet."""
        return cls(plan)

    def apply(self, fact: Fact) -> None:
        """Fold one fact in.

        Raises:
            ValueError: the fact can't follow from the state: a step asked twice, an answer to nothing, a stage out of
                turn. Then the facts are not those of this plan, or there is a bug.
        """
        self._closed = False
        self._folded.apply(fact)

    # What follows

    def decide(self) -> list[Fact]:
        """Apply and return the facts that follow from the state now: questions, stages, steps, units that strayed.

        They must be on disk before any of their steps is issued. Gates come first, then nodes by rank, ties by plan
        order.
        """
        following = Following(self._folded)
        following.follow()
        self._closed = following.closed
        return following.facts

    # What is known

    @property
    def plan(self) -> Plan:
        """What the run is a run of."""
        return self._folded.plan

    @property
    def run(self) -> str:
        """The run's id; "" before its first fact."""
        return self._folded.run

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages by number: the plan's, then those of the way back."""
        return self._folded.stages

    @property
    def stage(self) -> int:
        """The stage that goes on, or went on last; -1 before the first."""
        return self._folded.stage

    @property
    def orders(self) -> list[str]:
        """The orders that came in."""
        return self._folded.orders

    @property
    def cancelled(self) -> bool:
        """Whether nothing new begins, for somebody cancelled the run and nobody has said since what becomes of it."""
        return self._folded.cancelled

    @property
    def ended(self) -> RunEnded | None:
        """The last fact, if it is there."""
        return self._folded.ended

    @property
    def under_way(self) -> list[Step]:
        """The steps that were asked and not answered, watches aside, in plan order."""
        folded = self._folded
        steps = [*folded.now.under_way.values(), *folded.findings.looking.values(), *folded.findings.reading.values()]
        errand = [] if folded.errands.under_way is None else [folded.errands.under_way]
        return errand + sorted(steps, key=lambda step: folded.findings.order[step.unit])

    @property
    def watching(self) -> Collection[Step]:
        """The watches that go on; whatever else was issued as one is over, and its result is nothing."""
        return self._folded.now.watching.values()

    @property
    def counting(self) -> Collection[Step]:
        """The counts before a batch that go on; as with watches, all others are over."""
        return self._folded.now.counting.values()

    @property
    def owed(self) -> Mapping[str, Collection[str]]:
        """The hooks of each unit that may have run and were not undone, by name; `keep_down` if it is kept down."""
        return {unit: tuple(names) for unit, names in self._folded.findings.owed.items()}

    def in_vain(self, unit: str) -> tuple[str, ...]:
        """Those of `owed` that were done for where *unit* is not, or was not to stay."""
        found = self._folded.findings
        return tuple(name for name in found.owed.get(unit, ()) if found.in_vain(unit, name, found.now(unit)))

    @property
    def not_undone(self) -> Mapping[tuple[str, str], str]:
        """(unit, hook) of what was to be undone and is not, and why: it needs hands. Once the last readings are issued
        that is all of it, before that the undos that were tried."""
        folded = self._folded
        if not folded.closing:
            return folded.findings.not_undone
        return folded.findings.needs_hands(gone_back=folded.back is not None)

    @property
    def hook_troubles(self) -> Mapping[tuple[str, str], str]:
        """(phase, hook) of the run's own hooks at its end that did not end ok, and what was said."""
        return self._folded.errands.troubles

    @property
    def asking(self) -> tuple[int, ...]:
        """The decisions that wait for an answer, in order."""
        return tuple(sorted(self._folded.questions.open))

    @property
    def open(self) -> Mapping[int, OpenQuestion]:
        """The decisions that wait for an answer, each with its cause as grown. Cost: O(their units)."""
        return {number: self._folded.questions.whole(number) for number in self.asking}

    @property
    def held(self) -> bool:
        """Whether an answer was to hold: the run goes on when it is resumed, or when what it asks again is answered."""
        return bool(self.on_hold)

    @property
    def on_hold(self) -> Collection[int]:
        """The open decisions that were asked again after a hold, and were not taken up by another process since."""
        return self._folded.questions.on_hold.keys()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do but to end. Known once it was asked what follows (`decide`)."""
        return self._closed and not self._folded.findings.strays_due

    @property
    def rolling_back(self) -> bool:
        """Whether the run is on the way back, or is one."""
        return self._folded.rolling_back

    @property
    def touched(self) -> Mapping[str, Acted]:
        """The units that the run changed or may have changed, in plan order. Cost: O(touched log touched)."""
        findings = self._folded.findings
        return {unit: findings.touched[unit] for unit in findings.touches()}

    @property
    def left(self) -> Mapping[str, str]:
        """The state in which the run left each unit: what its last step read, or the plan's survey; "" if that step
        could not read it, or was lost."""
        return self._folded.findings.left

    def whereabouts(self, unit: str) -> str:
        """Where *unit* is, as far as is known: where a look found it if others moved it, or where the run left it."""
        return self._folded.findings.now(unit)

    def touch(self, unit: str, live: str) -> Touch:
        """What the run did to *unit*, which is in the state *live* now ("" if that is not known)."""
        return self._folded.findings.touch(unit, live)

    @property
    def changed(self) -> Mapping[str, Strayed]:
        """The units that a look found elsewhere than the run left them."""
        return self._folded.findings.changed

    @property
    def strayed(self) -> list[Strayed]:
        """The units that the last reading found elsewhere than the run left them."""
        return self._folded.findings.strayed

    @property
    def lost(self) -> list[Step]:
        """The steps that were lost with the process before, at the last resume."""
        return self._folded.lost

    def standing(self, unit: str) -> Standing:
        """Where *unit* stands in the stage now. Raises KeyError if the stage has no such unit."""
        now = self._folded.now
        place = now.places[unit]
        outcome = now.outcome(place)
        over = self._folded.leaving or self._folded.turned or self._folded.closing or self.ended is not None
        if outcome is not None and (over or place not in now.again or now.schedule.never[place]):
            return Standing(outcome.value)
        if now.schedule.begun[place] and place not in now.asking:
            return Standing.UNDER_WAY
        return Standing.UNTOUCHED if over or now.schedule.never[place] else Standing.WAITING

    @property
    def failed_coming_up(self) -> Collection[str]:
        """The units that failed on their way up and of which nobody has said yet what becomes of them."""
        now = self._folded.now
        return [now.stage.nodes[place].unit.id for place in now.suspended if now.goal(place) is State.RUNNING]

    def verdict(self) -> RunEnded:
        """How the run ended, once nothing is left to do.

        `done` only if every node that was needed ended ok and every unit was found at the end where the run left it;
        `rolled back` only if every unit that the run touched was found as in the snapshot, with no process of it left
        behind, and no undo failed. Who is cancelled and leaves something undone has the code of what needs hands. The
        counts are of units to be acted on, each once: by the last stage that began with them, or what went wrong with
        them in any; units that were only probed count if they failed or are unknown, and were needed. `strayed` is
        there if any unit was.
        """
        counts = self._counts()
        if self.strayed:
            counts["strayed"] = len(self.strayed)
        if not_undone := self.not_undone:
            counts["not undone"] = len(not_undone)
        verdict = self._verdict()
        hands = verdict is Verdict.CANCELLED and (not_undone or self._run_not_undone)
        code = EXIT_CODES[Verdict.ROLLBACK_INCOMPLETE if hands else verdict]
        return RunEnded(verdict=verdict.value, exit_code=code, counts=counts)

    @property
    def _run_not_undone(self) -> bool:
        """Whether an undo of the run's own hooks did not end ok."""
        return any(phase is Phase.UNDO for phase, _ in self.hook_troubles)

    def _verdict(self) -> Verdict:
        folded = self._folded
        if folded.back is not None:
            undone = not folded.findings.not_undone and not self._run_not_undone
            marred = any(run.marred for run in folded.runs.values())
            whole = undone and not marred and folded.findings.all_before()
            return Verdict.ROLLED_BACK if whole else Verdict.ROLLBACK_INCOMPLETE
        if folded.ending and folded.called_off and not (folded.rolling_back and folded.findings.touched):
            return Verdict.CANCELLED
        if folded.as_planned:
            return Verdict.FAILED if folded.errands.troubles else Verdict.DONE
        return Verdict.ROLLBACK_INCOMPLETE if folded.plan.action is Action.ROLLBACK else Verdict.FAILED

    def _counts(self) -> dict[str, int]:
        counts = {word.value: 0 for word in (Standing.OK, Standing.FAILED, Standing.UNKNOWN, Standing.UNTOUCHED)}
        found: dict[str, str] = {}
        for number in self._told_of():
            run = self._folded.runs.get(number)
            for place, node in enumerate(self.stages[number].nodes):
                outcome = run.outcome(place) if run else None
                if run is not None and place in run.under_way:
                    outcome = Outcome.UNKNOWN  # the run was closed over it
                spared = run is not None and place in run.schedule.spared
                worse = outcome in _BAD and not spared and found.get(node.unit.id) not in _BAD
                if worse or (node.role is Role.ACT and node.unit.id not in found):
                    found[node.unit.id] = outcome or Standing.UNTOUCHED.value
        return {**counts, **Counter(found.values())}

    def _told_of(self) -> list[int]:
        """The stages whose units are counted: whose checks did not hold is never acted on."""
        began = sorted(self._folded.runs, reverse=True)
        acting = [number for number in began if not self.stages[number].checks]
        first = next((number for number, stage in enumerate(self.stages) if not stage.checks), None)
        checks = [number for number in began if self.stages[number].checks]
        return [*checks, *(acting or ([] if first is None else [first]))]

    def dump(self) -> dict[str, Any]:
        """The state without its plan, as JSON values. Equal states dump equally."""
        return runstate_dump.dump(self._folded)

    @classmethod
    def load(cls, plan: Plan, dumped: Mapping[str, Any]) -> "RunState":
        """The state that was dumped, over the plan that it had. Cost: O(nodes + edges)."""
        state = cls(plan)
        runstate_dump.restore(state._folded, dumped)
        return state


def fold(facts: Iterable[Fact]) -> RunState:
    """The state after *facts*, all of one run, the first (`RunBegan`) first.

    Raises:
        ValueError: they are not the facts of one run.
    """
    state: RunState | None = None
    for fact in facts:
        if state is None:
            if not isinstance(fact, RunBegan):
                raise ValueError(f"a run begins with RunBegan, not with {type(fact).__name__}")
            state = RunState.begin(fact.plan)
        state.apply(fact)
    if state is None:
        raise ValueError("there are no facts")
    return state
