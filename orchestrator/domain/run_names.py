"""What a person types for a run: its id, a prefix that only one run has, or `last`; and for a snapshot: its tag."""

import re
from collections.abc import Sequence

from orchestrator.domain.errors import BadInput

SHOWN = 8
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def pick(name: str, newest_first: Sequence[str]) -> str:
    """The run id that *name* stands for.

    Raises:
        BadInput: no run, or more than one, goes by that name; the candidates are named.
    """
    if not newest_first:
        raise BadInput(
            "there are no runs yet", hint="`orch stop --plan FILE` begins one; --state-dir names the journal"
        )
    if name == "last":
        return newest_first[0]
    if name in newest_first:
        return name
    found = [run for run in newest_first if name and run.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"{name!r} fits {len(found)} runs: {_named(found)}", hint="type more of the id, or `last`")
    raise BadInput(f"no run is named {name!r}; the newest: {_named(newest_first)}", hint="`orch runs` lists them all")


def _named(runs: Sequence[str]) -> str:
    return ", ".join(runs[:SHOWN]) + (", ..." if len(runs) > SHOWN else "")


def check_tag(tag: str) -> str:
    """*tag* itself. Raises BadInput: it is none that a snapshot may have."""
    if _TAG.fullmatch(tag) and tag != "last":
        return tag
    raise BadInput(
        f"{tag!r} can't be a snapshot's tag: letters, digits, and . _ - after the first character, 64 at most; "
        "`last` is a run's name",
        hint="--tag before-patch, for example",
    )


def tag_taken(tag: str, by: str, when: str) -> BadInput:
    """A snapshot is never overwritten."""
    return BadInput(
        f"there is a snapshot {tag} already, taken at {when} by {by}; nothing was changed",
        hint="take another --tag; `orch snapshot list` shows all",
    )
