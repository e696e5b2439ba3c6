"""The way back: of whole plans in planning, and narrowed to what a run touched."""

from collections.abc import Mapping
from itertools import product

import networkx as nx
import pytest
from drafts import CLOSED, READY, draft, entry, node_of, roles, status, survey, waits
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stages import stages
from test_planning_properties import Case, cases, order_of, plan_or_reject

from orchestrator.domain.draft import Dependency
from orchestrator.domain.estimate import complete
from orchestrator.domain.facts import Strayed
from orchestrator.domain.plan import Action, Plan, Role, Stage
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.results import Outcome
from orchestrator.domain.schedule import Schedule
from orchestrator.domain.service import Asked, State
from orchestrator.domain.way_back import (
    Touch,
    as_before,
    home,
    narrowed,
    rollback_plan,
    stops_running,
    way_back,
    whole_way_back,
)

SHOP = draft(
    entry("sql", "db-01 db-02", of_instance={"ready": (READY,), "stopped": (CLOSED,)}),
    entry("broker", "mq-01", "sql"),
    entry("orders", "app-01 app-02", "broker"),
)
STOPPED, RUNNING, PAUSED = State.STOPPED, State.RUNNING, State.PAUSED
THERE = Touch(left=STOPPED, live=STOPPED)
"""Stopped by the run, and so it is still."""


def planned(action: Action = Action.STOP, *, but: Mapping[str, State] | None = None) -> Plan:
    """Of all of the shop: a stop finds it running and a start stopped, but for the instances named there."""
    return build(SHOP, Choice(), action, survey(SHOP, RUNNING if action is Action.STOP else STOPPED, but=but))


def acting(plan: Plan | Stage) -> list[str]:
    staged = plan.stages if isinstance(plan, Plan) else (plan,)
    return [node.unit.id for stage in staged for node in stage.nodes if node.role is Role.ACT]


def test_the_way_back_of_a_stop_starts_what_ran_with_its_gates_and_probes_nothing_that_was_down() -> None:
    (back,) = planned(but={"sql@db-02": STOPPED, "orders@app-01": PAUSED}).back
    assert back.goal is RUNNING
    assert roles(back) == {
        "sql@db-01": "act",
        "sql@db-02": "pass",
        "broker@mq-01": "act",
        "orders@app-01": "act",
        "orders@app-02": "act",
    }
    assert node_of(back, "sql@db-01").gates == (READY,)
    assert waits(back, "broker@mq-01") == {"sql@db-01", "sql@db-02"}
    assert waits(back, "orders@app-02") == {"broker@mq-01"}


def test_the_way_back_of_a_start_stops_what_did_not_run() -> None:
    (back,) = planned(Action.START, but={"sql@db-02": RUNNING}).back
    assert back.goal is STOPPED
    assert acting(back) == ["orders@app-01", "orders@app-02", "broker@mq-01", "sql@db-01"]
    assert node_of(back, "sql@db-01").gates == (CLOSED,)
    assert waits(back, "sql@db-01") == {"broker@mq-01"}


def test_what_a_stop_needs_on_its_way_back_is_looked_at_where_it_is_known_to_have_run() -> None:
    shop = draft(
        entry("web", external=True, of_instance={"ready": (READY,)}),
        entry("agent", "app-01"),
        entry("sql", "db-01"),
        entry("orders", "app-01", "web", "agent", "sql"),
    )
    (back,) = build(shop, Choice(services=("orders",)), Action.STOP, survey(shop)).back
    assert roles(back) == {"web": "probe", "agent@app-01": "probe", "sql@db-01": "pass", "orders@app-01": "act"}


def test_a_restart_goes_back_by_its_own_second_stage_and_nothing_to_move_has_no_way_back() -> None:
    restart = build(SHOP, Choice(), Action.RESTART, survey(SHOP))
    assert restart.back == ()
    assert whole_way_back(restart) == restart.stages[1:]
    assert planned(but=dict.fromkeys(["sql@db-01", "sql@db-02"], STOPPED)).back
    assert build(SHOP, Choice(), Action.STOP, survey(SHOP, STOPPED)).back == ()


def test_only_what_was_touched_is_put_back_and_the_order_goes_through_what_was_not() -> None:
    way = way_back(planned(), {"orders@app-01": THERE, "sql@db-02": THERE}, accept_drift=False)
    (stage,) = way.stages
    assert roles(stage) == {"sql@db-02": "act", "broker@mq-01": "pass", "orders@app-01": "act"}
    assert waits(stage, "orders@app-01") == {"broker@mq-01"}
    assert waits(stage, "broker@mq-01") == {"sql@db-02"}
    assert way.changed_since == ()
    assert complete(stage) == stage


@pytest.mark.parametrize(
    ("touch", "acts", "told"),
    [
        (Touch("Stopped", "Stopped"), True, False),
        (Touch("Stopped", "Running"), False, False),
        (Touch("Stopped", ""), True, False),
        (Touch("", "Stopped"), True, False),
        (Touch("", ""), True, False),
        (Touch("StopPending", "Stopped"), True, False),
        (Touch("StopPending", "StopPending"), True, False),
        (Touch("Running", "Stopped"), False, True),
        (Touch("Stopped", "Paused"), False, True),
        (Touch("Running", "Stopped", coming="Stopped"), True, False),
        (Touch("Running", "StopPending", coming="Stopped"), True, False),
        (Touch("Running", "Running", coming="Stopped"), False, False),
        (Touch("Running", "Paused", coming="Stopped"), False, True),
    ],
    ids=str,
)
def test_whether_a_unit_that_ran_is_put_back(touch: Touch, acts: bool, told: bool) -> None:
    way = way_back(planned(), {"broker@mq-01": touch}, accept_drift=False)
    assert [unit for stage in way.stages for unit in acting(stage)] == ["broker@mq-01"] * acts
    assert [one.unit for one in way.changed_since] == ["broker@mq-01"] * told
    accepted = way_back(planned(), {"broker@mq-01": touch}, accept_drift=True)
    assert [unit for stage in accepted.stages for unit in acting(stage)] == ["broker@mq-01"] * (acts or told)
    assert accepted.changed_since == ()


def test_what_others_moved_since_is_probed_below_what_starts_again() -> None:
    touched = {"orders@app-01": THERE, "broker@mq-01": Touch(left="Running", live="Stopped")}
    way = way_back(planned(), touched, accept_drift=False)
    assert roles(way.stages[0]) == {"broker@mq-01": "probe", "orders@app-01": "act"}
    assert waits(way.stages[0], "orders@app-01") == {"broker@mq-01"}
    assert way.changed_since == (Strayed("broker@mq-01", "Running", "Stopped"),)


def test_what_was_paused_goes_to_running_and_is_named() -> None:
    plan = planned(but={"broker@mq-01": PAUSED})
    way = way_back(plan, {"broker@mq-01": THERE}, accept_drift=False)
    assert acting(way.stages[0]) == ["broker@mq-01"]
    (named,) = way.changed_since
    assert "it was Paused" in named.why
    running = way_back(plan, {"broker@mq-01": Touch("Stopped", "Running")}, accept_drift=False)
    assert running.stages == ()
    assert [one.unit for one in running.changed_since] == ["broker@mq-01"]
    assert way_back(plan, {"broker@mq-01": Touch("Stopped", "Paused")}, accept_drift=False).changed_since == ()


def test_what_a_start_found_stopped_that_ran_when_it_was_planned_is_named_and_left() -> None:
    plan = planned(Action.START, but={"broker@mq-01": RUNNING})
    way = way_back(plan, {"broker@mq-01": Touch("Stopped", "Stopped")}, accept_drift=True)
    assert way.stages == ()
    assert [(one.unit, one.why[:14]) for one in way.changed_since] == [("broker@mq-01", "it was Running")]


def test_several_units_of_one_instance_go_back_one_by_one() -> None:
    names = [Asked("Orders.Api"), Asked("Orders.Worker")]
    shop = draft(entry("orders", "app-01", asked=names), entry("report", "rep-01", "orders"))
    plan = build(shop, Choice(), Action.STOP, survey(shop))
    way = way_back(plan, {"orders:Orders.Worker@app-01": THERE, "report@rep-01": THERE}, accept_drift=False)
    (stage,) = way.stages
    assert roles(stage) == {"orders:Orders.Worker@app-01": "act", "report@rep-01": "act"}
    assert [(barrier.instances, barrier.need) for barrier in stage.barriers] == [(((0,),), 1)]


def test_what_was_not_touched_counts_towards_what_is_needed() -> None:
    shop = draft(entry("sql", "db-01 db-02 db-03"), entry("orders", "app-01", Dependency(service="sql", need=2)))
    plan = build(shop, Choice(), Action.STOP, survey(shop))
    touched = {"sql@db-01": THERE, "sql@db-02": THERE, "orders@app-01": THERE}
    (stage,) = way_back(plan, touched, accept_drift=False).stages
    assert [(len(barrier.instances), barrier.need) for barrier in stage.barriers] == [(2, 1)]
    (alone,) = way_back(plan, {"sql@db-01": THERE, "orders@app-01": THERE}, accept_drift=False).stages
    assert alone.barriers == ()


def test_a_rollback_as_a_plan_has_the_live_state_and_says_what_it_would_stop() -> None:
    plan = planned(Action.START)
    touched = {
        "sql@db-01": Touch("Running", "Running"),
        "broker@mq-01": Touch("Running", ""),
        "orders@app-01": Touch("Running", "Paused"),
    }
    back = rollback_plan(plan, way_back(plan, touched, accept_drift=False), touched)
    assert (back.name, back.action, back.back) == (plan.name, Action.ROLLBACK, ())
    seen = {node.unit.id: node.unit.seen and node.unit.seen.state for node in back.stages[0].nodes}
    assert seen == {"orders@app-01": PAUSED, "broker@mq-01": None, "sql@db-01": RUNNING}
    assert stops_running(back) == 1
    assert [one.unit for one in back.left_alone] == ["orders@app-01"]
    assert "--accept-drift" in back.left_alone[0].why
    assert stops_running(rollback_plan(plan, way_back(plan, touched, accept_drift=True), touched)) == 2


def needed_by_all(stage: Stage) -> set[tuple[str, str]]:
    """Pairs of acting units of which the first has to end before the second begins, whatever `need` allows."""
    graph: nx.DiGraph[tuple[str, int]] = order_of(stage)
    for index, barrier in enumerate(stage.barriers):
        if barrier.need < len(barrier.instances):
            graph.remove_node(("barrier", index))
    acts = [index for index, node in enumerate(stage.nodes) if node.role is Role.ACT]
    return {
        (stage.nodes[one].unit.id, stage.nodes[other].unit.id)
        for one, other in product(acts, acts)
        if one != other and nx.has_path(graph, ("node", one), ("node", other))
    }


@settings(deadline=None)
@given(stages(), st.data())
def test_narrowing_keeps_who_acts_and_every_order_among_them(stage: Stage, data: st.DataObject) -> None:
    acts = sorted(acting(stage))
    some = frozenset(data.draw(st.lists(st.sampled_from(acts), unique=True))) if acts else frozenset()
    probed = frozenset(data.draw(st.lists(st.sampled_from(acts), unique=True))) - some if acts else frozenset()
    left = narrowed(stage, some, probed)
    if left is None:
        assert not some
        return
    assert sorted(acting(left)) == sorted(some)
    assert complete(left) == left
    for barrier in left.barriers:
        assert 1 <= barrier.need <= len(barrier.instances)
    before = {(one, other) for one, other in needed_by_all(stage) if one in some and other in some}
    assert before <= ordered(left)
    schedule = Schedule(left)
    while (following := schedule.next_node()) is not None:  # whoever waits for somebody who is gone waits for ever
        schedule.begin(following)
        schedule.end(following, Outcome.OK)
    assert schedule.whole


def ordered(stage: Stage) -> set[tuple[str, str]]:
    graph = order_of(stage)
    ids = [node.unit.id for node in stage.nodes]
    return {
        (ids[one], ids[other])
        for one, other in product(range(len(ids)), repeat=2)
        if one != other and nx.has_path(graph, ("node", one), ("node", other))
    }


@settings(max_examples=150, deadline=None)
@given(cases(), st.data())
def test_whatever_was_touched_exactly_what_must_move_is_moved(case: Case, data: st.DataObject) -> None:
    plan = plan_or_reject(case)
    units = {node.unit.id: node.unit for stage in plan.stages for node in stage.nodes if node.role is Role.ACT}
    assume(units)
    some = data.draw(st.lists(st.sampled_from(sorted(units)), unique=True, min_size=1))
    states = st.sampled_from(["", *State])
    touched = {unit: Touch(data.draw(states), data.draw(states)) for unit in some}
    accept = data.draw(st.booleans())
    way = way_back(plan, touched, accept_drift=accept)
    goals: dict[str, State] = {}
    for stage in way.stages:
        assert complete(stage) == stage
        assert nx.is_directed_acyclic_graph(order_of(stage))
        for node in stage.nodes:
            if node.role is Role.ACT:
                assert goals.setdefault(node.unit.id, stage.goal) is stage.goal
    named = {one.unit for one in way.changed_since}
    assert len(named) == len(way.changed_since)
    for unit, touch in touched.items():
        if as_before(units[unit], touch.live):
            assert unit not in goals
            assert unit not in named
        else:
            assert unit in goals or unit in named, "nothing is left unlike before without being named"
        if touch.changed and not accept:
            assert unit not in goals
    assert set(goals) <= set(touched)
    assert all(goal is home(units[unit]) for unit, goal in goals.items())


def test_a_restore_stops_what_should_not_run_and_then_starts_what_should() -> None:
    before = survey(SHOP, but={"orders@app-01": STOPPED, "orders@app-02": (status("orders", PAUSED),)})
    then = [node.unit for node in build(SHOP, Choice(), Action.STOP, before).stages[0].nodes]
    now = survey(SHOP, but={"sql@db-01": STOPPED, "orders@app-02": STOPPED})
    plan = build(SHOP, Choice(units=frozenset(unit.id for unit in then)), Action.RESTORE, now, before=then)
    down, up = plan.stages
    assert (down.goal, acting(down)) == (STOPPED, ["orders@app-01"])
    assert (up.goal, acting(up)) == (RUNNING, ["sql@db-01", "sql@db-02", "broker@mq-01", "orders@app-02"])
    assert [(stage.goal, acting(stage)) for stage in plan.back] == [
        (STOPPED, ["orders@app-02", "sql@db-01"]),
        (RUNNING, ["orders@app-01"]),
    ]
    assert stops_running(plan) == 1
