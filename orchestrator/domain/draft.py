"""The draft: playbook and inventory put together, templates rendered, every mistake found, before any host was asked.

`orch validate` ends here. A plan is a draft plus a choice plus the live state.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.domain.budget import Budget
from orchestrator.domain.gates import Gate
from orchestrator.domain.life import Hook, Life, RunHooks
from orchestrator.domain.numerous import numerous
from orchestrator.domain.service import Asked

if TYPE_CHECKING:
    from orchestrator.domain.terms import Terms


class OnUnreachable(StrEnum):
    """What to do about hosts that don't answer before the first act."""

    ASK = "ask"
    EXCLUDE = "exclude"
    FAIL = "fail"


class OnDependents(StrEnum):
    """What a stop does about running services of the same host that need a unit and that no playbook entry names."""

    FAIL = "fail"
    STOP_AND_RESTORE = "stop_and_restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One edge: the entry that holds it needs *service*.

    `need` is how many ready instances are enough to start (None: all); `same_host` looks at the instance on the same
    host alone; `soft` is order only, if both are in the run. A stop always waits for all running dependents.
    """

    service: str
    need: int | None = None
    same_host: bool = False
    soft: bool = False


@numerous(frozen=True, slots=True, kw_only=True)
class Instance:
    """One entry of the playbook on one host, rendered for it. Durations are seconds; `*_expected_s` None: not given.

    `asked` lists the SCM names or patterns; it is empty for an external entry. `ready` gates follow a start, `stopped`
    gates a stop; both also run on units that are already in the wanted state. `start_life` and `stop_life` are what
    nodes do around the act, mirrored undos included; instances that need the same share one.
    """

    id: str
    service: str
    host: str | None
    asked: tuple[Asked, ...] = ()
    ready: tuple[Gate, ...] = ()
    stopped: tuple[Gate, ...] = ()
    start_timeout_s: float = 90.0
    start_expected_s: float | None = None
    stop_timeout_s: float = 90.0
    stop_expected_s: float | None = None
    start_life: Life | None = None
    stop_life: Life | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """A service's instances go in batches: of these `sizes`, the last of which repeats until all are covered.

    Between two of them `pause_s` pass, and `asks`: a person has to say that it goes on.
    """

    sizes: tuple[Budget, ...]
    pause_s: float = 0.0
    asks: bool = False

    def of(self, instances: int) -> list[int]:
        """How many of so many *instances* each batch has. Cost: O(batches)."""
        made: list[int] = []
        left = instances
        while left > 0:
            size = self.sizes[min(len(made), len(self.sizes) - 1)].of(instances)
            made.append(min(size, left))
            left -= made[-1]
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One service of the playbook. `in_order` is `order: inventory`: begun as listed, reversed on stop.

    `ready_all` are gates that hold once for all instances, before dependents begin. `batches` None: all at once.
    `min_available`: how many of its instances have to be up while a rolling restart takes others down.
    """

    key: str
    instances: tuple[Instance, ...]
    depends_on: tuple[Dependency, ...] = ()
    external: bool = False
    max_parallel: int | None = None
    in_order: bool = False
    max_failures: Budget | None = None
    ready_all: tuple[Gate, ...] = ()
    dependents: OnDependents = OnDependents.FAIL
    batches: Batches | None = None
    min_available: Budget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The whole playbook, resolved but not yet held against live state. Entries stand in playbook order.

    `between`: what a restart does on each host between its stop and its start.
    `terms` None: nothing is said of what a run may decide by itself, and no host has a zone.
    """

    name: str
    entries: tuple[Entry, ...]
    hosts: tuple[str, ...]
    max_parallel: int | None = None
    max_parallel_per_host: int | None = 4
    max_parallel_per_zone: int | None = None
    unreachable: OnUnreachable = OnUnreachable.ASK
    poll_s: float = 2.0
    hooks: RunHooks = RunHooks()
    between: tuple[Hook, ...] = ()
    terms: "Terms | None" = None
