"""What a run locks: the Windows services that it may act on."""

from orchestrator.domain.plan import Plan, Role


def keys(plan: Plan) -> tuple[str, ...]:
    """The units that *plan* acts on, as `service@host` in folded case: Windows compares names without case, and two
    playbooks may call one service by different keys. Sorted, each once. Cost: O(nodes)."""
    acting = (node.unit for stage in (*plan.stages, *plan.back) for node in stage.nodes if node.role is Role.ACT)
    return tuple(sorted({f"{unit.scm_name}@{unit.host}".casefold() for unit in acting}))
