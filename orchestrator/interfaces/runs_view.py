"""`orch runs` and `orch show`: the journal, read back."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.domain.durations import spoken
from orchestrator.domain.facts import Stamped
from orchestrator.domain.life import Reboot
from orchestrator.domain.results import Acted, Phase
from orchestrator.domain.runstate import Standing
from orchestrator.domain.step_words import address_words
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.timeline_json import as_json
from orchestrator.domain.track import Track
from orchestrator.domain.undo import commands_in
from orchestrator.engine.book_ports import Holding, RunSummary
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.report import report
from orchestrator.interfaces.report_end import Undo, undo_of
from orchestrator.interfaces.theme import (
    QUIET_STYLE,
    STYLES,
    UNICODE_MARKS,
    VERDICT_STYLES,
    Marks,
    aligned,
    below,
    clock,
    moment,
    plural,
    safe,
    stage_name,
)


def runs_table(runs: Sequence[RunSummary], marks: Marks = UNICODE_MARKS) -> RenderableType:
    """The runs, as they come, one a row; of one without an end, whether it is running, parked or crashed."""
    if not runs:
        return Text("no runs yet")
    head = [Text(name, style="bold") for name in ("run", "began", "took", "stands", "what")]
    return Group(*aligned([head, *(_run_cells(run, marks) for run in runs)]))


def _run_cells(run: RunSummary, marks: Marks) -> list[Text]:
    stands = run.verdict or str(run.standing)
    asks = f"asks {plural(len(run.asks), 'decision')}" if run.asks else ""
    of = f"of {run.of}" if run.of else ""
    counts = ", ".join(f"{count} {what}" for what, count in run.counts.items() if count)
    by = f"by {run.requester}" if run.requester else ""
    what = filter(None, (f"{run.action} {run.plan}", of, asks, counts, by))
    return [
        Text(run.run),
        Text(moment(run.began_at)),
        Text("" if run.ended_at is None else spoken(max(0.0, run.ended_at - run.began_at))),
        Text(stands, style=VERDICT_STYLES.get(stands, "bold")),
        safe(marks.dot.join(what)),
    ]


def runs_json(runs: Sequence[RunSummary]) -> str:
    """The runs as one JSON object: `{"runs": [...]}`, times in ISO 8601, UTC."""
    return json.dumps(
        {
            "runs": [
                {
                    "run": run.run,
                    "plan": run.plan,
                    "action": run.action,
                    "requester": run.requester,
                    "began_at": _utc(run.began_at),
                    "ended_at": None if run.ended_at is None else _utc(run.ended_at),
                    "standing": run.standing,
                    "asks": list(run.asks),
                    "of": run.of or None,
                    "head": run.head,
                    "verdict": run.verdict,
                    "counts": dict(run.counts),
                }
                for run in runs
            ]
        }
    )


def timeline_of(facts: Sequence[Stamped]) -> Timeline:
    """A run's facts, folded."""
    timeline = Timeline()
    for stamped in facts:
        timeline.fact(stamped)
    return timeline


def show(
    facts: Sequence[Stamped],
    holding: Holding | None = None,
    marks: Marks = UNICODE_MARKS,
    left: tuple[Path, str] | None = None,
) -> RenderableType:
    """One run: who, when, what; every unit with its states, times, attempts and error; the report. *holding* is who
    holds it, if it has not ended; *left* the script for hands that the run left, which knows its hosts' addresses."""
    timeline = timeline_of(facts)
    return Group(
        _header(timeline, holding),
        Text(),
        *_units(timeline, marks),
        Text(),
        report(timeline, marks, _undo(timeline, left), carried=holding is not None and holding.alive is True),
    )


def _undo(timeline: Timeline, left: tuple[Path, str] | None) -> Undo | None:
    undo = undo_of(timeline, {})
    if undo is None or left is None:
        return undo
    path, text = left
    known = commands_in(text)
    hands = [replace(hand, command=known.get(hand.unit, hand.command)) for hand in undo.hands]
    return replace(undo, hands=hands, path=str(path))


def show_json(facts: Sequence[Stamped], holding: Holding | None = None) -> str:
    """One run as one JSON object: `timeline_json`, and where it stands; times in ISO 8601, UTC."""
    timeline = timeline_of(facts)
    data = as_json(timeline, timeline.last_s)
    data["standing"] = STANDINGS[holding.alive] if holding else "ended" if timeline.ended else None
    for holder in (data, *data["units"], *data["decisions"], *data["resumes"]):
        for key in ("began_at", "asked_at", "ended_at", "at"):
            if holder.get(key) is not None:
                holder[key] = _utc(holder[key])
    return json.dumps(data)


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _header(timeline: Timeline, holding: Holding | None) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style=QUIET_STYLE)
    table.add_column(overflow="fold")
    began, ended = timeline.began, timeline.ended
    if began is None:
        table.add_row("run", "no beginning is recorded")
        return table
    table.add_row("run", Text(began.run))
    table.add_row("what", safe(f"{began.plan.action} {began.plan.name}"))
    if began.of:
        table.add_row("of", safe(began.of))
    table.add_row("by", safe(f"{began.requester} on {began.controller}"))
    if began.command:
        table.add_row("command", safe(began.command))
    table.add_row("began", moment(timeline.began_at))
    end = (
        f"{moment(timeline.last_at)}, {ended.verdict}, exit code {ended.exit_code}"
        if ended
        else _open(timeline, holding)
    )
    table.add_row("ended", end)
    if ended and ended.said:
        table.add_row("because", safe(ended.said))
    for order in timeline.orders:
        table.add_row("ordered", safe(f"{order.order} by {order.by}" if order.by else order.order))
    return table


STANDINGS = {True: "running", None: "parked", False: "crashed"}
"""In a word, what `Holding.alive` says."""


def _open(timeline: Timeline, holding: Holding | None) -> Text:
    """Why there is no end, and what to type."""
    last = f"the last fact is of {moment(timeline.last_at)}"
    if holding is None:
        return Text(f"no end is recorded; {last}. `orch status --plan FILE` reads the hosts")
    owner = f"{holding.owner.requester} on {holding.owner.controller}, process {holding.owner.pid}"
    if holding.alive:
        return safe(f"not yet: it runs ({owner}); {last}")
    if holding.alive is None:
        return safe(f"not yet: it is parked; {last}. `orch decisions {holding.run}`, `orch resume {holding.run}`")
    close = f"`orch close {holding.run} --reason WHY` ends it as it is"
    return safe(f"no: its process is gone ({owner}); {last}. `orch resume {holding.run}` goes on with it, {close}")


def _units(timeline: Timeline, marks: Marks) -> Iterator[RenderableType]:
    for stage in timeline.stages:
        tracks = [track for track in stage.tracks.values() if not track.idle_count]
        names = (stage_name(stage.stage), "outcome", "states", "began", "took", "tries")
        head, *lines = aligned(
            [[Text(name, style="bold") for name in names], *(_cells(track, marks) for track in tracks)]
        )
        yield head
        for track, line in zip(tracks, lines, strict=True):
            yield line
            if track.error or track.why:
                yield below(safe(_error(track) or track.why))


def _error(track: Track) -> str:
    """What failed, in words: of a hook also which, and what it asked."""
    result = track.result
    hook = track.hook_of(result.step) if track.error and result else None
    if hook is None or result is None:
        return track.error
    act = hook.undo if hook.undoes or result.step.phase is Phase.UNDO else hook.do
    asked = "" if act is None or isinstance(act, Reboot) else f" ({address_words(act)})"
    return f"{track.told}{asked}: {track.error}"


def _cells(track: Track, marks: Marks) -> list[Text]:
    style = STYLES[track.standing]
    outcome = Text(str(track.standing), style=style)
    if track.standing is Standing.OK and track.acted is Acted.NO and not track.checks:
        outcome.append(", no act", style=QUIET_STYLE)
    return [
        Text.assemble((f"{marks.standing[track.standing]} ", style), clean(track.unit)),
        outcome,
        safe(f" {marks.arrow} ".join(filter(None, dict.fromkeys((track.before, track.now))))),
        Text("" if track.began_at is None else clock(track.began_at)[:8]),
        Text(spoken(track.took_s) if track.result else ""),
        Text(str(track.most_tries or "")),
    ]
