"""The playbook's terms held against what a run acts on: percentages become numbers, groups become its hosts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from orchestrator.domain.draft import Draft
from orchestrator.domain.plan import Action, Role, Stage, Unit
from orchestrator.domain.policy import Policy, Rule
from orchestrator.domain.service import State
from orchestrator.domain.terms import Terms

_BY_GOAL: Mapping[State, str] = {State.STOPPED: "stop", State.RUNNING: "start"}


def policy_of(draft: Draft, action: Action, stages: Sequence[Stage]) -> Policy:
    """What a run of *action* with *stages* may decide by itself.

    An action that playbooks have no word for, as a restore has none, goes by the default, and needs an approval where
    one of the things that it does needs one. Cost: O(nodes + hosts of the rules).
    """
    terms = draft.terms or Terms()
    units: dict[str, Unit] = {
        node.unit.id: node.unit for stage in stages for node in stage.nodes if node.role is Role.ACT
    }
    hosts = {unit.host for unit in units.values() if unit.host is not None}
    by_service = Counter(unit.service for unit in units.values())
    rules = (_narrowed(rule, hosts) for rule in terms.rules)
    zones = ((zone, tuple(host for host in there if host in hosts)) for zone, there in terms.zones)
    budgets = ((entry.key, entry.max_failures) for entry in draft.entries if entry.key in by_service)
    return Policy(
        on_failure=dict(terms.on_failure).get(action, terms.otherwise),
        rules=tuple(rule for rule in rules if rule is not None),
        max_failures=terms.max_failures.of(len(units)) if terms.max_failures else None,
        max_failures_of=tuple((key, budget.of(by_service[key])) for key, budget in budgets if budget is not None),
        zones=tuple((zone, there) for zone, there in zones if there),
        approve_before=bool(_named(action, stages) & set(terms.approve_before)),
        approval=terms.approval,
        window=terms.window,
        rollback_timeout_s=terms.rollback_timeout_s,
        notify=terms.notify,
    )


def _narrowed(rule: Rule, hosts: AbstractSet[str]) -> Rule | None:
    """The rule for *hosts* alone; None if it was for others: one without hosts would be for any."""
    if not rule.hosts:
        return rule
    here = tuple(host for host in rule.hosts if host in hosts)
    return replace(rule, hosts=here) if here else None


def _named(action: Action, stages: Sequence[Stage]) -> AbstractSet[str]:
    """The playbook's words for what a run does."""
    if action in (Action.STOP, Action.START, Action.RESTART):
        return {str(action)}
    return {_BY_GOAL[stage.goal] for stage in stages if stage.goal in _BY_GOAL}
