"""A plan, a fleet in memory and a Work on it, for the tests of `engine/work`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.domain.gates import Gate
from orchestrator.domain.life import Life, RunHooks
from orchestrator.domain.plan import Action, Barrier, Node, Plan, Role, Stage, Unit
from orchestrator.domain.results import Note, Phase, Result, Step
from orchestrator.domain.service import State
from orchestrator.engine.ports import Hosts
from orchestrator.engine.work.work import Work

GOALS = {Phase.START: State.RUNNING, Phase.STOP: State.STOPPED}


def node(
    name: str,
    host: str | None = "app-01",
    *,
    role: Role = Role.ACT,
    timeout_s: float = 90.0,
    gates: tuple[Gate, ...] = (),
    waits_for: tuple[int, ...] = (),
    life: Life | None = None,
) -> Node:
    """One node of the service *name*, whose SCM name is the same."""
    unit = Unit(
        id=f"{name}@{host}" if host else name, service=name, host=host, scm_name=name if host else None, instance=name
    )
    return Node(unit=unit, role=role, gates=gates, timeout_s=timeout_s, waits_for=waits_for, life=life)


@dataclass
class Bench:
    """Works on *fleet* with a plan of one stage. `notes` collects what was noted on the way."""

    goal: State
    nodes: Sequence[Node]
    fleet: MemoryFleet = field(default_factory=MemoryFleet)
    barriers: tuple[Barrier, ...] = ()
    hosts: Hosts | None = None
    local: MemoryLocal = field(default_factory=MemoryLocal)
    poll_s: float = 2.0
    hooks: RunHooks = RunHooks()

    def __post_init__(self) -> None:
        self.notes: list[Note] = []
        self.probe = MemoryProbe(self.fleet)
        stage = Stage(goal=self.goal, nodes=tuple(self.nodes), barriers=self.barriers)
        plan = Plan(name="test", action=Action.START, stages=(stage,), poll_s=self.poll_s, hooks=self.hooks)
        hosts = self.hosts or MemoryHosts(self.fleet)
        self.work = Work(plan, hosts, self.probe, self.local, self.notes.append)

    async def run(self, phase: Phase, unit: str | None = None, *, hook: str = "", attempt: int = 1) -> Result:
        """One step of *unit*, or of the first node."""
        return await self.work.run(Step(0, unit or self.nodes[0].unit.id, phase, attempt, hook=hook))

    @property
    def controls(self) -> list[str]:
        """What was asked of services, in order: without the programs that were run."""
        return [asked for asked in self.fleet.asked if not asked.startswith("run ")]


def about(seconds: float) -> Any:
    """*seconds* but for the rounding of the clock; typed so that it can stand in a tuple."""
    return pytest.approx(seconds)


def bench(
    phase: Phase,
    service: MemoryService,
    *,
    timeout_s: float = 90.0,
    life: Life | None = None,
    gates: tuple[Gate, ...] = (),
) -> Bench:
    """A bench with one service on app-01, to be started or stopped."""
    one = Bench(GOALS[phase], [node(service.name, timeout_s=timeout_s, life=life, gates=gates)])
    one.fleet.add("app-01", service)
    return one
