"""What a unit costs at a thousand and at ten thousand of them, and how well limits are used."""

import asyncio
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from measuring import cpu_s, grown
from scripted_work import Answer, ScriptedWork
from stages import barrier, node, plan, stage
from virtual_time import run_virtual

from orchestrator.domain.estimate import complete
from orchestrator.domain.facts import Fact
from orchestrator.domain.plan import Limits, Node, Plan, Stage
from orchestrator.domain.results import Outcome, Result, Step
from orchestrator.domain.runstate import RunState
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.ports import ConductorPorts


def _fleet(units: int, services: int = 5) -> Stage:
    """Services one on top of the other on the same hosts, with limits of every kind."""
    hosts = units // services
    nodes: list[Node] = []
    for service in range(services):
        nodes += [
            node(
                f"s{service}@h{host}",
                expected_s=10 + (7 * host + 3 * service) % 13,
                waits_for=(service - 1,) if service else (),
                gated=True,
            )
            for host in range(hosts)
        ]
    barriers = [barrier(*range(number * hosts, (number + 1) * hosts)) for number in range(services)]
    limits = Limits(run=200, host=4, services=tuple((f"s{number}", 50) for number in range(services)))
    return stage(nodes, barriers, limits)


async def _at_once(step: Step) -> Result:
    return Result(step=step, outcome=Outcome.OK, after="Running")


async def _to_nowhere(facts: Sequence[Fact]) -> None:
    pass


async def _never(*_: object) -> Any:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("not reached")


def _cpu_s(any_plan: Plan) -> float:
    ports = ConductorPorts(run=_at_once, append=_to_nowhere, orders=_never, ask=_never)
    ended: list[RunState] = []
    took_s = cpu_s(lambda: ended.append(run_virtual(conduct(any_plan, RunState.begin(any_plan), ports))))
    assert ended[0].verdict().counts["ok"] == len(any_plan.stages[0].nodes)
    return took_s


def test_a_unit_costs_the_same_among_ten_thousand_as_among_one() -> None:
    small, large = plan(complete(_fleet(1_000))), plan(complete(_fleet(10_000)))
    assert grown("the conductor", partial(_cpu_s, small), partial(_cpu_s, large)) <= 1.3


def test_so_does_its_estimate() -> None:
    small, large = _fleet(1_000), _fleet(10_000)
    assert grown("the estimate", lambda: cpu_s(lambda: complete(small)), lambda: cpu_s(lambda: complete(large))) <= 1.3


def _any_fleet(dice: random.Random) -> Stage:
    """A dozen services with random dependencies, instances and durations, under a run limit that binds."""
    nodes: list[Node] = []
    groups: list[list[int]] = []
    for service in range(12):
        needs = tuple(dice.sample(range(service), min(service, dice.randint(0, 2))))
        count = dice.randint(1, 12)
        typical_s = dice.uniform(5, 60)
        groups.append(list(range(len(nodes), len(nodes) + count)))
        nodes += [
            node(f"s{service}@h{host}", waits_for=needs, expected_s=typical_s * dice.uniform(0.7, 1.3))
            for host in range(count)
        ]
    return complete(stage(nodes, [barrier(*group) for group in groups], Limits(run=dice.choice([3, 4, 6, 8]))))


def _stretch(seed: int, *, surprise: float) -> float:
    """How many times longer a run took than no schedule can beat; durations miss their estimate by *surprise*."""
    dice = random.Random(seed)
    expected = _any_fleet(dice)
    really_s = [n.expected_s * dice.uniform(1 - surprise, 1 + surprise) for n in expected.nodes]
    script = {f"0/{n.unit.id}/start/1": Answer(took_s=s) for n, s in zip(expected.nodes, really_s, strict=True)}
    work = ScriptedWork(script, otherwise=Answer(took_s=0.0))
    run_virtual(conduct(plan(expected), RunState.begin(plan(expected)), work.ports))
    real = complete(
        replace(expected, nodes=tuple(replace(n, expected_s=s) for n, s in zip(expected.nodes, really_s, strict=True)))
    )
    assert expected.limits.run is not None
    bound_s = max(*(n.rank_s for n in real.nodes), sum(really_s) / expected.limits.run)
    return max(at for at, _ in work.facts) / bound_s


@pytest.mark.parametrize("surprise", [0.0, 0.5])
def test_with_limits_binding_a_run_takes_hardly_longer_than_it_must(surprise: float) -> None:
    assert statistics.median(_stretch(seed, surprise=surprise) for seed in range(40)) <= 1.15


def test_the_estimate_foretells_the_run() -> None:
    for seed in range(10):
        expected = _any_fleet(random.Random(seed))
        script = {f"0/{n.unit.id}/start/1": Answer(took_s=n.expected_s) for n in expected.nodes}
        work = ScriptedWork(script, otherwise=Answer(took_s=0.0))
        run_virtual(conduct(plan(expected), RunState.begin(plan(expected)), work.ports))
        assert max(at for at, _ in work.facts) == pytest.approx(expected.expected_s)
