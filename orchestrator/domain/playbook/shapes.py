"""The playbook's format as pydantic models, in its long form: short forms (`tcp: 1433`) are written out before.

What a field is described as is what docs/playbook.md says of it, and what editors show. A field that is None was not
given; the defaults that then hold are those of `domain.gates.Gate` and DEFAULT_TIMEOUT_S.
"""

from typing import Any, Self

from pydantic import Field, model_validator

from orchestrator.domain.playbook.between_shapes import RestartsShape
from orchestrator.domain.playbook.gate_shapes import GateShape, GateTiming
from orchestrator.domain.playbook.kind_shapes import KindShape
from orchestrator.domain.playbook.life_shapes import (
    HookShape,
    HooksShape,
    LastingShape,
    MoveTiming,
    StopDefaults,
    StopTiming,
)
from orchestrator.domain.playbook.policy_shapes import PolicyShape
from orchestrator.domain.playbook.shape import Shape
from orchestrator.domain.playbook.values import (
    BatchSize,
    Budget,
    Count,
    DependentsWord,
    External,
    Filled,
    Flag,
    MinAvailable,
    Order,
    Pause,
    Period,
    ScmName,
    Unreachable,
    Wrong,
)

DEFAULT_TIMEOUT_S = 90.0
DEFAULT_PER_HOST = 4


class DependencyShape(Shape):
    """The options of one edge."""

    need: Count | None = Field(
        default=None,
        description="how many ready instances are enough to start; a stop always waits for all running dependents",
    )
    same_host: Flag = Field(default=False, description="look at the instance on the same host alone")
    soft: Flag = Field(
        default=False,
        description="order only, and only if both are in the run; how the other ended makes no difference",
    )

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.need is not None and (self.same_host is True or self.soft is True):
            other = "same_host" if self.same_host is True else "soft"
            raise Wrong(
                f"`need` and `{other}` don't go together", f"leave one of them out: `{other}` counts no instances"
            )
        return self


class NamesShape(Shape):
    """The SCM names of a service, or patterns with `*` and `?`; the service's key if there is none."""

    service: list[ScmName] = Field(
        default=[],
        description=(
            "the SCM name (`sc.exe query` shows it, not the display name); a list of names; a pattern with `*` and `?`"
        ),
    )


class HeadShape(Shape):
    """Where a service stands in the playbook: what is one for all its hosts."""

    hosts: Filled | None = Field(
        default=None,
        description=(
            "a host, a group, or any pattern that Ansible knows: `db`, `app:&prod`, `web:!web-03`, `app-*`; "
            "or a list of them"
        ),
    )
    external: External = Field(default=False, description="a gate only: probed, never acted on")
    depends_on: dict[str, DependencyShape] = Field(
        default={}, description="the services that must be ready first: one key, a list, or a mapping with options"
    )
    max_parallel: Count | None = Field(
        default=None, description="how many instances of this service may be under way at once"
    )
    batch: list[BatchSize] = Field(
        default=[],
        description=(
            "how many of its instances are stopped or started before the next ones are: `3`, `25%`, or a list such as "
            "`[1, 10%, 50%]`, the last of which repeats"
        ),
    )
    pause: Pause | None = Field(
        default=None, description="between two batches: a time such as `5m`, or `decision`: then somebody is asked"
    )
    min_available: MinAvailable | None = Field(
        default=None,
        description=(
            "how many of all its instances have to be up while `orch restart --rolling` takes others down: `3`, or "
            "`60%`, rounded up"
        ),
    )
    order: Order | None = Field(
        default=None, description="`inventory`: begun in the order of the inventory, reversed on stop"
    )
    max_failures: Budget | None = Field(
        default=None, description="how many units of this service may fail before nothing new begins: `3`, or `10%`"
    )
    dependents: DependentsWord = Field(
        default="fail",
        description=(
            "running services of the same host that need it, and that the playbook does not name: `fail` refuses the "
            "stop, `stop_and_restore` stops them first and starts them again after it"
        ),
    )


class EntryShape(HeadShape, NamesShape, KindShape, LastingShape):
    """One service of the playbook."""

    start: MoveTiming | None = None
    stop: StopTiming | None = None
    prechecks: list[GateShape] = Field(
        default=[], description="the gates that must hold before anything is stopped, and again before its own stop"
    )
    pre_stop: list[HookShape] = Field(default=[], description="hooks before its stop")
    drained: list[GateShape] = Field(
        default=[], description="the gates that must hold between those hooks and the stop"
    )
    stopped: list[GateShape] = Field(
        default=[], description="the gates that must hold after a stop, before what it depends on is stopped"
    )
    post_stop: list[HookShape] = Field(default=[], description="hooks after its stop, when its gates have held")
    pre_start: list[HookShape] = Field(default=[], description="hooks before its start")
    ready: list[GateShape] = Field(
        default=[], description="the gates that must hold after a start, before dependents go on"
    )
    ready_all: list[GateShape] = Field(
        default=[],
        description="gates that must hold once for all instances, when they are ready, before dependents go on",
    )
    post_start: list[HookShape] = Field(default=[], description="hooks after its start, when its gates have held")


class DefaultsShape(LastingShape):
    """What holds for every service that says nothing else."""

    timeout: Period | None = Field(default=None, description="of one start and of one stop")
    start: MoveTiming | None = None
    stop: StopDefaults | None = None
    gate: GateTiming | None = Field(default=None, description="the timing of gates")


class SettingsShape(Shape):
    """What the playbook says of the run as a whole."""

    name: Filled | None = Field(default=None, description="what the run is called in reports")
    inventory: list[Filled] = Field(
        default=[], description="the inventory, or a list of them that are put together, relative to this file's folder"
    )
    max_parallel: Count | None = Field(
        default=None, description="how many instances may be under way at once, in the whole run"
    )
    max_parallel_per_host: Count = Field(default=DEFAULT_PER_HOST, description="the same, on one host")
    max_parallel_per_zone: Count | None = Field(
        default=None, description="the same, on the hosts of one zone (`orch_zone` in the inventory)"
    )
    unreachable: Unreachable = Field(
        default="ask",
        description=(
            "hosts that don't answer before the first act: `ask`, `exclude` them and what can't do without "
            "them, or `fail`"
        ),
    )
    poll: Period = Field(default=2.0, description="how often a pending service is read; at least 100ms")


class FragmentShape(Shape):
    """What a file may hold that playbooks include; all of it belongs to the playbook as a whole."""

    include: list[Filled] = Field(
        default=[],
        description="fragments that belong to the playbook: a path, or a list of them, relative to this file's folder",
    )
    vars: dict[str, Any] = Field(
        default={}, description="values for templates: `{{ vars.health_port }}`; they may hold templates themselves"
    )
    defaults: DefaultsShape | None = Field(
        default=None, description="what holds for every service that says nothing else"
    )
    services: dict[str, EntryShape] = Field(default={}, description="the services, in the order that breaks ties")


class PlaybookShape(SettingsShape, PolicyShape, HooksShape, RestartsShape, FragmentShape):
    """A playbook of orch, or a fragment of one."""
