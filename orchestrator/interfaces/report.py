"""The end of a run on paper: what did not end well and why, counts, duration, verdict, and what to type next."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.domain.durations import spoken
from orchestrator.domain.plan import Action, LeftAlone, Role
from orchestrator.domain.results import Acted
from orchestrator.domain.runstate import Standing
from orchestrator.domain.service import State
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.track import Track
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.theme import (
    GOALS,
    QUIET_STYLE,
    STRAYED_STYLE,
    STYLES,
    UNICODE_MARKS,
    VERDICT_STYLES,
    Marks,
    below,
    safe,
)

MOST_ROWS = 40
"""How many failed or strayed units are listed one by one; `orch show` lists them all."""


def report(timeline: Timeline, marks: Marks = UNICODE_MARKS) -> RenderableType:
    """The report, for people. Cost: O(units)."""
    began = timeline.began
    if began is None:
        return Text("no run was begun; nothing was touched")
    parts: list[RenderableType] = [_verdict(timeline), _counts(timeline, marks)]
    rows = list(_rows(timeline, marks))
    return Group(*parts, *([Text(), *rows] if rows else []), *_next(timeline))


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
    """`✓ 110 ok (12 needed no act) · ✗ 1 failed · ...`: the run's own counts, or those of now while it has no end."""
    counts = timeline.ended.counts if timeline.ended else {str(key): n for key, n in timeline.counts().items()}
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
    if timeline.began and timeline.began.plan.left_alone:
        pieces.append(Text(f"{len(timeline.began.plan.left_alone)} left alone", style=QUIET_STYLE))
    return Text(marks.dot).join(pieces)


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
    for track in timeline.failures[:MOST_ROWS]:
        what = _what(timeline, track.standing, track.goal)
        yield from _row(
            marks.standing[track.standing], STYLES[track.standing], track.unit, what, track.now, _why(track)
        )
    yield from _more(len(timeline.failures))
    for lost in timeline.strayed[:MOST_ROWS]:
        said = f"left {lost.left or 'unread'}, found {lost.found}" + (f": {lost.why}" if lost.why else "")
        yield from _row(marks.strayed, STRAYED_STYLE, lost.unit, "strayed", "", said)
    yield from _more(len(timeline.strayed))
    for standing in (Standing.UNTOUCHED, Standing.WAITING, Standing.UNDER_WAY):
        for first, units in _groups(track for track in timeline.tracks() if track.standing is standing):
            what = _what(timeline, standing, first.goal)
            yield from _row(marks.standing[standing], STYLES[standing], names(units), what, first.now, first.why)
    for why, units in by_reason(timeline.began.plan.left_alone if timeline.began else ()).items():
        yield from _row(marks.standing[Standing.WAITING], QUIET_STYLE, names(units), "left alone", "", why)
    for how, hosts in by_detour(timeline.detours).items():
        way, _, why = clean(how).partition("; ")
        yield from _row(marks.arrow, QUIET_STYLE, names(hosts), f"reached by {way}", "", why)


def _why(track: Track) -> str:
    """`stop after 90 s, perhaps acted: orch's own words: the error as the host gave it`."""
    words = f"{track.phase} after {spoken(track.took_s)}" if track.phase else ""
    if track.acted is not Acted.NO:
        words += ", acted" if track.acted is Acted.YES else ", perhaps acted"
    said = track.result.said if track.result else ""
    problem = track.result.problem if track.result else None
    told = track.error in said or (problem is not None and problem.text in said)
    hint = problem.hint if problem else ""
    return ": ".join(dict.fromkeys(filter(None, (words, said, "" if told else track.error, hint))))


def _what(timeline: Timeline, standing: Standing, goal: State) -> str:
    """`failed`; in a run of several stages `failed (start)`."""
    return f"{standing} ({GOALS[goal]})" if len(timeline.stages) > 1 else str(standing)


def _groups(tracks: Iterable[Track]) -> list[tuple[Track, list[str]]]:
    """Units alike in stage, service, state and reason are told together, however many: the first one, and all names."""
    groups: dict[tuple[int, str, str, str], tuple[Track, list[str]]] = {}
    for track in tracks:
        groups.setdefault((track.stage, track.service, track.now, track.why), (track, []))[1].append(track.unit)
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


def names(units: Sequence[str]) -> str:
    """`web@web-01 and 8 more`."""
    return units[0] + (f" and {len(units) - 1} more" if len(units) > 1 else "")


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


def _next(timeline: Timeline) -> Iterator[RenderableType]:
    """What to type next; nothing when all is well."""
    began, ended = timeline.began, timeline.ended
    done = ended is not None and ended.verdict == "done"
    if began is None or (done and not timeline.strayed):
        return
    yield Text()
    yield Text(f"next: orch show {began.run}", style="bold")
    yield below(Text("every unit with its states, times and errors", style=QUIET_STYLE))
    if began.command and ended is not None and not done:
        command, words = began.command, "units that are there already are left as they are"
        if began.plan.action is Action.RESTART:
            command = _as_start(command)
            words = "starts what is stopped; a restart acts on what runs, so it would leave down what this one stopped"
        when = "goes on from here" if timeline.orders and not timeline.failures else "once what failed is mended"
        yield Text("or:   ", style="bold").append(clean(command))
        yield below(Text(f"{when}: {words}", style=QUIET_STYLE))


def _as_start(command: str) -> str:
    """A restart's command line as that of a start, which knows no dependents."""
    words = [word for word in shlex.split(command) if word not in ("--with-dependents", "--ignore-dependents")]
    if Action.RESTART in words:
        words[words.index(Action.RESTART)] = str(Action.START)
    return shlex.join(words)
