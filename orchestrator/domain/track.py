"""One unit in one stage as eyes see it, and what views count and group of units.

Room: domain. Filled in by `progress`, read by whoever draws.
"""

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.domain.plan import Role
from orchestrator.domain.results import Acted, Phase, Result
from orchestrator.domain.runstate import Standing
from orchestrator.domain.service import State


@dataclass(slots=True, eq=False)
class Track:
    """One unit in one stage. Times: `*_at` UTC, seconds since 1970; `since_s` on the facts' monotonic clock.

    `before` and `now` are states as read; `why` says why the unit was not touched; `phase` is the last one issued.
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
    phase: Phase | None = None
    since_s: float = 0.0
    began_at: float | None = None
    ended_at: float | None = None
    took_s: float = 0.0
    attempts: int = 0
    exchanges: int = 0
    acted: Acted = Acted.NO
    note: str = ""
    why: str = ""
    set_aside: str = ""
    """`skipped` or `excluded` by a decision."""
    lost: bool = False
    """Its last step was under way when the process that carried it out was lost."""
    result: Result | None = None
    """The last result of the unit's own steps (not of the reading at the end)."""

    def take(self, result: Result, at: float) -> None:
        """One of its own steps has ended."""
        if result.before and result.step.phase is not Phase.GATE and self.result is None:
            self.before = result.before
        self.result, self.ended_at, self.note = result, at, ""
        self.took_s += result.took_s
        if result.acted is not Acted.NO:
            self.acted = result.acted

    @property
    def doing(self) -> str:
        """What is being done, in a word or two."""
        return DOING[self.phase] if self.phase else ""

    @property
    def limit_s(self) -> float:
        """The deadline of what is being done; 0 where it has none."""
        return {Phase.GATE: self.gates_s, Phase.READ: 0.0}.get(self.phase or Phase.READ, self.timeout_s)

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


DOING = {
    Phase.STOP: "stopping",
    Phase.START: "starting",
    Phase.GATE: "gate",
    Phase.READ: "reading",
    Phase.LOOK: "reading",
}


@dataclass(slots=True)
class ServiceRow:
    """The units of one service in one stage, counted by where they stand."""

    service: str
    total: int = 0
    counts: Counter[Standing] = field(default_factory=Counter)

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
