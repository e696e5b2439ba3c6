"""Rolling restarts from plan to report in memory: who is out of the load balancer, who is up, what is asked."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from bookkeeping import REFUSED, Deadly, Shop
from drafts import draft, entry
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryPort, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.domain.budget import Budget
from orchestrator.domain.decisions import Choice as Word
from orchestrator.domain.draft import Draft, Entry
from orchestrator.domain.facts import RunEnded, StepEnded
from orchestrator.domain.gates import Gate, HttpCheck, Origin, TcpCheck
from orchestrator.domain.life import Hook, Life, Reboot
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.results import Phase, Result
from orchestrator.domain.service import Control, State
from orchestrator.domain.terms import Terms
from orchestrator.engine.book_ports import LEASE_S
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.jobs.world import World
from orchestrator.engine.ports import CommandOutput, Seen

WEB = tuple(f"w-{number}" for number in range(1, 6))
REBOOT = Hook(name="between.1", do=Reboot(timeout_s=900.0), origin=Origin.HOST, timeout_s=900.0)


def of_web(made: Entry, *, healthy_s: float = 0.0, keep_down: bool = False, idempotent: bool = True) -> Entry:
    """*made*, whose instances leave the load balancer before they go down, and are ready when they listen."""
    instances = []
    for one in made.instances:
        url = f"https://lb/{one.host}"
        drain = Hook(
            name="drain",
            do=HttpCheck(url=url, method="DELETE"),
            undo=HttpCheck(url=url, method="PUT"),
            origin=Origin.CONTROLLER,
            idempotent=idempotent,
        )
        ready = Gate(check=TcpCheck(host=one.host or "", port=80), origin=Origin.CONTROLLER, deadline_s=60.0)
        instances.append(
            replace(
                one,
                ready=(ready,),
                stop_life=Life(before=(drain,), keep_down=keep_down),
                start_life=Life(after=(replace(drain, undoes=True),), healthy_s=healthy_s, keep_down=keep_down),
            )
        )
    return replace(made, instances=tuple(instances))


@dataclass
class Farm(Shop):
    """Five web servers behind a load balancer, and the database that they need; all runs. `out` is who is out of it."""

    made: Draft = field(
        default_factory=lambda: draft(
            entry("sql", "db-01"), of_web(entry("web", " ".join(WEB), "sql", min_available=Budget(3)))
        )
    )
    out: set[str] = field(default_factory=set)
    least_up: int = len(WEB)
    ill: set[str] = field(default_factory=set)
    """Web servers that come up and listen to nobody."""

    def __post_init__(self) -> None:
        self.fleet = MemoryFleet()
        self.fleet.add("db-01", MemoryService(name="sql", state=State.RUNNING, start_s=20.0, stop_s=10.0))
        self.fleet.hosts["db-01"].commands["shutdown.exe"] = partial(self._reboots, "db-01")
        for host in WEB:
            port = MemoryPort(port=80, warmup_s=5.0)
            one = MemoryService(name="web", state=State.RUNNING, start_s=20.0, stop_s=10.0, ports=(port,))
            self.fleet.add(host, one).commands["shutdown.exe"] = partial(self._reboots, host)
            one.since_s = -60.0
        self.orders = asyncio.Queue()
        self.probe = MemoryProbe(self.fleet)
        for host in WEB:
            self.probe.answers[f"https://lb/{host}"] = partial(self._balances, host)

    def _reboots(self, host: str, _: Sequence[str]) -> CommandOutput:
        self.fleet.reboot(host, down_s=60.0)
        return CommandOutput(0, "")

    def _balances(self, host: str, check: HttpCheck) -> Seen:
        (self.out.discard if check.method == "PUT" else self.out.add)(host)
        if check.method == "PUT":
            assert self.state(host) is State.RUNNING, "who is down is not put back"
        self.least_up = min(self.least_up, len(WEB) - len(self.out))
        return Seen(True, "status 200")

    def state(self, host: str) -> State:
        return self.fleet.service("web", host).state

    @property
    def world(self) -> World:
        return World(hosts=MemoryHosts(self.fleet), probe=self.probe, local=MemoryLocal())

    @property
    def states(self) -> dict[str, str]:
        return {host: str(self.state(host)) for host in WEB if self.state(host) is not State.RUNNING}

    async def plan(self, action: Action = Action.RESTART) -> Plan:
        choice = Choice(rolling=True)
        return build(self.made, choice, action, await survey(questions(self.made, choice, action), self.world.hosts))

    async def results(self, phase: Phase) -> Sequence[Result]:
        facts = [one.fact for one in await self.facts()]
        return [fact.result for fact in facts if isinstance(fact, StepEnded) and fact.result.step.phase is phase]

    def restarted(self) -> dict[str, int]:
        """How often each service was stopped."""
        told = [asked.removeprefix("stop ") for asked in self.fleet.asked if asked.startswith("stop ")]
        return {unit: told.count(unit) for unit in told}


ONCE = {"sql@db-01": 1, **{f"web@{host}": 1 for host in WEB}}


@in_virtual_time
async def test_all_is_restarted_batch_by_batch_and_enough_stay_up() -> None:
    farm = Farm()
    ending = await farm.run(await farm.plan())
    assert ending.exit_code == 0
    assert (farm.restarted(), farm.states, farm.out, farm.least_up) == (ONCE, {}, set(), 3)
    assert farm.fleet.asked[:2] == ["stop sql@db-01", "start sql@db-01"]
    assert [one.said for one in await farm.results(Phase.COUNT)] == [
        "batch 1 of 3 takes 2 of web down: 3 of web are up without them, 3 have to be",
        "batch 2 of 3 takes 2 of web down: 3 of web are up without them, 3 have to be",
        "batch 3 of 3 takes 1 of web down: 4 of web are up without them, 3 have to be",
    ]


@in_virtual_time
async def test_limits_hold_over_the_whole_life_of_an_instance() -> None:
    zones = (("north", ("w-1", "w-2", "w-4")), ("south", ("w-3", "w-5")))
    web = of_web(entry("web", " ".join(WEB), min_available=Budget(1)))
    farm = Farm(made=draft(web, max_parallel_per_zone=1, terms=Terms(zones=zones)))
    assert (await farm.run(await farm.plan())).exit_code == 0
    assert (farm.least_up, farm.restarted(), farm.out) == (3, {f"web@{host}": 1 for host in WEB}, set())
    down: set[str] = set()
    for change in farm.fleet.changes:
        (down.discard if change.state is State.RUNNING else down.add)(change.host)
        assert all(len(down & {*hosts}) <= 1 for _, hosts in zones)


@in_virtual_time
async def test_who_died_meanwhile_counts_and_is_waited_for_and_then_asked_about() -> None:
    farm = Farm()
    plan = await farm.plan()
    farm.fleet.enter("w-5", farm.fleet.service("web", "w-5"), State.STOPPED)
    assert (await farm.run(plan)).exit_code == 6
    assert farm.restarted() == {"sql@db-01": 1}
    (asked,) = await farm.asked()
    assert asked.cause.said == (
        "batch 1 of 3 takes 2 of web down, and only 2 are up without them where 3 have to be"
        " (not up: web@w-5 is Stopped)"
    )
    assert (asked.cause.units, farm.out) == (("web#1",), set())
    farm.fleet.enter("w-5", farm.fleet.service("web", "w-5"), State.RUNNING)
    await farm.says(Word.RETRY)
    assert (await farm.resume()).exit_code == 0
    assert (farm.restarted(), farm.states, farm.least_up) == (ONCE, {}, 3)


@in_virtual_time
async def test_who_comes_back_in_time_lets_the_batch_begin() -> None:
    farm = Farm()
    plan = await farm.plan()
    farm.fleet.enter("w-5", farm.fleet.service("web", "w-5"), State.STOPPED)
    asyncio.get_running_loop().call_later(
        60.0, farm.fleet.enter, "w-5", farm.fleet.service("web", "w-5"), State.RUNNING
    )
    assert (await farm.run(plan)).exit_code == 0
    assert farm.restarted() == ONCE


@in_virtual_time
async def test_a_gate_that_fails_in_the_middle_is_asked_about_and_the_way_back_starts_just_what_is_down() -> None:
    farm = Farm()
    web = farm.fleet.service("web", "w-3")
    web.fails_to_start = 1067
    assert (await farm.run(await farm.plan())).exit_code == 6
    assert (farm.states, farm.out) == ({"w-3": "Stopped"}, {"w-3"})
    web.fails_to_start = 0
    before = len(farm.fleet.asked)
    await farm.says(Word.ROLLBACK)
    assert (await farm.resume()).exit_code == 3
    assert (farm.states, farm.out) == ({}, set())
    assert farm.fleet.asked[before:] == ["start web@w-3"]


@in_virtual_time
async def test_who_is_skipped_while_it_is_down_stays_out_and_is_not_counted_as_up() -> None:
    farm = Farm()
    web = farm.fleet.service("web", "w-1")
    web.ports = ()
    assert (await farm.run(await farm.plan())).exit_code == 6
    (asked,) = await farm.asked()
    assert (asked.cause.units, farm.out, farm.states) == (("web@w-1",), {"w-1"}, {})
    await farm.says(Word.SKIP)
    assert (await farm.resume()).exit_code == 6, "two more would leave two up"
    asked = (await farm.asked())[-1]
    assert asked.cause.said.startswith(
        "batch 2 of 3 takes 2 of web down, and only 2 are up without them where 3 have to be (not up: web@w-1 is"
        " Running, but "
    )
    await farm.says(Word.SKIP)
    assert (await farm.resume()).exit_code == 1
    assert farm.out == {"w-1"}
    assert farm.restarted() == {"sql@db-01": 1, "web@w-1": 1, "web@w-2": 1, "web@w-5": 1}
    assert farm.least_up == 3


@in_virtual_time
async def test_who_failed_before_it_went_down_is_up_and_counts() -> None:
    farm = Farm()
    farm.fleet.service("web", "w-1").refuses[Control.STOP] = REFUSED
    assert (await farm.run(await farm.plan())).exit_code == 6
    assert (farm.out, farm.states) == ({"w-1"}, {})
    await farm.says(Word.SKIP)
    assert (await farm.resume()).exit_code == 1
    assert (farm.restarted(), farm.out, farm.least_up) == (ONCE, set(), 3)


@in_virtual_time
async def test_hosts_reboot_while_their_service_is_down_and_come_back_one_batch_at_a_time() -> None:
    web = of_web(entry("web", " ".join(WEB), min_available=Budget(4)), healthy_s=30.0)
    farm = Farm(made=draft(web, between=(REBOOT,)))
    ending = await farm.run(await farm.plan())
    assert ending.exit_code == 0
    booted = [farm.fleet.hosts[host].booted_at or 0.0 for host in WEB]
    assert sorted(booted) == booted
    assert len(set(booted)) == 5
    assert (farm.restarted(), farm.states, farm.out, farm.least_up) == ({f"web@{h}": 1 for h in WEB}, {}, set(), 4)
    assert sum(asked.startswith("run shutdown.exe") for asked in farm.fleet.asked) == 5
    assert [one.acted for one in await farm.results(Phase.BETWEEN)] == ["yes"] * 5


@in_virtual_time
async def test_a_run_that_was_killed_at_any_write_goes_on_where_each_unit_was() -> None:
    web = of_web(entry("web", "w-1 w-2", "sql", min_available=Budget(1)), healthy_s=6.0, keep_down=True)
    made = draft(entry("sql", "db-01"), web, between=(REBOOT,))
    whole = Farm(made=made)
    await whole.run(await whole.plan())
    ended = await whole.last()
    assert isinstance(ended, RunEnded)
    assert ended.verdict == "done"
    for number in count(2):
        farm = Farm(made=made, store=Deadly(number, before=number % 2 == 0))
        going = asyncio.create_task(farm.run(await farm.plan()))
        farm.store.victim = going  # type: ignore[attr-defined] # it is a Deadly
        with suppress(asyncio.CancelledError):
            await going
        lived = isinstance(await farm.last(), RunEnded)
        if not lived:
            await asyncio.sleep(LEASE_S + 1.0)
            await farm.resume()
        assert not await farm.asked()
        assert (await farm.last(), farm.states, farm.out) == (ended, {}, set()), f"killed at write {number}"
        assert farm.restarted() == whole.restarted() == {"sql@db-01": 1, "web@w-1": 1, "web@w-2": 1}
        assert sorted(asked for asked in farm.fleet.asked if "shutdown" in asked) == [
            "run shutdown.exe@db-01", "run shutdown.exe@w-1", "run shutdown.exe@w-2",
        ]  # fmt: skip
        kept = [path for host in farm.fleet.hosts.values() for path in host.registry if "keptdown" in path]
        assert kept == [], "what revives services is back"
        if lived:
            break
    assert number > 25
