"""Hand-made plans of rolling restarts: nodes that live both ways, and counts before their batches."""

from collections.abc import Sequence
from dataclasses import replace

from stages import GATE, stage, unit

from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin, PortClosedCheck
from orchestrator.domain.life import Hook, Life, Reboot
from orchestrator.domain.plan import Action, Barrier, Batch, Down, Limits, Node, Plan, Role, Stage, Unit
from orchestrator.domain.policy import Policy
from orchestrator.domain.service import State

CLOSED = Gate(check=PortClosedCheck(port=8080), origin=Origin.HOST)


def hook(name: str, *, undoes: bool = False, undo: bool = True) -> Hook:
    """One that talks to a load balancer: `lb/NAME` with PUT does it, with DELETE undoes it."""
    do = HttpCheck(url=f"https://lb/{name}", method="PUT")
    back = HttpCheck(url=f"https://lb/{name}", method="DELETE") if undo else None
    return Hook(name=name, do=do, undo=back, origin=Origin.CONTROLLER, undoes=undoes, idempotent=True)


PATCH = Hook(name="between.1", do=CommandCheck(exe="patch.exe"), origin=Origin.HOST)
REBOOT = Hook(name="between.2", do=Reboot(timeout_s=600.0), origin=Origin.HOST, timeout_s=600.0)
STOPS = Life(
    prechecks=(GATE,),
    before=(hook("warm", undoes=True), hook("drain")),
    drained=(GATE,),
    after=(hook("clear"),),
    keep_down=True,
)
STARTS = Life(
    before=(hook("clear", undoes=True), hook("mount")),
    after=(hook("warm"), hook("drain", undoes=True)),
    healthy_s=30.0,
    keep_down=True,
)
DOWN = Down(gates=(CLOSED,), timeout_s=45.0, life=STOPS, between=(PATCH,))


def rolled(name: str, *, down: Down | None = DOWN, life: Life | None = STARTS, waits_for: tuple[int, ...] = ()) -> Node:
    """A node of a unit that runs, and is to go down and come up again."""
    gates = (GATE,) if down is None or down.gates else ()
    of = unit(name, seen=State.RUNNING)
    return Node(unit=of, role=Role.ACT, gates=gates, expected_s=10.0, waits_for=waits_for, life=life, down=down)


def bare(name: str, *, waits_for: tuple[int, ...] = ()) -> Node:
    """One with nothing around its stop and its start."""
    return rolled(name, down=Down(), life=None, waits_for=waits_for)


def in_batches(
    nodes: Sequence[Node],
    sizes: Sequence[int],
    *,
    at_least: int | None = None,
    others: Sequence[Unit] = (),
    pause_s: float = 0.0,
    limits: Limits | None = None,
) -> Stage:
    """The *nodes* of one service in batches of *sizes*, each behind a node that counts; without *at_least* there is
    none before the first."""
    every: list[Node] = []
    barriers: list[Barrier] = []
    left, before = list(nodes), tuple[int, ...]()
    for number, size in enumerate(sizes, 1):
        mine, left = left[:size], left[size:]
        waits: tuple[int, ...] = ()
        if number > 1 or at_least is not None:
            service = mine[0].unit.service
            name = f"{service}#{number}"
            over: tuple[int, ...] = ()
            if before:
                over = (len(barriers),)
                barriers.append(
                    Barrier(name=name, instances=tuple((place,) for place in before), need=len(before), soft=True)
                )
            batch = Batch(number=number, of=len(sizes), size=size, pause_s=pause_s, at_least=at_least)
            of = Unit(id=name, service=service, host=None, scm_name=None, instance=name)
            every.append(Node(unit=of, role=Role.PROBE, batch=batch, waits_for=over, timeout_s=60.0, expected_s=0.0))
            waits = (*over, len(barriers))
            barriers.append(Barrier(name=name, instances=((len(every) - 1,),), need=1))
        before = tuple(range(len(every), len(every) + size))
        every += [replace(one, waits_for=(*one.waits_for, *waits)) for one in mine]
    return replace(stage(every, barriers, limits or Limits()), others=tuple(others))


def rolling(made: Stage, *checks: Stage, policy: Policy | None = None) -> Plan:
    """The plan of a rolling restart, with its way back."""
    back = [replace(one, down=None, waits_for=()) for one in made.nodes if one.role is Role.ACT]
    return Plan(
        name="test",
        action=Action.RESTART,
        stages=(*checks, made),
        back=(stage(back),),
        policy=policy or Policy(),
    )
