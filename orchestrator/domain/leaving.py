"""The processes that a run may have asked to go, and has not seen gone: what its next process has to know of them.

Room: domain. Folded from the facts: a plan's snapshot knows no process that the run itself has started.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.facts import Fact, StepEnded, StepIntended
from orchestrator.domain.plan import Plan, Unit
from orchestrator.domain.results import ORPHAN, PID, Outcome, Phase

PID_BEFORE = "pid_before"
"""The evidence of a process that a service has when it is read first."""
_ENDS = (Phase.STOP, Phase.KILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A process of the service *scm_name* on *host*. `booted_at` is of the host when the plan was made: a process of
    another boot is gone."""

    host: str
    scm_name: str
    pid: int
    booted_at: float


def leaving(plan: Plan, facts: Iterable[Fact]) -> list[Leaving]:
    """The last process of each unit of which a stop or a kill was asked and did not end ok. Where a host does not tell
    its boot nothing is known: a PID of another one means nothing. Cost: O(nodes + facts)."""
    units = {node.unit.id: node.unit for stage in plan.stages for node in stage.nodes}
    had: dict[str, int] = {}
    asked: dict[str, None] = {}
    for fact in facts:
        if isinstance(fact, StepIntended) and fact.step.phase in _ENDS:
            asked[fact.step.unit] = None
        elif isinstance(fact, StepEnded):
            step, told = fact.result.step, fact.result.evidence
            pid = told.get(ORPHAN) or told.get(PID) or told.get(PID_BEFORE)
            if pid is not None:
                had[step.unit] = int(pid)
            if fact.result.outcome is Outcome.OK and step.phase in (*_ENDS, Phase.START):
                asked.pop(step.unit, None)
                if step.phase in _ENDS:
                    had.pop(step.unit, None)
    return [found for unit in asked if unit in had and (found := _of(units.get(unit), had[unit])) is not None]


def _of(unit: Unit | None, pid: int) -> Leaving | None:
    if unit is None or unit.host is None or unit.scm_name is None or unit.booted_at is None:
        return None
    return Leaving(host=unit.host, scm_name=unit.scm_name, pid=pid, booted_at=unit.booted_at)
