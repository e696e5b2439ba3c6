"""A step, and what came of it. Small, JSON-serialisable, and no secret in it."""

from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.domain.errors import Problem

REACHED_BY = "reached_by"
"""The evidence of a host that was not reached by the first of its ways: how, and why."""


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
    """

    READ = "read"
    LOOK = "look"
    START = "start"
    STOP = "stop"
    GATE = "gate"


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of one unit in one stage of a run. `id` is `stage/unit/phase/attempt`: the key of intent and result.

    `delay_s` is waited before anything is done: how retries back off.
    """

    stage: int
    unit: str
    phase: Phase
    attempt: int = 1
    delay_s: float = 0.0

    @property
    def id(self) -> str:
        """The key, unique in a run."""
        return f"{self.stage}/{self.unit}/{self.phase}/{self.attempt}"


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


@dataclass(frozen=True, slots=True)
class Note:
    """Something on the way, for the eyes only: may be lost, decides nothing."""

    step: Step
    text: str
