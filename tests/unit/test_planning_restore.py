"""Going back to a snapshot: what was running is chosen by unit, and what is not there any more is refused by name."""

import pytest
from drafts import DENIED, NO_SUCH, READY, draft, entry, roles, status, survey

from orchestrator.domain.draft import Draft
from orchestrator.domain.errors import BadInput
from orchestrator.domain.plan import Action, LeftAlone, Plan, Role, Unit
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, chosen, questions
from orchestrator.domain.planning.observed import observed
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.service import Asked, StartType, State

SHOP = draft(
    entry("sql", "db-01 db-02", of_instance={"ready": (READY,)}),
    entry("orders", "app-01 app-02", "sql", asked=[Asked("Api"), Asked("Worker.*", pattern=True)]),
)
RUNNING, STOPPED = State.RUNNING, State.STOPPED
WORKERS = (status("Api", STOPPED), status("Worker.1", STOPPED), status("Worker.2", STOPPED))
DOWN = survey(SHOP, STOPPED, but={"orders@app-01": WORKERS, "orders@app-02": WORKERS})


def only(*units: str) -> Choice:
    return Choice(units=frozenset(units))


def acting(plan: Plan) -> list[list[str]]:
    return [[node.unit.id for node in stage.nodes if node.role is Role.ACT] for stage in plan.stages]


def why(action: Action, choice: Choice, **seen: object) -> list[str]:
    with pytest.raises(PlanRefused) as refused:
        build(SHOP, choice, action, survey(SHOP, STOPPED, **seen))  # type: ignore[arg-type] # as survey takes them
    return [f"{' '.join(reason.about)}: {reason.wrong}" for reason in refused.value.reasons]


def test_only_the_named_units_of_an_instance_start_and_what_they_need_is_probed() -> None:
    choice = only("orders:Worker.2@app-01", "sql@db-02")
    (stage,) = build(SHOP, choice, Action.START, DOWN).stages
    assert roles(stage) == {"sql@db-01": "probe", "sql@db-02": "act", "orders:Worker.2@app-01": "act"}
    assert [one.id for one in chosen(SHOP, choice, Action.START)] == ["sql@db-02", "orders@app-01"]
    assert list(questions(SHOP, choice, Action.START)) == ["db-01", "db-02", "app-01"]


def test_what_the_playbook_no_longer_has_is_named_and_the_other_options_still_narrow() -> None:
    with pytest.raises(BadInput, match="the playbook no longer has billing@app-09, orders:Api@app-07"):
        build(SHOP, only("orders:Api@app-07", "billing@app-09", "sql@db-01"), Action.START, DOWN)
    narrow = Choice(units=frozenset({"sql@db-01", "sql@db-02"}), hosts=frozenset({"db-02"}))
    assert acting(build(SHOP, narrow, Action.START, DOWN)) == [["sql@db-02"]]
    with pytest.raises(BadInput, match="is left by --limit and the snapshot"):
        build(SHOP, Choice(units=frozenset({"sql@db-01"}), hosts=frozenset({"db-02"})), Action.START, DOWN)


def test_what_the_host_no_longer_has_or_would_not_start_is_refused() -> None:
    one = only("orders:Worker.2@app-01")
    assert why(Action.START, one, but={"orders@app-01": WORKERS[:2]}) == [
        "orders:Worker.2@app-01: it is in the snapshot, and app-01 has no such service any more"
    ]
    assert why(Action.START, only("sql@db-01"), but={"sql@db-01": NO_SUCH}) == [
        "sql@db-01: there is no service sql on db-01"
    ]
    assert [text[:30] for text in why(Action.START, one, but={"orders@app-01": DENIED})] == [
        "orders@app-01: Worker.* on app"
    ]
    disabled = (status("sql", STOPPED, StartType.DISABLED),)
    (refusal,) = why(Action.START, only("sql@db-01"), but={"sql@db-01": disabled})
    assert refusal.startswith("sql@db-01: sql is Disabled on db-01")


def test_a_service_that_was_not_named_stops_nothing_from_being_planned() -> None:
    disabled = (status("Api", STOPPED, StartType.DISABLED), *WORKERS[1:])
    seen = survey(SHOP, STOPPED, but={"orders@app-01": disabled})
    assert acting(build(SHOP, only("orders:Worker.1@app-01"), Action.START, seen)) == [["orders:Worker.1@app-01"]]


def test_a_restore_leaves_alone_what_its_snapshot_has_not_and_refuses_what_it_can_not_bring_back() -> None:
    then, _ = observed(SHOP, survey(SHOP, but={"orders@app-01": WORKERS[:2], "orders@app-02": WORKERS[:2]}))
    now = survey(SHOP, STOPPED, but={"orders@app-01": WORKERS, "orders@app-02": WORKERS})
    plan = build(SHOP, Choice(), Action.RESTORE, now, before=then)
    assert acting(plan) == [["sql@db-01", "sql@db-02"]]
    assert plan.left_alone == (
        LeftAlone(unit="orders:Worker.2@app-01", why="is not in the snapshot"),
        LeftAlone(unit="orders:Worker.2@app-02", why="is not in the snapshot"),
    )
    disabled = survey(SHOP, STOPPED, but={"sql@db-01": (status("sql", STOPPED, StartType.DISABLED),)})
    with pytest.raises(PlanRefused, match="sql is Disabled on db-01"):
        build(SHOP, whole(then), Action.RESTORE, disabled, before=then)


def whole(units: tuple[Unit, ...]) -> Choice:
    return only(*(unit.id for unit in units))


def test_a_restore_pulls_nothing_from_under_what_runs_unless_it_is_told_to() -> None:
    shop = draft(entry("sql", "db-01"), entry("orders", "app-01", "sql"))
    then, _ = observed(shop, survey(shop, but={"sql@db-01": STOPPED}))
    with pytest.raises(PlanRefused, match="orders@app-01: not to be stopped by the snapshot and Running; it needs sql"):
        build(shop, whole(then), Action.RESTORE, survey(shop), before=then)
    loose = Choice(units=whole(then).units, ignore_dependents=True)
    plan = build(shop, loose, Action.RESTORE, survey(shop), before=then)
    assert acting(plan) == [["sql@db-01"], ["orders@app-01"]]
    assert plan.ignored == ("orders@app-01",)


def test_a_restore_that_finds_all_as_it_was_has_nothing_to_stop() -> None:
    made: Draft = draft(entry("sql", "db-01"), entry("orders", "app-01", "sql"))
    then, _ = observed(made, survey(made, but={"orders@app-01": STOPPED}))
    plan = build(made, whole(then), Action.RESTORE, survey(made, but={"orders@app-01": STOPPED}), before=then)
    assert acting(plan) == [["sql@db-01"]]
    assert plan.back == ()
    assert plan.stages[0].expected_s == 0


def test_a_restore_names_what_was_paused() -> None:
    shop = draft(entry("sql", "db-01"))
    then, _ = observed(shop, survey(shop, State.PAUSED))
    plan = build(shop, whole(then), Action.RESTORE, survey(shop, STOPPED), before=then)
    assert acting(plan) == [["sql@db-01"]]
    assert [(one.unit, one.why[:13]) for one in plan.left_alone] == [("sql@db-01", "it was Paused")]
