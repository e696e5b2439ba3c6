"""What the conductor promises of hooks, for any lives, any outcomes, any answers, and a kill at any moment."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_work import Answer, Decision, ScriptedWork
from stages import GATE, plan, stages, way_back
from virtual_time import run_virtual

from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAsked, Fact, RunResumed, StepEnded, StepIntended
from orchestrator.domain.gates import CommandCheck, Origin
from orchestrator.domain.life import Hook, IfStuck, Life, RunHooks
from orchestrator.domain.parts import goes_down, life_down
from orchestrator.domain.plan import Action, Down, Plan, Role, Stage
from orchestrator.domain.results import RUN, Acted, Outcome, Phase, Step
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import ServiceStatus, State
from orchestrator.engine.conductor.conduct import conduct

RESUMED = RunResumed(requester="me", controller="here", epoch=2)
LB = CommandCheck(exe="lb")
DOES = (Phase.PRE_STOP, Phase.POST_STOP)
UNDOES = (Phase.UNDO, Phase.PRE_START, Phase.POST_START)
ASKED = st.sampled_from([Choice.ROLLBACK, Choice.RETRY, Choice.SKIP, Choice.EXCLUDE, Choice.KILL, Choice.ABORT])


@dataclass(frozen=True, slots=True)
class Dice(Mapping[str, Answer]):
    """An answer to every step there may be, by a hash of its id; *good* of ten go well."""

    seed: int
    good: int

    def __getitem__(self, step: str) -> Answer:
        if "/watch/" in step and self._die(step, "lives", 2):
            raise KeyError(step)
        took_s = (0.0, 1.0, 1.0, 60.0)[self._die(step, "took", 4)]
        if self._die(step, "good", 10) < self.good:
            return Answer(took_s=took_s)
        outcome = (Outcome.FAILED, Outcome.UNKNOWN)[self._die(step, "outcome", 2)]
        reads = any(f"/{phase}" in step for phase in ("start/", "stop/", "kill/", "read", "look", "watch"))
        after = ("Running", "Stopped", "StopPending", "")[self._die(step, "after", 4)] if reads else ""
        return Answer(outcome, took_s, after, (ProblemKind.TIMEOUT, ProblemKind.GATE)[self._die(step, "kind", 2)])

    def _die(self, step: str, what: str, faces: int) -> int:
        return sha256(f"{self.seed} {what} {step}".encode()).digest()[0] % faces

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("there is no end of steps")

    def __len__(self) -> int:
        raise AssertionError("there is no end of steps")


@st.composite
def lives(draw: st.DrawFn) -> tuple[Life, Life]:
    """The life of a stop, and that of the start which mirrors it."""
    once = draw(st.booleans())
    hooks = [
        Hook(name=name, do=LB, undo=LB, origin=Origin.CONTROLLER, idempotent=not once)
        for name in ("pre_stop.1", "pre_stop.2", "post_stop.1")
    ]
    before = tuple(hooks[: draw(st.integers(0, 2))])
    after = tuple(hooks[2 : 2 + draw(st.integers(0, 1))])
    keep_down = draw(st.booleans())
    down = Life(
        prechecks=(GATE,) if draw(st.booleans()) else (),
        before=before,
        drained=(GATE,) if draw(st.booleans()) else (),
        after=after,
        if_stuck=draw(st.sampled_from(list(IfStuck))),
        keep_down=keep_down,
    )
    up = Life(
        before=tuple(replace(hook, undoes=True) for hook in reversed(after)),
        after=tuple(replace(hook, undoes=True) for hook in reversed(before)),
        healthy_s=30.0,
        keep_down=keep_down,
    )
    return down, up


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A stop of anything that runs, or a restart of it, whose way back is its start, be it a rolling one."""
    down = draw(stages(most=6, goal=State.STOPPED))
    made = [draw(lives()) if draw(st.booleans()) else (None, None) for _ in down.nodes]
    seen = [
        n.unit
        if n.unit.scm_name is None
        else replace(n.unit, seen=ServiceStatus(name=n.unit.scm_name, state=State.RUNNING))
        for n in down.nodes
    ]
    nodes = [
        replace(n, unit=unit, life=life[0] if n.role is Role.ACT else None)
        for n, unit, life in zip(down.nodes, seen, made, strict=True)
    ]
    up = {unit.id: life[1] for unit, life in zip(seen, made, strict=True)}
    down = replace(down, nodes=tuple(nodes))
    back = replace(way_back(down), goal=State.RUNNING)
    back = replace(back, nodes=tuple(replace(n, life=up[n.unit.id]) for n in back.nodes))
    hook = Hook(name="on_begin.1", do=LB, undo=LB, origin=Origin.CONTROLLER, idempotent=draw(st.booleans()))
    hooks = RunHooks(begin=(hook,), end=(replace(hook, name="on_end.1"),)) if draw(st.booleans()) else RunHooks()
    if draw(st.booleans()):
        return replace(plan(down, back), action=Action.RESTART, hooks=hooks)
    if draw(st.booleans()):
        patch = Hook(name="between.1", do=LB, origin=Origin.HOST, idempotent=draw(st.booleans()))
        between = (patch,) if draw(st.booleans()) else ()
        rolled = tuple(
            replace(n, life=up[n.unit.id], down=Down(life=n.life, gates=n.gates, between=between))
            if n.role is Role.ACT
            else n
            for n in down.nodes
        )
        whole = replace(down, nodes=rolled, goal=State.RUNNING)
        return replace(plan(whole, back=back), action=Action.RESTART, hooks=hooks)
    return replace(plan(down, back=back), action=Action.STOP, hooks=hooks)


@st.composite
def deciders(draw: st.DrawFn) -> Callable[[DecisionAsked], Decision]:
    """Somebody who gives any allowed answer, and after a while ends the run."""
    wanted = draw(st.lists(ASKED, max_size=6))

    def decide(asked: DecisionAsked) -> Decision:
        choice = ([*wanted, *[Choice.ABORT] * (asked.decision + 1)])[asked.decision - 1]
        if choice not in asked.choices:
            choice = next(one for one in (Choice.CONTINUE, Choice.SKIP, Choice.ABORT) if one in asked.choices)
        return Decision(choice)

    return decide


DICE = st.builds(Dice, seed=st.integers(0, 9999), good=st.integers(4, 10))
CANCELS = st.none() | st.sampled_from([0.5, 2.0, 61.0])


def _owed(journal: list[Fact]) -> set[tuple[str, str]]:
    """What may have run and was not undone, by looking at every result again: here starts only undo. What was lost may
    have run."""
    owed: set[tuple[str, str]] = set()
    under_way: dict[str, Step] = {}
    for fact in journal:
        if isinstance(fact, StepIntended) and fact.step.unit != RUN:
            under_way[fact.step.id] = fact.step
        elif isinstance(fact, StepEnded) and fact.result.step.unit != RUN:
            step = under_way.pop(fact.result.step.id)
            if step.phase in UNDOES and fact.result.outcome is Outcome.OK:
                owed.discard((step.unit, step.hook))
            elif step.phase in DOES and fact.result.acted is not Acted.NO:
                owed.add((step.unit, step.hook))
        elif isinstance(fact, RunResumed):
            owed |= {(step.unit, step.hook) for step in under_way.values() if step.phase in DOES}
            under_way = {}
    return owed


def _told(state: RunState) -> set[tuple[str, str]]:
    return {(unit, name) for unit, names in state.owed.items() for name in names if name != "keep_down"}


def _check(state: RunState, journal: list[Fact]) -> None:
    assert state.finished
    assert not state.under_way
    assert state.decide() == []
    assert _told(state) == _owed(journal)
    ended = state.verdict()
    if ended.verdict == "rolled back":
        assert not state.owed
    if not state.rolling_back and state.stage >= 0:
        _nobody_is_left_halfway(state, state.stages[state.stage], journal)
        _put_back_only_if_up(state, journal)


def _put_back_only_if_up(state: RunState, journal: list[Fact]) -> None:
    """In a rolling restart who never went down owes nothing of its way down, or that is named; and who is left down is
    not put back to where it is used."""
    nodes = {node.unit.id: node for node in state.stages[state.stage].nodes if node.down is not None}
    last: dict[str, Step] = {}
    left: dict[str, str] = {}
    for fact in journal:
        if isinstance(fact, StepIntended) and fact.step.unit in nodes:
            step = fact.step
            if step.phase is Phase.UNDO and step.hook.startswith("pre_stop"):
                assert left.get(step.unit) != "Stopped", f"{step.id} puts back who is down"
            if (step.phase is not Phase.READ or step.hook) and step.phase not in (Phase.LOOK, Phase.WATCH, Phase.UNDO):
                last[step.unit] = step
        elif isinstance(fact, StepEnded) and fact.result.after:
            left[fact.result.step.unit] = fact.result.after
    for unit, step in last.items():
        down = goes_down(step) and step.phase not in (Phase.POST_STOP, Phase.BETWEEN, Phase.GATE)
        if down and state.standing(unit) != "ok" and "Stopped" not in (state.left[unit], left.get(unit)):
            life = life_down(nodes[unit])
            before = {hook.name for hook in life.before} if life else set()
            owes = {(unit, name) for name in before} & _told(state)
            assert owes <= set(state.not_undone), f"{owes} were neither undone nor named"


def _nobody_is_left_halfway(state: RunState, stage: Stage, journal: list[Fact]) -> None:
    """Whoever did not come to the goal of the last stage, late or never, owes nothing of it, or that is named."""
    results = [fact.result for fact in journal if isinstance(fact, StepEnded)]
    finals = {one.step.unit: one.after for one in results if one.step.phase is Phase.READ and not one.step.hook}
    for node in stage.nodes:
        hooks = {hook.name for hook in node.life.before if not hook.undoes} if node.life else set()
        there = stage.goal in (state.left[node.unit.id], finals.get(node.unit.id))
        missed = not there and state.standing(node.unit.id) != "ok"
        if missed and node.role is Role.ACT:
            left = {(node.unit.id, name) for name in hooks} & _told(state)
            assert left <= set(state.not_undone), f"{left} were neither undone nor named"


@settings(max_examples=60, deadline=None)
@given(any_plan=plans(), dice=DICE, decide=deciders(), cancel_at_s=CANCELS)
def test_what_may_have_run_is_known_and_undone(
    any_plan: Plan, dice: Dice, decide: Callable[[DecisionAsked], Decision], cancel_at_s: float | None
) -> None:
    work = ScriptedWork(dice, decide=decide, cancel_at_s=cancel_at_s, before="Running")
    live = run_virtual(conduct(any_plan, RunState.begin(any_plan), work.ports))
    _check(live, work.journal)
    folded = RunState.begin(any_plan)
    for number, fact in enumerate(work.journal):
        folded.apply(fact)
        if number % 3 == 0:
            assert RunState.load(any_plan, json.loads(json.dumps(folded.dump()))).dump() == folded.dump()
    assert folded.dump() == live.dump()


@settings(max_examples=60, deadline=None)
@given(any_plan=plans(), dice=DICE, decide=deciders(), cut=st.floats(0, 1))
def test_killed_anywhere_it_goes_on_and_repeats_no_hook_by_itself(
    any_plan: Plan, dice: Dice, decide: Callable[[DecisionAsked], Decision], cut: float
) -> None:
    whole = ScriptedWork(dice, decide=decide, before="Running")
    run_virtual(conduct(any_plan, RunState.begin(any_plan), whole.ports))
    facts: list[Fact] = [*whole.journal[: int(cut * len(whole.facts))], RESUMED]
    state = RunState.begin(any_plan)
    for fact in facts:
        state.apply(fact)
    loaded = RunState.load(any_plan, json.loads(json.dumps(state.dump())))
    rest = ScriptedWork(dice, decide=decide, states=dict(whole.states), facts=[(0.0, fact) for fact in facts])
    again = ScriptedWork(dice, decide=decide, states=dict(whole.states), facts=[(0.0, fact) for fact in facts])
    state = run_virtual(conduct(any_plan, state, rest.ports))
    loaded = run_virtual(conduct(any_plan, loaded, again.ports))
    assert rest.facts == again.facts, "what was loaded goes on as what was folded"
    _check(state, rest.journal)
    asked = [fact.step for fact in rest.journal if isinstance(fact, StepIntended)]
    assert len(asked) == len({step.id for step in asked})
    retried = any(isinstance(f, DecisionAsked) and f.cause.kind is CauseKind.FAILURE for f in rest.journal)
    if not retried:
        dos = Counter(
            (step.unit, step.hook) for step in asked if step.phase is Phase.PRE_STOP and _once(any_plan, step.unit)
        )
        assert all(count == 1 for count in dos.values())


def _once(any_plan: Plan, unit: str) -> bool:
    [life] = [life_down(node) for node in any_plan.stages[0].nodes if node.unit.id == unit]
    return life is not None and all(not hook.idempotent for hook in life.before)
