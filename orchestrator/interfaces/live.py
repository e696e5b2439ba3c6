"""The live view: a picture of the run that is drawn anew four times a second, and the report at the end."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from orchestrator.domain.facts import Stamped
from orchestrator.domain.results import Note
from orchestrator.domain.timeline import Timeline
from orchestrator.interfaces.frame import Canvas, frame
from orchestrator.interfaces.report import report
from orchestrator.interfaces.report_end import Undo
from orchestrator.interfaces.theme import marks_of

PICTURES_PER_S = 4


class LiveView:
    """Implements `views.View` on a terminal.

    Facts and notes only go into the timeline; a thread of rich draws, at most `PICTURES_PER_S` times a second and
    whatever number of facts came meanwhile.
    """

    def __init__(self, console: Console, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._monotonic = monotonic
        self._timeline = Timeline()
        self._ahead_s = 0.0
        self._lock = threading.Lock()
        self._closed = self._paused = False
        self._live = self._picture()

    def _picture(self) -> Live:
        """One that knows of no lines yet: a stopped one would draw over what was said since."""
        return Live(self, console=self._console, refresh_per_second=PICTURES_PER_S, transient=True)

    def fact(self, stamped: Stamped) -> None:
        """See `View.fact`."""
        with self._lock:
            self._timeline.fact(stamped)
            self._ahead_s = self._monotonic() - self._timeline.last_s
        self._draw()

    def history(self, stamped: Stamped) -> None:
        """See `View.history`."""
        with self._lock:
            self._timeline.fact(stamped)

    def note(self, note: Note) -> None:
        """See `View.note`."""
        with self._lock:
            self._timeline.note(note)

    def pause(self) -> None:
        """See `View.pause`. Facts and notes are taken in meanwhile."""
        self._paused = True
        with suppress(OSError):
            self._live.stop()
        self._live = self._picture()

    def resume(self) -> None:
        """See `View.resume`."""
        self._paused = False
        if self._timeline.began:
            self._draw()

    def leave(self) -> None:
        """See `View.leave`."""
        self._closed = True
        with suppress(OSError):
            self._live.stop()

    def close(self, undo: Undo | None = None) -> None:
        """See `View.close`. The picture goes, the report stays."""
        if self._closed:
            return
        self._closed = True
        try:
            self._live.stop()
            if self._timeline.began:
                self._console.print(report(self._timeline, marks_of(self._console), undo))
        except OSError:
            return  # the terminal is gone

    def _draw(self) -> None:
        if not self._live.is_started and not self._closed and not self._paused:
            try:
                self._live.start()
            except OSError:
                self._closed = True  # the terminal is gone

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw; the last line stays free, so that the terminal does not scroll."""
        canvas = Canvas(options.max_width, console.size.height - 1, marks_of(console))
        with self._lock:
            picture = frame(self._timeline, self._monotonic() - self._ahead_s, canvas)
        yield picture
