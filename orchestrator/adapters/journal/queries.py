"""SQL by name from the `.sql` files beside this one, and the few forms in which values go to columns."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from sqlite3 import Connection
from typing import Any, TypeVar

from orchestrator.domain.errors import OrchError
from orchestrator.domain.fact_codec import packed, unpacked

FILES = ("facts.sql", "locks.sql", "decisions.sql", "snapshots.sql")
Made = TypeVar("Made")


def script(name: str) -> str:
    """The text of one file."""
    return resources.files("orchestrator.adapters.journal").joinpath(name).read_text(encoding="utf-8")


def rows(connection: Connection, query: str, **values: object) -> list[tuple[Any, ...]]:
    """What the query of that name finds. *values* are bound, never pasted."""
    return connection.execute(text(query), values).fetchall()


def text(query: str) -> str:
    """The SQL of that name."""
    return _queries()[query]


@cache
def _queries() -> dict[str, str]:
    parts = [part for name in FILES for part in script(name).split("-- name: ")[1:]]
    return {name.strip(): body.strip() for name, _, body in (part.partition("\n") for part in parts)}


def column(value: Any) -> str:
    """A dataclass as one line of JSON, ASCII alone."""
    return json.dumps(packed(value), separators=(",", ":"))


def from_column(made: type[Made], stored: str) -> Made:
    """What `column` made. Raises OrchError: it is damaged."""
    try:
        data = json.loads(stored)
    except ValueError as exc:
        raise OrchError(f"the journal holds a {made.__name__} that can't be read ({exc})") from exc
    return unpacked(made, data)


def storable(value: str) -> str:
    """*value* as SQLite can store it: half a surrogate pair, which a host's answer may hold, becomes its escape."""
    return value.encode(errors="backslashreplace").decode()


def storable_all(values: Sequence[str]) -> tuple[str, ...]:
    """The same, sorted, each once."""
    return tuple(sorted(set(map(storable, values))))


def moment(at: float) -> str:
    """A time in the local zone, with its offset."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")
