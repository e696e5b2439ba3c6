"""Runs without a terminal: a line per event that is worth one, or a fact a line as JSON. Each is flushed at once."""

from datetime import UTC, datetime
from io import StringIO
from time import time
from typing import TextIO

from rich.console import Console

from orchestrator.domain.fact_codec import encode
from orchestrator.domain.facts import Stamped, StepEnded
from orchestrator.domain.results import REACHED_BY, WAITS, Note, Phase, Result
from orchestrator.domain.timeline import Timeline
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.fact_lines import lines_of
from orchestrator.interfaces.report import report
from orchestrator.interfaces.report_end import Undo
from orchestrator.interfaces.theme import ASCII_MARKS, UNICODE_MARKS, moment, unit_name

REPORT_WIDTH = 120


class _Lines:
    """Writes lines and flushes each. Once the reader has gone it says nothing more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = stream.encoding or "utf-8"
        self._gone = False

    @property
    def ascii_only(self) -> bool:
        return not self._encoding.lower().startswith("utf")

    def write(self, line: str) -> None:
        if self._gone:
            return
        try:
            self._stream.write(line.encode(self._encoding, "backslashreplace").decode(self._encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._gone = True


class JsonView:
    """Implements `views.View`: `{"number", "at", "elapsed_s", "kind", ...}` a line, `at` in ISO 8601, UTC."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = _Lines(stream)

    def fact(self, stamped: Stamped) -> None:
        """See `View.fact`."""
        self._lines.write(fact_json(stamped))

    def history(self, stamped: Stamped) -> None:
        """See `View.history`: whoever read those lines has them."""

    def note(self, note: Note) -> None:
        """Notes are for eyes: a machine gets facts alone."""

    def pause(self) -> None:
        """See `View.pause`: lines stay where they are."""

    def resume(self) -> None:
        """See `View.resume`."""

    def leave(self) -> None:
        """See `View.leave`: every line is out already."""

    def close(self, undo: Undo | None = None) -> None:
        """See `View.close`: there is nothing to give back."""


def fact_json(stamped: Stamped) -> str:
    """A fact with its number and times as one line of JSON."""
    at = datetime.fromtimestamp(stamped.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f'{{"number":{stamped.number},"at":"{at}","elapsed_s":{round(stamped.elapsed_s, 6)},'
    head += f'"head":"{stamped.head}",' if stamped.head else ""
    return head + encode(stamped.fact).removeprefix("{")


class PlainView:
    """Implements `views.View` with lines: local time with its offset, unit, what, state, how long it took."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = _Lines(stream)
        self._timeline = Timeline()
        self._told: dict[str, str] = {}
        self._waited: set[str] = set()
        self._closed = False

    def fact(self, stamped: Stamped) -> None:
        """See `View.fact`."""
        own = isinstance(stamped.fact, StepEnded) and self._timeline.owns(stamped.fact.result.step)
        self._timeline.fact(stamped)
        if isinstance(stamped.fact, StepEnded):
            self._by_another_way(stamped.fact.result, stamped.at)
        for line in lines_of(stamped.fact, self._timeline, own=own):
            self._lines.write(f"{moment(stamped.at)}  {line}")

    def history(self, stamped: Stamped) -> None:
        """See `View.history`."""
        self._timeline.fact(stamped)

    def _by_another_way(self, result: Result, at: float) -> None:
        """A line when a host is reached by another way than the lines have said so far."""
        host, how = result.step.unit.rpartition("@")[2], result.evidence.get(REACHED_BY)
        if how is not None and self._told.get(host) != how:
            self._told[host] = how
            self._lines.write(f"{moment(at)}  {clean(host)}  is reached by {clean(how)}")

    def note(self, note: Note) -> None:
        """Notes are for a picture that changes, lines stay: but that a batch waits for others is told once."""
        self._timeline.note(note)
        if note.step.phase is Phase.COUNT and note.text.startswith(WAITS) and note.step.id not in self._waited:
            self._waited.add(note.step.id)
            self._lines.write(f"{moment(time())}  {unit_name(note.step.unit)}  {clean(note.text)}")

    def pause(self) -> None:
        """See `View.pause`: lines stay where they are."""

    def resume(self) -> None:
        """See `View.resume`."""

    def leave(self) -> None:
        """See `View.leave`: every line is out already."""

    def close(self, undo: Undo | None = None) -> None:
        """See `View.close`."""
        if self._closed or self._timeline.began is None:
            return
        self._closed = True
        paper = StringIO()
        console = Console(file=paper, width=REPORT_WIDTH, no_color=True, color_system=None, force_terminal=False)
        marks = ASCII_MARKS if self._lines.ascii_only else UNICODE_MARKS
        console.print(report(self._timeline, marks, undo))
        self._lines.write("")
        for line in paper.getvalue().splitlines():
            self._lines.write(line.rstrip())
