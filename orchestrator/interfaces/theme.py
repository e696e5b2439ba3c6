"""How things look in every view: marks, words and styles, times, and text of hosts made safe to show.

What a colour says, a mark and a word say too: views read the same without colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, OverflowMethod
from rich.padding import Padding
from rich.text import Text

from orchestrator.domain.plan import Stage
from orchestrator.domain.results import RUN
from orchestrator.domain.runstate import Standing
from orchestrator.interfaces.clean_text import clean

STYLES: Mapping[Standing, str] = {
    Standing.WAITING: "dim",
    Standing.UNDER_WAY: "cyan",
    Standing.OK: "green",
    Standing.FAILED: "bold red",
    Standing.UNKNOWN: "bold magenta",
    Standing.UNTOUCHED: "yellow",
}
VERDICT_STYLES: Mapping[str, str] = {
    "done": "bold green",
    "failed": "bold red",
    "rolled back": "bold yellow",
    "rollback incomplete": "bold red",
    "cancelled": "bold yellow",
    "closed": "bold yellow",
    "parked": "bold yellow",
}
DECISION_STYLE = "bold black on yellow"
DECISION_EDGE = "bold yellow"
STRAYED_STYLE = "bold yellow"
QUIET_STYLE = "dim"
INDENT = 6
ACTIONS = {
    "stop": "stopping",
    "start": "starting",
    "restart": "restarting",
    "rollback": "rolling back",
    "restore": "restoring",
    "status": "reading",
}
GOALS = {"Stopped": "stop", "Running": "start"}


@dataclass(frozen=True, slots=True)
class Marks:
    """One character for each thing that a view says; `bars` are done, failed, under way, and the rest.

    `overflow` says how text that is too long ends: rich's own ellipsis is no ASCII.
    """

    standing: Mapping[Standing, str]
    strayed: str
    edge: str
    bars: str
    arrow: str
    ellipsis: str
    dot: str
    overflow: OverflowMethod


UNICODE_MARKS = Marks(
    standing={
        Standing.WAITING: "·",
        Standing.UNDER_WAY: "▶",
        Standing.OK: "✓",
        Standing.FAILED: "✗",
        Standing.UNKNOWN: "?",
        Standing.UNTOUCHED: "–",  # noqa: RUF001 - meant to be this dash
    },
    strayed="!",
    edge="▌",
    bars="█▒▸─",
    arrow="→",
    ellipsis="…",
    dot=" · ",
    overflow="ellipsis",
)
ASCII_MARKS = Marks(
    standing={
        Standing.WAITING: ".",
        Standing.UNDER_WAY: ">",
        Standing.OK: "+",
        Standing.FAILED: "x",
        Standing.UNKNOWN: "?",
        Standing.UNTOUCHED: "-",
    },
    strayed="!",
    edge="|",
    bars="#x>.",
    arrow="->",
    ellipsis="...",
    dot=", ",
    overflow="crop",
)


def stage_name(stage: Stage) -> str:
    """What a stage does, in a word or two: `stop`, `start`, `rolling restart`, `prechecks`, `between`."""
    if stage.between or stage.rolling:
        return "between" if stage.between else "rolling restart"
    return "prechecks" if stage.checks else GOALS[stage.goal]


def unit_name(unit: str) -> str:
    """A unit as lines name it, harmless: hooks of the whole run are `the run`'s."""
    return "the run" if unit == RUN else clean(unit)


def marks_of(console: Console) -> Marks:
    """The marks that the console's encoding can show."""
    return ASCII_MARKS if console.options.ascii_only else UNICODE_MARKS


def safe(text: str, style: str = "") -> Text:
    """`clean` text, ready to draw."""
    return Text(clean(text), style=style)


def moment(at: float) -> str:
    """A UTC time in the local zone, with its offset: `2026-11-21 02:13:05+01:00`."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def clock(at: float) -> str:
    """The same, without its day: `02:13:05+01:00`."""
    return moment(at)[11:]


def aligned(rows: Sequence[Sequence[Text]]) -> list[Text]:
    """Rows as lines, their cells one under the other; the last cell of a row is as long as it is. Cost: O(cells)."""
    widths: dict[int, int] = {}
    for row in rows:
        for place, cell in enumerate(row[:-1]):
            widths[place] = max(widths.get(place, 0), cell.cell_len)
    lines = []
    for row in rows:
        line = Text()
        for place, cell in enumerate(row[:-1]):
            line.append_text(cell).append(" " * (widths[place] - cell.cell_len + 2))
        line.append_text(row[-1])
        line.rstrip()
        lines.append(line)
    return lines


def below(text: Text) -> Padding:
    """A line that belongs to the one above it."""
    return Padding(text, (0, 0, 0, INDENT), expand=False)


def plural(count: int, one: str) -> str:
    """`1 unit`, `2 units`."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def bar(counts: Mapping[Standing, int], total: int, width: int, marks: Marks) -> Text:
    """A bar of *width* cells: done, failed or unknown, under way, and the rest, each told apart without colour too.

    Whatever there is at least one of has at least one cell, as far as the cells go.
    """
    kinds = (
        (counts.get(Standing.OK, 0), STYLES[Standing.OK]),
        (counts.get(Standing.FAILED, 0) + counts.get(Standing.UNKNOWN, 0), STYLES[Standing.FAILED]),
        (counts.get(Standing.UNDER_WAY, 0), STYLES[Standing.UNDER_WAY]),
    )
    text, left = Text(), width
    for (count, style), mark in zip(kinds, marks.bars, strict=False):
        cells = min(left, max(int(width * count / total), 1)) if count and total else 0
        text.append(mark * cells, style=style)
        left -= cells
    return text.append(marks.bars[3] * left, style=QUIET_STYLE)
