"""What a playbook says about failures, decisions and notices, resolved; few say any of it."""

from dataclasses import dataclass

from orchestrator.domain.budget import Budget
from orchestrator.domain.policy import Approval, Do, Notice, Rule, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the playbook says a run may decide by itself, before it is known what the run acts on.

    `on_failure` and `approve_before` go by the names of actions; `otherwise` is for those that it does not name.
    `zones` has the hosts of each zone, those of them that are acted on; so do the rules.
    """

    on_failure: tuple[tuple[str, Do], ...] = ()
    otherwise: Do = Do.ASK
    rules: tuple[Rule, ...] = ()
    max_failures: Budget | None = None
    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()
    approve_before: tuple[str, ...] = ()
    approval: Approval = Approval()
    window: Window | None = None
    rollback_timeout_s: float = 600.0
    notify: tuple[Notice, ...] = ()
