"""Whole runs that keep services down: what is taken away with a stop comes back with the start, a rollback, an end."""

import asyncio
from collections.abc import Sequence

import pytest
from bookkeeping import Shop
from drafts import draft, entry
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.registry import configure, failure_actions, tree
from orchestrator.domain.decisions import Choice as Word
from orchestrator.domain.facts import StepEnded
from orchestrator.domain.kept_units import KeptUnits
from orchestrator.domain.life import Life
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.results import Phase
from orchestrator.domain.service import StartType, State
from orchestrator.engine.book_ports import LEASE_S
from orchestrator.engine.jobs.going_back import plan_rollback
from orchestrator.engine.jobs.journey import Ending
from orchestrator.engine.jobs.releasing import leftovers
from orchestrator.engine.jobs.surveying import survey

KEPT = {"start_life": Life(keep_down=True), "stop_life": Life(keep_down=True)}
SHOP = draft(entry("sql", "db-01", of_instance=KEPT), entry("orders", "app-01 app-02", "sql", of_instance=KEPT))
HOSTS = ("db-01", "app-01", "app-02")


def _shop() -> Shop:
    shop = Shop()
    for host in HOSTS[1:]:
        shop.fleet.service("orders", host).start_type = StartType.AUTOMATIC_DELAYED
        configure(
            shop.fleet.hosts[host], "orders", FailureActions=("REG_BINARY", failure_actions(60, (1, 1000), pointer=7))
        )
    return shop


def _trees(shop: Shop) -> Sequence[object]:
    return [tree(shop.fleet.hosts[host]) for host in HOSTS]


async def _run(shop: Shop, action: Action, run: str) -> Ending:
    return await shop.run(await _plan(shop, action), run)


async def _plan(shop: Shop, action: Action) -> Plan:
    live = await survey(questions(SHOP, Choice(), action), shop.world.hosts)
    return build(SHOP, Choice(), action, live)


@in_virtual_time
async def test_a_stop_keeps_down_and_the_start_after_it_puts_all_back() -> None:
    shop = _shop()
    before = _trees(shop)
    stopped = await _run(shop, Action.STOP, "r1")
    assert (stopped.exit_code, set(shop.states.values())) == (0, {"Stopped"})
    left = await leftovers(HOSTS, shop.world)
    assert [(one.host, one.record.service, one.record.run, one.changed) for one in left.found] == [
        ("db-01", "sql", "r1", ()),
        ("app-01", "orders", "r1", ()),
        ("app-02", "orders", "r1", ()),
    ]
    shop.fleet.reboot("app-01")
    await asyncio.sleep(300)
    assert set(shop.states.values()) == {"Stopped"}
    started = await _run(shop, Action.START, "r2")
    assert (started.exit_code, shop.states, _trees(shop)) == (0, {}, before)


@pytest.mark.parametrize("choice", [Word.ROLLBACK, Word.SKIP, Word.ABORT])
@in_virtual_time
async def test_a_stop_that_fails_leaves_nothing_kept_down_that_is_not_down(choice: Word) -> None:
    shop = _shop()
    before = _trees(shop)
    shop.refuses("app-01")
    await _run(shop, Action.STOP, "r1")
    await shop.says(choice)
    ended = await shop.resume("r1")
    assert ended.ended is not None
    left = {one.host for one in (await leftovers(HOSTS, shop.world)).found}
    down = {unit.split("@")[1] for unit, state in shop.states.items() if state == State.STOPPED}
    assert left == down
    if choice is Word.ROLLBACK:
        assert (ended.exit_code, _trees(shop)) == (3, before)


@in_virtual_time
async def test_a_restart_takes_away_and_puts_back_in_one_run() -> None:
    shop = _shop()
    before = _trees(shop)
    restarted = await _run(shop, Action.RESTART, "r1")
    assert (restarted.exit_code, shop.states, _trees(shop)) == (0, {}, before)
    phases = [fact.result.step.phase for one in await shop.facts() if isinstance(fact := one.fact, StepEnded)]
    assert (phases.count(Phase.KEEP_DOWN), phases.count(Phase.RELEASE)) == (3, 3)


@in_virtual_time
async def test_what_somebody_gives_back_meanwhile_is_told_at_the_end_and_put_back_all_the_same() -> None:
    shop = _shop()
    before = _trees(shop)
    shop.fleet.service("sql", "db-01").stop_s = 60.0
    run = asyncio.create_task(_run(shop, Action.STOP, "r1"))
    await asyncio.sleep(30)
    shop.fleet.service("orders", "app-02").start_type = StartType.AUTOMATIC  # group policy, say
    assert (await run).exit_code == 0
    units = KeptUnits()
    for one in await shop.facts():
        if isinstance(one.fact, StepEnded):
            units.take(one.fact.result)
    assert list(units.now) == ["orders@app-01", "orders@app-02", "sql@db-01"]
    assert units.rewritten == {"orders@app-02": "its start type is Automatic again"}
    assert (await _run(shop, Action.START, "r2")).exit_code == 0
    assert _trees(shop) == before


async def _killed(shop: Shop, action: Action, run: str, after_s: float) -> bool:
    """Begin a run, kill its process, and go on with it in another one once its lease is over; whether it came to it."""
    going = asyncio.create_task(_run(shop, action, run))
    await asyncio.sleep(after_s)
    if going.done():
        return False
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    await asyncio.sleep(LEASE_S + 1.0)
    if await shop.facts(run):
        assert (await shop.resume(run)).exit_code == 0
    else:
        assert (await _run(shop, action, run)).exit_code == 0
    return True


@pytest.mark.parametrize("killed_in", [Action.STOP, Action.START])
@in_virtual_time
async def test_a_controller_that_is_killed_at_any_time_takes_nothing_with_it(killed_in: Action) -> None:
    killed = 0
    for cut in range(1, 120, 7):
        shop = _shop()
        before = _trees(shop)
        for host in HOSTS:
            shop.fleet.hosts[host].latency_s = 0.7
        killed += await _killed(shop, Action.STOP, "r1", cut if killed_in is Action.STOP else 1e6)
        left = await leftovers(HOSTS, shop.world)
        assert [one.record.run for one in left.found] == ["r1"] * 3, cut
        assert set(shop.states.values()) == {"Stopped"}
        killed += await _killed(shop, Action.START, "r2", cut if killed_in is Action.START else 1e6)
        assert (shop.states, _trees(shop)) == ({}, before), cut
    assert killed >= 4


@in_virtual_time
async def test_a_rollback_days_later_releases_what_the_run_kept_down() -> None:
    shop = _shop()
    before = _trees(shop)
    await _run(shop, Action.STOP, "r1")
    back = await plan_rollback("r1", await shop.facts("r1"), shop.world)
    assert (await shop.run(back.plan, "r2", of="r1")).exit_code == 0
    assert (shop.states, _trees(shop)) == ({}, before)
    again = await plan_rollback("r1", await shop.facts("r1"), shop.world, later=[await shop.facts("r2")])
    assert again.plan.stages == (), "what was undone is not undone again"
