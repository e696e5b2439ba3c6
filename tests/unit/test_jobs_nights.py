"""Nights that go badly, through the use cases: questions, parking, windows, the way back."""

import asyncio

import pytest
from bookkeeping import ALL_DOWN, Shop, Told, books
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.errors import BadInput, Locked
from orchestrator.domain.facts import (
    DecisionAnswered,
    OrderTaken,
    RunBegan,
    RunParked,
    StepEnded,
)
from orchestrator.domain.plan import Action
from orchestrator.domain.policy import Approval, Notice, OnTimeout, Policy, Window
from orchestrator.domain.results import Phase
from orchestrator.domain.service import Control, State
from orchestrator.engine.jobs.answering import cancel
from orchestrator.engine.jobs.going_back import plan_rollback
from orchestrator.engine.jobs.resuming import close
from orchestrator.engine.ports import Order


@in_virtual_time
async def test_without_a_terminal_a_run_parks_keeps_its_locks_and_goes_on_after_the_answer() -> None:
    shop = Shop(policy=Policy(notify=(Notice(url="mailto://a"),)))
    shop.refuses()
    ending = await shop.run(await shop.plan())
    assert (ending.exit_code, ending.ended, ending.waiting) == (6, None, (1,))
    assert isinstance(await shop.last(), RunParked)
    assert [event["event"] for _, event in shop.told.events] == ["decision"]
    with pytest.raises(Locked, match="r1"):
        await shop.run(await shop.plan(), "r2")
    await asyncio.sleep(3600.0)
    shop.willing()
    assert (await shop.says(Choice.RETRY)).choice is Choice.RETRY
    with pytest.raises(BadInput, match="ben"):
        await shop.says(Choice.ABORT, by="cleo")
    ending = await shop.resume()
    assert (ending.exit_code, shop.states) == (0, ALL_DOWN)
    facts = await shop.facts()
    assert ending.head == facts[-1].head
    answers = [one.fact.answer for one in facts if isinstance(one.fact, DecisionAnswered)]
    assert [(answer.by, answer.choice) for answer in answers] == [("ben", Choice.RETRY)]
    assert answers[0].waited_s == pytest.approx(3600.0, abs=20.0)
    assert not await shop.store.holdings()
    assert [event["event"] for _, event in shop.told.events] == ["decision", "end"]
    with pytest.raises(BadInput, match="ended"):
        await shop.resume()


@in_virtual_time
async def test_a_parked_run_that_is_resumed_without_an_answer_waits_on() -> None:
    shop = Shop()
    shop.refuses()
    await shop.run(await shop.plan())
    ending = await shop.resume()
    assert (ending.exit_code, ending.waiting) == (6, (1,))
    assert len(await shop.asked()) == 1


@in_virtual_time
async def test_of_two_decisions_the_answered_one_is_taken_and_the_run_parks_again_for_the_other() -> None:
    shop = Shop()
    shop.refuses("app-01")
    shop.fleet.service("orders", "app-02").hangs = frozenset({Control.STOP})
    ending = await shop.run(await shop.plan())
    assert (ending.exit_code, ending.waiting) == (6, (1, 2))
    shop.willing("app-01")
    with pytest.raises(BadInput, match="2 decisions"):
        await shop.says(Choice.RETRY)
    await shop.says(Choice.RETRY, decision=1)
    ending = await shop.resume()
    assert (ending.exit_code, ending.waiting) == (6, (2,))
    assert shop.states == {"orders@app-01": "Stopped", "orders@app-02": "StopPending"}
    await shop.says(Choice.ABORT)
    assert (await shop.resume()).exit_code == 1
    assert "stop sql@db-01" not in shop.fleet.asked


@in_virtual_time
async def test_an_answer_that_comes_late_to_other_states_is_not_applied() -> None:
    shop = Shop()
    shop.refuses("app-01")
    going = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.sleep(3600.0)
    shop.fleet.enter("app-02", shop.fleet.service("orders", "app-02"), State.RUNNING)
    shop.willing("app-01")
    await shop.says(Choice.RETRY)
    await asyncio.sleep(60.0)
    asked = await shop.asked()
    assert [one.cause.kind for one in asked] == [CauseKind.FAILURE, CauseKind.CHANGED]
    assert asked[1].cause.units == ("orders@app-02",)
    moved = "orders@app-02 is Running and not Stopped, as the run had left it"
    assert asked[1].cause.said == f"retry by ben was not applied: {moved}"
    assert shop.fleet.asked == ["stop orders@app-01", "stop orders@app-02"]
    await shop.says(Choice.ROLLBACK, decision=2)
    assert (await going).exit_code == 3
    assert shop.states == {}
    assert not [one for one in shop.fleet.asked if one.startswith("start")]


@in_virtual_time
async def test_who_waits_goes_on_at_once_when_somebody_answers_elsewhere() -> None:
    shop = Shop()
    shop.refuses()
    going = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.sleep(100.0)
    with pytest.raises(Locked, match="lives"):
        await shop.resume()
    with pytest.raises(Locked, match="lives"):
        await close("r1", books(shop.store), reason="it hangs", header=shop.header("r1"))
    await shop.says(Choice.ROLLBACK)
    ending = await going
    assert (ending.exit_code, shop.states) == (3, {})
    assert asyncio.get_running_loop().time() < 200.0


@pytest.mark.parametrize(
    ("wish", "exit_code", "states"),
    [(OnTimeout.HOLD, 6, 1), (OnTimeout.ROLLBACK, 3, 0), (OnTimeout.ABORT, 1, 1)],
)
@in_virtual_time
async def test_a_timeout_of_a_parked_run_takes_effect_when_somebody_comes(
    wish: OnTimeout, exit_code: int, states: int
) -> None:
    shop = Shop(policy=Policy(approval=Approval(timeout_s=900.0, on_timeout=wish)))
    shop.refuses()
    await shop.run(await shop.plan())
    await asyncio.sleep(5000.0)
    ending = await shop.resume()
    assert (ending.exit_code, len(shop.states)) == (exit_code, states)


@in_virtual_time
async def test_a_cancel_from_elsewhere_settles_and_asks_and_what_is_kept_ends_with_5() -> None:
    shop = Shop()
    going = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.sleep(5.0)
    assert (await cancel("r1", books(shop.store), by="cleo")) is not None
    await asyncio.sleep(30.0)
    assert [asked.cause.kind for asked in await shop.asked()] == [CauseKind.CANCELLED]
    assert shop.states == {"orders@app-01": "Stopped", "orders@app-02": "Stopped"}
    await shop.says(Choice.ABORT)
    ending = await going
    assert (ending.exit_code, len(shop.states)) == (5, 2)
    assert OrderTaken("cancel", "cleo") in [one.fact for one in await shop.facts()]
    with pytest.raises(BadInput, match="ended"):
        await cancel("r1", books(shop.store), by="cleo")


@in_virtual_time
async def test_a_terminal_that_goes_away_leaves_a_parked_run() -> None:
    shop = Shop()
    going = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.sleep(5.0)
    shop.orders.put_nowait(Order.CANCEL)
    shop.orders.put_nowait(Order.PARK)
    ending = await going
    assert (ending.exit_code, ending.waiting) == (6, (1,))
    await shop.says(Choice.CONTINUE)
    assert (await shop.resume()).exit_code == 0
    assert shop.states == ALL_DOWN


@in_virtual_time
async def test_past_the_window_no_new_stop_begins_and_the_way_back_is_open() -> None:
    shop = Shop()
    shop.policy = Policy(window=Window(until="05:00", tz="UTC"))
    plan = await shop.plan()
    clock = books(shop.store).clock
    five = 1_795_000_000 // 86400 * 86400 + 5 * 3600.0
    await asyncio.sleep((five - 5.0 - clock()) % 86400.0)
    going = asyncio.create_task(shop.run(plan, patient=True))
    await asyncio.sleep(100.0)
    assert [asked.cause.kind for asked in await shop.asked()] == [CauseKind.WINDOW]
    assert "sql@db-01" not in shop.states
    with pytest.raises(BadInput, match="continue"):
        await shop.says(Choice.CONTINUE)
    await shop.says(Choice.ROLLBACK)
    assert (await going).exit_code == 3
    assert shop.states == {}
    with pytest.raises(BadInput, match="05:00"):
        await shop.run(await shop.plan(), "r2")


@in_virtual_time
async def test_a_run_that_is_resumed_after_its_window_stops_nothing_more() -> None:
    shop = Shop()
    shop.policy = Policy(window=Window(until="05:00", tz="UTC"))
    clock = books(shop.store).clock
    four = 1_795_000_000 // 86400 * 86400 + 4 * 3600.0
    await asyncio.sleep((four - clock()) % 86400.0)
    shop.refuses()
    await shop.run(await shop.plan())
    await asyncio.sleep(2 * 3600.0)
    shop.willing()
    await shop.says(Choice.RETRY)
    asked = list(shop.fleet.asked)
    for _ in range(2):
        assert (await shop.resume()).waiting == (2,)
    assert shop.fleet.asked == asked
    assert [one.cause.kind for one in await shop.asked()] == [CauseKind.FAILURE, CauseKind.WINDOW]
    assert [one.fact for one in await shop.facts()].count(OrderTaken("window closed")) == 1


@pytest.mark.parametrize("cancelled", [True, False])
@in_virtual_time
async def test_what_was_ordered_while_nobody_held_the_run_is_known_before_anything_begins(cancelled: bool) -> None:
    shop = Shop()
    shop.policy = Policy(approve_before=True, window=None if cancelled else Window(until="05:00", tz="UTC"))
    clock = books(shop.store).clock
    four = 1_795_000_000 // 86400 * 86400 + 4 * 3600.0
    await asyncio.sleep((four - clock()) % 86400.0)
    assert (await shop.run(await shop.plan())).exit_code == 6
    await asyncio.sleep(2 * 3600.0)
    await shop.says(Choice.CONTINUE)
    if cancelled:
        holding = await cancel("r1", books(shop.store), by="cleo")
        assert holding is not None
        assert holding.alive is None
    ending = await shop.resume()
    assert shop.fleet.asked == []
    assert ending.exit_code == (5 if cancelled else 6)


@in_virtual_time
async def test_closing_a_parked_run_frees_its_units_and_says_who_and_why() -> None:
    shop = Shop()
    shop.refuses()
    await shop.run(await shop.plan())
    asked = list(shop.fleet.asked)
    ending = await close("r1", books(shop.store), reason="done by hand", header=shop.header("r1"))
    assert ending.ended is not None
    assert (ending.ended.verdict, ending.ended.said) == ("closed", "closed by anna: done by hand")
    assert shop.fleet.asked == asked
    shop.willing()
    assert (await shop.run(await shop.plan(), "r2")).exit_code == 0
    with pytest.raises(BadInput, match="ended|closed"):
        await shop.says(Choice.RETRY)


@in_virtual_time
async def test_notices_that_fail_change_nothing_and_are_told() -> None:
    shop = Shop(told=Told(wrong="mail: refused"), policy=Policy(notify=(Notice(url="mailto://a", remind_s=60.0),)))
    shop.refuses()
    going = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.sleep(150.0)
    await shop.says(Choice.ABORT)
    ending = await going
    assert (ending.exit_code, ending.unsent) == (1, ("mail: refused",))
    events = [event for _, event in shop.told.events]
    assert [event["event"] for event in events] == ["decision"] * 3 + ["end"]
    assert events[0]["units"] == ["orders@app-01"]
    assert events[2]["waited"]
    assert "rollback: puts " in events[0]["preview"]
    assert (events[3]["verdict"], events[3]["head"]) == ("failed", ending.head)
    assert "orders" in events[3]["said"]
    assert events[3]["said"] == events[0]["said"]


@in_virtual_time
async def test_days_later_a_rollback_acts_where_the_run_left_things_and_nowhere_else() -> None:
    shop = Shop()
    await shop.run(await shop.plan())
    await asyncio.sleep(3 * 86400.0)
    shop.fleet.enter("app-02", shop.fleet.service("orders", "app-02"), State.RUNNING)
    facts = await shop.facts()
    found = await plan_rollback("r1", facts, shop.world)
    assert found.plan.action is Action.ROLLBACK
    assert shop.fleet.asked == ["stop orders@app-01", "stop orders@app-02", "stop sql@db-01"]
    ending = await shop.run(found.plan, "r2", of="r1")
    assert shop.states == {}
    began = (await shop.facts("r2"))[0].fact
    assert isinstance(began, RunBegan)
    assert began.of == "r1"
    assert ending.ended is not None
    again = await plan_rollback("r1", facts, shop.world)
    assert again.plan.stages == ()


@in_virtual_time
async def test_a_run_that_has_not_ended_is_not_rolled_back_beside_itself() -> None:
    shop = Shop()
    shop.refuses()
    await shop.run(await shop.plan())
    with pytest.raises(BadInput, match="not ended") as told:
        await plan_rollback("r1", await shop.facts(), shop.world)
    assert "orch decide r1 rollback --resume" in told.value.hint


@in_virtual_time
async def test_a_rollback_that_cannot_reach_a_host_ends_with_4_and_names_it() -> None:
    shop = Shop(policy=Policy(rollback_timeout_s=300.0))
    shop.refuses("app-02")
    going = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.sleep(100.0)
    shop.fleet.fault("app-01", Fault.UNREACHABLE, times=None)
    await shop.says(Choice.ROLLBACK)
    ending = await going
    assert ending.exit_code == 4
    assert shop.states == {"orders@app-01": "Stopped"}


@in_virtual_time
async def test_the_time_of_a_rollback_bounds_what_is_tried_on_a_dead_host() -> None:
    shop = Shop(policy=Policy(rollback_timeout_s=20.0))
    shop.refuses("app-02")
    going = asyncio.create_task(shop.run(await shop.plan(), patient=True))
    await asyncio.sleep(50.0)
    shop.fleet.fault("app-01", Fault.UNREACHABLE, times=None)
    await shop.says(Choice.ROLLBACK)
    assert (await going).exit_code == 4
    took_s = [
        one.fact.result.took_s
        for one in await shop.facts()
        if isinstance(one.fact, StepEnded) and one.fact.result.step.phase is Phase.START
    ]
    assert len(took_s) > 1, "it was tried again"
    assert 20.0 <= sum(took_s) <= 35.0
