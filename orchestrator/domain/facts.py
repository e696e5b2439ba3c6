"""Facts: what happened in a run, in order, appended to the journal. Views are folds of facts.

Only the conductor appends facts of a run's body; `jobs` appends its beginning and end. A fact holds no clock: the
journal stamps it when it is appended.
"""

from dataclasses import dataclass, field

from orchestrator.domain.decisions import Answer, Cause, Choice
from orchestrator.domain.plan import Plan, Stage
from orchestrator.domain.results import Result, Step

CANCEL = "cancel"
"""The order to cancel, as `OrderTaken` has it."""
UNREAD = "unknown"
"""What `Strayed` says for a state that could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """The files that a run was planned from, absolute, so that another process finds the way to its hosts again.

    `vault_ids` are as typed (`label@file`); no secret stands in here.
    """

    playbook: str = ""
    inventories: tuple[str, ...] = ()
    vault_password_files: tuple[str, ...] = ()
    vault_ids: tuple[str, ...] = ()
    ask_vault_pass: bool = False
    ask_pass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegan:
    """The first fact. The plan holds the snapshot: what every unit was before anything was touched."""

    run: str
    plan: Plan
    requester: str
    controller: str
    command: str = ""
    """The command line without its secrets, for the record."""
    made_from: MadeFrom = MadeFrom()
    of: str = ""
    """The run that this one rolls back, or the run or tag whose snapshot it restores."""


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
    """An order came in from outside: `cancel`, `window closed`. `by` says from whom, if that is known."""

    order: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Strayed:
    """The last read found the unit elsewhere than the run left it: somebody or something else moved it."""

    unit: str
    left: str
    found: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAsked:
    """A decision is open from here on. `pauses`: nothing new begins until it is answered. `held`: the same was asked
    before and answered with hold; it waits for a person, whatever the policy says of timeouts. Where `waits` is not
    so, the policy has an answer, and the next fact, written together with this one, is that."""

    decision: int
    cause: Cause
    choices: tuple[Choice, ...]
    pauses: bool = False
    held: bool = False
    waits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionGrew:
    """More units failed for the same reason while it was open."""

    decision: int
    units: tuple[str, ...]
    pauses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAnswered:
    """The one answer that counts."""

    decision: int
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionWithdrawn:
    """It needs no answer any more, or asks for something that is not so any more; `why` says which."""

    decision: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackBegan:
    """The way back, planned from what the run changed and from a fresh look. Its stages are numbered on.

    `changed_since` are units that are not where the run left them; they are not acted on.
    """

    stages: tuple[Stage, ...]
    changed_since: tuple[Strayed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParked:
    """No process holds the run from here on; it keeps its locks."""

    decisions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """Another process goes on. Steps that were asked and not answered before this were lost with the one before."""

    requester: str
    controller: str
    epoch: int
    command: str = ""
    accept_drift: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The last fact. `verdict` is one of `runstate.Verdict`; `exit_code` is the process's."""

    verdict: str
    exit_code: int
    counts: dict[str, int] = field(default_factory=dict)
    said: str = ""
    """Why, if somebody closed it: who and for what reason."""


Fact = (
    RunBegan
    | StageBegan
    | StepIntended
    | StepEnded
    | OrderTaken
    | Strayed
    | DecisionAsked
    | DecisionGrew
    | DecisionAnswered
    | DecisionWithdrawn
    | RollbackBegan
    | RunParked
    | RunResumed
    | RunEnded
)


@dataclass(frozen=True, slots=True)
class Stamped:
    """A fact with its number in the run (from 1) and its time.

    `at` is UTC, seconds since 1970; `elapsed_s` is monotonic within the process that appended it. `head` is the hash
    of the run's chain up to here, in hex: see docs/reasons.md.
    """

    number: int
    at: float
    elapsed_s: float
    fact: Fact
    head: str = ""
