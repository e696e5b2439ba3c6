"""What runs left kept down: found on the hosts, released under locks, and known to the plan of a start."""

import pytest
from bookkeeping import Shop, books
from drafts import draft, entry
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.adapters.memory.registry import configure, failure_actions, tree
from orchestrator.domain.draft import Draft
from orchestrator.domain.errors import Locked
from orchestrator.domain.life import Life
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.service import StartType, State
from orchestrator.engine.jobs.releasing import leftovers, release
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.work.keep_down import keeper

HOSTS = ("db-01", "app-01", "app-02")
AT = 1_795_000_000.0
KEPT = draft(entry("orders", "app-01 app-02", of_instance={"start_life": Life(keep_down=True)}))
PLAIN = draft(entry("orders", "app-01 app-02"))


async def _left_down(shop: Shop) -> None:
    """What run r0 has left: orders kept down on both hosts, and stopped."""
    for host in ("app-01", "app-02"):
        configure(shop.fleet.hosts[host], "orders", FailureActions=("REG_BINARY", failure_actions(60, (1, 1000))))
        await keeper(host, shop.world.hosts, tried_s=10.0).keep("orders", run="r0", at=AT)
        shop.fleet.enter(host, shop.fleet.service("orders", host), State.STOPPED)


def _before(shop: Shop) -> list[object]:
    return [tree(shop.fleet.hosts[host]) for host in HOSTS]


@in_virtual_time
async def test_leftovers_are_listed_and_released_and_a_silent_host_is_named() -> None:
    shop, whole = Shop(), Shop()
    for host in ("app-01", "app-02"):
        configure(whole.fleet.hosts[host], "orders", FailureActions=("REG_BINARY", failure_actions(60, (1, 1000))))
    await _left_down(shop)
    shop.fleet.service("orders", "app-02").start_type = StartType.MANUAL
    shop.fleet.fault("db-01", Fault.UNREACHABLE, times=None)
    found = await leftovers(HOSTS, shop.world)
    told = [(left.host, left.record.service, left.record.run, left.record.at, left.changed) for left in found.found]
    assert told == [
        ("app-01", "orders", "r0", AT, ()),
        ("app-02", "orders", "r0", AT, ("its start type is Manual again",)),
    ]
    assert (list(found.unread), found.only(run="r1").found, found.only(services=["ORDERS"]).found) == (
        ["db-01"],
        (),
        found.found,
    )
    done = await release(found.found, shop.world, books(shop.store), shop.header("r2"))
    assert [(one.left.host, one.ok) for one in done] == [("app-01", True), ("app-02", True)]
    assert done[0].said == "Automatic; on failure: restart it after 1.0 s again"
    assert _before(shop) == _before(whole)
    assert (await leftovers(HOSTS[1:], shop.world)).found == ()
    assert await shop.store.holdings() == []


@in_virtual_time
async def test_what_a_run_holds_is_not_released_under_its_feet() -> None:
    shop = Shop()
    await _left_down(shop)
    found = await leftovers(HOSTS, shop.world)
    lease = await shop.store.take("r1", ["orders@app-02"], shop.header("r1").owner)
    before = _before(shop)
    with pytest.raises(Locked, match="run r1 of anna on desk holds the service orders on app-02"):
        await release(found.found, shop.world, books(shop.store), shop.header("r2"))
    assert _before(shop) == before
    await shop.store.release(lease)


async def _start(shop: Shop, of: Draft) -> Plan:
    live = await survey(questions(of, Choice(), Action.START), shop.world.hosts)
    return build(of, Choice(), Action.START, live)


@in_virtual_time
async def test_a_start_releases_what_is_kept_down_or_is_refused_with_what_to_type() -> None:
    shop = Shop()
    await _left_down(shop)
    plan = await _start(shop, KEPT)
    assert [node.unit.id for node in plan.stages[0].nodes] == ["orders@app-01", "orders@app-02"]
    with pytest.raises(PlanRefused) as refused:
        await _start(shop, PLAIN)
    assert "orders is kept down on app-01 by run r0, so Windows would refuse the start" in str(refused.value)
    assert "orch release --host app-01" in str(refused.value)
    await release((await leftovers(HOSTS, shop.world)).found, shop.world, books(shop.store), shop.header("r2"))
    shop.fleet.service("orders", "app-01").start_type = StartType.DISABLED
    with pytest.raises(PlanRefused, match="is Disabled on app-01"):
        await _start(shop, KEPT)
