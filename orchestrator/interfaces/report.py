"""The end of a run on paper: what did not end well and why, counts, duration, verdict, and what to type next."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.domain.decision_log import named
from orchestrator.domain.durations import spoken
from orchestrator.domain.facts import UNREAD
from orchestrator.domain.plan import LeftAlone, Role
from orchestrator.domain.results import RUN, Acted, Outcome
from orchestrator.domain.runstate import Standing
from orchestrator.domain.step_words import step_words
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.track import Track
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.evidence_view import evidence
from orchestrator.interfaces.report_end import Undo, by_hooks, decisions, way_back, what_next
from orchestrator.interfaces.theme import (
    QUIET_STYLE,
    STRAYED_STYLE,
    STYLES,
    UNICODE_MARKS,
    VERDICT_STYLES,
    Marks,
    below,
    safe,
    stage_name,
    unit_name,
)

NOT_UNDONE = "not undone"
"""The count of undos that did not succeed."""
_BAD = (Standing.FAILED, Standing.UNKNOWN)
MOST_ROWS = 40
"""How many failed or strayed units are listed one by one; `orch show` lists them all."""


def report(
    timeline: Timeline, marks: Marks = UNICODE_MARKS, undo: Undo | None = None, *, carried: bool = False
) -> RenderableType:
    """The report, for people. *undo* is what to do by hand where a way back did not put all back; *carried*: a living
    process goes on with the run. Cost: O(units)."""
    began = timeline.began
    if began is None:
        return Text("no run was begun; nothing was touched")
    parts: list[RenderableType] = [_verdict(timeline, carried=carried), _counts(timeline, marks)]
    for block in (
        _rows(timeline, marks),
        by_hooks(timeline, marks),
        way_back(timeline, marks, undo),
        decisions(timeline),
        what_next(timeline, carried=carried),
    ):
        lines = list(block)
        parts += [Text(), *lines] if lines else []
    return Group(*parts)


def _verdict(timeline: Timeline, *, carried: bool) -> Text:
    began, ended = timeline.began, timeline.ended
    assert began is not None
    verdict = "running" if carried else "parked" if timeline.parked else "no end recorded"
    verdict = ended.verdict if ended else verdict
    text = Text(verdict.upper(), style=VERDICT_STYLES.get(verdict, "bold"))
    took = spoken(timeline.elapsed_s(timeline.last_s))
    of = f" of {clean(began.of)}" if began.of else ""
    text.append(f"  {began.plan.action} {clean(began.plan.name)}{of}, run {began.run}, {took}", style="default")
    if timeline.halted and verdict != "done" and timeline.back_from is None:
        text.append(f"; nothing more was begun once {clean(timeline.halted)}", style="default")
    if ended and ended.said:
        text.append(f"; {clean(ended.said)}", style="default")
    return text


def _counts(timeline: Timeline, marks: Marks) -> Text:
    """`✓ 110 ok (12 needed no act) · ✗ 1 failed · ...`: the run's own counts, or those of now while it has no end."""
    counts = timeline.ended.counts if timeline.ended else _of_units(timeline)
    pieces = []
    for standing in Standing:
        if counts.get(standing, 0) or standing is Standing.OK:
            said = f"{marks.standing[standing]} {counts.get(standing, 0)} {standing}"
            if standing is Standing.OK:
                there = _needed_no_act(timeline)
                said += f" ({there} needed no act)" if there else ""
            pieces.append(Text(said, style=STYLES[standing]))
    if timeline.strayed:
        pieces.append(Text(f"{marks.strayed} {len(timeline.strayed)} strayed", style=STRAYED_STYLE))
    if counts.get(NOT_UNDONE):
        pieces.append(Text(f"{marks.strayed} {counts[NOT_UNDONE]} {NOT_UNDONE}", style=STRAYED_STYLE))
    left_alone = len(timeline.began.plan.left_alone) - _counted(timeline) if timeline.began else 0
    if left_alone:
        pieces.append(Text(f"{left_alone} left alone", style=QUIET_STYLE))
    return Text(marks.dot).join(pieces)


def _stands(timeline: Timeline) -> dict[str, Track]:
    """Where each unit stands, once though several stages have it: in the first that it has not come well out of, else
    in the last. Cost: O(units)."""
    found: dict[str, Track] = {}
    for stage in timeline.going:
        for track in stage.tracks.values():
            if track.unit not in found or found[track.unit].standing is Standing.OK:
                found[track.unit] = track
    return found


def _of_units(timeline: Timeline) -> Mapping[str, int]:
    """Units by where they stand; what is only looked at counts where it went wrong."""
    acting = {track.unit for stage in timeline.going for track in stage.tracks.values() if track.role is Role.ACT}
    stands = _stands(timeline).values()
    return Counter(str(track.standing) for track in stands if track.unit in acting or track.standing in _BAD)


def _counted(timeline: Timeline) -> int:
    """How many of the units that are left alone are counted by what became of them: a rollback may look at some, and
    brings what was paused as near to that as it can."""
    alone = {left.unit for left in timeline.began.plan.left_alone} if timeline.began else set()
    mine = (track for track in timeline.tracks() if track.unit in alone)
    return len({track.unit for track in mine if track.role is Role.ACT or track.standing in _BAD})


def _needed_no_act(timeline: Timeline) -> int:
    """How many units were at every stage's goal already."""
    there: dict[str, bool] = {}
    for track in timeline.tracks():
        if track.role is Role.ACT:
            well = track.standing is Standing.OK and track.acted is Acted.NO
            there[track.unit] = there.get(track.unit, True) and well
    return sum(there.values())


def _rows(timeline: Timeline, marks: Marks) -> Iterator[RenderableType]:
    """Everything that did not end as it should: a line that names it, and a line that says why."""
    yield from _failed(timeline, marks)
    for lost in timeline.strayed[:MOST_ROWS]:
        what, said = "strayed", f"left {lost.left or 'unread'}, found {lost.found}"
        if lost.found == UNREAD:
            what, said = "not read at the end", f"left {lost.left or 'unread'}"
        said += f": {lost.why}" if lost.why else ""
        yield from _row(marks.strayed, STRAYED_STYLE, lost.unit, what, "", said)
    yield from _more(len(timeline.strayed))
    for unit, what in timeline.kept.rewritten.items():
        yield from _row(marks.strayed, STRAYED_STYLE, unit, "kept down, and somebody gave back", "", what)
    for standing in (Standing.UNTOUCHED, Standing.WAITING, Standing.UNDER_WAY):
        left = (track for track in _stands(timeline).values() if track.standing is standing and not track.idle_count)
        for first, units in _groups(left):
            what = _what(timeline, first)
            yield from _row(marks.standing[standing], STYLES[standing], named(units), what, first.now, _left(first))
    mine = {track.unit for track in timeline.tracks()}  # of those left alone, what was looked at stands further below
    alone = timeline.began.plan.left_alone if timeline.began else ()
    for why, units in by_reason([left for left in alone if left.unit not in mine]).items():
        yield from _row(marks.standing[Standing.WAITING], QUIET_STYLE, named(units), "left alone", "", why)
    for how, hosts in by_detour(timeline.detours).items():
        way, _, why = clean(how).partition("; ")
        yield from _row(marks.arrow, QUIET_STYLE, named(hosts), f"reached by {way}", "", why)


def _failed(timeline: Timeline, marks: Marks) -> Iterator[RenderableType]:
    """Hooks of the run and units that did not end well, and what they left behind to look at."""
    for track in timeline.hooks_of_run.bad:
        mark, style = marks.standing[track.standing], STYLES[track.standing]
        yield from _row(mark, style, unit_name(RUN), f"{track.words} {track.standing}", "", _why(track))
    for track in timeline.failures[:MOST_ROWS]:
        what = _what(timeline, track)
        now = track.now if track.stage >= (timeline.back_from or 0) else ""
        yield from _row(marks.standing[track.standing], STYLES[track.standing], track.unit, what, now, _why(track))
        yield from map(below, evidence(track))
    yield from _more(len(timeline.failures))


def _why(track: Track) -> str:
    """`stop after 90 s, perhaps acted: orch's own words: the error as the host gave it`."""
    words = f"{track.told} after {spoken(track.took_s)}" if track.step else ""
    if track.most_tries > 1:
        words += f", {track.most_tries} attempts"
    if track.set_aside:
        words += f", {track.set_aside}"
    if undone := _undone(track):
        words += f", {undone}"
    if track.acted is not Acted.NO:
        words += ", acted" if track.acted is Acted.YES else ", perhaps acted"
        words += "" if track.moved else " beside the service"
    said = track.result.said if track.result and not track.lost else track.why
    problem = track.result.problem if track.result else None
    told = track.error in said or (problem is not None and problem.text in said)
    hint = problem.hint if problem else ""
    return ": ".join(dict.fromkeys(filter(None, (words, said, "" if told else track.error, hint))))


def _undone(track: Track) -> str:
    """What was undone when the unit was given up: `undo of drain done`. What was not stands with what needs hands."""
    done = dict.fromkeys(step_words(result.step) for result in track.undos if result.outcome is Outcome.OK)
    return f"{' and '.join(done)} done" if done else ""


def _left(track: Track) -> str:
    """Why a unit that was not touched, or not yet, stands where it does."""
    return "; ".join(filter(None, (track.why, _undone(track))))


def _what(timeline: Timeline, track: Track) -> str:
    """`failed`; in a run of several stages `failed (start)`."""
    several = track.checks or sum(not one.stage.checks for one in timeline.stages) > 1
    stage = timeline.stages[track.stage].stage
    return f"{track.standing} ({stage_name(stage)})" if several else str(track.standing)


def _groups(tracks: Iterable[Track]) -> list[tuple[Track, list[str]]]:
    """Units alike in stage, service, state and reason are told together, however many: the first one, and all names."""
    groups: dict[tuple[int, str, str, str], tuple[Track, list[str]]] = {}
    for track in tracks:
        groups.setdefault((track.stage, track.service, track.now, _left(track)), (track, []))[1].append(track.unit)
    return list(groups.values())


def by_reason(left_alone: Iterable[LeftAlone]) -> dict[str, list[str]]:
    """The units that are left alone, by why."""
    groups: dict[str, list[str]] = {}
    for left in left_alone:
        groups.setdefault(left.why, []).append(left.unit)
    return groups


def by_detour(detours: Mapping[str, str]) -> dict[str, list[str]]:
    """The hosts of each detour, for those that are alike are told together."""
    groups: dict[str, list[str]] = {}
    for host, how in detours.items():
        groups.setdefault(how, []).append(host)
    return groups


def _row(mark: str, style: str, unit: str, what: str, state: str, why: str) -> Iterator[RenderableType]:
    text = Text.assemble((f"{mark} ", style), (clean(unit), "bold"), (f"  {what}", style))
    if state:
        text.append(f"  {clean(state)}", style=QUIET_STYLE)
    yield text
    if why:
        yield below(safe(why))


def _more(count: int) -> Iterator[RenderableType]:
    if count > MOST_ROWS:
        yield below(Text(f"and {count - MOST_ROWS} more", style=QUIET_STYLE))
