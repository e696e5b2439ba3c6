"""When a window closes: `until` is a time of day where the work is done, whatever the clocks there do that night."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.policy import Window
from orchestrator.domain.service import State

LONGEST = timedelta(hours=12)
"""A window that would close later than this after a run began is the one that has closed already."""


def window_of(plan: Plan) -> Window | None:
    """The window that *plan* is refused past: a way back and what only starts have none."""
    if plan.policy.window is None or plan.action is Action.ROLLBACK:
        return None
    stops = any(
        stage.goal is State.STOPPED or any(node.down is not None for node in stage.nodes) for stage in plan.stages
    )
    return plan.policy.window if stops else None


def closes_at(window: Window, began_at: float) -> float:
    """When *window* closes for a run that began at *began_at* (both UTC, seconds since 1970).

    That is the next `until` after *began_at* if it is near enough, else *began_at* itself: it is closed already. A time
    that the clocks show twice counts the first time; one that they skip is meant as they would have shown it.

    Raises:
        ZoneInfoNotFoundError, ValueError: the playbook's reader lets no such window pass.
    """
    began = datetime.fromtimestamp(began_at, UTC)
    zone = ZoneInfo(window.tz)
    until = time.fromisoformat(window.until)
    today = began.astimezone(zone).date()
    for days in (0, 1):
        closes = datetime.combine(today + timedelta(days=days), until, zone).astimezone(UTC)
        if began < closes <= began + LONGEST:
            return closes.timestamp()
    return began_at
