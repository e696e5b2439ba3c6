"""What `--dry-run` prints, and what is shown before the question: the preview as tables, or as JSON."""

import json as json_module
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from orchestrator.domain.decision_log import named
from orchestrator.domain.durations import spoken
from orchestrator.domain.plan import Action
from orchestrator.domain.preview import BatchRows, PathStep, Preview, Row, StagePreview, What
from orchestrator.domain.service import State
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.domain.window import closes_at
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.decision_words import who_may
from orchestrator.interfaces.life_view import around_the_acts, checked_first, done_between, gates_in_full, of_the_run
from orchestrator.interfaces.report import by_detour, by_reason
from orchestrator.interfaces.terminal import err, out, print_json
from orchestrator.interfaces.theme import QUIET_STYLE, marks_of, plural, safe

WORDS = {
    What.STOP: ("stop", "bold red"),
    What.START: ("start", "bold green"),
    What.RESTART: ("restart", "bold yellow"),
    What.ALREADY_THERE: ("already there", QUIET_STYLE),
    What.UNDO: ("undo", "bold yellow"),
    What.PROBE_ONLY: ("probe only", "cyan"),
    What.PASS: ("not looked at", QUIET_STYLE),
    What.PRECHECK: ("precheck", "cyan"),
    What.BETWEEN: ("between", "cyan"),
}
LONG = 12
"""A list of units longer than this is cut in a table; --json has all of it."""


def show(preview: Preview, survey: Survey, *, json: bool, to_person: bool = False) -> None:
    """Print the preview on stdout; *to_person*: on stderr, before a question."""
    if json:
        unreachable = [_unreachable(found) for found in survey.unreachable]
        told = {
            **asdict(preview),
            "unreachable": unreachable,
            "detours": survey.detours,
            "clusters_unread": survey.clusters_unread,
        }
        print_json(json_module.dumps(told))
        return
    console = err() if to_person else out()
    console.print(render(preview, survey, console))


def warn(survey: Survey) -> None:
    """Say on stderr what nobody could see who was not shown the preview: which services could not be judged."""
    for notice in _unread_clusters(survey):
        err().print(notice)


def question(preview: Preview) -> str:
    """`Stop 34 units on 12 hosts?`, with the restart's two halves."""
    rows = _rows(preview)
    acting = {row.unit: row.host for row in rows if row.what in (What.STOP, What.START, What.RESTART)}
    hosts = len(set(acting.values()))
    undone = {row.unit: row.host for row in rows if row.what is What.UNDO}
    if not acting and undone:
        return (
            f"Take back what was done for {plural(len(undone), 'unit')} on {plural(len(set(undone.values())), 'host')}?"
        )
    if not acting:
        return "Nothing has to be moved; probe the gates all the same?"
    asked = "Put back" if preview.action is Action.ROLLBACK else preview.action.capitalize()
    boots = f", and reboot the host{'s' * (hosts != 1)}" if preview.reboots else ""
    boots += ", one batch after the other" if any(stage.rolling for stage in preview.stages) else ""
    return f"{asked} {plural(len(acting), 'unit')} on {plural(hosts, 'host')}{boots}?"


def stops_words(count: int) -> str:
    """What has to be known before a way back is let go: `this STOPS 399 running units`."""
    return f"this STOPS {plural(count, 'running unit')}"


def render(preview: Preview, survey: Survey, console: Console) -> RenderableType:
    """The whole preview; bounded in columns by the console, and in rows by its number of services."""
    yet = "nothing put back yet" if preview.action is Action.ROLLBACK else "nothing touched yet"
    rolling = "rolling " * any(stage.rolling for stage in preview.stages)
    parts: list[RenderableType] = [Text(f"{preview.name}: {rolling}{preview.action}, {yet}", style="bold")]
    if preview.stops_running:
        parts.append(Text(stops_words(preview.stops_running), style="bold red"))
    for stage in preview.stages:
        if stage.waves:
            parts += [Text(""), *_told(stage)]
        if stage.critical_path and (stage.rolling or not (stage.checks or stage.between)):
            parts.append(_path(stage, marks_of(console).arrow))
        parts += map(_rolled if stage.rolling else _batches, stage.batches)
    acts = (lines for stage in preview.stages for lines in (gates_in_full(stage), around_the_acts(stage)))
    for lines in (*acts, of_the_run(preview)):
        told = list(lines)
        parts += [Text(""), *told] if told else []
    parts += [Text(""), *_notices(preview, survey), _estimate(preview)]
    return Group(*parts)


def _told(stage: StagePreview) -> Iterator[RenderableType]:
    if stage.checks:
        yield from checked_first(stage)
    elif stage.between and not stage.rolling:
        yield from done_between(stage)
    else:
        yield _stage(stage)


def _stage(stage: StagePreview) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left", header_style="bold")
    for name in ("wave", "service", "units", "now", "wanted", "what", "gates", "estimate"):
        table.add_column(name, overflow="fold")
    for number, wave in enumerate(stage.waves, start=1):
        first = True
        for rows in _alike(wave):
            table.add_row(Text(str(number) if first else "", style="bold"), *_cells(rows))
            first = False
    return table


def _alike(wave: Sequence[Row]) -> list[list[Row]]:
    """Units of one service with the same future, as one line: 400 hosts are not 400 lines."""

    def key(row: Row) -> tuple[str, str, str, str, tuple[str, ...]]:
        gates = tuple(gate.partition(" ")[0] for gate in row.gates)
        return row.service, str(row.state), str(row.wanted), row.what, gates

    return [list(rows) for _, rows in groupby(sorted(wave, key=key), key=key)]


def _cells(rows: Sequence[Row]) -> list[RenderableType]:
    row = rows[0]
    words, style = WORDS[row.what]
    longest = max(rows, key=lambda each: each.expected_s)
    units = [each.unit for each in rows]
    return [
        safe(row.service),
        _Names(units),
        Text(_now(row)),
        Text(str(row.wanted) if row.wanted else ""),
        Text(words, style=style),
        safe(_gates(row)),
        Text(f"{spoken(longest.expected_s)}{' (guess)' if longest.guessed else ''}" if row.wanted else ""),
    ]


def _now(row: Row) -> str:
    """Where it is; of what is stopped first and started then, where it will be by then."""
    if row.what is What.START and row.state is row.wanted:
        return "Stopped by then"
    return str(row.state) if row.state else ("external" if row.host is None else "not read")


def _gates(row: Row) -> str:
    """The kinds of the gates of a line; one that is the same for all its units would be read for one of them."""
    gates = (*(row.down.gates if row.down else ()), *row.gates)
    return ", ".join(dict.fromkeys(gate.partition(" ")[0] for gate in gates))


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of units in a column: one that is wider than it breaks behind its @ (a blank allows that)."""

    units: Sequence[str]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, _listed(self.units))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        last = min(len(self.units), LONG) - 1  # the others have a comma behind them
        fits = [len(unit) + (place < last) <= options.max_width for place, unit in enumerate(self.units)]
        yield _listed([unit if fit else unit.replace("@", "@ ") for unit, fit in zip(self.units, fits, strict=True)])


def _listed(units: Sequence[str]) -> Text:
    shown = ", ".join(clean(unit) for unit in units[:LONG])
    return Text(shown + (f" and {len(units) - LONG} more" if len(units) > LONG else ""))


def _by_service(units: Sequence[str]) -> Text:
    """`orders (8), sql (2)`: --json names every unit."""
    counts = Counter(unit.rpartition("@")[0].partition(":")[0] or unit for unit in units)
    return Text(", ".join(f"{clean(service)} ({count})" for service, count in counts.items()))


def _path(stage: StagePreview, arrow: str) -> Text:
    text = Text("critical path: ", style="bold")
    steps = _by_batches(stage) if stage.rolling else map(_step, stage.critical_path)
    return text.append(f" {arrow} ".join(steps), style="")


def _by_batches(stage: StagePreview) -> Iterator[str]:
    """`orders 3 x 2 min 00 s (guess)`: the path of a rolling restart goes through one unit of each batch."""
    for service, alike in groupby(stage.critical_path, key=lambda step: _service(step.unit)):
        steps = list(alike)
        units = [step for step in steps if "@" in step.unit and step.expected_s]
        pauses_s = sum(step.expected_s for step in steps if "@" not in step.unit)
        pauses = f", and {spoken(pauses_s)} of pauses" if pauses_s else ""
        if len(units) == 1:
            yield f"{_step(units[0])}{pauses}"
        elif units:
            longest = max(units, key=lambda step: step.expected_s)
            guess = " (guess)" if any(step.guessed for step in units) else ""
            yield f"{clean(service)} {len(units)} x {spoken(longest.expected_s)}{guess}{pauses}"


def _service(unit: str) -> str:
    """`orders` of `orders:Orders.Api@app-01`, and of `orders#2`."""
    return (unit.rpartition("@")[0] or unit).partition(":")[0].partition("#")[0]


def _rolled(of: BatchRows) -> Text:
    """`orders: restart in 3 batches of at most 2, never below 3 of 5`."""
    most = max(of.sizes)
    how = f"in {len(of.sizes)} batch{'es' * (len(of.sizes) != 1)} of {'at most ' * (of.sizes[-1] < most)}{most}"
    if not {*of.sizes[:-1]} <= {most}:
        how = f"in {len(of.sizes)} batches ({_sizes(of)})"
    elif most == 1:
        how = f"one at a time, {len(of.sizes)} in all" if len(of.sizes) > 1 else "of one instance"
    below = "; without min_available nobody counts who is up"
    if of.at_least is not None:
        below = f", never below {of.at_least} of {of.instances}"
        if of.running - of.sizes[0] < of.at_least:
            below += f"; only {of.running} of them run now: it waits for more, then asks"
    text = Text(f"{clean(of.service)}: ", style="bold")
    if of.asks:
        return text.append(f"restart {how}{below}{_pauses(of)}", style="")
    return text.append(f"restart {how}{_pauses(of)}{below}", style="")


def _batches(of: BatchRows) -> Text:
    """`orders: 3 batches (1, 4, 7), 5 min between them`."""
    text = Text(f"{clean(of.service)}: ", style="bold").append(f"{len(of.sizes)} batches ({_sizes(of)})", style="")
    return text.append(_pauses(of), style="")


def _sizes(of: BatchRows) -> str:
    sizes = [f"{count} x {size}" if count > 1 else str(size) for size, count in _runs(of.sizes)]
    return ", ".join(sizes[:LONG]) + (", ..." if len(sizes) > LONG else "")


def _pauses(of: BatchRows) -> str:
    if of.asks:
        return "; before each next one somebody is asked"
    return f", {spoken(of.pause_s)} between them" if of.pause_s else ""


def _runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    return [(size, len(list(alike))) for size, alike in groupby(sizes)]


def _step(step: PathStep) -> str:
    return f"{clean(step.unit)} {spoken(step.expected_s)}{' (guess)' if step.guessed else ''}"


def _notices(preview: Preview, survey: Survey) -> list[Text]:
    return [
        *by_policy(preview, time.time()),
        *_without_answer(preview, survey.unreachable),
        *by_another_way(survey),
        *_unread_clusters(survey),
        *_doubts(preview),
    ]


def by_policy(preview: Preview, now: float) -> Iterator[Text]:
    """What its window and its approval do to it *now* (UTC, seconds since 1970)."""
    window, approval = preview.window, preview.approval
    if window is not None:
        left_s = closes_at(window, now) - now
        at = f"{window.until} ({window.tz})"
        if left_s <= 0:
            yield Text("! ", style="bold red").append(f"its window is closed since {at}: this would be refused")
        else:
            text = f"its window ends at {at}, in {spoken(left_s)}"
            text += ": this is expected to take longer" if preview.expected_s > left_s else ""
            yield Text("! ", style="bold yellow").append(text)
    if approval is not None:
        who = who_may(approval, "") + (", but not who begins it" if approval.not_requester else "")
        text = f"approve_before: asks for approval before anything is touched ({who})"
        yield Text("! ", style="bold yellow").append(text)


def _unread_clusters(survey: Survey) -> Iterator[Text]:
    for why, hosts in by_detour(survey.clusters_unread).items():
        text = "whether a failover cluster owns services can't be told of "
        yield Text("? ", style="bold magenta").append(text).append_text(_listed(hosts)).append(f": {clean(why)}")


def by_another_way(survey: Survey) -> Iterator[Text]:
    """A line for each detour: hosts that were not reached by the first of their ways."""
    for how, hosts in by_detour(survey.detours).items():
        yield Text("! ", style="bold yellow").append_text(_listed(hosts)).append(f": reached by {clean(how)}")


def _without_answer(preview: Preview, unreachable: Sequence[HostSurvey]) -> Iterator[Text]:
    for found in unreachable:
        text = found.problem.text if found.problem else ""
        yield Text("! ", style="bold magenta").append(f"{clean(found.host)} gave no usable answer: {clean(text)}")
    lost = {found.host for found in unreachable}
    on_lost = [left.unit for left in preview.left_alone if left.unit.rpartition("@")[2] in lost]
    if on_lost:
        text = f"left alone, on hosts without an answer: {plural(len(on_lost), 'unit')}: "
        yield Text("! ", style="bold yellow").append(text).append_text(_by_service(on_lost))
    others = [left for left in preview.left_alone if left.unit not in set(on_lost)]
    label = "not as it was" if preview.action in (Action.ROLLBACK, Action.RESTORE) else "left alone"
    for why, units in by_reason(others).items():
        yield Text("! ", style="bold yellow").append(f"{label}: {clean(named(units))}: {clean(why)}")


def _missed(preview: Preview) -> Iterator[Text]:
    """What a rolling restart takes from services that need it: there is one instance, or nobody counts who is up."""
    rolled = [of for stage in preview.stages if stage.rolling for of in stage.batches]
    for of in (of for of in rolled if of.needed_by and of.at_least is None):
        count = "has no min_available: nobody counts who is up"
        if of.instances == 1:
            count = "has one instance: it is down"
        more = f" and {len(of.needed_by) - 1} more need it" if len(of.needed_by) > 1 else " needs it"
        text = f"{clean(of.service)} {count} while it restarts, and {clean(of.needed_by[0])}{more}"
        yield Text("! ", style="bold yellow").append(text)


def _doubts(preview: Preview) -> Iterator[Text]:
    """What the person should know before saying yes."""
    yield from _missed(preview)
    if preview.ignored:
        text = "--ignore-dependents: not looked at, and they lose what they need: "
        yield Text("! ", style="bold red").append(text).append_text(_by_service(preview.ignored))
    if preview.taken_in:
        text = "beside the playbook, and stopped and started with what they need (dependents: stop_and_restore): "
        yield Text("! ", style="bold yellow").append(text).append_text(_listed(preview.taken_in))
    if preview.not_ready:
        text = "outside the choice, needed, and not running (start them first): "
        if preview.action is Action.ROLLBACK:
            text = "not put back and not running, so that what needs them won't start: "
        yield Text("! ", style="bold red").append(text).append_text(_listed(preview.not_ready))
    for doubt in preview.not_verified:
        yield Text("? ", style="bold magenta").append(f"{clean(doubt.why)}: ").append_text(_by_service(doubt.units))
    if preview.starts_at_boot:
        many = plural(len(preview.starts_at_boot), "unit")
        text = f"a reboot would start {many} again (Automatic): "
        if preview.action is not Action.STOP:
            text = f"the reboot starts {many} (Automatic), before what they need and before the run does; "
            text += "keep_down keeps them down: "
        yield Text("! ", style="bold yellow").append(text).append_text(_by_service(preview.starts_at_boot))


def _estimate(preview: Preview) -> Text:
    if not preview.totals:
        return Text("nothing would be done")
    counts = ", ".join(f"{count} {WORDS[What(what)][0]}" for what, count in preview.totals.items())
    text = Text(f"{counts}; estimated duration {spoken(preview.expected_s)}")
    if preview.guessed_share:
        text.append(f" ({preview.guessed_share:.0%} of it guessed as a quarter of the timeout; `expected` says better)")
    return text


def _rows(preview: Preview) -> list[Row]:
    return [row for stage in preview.stages for wave in stage.waves for row in wave]


def _unreachable(found: HostSurvey) -> dict[str, str]:
    problem = found.problem
    return {"host": found.host, "kind": problem.kind if problem else "", "text": problem.text if problem else ""}


def state_text(state: State | None) -> Text:
    """A state in its colour; words carry the meaning."""
    styles = {State.RUNNING: "green", State.STOPPED: "yellow"}
    return Text(str(state) if state else "unknown", style=styles.get(state, "magenta") if state else "bold magenta")
