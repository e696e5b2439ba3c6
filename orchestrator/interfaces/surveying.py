"""Progress while hosts are read: one moving line on a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator.domain.survey import HostSurvey
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.terminal import err


@contextmanager
def shown(hosts: int, asker: Asker, *, quiet: bool) -> Iterator[Callable[[HostSurvey], None]]:
    """Count the hosts that have answered; the line is gone when the block ends, and while *asker* asks."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("reading the live state"), BarColumn(), MofNCompleteColumn(), TextColumn("hosts"))
    bar = Progress(*columns, TextColumn("{task.fields[lost]}"), TimeElapsedColumn(), console=err(), transient=True)
    with bar, asker.over(_Line(bar)):
        task = bar.add_task("", total=hosts, lost="")
        lost = 0

        def answered(found: HostSurvey) -> None:
            nonlocal lost
            lost += found.problem is not None
            bar.update(task, advance=1, lost=f"{lost} without an answer" if lost else "")

        yield answered


class _Line:
    """Implements `asking.Picture`."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    def pause(self) -> None:
        """See `Picture.pause`."""
        self._bar.stop()

    def resume(self) -> None:
        """See `Picture.resume`."""
        self._bar.start()
