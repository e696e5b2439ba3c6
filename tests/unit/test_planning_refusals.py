"""What the live state does not allow: refused at plan time, every reason at once, each with what to type next."""

import pytest
from drafts import DENIED, NO_SUCH, draft, entry, roles, status, survey

from orchestrator.domain.draft import Dependency, Draft
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.service import Asked, StartType, State
from orchestrator.domain.survey import HostSurvey, Survey

SHOP = draft(entry("sql", "db-01"), entry("broker", "mq-01", "sql"), entry("orders", "app-01 app-02", "broker"))
SQL = Choice(services=("sql",))


def refused(of: Draft, choice: Choice, action: Action, seen: Survey) -> PlanRefused:
    with pytest.raises(PlanRefused) as found:
        build(of, choice, action, seen)
    assert found.value.exit_code == 2
    return found.value


def test_all_reasons_stand_in_one_refusal() -> None:
    shop = draft(
        entry("sql", "db-01 db-02", asked=[Asked("MSSQLSERVER")]),
        entry("orders", "app-01", asked=[Asked("Orders.*", pattern=True)]),
        entry("web", "w-01"),
        entry("cron", "c-01"),
    )
    seen = survey(
        shop,
        but={
            "sql@db-02": NO_SUCH,
            "web@w-01": DENIED,
            "cron@c-01": (status("cron", State.STOPPED, StartType.DISABLED),),
        },
    )
    refusal = refused(shop, Choice(), Action.START, seen)
    assert [reason.about for reason in refusal.reasons] == [
        *(("sql@db-02",), ("orders@app-01",), ("web@w-01",), ("cron@c-01",))
    ]
    text = str(refusal)
    assert "sql@db-02: there is no service MSSQLSERVER on db-02\n" in text
    assert "orders@app-01: no service on app-01 matches Orders.*\n" in text
    assert "web on w-01 can't be read: access denied" in text
    assert "Zugriff verweigert" in text  # the host's own words are kept
    assert "cron is Disabled on c-01, so Windows would refuse the start (error 1058)" in text
    assert "sc.exe config cron start= demand" in text
    assert "nothing was touched" in text


@pytest.mark.parametrize(
    ("state", "allowed"),
    [(State.STOPPED, False), (State.STOP_PENDING, False), (State.RUNNING, True), (State.PAUSED, True)],
)
def test_disabled_is_refused_for_a_start_of_what_is_down(state: State, allowed: bool) -> None:
    one = draft(entry("sql", "db-01"))
    seen = survey(one, but={"sql@db-01": (status("sql", state, StartType.DISABLED),)})
    if allowed:
        build(one, Choice(), Action.START, seen)
    else:
        refused(one, Choice(), Action.START, seen)
    build(one, Choice(), Action.STOP, seen)


def test_a_restart_never_stops_what_it_could_not_start_again() -> None:
    one = draft(entry("sql", "db-01"))
    seen = survey(one, but={"sql@db-01": (status("sql", State.RUNNING, StartType.DISABLED),)})
    assert "could be stopped and not started again" in str(refused(one, Choice(), Action.RESTART, seen))
    down = survey(one, but={"sql@db-01": (status("sql", State.STOPPED, StartType.DISABLED),)})
    build(one, Choice(), Action.RESTART, down)  # was not running: left alone


@pytest.mark.parametrize("action", [Action.STOP, Action.RESTART])
def test_running_dependents_outside_the_choice_are_listed_with_both_ways_on(action: Action) -> None:
    refusal = refused(SHOP, SQL, action, survey(SHOP, but={"orders@app-02": State.STOPPED}))
    assert [reason.about for reason in refusal.reasons] == [("broker@mq-01",), ("orders@app-01",)]
    assert "broker@mq-01: outside the choice and Running; it needs sql, which would be stopped" in str(refusal)
    assert "--with-dependents" in str(refusal)
    assert "--ignore-dependents" in str(refusal)


def test_a_stopped_dependent_is_in_nobodys_way_and_one_beyond_it_still_is() -> None:
    down = {"broker@mq-01": State.STOPPED}
    assert refused(SHOP, SQL, Action.STOP, survey(SHOP, but=down)).reasons[0].about == (
        "orders@app-01",
        "orders@app-02",
    )
    build(SHOP, SQL, Action.STOP, survey(SHOP, State.STOPPED, but={"sql@db-01": State.RUNNING}))


def test_a_dependent_that_is_missing_can_not_run_and_one_that_can_not_be_read_may() -> None:
    down = {"orders@app-01": State.STOPPED, "orders@app-02": State.STOPPED}
    build(SHOP, SQL, Action.STOP, survey(SHOP, but={"broker@mq-01": NO_SUCH, **down}))
    refusal = refused(SHOP, SQL, Action.STOP, survey(SHOP, but={"broker@mq-01": DENIED, **down}))
    assert refusal.reasons[0].about == ("broker@mq-01",)


def test_dependents_can_be_taken_along_or_ignored() -> None:
    (along,) = build(SHOP, Choice(services=("sql",), with_dependents=True), Action.STOP, survey(SHOP)).stages
    assert set(roles(along)) == {"sql@db-01", "broker@mq-01", "orders@app-01", "orders@app-02"}
    (ignored,) = build(SHOP, Choice(services=("sql",), ignore_dependents=True), Action.STOP, survey(SHOP)).stages
    assert roles(ignored) == {"sql@db-01": "act"}


def test_dependents_that_exclude_keeps_out_are_told_apart() -> None:
    choice = Choice(services=("sql",), with_dependents=True, exclude=frozenset({"app-02"}))
    assert "drop the --exclude" in str(refused(SHOP, choice, Action.STOP, survey(SHOP)))


def test_soft_dependents_are_in_nobodys_way() -> None:
    soft = draft(entry("api", "a-01"), entry("report", "r-01", Dependency(service="api", soft=True)))
    build(soft, Choice(services=("api",)), Action.STOP, survey(soft))


def test_what_a_start_needs_and_can_not_exist_is_refused() -> None:
    refusal = refused(SHOP, Choice(services=("orders",)), Action.START, survey(SHOP, but={"sql@db-01": NO_SUCH}))
    assert refusal.reasons[0].about == ("sql@db-01",)


@pytest.mark.parametrize("known", [True, False], ids=["silent", "never asked"])
def test_a_host_without_an_answer_is_named_once(known: bool) -> None:
    pair = draft(entry("sql", "db-01"), entry("agent", "db-01"))
    problem = Problem(ProblemKind.AUTH, "the host rejected the credentials")
    seen = Survey({"db-01": HostSurvey(host="db-01", problem=problem)} if known else {})
    refusal = refused(pair, Choice(), Action.STOP, seen)
    assert [reason.about for reason in refusal.reasons] == [("db-01",)]
    assert "--unreachable exclude" in str(refusal)
    assert not known or "the host rejected the credentials" in str(refusal)


def test_one_scm_service_belongs_to_one_entry() -> None:
    pair = draft(
        entry("api", "app-01", asked=[Asked("*.Api", pattern=True)]),
        entry("orders", "app-01", asked=[Asked("Orders.*", pattern=True)]),
    )
    both = (status("Orders.Api"),)
    refusal = refused(pair, Choice(), Action.STOP, survey(pair, but={"api@app-01": both, "orders@app-01": both}))
    assert refusal.reasons[0].about == ("api:Orders.Api@app-01", "orders:Orders.Api@app-01")


def test_names_that_overlap_in_one_entry_are_one_unit() -> None:
    one = draft(entry("orders", "app-01", asked=[Asked("Orders.Api"), Asked("Orders.*", pattern=True)]))
    (stage,) = build(one, Choice(), Action.STOP, survey(one, but={"orders@app-01": (status("Orders.Api"),)})).stages
    assert roles(stage) == {"orders:Orders.Api@app-01": "act"}
