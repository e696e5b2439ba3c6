"""What shows a run while it goes on: the shape that all views share, and which one is used when."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from orchestrator.domain.facts import Stamped
from orchestrator.domain.results import Note
from orchestrator.domain.survey import HostSurvey
from orchestrator.interfaces.terminal import err, out
from orchestrator.interfaces.theme import plural


class View(Protocol):
    """Shows a run. Calls come from one thread, return at once and never raise: a view that can't write falls silent,
    for a closed pipe is no reason to leave a run half done. The journal has every fact.
    """

    def fact(self, stamped: Stamped) -> None:
        """A fact, as the journal has it."""

    def note(self, note: Note) -> None:
        """What a step sees on its way; may be lost."""

    def close(self) -> None:
        """The run is over or was broken off: show the report, and give the terminal back."""


def of_run(*, json: bool) -> View:
    """The view for stdout: facts as JSON, a live picture on a terminal, plain lines elsewhere."""
    if json:
        from orchestrator.interfaces.plain import JsonView  # noqa: PLC0415 - one of three is loaded

        return JsonView(sys.stdout)
    console = out()
    if console.is_terminal and not console.is_dumb_terminal:
        from orchestrator.interfaces.live import LiveView  # noqa: PLC0415 - one of three is loaded

        return LiveView(console)
    from orchestrator.interfaces.plain import PlainView  # noqa: PLC0415 - one of three is loaded

    return PlainView(sys.stdout)


@contextmanager
def surveying(hosts: int, *, quiet: bool) -> Iterator[Callable[[HostSurvey], None]]:
    """While hosts are read before a run: on a terminal, stderr says how many have answered. Yields who counts them."""
    console = err()
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    answered = 0
    with console.status(f"reading {plural(hosts, 'host')}") as status:

        def count(_: HostSurvey) -> None:
            nonlocal answered
            answered += 1
            status.update(f"reading {plural(hosts, 'host')}: {answered} answered")

        yield count
