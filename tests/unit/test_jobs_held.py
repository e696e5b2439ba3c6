"""What was answered with hold is open again at once: it waits, parked or not, for a person alone."""

import asyncio

import pytest
from bookkeeping import ALL_DOWN, Shop
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.domain.decisions import Choice
from orchestrator.domain.facts import DecisionAsked
from orchestrator.domain.policy import Approval, Do, OnTimeout, Policy, Rule
from orchestrator.engine.book_ports import Vote
from orchestrator.engine.jobs.asking import Query


@pytest.mark.parametrize("patient", [False, True])
@in_virtual_time
async def test_what_was_held_at_night_is_answered_in_the_morning(patient: bool) -> None:
    shop = Shop()
    shop.refuses()
    going = asyncio.create_task(shop.run(await shop.plan(), patient=patient))
    await asyncio.sleep(100.0)
    await shop.says(Choice.HOLD)
    if not patient:
        assert (await going).waiting == (1,)
        going = asyncio.create_task(shop.resume())
    ending = await going
    assert (ending.exit_code, ending.waiting) == (6, (2,))
    assert [(one.decision, one.held) for one in await shop.asked()] == [(1, False), (2, True)]
    await asyncio.sleep(20_000.0)
    await shop.says(Choice.ROLLBACK)
    assert ((await shop.resume()).exit_code, shop.states) == (3, {})


@in_virtual_time
async def test_who_comes_after_the_time_to_hold_of_a_parked_run_is_heard() -> None:
    shop = Shop(policy=Policy(approval=Approval(timeout_s=900.0)))
    shop.refuses()
    assert (await shop.run(await shop.plan())).waiting == (1,)
    await asyncio.sleep(20_000.0)
    assert (await shop.says(Choice.ROLLBACK)).choice is Choice.ROLLBACK
    assert ((await shop.resume()).exit_code, shop.states) == (3, {})


@pytest.mark.parametrize("wish", [OnTimeout.HOLD, OnTimeout.ABORT])
@in_virtual_time
async def test_a_held_question_has_no_timeout(wish: OnTimeout) -> None:
    approval = Approval(timeout_s=900.0, on_timeout=wish)
    rules = (Rule(do=Do.HOLD),) if wish is OnTimeout.ABORT else ()
    shop = Shop(policy=Policy(rules=rules, approval=approval))
    shop.refuses()
    ending = await shop.run(await shop.plan(), patient=True)
    assert (ending.exit_code, ending.waiting) == (6, (2,))
    for _ in range(3):
        await asyncio.sleep(5000.0)
        assert (await shop.resume()).waiting == (2,)
    shop.willing()
    await shop.says(Choice.RETRY)
    assert ((await shop.resume()).exit_code, shop.states) == (0, ALL_DOWN)
    assert len([one for one in await shop.facts() if isinstance(one.fact, DecisionAsked)]) == 2


@in_virtual_time
async def test_what_is_answered_already_is_not_asked_on_resume() -> None:
    shop = Shop()
    shop.refuses()
    await shop.run(await shop.plan())
    shop.willing()
    await shop.says(Choice.RETRY)
    asked: list[int] = []

    async def ask(query: Query) -> Vote | None:
        asked.append(query.decision)
        return None

    assert (await shop.resume(patient=True, ask=ask)).exit_code == 0
    assert asked == []


@in_virtual_time
async def test_a_hold_of_one_of_two_questions_parks_at_once_and_both_stay_open() -> None:
    shop = Shop()
    shop.refuses("app-01")
    shop.fleet.fault("app-02", Fault.UNREACHABLE, times=None, on=("stop",))
    asked: list[int] = []

    async def ask(query: Query) -> Vote | None:
        await asyncio.sleep(200.0)
        asked.append(query.decision)
        if len(asked) > 1:
            await asyncio.get_running_loop().create_future()
        return Vote(choice=Choice.HOLD, by="anna")

    ending = await shop.run(await shop.plan(), patient=True, ask=ask)
    assert (ending.exit_code, ending.waiting, asked) == (6, (2, 3), [1])
    assert asyncio.get_running_loop().time() < 250.0
    assert [(one.decision, one.held) for one in await shop.asked()] == [(1, False), (2, False), (3, True)]
    await shop.says(Choice.SKIP, decision=2)
    assert (await shop.resume()).waiting == (3,)
