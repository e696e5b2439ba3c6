"""Any run of units with any lives: the timeline tells, fact by fact, what the run itself knows."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_work import Answer, Decision, ScriptedWork
from stages import GATE, plan, stage, stages
from virtual_time import run_virtual

from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAsked, Fact, RunBegan, Stamped, StepIntended
from orchestrator.domain.gates import CommandCheck, Origin
from orchestrator.domain.life import Hook, IfStuck, Life, RunHooks
from orchestrator.domain.parts import is_last_reading, parts
from orchestrator.domain.plan import Action, Down, Node, Plan, Role, Stage
from orchestrator.domain.results import RUN, Outcome, Phase, Step
from orchestrator.domain.runstate import RunState, Standing
from orchestrator.domain.service import State
from orchestrator.domain.timeline import Timeline
from orchestrator.engine.conductor.conduct import conduct

DOES = CommandCheck(exe="does.exe")
BAD = st.sampled_from([Outcome.FAILED, Outcome.FAILED, Outcome.UNKNOWN])
OVER = (Standing.OK, Standing.FAILED, Standing.UNKNOWN)


@st.composite
def hooks(draw: st.DrawFn, side: str) -> tuple[Hook, ...]:
    """None, one or two; some undo what another stage did."""
    count = draw(st.sampled_from([0, 0, 1, 2]))
    return tuple(
        Hook(
            name=f"{side}.{number}",
            do=DOES,
            undo=DOES if draw(st.booleans()) else None,
            idempotent=draw(st.booleans()),
            undoes=draw(st.booleans()),
            origin=Origin.HOST,
        )
        for number in range(count)
    )


@st.composite
def lives(draw: st.DrawFn) -> Life | None:
    """A life with any of its parts; often none."""
    if draw(st.booleans()):
        return None
    return Life(
        prechecks=(GATE,) if draw(st.booleans()) else (),
        before=draw(hooks("before")),
        drained=(GATE,) if draw(st.booleans()) else (),
        after=draw(hooks("after")),
        healthy_s=draw(st.sampled_from([0.0, 5.0])),
        if_stuck=draw(st.sampled_from(list(IfStuck))),
        keep_down=draw(st.booleans()),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A stop, a start or a restart of units with lives, perhaps checked first, and with hooks of the run."""
    goal = draw(st.sampled_from([State.STOPPED, State.RUNNING]))
    bare = draw(stages(most=5, goal=goal))
    rolls = goal is State.RUNNING and draw(st.booleans())
    acting = replace(bare, nodes=tuple(_lived(draw, node, rolls=rolls) for node in bare.nodes))
    staged = [acting]
    if draw(st.booleans()):
        probes = [replace(node, role=Role.PROBE, life=None, gates=(GATE,), down=None) for node in acting.nodes]
        free = [replace(node, waits_for=(), begins_after=None) for node in probes if node.unit.host]
        staged.insert(0, replace(stage(free, goal=goal), checks=True))
    silence = Hook(name="on_begin.1", do=DOES, undo=DOES, origin=Origin.CONTROLLER)
    made = replace(plan(*staged[-1:]), stages=tuple(staged), back=(_back(acting),))
    if rolls:
        made = replace(made, action=Action.RESTART)
    return replace(made, hooks=RunHooks(begin=(silence,))) if draw(st.booleans()) else made


def _lived(draw: st.DrawFn, node: Node, *, rolls: bool) -> Node:
    if node.role is not Role.ACT:
        return node
    return _both_ways(draw, node) if rolls and draw(st.booleans()) else replace(node, life=draw(lives()))


def _both_ways(draw: st.DrawFn, node: Node) -> Node:
    """*node*, which goes down before it comes up; what it does on the way down is undone on the way up."""
    drain = Hook(name="drain", do=DOES, undo=DOES, idempotent=draw(st.booleans()), origin=Origin.CONTROLLER)
    patch = Hook(name="between.1", do=DOES, idempotent=draw(st.booleans()), origin=Origin.HOST)
    up, down = draw(lives()), draw(lives())
    up = replace(up, prechecks=(), drained=()) if up else None  # those are of the way down alone
    if down is not None:
        down = replace(down, before=(drain,), after=())
        up = replace(up or Life(), after=((up.after if up else ()) + (replace(drain, undoes=True),)))
    between = (patch,) if draw(st.booleans()) else ()
    gates = (GATE,) if draw(st.booleans()) else ()
    return replace(node, life=up, down=Down(gates=gates, life=down, between=between))


def _back(acting: Stage) -> Stage:
    rolls = any(node.down is not None for node in acting.nodes)
    goal = State.RUNNING if rolls or acting.goal is State.STOPPED else State.STOPPED
    nodes = [
        replace(node, waits_for=(), begins_after=None, down=None) for node in acting.nodes if node.role is Role.ACT
    ]
    return stage(nodes, goal=goal)


def steps_of(of: Plan) -> list[Step]:
    """Every first step that a plan may issue, and the second attempts."""
    found = [
        Step(number, node.unit.id, part.phase, attempt, hook=part.hook)
        for number, one in enumerate(of.stages)
        for node in one.nodes
        for part in parts(node, one.goal, checks=one.checks)
        for attempt in (1, 2)
    ]
    undos = [replace(step, phase=Phase.UNDO) for step in found if step.hook and step.phase is not Phase.READ]
    beside = [replace(step, phase=phase, hook="") for step in found for phase in (Phase.KILL, Phase.WATCH)]
    return [*found, *undos, *beside, Step(0, RUN, Phase.ON_BEGIN, hook="on_begin.1")]


@st.composite
def scripts(draw: st.DrawFn, of: Plan) -> dict[str, Answer]:
    """A few steps that go wrong, or find their unit at its goal."""
    script: dict[str, Answer] = {}
    for step in draw(st.lists(st.sampled_from(steps_of(of)), max_size=6)):
        goal = draw(st.sampled_from([of.stages[step.stage].goal, State.STOPPED]))
        if step.phase is Phase.READ:
            script[step.id] = Answer(after=goal)
            continue
        kind = draw(st.sampled_from([ProblemKind.TIMEOUT, ProblemKind.ORPHAN, ProblemKind.GATE]))
        after = (
            draw(st.sampled_from(["StopPending", "Stopped", ""])) if step.phase in (Phase.STOP, Phase.KILL) else None
        )
        script[step.id] = Answer(outcome=draw(BAD), took_s=draw(st.sampled_from([1.0, 3.0])), after=after, kind=kind)
    return script


CHOICES = st.sampled_from([Choice.RETRY, Choice.KILL, Choice.SKIP, Choice.EXCLUDE, Choice.CONTINUE, Choice.ROLLBACK])


def check(timeline: Timeline, state: RunState, fact: Fact) -> None:
    """What has ended, by the timeline, has ended, and what went wrong went wrong."""
    for one in timeline.stages:
        assert one.ready >= 0
        assert sum(row.counts.total() for row in one.rows.values()) == len(one.tracks)
        assert all(count >= 0 for row in one.rows.values() for count in row.counts.values())
    if state.stage < (timeline.back_from or 0) or timeline.stage != state.stage or isinstance(fact, StepIntended):
        return  # there is none, or what was to go again in it is over by what the timeline says
    for track in timeline.stages[state.stage].tracks.values():
        stands = state.standing(track.unit)
        if track.standing is Standing.WAITING and track.result is not None:
            continue  # it was to go again, and whether it does is told by its next step, or the end
        assert (track.standing in OVER) == (stands in OVER) or track.standing is Standing.UNTOUCHED, track.unit
        if stands in OVER:
            assert track.standing in (stands, Standing.UNTOUCHED), track.unit


@settings(deadline=None, max_examples=60)
@given(st.data(), plans(), st.lists(CHOICES, max_size=4), st.none() | st.sampled_from([0.5, 2.5, 6.0]))
def test_the_timeline_of_any_lives_tells_what_the_run_knows(
    data: st.DataObject, of: Plan, wanted: list[Choice], cancel_at_s: float | None
) -> None:
    given_: list[Choice] = [*wanted]

    def decide(asked: DecisionAsked) -> Decision:
        while given_:
            choice = given_.pop(0)
            if choice in asked.choices:
                return Decision(choice)
        return Decision()

    before = "Running" if of.stages[-1].goal is State.STOPPED or of.action is Action.RESTART else "Stopped"
    work = ScriptedWork(data.draw(scripts(of)), decide=decide, before=before, cancel_at_s=cancel_at_s)
    run_virtual(conduct(of, RunState.begin(of), work.ports))
    timeline, state = Timeline(), RunState.begin(of)
    began = RunBegan(run="r", plan=of, requester="", controller="")
    told = [(0.0, began), *((now_s, fact) for now_s, fact in work.facts if not isinstance(fact, RunBegan))]
    for number, (now_s, fact) in enumerate(told, start=1):
        state.apply(fact)
        timeline.fact(Stamped(number, now_s, now_s, fact))
        check(timeline, state, fact)
    owed: Mapping[str, object] = {unit: names for unit, names in state.owed.items() if names}
    mine = {unit: {*of_unit} for unit, of_unit in timeline.hooks_done.of.items() if of_unit and unit != RUN}
    assert mine.keys() >= owed.keys()
    timeline.fact(Stamped(len(told) + 1, 99.0, 99.0, state.verdict()))
    assert timeline.checking == 0
    assert not timeline.under_way(1)
    assert all(track.standing in (*OVER, Standing.UNTOUCHED) for track in timeline.tracks())
    last = {fact.step.unit for _, fact in work.facts if isinstance(fact, StepIntended) and _is_last(fact.step)}
    assert all(not timeline.owns(Step(max(state.stage, 0), unit, Phase.READ)) for unit in last)


def _is_last(step: Step) -> bool:
    return step.unit != RUN and is_last_reading(step, Role.ACT)
