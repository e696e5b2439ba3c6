"""One unit in one stage as eyes see it, and what views count and group of units.

Room: domain. Filled in by `progress`, read by whoever draws.
"""

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.domain.facts import UNREAD
from orchestrator.domain.life import Hook, Life
from orchestrator.domain.parts import goes_down, life_at
from orchestrator.domain.plan import Batch, Down, Role
from orchestrator.domain.results import MOVES, ORPHAN, PID, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import Standing
from orchestrator.domain.service import State
from orchestrator.domain.step_words import doing, hook_of, limit_s, step_words


@dataclass(slots=True, eq=False)
class Track:
    """One unit in one stage. Times: `*_at` UTC, seconds since 1970; `since_s` on the facts' monotonic clock.

    `before` and `now` are states as read; `why` says why the unit was not touched; `step` is the last one issued.
    """

    unit: str
    service: str
    host: str | None
    stage: int
    goal: State
    role: Role
    expected_s: float
    rank_s: float
    timeout_s: float = 0.0
    """How long its stop or start may take."""
    gates_s: float = 0.0
    """How long its gates may take."""
    before: str = ""
    now: str = ""
    standing: Standing = Standing.WAITING
    step: Step | None = None
    busy: bool = False
    """Whether a step of it is under way; False between two."""
    since_s: float = 0.0
    began_at: float | None = None
    ended_at: float | None = None
    took_s: float = 0.0
    attempts: int = 0
    exchanges: int = 0
    acted: Acted = Acted.NO
    moved: bool = False
    """Its service itself was, or may have been, started or stopped; not its hooks alone."""
    note: str = ""
    why: str = ""
    set_aside: str = ""
    """`skipped` or `excluded` by a decision."""
    lost: bool = False
    """Its last step was under way when the process that carried it out was lost."""
    result: Result | None = None
    """The last result of the unit's own steps (not of the reading at the end)."""
    life: Life | None = None
    """What it does around its act in this stage."""
    down: Down | None = None
    """How it goes down first, in a rolling restart."""
    batch: Batch | None = None
    """It is no unit, but stands before a batch, and counts for nothing."""
    undos: tuple[Result, ...] = ()
    """How the undos of its hooks ended, once it was given up halfway."""
    checks: bool = False
    """Nothing is moved in this stage: it is checked alone."""
    begun: dict[tuple[Phase, str], int] = field(default_factory=dict)
    """How often each of its parts was begun, by phase and hook; `attempts` are those of its whole life."""

    def begin(self, step: Step) -> None:
        """A step of it was issued; the same one may be once more after a resume."""
        self.begun[step.phase, step.hook] = self.begun.get((step.phase, step.hook), 0) + (step != self.step)
        self.step, self.busy = step, True

    def tries(self, step: Step) -> int:
        """How often the part was begun that *step* carries out."""
        return self.begun.get((step.phase, step.hook), step.attempt)

    @property
    def most_tries(self) -> int:
        """How often that part of it was begun that was most often; 0 if nothing was."""
        return max(self.begun.values(), default=0)

    def saw(self, result: Result) -> None:
        """A step of whatever kind has ended: where the unit is now, if it tells."""
        if result.after:
            self.now = result.after
        elif result.outcome is not Outcome.OK and result.step.phase in (*MOVES, Phase.READ):
            self.now = UNREAD
        self.exchanges += result.exchanges

    def take(self, result: Result, at: float) -> None:
        """One of its own steps has ended."""
        if result.before and self.result is None:
            self.before = result.before
        self.result, self.ended_at, self.note = result, at, ""
        self.took_s += result.took_s
        if result.acted is not Acted.NO:
            self.acted = result.acted
            self.moved = self.moved or result.step.phase in MOVES

    @property
    def doing(self) -> str:
        """What is being done, in a few words: `stopping`, `pre_stop hook drain`, `killing PID 4242`."""
        if self.step is None:
            return ""
        if not self.busy and self.standing is Standing.UNDER_WAY:
            return f"after {self.words}"  # whatever is next waits, as long as the run pauses
        if self.step.phase is Phase.KILL and self.process:
            return f"{doing(self.step)} PID {self.process}"
        return "precheck" if self._is_check(self.step) else doing(self.step, self.life_at(self.step))

    @property
    def phase(self) -> Phase | None:
        """The phase of the step that was issued last."""
        return self.step.phase if self.step else None

    @property
    def words(self) -> str:
        """What the last step is called: `stop`, `pre_stop hook drain`."""
        return self.name(self.step) if self.step else ""

    def name(self, step: Step) -> str:
        """What a step of its own is called. Where nothing but checks is done, its gates are the prechecks."""
        return str(Phase.PRECHECK) if self._is_check(step) else step_words(step, self.life_at(step))

    def life_at(self, step: Step) -> Life | None:
        """The life that *step* is of: a unit that is restarted by itself has one on its way down, and one on its way
        up."""
        return life_at(step, self.life, self.down)

    def hook_of(self, step: Step) -> Hook | None:
        """The hook that *step* carries out; None if it carries out none."""
        return hook_of(step, self.life_at(step))

    def _is_check(self, step: Step) -> bool:
        return self.checks and step.phase is Phase.GATE

    @property
    def told(self) -> str:
        """What the step is called of which `result` tells; that of the last one if it was lost."""
        step = self.result.step if self.result and not self.lost else self.step
        return self.name(step) if step else ""

    @property
    def process(self) -> str:
        """The PID of the process that is stuck, or outlived its stop; "" if its last result tells of none."""
        evidence = self.result.evidence if self.result else {}
        return evidence.get(ORPHAN) or evidence.get(PID, "")

    @property
    def limit_s(self) -> float:
        """The deadline of what is being done; 0 where it has none."""
        if self.step is None or not self.busy:
            return 0.0
        act_s, gates_s = self.timeout_s, self.gates_s
        if self.down is not None and goes_down(self.step):
            act_s = self.down.timeout_s
            gates_s = max((gate.deadline_s for gate in self.down.gates), default=0.0)
        return limit_s(self.step, self.life_at(self.step), act_s=act_s, gates_s=gates_s)

    @property
    def stretched_s(self) -> float:
        """How far the deadline of the stop that goes on may stretch while there is progress; 0: not at all."""
        if self.step is None or not self.busy or self.phase is not Phase.STOP:
            return 0.0
        life = self.life_at(self.step)
        return (life.max_timeout_s or 0.0) if life else 0.0

    @property
    def idle_count(self) -> bool:
        """Whether it stands before a batch, and there is nothing to tell of it: it is no unit."""
        told = (Standing.UNDER_WAY, Standing.FAILED, Standing.UNKNOWN)
        return self.batch is not None and self.standing not in told

    @property
    def needs_hands(self) -> bool:
        """Whether an undo of it did not end well."""
        return any(result.outcome is not Outcome.OK for result in self.undos)

    @property
    def error(self) -> str:
        """The failure as the host gave it, with its number; what orch says of it if the host gave none."""
        if self.standing not in (Standing.FAILED, Standing.UNKNOWN) or self.result is None:
            return ""
        problem = self.result.problem
        if problem is None or not problem.text:
            return self.result.said
        numbered = problem.code is None or str(problem.code) in problem.text
        return problem.text if numbered else f"{problem.text} (error {problem.code})"


@dataclass(slots=True)
class ServiceRow:
    """The units of one service in one stage, counted by where they stand, and which `batch` of its `batches` (0: it has
    none) goes on."""

    service: str
    total: int = 0
    counts: Counter[Standing] = field(default_factory=Counter)
    batch: int = 1
    batches: int = 0

    @property
    def ended(self) -> int:
        """How many have ended, however they ended."""
        return self.counts[Standing.OK] + self.counts[Standing.FAILED] + self.counts[Standing.UNKNOWN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Units that wait, and for whom: `units` of them, `first` among them; `held_by` are under way, longest first."""

    first: Track
    units: int
    held_by: tuple[Track, ...]
    missing: int
    """How many units still have to end well, those of `held_by` included."""
