"""The plan: a playbook resolved and frozen, with inventory, templates and live facts in it. JSON-serialisable.

A plan has stages (two for a restart that is not rolling, else mostly one), run one after the other. A stage is a graph:
nodes wait for barriers, barriers wait for nodes. A dependency between groups of N and M units is one barrier: N + M
edges. Indices are positions in the stage's tuples; the order of nodes is the plan order that breaks every tie.
"""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.commands import Commands
from orchestrator.domain.gates import Gate
from orchestrator.domain.life import Hook, Life, RunHooks
from orchestrator.domain.numerous import numerous
from orchestrator.domain.policy import Policy
from orchestrator.domain.service import ServiceStatus, State


class Action(StrEnum):
    """What a run does."""

    STOP = "stop"
    START = "start"
    RESTART = "restart"
    ROLLBACK = "rollback"
    RESTORE = "restore"
    STATUS = "status"


class Role(StrEnum):
    """What a run may do with a node.

    ACT: bring it to the stage's goal. PROBE: outside the choice or external; read it and its gates, never act.
    PASS: outside the choice and not looked at; it only hands the order on.
    """

    ACT = "act"
    PROBE = "probe"
    PASS = "pass"


@numerous(frozen=True, slots=True, kw_only=True)
class Unit:
    """One SCM service on one host, the smallest thing acted on.

    `id` is `orders@app-03`; an entry with several SCM names gives `orders:Orders.Api@app-03`; an external entry
    without hosts gives its key alone, with host and scm_name None. `instance` (`orders@app-03`) is what limits count:
    the SCM names of one entry on one host move together. `seen` is the live state frozen into the plan. `booted_at` is
    when its host had started by then (UTC, seconds since 1970; None: not known): after another start a PID is another.
    What is no service has a name of `domain.kinds` for `scm_name`; `by` are its programs, if they alone stand for it;
    `ways` are further hosts that lead to it where `host` does not.
    """

    id: str
    service: str
    host: str | None
    scm_name: str | None
    instance: str
    seen: ServiceStatus | None = None
    booted_at: float | None = None
    by: Commands | None = None
    ways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What stands before a batch of a service's instances: nobody of it begins before this is over.

    It is the `number`-th of `of`, counted from 1, and has `size` instances. `pause_s` is waited first; `asks`: not
    before a person has said so. `at_least`: as many instances of the service have to be up without those of the batch,
    by a live count of all of them (None: the count decides nothing). Only then there is one before the first batch too.
    """

    number: int
    of: int
    size: int
    pause_s: float = 0.0
    asks: bool = False
    at_least: int | None = None


@numerous(frozen=True, slots=True, kw_only=True)
class Down:
    """The way down of a node that lives both ways, in a rolling restart: its stop, and what is done while it is down.

    `gates` are the stopped gates, `between` is done on its host after them, before the node's own way up begins.
    """

    gates: tuple[Gate, ...] = ()
    timeout_s: float = 90.0
    life: Life | None = None
    between: tuple[Hook, ...] = ()


@numerous(frozen=True, slots=True, kw_only=True)
class Node:
    """One unit in one stage. Durations are seconds; `guessed` says that `expected_s` is a quarter of the timeout."""

    unit: Unit
    role: Role
    gates: tuple[Gate, ...] = ()
    timeout_s: float = 90.0
    expected_s: float = 22.5
    guessed: bool = True
    waits_for: tuple[int, ...] = ()
    """Barriers that must be open before the node begins."""
    begins_after: int | None = None
    """A node of the same service that must have begun before this one (`order: inventory`)."""
    rank_s: float = 0.0
    """The longest expected way from here to the stage's end, this node included: who goes first."""
    life: Life | None = None
    """What it does around its act; None: the act and its gates are all."""
    batch: Batch | None = None
    """It is no unit, but stands between two batches; its barrier of the unit's own name is over the one before."""
    down: Down | None = None
    """It goes down before it comes up to the stage's goal, all in one life: see `Down`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Opens when `need` of its instances are ok. An instance is ok when all its nodes are.

    `instances` groups node indices: ((0,), (1,), (2, 3)) are three instances. `need` counts instances. A `soft`
    barrier opens when all its nodes have ended, however they ended.
    """

    name: str
    instances: tuple[tuple[int, ...], ...]
    need: int
    soft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many instances may be under way at once; None: no limit. One holds its place until its gates held.

    `zone` counts those whose hosts are of one of `zones`: a name, and its hosts. Others are not counted there.
    """

    run: int | None = None
    host: int | None = None
    services: tuple[tuple[str, int], ...] = ()
    zone: int | None = None
    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One direction of a run: every ACT node is brought to `goal`.

    `checks`: nothing acts in it; its nodes are the prechecks of what the stage after it acts on, with no order.
    `between`: its nodes are hosts and no units, each with what is done there while all is down (`life.before`).
    """

    goal: State
    nodes: tuple[Node, ...]
    barriers: tuple[Barrier, ...]
    limits: Limits = Limits()
    critical_path: tuple[int, ...] = ()
    """Node indices, first to last."""
    expected_s: float = 0.0
    """The estimated duration of the stage, limits included."""
    checks: bool = False
    between: bool = False
    others: tuple[Unit, ...] = ()
    """Units of services with a count before their batches that are no nodes here, and are counted nevertheless."""

    @property
    def rolling(self) -> bool:
        """Whether all that acts in it goes down before it comes up."""
        return next((node.down is not None for node in self.nodes if node.role is Role.ACT), False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """A unit that the run doesn't touch although it was chosen, and why."""

    unit: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will do, frozen. `poll_s` is the period at which pending services are read.

    `back` is the whole way back: the stages that would put every ACT unit that may have to move where it was seen,
    without ranks, durations and what was seen (that is in `stages`). A rollback is that, narrowed to what the run
    changed and completed (`way_back`). It is empty for a restart that is not rolling, whose last stage is its way back
    (it acts on what ran, and on nothing else), and for a plan that is a way back itself.
    """

    name: str
    action: Action
    stages: tuple[Stage, ...]
    left_alone: tuple[LeftAlone, ...] = ()
    ignored: tuple[str, ...] = ()
    """Instances outside the choice that need what is stopped, and that `--ignore-dependents` leaves as they are."""
    poll_s: float = 2.0
    back: tuple[Stage, ...] = ()
    policy: Policy = Policy()
    hooks: RunHooks = RunHooks()
    taken_in: tuple[str, ...] = ()
    """Units that stand in no entry: services of the same host that need what is stopped, and go down and up with it."""
