"""Processes that die, freeze, or find the disk full, through the use cases: nothing is lost, nothing happens twice."""

import asyncio
import math
from collections.abc import Sequence

import pytest
from bookkeeping import ALL_DOWN, BEGAN_AT, REFUSED, UNITS, Deadly, Shop, books
from virtual_time import in_virtual_time

from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import BadInput, Locked, OrchError
from orchestrator.domain.facts import (
    DecisionAsked,
    Fact,
    RunEnded,
    RunParked,
    RunResumed,
    StageBegan,
    Stamped,
    StepEnded,
    StepIntended,
)
from orchestrator.domain.plan import Action
from orchestrator.domain.policy import Do, Notice, Policy
from orchestrator.domain.results import Phase
from orchestrator.domain.service import Control, State
from orchestrator.engine.book_ports import LEASE_S, Lease, Owner
from orchestrator.engine.jobs.resuming import close
from orchestrator.engine.jobs.world import Books
from orchestrator.engine.ports import Order


@in_virtual_time
async def test_a_run_that_was_killed_at_any_write_and_resumed_ends_like_the_uninterrupted_one() -> None:
    whole = Shop()
    await whole.run(await whole.plan())
    writes = len({one.at for one in await whole.facts()}) + 3
    ended = await whole.last()
    killed = 0
    for number in range(1, writes + 1):
        for before in (True, False):
            shop = Shop(store=Deadly(number, before=before))
            going = asyncio.create_task(shop.run(await shop.plan()))
            shop.store.victim = going  # type: ignore[attr-defined] # it is a Deadly
            try:
                await going
            except asyncio.CancelledError:
                killed += 1
                await asyncio.sleep(LEASE_S + 1.0)
                if not await shop.facts():
                    with pytest.raises(BadInput, match="no run r1"):
                        await shop.resume()
                    assert shop.fleet.asked == []
                    assert not await shop.store.holdings()
                    continue
                if not isinstance(await shop.last(), RunEnded):
                    await shop.resume()
            assert shop.states == ALL_DOWN
            assert await shop.last() == ended
            assert not await shop.asked()
            assert sorted(shop.fleet.asked) == sorted(whole.fleet.asked), f"killed at write {number}"
    assert killed >= 8


class Hasty(MemoryJournal):
    """A store in which somebody goes on with a run in the very moment in which it is parked."""

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        written = await super().append(run, facts, lease=lease)
        if isinstance(facts[-1], RunParked):
            await self.take_over(run, Owner(requester="ben", controller="desk", pid=9, pid_started=9.0))
        return written


@in_virtual_time
async def test_a_run_that_is_taken_over_as_it_parks_has_parked() -> None:
    shop = Shop(store=Hasty(began_at=BEGAN_AT))
    shop.refuses()
    assert (await shop.run(await shop.plan())).exit_code == 6


class Asked(Deadly):
    """A store at which the controller dies as soon as a decision is on record."""

    def __init__(self) -> None:
        super().__init__(0, before=False)

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        written = await super().append(run, facts, lease=lease)
        if lease == Lease(run, 1) and any(isinstance(fact, DecisionAsked) for fact in facts):
            await self._die()
        return written


@pytest.mark.parametrize("answered", [True, False])
@in_virtual_time
async def test_the_next_process_tells_people_of_what_a_killed_one_asked(answered: bool) -> None:
    store = Asked()
    shop = Shop(store=store, policy=Policy(notify=(Notice(url="mailto://a", on=("decision",)),)))
    shop.refuses()
    store.victim = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.wait([store.victim])
    await asyncio.sleep(LEASE_S + 1.0)
    assert [one.decision for one in await shop.asked()] == [1]
    assert shop.told.events == []
    if answered:
        await shop.says(Choice.ABORT)
        assert (await shop.resume()).exit_code == 1
        assert shop.told.events == []
        return
    for _ in range(2):  # who parks has told before it leaves: the one after it tells nobody
        assert (await shop.resume()).exit_code == 6
        assert [event["decision"] for _, event in shop.told.events] == [1]


class Frozen(MemoryJournal):
    """The store as a frozen process sees it: no heartbeat goes out, and nothing comes back before it wakes."""

    def __init__(self, store: MemoryJournal) -> None:
        super().__init__(began_at=BEGAN_AT)
        self.__dict__.update(vars(store))
        self.sleeps_s = 0.0

    async def renew(self, lease: Lease) -> None:
        await asyncio.sleep(1.2 * self.sleeps_s)  # its heart is slower to wake than its hands
        await super().renew(lease)

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        written = await super().append(run, facts, lease=lease)
        if any(isinstance(fact, StepIntended) for fact in facts):
            await asyncio.sleep(self.sleeps_s)
        return written


@pytest.mark.parametrize("closed", [True, False])
@in_virtual_time
async def test_a_process_that_wakes_after_a_takeover_acts_no_more_and_writes_nothing(closed: bool) -> None:
    shop = Shop()
    frozen = Frozen(shop.store)
    through = Books(journal=frozen, locks=frozen, decisions=frozen, snapshots=frozen, clock=books(shop.store).clock)
    plan = await shop.plan()
    old = asyncio.create_task(shop.run(plan, through=through))
    await asyncio.sleep(5.0)
    frozen.sleeps_s = 500.0  # it will write what it is going to do next, and sleep before it can send a thing
    await asyncio.sleep(10.0 + LEASE_S)
    if closed:  # the intent to stop sql is on record, and the old process is about to send it
        await close("r1", books(shop.store), reason="asleep", header=shop.header("r1"))
        assert "sql@db-01" not in shop.states
    else:
        assert (await shop.resume()).exit_code == 0
        assert shop.states == ALL_DOWN
    asked = list(shop.fleet.asked)
    with pytest.raises(Locked, match="taken over"):
        await old
    assert shop.fleet.asked == asked
    assert len(set(asked)) == len(asked)
    facts = [one.fact for one in await shop.facts()]
    assert sum(isinstance(fact, RunResumed) for fact in facts) == (not closed)
    assert isinstance(facts[-1], RunEnded)


class Full(MemoryJournal):
    """A store whose disk is full from write number *at* on, until there is `room`."""

    def __init__(self, at: int) -> None:
        super().__init__(began_at=BEGAN_AT)
        self._at = at
        self.room = False

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        self._at -= 1
        if self._at <= 0 and not self.room:
            raise OrchError("the disk is full")
        return await super().append(run, facts, lease=lease)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@in_virtual_time
async def test_on_a_full_disk_nothing_further_is_asked_of_a_host_and_resume_goes_on(at: int) -> None:
    store = Full(at)
    shop = Shop(store=store)
    with pytest.raises(OrchError, match="full"):
        await shop.run(await shop.plan())
    asked = list(shop.fleet.asked)
    await asyncio.sleep(2 * LEASE_S)
    assert shop.fleet.asked == asked
    store.room = True
    if at == 1:
        assert asked == []
        assert not await store.holdings()
        return
    assert (await shop.resume()).exit_code == 0
    assert shop.states == ALL_DOWN
    assert len(set(shop.fleet.asked)) == len(shop.fleet.asked) == 3


class FullAtTheEnd(MemoryJournal):
    """A store whose disk is full once the last fact of a process is written."""

    async def park(self, lease: Lease) -> None:
        raise OrchError("the disk is full")

    async def release(self, lease: Lease) -> None:
        raise OrchError("the disk is full")


@pytest.mark.parametrize("fails", [True, False])
@in_virtual_time
async def test_a_run_whose_end_is_on_record_has_ended_whatever_the_disk_says_then(fails: bool) -> None:
    shop = Shop(store=FullAtTheEnd(began_at=BEGAN_AT), policy=Policy(notify=(Notice(url="mailto://a", on=("end",)),)))
    if fails:
        shop.refuses()
    ending = await shop.run(await shop.plan())
    assert ending.exit_code == (6 if fails else 0)
    assert len(shop.told.events) == (not fails)
    assert [held.alive for held in await shop.store.holdings()] == [None] * fails
    if fails:
        ending = await close("r1", books(shop.store), reason="by hand", header=shop.header("r1"))
        assert ending.exit_code == 1


class Unreadable(MemoryJournal):
    """A store one of whose facts can't be read: damaged, or written by a newer orch."""

    async def read(self, run: str) -> Sequence[Stamped]:
        if await super().read(run):
            raise OrchError("fact 3 can't be read")
        return ()


@pytest.mark.parametrize("unreadable", [True, False])
@in_virtual_time
async def test_a_run_that_cannot_be_gone_on_with_can_be_closed(unreadable: bool) -> None:
    shop = Shop(store=Unreadable(began_at=BEGAN_AT) if unreadable else MemoryJournal(began_at=BEGAN_AT))
    shop.refuses()
    await shop.run(await shop.plan())
    if not unreadable:
        await shop.store.append("r1", [StageBegan(7)])  # of no stage of the plan
    with pytest.raises((OrchError, ValueError)):
        await shop.resume()
    await asyncio.sleep(LEASE_S + 1.0)
    ending = await close("r1", books(shop.store), reason="it is broken", header=shop.header("r1"))
    assert ending.ended is not None
    assert (ending.ended.verdict, ending.ended.counts) == ("closed", {})
    assert not await shop.store.holdings()


class Buggy(MemoryJournal):
    """A store that dies of a bug of its own when it is asked to renew a lease, or for orders."""

    def __init__(self, where: str) -> None:
        super().__init__(began_at=BEGAN_AT)
        self._where = where

    async def renew(self, lease: Lease) -> None:
        if self._where == "renew":
            raise KeyError("a bug")
        await super().renew(lease)

    async def orders(self, run: str) -> Sequence[tuple[Order, str]]:
        if self._where == "orders":
            raise KeyError("a bug")
        return await super().orders(run)


@pytest.mark.parametrize("where", ["renew", "orders"])
@in_virtual_time
async def test_a_run_does_not_wait_on_without_its_heart_or_its_ears(where: str) -> None:
    shop = Shop(store=Buggy(where))
    shop.refuses()
    async with asyncio.timeout(LEASE_S):
        with pytest.raises(KeyError, match="a bug"):
            await shop.run(await shop.plan(), patient=True)
    assert not isinstance(await shop.last(), RunEnded)


@in_virtual_time
async def test_who_goes_on_knows_the_process_that_the_run_had_started_and_was_about_to_stop() -> None:
    shop = Shop(policy=Policy(on_failure=Do.ROLLBACK))
    sql = shop.fleet.service("sql", "db-01")
    for unit in UNITS:
        shop.fleet.enter(unit.split("@")[1], shop.fleet.service(*unit.split("@")), State.STOPPED)
        shop.fleet.service(*unit.split("@")).refuses[Control.START] = REFUSED
    sql.refuses.clear()
    sql.lingers_s = math.inf
    going = asyncio.create_task(shop.run(await shop.plan(Action.START)))
    for wanted in (State.RUNNING, State.STOPPED):
        while sql.state is not wanted:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.5)
    [left] = shop.fleet.hosts["db-01"].processes
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    await asyncio.sleep(LEASE_S + 1.0)
    await shop.resume()
    results = [stamped.fact.result for stamped in await shop.facts() if isinstance(stamped.fact, StepEnded)]
    stops = [one.evidence.get("orphan") for one in results if one.step.phase is Phase.STOP]
    assert stops == [str(left)]
