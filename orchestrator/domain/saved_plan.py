"""A plan frozen into a file, with its snapshot, for another day: `orch stop --save` and `orch apply`.

Room: domain. The file is one JSON object, versioned, for people to read and to keep under version control. Its
`sha256` is over all the rest: it tells a file that was cut or edited by accident, not one that was forged.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.fact_codec import packed, unpacked
from orchestrator.domain.facts import MadeFrom
from orchestrator.domain.plan import Plan

VERSION = 1
_KIND = "orchplan"
_SUM = "sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """What a file holds. `saved_at` is UTC, seconds since 1970; `command` the words that made it, without secrets, `of`
    the run or tag whose snapshot it goes back to. `allow` are the names that `--allow` was given then."""

    plan: Plan
    made_from: MadeFrom
    of: str
    command: str
    saved_by: str
    saved_at: float
    allow: tuple[str, ...] = ()


def write(saved: SavedPlan) -> str:
    """The text of the file: JSON, indented, ASCII alone, sorted as the plan is."""
    content = {_KIND: VERSION, **packed(saved)}
    return json.dumps({**content, _SUM: _sum(content)}, indent=1, allow_nan=False) + "\n"


def read(text: str, name: str) -> SavedPlan:
    """What the *text* of the file *name* holds.

    Raises:
        BadInput: it is no saved plan, is damaged or edited, or a newer orch wrote it.
    """
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise _no_plan(name) from exc
    if not isinstance(content, dict) or _KIND not in content:
        raise _no_plan(name)
    if content[_KIND] != VERSION:
        hint = "apply it with the orch that saved it, or save it anew"
        raise BadInput(f"{name} has version {content[_KIND]!r}; this orch knows {VERSION}", hint=hint)
    if content.pop(_SUM, None) != _sum(content):
        hint = "save it anew; what a saved plan does is changed in its playbook"
        raise BadInput(f"{name} is not as it was saved: its checksum is of something else", hint=hint)
    del content[_KIND]
    try:
        return unpacked(SavedPlan, content)
    except OrchError as exc:
        raise BadInput(f"{name}: {exc}", hint="save it anew") from exc


def _sum(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _no_plan(name: str) -> BadInput:
    return BadInput(f"{name} is no saved plan", hint="orch stop --plan FILE --save stop.orchplan makes one")
