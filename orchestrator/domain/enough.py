"""Whether as many instances of a service are up as the next batch of a rolling restart has to leave up, as far as is
known without a look: what an answer would come to is told by that.

Room: domain. The run itself counts live: see COUNT.
"""

from collections.abc import Collection, Iterator

from orchestrator.domain.plan import Batch, Node, Role, Stage, Unit
from orchestrator.domain.runstate import RunState, Standing
from orchestrator.domain.service import State


def too_few(state: RunState, stage: Stage, node: Node, batch: Batch, out: Collection[str] | None) -> str:
    """Why *batch*, that *node* of the *stage* now stands before, can't begin; "" if nothing is known that says so.

    Not up is who was drained by the run and not put back; and who is known to be elsewhere than Running, or failed and
    is *out*, unless they are taken for mended (*out* is None). Cost: O(nodes + edges).
    """
    coming = _coming(stage, node)
    away: dict[str, bool] = {}
    for unit, own in _units(stage):
        if unit.service == node.unit.service and unit.instance not in coming:
            seen = unit.seen is None or unit.seen.state is State.RUNNING
            down = _is_away(state, unit, out) if own else not seen and out is not None
            away[unit.instance] = away.get(unit.instance, False) or down
    up, least = len(away) - sum(away.values()), batch.at_least or 0
    if up >= least:
        return ""
    words = f"batch {batch.number} of {node.unit.service} could not begin"
    return f"{words}: only {up} would be up without {'it' if batch.size == 1 else 'them'}, {least} have to be"


def _coming(stage: Stage, node: Node) -> set[str]:
    """The instances of the batch behind *node*."""
    gates = {number for number, one in enumerate(stage.barriers) if one.name == node.unit.id and not one.soft}
    return {one.unit.instance for one in stage.nodes if not gates.isdisjoint(one.waits_for)}


def _units(stage: Stage) -> Iterator[tuple[Unit, bool]]:
    """Who is counted, and whether it is one of the stage's own."""
    for node in stage.nodes:
        if node.batch is None and node.role is not Role.PASS and node.unit.host is not None:
            yield node.unit, True
    for unit in stage.others:
        yield unit, False


def _is_away(state: RunState, unit: Unit, out: Collection[str] | None) -> bool:
    failed = state.standing(unit.id) in (Standing.FAILED, Standing.UNKNOWN)
    if failed and state.in_vain(unit.id):
        return True
    found = state.whereabouts(unit.id)
    return out is not None and (bool(found) and found != State.RUNNING or (failed and unit.id in out))
