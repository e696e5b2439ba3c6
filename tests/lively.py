"""A service that is stopped and started with all that a life has, and one beside it that has none."""

from dataclasses import replace

from scripted_work import Answer
from stages import GATE, barrier, node, plan, stage

from orchestrator.domain.facts import RunResumed
from orchestrator.domain.gates import CommandCheck, Origin
from orchestrator.domain.life import Hook, Life, RunHooks
from orchestrator.domain.plan import Action, Node, Plan
from orchestrator.domain.results import Outcome
from orchestrator.domain.service import ServiceStatus, State

RESUMED = RunResumed(requester="me", controller="here", epoch=2)
DOES = CommandCheck(exe="lb")
STUCK = Answer(Outcome.FAILED, 1.0, "StopPending")


def hook(name: str, *, undoes: bool = False, idempotent: bool = True) -> Hook:
    """A hook that can be undone."""
    return Hook(name=name, do=DOES, undo=DOES, origin=Origin.CONTROLLER, undoes=undoes, idempotent=idempotent)


DOWN = Life(
    prechecks=(GATE,),
    before=(hook("pre_stop.1"), hook("pre_stop.2")),
    drained=(GATE,),
    after=(hook("post_stop.1"),),
    keep_down=True,
)
UP = Life(
    before=(hook("post_stop.1", undoes=True),),
    after=(hook("pre_stop.2", undoes=True), hook("pre_stop.1", undoes=True)),
    healthy_s=30.0,
    keep_down=True,
)


def lively(name: str, life: Life | None, *, gated: bool = False, waits_for: tuple[int, ...] = ()) -> Node:
    """A node with a life, of a unit that ran."""
    made = node(name, gated=gated, waits_for=waits_for)
    assert made.unit.scm_name
    seen = ServiceStatus(name=made.unit.scm_name, state=State.RUNNING)
    return replace(made, unit=replace(made.unit, seen=seen), life=life)


def stop_plan(life: Life = DOWN, up: Life = UP, *, hooks: RunHooks | None = None) -> Plan:
    """Stops app, then sql; only app has a life."""
    down = stage([lively("app@web", life, gated=True), lively("sql@db", None, waits_for=(0,))], [barrier(0)])
    back = stage([lively("app@web", up, gated=True, waits_for=(0,)), lively("sql@db", None)], [barrier(1)])
    made = plan(replace(down, goal=State.STOPPED), back=back)
    return replace(made, action=Action.STOP, hooks=hooks or RunHooks())


WHOLE = [
    "read:first/1",
    "precheck/1",
    "pre_stop:pre_stop.1/1",
    "pre_stop:pre_stop.2/1",
    "drained/1",
    "keep_down/1",
    "stop/1",
    "gate/1",
    "post_stop:post_stop.1/1",
]
