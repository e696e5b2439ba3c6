"""Plans of services with a whole life around their acts, for tests of what is shown."""

from dataclasses import replace

from stages import barrier, node, stage

from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin, PortClosedCheck, TcpCheck
from orchestrator.domain.life import Hook, IfStuck, Life, RunHooks
from orchestrator.domain.plan import Action, Node, Plan, Role, Stage
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import ServiceStatus, State

TOKEN = embed(SecretRef("env", "LB_TOKEN"))
DRAIN = Hook(
    name="drain",
    do=HttpCheck(url="https://lb/pools/orders/app-01", method="DELETE", headers=(("X-Token", TOKEN),)),
    undo=HttpCheck(url=f"https://ops:{TOKEN}@lb/pools/orders/app-01", method="PUT"),
    check=TcpCheck(host="lb", port=443),
    origin=Origin.CONTROLLER,
)
CACHE = Hook(name="post_stop.1", do=CommandCheck(exe="clear.exe", args=("/all", TOKEN)), origin=Origin.HOST)
QUIET = Hook(
    name="silence",
    do=CommandCheck(exe="/opt/monitor", args=("silence", "shop")),
    undo=CommandCheck(exe="/opt/monitor", args=("listen", "shop")),
    origin=Origin.CONTROLLER,
)
BACKUP = Gate(check=CommandCheck(exe="no-backup.exe"), origin=Origin.HOST, deadline_s=30.0)
DRAINED = Gate(check=HttpCheck(url="http://app-01/sessions"), origin=Origin.CONTROLLER, deadline_s=300.0)
CLOSED = Gate(check=PortClosedCheck(port=8080), origin=Origin.HOST)
DOWN = Life(
    prechecks=(BACKUP,),
    before=(DRAIN,),
    drained=(DRAINED,),
    after=(CACHE,),
    if_stuck=IfStuck.KILL,
    max_timeout_s=300.0,
    kill_shared=("OrdersAgent",),
    keep_down=True,
)
UP = Life(after=(replace(DRAIN, undoes=True),), healthy_s=30.0, keep_down=True)
UNITS = ("orders@app-01", "orders@app-02")


def lived(name: str, life: Life | None, state: State, pid: int) -> Node:
    """A node with a life, of a unit that is in *state*."""
    bare = node(name)
    seen = ServiceStatus(name="Orders", state=state, pid=pid or None)
    return replace(bare, unit=replace(bare.unit, seen=seen), life=life, timeout_s=60.0)


def checks() -> Stage:
    """What must hold before anything is touched."""
    probes = (replace(node(unit, role=Role.PROBE), gates=(BACKUP,)) for unit in UNITS)
    return replace(stage(list(probes), goal=State.STOPPED), checks=True)


def stops() -> Plan:
    """A stop of two units with all that a life can have, and of a database that they need."""
    nodes = [lived(unit, DOWN, State.RUNNING, 4242 + place) for place, unit in enumerate(UNITS)]
    sql = replace(lived("sql@db-01", None, State.RUNNING, 17), waits_for=(0,))
    down = stage([*(replace(one, gates=(CLOSED,)) for one in nodes), sql], [barrier(0, 1)], goal=State.STOPPED)
    hooks = RunHooks(begin=(QUIET,))
    return Plan(name="shop", action=Action.STOP, stages=(checks(), down), back=(starts().stages[0],), hooks=hooks)


def starts() -> Plan:
    """A start of the two units, which undoes what a stop did to them."""
    nodes = [lived(unit, UP, State.STOPPED, 0) for unit in UNITS]
    return Plan(name="shop", action=Action.START, stages=(stage(nodes),))
