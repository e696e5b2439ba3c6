"""A rolling restart of thousands of units in virtual time: how long it takes beside what nobody could do faster.

All but the hosts and the clock is real: the playbook is read, the plan is made, the run is conducted and journalled.
"""

import asyncio
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import virtual_time
from bookkeeping import Told, books
from table import Row, Scale

from orchestrator import wiring
from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryPort, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.draft import Draft
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.service import State
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.running import run
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.jobs.world import Header, World
from orchestrator.engine.ports import Order

UNITS, SERVICES, SEEDS = 4000, 12, 5
UNIT_S = (60.0, 180.0)
"""How long a unit of a service takes: stop, start, and until its gate holds."""
VARIES = 0.03
"""How much the units of one service differ from that, at most."""
STAYS = (50, 60, 75, 80, 90)
"""Percent of a service that has to stay up."""
DEEPEST = 4
"""A service needs one or two of so many that stand before it."""
LATENCY_S = 0.05
MOST = 1.15
PORT = 8080
MOST_JUMPS = 10**9


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the playbook: its hosts, what it needs, how much of it stays up, how long a unit takes."""

    name: str
    hosts: tuple[str, ...]
    needs: tuple[str, ...]
    stays: int
    unit_s: float

    @property
    def least_s(self) -> float:
        """The time of as many rounds as are needed if as many go down together as may."""
        may_go = len(self.hosts) - math.ceil(len(self.hosts) * self.stays / 100)
        return math.ceil(len(self.hosts) / may_go) * self.unit_s


@dataclass(frozen=True, slots=True)
class Night:
    """One seed: how long the run took by the hosts' clock, the bound, and the CPU that planning and running took."""

    took_s: float
    bound_s: float
    plan_s: float
    run_s: float


def rolling(scale: Scale) -> Iterator[Row]:
    """The median over several seeds."""
    units = max(5 * SERVICES, round(UNITS * scale.factor))
    seeds = SEEDS if scale.factor >= 1 else 1
    nights = [_night(seed, units) for seed in range(1, seeds + 1)]
    ratios = sorted(night.took_s / night.bound_s for night in nights)
    middle = sorted(nights, key=lambda night: night.took_s / night.bound_s)[len(nights) // 2]
    yield Row(
        name=f"a rolling restart of {units} units of {SERVICES} services, in virtual time",
        measured=f"{statistics.median(ratios):.3f} x",
        reference=f"the bound of that night: {middle.bound_s / 60:.0f} min; it took {middle.took_s / 60:.0f} min",
        goal=f"<= {MOST:g} x",
        met=statistics.median(ratios) <= MOST,
        note=f"median of {seeds}, from {ratios[0]:.3f} to {ratios[-1]:.3f}; CPU: {middle.plan_s:.1f} s to survey and"
        f" plan, {middle.run_s:.1f} s to run",
    )


def _night(seed: int, units: int) -> Night:
    chance = random.Random(seed)
    services = _services(chance, units)
    with tempfile.TemporaryDirectory(prefix="orch-bench-") as folder:
        draft = wiring.load(_written(Path(folder), services), None, answers={}).draft
    fleet = MemoryFleet()
    for service in services:
        for host in service.hosts:
            unit_s = service.unit_s * chance.uniform(1 - VARIES, 1 + VARIES)
            stop_s, start_s = unit_s * chance.uniform(0.2, 0.4), unit_s * chance.uniform(0.2, 0.4)
            port = MemoryPort(port=PORT, warmup_s=unit_s - stop_s - start_s)
            made = MemoryService(
                name=service.name, state=State.RUNNING, start_s=start_s, stop_s=stop_s, ports=(port,), since_s=-math.inf
            )
            fleet.add(host, made).latency_s = LATENCY_S
    virtual_time.MOST_JUMPS = MOST_JUMPS
    there = sum(len(service.hosts) for service in services)
    took_s, plan_s, run_s = virtual_time.run_virtual(_restarted(draft, fleet, there))
    longest: dict[str, float] = {}
    for service in services:
        longest[service.name] = service.least_s + max((longest[name] for name in service.needs), default=0.0)
    return Night(took_s, max(longest.values()), plan_s, run_s)


def _services(chance: random.Random, units: int) -> list[Service]:
    """Sizes that differ, *units* in all (a few more where that is hardly any), and a graph with several paths, first to
    last."""
    shares = [chance.uniform(1, 5) for _ in range(SERVICES)]
    sizes = [max(4, round(units * share / sum(shares))) for share in shares]
    sizes[-1] = max(4, units - sum(sizes[:-1]))
    made: list[Service] = []
    for number, size in enumerate(sizes):
        before = [service.name for service in made[-DEEPEST:]]
        needs = chance.sample(before, min(len(before), chance.randint(1, 2))) if number > 1 else []
        name = f"s{number:02}"
        hosts = tuple(f"{name}-{host:04}" for host in range(size))
        stays = [percent for percent in STAYS if math.ceil(size * percent / 100) < size]
        made.append(Service(name, hosts, tuple(needs), chance.choice(stays), chance.uniform(*UNIT_S)))
    return made


def _written(folder: Path, services: list[Service]) -> Path:
    groups = {service.name: {"hosts": dict.fromkeys(service.hosts)} for service in services}
    variables = {"ansible_connection": "ssh", "ansible_user": "ada"}
    (folder / "inventory.yaml").write_text(
        json.dumps({"all": {"vars": variables, "children": groups}}), encoding="utf-8"
    )
    entries = {
        service.name: {
            "hosts": service.name,
            "depends_on": list(service.needs),
            "min_available": f"{service.stays}%",
            "ready": [{"tcp": PORT, "from": "controller"}],
        }
        for service in services
    }
    path = folder / "playbook.yaml"
    path.write_text(
        json.dumps(
            {"name": "night", "inventory": "inventory.yaml", "defaults": {"timeout": "10m"}, "services": entries}
        ),
        encoding="utf-8",
    )
    return path


async def _restarted(draft: Draft, fleet: MemoryFleet, units: int) -> tuple[float, float, float]:
    """How long it took by the clock of the loop; the CPU seconds to survey and plan, and to run."""
    world = World(hosts=MemoryHosts(fleet), probe=MemoryProbe(fleet), local=MemoryLocal())
    choice, began_s = Choice(rolling=True), time.process_time()
    found = await survey(questions(draft, choice, Action.RESTART), world.hosts, dependents=True)
    plan = build(draft, choice, Action.RESTART, found)
    planned_s = time.process_time()
    ending = await run(
        plan,
        world,
        books(MemoryJournal()),
        header=Header(run="r1", requester="ada", controller="desk", command="orch restart --rolling"),
        people=People(orders=asyncio.Queue[Order]().get),
        watch=lambda _: None,
        note=lambda _: None,
        notifier=Told(),
    )
    ended_s = time.process_time()
    asked = [word for word in fleet.asked if word.startswith(("stop ", "start "))]
    if ending.exit_code != 0 or len(asked) != 2 * units or len(set(asked)) != 2 * units:
        raise AssertionError(f"exit code {ending.exit_code}, {len(asked)} controls of {units} units")
    took_s = asyncio.get_running_loop().time()
    return took_s, planned_s - began_s, ended_s - planned_s
