"""What a run may decide without a person, and who may decide where it may not. Frozen into the plan.

Room: domain. Durations are seconds. Percentages and groups of the playbook are resolved when the plan is made.
"""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.errors import ProblemKind


class Do(StrEnum):
    """What is done about a failure. RETRY is for rules alone, which bound how often."""

    ASK = "ask"
    ROLLBACK = "rollback"
    HOLD = "hold"
    CONTINUE = "continue"
    """Leave the unit and all that waits for it, and go on with the rest."""
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the whitelist: failures of these kinds, services and hosts (empty: any) are decided as `do` says.

    `count` is how many failures of a run it may decide in all (None: any number); past that the next rule is asked.
    A RETRY has a count.
    """

    do: Do
    kinds: tuple[ProblemKind, ...] = ()
    services: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    count: int | None = None


class OnTimeout(StrEnum):
    """What a decision becomes that nobody answers in time."""

    HOLD = "hold"
    ROLLBACK = "rollback"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who may answer, and how long is waited for them.

    `approvers` empty: anybody. Answers that act need `min_approvals` different people who say the same; hold and abort
    need one. `timeout_s` None: for ever.
    """

    approvers: tuple[str, ...] = ()
    min_approvals: int = 1
    not_requester: bool = False
    timeout_s: float | None = None
    on_timeout: OnTimeout = OnTimeout.HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Past `until` (HH:MM of the day, in the IANA zone `tz`) no new stop begins."""

    until: str
    tz: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Somebody who is told when a decision waits and when a run ends.

    `url` is apprise's, and may hold secret references; `title` and `body` are Jinja2 texts, "" for orch's own.
    `remind_s` is the time between reminders while a decision waits (None: no reminders).
    """

    url: str
    on: tuple[str, ...] = ("decision", "end")
    title: str = ""
    body: str = ""
    remind_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All of it, for one action.

    `max_failures` is how many units may fail (unknown and unreachable ones count) before nothing new begins, in the run
    and per service; None: no bound. `zones` has the hosts of each zone. `rollback_timeout_s` is how long a unit that
    can't be reached is tried again on the way back.
    """

    on_failure: Do = Do.ASK
    rules: tuple[Rule, ...] = ()
    max_failures: int | None = None
    max_failures_of: tuple[tuple[str, int], ...] = ()
    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()
    approve_before: bool = False
    approval: Approval = Approval()
    window: Window | None = None
    rollback_timeout_s: float = 600.0
    notify: tuple[Notice, ...] = ()
