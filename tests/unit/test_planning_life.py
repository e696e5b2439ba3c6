"""What plans make of a service's life: who has it, the prechecks' stage, gates of all instances, the run's hooks."""

from dataclasses import replace

from drafts import CLOSED, READY, draft, entry, node_of, roles, survey, waits

from orchestrator.domain.draft import Dependency, Draft
from orchestrator.domain.gates import Gate, HttpCheck, Origin
from orchestrator.domain.life import Hook, Life, RunHooks
from orchestrator.domain.plan import Action, Role, Stage
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.service import State
from orchestrator.domain.way_back import Touch, way_back

PAGE = Hook(name="page", do=HttpCheck(url="http://x/"), origin=Origin.CONTROLLER)
DOWN, UP = Life(prechecks=(CLOSED,), before=(PAGE,)), Life(healthy_s=30.0, after=(replace(PAGE, undoes=True),))
LIVES = {"stop_life": DOWN, "start_life": UP, "start_expected_s": 10.0}
TOGETHER = Gate(check=HttpCheck(url="http://cluster/"), origin=Origin.CONTROLLER)
SHOP = draft(
    entry("sql", "db-01 db-02", of_instance=LIVES),
    entry("orders", "app-01 app-02", "sql"),
    hooks=RunHooks(begin=(PAGE,)),
)


def stages(action: Action, of: Draft = SHOP, **options: object) -> tuple[Stage, ...]:
    return build(of, Choice(**options), action, survey(of)).stages  # type: ignore[arg-type] # as Choice takes them


def test_every_node_of_an_instance_has_its_life_and_most_have_none() -> None:
    checks, stop, start = stages(Action.RESTART)
    assert [node_of(stop, f"sql@db-0{n}").life is DOWN for n in (1, 2)] == [True, True]
    assert node_of(start, "sql@db-02").life is UP
    assert node_of(stop, "orders@app-01").life is None
    assert node_of(start, "sql@db-01").expected_s == 10 + 30, "to stay healthy takes its time"
    assert not stop.checks
    assert checks.checks


def test_whoever_is_only_looked_at_has_no_life() -> None:
    (start,) = stages(Action.START, services=("orders",))
    assert roles(start)["sql@db-01"] == "probe"
    assert node_of(start, "sql@db-01").life is None


def test_the_way_back_lives_too() -> None:
    plan = build(SHOP, Choice(), Action.STOP, survey(SHOP))
    (back,) = plan.back
    assert node_of(back, "sql@db-01").life is UP
    assert plan.hooks == RunHooks(begin=(PAGE,))


def test_prechecks_are_a_stage_before_the_first_stop_of_those_that_run() -> None:
    for action in (Action.STOP, Action.RESTART):
        seen = survey(SHOP, but={"sql@db-02": State.STOPPED})
        checks, stop = build(SHOP, Choice(), action, seen).stages[:2]
        (node,) = checks.nodes
        assert (checks.goal, checks.checks, stop.checks) == (State.STOPPED, True, False)
        assert (node.unit.id, node.role, node.gates) == ("sql@db-01", Role.PROBE, (CLOSED,))
        assert (node.waits_for, node.life, checks.barriers) == ((), None, ())
    assert [stage.goal for stage in stages(Action.STOP, services=("orders",))] == [State.STOPPED]
    assert [stage.checks for stage in stages(Action.START)] == [False]


def clustered(*dependents: Dependency | str) -> Draft:
    return draft(
        entry("sql", "db-01 db-02 db-03", of_instance={"ready": (READY,)}, ready_all=(TOGETHER,)),
        *(entry(f"app{n}", "app-01", edge) for n, edge in enumerate(dependents)),
    )


def test_gates_of_all_instances_stand_behind_them_and_before_what_needs_them() -> None:
    of = clustered("sql", Dependency(service="sql", same_host=True), Dependency(service="sql", soft=True))
    (start,) = build(of, Choice(), Action.START, survey(of, State.STOPPED)).stages
    node = node_of(start, "sql")
    assert (node.role, node.gates, node.unit.host, node.unit.scm_name) == (Role.PROBE, (TOGETHER,), None, None)
    assert waits(start, "sql") == {"sql@db-01", "sql@db-02", "sql@db-03"}
    assert "sql" in waits(start, "app0@app-01")
    assert "sql" not in waits(start, "app1@app-01") | waits(start, "app2@app-01")
    (stop,) = build(of, Choice(), Action.STOP, survey(of)).stages
    assert "sql" not in roles(stop)


def test_they_are_looked_at_when_as_many_are_ready_as_somebody_waits_for() -> None:
    for needs, wanted in (((1, 2), 2), ((1, None), 3), ((), 3)):
        of = clustered(*(Dependency(service="sql", need=need) for need in needs))
        (start,) = build(of, Choice(), Action.START, survey(of, State.STOPPED)).stages
        (barrier,) = node_of(start, "sql").waits_for
        assert start.barriers[barrier].need == wanted


def test_they_are_probed_where_only_what_needs_them_is_started_and_on_the_way_back() -> None:
    of = clustered("sql")
    (start,) = build(
        of, Choice(services=("app0",)), Action.START, survey(of, but={"app0@app-01": State.STOPPED})
    ).stages
    assert roles(start)["sql"] == "probe"
    plan = build(of, Choice(), Action.STOP, survey(of))
    touched = {unit: Touch(left="Stopped", live="Stopped") for unit in ("sql@db-01", "app0@app-01")}
    (back,) = way_back(plan, touched, accept_drift=False).stages
    assert roles(back)["sql"] == "probe"
    assert "sql" in waits(back, "app0@app-01")
    assert "sql@db-01" in waits(back, "sql")
