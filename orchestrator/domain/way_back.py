"""The way back: what puts the units that a run touched to where they were, narrowed from the plan's own way back.

Room: domain. A unit was *before* where the plan's snapshot (`unit.seen`) has it. One that was running then, or on its
way up, goes to Running; one that was Stopped, or on its way down, to Stopped. Nothing can bring a unit back to Paused:
it goes to Running, and is named.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from types import MappingProxyType

from orchestrator.domain import estimate
from orchestrator.domain.facts import UNREAD, Strayed
from orchestrator.domain.life import Hook, Life
from orchestrator.domain.parts import KEPT_DOWN
from orchestrator.domain.plan import Action, Barrier, LeftAlone, Node, Plan, Role, Stage, Unit
from orchestrator.domain.results import Phase
from orchestrator.domain.service import DOWN, ServiceStatus, State
from orchestrator.domain.step_words import hook_words, request_words

_OWES_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_HELD = (State.PAUSED, State.PAUSE_PENDING)
TOWARDS: Mapping[str, tuple[State, ...]] = MappingProxyType(
    {
        State.STOPPED: DOWN,
        State.RUNNING: (State.RUNNING, State.START_PENDING, State.CONTINUE_PENDING),
    }
)
"""By goal: there, or on the way there."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A unit that the run acted on or may have acted on: the state that the run left it in, and the one that it is in
    now; "" where that is not known. `coming`: where a control that was sent to it, and did not end well, may yet bring
    it; "" if there is none. `owes`: its hooks that may have run and were not undone, and KEPT_DOWN."""

    left: str
    live: str
    coming: str = ""
    owes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether somebody or something else moved the unit since.

        What the run left on its way somewhere (StopPending) has come to its end since, and a control that was sent may
        take effect after its step has ended: that is no change by others.
        """
        moved = bool(self.left and self.live) and self.live != self.left and not State(self.left).pending
        return moved and not self.own_doing

    @property
    def own_doing(self) -> bool:
        """Whether the unit is where, or on its way to where, a control of the run's own may have brought it late."""
        return self.live in TOWARDS.get(self.coming, ())


@dataclass(frozen=True, slots=True)
class WayBack:
    """The stages that put back what can be put back, and what they can't or must not: each with why."""

    stages: tuple[Stage, ...]
    changed_since: tuple[Strayed, ...] = ()


def home(unit: Unit) -> State | None:
    """The state that a way back brings *unit* to; None if nobody saw it before."""
    if unit.seen is None:
        return None
    return State.STOPPED if unit.seen.state in DOWN else State.RUNNING


def as_before(unit: Unit, state: str) -> bool:
    """Whether a unit found in *state* is where the snapshot had it. Of what was paused, only Paused is that."""
    if unit.seen is not None and unit.seen.state in _HELD:
        return state == State.PAUSED
    return state != "" and state == home(unit)


def whole_way_back(plan: Plan) -> tuple[Stage, ...]:
    """The stages that would put back every unit that *plan* acts on, its snapshot in them. Cost: O(nodes)."""
    if plan.action is Action.RESTART and not plan.back:
        return tuple(stage for stage in plan.stages if not (stage.checks or stage.between))[1:]
    seen = {unit.id: unit for unit in acted_on(plan)}
    return tuple(
        replace(stage, nodes=tuple(replace(node, unit=seen.get(node.unit.id, node.unit)) for node in stage.nodes))
        for stage in plan.back
    )


def way_back(plan: Plan, touched: Mapping[str, Touch], *, accept_drift: bool) -> WayBack:
    """The way back of a run over *plan* that touched the units *touched* (by id).

    Acts on those that are not as before and are where the run left them, or can't be read; with *accept_drift* also on
    those that somebody else moved since. What was moved since and is not acted on is probed, so that nothing starts
    (or stops) on top of it; all that lies between hands the order on: what the run did not touch counts as where it
    was. A touched unit that is as before needs nothing.
    Cost: O((nodes + edges) log nodes).
    """
    back = whole_way_back(plan)
    goals = {node.unit.id: stage.goal for stage in back for node in stage.nodes if node.role is Role.ACT}
    acting: set[str] = set()
    probed: set[str] = set()
    strayed: list[Strayed] = []
    for unit in acted_on(plan):
        touch = touched.get(unit.id)
        if touch is None or (as_before(unit, touch.live) and not touch.owes):
            continue
        goal = home(unit)
        changed = touch.changed and not accept_drift
        why = held_words(unit)
        if touch.live != goal or touch.owes:
            if goals.get(unit.id) is not goal:
                why = why or _no_way(goal, touch)
            elif changed and touch.live != goal:
                probed.add(unit.id)
            else:
                acting.add(unit.id)
        if changed or why:
            strayed.append(Strayed(unit.id, touch.left or UNREAD, touch.live or UNREAD, why))
    owes = {unit: touch.owes for unit, touch in touched.items() if touch.owes}
    stages = (narrowed(stage, acting, probed, owes) for stage in back)
    return WayBack(tuple(stage for stage in stages if stage is not None), tuple(strayed))


def rollback_plan(plan: Plan, way: WayBack, touched: Mapping[str, Touch]) -> Plan:
    """*way* as a plan of its own, for a run over *plan* that touched *touched* and has ended.

    Its snapshot is the live state: what is not known, or was not looked at, is not seen. It has no way back itself.
    """
    return Plan(
        name=plan.name,
        action=Action.ROLLBACK,
        stages=tuple(_as_now(stage, touched) for stage in way.stages),
        left_alone=tuple(
            LeftAlone(unit=one.unit, why=f"{in_words(one)}{_left_over(plan, way, one.unit, touched)}")
            for one in way.changed_since
        ),
        poll_s=plan.poll_s,
        policy=plan.policy,
        hooks=plan.hooks,
    )


def _left_over(plan: Plan, way: WayBack, unit: str, touched: Mapping[str, Touch]) -> str:
    """What stays done of the hooks of a unit that is left alone, and what undoes it."""
    owes = touched[unit].owes if unit in touched else ()
    acting = any(node.unit.id == unit and node.role is Role.ACT for stage in way.stages for node in stage.nodes)
    if not owes or acting:
        return ""
    nodes = [node for stage in plan.stages for node in stage.nodes if node.unit.id == unit]
    lives = [life for node in nodes for life in (node.life, node.down.life if node.down else None) if life is not None]
    hooks = {hook.name: hook for life in lives for hook in (*life.before, *life.after) if not hook.undoes}
    undos = [
        f"{hook_words(Phase.UNDO, name)} ({request_words(hook.undo)})"
        for name in owes
        if (hook := hooks.get(name)) is not None and hook.undo is not None
    ]
    return f"; needs hands: {', '.join([*undos, *(['release'] if KEPT_DOWN in owes else [])])}"


def in_words(strayed: Strayed) -> str:
    """Why the way back does not bring the unit to where it was, for people."""
    moved = f"changed since: the run left it {strayed.left}, and it is {strayed.found}; --accept-drift acts on it too"
    return strayed.why or moved


def stops_running(plan: Plan) -> int:
    """How many units *plan* would stop that ran when it was made."""
    return len(
        {
            node.unit.id
            for stage in plan.stages
            for node in stage.nodes
            if node.role is Role.ACT and (stage.goal is State.STOPPED or node.down is not None)
            if node.unit.seen is not None and node.unit.seen.state not in DOWN
        }
    )


def narrowed(
    stage: Stage,
    acting: AbstractSet[str],
    probed: AbstractSet[str],
    owes: Mapping[str, tuple[str, ...]] = _OWES_NOTHING,
) -> Stage | None:
    """*stage* with nobody but *acting* acting, and no undo but of what each *owes*; None if none of them acts.

    *probed* are looked at instead. What lies between the others hands the order on; what lies beside them is gone.
    Cost: O((nodes + edges) log nodes).
    """
    nodes = [_narrowed(node, acting, probed, stage.goal, owes) for node in stage.nodes]
    if not any(node.role is Role.ACT for node in nodes):
        return None
    kept = [index for index in _between(replace(stage, nodes=tuple(nodes))) if nodes[index].batch is None]
    batches = {node.unit.id for node in nodes if node.batch is not None}  # what is down comes up at once
    place = {index: number for number, index in enumerate(kept)}
    opened: dict[int, int | None] = {}
    barriers: list[Barrier] = []
    rows: list[Node] = []
    for index in kept:
        node = nodes[index]
        for number in node.waits_for:
            if number not in opened:
                whole = stage.barriers[number]
                barrier = None if whole.name in batches else _pruned(whole, place)
                opened[number] = None if barrier is None else len(barriers)
                barriers += [] if barrier is None else [barrier]
        waits = tuple(now for number in node.waits_for if (now := opened[number]) is not None)
        after = None if node.begins_after is None else place.get(node.begins_after)
        rows.append(replace(node, waits_for=waits, begins_after=after))
    return estimate.complete(replace(stage, nodes=tuple(rows), barriers=tuple(barriers)))


def left_behind(plan: Plan) -> dict[str, Stage]:
    """The units that the run of a rollback looks at, and leaves where somebody else brought them; and the stage that
    would have put each back."""
    if plan.action is not Action.ROLLBACK:
        return {}
    alone = {left.unit for left in plan.left_alone}
    return {
        node.unit.id: stage
        for stage in plan.stages
        for node in stage.nodes
        if node.role is Role.PROBE and node.unit.id in alone
    }


def acted_on(plan: Plan) -> tuple[Unit, ...]:
    """The units that *plan* acts on, each once, in plan order, as its first stage with them has them."""
    found: dict[str, Unit] = {}
    for stage in plan.stages:
        for node in stage.nodes:
            if node.role is Role.ACT:
                found.setdefault(node.unit.id, node.unit)
    return tuple(found.values())


def held_words(unit: Unit) -> str:
    """Why a unit that was paused is not brought back to that; "" of any other."""
    if unit.seen is None or unit.seen.state not in _HELD:
        return ""
    return f"it was {unit.seen.state}, and nothing can pause it again from here: Running is the nearest"


def _as_now(stage: Stage, touched: Mapping[str, Touch]) -> Stage:
    nodes = (replace(node, unit=_seen_now(node.unit, touched.get(node.unit.id))) for node in stage.nodes)
    return replace(stage, nodes=tuple(nodes))


def _seen_now(unit: Unit, touch: Touch | None) -> Unit:
    if unit.seen is None or touch is None or not touch.live:
        return replace(unit, seen=None)
    before = unit.seen
    now = ServiceStatus(
        name=before.name,
        state=State(touch.live),
        start_type=before.start_type,
        display_name=before.display_name,
        requires=before.requires,
        required_by=before.required_by,
    )
    return replace(unit, seen=now)


def _no_way(goal: State | None, touch: Touch) -> str:
    if touch.live == goal:
        return f"its plan has no way back that undoes {', '.join(touch.owes)}"
    return f"it was {goal} before the run came to it, and its plan has no way back there for it"


def undone_by(node: Node, stage: Stage) -> dict[str, None]:
    """What the *node* of a *stage* undoes: names of hooks, and KEPT_DOWN if it releases its unit."""
    life = node.life
    if life is None:
        return {}
    names = dict.fromkeys(hook.name for hook in (*life.before, *life.after) if hook.undoes)
    return {**names, KEPT_DOWN: None} if life.keep_down and stage.goal is State.RUNNING else names


def inherited(plan: Plan) -> Iterator[tuple[str, Hook | None, State]]:
    """What a rollback is to undo: unit, hook (None: it is kept down), and on the way to where it was done. The planner
    has left nothing but what is owed."""
    for stage in plan.stages:
        away = State.STOPPED if stage.goal is State.RUNNING else State.RUNNING
        for node in (one for one in stage.nodes if one.role is Role.ACT and one.life is not None):
            hooks = {hook.name: hook for hook in (*node.life.before, *node.life.after)} if node.life else {}
            for name in undone_by(node, stage):
                yield node.unit.id, hooks.get(name), away


def _narrowed(
    node: Node,
    acting: AbstractSet[str],
    probed: AbstractSet[str],
    goal: State,
    owes: Mapping[str, tuple[str, ...]],
) -> Node:
    if node.role is not Role.ACT:
        return node
    if node.unit.id in acting:
        return node if node.life is None else replace(node, life=_owing(node.life, goal, owes.get(node.unit.id, ())))
    if node.unit.id in probed:
        return replace(node, role=Role.PROBE, expected_s=0.0, guessed=False, life=None)
    return replace(node, role=Role.PASS, gates=(), expected_s=0.0, guessed=False, life=None)


def _owing(life: Life, goal: State, owes: tuple[str, ...]) -> Life:
    """*life* without the undos of what is not owed."""
    return replace(
        life,
        before=tuple(hook for hook in life.before if not hook.undoes or hook.name in owes),
        after=tuple(hook for hook in life.after if not hook.undoes or hook.name in owes),
        keep_down=life.keep_down and (goal is State.STOPPED or KEPT_DOWN in owes),
    )


def _between(stage: Stage) -> list[int]:
    """The places that a narrowed stage needs: who acts, the probes before or behind them, and who hands on between."""
    graph = estimate.Graph([n.waits_for for n in stage.nodes], [n.begins_after for n in stage.nodes], stage.barriers)
    acts = [node.role is Role.ACT for node in stage.nodes] + [False] * len(stage.barriers)
    looks = [node.role is not Role.PASS for node in stage.nodes] + [False] * len(stage.barriers)
    behind, before = _behind(graph, acts), _before(graph, acts)
    hands_on = [one and other for one, other in zip(_behind(graph, looks), _before(graph, looks), strict=True)]
    return [
        place
        for place, node in enumerate(stage.nodes)
        if acts[place] or (behind[place] or before[place] if node.role is Role.PROBE else hands_on[place])
    ]


def _behind(graph: estimate.Graph, marked: Iterable[bool]) -> list[bool]:
    """The places that wait for a marked one, directly or not."""
    found, own = [False] * len(graph.order), list(marked)
    for place in graph.order:
        if found[place] or own[place]:
            for later in (*graph.ends[place], *graph.begins.get(place, ())):
                found[later] = True
    return found


def _before(graph: estimate.Graph, marked: Iterable[bool]) -> list[bool]:
    """The places that a marked one waits for, directly or not."""
    found, own = [False] * len(graph.order), list(marked)
    for place in reversed(graph.order):
        found[place] = any(found[later] or own[later] for later in (*graph.ends[place], *graph.begins.get(place, ())))
    return found


def _pruned(barrier: Barrier, place: Mapping[int, int]) -> Barrier | None:
    """*barrier* over the places that are left. An instance that is gone has nothing to wait for: it is ok."""
    groups = (tuple(place[index] for index in group if index in place) for group in barrier.instances)
    left = tuple(group for group in groups if group)
    need = barrier.need - (len(barrier.instances) - len(left))
    if barrier.soft:
        need = len(left)
    return replace(barrier, instances=left, need=need) if left and need > 0 else None
