"""`orch graph` on a terminal: a line for each service, in the order of the action, and lanes to what it waits for.

A service's lane goes down from its mark until the last one that waits for it. A lane that ends where another begins is
taken over, so that chains are straight.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from rich.console import Console, Group, RenderableType
from rich.text import Text

from orchestrator.domain.durations import spoken
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.picture import Arrow, Drawn, Picture
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.theme import QUIET_STYLE, aligned, marks_of, plural, safe

CRITICAL_STYLE = "bold"
STATE_STYLES = {"up": "green", "down": "yellow", "mixed": "magenta", "unknown": "bold magenta"}
WAITS, GATES = "waits for", "gates"
LEAST_WAITS = 20
"""Cells for what a service waits for, however narrow the terminal is."""
MOST_NOT_READ = 10
_UNICODE = {"critical": "◆", "plain": "●", "external": "○"}
_ASCII = {"critical": "#", "plain": "*", "external": "o"}
_BENDS = {
    # up, down, left, right of a lane's character
    "ud": "│", "udr": "├", "udl": "┤", "udlr": "┼", "ur": "╰", "ul": "╯", "ulr": "┴",
}  # fmt: skip


def render(picture: Picture, console: Console) -> RenderableType:
    """The whole picture, as wide as the console."""
    head = f"{picture.name}: {plural(len(picture.services), 'service')} on {plural(_hosts(picture), 'host')}"
    parts: list[RenderableType] = [safe(f"{head}, in the order of a {picture.action}", "bold"), Text("")]
    parts += aligned(list(_rows(picture, console)))
    return Group(*parts, Text(""), *_below(picture, console))


def health(states: Mapping[str, int]) -> str:
    """`up` if all units run, `down` if all are stopped, `unknown` if one could not be read, else `mixed`."""
    if "unknown" in states:
        return "unknown"
    return {"Running": "up", "Stopped": "down"}.get("".join(states), "mixed")


def states_in_words(states: Mapping[str, int]) -> list[str]:
    """`Running 6`, or `Running 5/6` and `Stopped 1/6`."""
    total = sum(states.values())
    ranked = sorted(states.items(), key=lambda item: (-item[1], item[0]))
    return [f"{state} {count}/{total}" if count < total else f"{state} {count}" for state, count in ranked]


def option_in_words(arrow: Arrow) -> str:
    """What is special about an arrow: `1 of 2`, `same host`, `order only`."""
    if arrow.need is not None and arrow.need < arrow.of:
        return f"{arrow.need} of {arrow.of}"
    words = ["same host"] * arrow.same_host + ["order only"] * arrow.soft
    return ", ".join(words)


def places_in_words(drawn: Drawn) -> str:
    """`3 hosts`, or `external`."""
    if drawn.external:
        return "external"
    return plural(len(drawn.hosts), "host")


def _hosts(picture: Picture) -> int:
    return len({host for drawn in picture.services if not drawn.external for host in drawn.hosts})


@dataclass(frozen=True, slots=True)
class _Column:
    """What stands in one column: per service its items, which may be put below each other if `folds`."""

    head: str
    items: Sequence[Sequence[Text]]
    folds: bool = False

    def width(self, *, folded: bool) -> int:
        cells = [_joined(items) for items in self.items]
        if folded and self.folds:
            cells = [Text(f"{item},") for items in self.items for item in items]
        return max(len(self.head), *(cell.cell_len for cell in cells), 0)

    def lines(self, row: int, width: int) -> list[Text]:
        """The cell of one service; an item that is wider than the column goes on in the next line."""
        whole = _joined(self.items[row])
        return [whole] if whole.cell_len <= width else _folded(self.items[row], ", ", width)


def _rows(picture: Picture, console: Console) -> Iterator[list[Text]]:
    """Lines of cells. Where it gets narrow, what may fold does, then the gates are left out, and then the lanes."""
    columns, lanes = _columns(picture), list(_drawn_lanes(picture, console))
    bare = [(_mark(drawn, console.options.ascii_only), Text("")) for drawn in picture.services]
    without = [column for column in columns if column.head != GATES]
    for layout in ((lanes, columns, False), (lanes, columns, True), (lanes, without, True), (bare, without, True)):
        beside, columns, folded = layout
        widths = {column.head: column.width(folded=folded) for column in columns if column.head != WAITS}
        used = max((one.cell_len for pair in beside for one in pair), default=0) + sum(widths.values())
        widths[WAITS] = console.width - used - 2 * len(columns)
        if widths[WAITS] >= LEAST_WAITS:
            break
    widths[WAITS] = max(widths[WAITS], LEAST_WAITS)
    yield [Text(""), *(Text(column.head, style="bold") for column in columns)]
    for row, (drawn, (here, after)) in enumerate(zip(picture.services, beside, strict=True)):
        if row and drawn.wave != picture.services[row - 1].wave:
            yield [beside[row - 1][1], *[Text("")] * len(columns)]
        cells = [column.lines(row, widths[column.head]) for column in columns]
        for number, line in enumerate(zip_longest(*cells, fillvalue=Text(""))):
            yield [after if number else here, *line]


def _columns(picture: Picture) -> list[_Column]:
    shown = picture.services
    waits = [[_waited_for(picture, other, arrow) for other, arrow in picture.waits_for(one.key)] for one in shown]
    live = [states_in_words(one.states) if one.states else [] for one in shown]
    styles = [STATE_STYLES[health(one.states)] if one.states else "" for one in shown]
    return [
        _Column("service", [[safe(one.key, CRITICAL_STYLE if one.critical else "")] for one in shown]),
        _Column("hosts", [[Text("" if one.external else f"{len(one.hosts):5}")] for one in shown]),
        _Column(WAITS, waits, folds=True),
        *(
            [
                _Column(
                    "live",
                    [[Text(word, style=style) for word in words] for words, style in zip(live, styles, strict=True)],
                    folds=True,
                )
            ]
            if any(live)
            else []
        ),
        _Column(GATES, [[Text(gate, style="cyan") for gate in one.gates] for one in shown], folds=True),
        _Column(
            "takes", [[Text("external", style=QUIET_STYLE) if one.external else Text(_takes(one))] for one in shown]
        ),
    ]


def _takes(drawn: Drawn) -> str:
    return f"{spoken(drawn.expected_s)}{' ?' if drawn.guessed else ''}"


def _waited_for(picture: Picture, other: str, arrow: Arrow) -> Text:
    """A name, and what is special about waiting for it; a stop waits for all that run."""
    option = option_in_words(arrow) if picture.action is Action.START else "order only" * arrow.soft
    return safe(f"{other} ({option})" if option else other)


def _joined(items: Sequence[Text]) -> Text:
    return Text(", ").join(items)


def _folded(items: Sequence[Text], between: str, width: int) -> list[Text]:
    """*items* in lines of at most *width* cells, broken between them if they are not longer themselves."""
    lines: list[Text] = []
    for number, item in enumerate(items):
        piece = item.copy().append(between.rstrip() if number < len(items) - 1 else "", style=item.style)
        if lines and lines[-1].cell_len + 1 + piece.cell_len <= width:
            lines[-1].append(" ").append_text(piece)
        else:
            lines += [Text(line, style=item.style) for line in textwrap.wrap(piece.plain, width)]
    return lines


@dataclass(slots=True)
class _Lanes:
    """Which services' lanes are open, by column, and for how many that wait."""

    columns: list[str | None] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)

    def place(self, key: str, needed: Sequence[str], followers: int) -> tuple[int, list[int], set[int]]:
        """Put *key* in a column; its column, those of what it needs, and which of these end here."""
        joined = [self.columns.index(other) for other in needed]
        for other in needed:
            self.left[other] -= 1
        ended = {column for column, other in zip(joined, needed, strict=True) if not self.left[other]}
        mine = next((column for column in joined if column in ended), None)
        if mine is None:
            mine = self.columns.index(None) if None in self.columns else len(self.columns)
        if mine == len(self.columns):
            self.columns.append(None)
        for column in ended:
            self.columns[column] = None
        self.columns[mine] = key if followers else None
        self.left[key] = followers
        return mine, joined, ended


def _drawn_lanes(picture: Picture, console: Console) -> Iterator[tuple[Text, Text]]:
    """Per service, the lanes on its line, and those that go on below it."""
    waits = {drawn.key: picture.waits_for(drawn.key) for drawn in picture.services}
    followers = dict.fromkeys(waits, 0)
    for of_one in waits.values():
        for other, _ in of_one:
            followers[other] += 1
    lanes, lines = _Lanes(), []
    for drawn in picture.services:
        first = sorted(waits[drawn.key], key=lambda pair: not pair[1].critical)
        placed = lanes.place(drawn.key, [other for other, _ in first], followers[drawn.key])
        lines.append((drawn, *placed, [other is not None for other in lanes.columns]))
    ascii_only = console.options.ascii_only
    for drawn, mine, joined, ended, below in lines:
        yield _line(drawn, mine, joined, ended, below, ascii_only), _open(below, ascii_only)


def _mark(drawn: Drawn, ascii_only: bool) -> Text:
    kind = "external" if drawn.external else "critical" if drawn.critical else "plain"
    style = STATE_STYLES[health(drawn.states)] if drawn.states else CRITICAL_STYLE if drawn.critical else ""
    return Text((_ASCII if ascii_only else _UNICODE)[kind], style=style)


def _line(
    drawn: Drawn, mine: int, joined: Sequence[int], ended: set[int], below: Sequence[bool], ascii_only: bool
) -> Text:
    first, last = min([mine, *joined]), max([mine, *joined])
    text = Text()
    for column in range(len(below)):
        if column == mine:
            text.append_text(_mark(drawn, ascii_only))
        elif column in joined:
            bend = "u" + "d" * (column not in ended) + "l" * (column > first) + "r" * (column < last)
            text.append("+" if ascii_only else _BENDS[bend], style=QUIET_STYLE)
        elif below[column]:
            text.append("|" if ascii_only else "│", style=QUIET_STYLE)
        else:
            text.append(_dash(first < column < last, ascii_only), style=QUIET_STYLE)
        if column < len(below) - 1:
            text.append(_dash(first <= column < last, ascii_only), style=QUIET_STYLE)
    return text


def _dash(inside: bool, ascii_only: bool) -> str:
    return ("-" if ascii_only else "─") if inside else " "


def _open(below: Sequence[bool], ascii_only: bool) -> Text:
    return Text(" ".join(("|" if ascii_only else "│") if lane else " " for lane in below), style=QUIET_STYLE)


def _below(picture: Picture, console: Console) -> Iterator[Text]:
    """The critical path, how long it all takes, and what could not be read."""
    marks = _ASCII if console.options.ascii_only else _UNICODE
    takes = {drawn.key: _takes(drawn) for drawn in picture.services}
    head, arrow = f"{marks['critical']} critical path: ", marks_of(console).arrow
    path = [Text(f"{clean(key)} {takes[key]}") for key in picture.critical_path]
    for number, line in enumerate(_folded(path, f" {arrow}", console.width - len(head))):
        yield Text(" " * len(head) if number else head, style="bold").append(line.plain, style="not bold")
    if any(drawn.external for drawn in picture.services):
        yield Text(f"{marks['external']} external: its gates are probed, it is never acted on")
    total = Text(
        f"a {picture.action} of all of it is estimated at {spoken(picture.expected_s)}, limits and order included"
    )
    if picture.guessed_share:
        total.append(f"; ? is a quarter of the timeout, a guess ({picture.guessed_share:.0%} of the work)")
    yield total
    for one in picture.not_read[:MOST_NOT_READ]:
        yield Text("! ", style="bold magenta").append(f"{clean(one.unit)}: {clean(one.why)}", style="not bold")
    if len(picture.not_read) > MOST_NOT_READ:
        more = f"{len(picture.not_read) - MOST_NOT_READ} more could not be read: `orch status` names them all"
        yield Text("! ", style="bold magenta").append(more, style="not bold")
