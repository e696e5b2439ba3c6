"""What is told before a run goes on: who carried it, what is done, what was lost, what it waits for."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.domain.decision_log import named
from orchestrator.domain.durations import spoken
from orchestrator.domain.plan import Role
from orchestrator.domain.runstate import Standing
from orchestrator.domain.timeline import Timeline
from orchestrator.engine.book_ports import OpenDecision
from orchestrator.interfaces.decision_words import answered
from orchestrator.interfaces.theme import STYLES, UNICODE_MARKS, Marks, below, moment, plural, safe


def what_is_found(
    timeline: Timeline, waiting: Sequence[OpenDecision], *, alive: bool | None, now: float, marks: Marks = UNICODE_MARKS
) -> RenderableType:
    """The run as its record has it, before any host is asked. *alive* as in `Holding`; *now* is UTC, in seconds."""
    began = timeline.began
    assert began is not None
    gone = "is parked" if alive is None else "has lost its process"
    what = f"{began.plan.action} {began.plan.name}, begun by {began.requester} on {began.controller}"
    since = f"{gone}; its last fact is of {moment(timeline.last_at)}, {spoken(max(0.0, now - timeline.last_at))} ago"
    return Group(
        safe(f"run {began.run}: {what}", "bold"), safe(since), *_units(timeline, marks), *_asked(timeline, waiting)
    )


def _units(timeline: Timeline, marks: Marks) -> Iterator[RenderableType]:
    """A line for each kind of unit: done, lost, failed, still to do."""
    groups: dict[Standing, list[str]] = {}
    for stage in timeline.going:
        for unit, track in stage.tracks.items():
            if track.role is Role.ACT:
                groups.setdefault(track.standing, []).append(unit)
    if timeline.back_from is not None:
        yield Text("it was on its way back")
    for standing, words in _WORDS.items():
        units = groups.get(standing)
        if units:
            yield Text.assemble(
                (f"{marks.standing[standing]} ", STYLES[standing]),
                f"{plural(len(units), 'unit')} {words}: ",
                named(units),
            )


_WORDS = {
    Standing.OK: "done",
    Standing.UNDER_WAY: "lost on the way (asked of their hosts, the answer is not known; read again before anything)",
    Standing.FAILED: "failed",
    Standing.UNKNOWN: "not known",
    Standing.WAITING: "still to do",
    Standing.UNTOUCHED: "not to be touched any more",
}


def _asked(timeline: Timeline, waiting: Sequence[OpenDecision]) -> Iterator[RenderableType]:
    settled = {one.asked.decision: one.settled for one in waiting if one.settled}
    for question in timeline.decisions.open:
        yield safe(f"decision {question.number}: {question.headline}", "bold")
        answer = settled.get(question.number)
        if answer is not None:
            yield below(
                safe(f"answered: {answer.choice} by {answer.by}" + (f": {answer.reason}" if answer.reason else ""))
            )
        else:
            yield below(safe(answered(question)))
