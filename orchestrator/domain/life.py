"""A unit's life beyond start and stop: hooks, checks before, patience after, and what is done when it is stuck.

Typed and rendered, as plans hold it. Most units have none of it, and a node without a `Life` has just its act and its
gates.
"""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.gates import Check, CommandCheck, Gate, HttpCheck, Origin


class IfStuck(StrEnum):
    """What follows when a stop's deadline has passed, or its process outlived it (an orphan).

    FAIL: a failure like any other. ASK: it is asked, and `kill` is among the choices. KILL: the process is ended.
    """

    FAIL = "fail"
    ASK = "ask"
    KILL = "kill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """The host is started again, and has to be back within `timeout_s`: with another start, and services to ask."""

    timeout_s: float = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Something that is done beside a service: out of the load balancer, silence the monitoring.

    `name` is unique among the hooks of its entry, and the same in every stage (`pre_stop.1`). `do` and `undo` succeed
    when the request answers, or the program ends, as wanted; `check` tells whether the do has had its effect: it is
    asked before (what is done already is not done again) and, where the answer of a do was lost, after. A hook without
    `idempotent` is never carried out twice unless a person says retry: where its answer was lost, it is unknown.
    `undoes`: on this node it is the undo that is carried out: what the way down did, the way up undoes. A Reboot stands
    between stop and start alone; the host's start tells whether it was done.
    """

    name: str
    do: HttpCheck | CommandCheck | Reboot
    origin: Origin
    undo: HttpCheck | CommandCheck | None = None
    check: Check | None = None
    idempotent: bool = False
    timeout_s: float = 30.0
    undoes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a node does around its act, in this order: prechecks, `before`, `drained`, the act, its gates, `healthy_s`,
    `after`. All durations are seconds.

    `before` are the hooks pre_stop or pre_start, and the undos of post_stop or post_start, turned round; `after` the
    same of the other side. All hooks are left out for a unit that is at the goal when its turn comes, but for undos of
    what this run may have done. `healthy_s`: how long it must stay healthy in the same process after its gates held.
    `max_timeout_s`: as far as the deadline of a stop stretches while its checkpoint rises (None: not at all).
    `kill_shared`: SCM names that may be ended with the unit because they share its process. `keep_down`: whatever could
    bring the service up again by itself is taken away with the stop, and put back before the start.
    """

    prechecks: tuple[Gate, ...] = ()
    before: tuple[Hook, ...] = ()
    drained: tuple[Gate, ...] = ()
    after: tuple[Hook, ...] = ()
    healthy_s: float = 0.0
    if_stuck: IfStuck = IfStuck.FAIL
    max_timeout_s: float | None = None
    kill_shared: tuple[str, ...] = ()
    keep_down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHooks:
    """Hooks of a whole run, carried out on the controller. `begin` before anything is touched; their undos, turned
    round, and then `end` when the run ends, however it ends; `failure` before those, if it does not end as planned."""

    begin: tuple[Hook, ...] = ()
    end: tuple[Hook, ...] = ()
    failure: tuple[Hook, ...] = ()
