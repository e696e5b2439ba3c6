"""Who answers for what outlasts a run: the state folder, and who types. No decisions.

Beside `wiring`, and like it: an adapter is imported by the function that chooses it.
"""

import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.adapters.journal.sqlite import SqliteJournal
    from orchestrator.domain.facts import MadeFrom
    from orchestrator.engine.jobs.world import Header


def journal(state: Path) -> "SqliteJournal":
    """The journal of the state folder."""
    from orchestrator.adapters.journal.sqlite import SqliteJournal

    return SqliteJournal(state)


def header(arguments: Sequence[str], made_from: "MadeFrom", *, of: str = "") -> "Header":
    """Who begins a run now, with which words (no option takes a secret), from which files, and of which run or tag."""
    from orchestrator.adapters.requester import requester
    from orchestrator.adapters.run_id import new_run_id
    from orchestrator.engine.jobs.world import Header

    return Header(
        run=new_run_id(),
        requester=requester(),
        controller=socket.gethostname(),
        command=shlex.join(["orch", *arguments]),
        made_from=made_from,
        of=of,
    )
