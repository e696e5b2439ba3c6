"""What a way back was to put back and is not as it was.

Room: domain. A reading of the timeline for reports; the run itself judges by its own state.
"""

from dataclasses import dataclass

from orchestrator.domain.facts import UNREAD
from orchestrator.domain.plan import Action, Role
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.way_back import as_before, left_behind


@dataclass(frozen=True, slots=True)
class Unlike:
    """A unit that is not as it was: the state before the run (or the one that it was to go back to), and the last."""

    unit: str
    was: str
    now: str


def unlike(timeline: Timeline) -> list[Unlike]:
    """The units that the way back was to put back and that are not as they were, in plan order. Cost: O(units)."""
    began = timeline.began
    if began is None:
        return []
    found = timeline.states()
    if began.plan.action in (Action.ROLLBACK, Action.RESTORE):
        mine = (track for track in timeline.tracks() if track.role is Role.ACT)
        goals = {track.unit: str(track.goal) for track in mine}
        goals |= {unit: str(stage.goal) for unit, stage in left_behind(began.plan).items()}
        return [Unlike(unit, goal, found[unit]) for unit, goal in goals.items() if found[unit] != goal]
    units = {node.unit.id: node.unit for stage in began.plan.stages for node in stage.nodes}
    touched = (units[unit] for unit in timeline.touched() if not as_before(units[unit], found[unit]))
    return [Unlike(unit.id, str(unit.seen.state) if unit.seen else UNREAD, found[unit.id]) for unit in touched]
