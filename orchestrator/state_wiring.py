"""Who answers for what outlasts a run: the state folder, and who types. No decisions.

Beside `wiring`, and like it: an adapter is imported by the function that chooses it.
"""

import os
import shlex
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_state_path

if TYPE_CHECKING:
    from orchestrator.domain.facts import MadeFrom
    from orchestrator.domain.plan import Plan
    from orchestrator.domain.saved_plan import SavedPlan
    from orchestrator.engine.jobs.world import Books, Header


def state_folder(typed: Path | None) -> Path:
    """Where runs are recorded: as typed (or ORCH_STATE_DIR), or the platform's state folder."""
    return typed or Path(os.environ.get("ORCH_STATE_DIR") or user_state_path("orch", appauthor=False))


@asynccontextmanager
async def books(state: Path, *, to_write: bool = False) -> "AsyncIterator[Books]":
    """What is written down in the state folder, closed at the end. *to_write*: OrchError if it can't be written."""
    from orchestrator.adapters.journal.sqlite import SqliteJournal
    from orchestrator.engine.jobs.world import Books

    journal = SqliteJournal(state)
    try:
        if to_write:
            await journal.prepare()
        yield Books(journal=journal, locks=journal, decisions=journal, snapshots=journal, clock=time.time)
    finally:
        await journal.aclose()


def requester() -> str:
    """Who types."""
    from orchestrator.adapters.requester import requester

    return requester()


def header(arguments: Sequence[str], made_from: "MadeFrom", *, run: str = "", of: str = "") -> "Header":
    """Who begins a run now, or goes on with *run*, with which words (no option takes a secret), from which files."""
    from orchestrator.adapters.journal.processes import this_process
    from orchestrator.adapters.run_id import new_run_id
    from orchestrator.engine.jobs.world import Header

    process = this_process(requester())
    return Header(
        run=run or new_run_id(),
        requester=process.requester,
        controller=process.controller,
        command=shlex.join(["orch", *arguments]),
        made_from=made_from,
        of=of,
        pid=process.pid,
        pid_started=process.pid_started,
        pids=process.pids,
    )


def refuse_file(path: Path, *, overwrite: bool) -> None:
    """Raises BadInput if a plan may or can not be saved to *path*: said before hosts are read."""
    from orchestrator.adapters import plan_file

    plan_file.refuse(path, overwrite=overwrite)


def save_plan(path: Path, plan: "Plan", header: "Header", *, overwrite: bool, allow: Sequence[str] = ()) -> None:
    """Freeze *plan* into a file, with who did it, now, the words of *header*, and the names that *allow* lifts a
    refusal of. Raises BadInput."""
    from orchestrator.adapters import plan_file
    from orchestrator.domain.saved_plan import SavedPlan, write

    saved = SavedPlan(
        plan=plan,
        made_from=header.made_from,
        of=header.of,
        command=header.command,
        saved_by=header.requester,
        saved_at=time.time(),
        allow=tuple(allow),
    )
    plan_file.write(path, write(saved), overwrite=overwrite)


def load_plan(path: Path) -> "SavedPlan":
    """What `save_plan` froze. Raises BadInput."""
    from orchestrator.adapters import plan_file
    from orchestrator.domain.saved_plan import read

    return read(plan_file.read(path), str(path))


def leave_undo(state: Path, run: str, text: str) -> Path:
    """Write what to type by hand after *run* into the run's folder. Raises OrchError."""
    from orchestrator.adapters import run_folder

    return run_folder.leave(state, run, "undo.ps1", text)


def undo_left(state: Path, run: str) -> tuple[Path, str] | None:
    """Where what to type by hand after *run* was written, and its text; None if it was not, or can't be read."""
    from orchestrator.adapters import run_folder

    return run_folder.left(state, run, "undo.ps1")
