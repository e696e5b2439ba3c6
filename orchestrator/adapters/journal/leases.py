"""Who may act for a run, and on which units: rows of `leases` and `locks`. Each function is part of a transaction."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from sqlite3 import Connection
from typing import Any

from orchestrator.adapters.journal.queries import column, from_column, moment, rows, storable_all, text
from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.locks import (
    InTheWay,
    holds_nothing,
    lives,
    locked,
    lost,
    lost_to_nobody,
    puts_back,
    still_held,
)
from orchestrator.domain.plan import Action
from orchestrator.engine.book_ports import LEASE_S, Holding, Lease, Owner, Standing

Exists = Callable[[Owner], bool | None]
"""Whether an owner's process is there; None: it can't be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One row of `leases`."""

    run: str
    epoch: int
    owner: Owner
    since: float
    renewed_at: float
    standing: str

    @classmethod
    def of(cls, run: str, *row: Any) -> "Held":
        """From the columns, in their order."""
        epoch, owner, since, renewed_at, standing = row
        return cls(
            run=run,
            epoch=epoch,
            owner=from_column(Owner, owner),
            since=since,
            renewed_at=renewed_at,
            standing=standing,
        )

    def alive(self, now: float, exists: Exists) -> bool | None:
        """As `Holding.alive`."""
        if self.standing == "parked":
            return None
        return lives(exists(self.owner), now - self.renewed_at, LEASE_S)

    def run_standing(self, now: float, exists: Exists) -> Standing:
        """That of its run, which has not ended."""
        if self.standing == "released":
            return Standing.CRASHED
        alive = self.alive(now, exists)
        return Standing.PARKED if alive is None else Standing.RUNNING if alive else Standing.CRASHED


def take(connection: Connection, run: str, units: Sequence[str], owner: Owner, *, now: float, exists: Exists) -> Lease:
    """See `Locks.take`."""
    [(known,)] = rows(connection, "known", run=run)
    if known:
        raise OrchError(f"run {run} is there already", hint="type the command again: it gets another id")
    _forget_unbegun(connection, now, exists)
    wanted = storable_all(units)
    found = rows(connection, "in_the_way", units=json.dumps(wanted))
    blockers = [
        _in_the_way(connection, _held(connection, other), [unit for _, unit in pairs], now=now, exists=exists)
        for other, pairs in groupby(found, key=lambda pair: str(pair[0]))
    ]
    if blockers:
        raise locked(blockers)
    connection.execute(text("add_lease"), {"run": run, "owner": column(owner), "now": now})
    connection.executemany(text("add_lock"), ({"unit": unit, "run": run} for unit in wanted))
    return Lease(run, 1)


def _forget_unbegun(connection: Connection, now: float, exists: Exists) -> None:
    """A run that took units and never began has touched nothing: once its process is gone, so is its claim."""
    for row in rows(connection, "unbegun"):
        held = Held.of(*row)
        if held.standing == "released" or not held.alive(now, exists):
            connection.execute(text("free"), {"run": held.run})
            connection.execute(text("forget"), {"run": held.run})


def take_over(connection: Connection, run: str, owner: Owner, *, now: float, exists: Exists) -> Lease:
    """See `Locks.take_over`."""
    found = rows(connection, "lease_of", run=run)
    held = Held.of(run, *found[0]) if found else None
    if held is None or held.standing == "released":
        raise nothing_held(connection, run)
    if held.alive(now, exists):
        raise still_held(_in_the_way(connection, held, (), now=now, exists=exists))
    connection.execute(text("take_over"), {"run": run, "owner": column(owner), "now": now})
    return Lease(run, held.epoch + 1)


def check(connection: Connection, lease: Lease, *, given_back: bool = False) -> bool:
    """Whether *lease* is the one on record and holds; one that was given back is False if *given_back*.

    Raises:
        LeaseLost: it is not.
    """
    found = rows(connection, "lease_of", run=lease.run)
    if not found:
        raise lost_to_nobody(lease.run)
    held = Held.of(lease.run, *found[0])
    if held.epoch != lease.epoch:
        by = f"{held.owner.requester} on {held.owner.controller}"
        raise lost(lease.run, by=by, when=moment(held.since), ended=ended_said(connection, lease.run))
    if held.standing == "released" and not given_back:
        raise lost_to_nobody(lease.run)
    return held.standing != "released"


def renew(connection: Connection, lease: Lease, now: float) -> None:
    """See `Locks.renew`. Does nothing under a lease that was given back by its own process."""
    if check(connection, lease, given_back=True):
        connection.execute(text("renew"), {"run": lease.run, "now": now})


def park(connection: Connection, lease: Lease) -> None:
    """See `Locks.park`. Does nothing under a lease that was given back by its own process."""
    if check(connection, lease, given_back=True):
        park_run(connection, lease.run)


def release(connection: Connection, lease: Lease) -> None:
    """See `Locks.release`."""
    if [held[0] for held in rows(connection, "lease_of", run=lease.run)] == [lease.epoch]:
        release_run(connection, lease.run)


def park_run(connection: Connection, run: str) -> None:
    """No process holds *run* any more; its units stay locked."""
    connection.execute(text("park"), {"run": run})


def release_run(connection: Connection, run: str) -> None:
    """*run* holds nothing any more."""
    connection.execute(text("release"), {"run": run})
    connection.execute(text("free"), {"run": run})


def holdings(connection: Connection, *, now: float, exists: Exists) -> Sequence[Holding]:
    """See `Locks.holdings`."""
    found: list[Holding] = []
    for *row, begun, units in rows(connection, "holders"):
        held = Held.of(*row)
        alive = held.alive(now, exists)
        if begun or alive:
            found.append(
                Holding(
                    run=held.run,
                    epoch=held.epoch,
                    owner=held.owner,
                    since=held.since,
                    renewed_at=held.renewed_at,
                    alive=alive,
                    units=tuple(json.loads(units)),
                )
            )
    return tuple(found)


def ended_said(connection: Connection, run: str) -> str:
    """How *run* ended, in words; "" if it has not."""
    for ended_at, verdict, said, *_ in rows(connection, "ending_of", run=run):
        return f"it ended at {moment(ended_at)} ({said or verdict})"
    return ""


def nothing_held(connection: Connection, run: str) -> BadInput:
    """The refusal of whatever a run would have to go on for: it has ended, or there is none."""
    back = [puts_back(run, Action(action), of) for *_, action, of in rows(connection, "ending_of", run=run)]
    return holds_nothing(run, ended_said(connection, run), *back)


def _held(connection: Connection, run: str) -> Held:
    [row] = rows(connection, "lease_of", run=run)
    return Held.of(run, *row)


def _in_the_way(connection: Connection, held: Held, units: Sequence[str], *, now: float, exists: Exists) -> InTheWay:
    return InTheWay(
        run=held.run,
        requester=held.owner.requester,
        controller=held.owner.controller,
        since=moment(held.since),
        age_s=now - held.since,
        alive=held.alive(now, exists),
        asks=tuple(number for (number,) in rows(connection, "waiting", run=held.run)),
        units=tuple(units),
    )
