"""Answers in the middle of a rolling restart: what is said of them beforehand is what they do."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from drafts import draft, entry
from test_rolling_runs import WEB, Farm, of_web
from virtual_time import in_virtual_time

from orchestrator.domain.budget import Budget
from orchestrator.domain.consequences import consequences
from orchestrator.domain.decisions import Choice as Word
from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.preview import preview
from orchestrator.domain.runstate import fold
from orchestrator.engine.book_ports import LEASE_S
from orchestrator.engine.jobs.going_back import plan_rollback
from orchestrator.engine.ports import Order, Seen
from orchestrator.interfaces.preview_view import question

MID_STOP_S = 35.0
"""When the first two web servers are on their way down, behind their database."""


async def foretold(farm: Farm) -> dict[str, str]:
    """What is said of each answer to the newest question."""
    state = fold(one.fact for one in await farm.facts())
    return {str(one.choice): one.said for one in consequences(state, max(state.open))}


@in_virtual_time
async def test_after_a_crash_and_a_cancel_who_was_on_its_way_is_looked_at_before_it_is_asked() -> None:
    farm = Farm()
    going = asyncio.create_task(farm.run(await farm.plan()))
    await asyncio.sleep(MID_STOP_S)
    assert farm.fleet.asked[-2:] == ["stop web@w-1", "stop web@w-2"]
    going.cancel()
    with suppress(asyncio.CancelledError):
        await going
    await asyncio.sleep(LEASE_S + 60.0)
    assert (farm.states, farm.out) == ({"w-1": "Stopped", "w-2": "Stopped"}, {"w-1", "w-2"})
    await farm.orders.put(Order.CANCEL)
    assert (await farm.resume()).exit_code == 6
    state = fold(one.fact for one in await farm.facts())
    assert [state.whereabouts(f"web@w-{number}") for number in (1, 2, 3)] == ["Stopped", "Stopped", "Running"]
    told = (await foretold(farm))["rollback"]
    back = "puts 2 units back to the state before the run and takes back what was done for web@w-1 and 1 more"
    assert told == f"{back} (undo of drain)"
    await farm.says(Word.ROLLBACK)
    assert (await farm.resume()).exit_code == 3
    assert (farm.states, farm.out) == ({}, set())


class Refusing:
    """A load balancer that refuses to take w-1 in again as long as it is `ill`."""

    def __init__(self, farm: Farm) -> None:
        self.ill = True
        self.does = farm.probe.answers["https://lb/w-1"]
        farm.probe.answers["https://lb/w-1"] = self.answers

    def answers(self, check: HttpCheck) -> Seen:
        if self.ill and check.method == "PUT":
            return Seen(False, "status 503", answered=True, status=503)
        assert callable(self.does)
        return self.does(check)


@pytest.mark.parametrize("idempotent", [False, True])
@in_virtual_time
async def test_a_persons_rollback_carries_an_undo_out_once_more_that_failed(idempotent: bool) -> None:
    web = of_web(entry("web", " ".join(WEB), min_available=Budget(3)), idempotent=idempotent)
    farm = Farm(made=draft(web))
    balancer = Refusing(farm)
    assert (await farm.run(await farm.plan())).exit_code == 6
    assert farm.out == {"w-1"}
    assert (await foretold(farm))["rollback"] == "takes back what was done for web@w-1 (undo of drain)"
    balancer.ill = False
    await farm.says(Word.ROLLBACK)
    assert (await farm.resume()).exit_code == 3
    assert (farm.states, farm.out) == ({}, set())


@in_virtual_time
async def test_the_way_back_of_a_run_that_has_ended_shows_what_it_only_undoes() -> None:
    farm = Farm()
    Refusing(farm)
    await farm.run(await farm.plan())
    await farm.says(Word.ABORT)
    await farm.resume()
    back = await plan_rollback("r1", await farm.facts(), farm.world)
    shown = preview(back.plan, dry_run=True)
    assert shown.totals == {"undo": 1}
    (row,) = shown.stages[0].waves[0]
    assert row.around is not None
    assert [(hook.words, hook.does) for hook in row.around.after] == [("undo of drain", "PUT https://lb/w-1")]
    assert question(shown) == "Take back what was done for 1 unit on 1 host?"


@in_virtual_time
async def test_what_a_skip_leads_to_has_the_next_count_in_it_and_who_is_not_put_back_is_not_up() -> None:
    farm = Farm()
    web = farm.fleet.service("web", "w-1")
    ports, web.ports = web.ports, ()
    assert (await farm.run(await farm.plan())).exit_code == 6
    told = await foretold(farm)
    lack = "; batch 2 of web could not begin: only 2 would be up without them, 3 have to be"
    assert (told["skip"].endswith(lack), told["exclude"].endswith(lack), lack in told["retry"]) == (True, True, False)
    await farm.says(Word.SKIP)
    assert (await farm.resume()).exit_code == 6
    assert lack in (await foretold(farm))["retry"]
    web.ports = ports
    await farm.says(Word.RETRY)
    assert (await farm.resume()).exit_code == 6, "it is well again, and out of the load balancer"
    assert "web@w-1 is not put back: what was done for its way down is not undone (drain)" in (
        (await farm.asked())[-1].cause.said
    )
    await farm.says(Word.ROLLBACK)
    assert (await farm.resume()).exit_code == 3
    assert (farm.out, farm.least_up) == (set(), 3)


@in_virtual_time
async def test_who_was_not_drained_and_is_well_again_counts() -> None:
    drained = of_web(entry("web", " ".join(WEB), min_available=Budget(3)))
    bare = tuple(replace(one, stop_life=None, start_life=None) for one in drained.instances)
    farm = Farm(made=draft(replace(drained, instances=bare)))
    web = farm.fleet.service("web", "w-1")
    ports, web.ports = web.ports, ()
    assert (await farm.run(await farm.plan())).exit_code == 6
    await farm.says(Word.SKIP)
    assert (await farm.resume()).exit_code == 6
    assert "could not begin" not in (await foretold(farm))["retry"]
    web.ports = ports
    await farm.says(Word.RETRY)
    assert (await farm.resume()).exit_code == 1
    assert farm.restarted() == {f"web@{host}": 1 for host in WEB}
