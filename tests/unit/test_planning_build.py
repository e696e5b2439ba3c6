"""Plans: roles, order, barriers, limits and durations."""

from drafts import CLOSED, READY, draft, entry, node_of, roles, status, survey, waits

from orchestrator.domain.draft import Dependency
from orchestrator.domain.plan import Action, LeftAlone, Limits
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.service import Asked, StartType, State

SHOP = draft(
    entry("sql", "db-01 db-02"),
    entry("broker", "mq-01 mq-02", "sql"),
    entry("orders", "app-01 app-02", Dependency(service="broker", need=1), "sql"),
)
STOPPED = survey(SHOP, State.STOPPED)
RUNNING = survey(SHOP)


def test_a_start_follows_the_graph_through_one_barrier_for_all_that_wait_for_the_same() -> None:
    (stage,) = build(SHOP, Choice(), Action.START, STOPPED).stages
    assert stage.goal is State.RUNNING
    assert waits(stage, "sql@db-01") == set()
    assert waits(stage, "broker@mq-02") == {"sql@db-01", "sql@db-02"}
    assert waits(stage, "orders@app-01") == {"sql@db-01", "sql@db-02", "broker@mq-01", "broker@mq-02"}
    assert [(barrier.name, barrier.need) for barrier in stage.barriers] == [("sql", 2), ("broker", 1)]


def test_a_stop_goes_the_other_way_and_waits_for_all_whatever_need_says() -> None:
    (stage,) = build(SHOP, Choice(), Action.STOP, RUNNING).stages
    assert stage.goal is State.STOPPED
    assert waits(stage, "orders@app-01") == set()
    assert waits(stage, "sql@db-02") == {"broker@mq-01", "broker@mq-02", "orders@app-01", "orders@app-02"}
    assert {(barrier.name, barrier.need) for barrier in stage.barriers} == {("broker", 2), ("orders", 2)}


def test_outside_units_upstream_are_probed_on_a_start_and_never_acted_on() -> None:
    shop = draft(
        entry("sql", "db-01", of_instance={"ready": (READY,)}),
        entry("broker", "mq-01", "sql"),
        entry("orders", "app-01", "broker"),
    )
    (stage,) = build(shop, Choice(services=("orders",)), Action.START, survey(shop)).stages
    assert roles(stage) == {"sql@db-01": "probe", "broker@mq-01": "probe", "orders@app-01": "act"}
    assert node_of(stage, "sql@db-01").gates == (READY,)
    assert waits(stage, "orders@app-01") == {"broker@mq-01"}


def test_order_holds_through_units_that_are_not_chosen() -> None:
    shop = draft(entry("sql", "db-01"), entry("broker", "mq-01", "sql"), entry("orders", "app-01", "broker"))
    ends = Choice(services=("sql", "orders"))
    (start,) = build(shop, ends, Action.START, survey(shop, State.STOPPED)).stages
    assert roles(start)["broker@mq-01"] == "probe"
    assert waits(start, "broker@mq-01") == {"sql@db-01"}
    (stop,) = build(shop, ends, Action.STOP, survey(shop, but={"broker@mq-01": State.STOPPED})).stages
    assert roles(stop)["broker@mq-01"] == "pass"
    assert waits(stop, "sql@db-01") == {"broker@mq-01"}
    assert waits(stop, "broker@mq-01") == {"orders@app-01"}


def test_units_at_the_goal_still_act_but_cost_no_time() -> None:
    (stage,) = build(SHOP, Choice(), Action.START, survey(SHOP, but={"sql@db-01": State.STOPPED})).stages
    assert set(roles(stage).values()) == {"act"}
    there, away = node_of(stage, "broker@mq-01"), node_of(stage, "sql@db-01")
    assert (there.expected_s, there.guessed) == (0.0, False)
    assert (away.expected_s, away.guessed) == (22.5, True)
    assert stage.expected_s == 22.5


def test_durations_and_gates_are_those_of_the_direction() -> None:
    timing = {"start_timeout_s": 120.0, "start_expected_s": 20.0, "stop_timeout_s": 60.0}
    shop = draft(entry("orders", "app-01", of_instance={**timing, "ready": (READY,), "stopped": (CLOSED,)}))
    start = build(shop, Choice(), Action.START, survey(shop, State.STOPPED)).stages[0].nodes[0]
    stop = build(shop, Choice(), Action.STOP, survey(shop)).stages[0].nodes[0]
    assert (start.timeout_s, start.expected_s, start.guessed, start.gates) == (120.0, 20.0, False, (READY,))
    assert (stop.timeout_s, stop.expected_s, stop.guessed, stop.gates) == (60.0, 15.0, True, (CLOSED,))


def test_same_host_is_a_barrier_per_host() -> None:
    pair = draft(
        entry("api", "app-01 app-02"), entry("agent", "app-01 app-02 app-03", Dependency(service="api", same_host=True))
    )
    (start,) = build(pair, Choice(), Action.START, survey(pair)).stages
    assert waits(start, "agent@app-02") == {"api@app-02"}
    assert waits(start, "agent@app-03") == set()
    (stop,) = build(pair, Choice(), Action.STOP, survey(pair)).stages
    assert waits(stop, "api@app-01") == {"agent@app-01"}
    assert {barrier.name for barrier in stop.barriers} == {"agent@app-01", "agent@app-02"}


def test_soft_is_order_between_what_is_in_the_run() -> None:
    pair = draft(entry("api", "app-01"), entry("report", "rep-01", Dependency(service="api", soft=True)))
    (start,) = build(pair, Choice(), Action.START, survey(pair)).stages
    assert waits(start, "report@rep-01") == {"api@app-01"}
    assert [barrier.soft for barrier in start.barriers] == [True]
    (stop,) = build(pair, Choice(), Action.STOP, survey(pair)).stages
    assert waits(stop, "api@app-01") == {"report@rep-01"}
    (alone,) = build(pair, Choice(services=("report",)), Action.START, survey(pair, State.STOPPED)).stages
    assert roles(alone) == {"report@rep-01": "act"}
    (below,) = build(pair, Choice(services=("api",)), Action.STOP, survey(pair)).stages  # report runs on: no need
    assert roles(below) == {"api@app-01": "act"}


def test_several_scm_names_are_one_instance() -> None:
    names = [Asked("Orders.Api"), Asked("Orders.*", pattern=True)]
    shop = draft(entry("orders", "app-01", asked=names), entry("report", "rep-01", "orders"))
    found = (status("Orders.Api", State.STOPPED), status("Orders.Worker", State.STOPPED))
    (stage,) = build(shop, Choice(), Action.START, survey(shop, State.STOPPED, but={"orders@app-01": found})).stages
    assert [node.unit.id for node in stage.nodes] == [
        *("orders:Orders.Api@app-01", "orders:Orders.Worker@app-01", "report@rep-01")
    ]
    assert {node.unit.instance for node in stage.nodes[:2]} == {"orders@app-01"}
    assert [(barrier.instances, barrier.need) for barrier in stage.barriers] == [(((0, 1),), 1)]


def test_inventory_order_is_a_chain_and_its_reverse_on_a_stop() -> None:
    shop = draft(entry("broker", "mq-01 mq-02 mq-03", in_order=True, max_parallel=1))
    start, stop = (build(shop, Choice(), action, survey(shop)).stages[0] for action in (Action.START, Action.STOP))
    assert [node.unit.host for node in start.nodes] == ["mq-01", "mq-02", "mq-03"]
    assert [node.unit.host for node in stop.nodes] == ["mq-03", "mq-02", "mq-01"]
    assert [node.begins_after for node in start.nodes] == [node.begins_after for node in stop.nodes] == [None, 0, 1]


def test_limits_name_the_services_that_act() -> None:
    shop = draft(entry("sql", "db-01", max_parallel=3), entry("web", "w-01", "sql", max_parallel=2), max_parallel=9)
    plan = build(shop, Choice(services=("web",)), Action.START, survey(shop))
    assert plan.stages[0].limits == Limits(run=9, host=4, services=(("web", 2),))


def test_external_entries_are_probed_on_a_start_and_only_hand_order_on_in_a_stop() -> None:
    gates = {"ready": (READY,)}
    shop = draft(
        entry("sql", "db-01"), entry("lb", "", "sql", external=True, of_instance=gates), entry("web", "w-01", "lb")
    )
    (start,) = build(shop, Choice(), Action.START, survey(shop, State.STOPPED)).stages
    assert roles(start)["lb"] == "probe"
    assert node_of(start, "lb").unit.host is None
    assert waits(start, "lb") == {"sql@db-01"}
    (stop,) = build(shop, Choice(), Action.STOP, survey(shop)).stages
    assert roles(stop)["lb"] == "pass"
    assert waits(stop, "sql@db-01") == {"lb"}


def test_an_external_entry_with_stopped_gates_is_probed_on_a_stop() -> None:
    shop = draft(
        entry("drained", "", external=True, of_instance={"stopped": (CLOSED,)}), entry("web", "w-01", "drained")
    )
    (stop,) = build(shop, Choice(), Action.STOP, survey(shop)).stages
    assert roles(stop) == {"web@w-01": "act", "drained": "probe"}
    assert node_of(stop, "drained").gates == (CLOSED,)
    assert waits(stop, "drained") == {"web@w-01"}


def test_a_restart_starts_exactly_what_was_running() -> None:
    seen = survey(
        SHOP, but={"sql@db-02": State.STOPPED, "broker@mq-02": State.STOP_PENDING, "orders@app-02": State.PAUSED}
    )
    plan = build(SHOP, Choice(), Action.RESTART, seen)
    acting = ["sql@db-01", "broker@mq-01", "orders@app-01", "orders@app-02"]
    for stage in plan.stages:
        assert sorted(unit for unit, role in roles(stage).items() if role == "act") == sorted(acting)
    assert [stage.goal for stage in plan.stages] == [State.STOPPED, State.RUNNING]
    assert plan.left_alone == (
        LeftAlone(unit="sql@db-02", why="was not running"),
        LeftAlone(unit="broker@mq-02", why="was not running"),
    )
    start = plan.stages[1]
    assert roles(start)["sql@db-02"] == "pass"  # was not needed before, so it is not needed after
    (broker,) = [barrier for barrier in start.barriers if barrier.name == "broker"]
    assert [start.nodes[index].unit.id for group in broker.instances for index in group] == ["broker@mq-01"]
    assert node_of(start, "sql@db-01").expected_s == 22.5  # seen Running, but it will have been stopped


def test_a_restart_takes_of_an_instance_the_services_that_ran() -> None:
    shop = draft(entry("orders", "app-01", asked=[Asked("A"), Asked("B")]))
    found = (status("A"), status("B", State.STOPPED))
    plan = build(shop, Choice(), Action.RESTART, survey(shop, but={"orders@app-01": found}))
    assert [roles(stage) for stage in plan.stages] == [{"orders:A@app-01": "act"}] * 2
    assert plan.left_alone == (LeftAlone(unit="orders:B@app-01", why="was not running"),)


def test_the_live_state_is_frozen_into_the_plan() -> None:
    shop = draft(entry("sql", "db-01"))
    seen = survey(shop, but={"sql@db-01": (status("sql", State.PAUSED, StartType.AUTOMATIC),)})
    plan = build(shop, Choice(), Action.STOP, seen)
    assert plan.stages[0].nodes[0].unit.seen == status("sql", State.PAUSED, StartType.AUTOMATIC)
    assert plan == build(shop, Choice(), Action.STOP, seen)
