"""Facts in the file: appended to their run's chain, together with what else they mean; read; verified."""

import json
from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import Any

from orchestrator.adapters.journal.decisions import heed
from orchestrator.adapters.journal.leases import Exists, Held, park_run, release_run
from orchestrator.adapters.journal.queries import column, rows, storable, text
from orchestrator.domain.chain import Row, Verified, link, no_such_run, verify, with_head
from orchestrator.domain.fact_codec import decode
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    RunBegan,
    RunEnded,
    RunParked,
    Stamped,
)
from orchestrator.engine.book_ports import RunSummary, Standing


def append(
    connection: Connection, run: str, facts: Sequence[Fact], bodies: Sequence[str], *, at: float, elapsed_s: float
) -> Sequence[Stamped]:
    """Add *facts*, of which *bodies* are the texts, and note what they mean beside the chain."""
    number, head = next(iter(rows(connection, "newest_fact", run=run)), (0, ""))
    stamped: list[Stamped] = []
    for fact, body in zip(facts, bodies, strict=True):
        number += 1
        head = link(head, run, number, at, elapsed_s, body.encode())
        stamped.append(Stamped(number, at, elapsed_s, fact, head))
    connection.executemany(
        text("add_fact"),
        (
            {"run": run, "number": one.number, "at": at, "elapsed_s": elapsed_s, "body": body, "head": one.head}
            for one, body in zip(stamped, bodies, strict=True)
        ),
    )
    for fact in facts:
        _note(connection, run, fact, at)
    return stamped


def _note(connection: Connection, run: str, fact: Fact, at: float) -> None:
    match fact:
        case RunBegan():
            connection.execute(text("add_run"), _beginning(run, fact, at))
        case RunParked():
            park_run(connection, run)
        case DecisionAsked() | DecisionGrew() | DecisionAnswered() | DecisionWithdrawn():
            heed(connection, run, fact, at)
        case RunEnded():
            connection.execute(text("add_ending"), _ending(run, fact, at))
            heed(connection, run, fact, at)
            release_run(connection, run)


def _beginning(run: str, fact: RunBegan, at: float) -> dict[str, object]:
    return {
        "run": run,
        "plan": storable(fact.plan.name),
        "action": str(fact.plan.action),
        "requester": storable(fact.requester),
        "of": storable(fact.of),
        "approval": column(fact.plan.policy.approval),
        "began_at": at,
    }


def _ending(run: str, fact: RunEnded, at: float) -> dict[str, object]:
    return {
        "run": run,
        "ended_at": at,
        "verdict": fact.verdict,
        "counts": json.dumps(fact.counts),
        "said": storable(fact.said),
    }


def read(connection: Connection, run: str) -> Sequence[Stamped]:
    """All facts of *run* in order."""
    return tuple(
        Stamped(number, at, elapsed_s, decode(body), head)
        for number, at, elapsed_s, body, head in connection.execute(text("facts_of"), {"run": run})
    )


def run_ids(connection: Connection) -> Sequence[str]:
    """All runs, newest first."""
    return tuple(run for (run,) in rows(connection, "run_ids"))


def runs(connection: Connection, limit: int, *, now: float, exists: Exists) -> Sequence[RunSummary]:
    """The newest runs first."""

    def standing(run: str, verdict: str | None, lease: Sequence[Any]) -> Standing:
        if verdict is not None:
            return Standing.ENDED
        return Standing.CRASHED if lease[0] is None else Held.of(run, *lease).run_standing(now, exists)

    return tuple(
        RunSummary(
            run=run,
            plan=plan,
            action=action,
            requester=requester,
            began_at=began_at,
            ended_at=ended_at,
            verdict=verdict,
            counts=json.loads(counts or "{}"),
            standing=standing(run, verdict, lease),
            asks=tuple(sorted(json.loads(asks))),
            of=of,
            head=head,
        )
        for run, plan, action, requester, of, began_at, head, asks, ended_at, verdict, counts, *lease in rows(
            connection, "newest_runs", limit=limit
        )
    )


def verify_all(connection: Connection, run: str | None, head: str) -> Sequence[Verified]:
    """See `Journal.verify`; *head* as `domain.chain.typed_head` has it."""
    known = rows(connection, "to_verify", run=run)
    if run is not None and not known:
        raise no_such_run(run)
    connection.text_factory = bytes  # what was changed on disk may be no text any more
    found = [
        verify(one, _stored(connection, one), began=bool(began), ended=bool(ended), head=head, must=run is not None)
        for one, began, ended in known
    ]
    return with_head(found, head) if head and run is None else found


def _stored(connection: Connection, run: str) -> Iterator[Row]:
    for number, at, elapsed_s, body, head in connection.execute(text("facts_of"), {"run": run}):
        yield Row(number, at, elapsed_s, _bytes(body), _bytes(head).decode("ascii", errors="replace"))


def _bytes(stored: object) -> bytes:
    """What stands in a column for text; nothing of another kind is a fact's."""
    return stored if isinstance(stored, bytes) else b""
