"""One picture of a run under way, drawn from its timeline to fit so many columns and lines. No clock, no terminal.

A decision that waits stands at the top, then failures: nothing pushes them out of sight.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from orchestrator.domain.decision_log import Question
from orchestrator.domain.durations import spoken
from orchestrator.domain.facts import Strayed
from orchestrator.domain.progress import StageProgress
from orchestrator.domain.results import MOVES
from orchestrator.domain.runstate import Standing
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.track import ServiceRow, Track, Wait
from orchestrator.domain.way_back import in_words
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.decision_words import command, in_time, listed, said, who_may
from orchestrator.interfaces.theme import (
    ACTIONS,
    DECISION_EDGE,
    DECISION_STYLE,
    QUIET_STYLE,
    STRAYED_STYLE,
    STYLES,
    Marks,
    bar,
    plural,
    safe,
    stage_name,
)

SERVICE_BAR = 16
WIDEST = 120
"""Wider than this, the eye loses the row."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where to draw: columns, lines, and the marks that can be shown."""

    width: int
    height: int
    marks: Marks


@dataclass(frozen=True, slots=True)
class _Section:
    """A title and its rows: how many it has, and how to draw the first so many of them."""

    rows: int
    least: int
    draw: Callable[[int], RenderableType]


def frame(timeline: Timeline, now_s: float, canvas: Canvas) -> RenderableType:
    """The picture: never more lines than the canvas has. Cost: O(services + lines)."""
    stage = timeline.current
    canvas = replace(canvas, width=min(canvas.width, WIDEST))
    if timeline.began is None or stage is None:
        return Text("no run has begun", style=QUIET_STYLE)
    parts: list[RenderableType] = [
        _title(timeline, canvas.marks),
        _overall(timeline, now_s, canvas),
        _halted(timeline, canvas.marks),
    ]
    sections = _sections(timeline, stage, now_s, canvas)
    lines = _share_out(sections, canvas.height - len(parts))
    drawn = [section.draw(count - 1) for section, count in zip(sections, lines, strict=True) if count]
    roomy = len(parts) + sum(lines) + len(drawn) - 1 <= canvas.height
    for place, section in enumerate(drawn):
        parts += [Text(), section] if place and roomy else [section]
    return Constrain(Group(*parts), canvas.width)


def _share_out(sections: Sequence[_Section], height: int) -> list[int]:
    """Lines for each section, its title among them: first what each needs least, then what is left in their order."""
    lines = [0] * len(sections)
    for place, section in enumerate(sections):
        if section.rows and height >= 2:
            lines[place] = min(section.least, section.rows, height - 1) + 1
            height -= lines[place]
    for place, section in enumerate(sections):
        if lines[place]:
            more = min(section.rows + 1 - lines[place], height)
            lines[place] += more
            height -= more
    return lines


def _sections(timeline: Timeline, stage: StageProgress, now_s: float, canvas: Canvas) -> list[_Section]:
    rows = list(stage.rows.values())
    waits = timeline.waits(canvas.height, held_by=2 if canvas.width >= WIDEST else 1)
    under_way = [*timeline.hooks_of_run.under_way, *timeline.under_way(canvas.height)]
    ready = [Text(_ready(stage))] if stage.ready and not timeline.halted else []
    failures = _failed(timeline)
    open_ones = timeline.decisions.open
    changed = timeline.changed_since
    return [
        _Section(_rows_of(open_ones), 2, lambda lines: _decision(timeline, open_ones, lines, now_s, canvas)),
        _Section(len(changed), 2, lambda lines: _changed(changed, lines, canvas)),
        _Section(len(failures), 4, lambda lines: _failures(timeline, failures, lines, canvas)),
        _Section(len(rows), 6, lambda lines: _services(rows, lines, canvas)),
        _Section(len(under_way), 4, lambda lines: _under_way(under_way, stage, lines, now_s, canvas)),
        _Section(len(waits) + len(ready), 3, lambda lines: _waits(waits, ready, lines, now_s, canvas)),
    ]


def _title(timeline: Timeline, marks: Marks) -> Text:
    began = timeline.began
    assert began is not None
    title = Text(no_wrap=True, overflow=marks.overflow)
    if timeline.back_from is not None:
        title.append("ROLLING BACK ", style=DECISION_STYLE).append(" ")
    title.append(f"{ACTIONS[began.plan.action]} {clean(began.plan.name)}", style="bold")
    title.append(f"  run {began.run}", style=QUIET_STYLE)
    if began.requester:
        title.append(f"  by {clean(began.requester)}", style=QUIET_STYLE)
    if timeline.detours:
        title.append(f"  {plural(len(timeline.detours), 'host')} not by the first way", style="yellow")
    return title


def _halted(timeline: Timeline, marks: Marks) -> Text:
    """Why nothing new begins; an empty line as long as it does."""
    words = f"nothing new begins: {clean(timeline.halted)}; what is under way settles" if timeline.halted else ""
    return Text(words, style="bold yellow", no_wrap=True, overflow=marks.overflow)


def _overall(timeline: Timeline, now_s: float, canvas: Canvas) -> Table:
    counts, total = timeline.counts(), timeline.total
    percent = 100 * timeline.ended_count // total if total else 100
    words = (
        f"{timeline.ended_count}/{total} {percent:3d} %  {_stage_words(timeline)}{spoken(timeline.elapsed_s(now_s))}"
    )
    left_s = timeline.remaining_s(now_s)
    if left_s is not None:
        words += f", about {spoken(round(left_s))} left" if left_s >= 1 else ", longer than expected"
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, overflow=canvas.marks.overflow, justify="right")
    table.add_row(bar(counts, total, max(10, canvas.width - len(words) - 3), canvas.marks), Text(words))
    return table


def _stage_words(timeline: Timeline) -> str:
    if timeline.checking:
        return "reading what was touched  " if timeline.looking else "reading everybody once more  "
    if len(timeline.going) < 2 or timeline.current is None:
        return ""
    stage = timeline.current
    number = stage.number + 1 - (timeline.back_from or 0)
    return f"{number} of {len(timeline.going)}: {stage_name(stage.stage)}{_checked(stage)}  "


def _checked(stage: StageProgress) -> str:
    """How far the prechecks are, which no bar counts."""
    if not stage.stage.checks:
        return ""
    ended = sum(row.ended for row in stage.rows.values())
    return f" {ended}/{sum(row.total for row in stage.rows.values())}"


def _titled(title: str, rest: str, table: Table, marks: Marks) -> Group:
    """A section: its title, on one line whatever its length, and its rows."""
    heading = Text.assemble(
        (title, "bold"), (f"  {rest}" if rest else "", QUIET_STYLE), no_wrap=True, overflow=marks.overflow
    )
    return Group(heading, table)


def _grid(*justify: str, widest: int, marks: Marks) -> Table:
    """A table of one-line rows; the column at *widest* takes what room there is."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for place, way in enumerate(justify):
        ratio = 1 if place == widest else None
        table.add_column(
            no_wrap=True, overflow=marks.overflow, justify="right" if way == "right" else "left", ratio=ratio
        )
    return table


def _services(rows: Sequence[ServiceRow], lines: int, canvas: Canvas) -> Group:
    chosen, hidden = list(rows), 0
    if len(rows) > lines:
        chosen = sorted(rows, key=_calm)[: lines - 1]
        hidden = len(rows) - len(chosen)
        kept = {row.service for row in chosen}
        chosen = [row for row in rows if row.service in kept]
    names = min(max(cell_len(clean(row.service)) for row in chosen), max(12, canvas.width // 3))
    counted = max(len(f"{row.total}/{row.total}") for row in chosen)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow=canvas.marks.overflow, min_width=names, max_width=names)
    table.add_column(no_wrap=True, min_width=SERVICE_BAR, max_width=SERVICE_BAR)
    table.add_column(no_wrap=True, justify="right", min_width=counted)
    table.add_column(no_wrap=True, overflow=canvas.marks.overflow)
    for row in chosen:
        done = f"{row.counts[Standing.OK]}/{row.total}"
        table.add_row(
            safe(row.service),
            bar(row.counts, row.total, SERVICE_BAR, canvas.marks),
            done,
            _standings(row, canvas.marks),
        )
    if hidden:
        table.add_row(Text(f"{canvas.marks.ellipsis} {hidden} more", style=QUIET_STYLE))
    return _titled("services", "", table, canvas.marks)


def _calm(row: ServiceRow) -> tuple[bool, bool, bool]:
    """Services with failures sort first, then those at work, then those that wait; the done ones last."""
    counts = row.counts
    failing = counts[Standing.FAILED] + counts[Standing.UNKNOWN] > 0
    return (not failing, not counts[Standing.UNDER_WAY], row.ended == row.total)


def _standings(row: ServiceRow, marks: Marks) -> Text:
    """`▶ 3 under way  · 4 waiting  ✗ 1 failed`: only what there is; a service that is all done says so."""
    text = Text()
    if row.batches and row.ended < row.total:
        text.append(f"batch {row.batch} of {row.batches}  ")
    for standing in (Standing.FAILED, Standing.UNKNOWN, Standing.UNDER_WAY, Standing.WAITING, Standing.UNTOUCHED):
        count = row.counts[standing]
        if count:
            text.append(f"{marks.standing[standing]} {count} {standing}  ", style=STYLES[standing])
    if row.counts[Standing.OK] == row.total:
        text.append(f"{marks.standing[Standing.OK]} done", style=STYLES[Standing.OK])
    return text


def _rows_of(open_ones: Sequence[Question]) -> int:
    """How many lines the decisions that wait would like: the oldest is told whole, the others in a line each."""
    return 4 + len(open_ones) - 1 if open_ones else 0


def _decision(
    timeline: Timeline, open_ones: Sequence[Question], lines: int, now_s: float, canvas: Canvas
) -> RenderableType:
    """The oldest decision that waits: what for, what to type, what was said, who may answer; then the others."""
    first, began = open_ones[0], timeline.began
    assert began is not None
    approval = began.plan.policy.approval
    heading = Text(no_wrap=True, overflow=canvas.marks.overflow)
    heading.append(f" DECISION {first.number} WAITS ", style=DECISION_STYLE)
    heading.append(f"  {clean(first.headline)}", style="bold")
    heading.append(f"  for {spoken(max(0.0, now_s - first.since_s))}", style=QUIET_STYLE)
    late = in_time(first, approval)
    rows = [
        Text.assemble(("answer: ", QUIET_STYLE), (command(timeline), "bold")),
        Text.assemble(("CHOICE is ", QUIET_STYLE), listed(first.choices)),
        safe(said(first) or first.headline),
        safe(who_may(approval, began.requester) + (f"; {late}" if late else ""), QUIET_STYLE),
        *(
            Text(f"decision {one.number} waits too: ", style="bold").append(clean(one.headline))
            for one in open_ones[1:]
        ),
    ]
    table = _grid("left", widest=0, marks=canvas.marks)
    for row in rows[:lines]:
        table.add_row(Text.assemble((f"{canvas.marks.edge} ", DECISION_EDGE), row))
    return Group(heading, table)


def _changed(changed: Sequence[Strayed], lines: int, canvas: Canvas) -> Group:
    """Units that the way back leaves alone."""
    table = _grid("left", "left", widest=1, marks=canvas.marks)
    for one in changed[:lines]:
        unit = Text(f"{canvas.marks.strayed} ", style=STRAYED_STYLE).append(clean(one.unit))
        table.add_row(unit, safe(in_words(one), QUIET_STYLE))
    return _titled(f"not put back ({len(changed)})", "", table, canvas.marks)


def _failed(timeline: Timeline) -> list[Track]:
    """What failed, hooks of the run first: on the way back, what failed there."""
    units = [track for track in timeline.failures if track.stage >= (timeline.back_from or 0)]
    return [*timeline.hooks_of_run.bad, *units]


def _failures(timeline: Timeline, failures: Sequence[Track], lines: int, canvas: Canvas) -> Group:
    shown = failures[: lines if len(failures) <= lines else max(1, lines - 1)]
    table = _grid("left", "left", "left", widest=2, marks=canvas.marks)
    for track in shown:
        mark, style = canvas.marks.standing[track.standing], STYLES[track.standing]
        said = f"NEEDS HANDS: {track.words} did not succeed; {track.error}" if track.needs_hands else track.error
        table.add_row(_unit(track, mark, style, canvas), Text(str(track.standing), style=style), safe(said))
    if len(shown) < min(lines, len(failures)):
        table.add_row(Text(f"{canvas.marks.ellipsis} {len(failures) - len(shown)} more", style=QUIET_STYLE))
    rest = "" if timeline.halted or timeline.back_from is not None else "what waits for them waits; the rest goes on"
    return _titled(f"failures ({len(failures)})", rest, table, canvas.marks)


def _unit(track: Track, mark: str, style: str, canvas: Canvas) -> Text:
    """A unit with its mark, in a third of the width at most."""
    unit = Text(f"{mark} ", style=style).append(clean(track.unit))
    unit.truncate(max(16, canvas.width // 3), overflow=canvas.marks.overflow)
    return unit


def _under_way(tracks: Sequence[Track], stage: StageProgress, lines: int, now_s: float, canvas: Canvas) -> Group:
    table = _grid("left", "left", "left", "right", widest=2, marks=canvas.marks)
    count = max(len(stage.under_way), len(tracks))
    for track in tracks[:lines]:
        unit = _unit(track, canvas.marks.standing[Standing.UNDER_WAY], STYLES[Standing.UNDER_WAY], canvas)
        seen = safe(_seen(track.note) or track.now, QUIET_STYLE)
        table.add_row(unit, safe(track.doing), seen, Text(_for_s(track, now_s) + _of(track, now_s)))
    return _titled(f"under way ({count})", f"the {lines} longest" if count > lines else "", table, canvas.marks)


def _of(track: Track, now_s: float) -> str:
    """How long it may take; past the deadline of a stop that may stretch, how far at most."""
    limit = f" of {spoken(track.limit_s)}" if track.limit_s else ""
    past = now_s - track.since_s > track.limit_s
    return f"{limit}, stretched up to {spoken(track.stretched_s)}" if past and track.stretched_s else limit


_OF_GATE = re.compile(r"(.*? from (?:controller|host)): (.*)", re.DOTALL)


def _seen(note: str) -> str:
    """What a step saw, first: of a gate what it said, and then which one, for a line ends where the room does."""
    found = _OF_GATE.fullmatch(note)
    return f"{found[2]}; {found[1]}" if found else note


def _for_s(track: Track, now_s: float) -> str:
    return spoken(max(0.0, now_s - track.since_s))


def _waits(waits: Sequence[Wait], ready: Sequence[Text], lines: int, now_s: float, canvas: Canvas) -> Group:
    table = _grid("left", widest=0, marks=canvas.marks)
    mark = f"{canvas.marks.standing[Standing.WAITING]} "
    for line in [*(_wait(wait, now_s) for wait in waits), *ready][:lines]:
        table.add_row(Text(mark, style=QUIET_STYLE).append(line))
    return _titled("waiting", "", table, canvas.marks)


def _wait(wait: Wait, now_s: float) -> Text:
    """`orders@app-02 and 39 more wait for broker@broker-01 (StopPending 12 s)`."""
    text = Text(clean(wait.first.unit))
    text.append(f" and {wait.units - 1} more wait for " if wait.units > 1 else " waits for ", style=QUIET_STYLE)
    for place, track in enumerate(wait.held_by):
        text.append(", " if place else "").append(clean(track.unit))
        saw = track.note if track.phase in MOVES else ""
        seen = clean(saw or track.doing).partition(",")[0] + f" {_for_s(track, now_s)}"
        ended = track.standing is not Standing.UNDER_WAY
        text.append(f" ({track.standing if ended else seen})", style=STYLES[track.standing] if ended else QUIET_STYLE)
    more = wait.missing - len(wait.held_by)
    return text.append(f" and {more} more" if more > 0 else "", style=QUIET_STYLE)


def _ready(stage: StageProgress) -> str:
    return f"{plural(stage.ready, 'unit')} may go on as soon as there is a free place"
