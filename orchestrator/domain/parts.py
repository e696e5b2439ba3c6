"""The parts of a node's life in a stage: one step each, in order.

Room: domain. What a plan's node has of prechecks, hooks, gates and patience, as a list. Where a node goes on is
`stage_run`'s.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from orchestrator.domain.life import Hook, Life, Reboot
from orchestrator.domain.plan import Down, Node, Plan, Role
from orchestrator.domain.results import AT_FIRST, HOOKS, RUN, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.service import State

ACTS = (Phase.START, Phase.STOP)
KEPT_DOWN = "keep_down"
"""What a unit that is kept down owes, beside the names of its hooks."""

CHANGES = (*HOOKS, Phase.UNDO, Phase.KEEP_DOWN, Phase.RELEASE)
"""What changes something beside the state of a service."""
_LEFT_OUT = (
    Phase.PRECHECK,
    Phase.DRAINED,
    Phase.KEEP_DOWN,
    Phase.START,
    Phase.STOP,
    Phase.PRE_STOP,
    Phase.POST_STOP,
    Phase.PRE_START,
    Phase.POST_START,
)
"""What is not done for a unit that is at the goal when its turn comes."""
_BEFORE_DOWN = (
    Phase.READ,
    Phase.LOOK,
    Phase.PRECHECK,
    Phase.PRE_STOP,
    Phase.DRAINED,
    Phase.KEEP_DOWN,
    Phase.STOP,
    Phase.KILL,
)
WAY_DOWN = "stopped"
"""`Step.hook` of the GATE on the way down of a node that lives both ways."""
GIVEN_UP = "given_up"
"""`Step.hook` of the RELEASE of such a node that is given up on its way down; else a RELEASE is of its way up."""
_GOES_DOWN = (
    Phase.PRECHECK,
    Phase.PRE_STOP,
    Phase.DRAINED,
    Phase.KEEP_DOWN,
    Phase.STOP,
    Phase.KILL,
    Phase.POST_STOP,
    Phase.BETWEEN,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One step of a life: its phase, the hook's name if it is one, and whether it carries out that hook's undo."""

    phase: Phase
    hook: str = ""
    undoes: bool = False

    @property
    def of_hook(self) -> bool:
        """Whether it carries a hook out, or the undo of one."""
        return self.phase in HOOKS


NOTHING: tuple[Part, ...] = ()
_START, _STOP, _READ, _GATE = Part(Phase.START), Part(Phase.STOP), Part(Phase.READ), Part(Phase.GATE)
_GATE_DOWN = Part(Phase.GATE, WAY_DOWN)
_FIRST = Part(Phase.READ, AT_FIRST)
_COUNT = (Part(Phase.COUNT),)
_NO_LIFE = Life()
_PLAIN = {
    (State.RUNNING, False): (_START,),
    (State.RUNNING, True): (_START, _GATE),
    (State.STOPPED, False): (_STOP,),
    (State.STOPPED, True): (_STOP, _GATE),
}
_LOOKED_AT = {(False, False): NOTHING, (True, False): (_READ,), (False, True): (_GATE,), (True, True): (_READ, _GATE)}


def parts(node: Node, goal: State, *, checks: bool = False) -> tuple[Part, ...]:
    """A node's life in a stage of that *goal*; empty for one that only hands the order on.

    In a stage of *checks* nothing is read: the gates are all. A life with hooks, or with anything else that is not done
    for a unit at its goal, begins with a READ of its own (`Step.hook` is AT_FIRST). A host between stop and start has
    what is done there. A node that lives both ways has the parts of its way down, what is done while it is down, and
    the parts of its way up.
    Cost: none for a node without `life` and `down`; else O(its hooks).
    """
    if node.role is Role.ACT:
        if node.down is not None:
            return tuple(_both(node, node.down, goal))
        if node.life is None:
            return _PLAIN[goal, bool(node.gates)]
        return tuple(_whole(node, node.life, goal))
    if node.role is Role.PASS:
        return NOTHING
    if node.batch is not None:
        return _COUNT
    if node.life is not None:
        return tuple(_hooks(Phase.BETWEEN, node.life.before))
    read = not checks and node.unit.scm_name is not None and node.unit.host is not None
    return _LOOKED_AT[read, bool(node.gates)]


def _whole(node: Node, life: Life, goal: State) -> Iterator[Part]:
    if _leaves_out(life):
        yield _FIRST
    yield from _one_way(life, goal, _GATE if node.gates else None)


def _both(node: Node, down: Down, goal: State) -> Iterator[Part]:
    if _leaves_out(down.life) or _leaves_out(node.life):
        yield _FIRST
    yield from _one_way(down.life, State.STOPPED, _GATE_DOWN if down.gates else None)
    yield from _hooks(Phase.BETWEEN, down.between)
    yield from _one_way(node.life, goal, _GATE if node.gates else None)


def _leaves_out(life: Life | None) -> bool:
    """Whether anything of *life* is not done for a unit that is at its goal, so that its state is read first."""
    return life is not None and bool(life.before or life.after or life.prechecks or life.drained or life.keep_down)


def _one_way(life: Life | None, goal: State, gate: Part | None) -> Iterator[Part]:
    start, life = goal is State.RUNNING, life or _NO_LIFE
    if life.prechecks:
        yield Part(Phase.PRECHECK)
    yield from _hooks(Phase.PRE_START if start else Phase.PRE_STOP, life.before)
    if life.drained:
        yield Part(Phase.DRAINED)
    if life.keep_down:
        yield Part(Phase.RELEASE if start else Phase.KEEP_DOWN)
    yield _START if start else _STOP
    if gate is not None:
        yield gate
    if start and life.healthy_s > 0:
        yield Part(Phase.HEALTHY)
    yield from _hooks(Phase.POST_START if start else Phase.POST_STOP, life.after)


def _hooks(phase: Phase, hooks: tuple[Hook, ...]) -> Iterator[Part]:
    return (Part(phase, hook.name, hook.undoes) for hook in hooks)


def goes_down(step: Step | Part) -> bool:
    """Whether *step* is of a way down, or of what is done while its unit, or all of its host, is down."""
    if step.phase is Phase.GATE:
        return step.hook == WAY_DOWN
    return step.phase in _GOES_DOWN or (step.phase is Phase.RELEASE and step.hook == GIVEN_UP)


def may_be_out(step: Step) -> bool:
    """Whether a unit of which *step* did not end well may be of no use although it runs: not ready, or out of its load
    balancer. Who failed before it went down runs on as before."""
    return step.unit != RUN and step.phase not in _BEFORE_DOWN


def goal_of(step: Step | Part, goal: State) -> State:
    """The state that *step* works for, in a stage of that *goal*: a node that lives both ways goes down first."""
    return State.STOPPED if goes_down(step) else goal


def faced(node: Node, step: Step) -> Node:
    """*node* as *step* has it: of one that lives both ways only the way that it is of. Cost: a node, of those."""
    down = node.down
    if down is None or not _is_of(down, step):
        return node
    life = life_at(step, node.life, down)
    return replace(node, gates=down.gates, timeout_s=down.timeout_s, life=life, down=None)


def life_at(step: Step, life: Life | None, down: Down | None) -> Life | None:
    """The life that *step* is of, of a node with that *life* and way *down*."""
    if down is None or not _is_of(down, step):
        return life
    return Life(before=down.between) if step.phase is Phase.BETWEEN else down.life


def _is_of(down: Down, step: Step) -> bool:
    return goes_down(step) or (step.phase is Phase.UNDO and _does(down.life, step.hook))


def _does(life: Life | None, name: str) -> bool:
    return life is not None and any(one.name == name and not one.undoes for one in (*life.before, *life.after))


def both_ways(plan: Plan) -> frozenset[str]:
    """The units that go down and come up again in one life. Cost: O(nodes) of a rolling restart, else O(stages)."""
    rolling = (stage for stage in plan.stages if stage.rolling)
    return frozenset(node.unit.id for stage in rolling for node in stage.nodes if node.down is not None)


def life_down(node: Node) -> Life | None:
    """The life around the stop of *node*, if that stops it."""
    return node.life if node.down is None else node.down.life


def place_of(step: Step | Part, life: tuple[Part, ...]) -> int:
    """Which part of *life* the *step* is; a KILL counts as the STOP before it. Raises ValueError if it is none."""
    phase = Phase.STOP if step.phase is Phase.KILL else step.phase
    for index, part in enumerate(life):
        if part.phase is phase and part.hook == step.hook:
            return index
    raise ValueError(f"{step.phase} {step.hook} is no part of its unit's life")


def act_of(life: tuple[Part, ...]) -> int | None:
    """Which part of *life* is its START or STOP, or the first of both; None if nothing acts."""
    return next((index for index, part in enumerate(life) if part.phase in ACTS), None)


def act_before(life: tuple[Part, ...], at: int) -> int:
    """Which part of *life* is its last START or STOP up to *at*; 0 if there is none."""
    return next((index for index in range(at, -1, -1) if life[index].phase in ACTS), 0)


def hook_of(node: Node, step: Step) -> Hook | None:
    """The hook of the *node* that *step* carries out or undoes; None if it does neither (KEEP_DOWN and RELEASE are no
    hooks)."""
    if not step.hook or (step.phase not in HOOKS and step.phase is not Phase.UNDO):
        return None
    life = faced(node, step).life
    return None if life is None else next((one for one in (*life.before, *life.after) if one.name == step.hook), None)


def left_out(
    part: Part,
    *,
    there: bool,
    carried: Collection[Part],
    owed: Collection[str],
    spent: Collection[str],
    back: bool,
    done: Collection[str] = (),
) -> bool:
    """Whether *part* of a life needs not be done now.

    *there*: its unit was where that way brings it when its turn came. *carried* are the hooks that ended ok, *owed* and
    *spent* the names of those that may have run and were not undone, and of those whose undo is not repeated by itself.
    *back*: it is a way back, where only what is owed is taken back, and what may have been *done* and must not be twice
    by itself is not.
    """
    if part.of_hook and part in carried:
        return True
    if part.undoes:
        return part.hook in spent or ((back or there) and part.hook not in owed)
    if part.phase is Phase.RELEASE:
        return back and KEPT_DOWN not in owed
    return (there and part.phase in _LEFT_OUT) or (back and part.of_hook and part.hook in done)


def checked(node: Node, part: Part) -> bool:
    """Whether *part* of the *node* is a hook that has a check."""
    hook = hook_of(node, Step(0, node.unit.id, part.phase, hook=part.hook))
    return hook is not None and hook.check is not None


def repeatable(hook: Hook | None) -> bool:
    """Whether it may be carried out again by itself after its answer was lost: it does no harm, or can be checked."""
    return hook is None or hook.idempotent or hook.check is not None or isinstance(hook.do, Reboot)


def spends(hook: Hook | None, result: Result | None) -> bool:
    """Whether a step that did not end well may have carried *hook*, or its undo, out, which must not be repeated by
    itself then; *result* None: it was lost with its process."""
    well = result is not None and (result.outcome is Outcome.OK or result.acted is Acted.NO)
    return not (well or repeatable(hook))


def is_last_reading(step: Step, role: Role) -> bool:
    """Whether *step*, of a node with that *role*, is the reading at the end of a run, and no part of a life."""
    return step.phase is Phase.READ and role is Role.ACT and not step.hook
