"""Stages for tests: small ones written by hand, and any stage at all for hypothesis."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from orchestrator.domain.gates import Gate, Origin, TcpCheck
from orchestrator.domain.plan import Action, Barrier, Limits, Node, Plan, Role, Stage, Unit
from orchestrator.domain.policy import Policy
from orchestrator.domain.service import ServiceStatus, State

GATE = Gate(check=TcpCheck(host="127.0.0.1", port=1433), origin=Origin.CONTROLLER)
UNLIMITED = Limits()


def unit(name: str, *, instance: str = "", seen: State | None = State.STOPPED) -> Unit:
    """The unit called `service@host`, `service:Scm@host`, or `service` alone for an external one without hosts."""
    whole, _, host = name.partition("@")
    service, _, scm_name = whole.partition(":")
    return Unit(
        id=name,
        service=service,
        host=host or None,
        scm_name=(scm_name or service) if host else None,
        instance=instance or (f"{service}@{host}" if host else service),
        seen=ServiceStatus(name=scm_name or service, state=seen) if seen and host else None,
    )


def node(
    name: str,
    *,
    role: Role = Role.ACT,
    waits_for: tuple[int, ...] = (),
    begins_after: int | None = None,
    gated: bool = False,
    expected_s: float = 10.0,
    rank_s: float = 0.0,
) -> Node:
    """One node of a stage."""
    return Node(
        unit=unit(name),
        role=role,
        gates=(GATE,) if gated else (),
        expected_s=expected_s,
        waits_for=waits_for,
        begins_after=begins_after,
        rank_s=rank_s,
    )


def barrier(*members: int | tuple[int, ...], need: int | None = None, soft: bool = False) -> Barrier:
    """A barrier over nodes (each an instance of its own) or groups of nodes; it needs all unless said otherwise."""
    groups = tuple(member if isinstance(member, tuple) else (member,) for member in members)
    return Barrier(name="barrier", instances=groups, need=len(groups) if need is None else need, soft=soft)


def stage(
    nodes: Sequence[Node], barriers: Sequence[Barrier] = (), limits: Limits = UNLIMITED, goal: State = State.RUNNING
) -> Stage:
    """A stage that starts what it holds, unless said otherwise."""
    return Stage(goal=goal, nodes=tuple(nodes), barriers=tuple(barriers), limits=limits)


def plan(*staged: Stage, policy: Policy | None = None, back: Stage | None = None) -> Plan:
    """A plan of one stage, or of two for a restart."""
    return Plan(
        name="test",
        action=Action.START if len(staged) == 1 else Action.RESTART,
        stages=staged,
        back=() if back is None else (back,),
        policy=policy or Policy(),
    )


def way_back(*staged: Stage) -> Stage:
    """The way back of starts: all that they act on is stopped, in any order."""
    acting = {n.unit.id: n for one in staged for n in one.nodes if n.role is Role.ACT}
    nodes = [replace(n, waits_for=(), begins_after=None, gates=()) for n in acting.values()]
    return stage(nodes, limits=staged[0].limits, goal=State.STOPPED)


@st.composite
def stages(draw: st.DrawFn, *, most: int = 12, need_all: bool = False, goal: State = State.RUNNING) -> Stage:
    """Any stage: any graph without circles, in any plan order, with every kind of node, barrier and limit."""
    count = draw(st.integers(0, most))
    hosts, services = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    place = draw(st.permutations(range(count)))  # where the node that is n-th in dependency order stands in the plan
    names = [(draw(st.integers(0, services - 1)), draw(st.integers(0, hosts - 1))) for _ in range(count)]
    barriers = (
        [
            _barrier(
                draw,
                draw(st.lists(st.sampled_from(range(limit)), min_size=1, max_size=5, unique=True)),
                place,
                need_all,
            )
            for limit in draw(st.lists(st.integers(1, count), max_size=6))
            if count
        ]
        if count
        else []
    )
    latest = {index: max(place.index(n) for group in b.instances for n in group) for index, b in enumerate(barriers)}
    last_of: dict[int, int] = {}
    in_order = draw(st.frozensets(st.integers(0, services - 1)))
    nodes: dict[int, Node] = {}
    for order, (service, host) in enumerate(names):
        open_to = [index for index, after in latest.items() if after < order]
        nodes[place[order]] = node(
            f"s{service}:n{order}@h{host}",
            role=draw(st.sampled_from([Role.ACT, Role.ACT, Role.ACT, Role.PROBE, Role.PASS])),
            waits_for=tuple(draw(st.lists(st.sampled_from(open_to), unique=True, max_size=3))) if open_to else (),
            begins_after=last_of.get(service) if service in in_order else None,
            gated=draw(st.booleans()),
            expected_s=draw(st.sampled_from([0.0, 1.0, 2.5, 10.0])),
            rank_s=draw(st.sampled_from([0.0, 5.0, 50.0])),
        )
        last_of[service] = place[order]
    some = st.none() | st.integers(1, 4)
    limits = Limits(
        run=draw(some),
        host=draw(some),
        services=tuple((f"s{n}", draw(st.integers(1, 3))) for n in range(services) if draw(st.booleans())),
    )
    return stage([nodes[index] for index in range(count)], barriers, limits, goal)


def _barrier(draw: st.DrawFn, members: list[int], place: Sequence[int], need_all: bool) -> Barrier:
    groups: list[tuple[int, ...]] = []
    for member in members:
        joins = draw(st.booleans())
        if groups and joins:
            groups[-1] = (*groups[-1], place[member])
        else:
            groups.append((place[member],))
    need = len(groups) if need_all else draw(st.integers(1, len(groups)))
    return barrier(*groups, need=need, soft=draw(st.booleans()))
