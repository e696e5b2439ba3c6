"""What a unit of a run costs with the real work on the in-memory twins: conductor, steps, reads, gates."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from measuring import cpu_s, grown
from stages import barrier, node, plan, stage
from virtual_time import run_virtual

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryPort, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.domain.estimate import complete
from orchestrator.domain.facts import Fact
from orchestrator.domain.gates import Gate, Origin, TcpCheck
from orchestrator.domain.plan import Limits, Plan
from orchestrator.domain.results import Note
from orchestrator.domain.runstate import RunState
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.ports import ConductorPorts
from orchestrator.engine.work.work import Work

SERVICES = 5
START_S = 0.1


def fleet_and_plan(units: int) -> tuple[MemoryFleet, Plan]:
    """Services one on top of the other on the same hosts, each with a tcp gate; a fiftieth may be under way at once."""
    fleet, hosts = MemoryFleet(), units // SERVICES
    nodes = []
    for service in range(SERVICES):
        port = 1000 + service
        for host in range(hosts):
            address = f"10.0.{host >> 8}.{host & 255}"
            opens = MemoryPort(port=port)
            fleet.add(f"h{host}", MemoryService(name=f"s{service}", start_s=START_S, ports=(opens,)), address=address)
            gate = Gate(check=TcpCheck(host=address, port=port), origin=Origin.CONTROLLER)
            waits_for = (service - 1,) if service else ()
            nodes.append(replace(node(f"s{service}@h{host}", waits_for=waits_for), gates=(gate,)))
    barriers = [barrier(*range(number * hosts, (number + 1) * hosts)) for number in range(SERVICES)]
    return fleet, plan(complete(stage(nodes, barriers, Limits(run=units // 50, host=4))))


async def _to_nowhere(facts: Sequence[Fact]) -> None:
    pass


async def _never(*_: object) -> Any:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("not reached")


def _unheard(note: Note) -> None:
    pass


def run_s(units: int) -> float:
    """The CPU seconds of starting *units* units on virtual time."""
    fleet, made = fleet_and_plan(units)
    ended: list[RunState] = []

    def run() -> None:
        work = Work(made, MemoryHosts(fleet), MemoryProbe(fleet), MemoryLocal(), _unheard)
        ports = ConductorPorts(run=work.run, append=_to_nowhere, orders=_never, ask=_never)
        ended.append(run_virtual(conduct(made, RunState.begin(made), ports)))

    took_s = cpu_s(run)
    assert ended[0].verdict().counts["ok"] == units
    return took_s


def test_a_unit_costs_the_same_among_ten_thousand_as_among_one() -> None:
    assert grown("work on the twins", partial(run_s, 1_000), partial(run_s, 10_000), fewest=1) <= 1.3
