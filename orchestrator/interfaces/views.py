"""What shows a run while it goes on: the shape that all views share, and which one is used when."""

import sys
from typing import Protocol

from orchestrator.domain.facts import Stamped
from orchestrator.domain.results import Note
from orchestrator.interfaces.report_end import Undo
from orchestrator.interfaces.terminal import out


class View(Protocol):
    """Shows a run. Calls come from one thread, return at once and never raise: a view that can't write falls silent,
    for a closed pipe is no reason to leave a run half done. The journal has every fact.
    """

    def fact(self, stamped: Stamped) -> None:
        """A fact, as the journal has it."""

    def history(self, stamped: Stamped) -> None:
        """A fact from before this process took the run over: part of the picture, and told already."""

    def note(self, note: Note) -> None:
        """What a step sees on its way; may be lost."""

    def pause(self) -> None:
        """Make room on the terminal for a question."""

    def resume(self) -> None:
        """The question is answered."""

    def leave(self) -> None:
        """The process ends at once: give the terminal back, say nothing."""

    def close(self, undo: Undo | None = None) -> None:
        """The run is over, parked or broken off: show the report, with *undo*, and give the terminal back."""


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
