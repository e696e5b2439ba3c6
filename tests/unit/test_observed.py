"""What a snapshot keeps of a survey, and how the world differs from it later."""

from dataclasses import replace

import pytest
from drafts import DENIED, NO_SUCH, draft, entry, status, survey

from orchestrator.domain.plan import Action
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.observed import What, as_seen, differences, observed, questions_about
from orchestrator.domain.service import Asked, Reading, StartType, State
from orchestrator.domain.survey import HostSurvey, Survey

SHOP = draft(
    entry("sql", "db-01"),
    entry("orders", "app-01 app-02", "sql", asked=[Asked("Orders.*", pattern=True)]),
    entry("ldap", external=True),
)


def live(*services: str, state: State = State.RUNNING) -> HostSurvey:
    """A host that tells of *services* by their own names."""
    return HostSurvey(host="", readings=tuple(Reading(Asked(one), (status(one, state),)) for one in services))


def test_all_units_are_kept_and_asked_for_again_by_their_own_names() -> None:
    found = survey(
        SHOP, but={"orders@app-01": (status("Orders.Api"), status("Orders.Worker")), "orders@app-02": NO_SUCH}
    )
    units, unread = observed(SHOP, found)
    assert [unit.id for unit in units] == ["sql@db-01", "orders:Orders.Api@app-01", "orders:Orders.Worker@app-01"]
    assert [one.unit for one in unread] == ["orders@app-02"]
    assert questions_about(units) == {
        "db-01": (Asked("sql"),),
        "app-01": (Asked("Orders.Api"), Asked("Orders.Worker")),
    }


def test_states_and_start_types_differ_and_a_new_process_is_told() -> None:
    units, _ = observed(
        SHOP, survey(SHOP, but={"orders@app-01": (status("Orders.Api"),), "orders@app-02": (status("Orders.Api"),)})
    )
    one, two, three = (replace(unit, seen=unit.seen and replace(unit.seen, pid=7)) for unit in units)
    now = Survey(
        {
            "db-01": HostSurvey(host="db-01", readings=(Reading(Asked("sql"), (replace(status("SQL"), pid=8),)),)),
            "app-01": live("Orders.Api", state=State.STOPPED),
            "app-02": HostSurvey(
                host="app-02",
                readings=(Reading(Asked("orders.api"), (status("Orders.Api", start_type=StartType.DISABLED),)),),
            ),
        }
    )
    assert [(found.unit, found.what, found.was, found.now) for found in differences([one, two, three], now)] == [
        ("sql@db-01", What.PROCESS, "PID 7", "PID 8"),
        ("orders:Orders.Api@app-01", What.STATE, "Running", "Stopped"),
        ("orders:Orders.Api@app-02", What.START_TYPE, "Manual", "Disabled"),
    ]
    assert differences([one], Survey({"db-01": live("sql")})) == ()


@pytest.mark.parametrize(
    ("then", "now", "restarted"),
    [(1000.0, 90_000.0, True), (1000.0, 1002.0, False), (1000.0, 940.0, False), (None, 9.0, None), (9.0, None, None)],
)
def test_of_a_new_process_it_is_told_whether_its_host_has_restarted(
    then: float | None, now: float | None, restarted: bool | None
) -> None:
    units, _ = observed(SHOP, survey(SHOP))
    was = replace(units[0], seen=units[0].seen and replace(units[0].seen, pid=7), booted_at=then)
    host = HostSurvey(host="db-01", booted_at=now, readings=(Reading(Asked("sql"), (replace(status("sql"), pid=8),)),))
    [found] = differences([was], Survey({"db-01": host}))
    assert (found.what, found.restarted) == (What.PROCESS, restarted)


def test_what_can_not_be_read_is_told_with_the_reason() -> None:
    units, _ = observed(SHOP, survey(SHOP, but={"orders@app-01": NO_SUCH, "orders@app-02": NO_SUCH}))
    for said, words in (
        (HostSurvey(host="db-01", problem=DENIED), "Zugriff verweigert"),
        (HostSurvey(host="db-01", readings=(Reading(Asked("sql"), problem=DENIED),)), "Zugriff verweigert"),
        (
            HostSurvey(host="db-01", readings=(Reading(Asked("sql"), problem=NO_SUCH),)),
            "there is no such service any more",
        ),
    ):
        [found] = differences(units, Survey({"db-01": said}))
        assert (found.what, words in found.now) == (What.UNREAD, True)


def test_a_plan_of_another_day_goes_back_to_what_is_there_when_it_begins() -> None:
    plan = build(SHOP, Choice(services=("sql",), ignore_dependents=True), Action.STOP, survey(SHOP))
    again = as_seen(plan, Survey({"db-01": live("SQL", state=State.STOPPED)}))
    assert [
        unit.seen and unit.seen.state for stage in again.stages for unit in (node.unit for node in stage.nodes)
    ] == [State.STOPPED]
    booted = as_seen(plan, Survey({"db-01": replace(live("SQL"), booted_at=77.0)}))
    assert {node.unit.booted_at for stage in booted.stages for node in stage.nodes} == {77.0}, "as its PID is"
    assert as_seen(plan, Survey()) == plan
    assert as_seen(plan, Survey({"db-01": HostSurvey(host="db-01", problem=DENIED)})) == plan
