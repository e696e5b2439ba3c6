"""A step, and what came of it. Small, JSON-serialisable, and no secret in it."""

from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.domain.errors import Problem

REACHED_BY = "reached_by"
"""The evidence of a host that was not reached by the first of its ways: how, and why."""
ORPHAN = "orphan"
"""The evidence of a stop whose process outlived it: that process's PID."""
PID = "pid_after"
"""The evidence of a process that a service has when it is read last: its PID, which a kill would end."""
EXIT = "exit"
"""The evidence of how a service ended, in words."""
GATE, EVENT = "gate ", "event "
"""How the evidence of each gate (what it saw last) and of each record of the event logs (newest first) begins: behind
it stands a number."""


class Outcome(StrEnum):
    """Three, not two: UNKNOWN blocks dependents, is never counted as success, and is never repeated blindly."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Acted(StrEnum):
    """Whether the step changed something on the host. MAYBE: a request was sent and its answer was lost."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


class Phase(StrEnum):
    """One phase of one unit. READ reads the state; GATE waits for health; START and STOP act only if needed.

    LOOK reads it too, outside a unit's own life: on resume, before a rollback, and when an answer came late.
    PRECHECK and DRAINED wait for gates before a stop; the four named after hooks carry one hook out each, UNDO the undo
    of one whose unit is given up halfway. KILL ends the process of a stop that is stuck, or an orphan. HEALTHY waits
    whether a started service stays up. KEEP_DOWN takes away what could revive a stopped service, RELEASE puts it back.
    WATCH ends when a unit that others count on is not at its goal any more. COUNT takes a live count before a batch.
    BETWEEN is one thing that is done on a host between the stop and the start of a restart: a program, a reboot.
    ON_BEGIN, ON_END and ON_FAILURE are hooks of the run: their unit is RUN.
    """

    READ = "read"
    LOOK = "look"
    START = "start"
    STOP = "stop"
    GATE = "gate"
    PRECHECK = "precheck"
    PRE_STOP = "pre_stop"
    DRAINED = "drained"
    POST_STOP = "post_stop"
    PRE_START = "pre_start"
    HEALTHY = "healthy"
    POST_START = "post_start"
    UNDO = "undo"
    KILL = "kill"
    KEEP_DOWN = "keep_down"
    RELEASE = "release"
    WATCH = "watch"
    COUNT = "count"
    BETWEEN = "between"
    ON_BEGIN = "on_begin"
    ON_END = "on_end"
    ON_FAILURE = "on_failure"


RUN = "run"
"""The unit of steps that belong to the run as a whole."""
AT_FIRST = "first"
"""`Step.hook` of the READ with which a life of several parts begins; the reading at the run's end has none."""
HOOKS = (Phase.PRE_STOP, Phase.POST_STOP, Phase.PRE_START, Phase.POST_START, Phase.BETWEEN)
"""The phases that carry out a hook of a unit, or of a host."""
MOVES = (Phase.START, Phase.STOP, Phase.KILL)
"""The phases that move a service, and read it back."""


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of one unit in one stage of a run. `id` is `stage/unit/phase/attempt`: the key of intent and result.

    `delay_s` is waited before anything is done: how retries back off. `hook` is which hook of the phase it is, by its
    name in the plan; the id then has it behind the phase: `0/orders@app-03/pre_stop:pre_stop.1/1`.
    """

    stage: int
    unit: str
    phase: Phase
    attempt: int = 1
    delay_s: float = 0.0
    hook: str = ""

    @property
    def id(self) -> str:
        """The key, unique in a run."""
        phase = f"{self.phase}:{self.hook}" if self.hook else self.phase
        return f"{self.stage}/{self.unit}/{phase}/{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one step found and did.

    `before` and `after` are states as read from the host ("" where the step reads none or could not read);
    `said` is one sentence for people; `problem` is set unless the outcome is OK; `exchanges` counts round trips that
    this step caused or shared; `took_s` is monotonic.
    """

    step: Step
    outcome: Outcome
    acted: Acted = Acted.NO
    before: str = ""
    after: str = ""
    said: str = ""
    problem: Problem | None = None
    evidence: dict[str, str] = field(default_factory=dict)
    exchanges: int = 0
    took_s: float = 0.0


WAITS = "waits: "
"""How the note of a COUNT begins that has to wait for more that are up: it is worth a line where no picture changes."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something on the way, for the eyes only: may be lost, decides nothing."""

    step: Step
    text: str
