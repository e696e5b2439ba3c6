"""Unreachable hosts that a run does without: they and what cannot do without them are left alone, and it says why."""

from drafts import READY, READY_ON_HOST, draft, entry, roles, survey, waits

from orchestrator.domain.draft import Dependency, Draft
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.left_alone import left_alone
from orchestrator.domain.service import State

SHOP = draft(
    entry("sql", "db-01 db-02"),
    entry("broker", "mq-01 mq-02", "sql"),
    entry("orders", "app-01", Dependency(service="broker", need=1)),
    entry("web", "w-01", "orders"),
    entry("cron", "c-01"),
)


def without(of: Draft, action: Action, *hosts: str, choice: Choice | None = None) -> tuple[Plan, dict[str, str]]:
    """The plan without *hosts*, and what the question before it would have said; both must agree."""
    chosen = choice or Choice()
    state = State.STOPPED if action is Action.START else State.RUNNING
    plan = build(of, chosen, action, survey(of, state, silent=hosts), excluded=frozenset(hosts))
    asked = left_alone(of, chosen, action, hosts)
    assert set(asked) == {left for left in plan.left_alone if left.why != "was not running"}
    assert not {left.unit for left in asked} & {
        unit for stage in plan.stages for unit, role in roles(stage).items() if role == "act"
    }
    return plan, {left.unit: left.why for left in asked}


def test_a_start_leaves_alone_what_can_no_longer_have_enough() -> None:
    plan, why = without(SHOP, Action.START, "db-02")
    assert list(why) == ["sql@db-02", "broker@mq-01", "broker@mq-02", "orders@app-01", "web@w-01"]
    assert why["sql@db-02"] == "db-02 gave no usable answer"
    assert why["broker@mq-01"] == "needs all of sql, and sql@db-02 can't be had"
    assert "needs 1 of broker" in why["orders@app-01"]
    assert roles(plan.stages[0]) == {"sql@db-01": "act", "cron@c-01": "act"}


def test_a_start_goes_on_while_enough_are_left() -> None:
    plan, why = without(SHOP, Action.START, "mq-01")
    assert list(why) == ["broker@mq-01"]
    (stage,) = plan.stages
    assert roles(stage)["orders@app-01"] == "act"
    (barrier,) = [barrier for barrier in stage.barriers if barrier.name == "broker"]
    assert (len(barrier.instances), barrier.need) == (1, 1)  # the silent one can't count as ready
    assert "broker@mq-02" in waits(stage, "orders@app-01")


def test_a_stop_leaves_alone_what_a_silent_unit_may_be_using() -> None:
    plan, why = without(SHOP, Action.STOP, "app-01")
    assert list(why) == ["sql@db-01", "sql@db-02", "broker@mq-01", "broker@mq-02", "orders@app-01"]
    assert why["sql@db-01"] == "orders@app-01 needs it and may be running"
    assert roles(plan.stages[0]) == {"web@w-01": "act", "cron@c-01": "act"}


def test_ignored_dependents_hold_nothing_up_and_order_goes_on_through_them() -> None:
    plan, why = without(SHOP, Action.STOP, "mq-01", "mq-02", choice=Choice(ignore_dependents=True))
    assert list(why) == ["broker@mq-01", "broker@mq-02"]
    (stage,) = plan.stages
    assert roles(stage)["broker@mq-01"] == "pass"
    assert waits(stage, "sql@db-01") == {"broker@mq-01", "broker@mq-02"}
    assert waits(stage, "broker@mq-01") == {"orders@app-01"}


def test_a_silent_dependent_outside_the_choice_holds_up_too() -> None:
    _, why = without(SHOP, Action.STOP, "w-01", choice=Choice(services=("orders", "cron")))
    assert why == {"orders@app-01": "web@w-01 needs it and may be running"}


def test_a_restart_stops_nothing_that_it_could_not_start_again() -> None:
    plan, why = without(SHOP, Action.RESTART, "db-02")
    assert list(why) == ["sql@db-01", "sql@db-02", "broker@mq-01", "broker@mq-02", "orders@app-01", "web@w-01"]
    assert why["sql@db-01"] == "broker@mq-01 needs it and may be running"
    assert [roles(stage) for stage in plan.stages] == [{"cron@c-01": "act"}] * 2


def test_same_host_and_soft_edges_reach_no_further_than_they_say() -> None:
    pair = draft(
        entry("api", "a-01 a-02"),
        entry("agent", "a-01 a-02", Dependency(service="api", same_host=True)),
        entry("report", "r-01", Dependency(service="api", soft=True)),
    )
    for action in (Action.START, Action.STOP):
        plan, why = without(pair, action, "a-01")
        assert set(why) == {"api@a-01", "agent@a-01"}
        assert roles(plan.stages[0]) == {"api@a-02": "act", "agent@a-02": "act", "report@r-01": "act"}
    _, why = without(pair, Action.STOP, "r-01")
    assert set(why) == {"report@r-01"}


def test_an_external_entry_is_lost_with_its_host_only_if_it_is_probed_there() -> None:
    def shop(gate: object) -> Draft:
        outside = entry("dc", "dc-01", external=True, of_instance={"ready": (gate,)})
        return draft(outside, entry("web", "w-01", "dc"))

    assert set(without(shop(READY), Action.START, "dc-01")[1]) == set()
    assert set(without(shop(READY_ON_HOST), Action.START, "dc-01")[1]) == {"web@w-01"}


def test_without_silent_hosts_nothing_is_left_alone() -> None:
    assert left_alone(SHOP, Choice(), Action.RESTART, ()) == ()
