"""The journal's twin in memory: same promises, gone with the process. Its clock is the event loop's: tests own it.

Every call but `changed` returns in the same turn of the loop: what one call does is one transaction.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from orchestrator.domain.chain import Row, Verified, link, no_such_run, typed_head, verify, with_head
from orchestrator.domain.decisions import Answer, Choice
from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.fact_codec import encode
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
from orchestrator.domain.policy import Approval
from orchestrator.domain.questions import Question, Said, closing, grown, missing, timed_out, unasked, weigh
from orchestrator.domain.run_names import check_tag, pick, tag_taken
from orchestrator.engine.book_ports import (
    LEASE_S,
    Holding,
    Lease,
    OpenDecision,
    Owner,
    RunSummary,
    Snapshot,
    Standing,
    Tally,
    Vote,
)
from orchestrator.engine.ports import Order

LOOK_S = 1.0
"""How long `changed` waits when nobody writes."""


@dataclass(slots=True)
class _Held:
    """A run's lease. `units` is empty once it was released; the epoch stays."""

    epoch: int
    owner: Owner
    since: float
    renewed_at: float
    units: tuple[str, ...]
    parked: bool = False
    released: bool = False


@dataclass(slots=True)
class _Asked:
    """A decision, when it was asked (`order` tells those of one moment apart), and what was said to it."""

    question: Question
    at: float
    order: int
    votes: tuple[Vote, ...] = ()


@dataclass(slots=True)
class _Run:
    """All that is known of one run. `began` is None while nothing but its lease is there."""

    facts: list[Stamped] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    began: RunBegan | None = None
    began_at: float = 0.0
    ended: RunEnded | None = None
    ended_at: float | None = None
    held: _Held | None = None
    asked: dict[int, _Asked] = field(default_factory=dict)
    orders: list[tuple[Order, str]] = field(default_factory=list)

    def waiting(self) -> tuple[int, ...]:
        """The decisions that wait for people."""
        return tuple(number for number, one in self.asked.items() if one.question.waits)


class MemoryJournal:
    """Implements `engine.ports`' Journal, Locks, Decisions and Snapshots. Times count from *began_at* (UTC, seconds
    since 1970), by the loop's clock. *exists* says whether an owner's process is there; None: it can't be told."""

    def __init__(
        self, *, began_at: float = 1_795_000_000.0, exists: Callable[[Owner], bool | None] = lambda _: None
    ) -> None:
        self._began_at = began_at
        self._exists = exists
        self._runs: dict[str, _Run] = {}
        self._listed: list[str] = []
        self._snapshots: dict[str, Snapshot] = {}
        self._order = count()
        self._looking: dict[str, list[asyncio.Event]] = {}

    # --- Journal

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        """See `Journal.append`. Returns in the same turn of the loop."""
        if lease is not None:
            self._check(lease)
        if not facts:
            return ()
        known = self._runs.get(run, _Run())
        for kind, had in ((RunBegan, known.began), (RunEnded, known.ended)):
            if sum(isinstance(fact, kind) for fact in facts) + (had is not None) > 1:
                raise OrchError(f"run {run} has begun or ended already")
        bodies = [encode(fact) for fact in facts]
        self._runs[run] = known
        now_s, at = asyncio.get_running_loop().time(), self._now()
        elapsed_s = now_s - (known.facts[0].at - self._began_at) if known.facts else 0.0
        stamped: list[Stamped] = []
        head = known.facts[-1].head if known.facts else ""
        for number, (fact, body) in enumerate(zip(facts, bodies, strict=True), len(known.facts) + 1):
            head = link(head, run, number, at, elapsed_s, body.encode())
            stamped.append(Stamped(number, at, elapsed_s, fact, head))
            self._note(run, known, fact, at)
        known.facts += stamped
        known.bodies += bodies
        return stamped

    def _note(self, run: str, known: _Run, fact: Fact, at: float) -> None:
        """What *fact* means beyond the chain."""
        match fact:
            case RunBegan():
                known.began, known.began_at = fact, at
                self._listed.append(run)
            case RunParked() if known.held:
                known.held.parked = True
            case RunEnded():
                known.ended, known.ended_at = fact, at
                for one in known.asked.values():
                    self._heed(one, fact, at)
                if known.held:
                    known.held.units, known.held.released = (), True
            case DecisionAsked():
                known.asked[fact.decision] = _Asked(Question(run=run, asked=fact), at, next(self._order))
            case DecisionGrew() | DecisionAnswered() | DecisionWithdrawn() if fact.decision in known.asked:
                self._heed(known.asked[fact.decision], fact, at)

    @staticmethod
    def _heed(one: _Asked, fact: DecisionGrew | DecisionAnswered | DecisionWithdrawn | RunEnded, at: float) -> None:
        if isinstance(fact, DecisionGrew):
            one.question = replace(one.question, asked=grown(one.question.asked, fact))
        else:
            one.question = replace(one.question, closed=closing(one.question, fact, _moment(at)))

    async def read(self, run: str) -> Sequence[Stamped]:
        """See `Journal.read`."""
        return tuple(self._runs[run].facts) if run in self._runs else ()

    async def verify(self, run: str | None = None, *, head: str = "") -> Sequence[Verified]:
        """See `Journal.verify`."""
        if run is not None and not (run in self._runs and self._runs[run].facts):
            raise no_such_run(run)
        head = typed_head(head)
        runs = list(reversed(self._listed)) if run is None else [run]
        found = [self._verified(one, head, must=run is not None) for one in runs]
        return with_head(found, head) if head and run is None else found

    def _verified(self, run: str, head: str, *, must: bool) -> Verified:
        known = self._runs[run]
        rows = (
            Row(one.number, one.at, one.elapsed_s, body.encode(), one.head)
            for one, body in zip(known.facts, known.bodies, strict=True)
        )
        return verify(run, rows, began=known.began is not None, ended=known.ended is not None, head=head, must=must)

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        """See `Journal.runs`."""
        return [self._summary(run) for run in list(reversed(self._listed))[:limit]]

    def _summary(self, run: str) -> RunSummary:
        known = self._runs[run]
        assert known.began is not None
        return RunSummary(
            run=run,
            plan=known.began.plan.name,
            action=str(known.began.plan.action),
            requester=known.began.requester,
            began_at=known.began_at,
            ended_at=known.ended_at,
            verdict=known.ended.verdict if known.ended else None,
            counts=dict(known.ended.counts) if known.ended else {},
            standing=self._standing(known),
            asks=known.waiting(),
            of=known.began.of,
            head=known.facts[-1].head,
        )

    def _standing(self, known: _Run) -> Standing:
        if known.ended:
            return Standing.ENDED
        if known.held is None or known.held.released:
            return Standing.CRASHED
        alive = self._alive(known.held)
        return Standing.PARKED if alive is None else Standing.RUNNING if alive else Standing.CRASHED

    async def resolve(self, name: str) -> str:
        """See `Journal.resolve`."""
        return pick(name, list(reversed(self._listed)))

    async def aclose(self) -> None:
        """See `Journal.aclose`: nothing is open."""

    # --- Locks

    async def take(self, run: str, units: Sequence[str], owner: Owner) -> Lease:
        """See `Locks.take`."""
        wanted = frozenset(units)
        if run in self._runs:
            raise OrchError(f"run {run} is there already", hint="type the command again: it gets another id")
        self._forget_unbegun()
        blockers = [
            self._in_the_way(other, known, held, wanted)
            for other, known, held in self._holders()
            if not wanted.isdisjoint(held.units)
        ]
        if blockers:
            raise locked(blockers)
        now = self._now()
        self._runs[run] = _Run(held=_Held(1, owner, now, now, tuple(sorted(wanted))))
        return Lease(run, 1)

    async def take_over(self, run: str, owner: Owner) -> Lease:
        """See `Locks.take_over`."""
        known = self._runs.get(run)
        if known is None or known.held is None or known.held.released:
            raise self._nothing_held(run, known)
        if self._alive(known.held):
            raise still_held(self._in_the_way(run, known, known.held, frozenset()))
        now, held = self._now(), known.held
        held.epoch, held.owner, held.since, held.renewed_at, held.parked = held.epoch + 1, owner, now, now, False
        return Lease(run, held.epoch)

    async def renew(self, lease: Lease) -> None:
        """See `Locks.renew`. Does nothing under a lease that was given back by its own process."""
        self._check(lease, given_back=True).renewed_at = self._now()

    async def park(self, lease: Lease) -> None:
        """See `Locks.park`. Does nothing under a lease that was given back by its own process."""
        self._check(lease, given_back=True).parked = True

    async def release(self, lease: Lease) -> None:
        """See `Locks.release`."""
        known = self._runs.get(lease.run)
        if known and known.held and known.held.epoch == lease.epoch:
            known.held.units, known.held.released = (), True

    async def holdings(self) -> Sequence[Holding]:
        """See `Locks.holdings`."""
        self._forget_unbegun()
        return [
            Holding(
                run=run,
                epoch=held.epoch,
                owner=held.owner,
                since=held.since,
                renewed_at=held.renewed_at,
                alive=self._alive(held),
                units=held.units,
            )
            for run, _, held in self._holders()
        ]

    def _holders(self) -> list[tuple[str, _Run, _Held]]:
        pairs = ((run, known, known.held) for run, known in self._runs.items())
        return [(run, known, held) for run, known, held in pairs if held and not held.released]

    def _forget_unbegun(self) -> None:
        """A run that took units and never began has touched nothing: once its process is gone, so is its claim."""
        for run, known in list(self._runs.items()):
            if not known.facts and known.held and (known.held.released or not self._alive(known.held)):
                del self._runs[run]

    def _alive(self, held: _Held) -> bool | None:
        """As `Holding.alive`."""
        if held.parked:
            return None
        return lives(self._exists(held.owner), self._now() - held.renewed_at, LEASE_S)

    def _check(self, lease: Lease, *, given_back: bool = False) -> _Held:
        """The lease on record, if it is *lease*; one that was given back only if *given_back*. Raises LeaseLost."""
        known = self._runs.get(lease.run)
        held = known.held if known else None
        if known is None or held is None:
            raise lost_to_nobody(lease.run)
        if held.epoch != lease.epoch:
            by = f"{held.owner.requester} on {held.owner.controller}"
            raise lost(lease.run, by=by, when=_moment(held.since), ended=self._ended_said(known))
        if held.released and not given_back:
            raise lost_to_nobody(lease.run)
        return held

    def _in_the_way(self, run: str, known: _Run, held: _Held, wanted: frozenset[str]) -> InTheWay:
        return InTheWay(
            run=run,
            requester=held.owner.requester,
            controller=held.owner.controller,
            since=_moment(held.since),
            age_s=self._now() - held.since,
            alive=self._alive(held),
            asks=known.waiting(),
            units=tuple(unit for unit in held.units if unit in wanted),
        )

    # --- Decisions

    async def open(self) -> Sequence[OpenDecision]:
        """See `Decisions.open`."""
        waiting = [
            (one, known)
            for known in self._runs.values()
            if known.began
            for one in known.asked.values()
            if not one.question.closed
        ]
        return [
            OpenDecision(
                run=one.question.run,
                plan=known.began.plan.name,
                requester=known.began.requester,
                asked_at=one.at,
                asked=one.question.asked,
                votes=one.votes,
                approval=known.began.plan.policy.approval,
                settled=one.question.answer,
            )
            for one, known in sorted(waiting, key=lambda pair: pair[0].order)
            if known.began
        ]

    async def vote(self, run: str, decision: int, vote: Vote, approval: Approval, requester: str) -> Tally:
        """See `Decisions.vote`."""
        one = self._asked(run, decision)
        when = _moment(self._now())
        said = Said(choice=vote.choice, by=vote.by, reason=vote.reason, shown=vote.shown, when=when)
        answer = weigh(one.question, said, approval, requester)
        one.votes += (vote,)
        one.question = replace(one.question, said=(*one.question.said, said))
        if answer is not None:
            self._settle(one, answer)
        left = missing(one.question.said, vote.choice, approval)
        return Tally(choice=answer.choice if answer else None, missing=left, votes=one.votes)

    async def settled(self, run: str, decision: int) -> Answer | None:
        """See `Decisions.settled`."""
        known = self._runs.get(run)
        return known.asked[decision].question.answer if known and decision in known.asked else None

    async def settle_by_timeout(self, run: str, decision: int, choice: Choice) -> Answer:
        """See `Decisions.settle_by_timeout`."""
        one = self._asked(run, decision)
        answer = timed_out(one.question, choice)
        if one.question.waits:
            self._settle(one, answer)
        return answer

    async def order(self, run: str, order: Order, by: str) -> None:
        """See `Decisions.order`."""
        known = self._runs.get(run)
        if known is None or known.began is None or known.ended is not None:
            raise self._nothing_held(run, known)
        known.orders.append((order, by))
        self._wake(run)

    async def orders(self, run: str) -> Sequence[tuple[Order, str]]:
        """See `Decisions.orders`."""
        return tuple(self._runs[run].orders) if run in self._runs else ()

    async def changed(self, run: str) -> None:
        """See `Decisions.changed`."""
        event = asyncio.Event()
        looking = self._looking.setdefault(run, [])
        looking.append(event)
        try:
            async with asyncio.timeout(LOOK_S):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            looking.remove(event)

    def _asked(self, run: str, decision: int) -> _Asked:
        known = self._runs.get(run, _Run())
        if decision not in known.asked:
            raise unasked(run, decision, known.waiting())
        return known.asked[decision]

    def _settle(self, one: _Asked, answer: Answer) -> None:
        one.question = replace(one.question, answer=answer, answered=_moment(self._now()))
        self._wake(one.question.run)

    def _wake(self, run: str) -> None:
        for event in self._looking.get(run, ()):
            event.set()

    # --- Snapshots

    async def save(self, snapshot: Snapshot) -> None:
        """See `Snapshots.save`."""
        if check_tag(snapshot.tag) in self._snapshots:
            raise tag_taken(snapshot.tag, self._snapshots[snapshot.tag].by, _moment(self._snapshots[snapshot.tag].at))
        self._snapshots[snapshot.tag] = snapshot

    async def load(self, tag: str) -> Snapshot | None:
        """See `Snapshots.load`."""
        return self._snapshots.get(check_tag(tag))

    async def all(self) -> Sequence[Snapshot]:
        """See `Snapshots.all`."""
        return sorted(self._snapshots.values(), key=lambda one: one.at, reverse=True)

    # --- its clock

    def _now(self) -> float:
        return self._began_at + asyncio.get_running_loop().time()

    def _nothing_held(self, run: str, known: _Run | None) -> BadInput:
        began = known.began if known else None
        back = puts_back(run, began.plan.action, began.of) if began else ""
        return holds_nothing(run, self._ended_said(known), back)

    @staticmethod
    def _ended_said(known: _Run | None) -> str:
        if known is None or known.ended is None or known.ended_at is None:
            return ""
        return f"it ended at {_moment(known.ended_at)} ({known.ended.said or known.ended.verdict})"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")
