"""Tagged snapshots: rows of `snapshots`. Each function is part of a transaction."""

from collections.abc import Sequence
from sqlite3 import Connection

from orchestrator.adapters.journal.queries import column, from_column, moment, rows, text
from orchestrator.domain.run_names import tag_taken
from orchestrator.engine.book_ports import Snapshot


def save(connection: Connection, snapshot: Snapshot) -> None:
    """See `Snapshots.save`; the tag is one that a snapshot may have."""
    before = load(connection, snapshot.tag)
    if before is not None:
        raise tag_taken(before.tag, before.by, moment(before.at))
    connection.execute(text("add_snapshot"), {"tag": snapshot.tag, "at": snapshot.at, "body": column(snapshot)})


def load(connection: Connection, tag: str) -> Snapshot | None:
    """See `Snapshots.load`."""
    for (stored,) in rows(connection, "snapshot", tag=tag):
        return from_column(Snapshot, stored)
    return None


def all_of_them(connection: Connection) -> Sequence[Snapshot]:
    """See `Snapshots.all`."""
    return tuple(from_column(Snapshot, stored) for (stored,) in rows(connection, "all_snapshots"))
