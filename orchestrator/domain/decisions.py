"""Decisions: what a run asks of a person or of its policy, and what may be answered.

Room: domain. A decision has a number in its run, counted from 1; an answer is to (run, decision) and the first that is
accepted counts. When a decision is asked, and what follows from its answer, is `runstate`'s; what an answer would
mean, before it is given, is `consequences`'.
"""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.errors import ProblemKind


class Choice(StrEnum):
    """What may be answered.

    CONTINUE: go on as planned (an approval before a run; after a cancel, a change by others, or too many failures).
    ROLLBACK: put back what this run changed. RETRY: do the failed steps again. SKIP: leave the failed units and all
    that wait for them. EXCLUDE: do without their hosts from here on. HOLD: leave all as it is and decide later; the run
    parks and keeps its locks. ABORT: leave all as it is, and end the run. KILL: end the processes of units that are
    stuck on their way down, or that outlived their stop, and go on.
    """

    CONTINUE = "continue"
    ROLLBACK = "rollback"
    RETRY = "retry"
    SKIP = "skip"
    EXCLUDE = "exclude"
    HOLD = "hold"
    ABORT = "abort"
    KILL = "kill"


LEAVES_ALL = (Choice.HOLD, Choice.ABORT)
"""The answers that touch nothing more."""


class CauseKind(StrEnum):
    """Why a decision is asked.

    FAILURE: units failed or are unknown. VANISHED: most hosts, or most of a zone, can't be reached. BUDGET: more
    failures than `max_failures`. CANCELLED: somebody cancelled. WINDOW: its end has come. APPROVAL: `approve_before`.
    CHANGED: units are not where the run left them, found on resume or when an answer came late. HOOK: a hook of the
    whole run did not succeed. PAUSE: between two batches, where the playbook wants a person.
    """

    FAILURE = "failure"
    VANISHED = "vanished"
    BUDGET = "max_failures"
    CANCELLED = "cancelled"
    WINDOW = "window"
    APPROVAL = "approval"
    CHANGED = "changed"
    HOOK = "hook"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason, however many units it struck: one host that is gone fails all its units, one bad build all of a
    service's.

    `said` is what the first of them said; `problem` the kind of failure, `service` the entry it is about ("" if it
    is about several).
    """

    kind: CauseKind
    said: str
    problem: ProblemKind | None = None
    service: str = ""
    units: tuple[str, ...] = ()


class Source(StrEnum):
    """Who answered."""

    PERSON = "person"
    POLICY = "policy"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was decided. `by` names the person, or the rule of the policy; `approvals` all who agreed, `by` included.

    `shown` is the consequence as it was previewed, in words. `waited_s` is how long the question stood.
    """

    choice: Choice
    source: Source
    by: str
    reason: str = ""
    approvals: tuple[str, ...] = ()
    shown: str = ""
    waited_s: float = 0.0
