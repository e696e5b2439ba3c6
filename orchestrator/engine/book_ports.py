"""What the engine asks of the state folder: the record of runs, who may act, what was answered, snapshots.

One object usually serves all of these, so that what belongs together is one transaction; as for every port there is a
twin in memory, and one contract suite. Raises: OrchError when the disk refuses, and what is named here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from orchestrator.domain.chain import Verified
from orchestrator.domain.decisions import Answer, Choice
from orchestrator.domain.facts import DecisionAsked, Fact, MadeFrom, Stamped
from orchestrator.domain.plan import Unit
from orchestrator.domain.policy import Approval
from orchestrator.engine.ports import Order


class Standing(StrEnum):
    """Where a run stands. CRASHED: neither ended nor parked, and its process is gone or silent past its lease."""

    RUNNING = "running"
    PARKED = "parked"
    CRASHED = "crashed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line of `orch runs`. `began_at` is UTC, seconds since 1970; `ended_at` and `verdict` are None while open.

    `asks` are the numbers of the decisions that wait for people; `of` is `RunBegan.of`; `head` that of its newest fact.
    """

    run: str
    plan: str
    action: str
    requester: str
    began_at: float
    ended_at: float | None
    verdict: str | None
    counts: Mapping[str, int]
    standing: Standing = Standing.ENDED
    asks: tuple[int, ...] = ()
    of: str = ""
    head: str = ""


LEASE_S = 60.0
"""How long a run may be silent before another process may take it over."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for a run. The epoch rises with every takeover; an older one is worth nothing."""

    run: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that holds a run: who typed, on which machine, which process (with its start, so that a number that
    was given out again is not taken for it). `pids` names what numbers it: containers count processes of their own."""

    requester: str
    controller: str
    pid: int
    pid_started: float
    pids: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is known of a run that holds units. `alive` None: it is parked; False: its process is gone or silent past
    its lease. Times are UTC, seconds since 1970."""

    run: str
    epoch: int
    owner: Owner
    since: float
    renewed_at: float
    alive: bool | None
    units: tuple[str, ...]


class Locks(Protocol):
    """Which run may act on which units. Keys are `domain.locks.keys(plan)`.

    Raises: OrchError when the disk refuses; Locked and LeaseLost as said.
    """

    async def take(self, run: str, units: Sequence[str], owner: Owner) -> Lease:
        """All of *units* for a new run, or none. Raises Locked naming each run in the way, whose it is, since when,
        what it does now, and what to type."""

    async def take_over(self, run: str, owner: Owner) -> Lease:
        """Go on with an open run under a new epoch. Raises Locked if a living process holds it, BadInput if it holds
        nothing (it ended)."""

    async def renew(self, lease: Lease) -> None:
        """Say that the process lives; due several times per LEASE_S. Raises LeaseLost."""

    async def park(self, lease: Lease) -> None:
        """No process holds the run any more; its locks stay. Raises LeaseLost."""

    async def release(self, lease: Lease) -> None:
        """Free its units. Safe to call twice; does nothing under a lost lease."""

    async def holdings(self) -> Sequence[Holding]:
        """Every run that holds units, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one person says to one decision. `shown` is the consequence that was previewed to them."""

    choice: Choice
    by: str
    reason: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDecision:
    """A decision that waits, and what was said to it so far. `asked_at` is UTC, seconds since 1970; `approval`, of the
    run's plan, tells who may answer, for a table that reads no plan."""

    run: str
    plan: str
    requester: str
    asked_at: float
    asked: DecisionAsked
    votes: tuple[Vote, ...] = ()
    approval: Approval = Approval()
    settled: Answer | None = None
    """What was answered, where the run has not taken it up yet: it is parked, or its process is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Where a decision stands after a vote: settled on `choice`, or `missing` more people have to say the same."""

    choice: Choice | None
    missing: int = 0
    votes: tuple[Vote, ...] = ()


class Decisions(Protocol):
    """Where answers are given and found, shared by everybody who shares the state folder. Compare-and-swap.

    What is asked is known from the journal's facts; a decision is open from its DecisionAsked to its
    DecisionAnswered or DecisionWithdrawn, and settled from the vote that decides it. Raises: OrchError when the disk
    refuses.
    """

    async def open(self) -> Sequence[OpenDecision]:
        """All that wait, oldest first; cheap: no plan is read."""

    async def vote(self, run: str, decision: int, vote: Vote, approval: Approval, requester: str) -> Tally:
        """Say something, in one transaction with the look at what was said before.

        Raises: BadInput naming whoever answered before, with what, when and why; or that nothing is asked (any more);
        or that this person may not answer (`approval`, *requester*), or has said the same last. Who says something else
        has changed their mind: of each person the newest word counts, and all stay on record. Hold and abort act on
        nothing: `not_requester` does not stand against them.
        """

    async def settled(self, run: str, decision: int) -> Answer | None:
        """The answer, once enough people have said the same. Without `waited_s`."""

    async def settle_by_timeout(self, run: str, decision: int, choice: Choice) -> Answer:
        """The time to answer is over: settle it on *choice*, unless it is settled. Returns the answer that counts,
        without `waited_s`: the timeout's, or that of whoever was first. Nothing is settled where none is waited for any
        more."""

    async def order(self, run: str, order: Order, by: str) -> None:
        """Leave an order for the process that holds *run*."""

    async def orders(self, run: str) -> Sequence[tuple[Order, str]]:
        """All orders that were ever left for *run*, in order, with who left them."""

    async def changed(self, run: str) -> None:
        """Return when there may be something new for *run*: soon after anybody wrote, and after a second in any case,
        so that who looks, waits here and looks again misses nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was observed of every unit of a playbook, under a tag. `at` is UTC, seconds since 1970."""

    tag: str
    at: float
    by: str
    name: str
    made_from: MadeFrom
    units: tuple[Unit, ...]


class Snapshots(Protocol):
    """Tagged snapshots in the state folder. Raises: OrchError when the disk refuses."""

    async def save(self, snapshot: Snapshot) -> None:
        """Keep it. Raises BadInput if the tag is taken: a snapshot is never overwritten."""

    async def load(self, tag: str) -> Snapshot | None:
        """The snapshot of that tag; None if there is none."""

    async def all(self) -> Sequence[Snapshot]:
        """All of them, newest first."""


class Journal(Protocol):
    """Append-only facts of runs, on local disk, committed before `append` returns.

    Raises: OrchError when the disk refuses (nothing of that call is then on disk). Concurrency: any task; appends of
    one run are kept in call order.
    """

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        """Write all facts in one transaction, or none. Returns them numbered and stamped.

        Under a *lease* the same transaction checks its epoch: LeaseLost if it is not the run's newest. RunParked parks
        the run, RunEnded frees its units and closes what it asked, in that transaction.
        """

    async def read(self, run: str) -> Sequence[Stamped]:
        """All facts of *run* in order; empty if there is no such run."""

    async def verify(self, run: str | None = None, *, head: str = "") -> Sequence[Verified]:
        """Walk the chain of *run*, or of all, newest first, over the stored bytes. See `domain.chain.Verified`.

        With *head* (or its beginning) some fact of *run* must have it; without *run* the runs that have it are told of,
        or else those in which something is wrong. Raises BadInput: there is no such run, or nobody has that head.
        """

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        """The newest runs first."""

    async def resolve(self, name: str) -> str:
        """The run id for an id, a unique prefix, or `last`. Raises BadInput naming the candidates otherwise."""

    async def aclose(self) -> None:
        """Wait for what is being written, and close."""
