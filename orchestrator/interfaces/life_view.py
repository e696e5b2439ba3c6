"""The part of a preview that tells what is done around each act: checks before, hooks, patience, and what is killed."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.domain.durations import spoken
from orchestrator.domain.life import IfStuck
from orchestrator.domain.preview import Around, HookRow, Preview, Row, StagePreview, What
from orchestrator.domain.service import State
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.theme import GOALS, QUIET_STYLE, plural, safe

MOST_PIDS = 4
"""How many of the processes that might be ended are named: --json has the PID of every unit."""


def checked_first(stage: StagePreview) -> Iterator[RenderableType]:
    """What must hold before anything is touched, service by service."""
    rows = [row for wave in stage.waves for row in wave]
    head = f"checked before anything is touched, and again before its own {GOALS[stage.goal]}: "
    yield Text(head, style="bold").append(plural(len(rows), "unit"), style="not bold")
    lines = []
    for service, units in _by_service(rows).items():
        shown = "" if len(units) == 1 else f"({len(units)}; shown for {clean(units[0].unit)})"
        words = "; ".join(units[0].gates)
        lines.append([safe(service if len(units) > 1 else units[0].unit), Text(shown, QUIET_STYLE), safe(words)])
    yield _grid(lines)


def done_between(stage: StagePreview) -> Iterator[RenderableType]:
    """What is done on each host between stop and start."""
    rows = [row for wave in stage.waves for row in wave]
    head = Text("between stop and start, on each of ", style="bold").append(plural(len(rows), "host"))
    longest_s = max(row.expected_s for row in rows)
    yield head.append(f", {spoken(longest_s)} each (guess)", style="not bold")
    hosts = [row.host or "" for row in rows]
    more = f" and {len(hosts) - MOST_PIDS} more" if len(hosts) > MOST_PIDS else ""
    told = [
        [safe(hook.words), safe(hook.does + ("" if hook.once else "; may be done twice"))] for hook in stage.between
    ]
    yield _grid([*told, [Text("hosts"), safe(", ".join(hosts[:MOST_PIDS]) + more)]])


def gates_in_full(stage: StagePreview) -> Iterator[RenderableType]:
    """What has to hold after each act, service by service, with what is wanted and for how long it is waited for."""
    if stage.checks or (stage.between and not stage.rolling):
        return
    rows = [row for wave in stage.waves for row in wave]
    if stage.rolling:
        head = "it comes up when they hold"
        yield from _gates(rows, _gates_down, f"gates of the {GOALS[State.STOPPED]}: ", head)
    yield from _gates(rows, _gates_of, f"gates of the {GOALS[stage.goal]}: ", "what waits for it waits for them")


def _gates_of(row: Row) -> tuple[str, ...]:
    return row.gates


def _gates_down(row: Row) -> tuple[str, ...]:
    return row.down.gates if row.down else ()


def _gates(
    rows: Sequence[Row], of: Callable[[Row], tuple[str, ...]], title: str, rest: str
) -> Iterator[RenderableType]:
    lines = []
    for units in _gated_alike([row for row in rows if of(row)], of):
        first = units[0]
        name = Text(clean(first.service if len(units) > 1 else first.unit))
        if len(units) > 1:
            name.append(f" ({len(units)}; shown for {clean(first.unit)})", style=QUIET_STYLE)
        lines += [[name if place == 0 else Text(""), safe(gate)] for place, gate in enumerate(of(first))]
    if lines:
        yield Text(title, style="bold").append(rest, "not bold")
        yield _grid(lines)


def _gated_alike(rows: Sequence[Row], of: Callable[[Row], tuple[str, ...]]) -> list[list[Row]]:
    """Units of one service with the same kinds of gates: they differ in addresses alone."""
    found: dict[object, list[Row]] = {}
    for row in rows:
        found.setdefault((row.service, tuple(gate.partition(" ")[0] for gate in of(row))), []).append(row)
    return list(found.values())


def around_the_acts(stage: StagePreview) -> Iterator[RenderableType]:
    """For each service whose units have more to their lives than an act and gates: all of it, in order."""
    rows = [row for wave in stage.waves for row in wave]
    for units in _alike([row for row in rows if row.around or (row.down and (row.down.around or stage.between))]):
        first, act = units[0], "restart" if stage.rolling else GOALS[stage.goal]
        words = "what is undone for" if first.what is What.UNDO else f"the {act} of"
        title = Text(f"{words} {clean(first.service if len(units) > 1 else first.unit)}", style="bold")
        if len(units) > 1:
            title.append(f"  {len(units)} units, shown for {clean(first.unit)}", style=QUIET_STYLE)
        yield title
        life = _both_ways(units, stage.between) if stage.rolling else _one_way(units, stage.goal)
        yield _grid([[safe(what), safe(how)] for what, how in life])


def of_the_run(preview: Preview) -> Iterator[RenderableType]:
    """The hooks of the run itself."""
    lines = []
    for when, hooks in (
        ("before anything is touched", preview.hooks.begin),
        ("if it does not end as planned", preview.hooks.failure),
        ("at the end, however it ends", preview.hooks.end),
    ):
        lines += [[safe(hook.words), safe(f"{when}: {_told(hook, 'the end of the run')}")] for hook in hooks]
    if lines:
        yield Text("the run itself", style="bold")
        yield _grid(lines)


def _grid(rows: Sequence[Sequence[Text]]) -> RenderableType:
    """Rows whose last cell has what room there is, and stays in its column however long it is."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for place in range(len(rows[0])):
        table.add_column(overflow="fold", no_wrap=place < len(rows[0]) - 1)
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2), expand=False)


def _by_service(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.service, []).append(row)
    return found


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Units of one service whose lives have the same parts: they differ in addresses alone, and one stands for all."""
    found: dict[object, list[Row]] = {}
    for row in rows:
        shape = (row.service, row.what is What.UNDO, _shape(row.around), _shape(row.down.around if row.down else None))
        found.setdefault(shape, []).append(row)
    return list(found.values())


def _shape(around: Around | None) -> object:
    if around is None:
        return None
    gates = tuple(tuple(gate.partition(" ")[0] for gate in of) for of in (around.prechecks, around.drained))
    hooks = tuple(tuple(hook.words for hook in of) for of in (around.before, around.after))
    stuck = (around.if_stuck, around.max_timeout_s, around.kill_shared)
    return (gates, hooks, stuck, around.healthy_s, around.keep_down)


def _both_ways(units: Sequence[Row], between: Sequence[HookRow]) -> Iterator[tuple[str, str]]:
    """The parts of a life that goes down and up, the acts among them."""
    down, up = units[0].down, units[0].around
    below = down.around if down else None
    yield from _life(units, below, State.STOPPED, undone="its own way up", acts=True) if below else [("stop", "")]
    yield from ((hook.words, hook.does + ("" if hook.once else "; may be done twice")) for hook in between)
    yield from _life(units, up, State.RUNNING, undone="a stop after it", acts=True) if up else [("start", "")]


def _one_way(units: Sequence[Row], goal: State) -> Iterator[tuple[str, str]]:
    around = units[0].around
    if around is not None:
        yield from _life(units, around, goal, undone="a start after it" if goal is State.STOPPED else "a stop after it")


def _life(
    units: Sequence[Row], around: Around, goal: State, *, undone: str, acts: bool = False
) -> Iterator[tuple[str, str]]:
    """The parts of a life in order, each with what it means; with *acts* a plain act, too."""
    stops = goal is State.STOPPED
    yield from (("precheck", gate) for gate in around.prechecks)
    yield from ((hook.words, _told(hook, undone)) for hook in around.before)
    yield from (("drained", gate) for gate in around.drained)
    if around.keep_down:
        yield _kept_down(stops)
    act = list(_act(units, around, stops=stops))
    yield from act or ([(GOALS[goal], "")] if acts else [])
    if around.healthy_s:
        yield (
            "healthy",
            f"for {spoken(around.healthy_s)} in the same process; another process is a crash loop, and fails",
        )
    yield from ((hook.words, _told(hook, undone)) for hook in around.after)


def _told(hook: HookRow, undone: str) -> str:
    words = f"{hook.does} from the {hook.origin}"
    if hook.undone_by:
        words += f"; undone by {undone}: {hook.undone_by}"
    if hook.check:
        words += f"; left out where this holds already: {hook.check}"
    return words


def _kept_down(stops: bool) -> tuple[str, str]:
    if stops:
        return (
            "keep down",
            "noted down on the host, then Disabled and without recovery actions until its start or a release",
        )
    return "release", "its start type and recovery actions are put back as they were"


def _act(units: Sequence[Row], around: Around, *, stops: bool) -> Iterator[tuple[str, str]]:
    """How patient a stop is, and what follows when it is stuck; nothing where it is just a stop or a start."""
    words = []
    if around.max_timeout_s is not None:
        words.append(f"its deadline stretches up to {spoken(around.max_timeout_s)} while its checkpoint rises")
    if around.if_stuck is IfStuck.KILL:
        words.append(
            f"stuck, or its process outlives it: {_killed(units)} ended, with all its children{_shared(around)}"
        )
    elif around.if_stuck is IfStuck.ASK:
        words.append(
            f"stuck, or its process outlives it: it is asked whether to end {_processes(units)}{_shared(around)}"
        )
    if words and stops:
        yield "stop", "; ".join(words)


def _killed(units: Sequence[Row]) -> str:
    return f"{_processes(units)} {'is' if len(units) == 1 else 'are'}"


def _processes(units: Sequence[Row]) -> str:
    """`its process (now PID 4242)`, `their processes (now PID 4242 on app-01, 17 on app-02 and 6 more)`."""
    known = [(row.pid, row.host or "") for row in units if row.pid]
    if len(units) == 1:
        return f"its process (now PID {known[0][0]})" if known else "its process"
    more = f" and {len(known) - MOST_PIDS} more" if len(known) > MOST_PIDS else ""
    named = ", ".join(f"{pid} on {host}" for pid, host in known[:MOST_PIDS])
    return f"their processes (now PID {named}{more})" if known else "their processes"


def _shared(around: Around) -> str:
    if not around.kill_shared:
        return "; refused if other services live in the same process"
    return f"; {', '.join(around.kill_shared)} may go with it, nothing else that lives in the same process"
