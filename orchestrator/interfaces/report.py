"""The end of a run on paper: what did not end well and why, counts, duration, verdict, and what to type next."""

from collections.abc import Iterable
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.domain.durations import spoken
from orchestrator.domain.progress import Track
from orchestrator.domain.results import Acted
from orchestrator.domain.runstate import Standing
from orchestrator.domain.timeline import Timeline
from orchestrator.interfaces.theme import (
    QUIET_STYLE,
    STRAYED_STYLE,
    STYLES,
    UNICODE_MARKS,
    VERDICT_STYLES,
    Marks,
    clean,
    safe,
)

MOST_ROWS = 40
"""How many failed or strayed units are listed one by one; `orch show` lists them all."""
NAMED = 3
"""How many units of a group are named."""
NOT_OK = (Standing.FAILED, Standing.UNKNOWN, Standing.UNTOUCHED, Standing.WAITING, Standing.UNDER_WAY)


def report(timeline: Timeline, marks: Marks = UNICODE_MARKS) -> RenderableType:
    """The report, for people. Cost: O(units)."""
    began = timeline.began
    if began is None:
        return Text("no run was begun; nothing was touched")
    parts: list[RenderableType] = [_verdict(timeline), _counts(timeline, marks)]
    table = _table(timeline, marks)
    if table.row_count:
        parts += [Text(), table]
    return Group(*parts, *_next(timeline))


def _verdict(timeline: Timeline) -> Text:
    began, ended = timeline.began, timeline.ended
    assert began is not None
    verdict = ended.verdict if ended else "no end recorded"
    text = Text(verdict.upper(), style=VERDICT_STYLES.get(verdict, "bold"))
    took = spoken(timeline.elapsed_s(timeline.last_s))
    text.append(f"  {began.plan.action} {clean(began.plan.name)}, run {began.run}, {took}", style="default")
    if timeline.halted and verdict != "done":
        text.append(f"; nothing more was begun once {clean(timeline.halted)}", style="default")
    return text


def _counts(timeline: Timeline, marks: Marks) -> Text:
    """`✓ 110 ok, 12 of them without a touch · ✗ 1 failed · - 8 untouched`."""
    counts = timeline.counts()
    pieces = []
    for standing in (Standing.OK, *NOT_OK):
        if counts[standing] or standing is Standing.OK:
            said = f"{marks.standing[standing]} {counts[standing]} {standing}"
            if standing is Standing.OK:
                there = sum(1 for track in timeline.tracks() if _was_there(track))
                said += f" ({there} needed no act)" if there else ""
            pieces.append(Text(said, style=STYLES[standing]))
    if timeline.strayed:
        pieces.append(Text(f"{marks.strayed} {len(timeline.strayed)} strayed", style=STRAYED_STYLE))
    if timeline.began and timeline.began.plan.left_alone:
        pieces.append(Text(f"{len(timeline.began.plan.left_alone)} left alone", style=QUIET_STYLE))
    return Text(marks.dot).join(pieces)


def _was_there(track: Track) -> bool:
    return track.standing is Standing.OK and track.acted is Acted.NO


def _table(timeline: Timeline, marks: Marks) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", min_width=16)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for track in timeline.failures[:MOST_ROWS]:
        _add(table, marks.standing[track.standing], track.unit, track.standing, track.now, _why(track))
    _more(table, len(timeline.failures))
    for lost in timeline.strayed[:MOST_ROWS]:
        said = f"left {lost.left or 'unread'}, found {lost.found}" + (f": {lost.why}" if lost.why else "")
        _add(table, marks.strayed, lost.unit, "strayed", lost.found, said)
    _more(table, len(timeline.strayed))
    for standing in (Standing.UNTOUCHED, Standing.WAITING, Standing.UNDER_WAY):
        _add_groups(table, marks, standing, (track for track in timeline.tracks() if track.standing is standing))
    if timeline.began:
        alone = timeline.began.plan.left_alone
        for why, group in groupby(sorted(alone, key=lambda left: left.why), key=lambda left: left.why):
            _add(table, marks.standing[Standing.WAITING], _names([left.unit for left in group]), "left alone", "", why)
    return table


def _why(track: Track) -> str:
    words = f"{track.phase} after {spoken(track.took_s)}" if track.phase else ""
    if track.acted is not Acted.NO:
        words += ", acted" if track.acted is Acted.YES else ", perhaps acted"
    return f"{words}: {track.error}" if track.error else words


def _add_groups(table: Table, marks: Marks, standing: Standing, tracks: Iterable[Track]) -> None:
    """Units alike in service, state and reason share a row: a run of thousands stays readable."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for track in tracks:
        groups.setdefault((track.service, track.now, track.why), []).append(track.unit)
    for (_, now, why), units in groups.items():
        _add(table, marks.standing[standing], _names(units), standing, now, why)


def _names(units: list[str]) -> str:
    more = len(units) - NAMED
    return ", ".join(units[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _add(table: Table, mark: str, unit: str, what: str, state: str, why: str) -> None:
    style = STYLES[Standing(what)] if what in set(Standing) else STRAYED_STYLE if what == "strayed" else QUIET_STYLE
    name = Text(f"{mark} ", style=style).append(clean(unit))
    table.add_row(name, Text(what, style=style), safe(state, QUIET_STYLE), safe(why))


def _more(table: Table, count: int) -> None:
    if count > MOST_ROWS:
        table.add_row(Text(f"and {count - MOST_ROWS} more", style=QUIET_STYLE))


def _next(timeline: Timeline) -> list[RenderableType]:
    """What to type next; nothing when all is well."""
    began, ended = timeline.began, timeline.ended
    assert began is not None
    if ended and ended.verdict == "done" and not timeline.strayed:
        return []
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("next:", Text(f"orch show {began.run}   every unit with its states, times and errors"))
    if began.command and (not ended or ended.verdict != "done"):
        table.add_row(
            "", safe(began.command).append("   again, once it is mended: what is there already is left as it is")
        )
    return [Text(), table]
