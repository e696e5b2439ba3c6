"""The parts of a node's life in a stage: one step each, in order.

Room: domain. What a plan's node has of prechecks, hooks, gates and patience, as a list. What is left out of it, and
where a node goes on, is `stage_run`'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.life import Hook, Life, Reboot
from orchestrator.domain.plan import Node, Role
from orchestrator.domain.results import AT_FIRST, HOOKS, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.service import State

ACTS = (Phase.START, Phase.STOP)
KEPT_DOWN = "keep_down"
"""What a unit that is kept down owes, beside the names of its hooks."""

CHANGES = (*HOOKS, Phase.UNDO, Phase.KEEP_DOWN, Phase.RELEASE)
"""What changes something beside the state of a service."""


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
_FIRST = Part(Phase.READ, AT_FIRST)
_COUNT = (Part(Phase.COUNT),)
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
    what is done there.
    Cost: none for a node without `life`; else O(its hooks).
    """
    if node.role is Role.ACT:
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
    start = goal is State.RUNNING
    if life.before or life.after or life.prechecks or life.drained or life.keep_down:
        yield _FIRST
    if life.prechecks:
        yield Part(Phase.PRECHECK)
    yield from _hooks(Phase.PRE_START if start else Phase.PRE_STOP, life.before)
    if life.drained:
        yield Part(Phase.DRAINED)
    if life.keep_down:
        yield Part(Phase.RELEASE if start else Phase.KEEP_DOWN)
    yield _START if start else _STOP
    if node.gates:
        yield _GATE
    if start and life.healthy_s > 0:
        yield Part(Phase.HEALTHY)
    yield from _hooks(Phase.POST_START if start else Phase.POST_STOP, life.after)


def _hooks(phase: Phase, hooks: tuple[Hook, ...]) -> Iterator[Part]:
    return (Part(phase, hook.name, hook.undoes) for hook in hooks)


def place_of(step: Step, life: tuple[Part, ...]) -> int:
    """Which part of *life* the *step* is; a KILL counts as the STOP before it. Raises ValueError if it is none."""
    phase = Phase.STOP if step.phase is Phase.KILL else step.phase
    for index, part in enumerate(life):
        if part.phase is phase and part.hook == step.hook:
            return index
    raise ValueError(f"step {step.id} is no part of its unit's life")


def act_of(life: tuple[Part, ...]) -> int | None:
    """Which part of *life* is its START or STOP; None if nothing acts."""
    return next((index for index, part in enumerate(life) if part.phase in ACTS), None)


def hook_of(node: Node, name: str) -> Hook | None:
    """The hook of that name in the node's life; None if there is none (KEEP_DOWN and RELEASE are no hooks)."""
    life = node.life
    return None if life is None else next((one for one in (*life.before, *life.after) if one.name == name), None)


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
