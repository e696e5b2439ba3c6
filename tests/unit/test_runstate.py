"""The run state as a fold: what it refuses, and what it knows on the way."""

import pytest
from stages import barrier, node, plan, stage

from orchestrator.domain.facts import Fact, OrderTaken, RunBegan, RunEnded, StageBegan, StepEnded, StepIntended
from orchestrator.domain.plan import Role
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.domain.runstate import RunState
from orchestrator.domain.schedule import Schedule

SHOP = plan(
    stage(
        [node("sql@db", gated=True), node("app@web", waits_for=(0,)), node("mq@q", role=Role.PASS)],
        [barrier(0)],
    )
)
SQL, GATE, APP = Step(0, "sql@db", Phase.START), Step(0, "sql@db", Phase.GATE), Step(0, "app@web", Phase.START)
WATCH = Step(0, "sql@db", Phase.WATCH)


def _ok(step: Step) -> StepEnded:
    return StepEnded(Result(step=step, outcome=Outcome.OK, after="Running"))


def _after(*facts: Fact) -> RunState:
    state = RunState.begin(SHOP)
    for fact in facts:
        state.apply(fact)
    return state


BEGUN = (StageBegan(0), StepIntended(SQL))


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ((StageBegan(1),), "stage 1 can't begin"),
        ((StageBegan(0), StageBegan(1)), "stage 1 can't begin"),
        ((StepIntended(SQL),), "no unit of stage -1"),
        ((StageBegan(0), StepIntended(Step(0, "nobody@h", Phase.START))), "no unit of stage 0"),
        ((StageBegan(0), _ok(SQL)), "not under way"),
        ((*BEGUN, StepIntended(SQL)), "is under way"),
        ((*BEGUN, _ok(SQL), StepIntended(SQL)), "does not follow"),
        ((*BEGUN, _ok(SQL), _ok(SQL)), "not under way"),
        ((StageBegan(0), StepIntended(GATE)), "does not follow"),
        ((StageBegan(0), StepIntended(Step(0, "sql@db", Phase.STOP))), "does not follow"),
        ((StageBegan(0), StepIntended(Step(0, "mq@q", Phase.READ))), "does not follow"),
    ],
)
def test_facts_that_cannot_follow_are_refused(facts: tuple[Fact, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _after(*facts)


def test_it_knows_where_each_unit_stands() -> None:
    state = _after(*BEGUN)
    assert [state.standing(unit) for unit in ("sql@db", "app@web", "mq@q")] == ["under way", "waiting", "ok"]
    assert state.under_way == [SQL]
    state.apply(_ok(SQL))
    assert state.standing("sql@db") == "under way"
    assert state.decide() == [StepIntended(GATE)]
    state.apply(StepEnded(Result(step=GATE, outcome=Outcome.OK)))
    assert state.standing("sql@db") == "ok"
    assert state.decide() == [StepIntended(APP), StepIntended(WATCH)]
    assert [*state.watching] == [WATCH]
    assert state.under_way == [APP]
    assert state.left == {"sql@db": "Running", "app@web": "Stopped", "mq@q": "Stopped"}


def test_what_jobs_append_is_folded_too() -> None:
    ended = RunEnded(verdict="cancelled", exit_code=5, counts={"ok": 0})
    state = _after(RunBegan(run="r1", plan=SHOP, requester="me", controller="here"), OrderTaken("cancel"), ended)
    assert (state.run, state.orders, state.ended) == ("r1", ["cancel"], ended)
    assert RunState.load(SHOP, state.dump()).dump() == state.dump()


def test_a_cancel_before_anything_began_leaves_all_untouched_and_reads_nothing() -> None:
    state = _after(OrderTaken("cancel"))
    assert state.decide() == []
    assert state.verdict().counts == {"ok": 0, "failed": 0, "unknown": 0, "untouched": 2}


@pytest.mark.parametrize("count", [20_000])
def test_long_chains_of_nodes_without_steps_are_passed_in_one_go(count: int) -> None:
    nodes = [node(f"s{n}@h", role=Role.PASS, waits_for=(n - 1,) if n else ()) for n in range(count)]
    assert Schedule(stage(nodes, [barrier(n) for n in range(count)])).whole


def test_a_soft_barrier_opens_however_its_nodes_ended_and_a_hard_one_does_not() -> None:
    nodes = [node("a@1"), node("soft@2", waits_for=(0,)), node("hard@3", waits_for=(1,))]
    schedule = Schedule(stage(nodes, [barrier(0, soft=True), barrier(0)]))
    schedule.begin(0)
    schedule.end(0, Outcome.FAILED)
    assert schedule.next_node() == 1
    schedule.begin(1)
    assert schedule.next_node() is None


def test_an_instance_is_ready_when_all_its_nodes_are() -> None:
    nodes = [node("a:X@1"), node("a:Y@1"), node("a:X@2"), node("b@9", waits_for=(0,))]
    schedule = Schedule(stage(nodes, [barrier((0, 1), (2,), need=1)]))
    for place in range(3):
        assert schedule.next_node() == place
        schedule.begin(place)
    schedule.end(0, Outcome.OK)
    assert schedule.next_node() is None
    schedule.end(2, Outcome.OK)
    assert schedule.next_node() == 3
