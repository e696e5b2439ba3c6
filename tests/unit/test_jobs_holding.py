"""What a process that holds a run may do, and when it may no more; what comes in from outside; who is told."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import pytest
from bookkeeping import BEGAN_AT, Told, books
from stages import node, stage
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.errors import BadInput, Locked, OrchError, Refused
from orchestrator.domain.facts import OrderTaken, RunBegan, StageBegan
from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.policy import Approval, Notice, Policy, Window
from orchestrator.domain.service import Control, State
from orchestrator.engine.book_ports import LEASE_S, Lease, Owner
from orchestrator.engine.jobs.guarding import GuardedHosts, GuardedLocal, GuardedProbe
from orchestrator.engine.jobs.holding import BEAT_S, Held
from orchestrator.engine.jobs.notifying import LAST_WAIT_S, Notices
from orchestrator.engine.jobs.orders import Inbox
from orchestrator.engine.jobs.running import refuse_late, refuse_unanswerable
from orchestrator.engine.ports import CommandOutput, Order, Seen

ANNA = Owner(requester="anna", controller="desk", pid=1, pid_started=1.0)
BEN = Owner(requester="ben", controller="desk", pid=2, pid_started=2.0)
BEGAN = RunBegan(run="r1", plan=Plan(name="shop", action=Action.STOP, stages=()), requester="anna", controller="desk")
ORDERS = asyncio.Queue[Order]


class FullDisk(MemoryJournal):
    """A store that takes no renewal once `full`."""

    full = False

    async def renew(self, lease: Lease) -> None:
        if self.full:
            raise OrchError("the disk is full")
        await super().renew(lease)


async def held(store: MemoryJournal) -> tuple[Held, list[str]]:
    """A run that has just begun, and what it was told of its loss."""
    lost: list[str] = []
    found = Held(await store.take("r1", ["orders@app-01"], ANNA), books(store), lost=lambda: lost.append("lost"))
    await found.append([BEGAN])
    return found, lost


@in_virtual_time
async def test_a_heartbeat_keeps_the_run_for_as_long_as_its_process_lives() -> None:
    store = MemoryJournal(began_at=BEGAN_AT)
    ours, lost = await held(store)
    async with ours.beating():
        await asyncio.sleep(10 * LEASE_S)
        with pytest.raises(Locked, match="anna"):
            await store.take_over("r1", BEN)
    await asyncio.sleep(2 * LEASE_S)
    assert (await store.take_over("r1", BEN)).epoch == ours.lease.epoch + 1
    assert not lost


@in_virtual_time
async def test_a_process_that_slept_through_a_takeover_writes_nothing_and_touches_no_host() -> None:
    store = MemoryJournal(began_at=BEGAN_AT)
    ours, lost = await held(store)
    fleet = MemoryFleet()
    fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING))
    services = GuardedHosts(MemoryHosts(fleet), ours).services("app-01")
    await asyncio.sleep(LEASE_S + 1.0)
    await store.take_over("r1", BEN)
    with pytest.raises(Refused, match="taken over"):
        await services.request("orders", Control.STOP)
    assert fleet.asked == []
    with pytest.raises(Locked, match="ben"):
        await ours.append([StageBegan(0)])
    assert lost == ["lost"]
    assert [stamped.fact for stamped in await store.read("r1")] == [BEGAN]


@in_virtual_time
async def test_a_process_that_slept_through_a_takeover_carries_out_no_hook_of_the_controller() -> None:
    """The other process asks the hook's check, and does what is not done: the one that wakes up must not."""
    store, fleet = MemoryJournal(began_at=BEGAN_AT), MemoryFleet()
    ours, _ = await held(store)
    asked: list[str] = []

    def answer(check: HttpCheck) -> Seen:
        asked.append(check.url)
        return Seen(True, "status 200")

    probe, local = MemoryProbe(fleet), MemoryLocal({"silence": CommandOutput(0, "")})
    probe.answers["http://lb/out"] = answer
    request = HttpCheck(url="http://lb/out", method="POST")
    sure, runs = GuardedProbe(probe, ours), GuardedLocal(local, ours)
    assert (await sure.http(request, timeout_s=5.0)).held
    assert (await runs.run("silence", (), timeout_s=5.0)).exit_code == 0
    await asyncio.sleep(LEASE_S + 1.0)
    await store.take_over("r1", BEN)
    seen = await sure.http(request, timeout_s=5.0)
    assert (seen.held, seen.lost, seen.answered, asked) == (False, False, False, ["http://lb/out"])
    assert "taken over" in seen.saw
    with pytest.raises(OSError, match="taken over"):
        await runs.run("silence", (), timeout_s=5.0)


@in_virtual_time
async def test_a_disk_that_takes_no_heartbeat_ends_the_run_here_within_seconds() -> None:
    store = FullDisk(began_at=BEGAN_AT)
    ours, lost = await held(store)
    async with ours.beating():
        await asyncio.sleep(3 * BEAT_S)
        store.full = True
        await asyncio.sleep(BEAT_S)
        assert lost == ["lost"]
        store.full = False
        with pytest.raises(OrchError, match="full"):
            await ours.append([StageBegan(0)])


@in_virtual_time
async def test_orders_come_from_signals_from_elsewhere_and_from_the_clock_each_once() -> None:
    store, signals = MemoryJournal(began_at=BEGAN_AT), ORDERS()
    ours, _ = await held(store)
    inbox, now_s = Inbox("r1", books(store)), asyncio.get_running_loop().time
    async with inbox.listening(signals.get, BEGAN_AT + 3600.0):
        signals.put_nowait(Order.PARK)
        assert await inbox.next() == OrderTaken("park")
        await asyncio.sleep(100.0)
        await store.order("r1", Order.CANCEL, "ben")
        assert await inbox.next() == OrderTaken("cancel", "ben")
        assert now_s() <= 101.0
        assert await inbox.next() == OrderTaken("window closed")
        assert now_s() == 3600.0
    await ours.append([OrderTaken("park"), OrderTaken("cancel", "ben"), OrderTaken("window closed")])
    again = Inbox("r1", books(store))
    again.recall(await store.read("r1"))
    async with again.listening(signals.get, BEGAN_AT + 3600.0):
        await store.order("r1", Order.CANCEL, "cleo")
        assert await again.next() == OrderTaken("cancel", "cleo")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.0):
                await again.next()


@pytest.mark.parametrize(
    ("action", "began", "refused"),
    [
        (Action.STOP, "2027-01-01T05:00", True),
        (Action.STOP, "2027-01-01T04:59", False),
        (Action.RESTART, "2027-01-01T12:00", True),
        (Action.START, "2027-01-01T12:00", False),
        (Action.ROLLBACK, "2027-01-01T12:00", False),
    ],
)
def test_nothing_is_stopped_once_the_window_is_closed(action: Action, began: str, refused: bool) -> None:
    goal = State.RUNNING if action is Action.START else State.STOPPED
    policy = Policy(window=Window(until="05:00", tz="Europe/Berlin"))
    plan = Plan(name="shop", action=action, stages=(stage([node("orders@app-01")], goal=goal),), policy=policy)
    now = datetime.fromisoformat(f"{began}+01:00").timestamp()
    if refused:
        with pytest.raises(BadInput, match="05:00"):
            refuse_late(plan, now)
    else:
        refuse_late(plan, now)


@pytest.mark.parametrize(
    ("approval", "action", "refused"),
    [
        (Approval(approvers=("Anna", "ben"), min_approvals=2, not_requester=True), Action.STOP, True),
        (Approval(approvers=("anna",), not_requester=True), Action.START, True),
        (Approval(approvers=("ben", "BEN"), min_approvals=2), Action.STOP, True),
        (Approval(approvers=("anna",), not_requester=True), Action.ROLLBACK, False),
        (Approval(approvers=("anna", "ben"), min_approvals=2), Action.STOP, False),
        (Approval(approvers=("anna", "ben"), not_requester=True), Action.STOP, False),
        (Approval(approvers=("ben",), not_requester=True), Action.STOP, False),
        (Approval(min_approvals=2, not_requester=True), Action.STOP, False),
    ],
)
def test_no_run_begins_whose_questions_could_not_be_answered(approval: Approval, action: Action, refused: bool) -> None:
    plan = Plan(name="shop", action=action, stages=(), policy=Policy(approval=approval))
    if refused:
        with pytest.raises(BadInput, match="nothing was touched"):
            refuse_unanswerable(plan, "anna")
    else:
        refuse_unanswerable(plan, "anna")


BOTH, ENDS = Notice(url="mailto://a", remind_s=60.0), Notice(url="mailto://b", on=("end",))


@in_virtual_time
async def test_people_are_told_of_a_decision_reminded_while_it_waits_and_told_of_the_end() -> None:
    told = Told(wrong="mail: connection refused")
    notices = Notices((BOTH, ENDS), told)
    asked: Sequence[Mapping[str, int]] = ({"decision": 1}, {"decision": 2})
    async with notices.sending():
        notices.waits(1, lambda: asked[0])
        notices.waits(2, lambda: asked[1])
        notices.settled(2)  # by the policy, in the same moment
        await asyncio.sleep(150.0)
        notices.settled(1)
        await asyncio.sleep(300.0)
        notices.ended({"verdict": "done"})
    assert told.events == [
        *((at_s, {"decision": 1}) for at_s in (0.0, 60.0, 120.0)),
        *((450.0, {"verdict": "done"}),) * 2,
    ]
    assert notices.unsent == ("mail: connection refused",)


@in_virtual_time
async def test_a_notice_that_hangs_holds_nothing_up_for_long() -> None:
    told, now_s = Told(takes_s=3600.0), asyncio.get_running_loop().time
    notices = Notices((BOTH,), told)
    async with notices.sending():
        notices.waits(1, dict)  # asked in the very moment in which the process leaves
    assert len(told.events) == 1
    assert now_s() == LAST_WAIT_S
    assert "15 s" in notices.unsent[0]
