"""Batches: how a service's instances are split, what stands between two of them, and how runs go through them."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from conducted import run
from drafts import draft, entry, node_of, survey, waits
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_work import FAILED, Answer, Decision, ScriptedWork
from stages import node, stage
from virtual_time import run_virtual
from working import Bench
from working import node as working_node

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryService
from orchestrator.domain import estimate
from orchestrator.domain.budget import Budget
from orchestrator.domain.consequences import consequences
from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.draft import Batches
from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import DecisionAsked, Fact, RollbackBegan, RunEnded, RunResumed, StepEnded, StepIntended
from orchestrator.domain.plan import Action, Barrier, Batch, Limits, Plan, Role, Stage, Unit
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice as Chosen
from orchestrator.domain.planning.picture import picture
from orchestrator.domain.preview import preview
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.domain.runstate import RunState, Standing, Verdict
from orchestrator.domain.schedule import Schedule
from orchestrator.domain.service import State
from orchestrator.domain.terms import Terms
from orchestrator.engine.conductor.conduct import conduct

WEB = "w-1 w-2 w-3 w-4 w-5"


def batches(*sizes: int | str, pause_s: float = 0.0, asks: bool = False) -> Batches:
    """`batches(1, "50%")`."""
    made = (Budget(int(one.rstrip("%")), percent=True) if isinstance(one, str) else Budget(one) for one in sizes)
    return Batches(sizes=tuple(made), pause_s=pause_s, asks=asks)


def planned(
    of: Batches,
    action: Action = Action.STOP,
    *,
    hosts: str = WEB,
    of_draft: Mapping[str, Any] | None = None,
    **web: Any,
) -> Plan:
    """The plan for sql on db-1 and web, in batches, on *hosts*."""
    made = draft(entry("sql", "db-1"), entry("web", hosts, "sql", batches=of, **web), **(of_draft or {}))
    return build(made, Chosen(), action, survey(made, State.STOPPED if action is Action.START else State.RUNNING))


def begun(work: ScriptedWork) -> list[tuple[float, str]]:
    """When each first step of an acting unit, and each count, was asked."""
    wanted = (Phase.START, Phase.STOP, Phase.COUNT)
    return [(at, f.step.unit) for at, f in work.facts if isinstance(f, StepIntended) and f.step.phase in wanted]


def says(*choices: Choice) -> Callable[[DecisionAsked], Decision]:
    """The n-th decision is answered with the n-th of *choices*, after a second."""
    return lambda asked: Decision(choices[asked.decision - 1], after_s=1.0)


@pytest.mark.parametrize(
    ("of", "count", "sizes"),
    [
        (batches("25%"), 10, [2, 2, 2, 2, 2]),
        (batches(3), 7, [3, 3, 1]),
        (batches(1, "10%", "50%"), 40, [1, 4, 20, 15]),
        (batches("1%"), 2, [1, 1]),
        (batches(9), 5, [5]),
        (batches(1), 0, []),
    ],
)
def test_sizes_are_as_said_and_the_last_repeats(of: Batches, count: int, sizes: list[int]) -> None:
    assert of.of(count) == sizes


def test_a_stage_in_batches_has_a_node_between_two_and_each_waits_for_the_one_before() -> None:
    (down,) = planned(batches(1, 2, pause_s=60.0)).stages
    between = {n.unit.id: n for n in down.nodes if n.batch is not None}
    assert [(name, n.role, n.expected_s) for name, n in between.items()] == [
        ("web#2", Role.PROBE, 60.0),
        ("web#3", Role.PROBE, 60.0),
    ]
    assert between["web#3"].batch == Batch(number=3, of=3, size=2, pause_s=60.0)
    assert waits(down, "web#2") == {"web@w-1"}
    assert waits(down, "web@w-3") == {"web@w-1", "web#2"}
    assert waits(down, "web@w-4") == {"web@w-2", "web@w-3", "web#3"}
    assert waits(down, "sql@db-1") == {f"web@{host}" for host in WEB.split()}
    assert down.expected_s == pytest.approx(2 * 60.0 + 3 * node_of(down, "web@w-1").expected_s + 22.5)
    (shown,) = preview(planned(batches(1, 2, pause_s=60.0))).stages
    assert [(one.service, one.sizes, one.pause_s) for one in shown.batches] == [("web", (1, 2, 2), 60.0)]
    assert "web#2" not in {row.unit for wave in shown.waves for row in wave}
    assert not any(n.batch for one in planned(batches(1)).back for n in one.nodes), "the way back has none"


def test_a_picture_has_the_pauses_in_its_whole_and_in_no_service() -> None:
    made = draft(entry("sql", "db-1"), entry("web", WEB, "sql", batches=batches(1, pause_s=60.0)))
    drawn = picture(made, Chosen(), Action.START)
    assert {one.key: one.expected_s for one in drawn.services} == {"sql": 22.5, "web": 22.5}
    assert (drawn.expected_s, drawn.critical_path) == (22.5 + 5 * 22.5 + 4 * 60.0, ("sql", "web"))


def test_one_batch_is_none_and_an_order_goes_through_them() -> None:
    assert planned(batches("100%")).stages == planned(batches(7)).stages
    (down,) = planned(batches(2), in_order=True).stages
    assert [n.unit.id for n in down.nodes] == [
        "web@w-5", "web@w-4", "web#2", "web@w-3", "web@w-2", "web#3", "web@w-1", "sql@db-1",
    ]  # fmt: skip


@pytest.mark.parametrize("action", [Action.STOP, Action.START])
def test_a_run_pauses_between_batches_and_others_go_on(action: Action) -> None:
    work = ScriptedWork(before="Running" if action is Action.STOP else "Stopped")
    state = run(planned(batches(2, pause_s=300.0), action), replace_count_time(work, 300.0))
    assert state.verdict().verdict == Verdict.DONE
    order = [unit for _, unit in begun(work) if unit != "sql@db-1"]
    assert order == ["web@w-1", "web@w-2", "web#2", "web@w-3", "web@w-4", "web#3", "web@w-5"]
    at = {unit: when for when, unit in begun(work)}
    assert at["web@w-3"] - at["web@w-1"] == pytest.approx(301.0)


def replace_count_time(work: ScriptedWork, took_s: float) -> ScriptedWork:
    """*work*, whose counts take so long."""
    counts = {Step(0, f"web#{n}", Phase.COUNT).id: Answer(took_s=took_s) for n in range(2, 9)}
    return replace(work, script={**counts, **work.script})


def test_who_failed_holds_the_next_batch_until_it_is_decided_and_who_is_skipped_does_not() -> None:
    plan = planned(batches(1))
    held = ScriptedWork({"0/web@w-1/stop/1": FAILED}, before="Running", decide=lambda _: None, patient=False)
    assert not run(plan, held).finished
    assert [unit for _, unit in begun(held)] == ["web@w-1"]
    skipped = ScriptedWork({"0/web@w-1/stop/1": FAILED}, before="Running", decide=says(Choice.SKIP))
    run(plan, skipped)
    assert [unit for _, unit in begun(skipped)][1:] == [
        "web#2", "web@w-2", "web#3", "web@w-3", "web#4", "web@w-4", "web#5", "web@w-5",
    ]  # fmt: skip


def test_a_canary_that_dies_in_the_pause_holds_the_next_batch() -> None:
    dies = {"0/web@w-1/watch/1": Answer(Outcome.FAILED, 20.0, "Stopped")}
    work = ScriptedWork(dies, decide=lambda _: None, patient=False)
    state = run(planned(batches(1, pause_s=60.0), Action.START), replace_count_time(work, 60.0))
    assert (state.asking, [unit for _, unit in begun(work)]) == ((1,), ["sql@db-1", "web@w-1", "web#2"])
    assert state.open[1].cause.units == ("web@w-1",)


def asked(work: ScriptedWork) -> list[tuple[CauseKind, tuple[str, ...]]]:
    """What was asked, and about whom."""
    return [(f.cause.kind, f.cause.units) for f in work.journal if isinstance(f, DecisionAsked)]


def test_a_pause_may_be_a_persons() -> None:
    plan = planned(batches(2, asks=True))
    waiting = ScriptedWork(before="Running", decide=lambda _: None, patient=False)
    state = run(plan, waiting)
    assert [unit for _, unit in begun(waiting)] == ["web@w-1", "web@w-2"]
    question = state.open[1].cause
    assert (question.kind, question.said) == (CauseKind.PAUSE, "batch 2 of 3 of web is next: 2 of its instances")
    means = {one.choice: one for one in consequences(state, 1)}
    assert list(means) == [Choice.CONTINUE, Choice.ROLLBACK, Choice.HOLD, Choice.ABORT]
    going, hold = means[Choice.CONTINUE], means[Choice.HOLD]
    assert going.units == ("web@w-3", "web@w-4", "web@w-5", "sql@db-1"), (
        "to the end of the run, past what is asked later"
    )
    assert going.said == "goes on with the next batch; 1 more pause of the playbook, told as if it is continued"
    assert (hold.units, hold.said.count("pause")) == ((), 0)
    resumed = [*waiting.journal, RunResumed(requester="me", controller="here", epoch=2)]
    on = ScriptedWork(before="Running", decide=lambda _: Decision(Choice.CONTINUE), states=dict(waiting.states))
    on.facts.extend((0.0, fact) for fact in resumed)
    assert run(plan, on, resumed).verdict().verdict == Verdict.DONE
    again = ScriptedWork(before="Running", decide=lambda _: Decision(Choice.CONTINUE))
    assert run(plan, again).verdict().verdict == Verdict.DONE
    assert asked(again) == [(CauseKind.PAUSE, ("web#2",)), (CauseKind.PAUSE, ("web#3",))]


def test_a_pause_whose_late_answer_met_another_world_is_asked_anew() -> None:
    late = lambda one: Decision(Choice.CONTINUE, 61.0 if one.decision == 1 else 0.0)  # noqa: E731 - of one line
    work = ScriptedWork({"0/web@w-1/look/1": Answer(after="Running")}, before="Running", decide=late)
    run(planned(batches(2, asks=True)), work)
    pauses = [(CauseKind.PAUSE, ("web#2",)), (CauseKind.PAUSE, ("web#3",))]
    assert asked(work) == [pauses[0], (CauseKind.CHANGED, ("web@w-1",)), *pauses]


def test_what_is_held_at_a_pause_goes_on_days_later() -> None:
    plan = planned(batches(3, asks=True))
    held = ScriptedWork(before="Running", decide=says(Choice.HOLD, Choice.HOLD))
    state = run(plan, held)
    assert (state.held, state.asking) == (True, (2,))
    resumed = [*held.journal, RunResumed(requester="me", controller="here", epoch=2)]
    on = ScriptedWork(before="Running", decide=lambda _: Decision(Choice.CONTINUE), states=dict(held.states))
    on.facts.extend((0.0, fact) for fact in resumed)
    assert run(plan, on, resumed).verdict().verdict == Verdict.DONE
    assert on.decided == [(2, Choice.CONTINUE)]


def test_who_ends_the_run_at_a_pause_has_called_it_off() -> None:
    work = ScriptedWork(before="Running", decide=says(Choice.ABORT))
    ended: RunEnded = run(planned(batches(2, asks=True)), work).verdict()
    assert (ended.verdict, ended.exit_code) == (Verdict.CANCELLED, 5)
    assert ended.counts == {"ok": 2, "failed": 0, "unknown": 0, "untouched": 4}


def test_the_way_back_from_a_pause_has_neither_batches_nor_pauses() -> None:
    for action in (Action.STOP, Action.RESTART):
        work = ScriptedWork(before="Running", decide=says(Choice.ROLLBACK))
        assert run(planned(batches(2, asks=True), action), work).verdict().verdict == Verdict.ROLLED_BACK
        (back,) = [fact for fact in work.journal if isinstance(fact, RollbackBegan)]
        assert [n.unit.id for n in back.stages[0].nodes if n.role is Role.ACT] == ["web@w-1", "web@w-2"]
        assert not any(n.batch for n in back.stages[0].nodes)
        starts = [when for when, unit in begun(work)[-2:]]
        assert starts[0] == starts[1]


def test_a_cancel_breaks_a_pause_off_and_it_begins_anew() -> None:
    plan = planned(batches(3, pause_s=3600.0))
    counted = {"0/web#2/count/1": Answer(took_s=3600.0), "0/web#2/count/2": Answer(took_s=3600.0)}
    work = ScriptedWork(counted, before="Running", cancel_at_s=10.0, decide=says(Choice.CONTINUE))
    assert run(plan, work).verdict().verdict == Verdict.DONE
    whens = [when for when, unit in begun(work) if unit == "web#2"]
    assert whens == pytest.approx([1.0, 11.0])
    work = ScriptedWork(counted, before="Running", cancel_at_s=10.0, decide=says(Choice.ABORT))
    assert run(plan, work).verdict().verdict == Verdict.CANCELLED
    assert max(when for when, _ in work.facts) < 60.0


def test_a_pause_that_was_lost_with_its_process_begins_anew() -> None:
    plan = planned(batches(3, pause_s=60.0))
    first = ScriptedWork(before="Running")
    run(plan, first)
    upto = next(n for n, f in enumerate(first.journal) if isinstance(f, StepIntended) and f.step.phase is Phase.COUNT)
    resumed = [*first.journal[: upto + 1], RunResumed(requester="me", controller="here", epoch=2)]
    on = ScriptedWork(before="Running", states={f"web@w-{n}": "Stopped" for n in (1, 2, 3)})
    assert run(plan, on, resumed).verdict().verdict == Verdict.DONE
    assert "0/web#2/count/2" in on.ids


def test_who_pauses_takes_no_place_of_a_limit() -> None:
    made = planned(batches(1, pause_s=60.0), of_draft={"max_parallel": 1}, max_parallel=1).stages[0]
    schedule = Schedule(made)
    first = schedule.next_node()
    assert first is not None
    schedule.begin(first)
    schedule.end(first, Outcome.OK)
    between = schedule.next_node()
    assert between is not None
    schedule.begin(between)
    other = Schedule(replace(made, nodes=(*made.nodes, node("other@o-1")), limits=Limits(run=1)))
    for name in ("web@w-1", "web#2"):
        place = next(n for n, one in enumerate(made.nodes) if one.unit.id == name)
        other.begin(place)
        if name == "web@w-1":
            other.end(place, Outcome.OK)
    assert other.next_node() == len(made.nodes)


CHOICES = [Choice.CONTINUE, Choice.RETRY, Choice.SKIP, Choice.EXCLUDE, Choice.ROLLBACK]


@settings(max_examples=60, deadline=None)
@given(
    of=st.builds(batches, st.integers(1, 3), st.integers(1, 3), asks=st.booleans()),
    action=st.sampled_from([Action.STOP, Action.START, Action.RESTART]),
    bad=st.dictionaries(st.tuples(st.integers(1, 5), st.sampled_from(["stop", "start"])), st.integers(1, 2)),
    says=st.lists(st.sampled_from(CHOICES), min_size=1, max_size=6),
)
def test_whatever_fails_and_is_decided_no_batch_overtakes_the_one_before(
    of: Batches, action: Action, bad: dict[tuple[int, str], int], says: list[Choice]
) -> None:
    plan = planned(of, action)
    script = {
        f"0/web@w-{n}/{phase}/{tries}": FAILED for (n, phase), most in bad.items() for tries in range(1, most + 1)
    }

    def decide(asked: DecisionAsked) -> Decision:
        wanted = says[(asked.decision - 1) % len(says)]
        return Decision(
            wanted if wanted in asked.choices else Choice.SKIP if Choice.SKIP in asked.choices else asked.choices[0]
        )

    work = ScriptedWork(script, before="Stopped" if action is Action.START else "Running", decide=decide)
    assert run(plan, work).finished
    state = RunState.begin(plan)
    for fact in work.journal:
        if isinstance(fact, StepIntended) and fact.step.phase in (Phase.STOP, Phase.START) and not state.rolling_back:
            assert_the_batch_before_is_over(state, fact.step)
        state.apply(fact)
        dumped = json.loads(json.dumps(state.dump()))
        assert json.loads(json.dumps(RunState.load(plan, dumped).dump())) == dumped


@settings(max_examples=40, deadline=None)
@given(
    of=st.builds(batches, st.integers(1, 3), st.integers(1, 3), asks=st.booleans(), pause_s=st.just(30.0)),
    action=st.sampled_from([Action.STOP, Action.START]),
    bad=st.none() | st.integers(1, 5),
    cut=st.integers(1, 60),
    says=st.sampled_from(CHOICES),
)
def test_wherever_the_controller_dies_a_run_in_batches_goes_on(
    of: Batches, action: Action, bad: int | None, cut: int, says: Choice
) -> None:
    plan = planned(of, action)
    script = {} if bad is None else {f"0/web@w-{bad}/{action}/1": FAILED}
    before = "Stopped" if action is Action.START else "Running"

    def decide(asked: DecisionAsked) -> Decision:
        return Decision(says if says in asked.choices else asked.choices[0])

    first = ScriptedWork(script, before=before, decide=decide)
    run(plan, first)
    left: list[Fact] = [fact for fact in first.journal[:cut] if not isinstance(fact, RunEnded)]
    resumed = [*left, RunResumed(requester="me", controller="here", epoch=2)]
    on = ScriptedWork(before=before, decide=decide)
    on.facts.extend((0.0, fact) for fact in resumed)
    for fact in left:
        if isinstance(fact, StepEnded) and fact.result.after:
            on.states[fact.result.step.unit] = fact.result.after
    state = run(plan, on, resumed)
    assert state.finished
    if says is Choice.CONTINUE and bad is None:
        assert state.verdict().verdict == Verdict.DONE


def assert_the_batch_before_is_over(state: RunState, step: Step) -> None:
    """Everybody of it is at the goal, or given up."""
    here = state.stages[step.stage]
    mine = node_of(here, step.unit)
    asked_about = {unit for number in state.asking for unit in state.open[number].cause.units}
    for number in mine.waits_for:
        if here.barriers[number].soft:
            for place in (place for group in here.barriers[number].instances for place in group):
                unit = here.nodes[place].unit.id
                assert unit not in asked_about
                assert state.standing(unit) not in (Standing.WAITING, Standing.UNDER_WAY)


def count(states: Mapping[str, State], batch: Batch, *, down: bool = False) -> tuple[Result, float]:
    """A count after a batch of web on the hosts of *states*, and how long it took."""
    fleet = MemoryFleet()
    for host, state in states.items():
        fleet.add(host, MemoryService(name="web", state=state))
    name = "web#2"
    members = [working_node("web", host) for host in states]
    unit = Unit(id=name, service="web", host=None, scm_name=None, instance=name)
    between = replace(working_node("web", None, role=Role.PROBE, waits_for=(0,)), unit=unit, batch=batch)
    over = Barrier(name=name, instances=tuple((n,) for n in range(len(members))), need=len(members), soft=True)
    bench = Bench(State.RUNNING, [*members, between], fleet, (over,))
    result = run_virtual(bench.work.run(Step(0, name, Phase.COUNT)))
    return result, result.took_s


def test_a_count_waits_and_says_how_the_batch_before_stands() -> None:
    batch = Batch(number=2, of=3, size=4, pause_s=300.0)
    result, took_s = count({"w-1": State.RUNNING, "w-2": State.RUNNING}, batch)
    assert result.outcome is Outcome.OK
    assert took_s == pytest.approx(300.0, abs=5.0)
    assert result.said == "batch 1: 2 of 2 Running; batch 2 of 3 is next, 4 of web"
    result, _ = count({"w-1": State.RUNNING, "w-2": State.STOPPED}, batch)
    assert result.outcome is Outcome.OK
    assert result.said.startswith("batch 1: 1 of 2 Running, but web@w-2 Stopped; batch 2")


def test_zones_have_limits_of_their_own() -> None:
    zones = (("north", ("n-1", "n-2", "n-3")), ("south", ("s-1",)))
    made = draft(entry("web", "n-1 n-2 n-3 s-1 x-1"), max_parallel_per_zone=2, terms=Terms(zones=zones))
    (down,) = build(made, Chosen(), Action.STOP, survey(made)).stages
    assert (down.limits.zone, down.limits.zones) == (2, zones)
    schedule, begins = Schedule(down), []
    while (place := schedule.next_node()) is not None:
        schedule.begin(place)
        begins.append(down.nodes[place].unit.id)
    assert begins == ["web@n-1", "web@n-2", "web@s-1", "web@x-1"]
    schedule.end(0, Outcome.OK)
    assert schedule.next_node() == 2
    assert estimate.makespan_s(down) == pytest.approx(2 * down.nodes[0].expected_s)


def test_stages_without_batches_are_as_ever() -> None:
    plain: Stage = stage([node("a@h")])
    assert (plain.nodes[0].batch, plain.limits.zone) == (None, None)


class FullDisk(ScriptedWork):
    """Nothing can be written any more after a minute."""

    async def append(self, facts: Sequence[Fact]) -> None:
        if asyncio.get_running_loop().time() > 60:
            raise OrchError("the disk is full")
        await super().append(facts)


def test_a_run_that_can_go_on_no_more_does_not_wait_for_the_pause_between_two_batches() -> None:
    plan = planned(batches(2, pause_s=3600.0))
    work = FullDisk({"0/web#2/count/1": Answer(took_s=3600)}, before="Running", cancel_at_s=120)

    async def broken() -> float:
        with pytest.raises(OrchError, match="the disk is full"):
            await conduct(plan, RunState.begin(plan), work.ports)
        return asyncio.get_running_loop().time()

    assert run_virtual(broken()) < 130
