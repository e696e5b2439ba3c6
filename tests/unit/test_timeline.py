"""The timeline tells what happened, what is under way and what waits for what, cheaply and for any run."""

import json
from collections.abc import Callable
from functools import partial

import pytest
from fake_run import SMALL, facts, fleet, play
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import cpu_s, times
from nights import Night, failing, going_back, incomplete, parked, rolled_back
from scripted_work import Decision, ScriptedWork, scripts
from stages import plan, stages
from virtual_time import run_virtual

from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.facts import (
    UNREAD,
    DecisionAsked,
    Fact,
    OrderTaken,
    RunBegan,
    RunEnded,
    StageBegan,
    Stamped,
    StepIntended,
    Strayed,
)
from orchestrator.domain.plan import Action, Barrier, Node, Plan, Role, Stage, Unit
from orchestrator.domain.results import Note, Outcome, Phase, Step
from orchestrator.domain.runstate import RunState, Standing
from orchestrator.domain.service import State
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.timeline_json import as_json
from orchestrator.domain.unlike import unlike
from orchestrator.engine.conductor.conduct import conduct


def folded(events: list[Stamped]) -> Timeline:
    timeline = Timeline()
    for stamped in events:
        timeline.fact(stamped)
    return timeline


def until(plan: Plan, stop: Callable[[Timeline, Fact], bool], *, bad: dict[str, Outcome] | None = None) -> Timeline:
    """The timeline of a made-up run, notes included, broken off where *stop* says so."""
    timeline = Timeline()
    for event in play(plan, bad=bad):
        if isinstance(event, Stamped):
            timeline.fact(event)
            if stop(timeline, event.fact):
                return timeline
        else:
            timeline.note(event[1])
    raise AssertionError("never came to that point")


def stand(timeline: Timeline) -> dict[str, str]:
    return {track.unit: str(track.standing) for track in timeline.tracks()}


def test_a_good_run_ends_with_every_unit_ok() -> None:
    timeline = folded(facts(fleet(SMALL)))
    assert set(stand(timeline).values()) == {"ok"}
    assert timeline.counts() == {Standing.OK: 3, Standing.WAITING: 0, Standing.UNDER_WAY: 0}
    assert (timeline.ended_count, timeline.total, timeline.failures) == (3, 3, [])
    assert timeline.current is not None
    assert not timeline.current.under_way
    assert timeline.remaining_s(0.0) is None


def test_under_way_names_the_longest_first_with_what_it_saw_last() -> None:
    timeline = until(fleet((("web", 3), ("sql", 1))), lambda line, _: len(line.under_way(9)) == 3)
    timeline.note(Note(Step(0, "web@web-01", Phase.STOP), "StopPending, checkpoint 7"))
    first, *_ = timeline.under_way(2)
    assert len(timeline.under_way(2)) == 2
    assert first.since_s <= timeline.under_way(9)[-1].since_s
    assert {track.note for track in timeline.under_way(9)} >= {"StopPending, checkpoint 7"}


def test_what_waits_is_told_with_whom_it_waits_for() -> None:
    timeline = until(fleet((("web", 3), ("sql", 2))), lambda line, _: len(line.under_way(9)) == 3)
    [wait] = timeline.waits(5)
    assert (wait.first.unit, wait.units, wait.missing) == ("sql@sql-01", 2, 3)
    assert {track.service for track in wait.held_by} == {"web"}


def test_what_waits_for_two_services_is_told_once() -> None:
    def unit(name: str) -> Unit:
        return Unit(id=name, service=name[0], host=name, scm_name=name, instance=name)

    both = (0, 1)
    nodes = (
        *(Node(unit=unit(name), role=Role.ACT) for name in ("a1", "a2", "b1")),
        *(Node(unit=unit(name), role=Role.ACT, waits_for=both) for name in ("c1", "c2")),
    )
    barriers = (Barrier(name="a", instances=((0,), (1,)), need=2), Barrier(name="b", instances=((2,),), need=1))
    plan = Plan(name="x", action=Action.STOP, stages=(Stage(goal=State.STOPPED, nodes=nodes, barriers=barriers),))
    timeline = until(plan, lambda line, _: len(line.under_way(9)) == 3)
    [wait] = timeline.waits(5, held_by=9)
    assert (wait.first.unit, wait.units, wait.missing) == ("c1", 2, 3)
    assert {track.unit for track in wait.held_by} == {"a1", "a2", "b1"}


def test_units_that_wait_for_a_place_alone_are_counted() -> None:
    timeline = until(fleet((("web", 5),), slots=2), lambda line, _: len(line.under_way(9)) == 2)
    assert timeline.current is not None
    assert timeline.current.ready == 3


def test_after_a_failure_the_untouched_know_whom_they_needed() -> None:
    plan = fleet((("web", 3), ("orders", 1), ("sql", 1)), slots=1)
    timeline = folded(facts(plan, bad={"web@web-03": Outcome.FAILED}))
    ends = stand(timeline)
    assert ends["web@web-03"] == "failed"
    assert ends["sql@sql-01"] == "untouched"
    why = {track.unit: track.why for track in timeline.tracks() if track.standing is Standing.UNTOUCHED}
    assert why["sql@sql-01"] == "waits for web@web-03, which failed"
    assert all(said.startswith(("waits for", "nothing more was begun: abort was decided")) for said in why.values())
    assert timeline.halted == "abort was decided"


def test_an_unknown_unit_has_no_state_that_could_be_believed() -> None:
    timeline = folded(facts(fleet(SMALL), bad={"web@web-02": Outcome.UNKNOWN}))
    [lost] = timeline.failures
    assert (lost.unit, lost.now, str(lost.standing)) == ("web@web-02", "unknown", "unknown")
    assert lost.error == "The service did not respond. (error 1053)"


def test_a_stage_that_never_began_shows_where_the_one_before_left_its_units() -> None:
    timeline = folded(facts(fleet(SMALL, slots=1, twice=True), bad={"sql@sql-01": Outcome.FAILED}))
    start = {track.unit: track for track in timeline.stages[1].tracks.values()}
    assert (str(start["web@web-02"].standing), start["web@web-02"].now) == ("untouched", "Stopped")


def test_a_barrier_that_needs_one_opens_with_one_and_is_lost_with_all() -> None:
    def unit(name: str) -> Unit:
        return Unit(id=name, service=name[0], host=name, scm_name=name, instance=name)

    def three() -> Plan:
        nodes = (
            Node(unit=unit("a1"), role=Role.ACT),
            Node(unit=unit("a2"), role=Role.ACT),
            Node(unit=unit("b1"), role=Role.PASS, waits_for=(0,)),
            Node(unit=unit("c1"), role=Role.ACT, waits_for=(1,)),
        )
        barriers = (Barrier(name="a", instances=((0,), (1,)), need=1), Barrier(name="b", instances=((2,),), need=1))
        return Plan(name="x", action=Action.START, stages=(Stage(goal=State.RUNNING, nodes=nodes, barriers=barriers),))

    one = folded(facts(three()))
    assert stand(one) == {"a1": "ok", "a2": "ok", "c1": "ok"}, "what only hands the order on is nobody's row"
    both = folded(facts(three(), bad={"a1": Outcome.FAILED, "a2": Outcome.FAILED}))
    assert {track.unit: track.why for track in both.tracks() if track.why} == {"c1": "needs a2, which failed"}


def test_the_look_at_the_end_moves_no_unit() -> None:
    timeline = until(fleet(SMALL), lambda line, fact: isinstance(fact, StepIntended) and fact.step.phase is Phase.READ)
    assert timeline.checking == 1
    assert set(stand(timeline).values()) == {"ok"}


def test_orders_and_strays_are_kept() -> None:
    timeline = Timeline()
    timeline.fact(Stamped(1, 0.0, 0.0, OrderTaken("cancel")))
    timeline.fact(Stamped(2, 0.0, 0.0, Strayed("a@b", "Stopped", "Running")))
    timeline.fact(Stamped(3, 0.0, 0.0, RunEnded(verdict="cancelled", exit_code=5)))
    assert (timeline.orders, timeline.halted) == ([OrderTaken("cancel")], "cancel was ordered")
    assert [stray.unit for stray in timeline.strayed] == ["a@b"]


def test_the_estimate_starts_at_the_plans_and_falls_to_nothing() -> None:
    plan = fleet(slots=4)
    timeline, seen = Timeline(), []
    for event in facts(plan):
        timeline.fact(event)
        left_s = timeline.remaining_s(event.elapsed_s)
        if left_s is not None:
            seen.append(left_s)
    assert seen[0] == pytest.approx(plan.stages[0].expected_s)
    assert seen[-1] == 0.0
    assert max(seen) <= seen[0] * 1.05
    assert seen[len(seen) // 2] < seen[0] * 0.7


PLANS = st.builds(plan, stages()) | st.builds(plan, stages(goal=State.STOPPED), stages())


ANSWERS = st.lists(st.sampled_from([choice for choice in Choice if choice is not Choice.HOLD]), max_size=4)


def answers(wanted: list[Choice]) -> Callable[[DecisionAsked], Decision]:
    """What to answer to one decision after the other, where it is offered; in the end, abort."""
    left = list(wanted)

    def decide(asked: DecisionAsked) -> Decision:
        choice = left.pop(0) if left else Choice.ABORT
        return Decision(choice if choice in asked.choices else Choice.ABORT, after_s=1.5)

    return decide


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(),
    any_plan=PLANS,
    cancel_at_s=st.none() | st.sampled_from([0.0, 1.0, 4.0]),
    wanted=ANSWERS,
)
def test_the_timeline_of_any_run_tells_what_the_conductor_did(
    data: st.DataObject, any_plan: Plan, cancel_at_s: float | None, wanted: list[Choice]
) -> None:
    work = ScriptedWork(data.draw(scripts(any_plan)), cancel_at_s=cancel_at_s, decide=answers(wanted))
    state = run_virtual(conduct(any_plan, RunState.begin(any_plan), work.ports))
    timeline = Timeline()
    began = RunBegan(run="r", plan=any_plan, requester="", controller="")
    told = [(0.0, began), *((now_s, fact) for now_s, fact in work.facts if not isinstance(fact, RunBegan))]
    for number, (now_s, fact) in enumerate([*told, (99.0, state.verdict())], start=1):
        timeline.fact(Stamped(number, now_s, now_s, fact))
        left_s = timeline.remaining_s(now_s)
        assert left_s is None or left_s >= 0
        for stage in timeline.stages:
            assert stage.ready >= 0
            assert sum(row.counts.total() for row in stage.rows.values()) == len(stage.tracks)
            assert all(count >= 0 for row in stage.rows.values() for count in row.counts.values())
    assert timeline.checking == 0
    assert not timeline.under_way(1)
    assert not timeline.decisions.open
    assert sorted(timeline.touched()) == sorted(state.touched) or state.rolling_back
    assert (timeline.back_from is not None) == state.rolling_back
    if state.stage >= 0:
        for track in timeline.stages[state.stage].tracks.values():
            assert track.standing == state.standing(track.unit)
            if track.role is Role.ACT and not timeline.strayed:
                assert track.now == (state.left[track.unit] or UNREAD)


def test_what_waits_for_a_failed_unit_waits_and_a_retry_puts_it_back_into_the_queue() -> None:
    night = failing()
    timeline = folded(night.facts)
    assert stand(timeline) == {"web@web-01": "ok", "web@web-02": "failed", "sql@sql-01": "waiting"}
    [wait] = timeline.waits(5)
    assert [track.unit for track in wait.held_by] == ["web@web-02"]
    [question] = timeline.decisions.open
    assert (question.headline, timeline.halted) == ("web@web-02 failed (timeout)", "")
    timeline = folded(night.answer(1, Choice.RETRY).facts)
    assert (timeline.failures, timeline.ended_count, timeline.decisions.open) == ([], 1, [])
    assert stand(timeline)["web@web-02"] == "waiting"
    night.intend("web@web-02", attempt=2).later(5).ended("web@web-02", attempt=2)
    timeline = folded(night.facts)
    assert stand(timeline)["web@web-02"] == "ok"
    assert timeline.current is not None
    assert (timeline.current.ready, timeline.current.tracks["web@web-02"].attempts) == (1, 2)


@pytest.mark.parametrize("choice", [Choice.SKIP, Choice.EXCLUDE])
def test_who_is_left_out_stays_as_it_is_and_what_needs_it_is_untouched(choice: Choice) -> None:
    night = failing().answer(1, choice)
    timeline = folded(night.tell(RunEnded(verdict="failed", exit_code=1)).facts)
    assert stand(timeline) == {"web@web-01": "ok", "web@web-02": "failed", "sql@sql-01": "untouched"}
    [lost] = timeline.failures
    assert lost.set_aside == {Choice.SKIP: "skipped", Choice.EXCLUDE: "excluded"}[choice]
    assert [track.why for track in timeline.tracks() if track.why] == ["waits for web@web-02, which failed"]
    assert list(timeline.excluded) == (["web-02"] if choice is Choice.EXCLUDE else [])


def test_an_excluded_host_is_done_without_in_later_stages_too() -> None:
    night = Night(fleet(SMALL, twice=True)).begin().intend("web@web-01", "web@web-02", "sql@sql-01")
    night.ended("web@web-01").ended("sql@sql-01").ended("web@web-02", outcome=Outcome.FAILED).ask(1, "web@web-02")
    night.answer(1, Choice.EXCLUDE).tell(StageBegan(1))
    timeline = folded(night.facts)
    start = {track.unit: track for track in timeline.stages[1].tracks.values()}
    assert (str(start["web@web-02"].standing), start["web@web-02"].why) == (
        "untouched",
        "web-02 was excluded by decision 1",
    )


def test_times_stay_true_over_processes_and_what_was_under_way_is_due_again() -> None:
    night = parked()
    timeline = folded(night.facts)
    assert timeline.parked is not None
    assert timeline.elapsed_s(9999.0) == pytest.approx(91.0)
    night.facts = failing().intend("sql@sql-01").facts
    night.another_process(7200)
    timeline = folded(night.facts)
    assert timeline.elapsed_s(timeline.last_s) == pytest.approx(7290 + 1)
    assert timeline.resumes[0].lost == ("sql@sql-01",)
    assert stand(timeline)["sql@sql-01"] == "waiting"
    timeline = folded(night.later(9).tell(RunEnded(verdict="failed", exit_code=1, said="closed by ada")).facts)
    assert timeline.elapsed_s(0.0) == pytest.approx(7300)
    assert stand(timeline)["sql@sql-01"] == "unknown", "nobody knows whether its stop came through"
    assert timeline.touched() == ["web@web-01", "web@web-02", "sql@sql-01"]


def test_the_way_back_counts_for_itself_and_says_what_is_not_as_it_was() -> None:
    timeline = folded(going_back(changed=[Strayed("sql@sql-01", "Stopped", "Running")]).facts)
    assert (timeline.total, timeline.ended_count, timeline.back_from) == (2, 0, 1)
    assert timeline.halted == ""
    assert [(one.unit, one.was, one.now) for one in unlike(timeline)] == [
        ("web@web-01", "Running", "Stopped"),
        ("web@web-02", "Running", "StopPending"),
    ]
    assert unlike(folded(rolled_back().facts)) == []
    assert [one.unit for one in unlike(folded(incomplete().facts))] == ["web@web-02"]
    assert [number for number, one in timeline.decisions.all.items() if one.withdrawn] == [2]


def test_a_pausing_decision_and_a_cancel_halt_until_they_are_answered_with_go_on() -> None:
    night = failing().tell(OrderTaken("cancel", "bob@ops")).ask(2, kind=CauseKind.CANCELLED, pauses=True)
    assert folded(night.facts).halted == "cancel was ordered"
    assert folded(night.answer(2, Choice.CONTINUE).facts).halted == ""
    night.ask(3, kind=CauseKind.BUDGET, pauses=True)
    assert folded(night.facts).halted == "more units failed than max_failures allows"


def test_a_snapshot_is_json() -> None:
    timeline = folded(facts(fleet(SMALL), bad={"web@web-01": Outcome.FAILED}))
    read = json.loads(json.dumps(as_json(timeline, 1.0)))
    assert (read["run"], read["verdict"], read["exit_code"]) == ("20261121-0213-k7q2", "failed", 1)
    assert {unit["unit"]: unit["standing"] for unit in read["units"]} == stand(timeline)
    read = json.loads(json.dumps(as_json(folded(incomplete().facts), 1.0)))
    assert [one["answer"]["by"] if one["answer"] else one["withdrawn"] for one in read["decisions"]] == [
        "bob@ops",
        "they are where the run left them again",
    ]
    assert (read["verdict"], read["rollback"]["touched"]) == ("rollback incomplete", ["web@web-01", "web@web-02"])


@pytest.mark.cost
def test_ten_thousand_units_cost_per_unit_what_a_thousand_do() -> None:
    small, large = (facts(fleet((("web", units // 2), ("sql", units // 2)), slots=200)) for units in (1_000, 10_000))

    def cost_s(events: list[Stamped]) -> float:
        return cpu_s(lambda: folded(events))

    ratio = times("folding 10,000 units to 1,000", partial(cost_s, small), partial(cost_s, large), most=25, halves=5)
    assert ratio <= 25


@pytest.mark.cost
def test_looking_costs_the_same_however_many_units_there_are() -> None:
    def halfway(units: int) -> Timeline:
        plan = fleet((("web", units // 2), ("sql", units // 2)), slots=units)
        return until(plan, lambda line, _: len(line.under_way(units)) == units // 2)

    def look(timeline: Timeline) -> None:
        for now_s in range(200):
            timeline.waits(20)
            timeline.under_way(20)
            timeline.remaining_s(now_s)
            timeline.counts()

    small, large = (partial(cpu_s, partial(look, halfway(units))) for units in (200, 4_000))
    assert times("looking at 4,000 units to 200", small, large, most=4) <= 4
