"""Facts: what happened in a run, in order, appended to the journal. Views are folds of facts.

Only the conductor appends facts of a run's body; `jobs` appends its beginning and end. A fact holds no clock: the
journal stamps it when it is appended.
"""

from dataclasses import dataclass, field

from orchestrator.domain.plan import Plan
from orchestrator.domain.results import Result, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegan:
    """The first fact. The plan holds the snapshot: what every unit was before anything was touched."""

    run: str
    plan: Plan
    requester: str
    controller: str
    command: str = ""
    """The command line without its secrets, for the record."""


@dataclass(frozen=True, slots=True)
class StageBegan:
    """Steps of this stage may now be issued."""

    stage: int


@dataclass(frozen=True, slots=True)
class StepIntended:
    """The step is about to be issued: on disk before the act."""

    step: Step


@dataclass(frozen=True, slots=True)
class StepEnded:
    """The step's result, as observed."""

    result: Result


@dataclass(frozen=True, slots=True)
class OrderTaken:
    """An order came in from outside: `cancel`."""

    order: str


@dataclass(frozen=True, slots=True)
class Strayed:
    """The last read found the unit elsewhere than the run left it: somebody or something else moved it."""

    unit: str
    left: str
    found: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The last fact. `verdict` is `done`, `failed` or `cancelled`; `exit_code` is the process's."""

    verdict: str
    exit_code: int
    counts: dict[str, int] = field(default_factory=dict)


Fact = RunBegan | StageBegan | StepIntended | StepEnded | OrderTaken | Strayed | RunEnded


@dataclass(frozen=True, slots=True)
class Stamped:
    """A fact with its number in the run (from 1) and its time.

    `at` is UTC, seconds since 1970; `elapsed_s` is monotonic within the process that appended it.
    """

    number: int
    at: float
    elapsed_s: float
    fact: Fact
