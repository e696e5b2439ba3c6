"""A saved plan against the live state: what matters is told in words, and nothing else is."""

from dataclasses import replace

import pytest
from drafts import DENIED, NO_SUCH, READY, draft, entry, status, survey

from orchestrator.domain.drift import Drift, drift, watched
from orchestrator.domain.errors import Problem
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.census import problem_in_words
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.observed import questions_about
from orchestrator.domain.service import Asked, Reading, ServiceStatus, StartType, State
from orchestrator.domain.survey import Survey

SHOP = draft(entry("sql", "db-01", of_instance={"ready": (READY,)}), entry("orders", "app-01 app-02", "sql"))
Seen = State | Problem | tuple[ServiceStatus, ...]


def told(action: Action, now: Seen, *, was: State = State.RUNNING) -> list[str]:
    plan = build(SHOP, Choice(), action, survey(SHOP, was))
    return [str(one) for one in drift(plan, survey(SHOP, was, but={"orders@app-02": now}))]


@pytest.mark.parametrize(
    ("action", "was", "now", "words"),
    [
        (Action.STOP, State.RUNNING, (status("orders", State.RUNNING, StartType.DISABLED),), "is Disabled"),
        (Action.START, State.STOPPED, (status("orders", State.STOPPED, StartType.DISABLED),), "is Disabled"),
        (Action.STOP, State.RUNNING, State.PAUSED, "is Paused"),
        (Action.STOP, State.RUNNING, State.STOPPED, ""),
        (Action.START, State.STOPPED, State.RUNNING, ""),
        (Action.START, State.STOPPED, State.START_PENDING, "is StartPending"),
        (Action.RESTART, State.RUNNING, State.STOPPED, "is Stopped"),
        (Action.STOP, State.RUNNING, NO_SUCH, "is gone"),
        (Action.STOP, State.RUNNING, DENIED, f"can't be read: {problem_in_words(DENIED)}"),
        (Action.STOP, State.RUNNING, (status("orders", State.RUNNING, StartType.AUTOMATIC),), ""),
        (Action.STOP, State.RUNNING, (replace(status("orders"), pid=4711),), ""),
    ],
)
def test_what_matters_is_told_and_nothing_else(action: Action, was: State, now: Seen, words: str) -> None:
    assert told(action, now, was=was) == ([f"orders@app-02 was {was}, {words}"] if words else [])


def test_what_was_disabled_when_the_plan_was_frozen_is_no_drift() -> None:
    seen = survey(SHOP, but={"orders@app-01": (status("orders", State.RUNNING, StartType.DISABLED),)})
    assert drift(build(SHOP, Choice(), Action.STOP, seen), seen) == ()


def test_what_a_start_counts_on_and_does_not_start_is_looked_at_too() -> None:
    but = {"orders@app-01": State.STOPPED, "orders@app-02": State.STOPPED}
    plan = build(SHOP, Choice(services=("orders",)), Action.START, survey(SHOP, but=but))
    assert [unit.id for unit in watched(plan)] == ["sql@db-01", "orders@app-01", "orders@app-02"]
    now = survey(SHOP, State.STOPPED)
    assert drift(plan, now) == (Drift("sql@db-01", "Running", "is Stopped"),)
    asked = questions_about(watched(plan))
    assert set(asked) == {"db-01", "app-01", "app-02"}


ON_TOP = (replace(status("sql"), required_by=("Reports", "Mail", "Ghost", "orders")),)
REPORTS = replace(status("Reports"), required_by=("Board",))


@pytest.mark.parametrize(
    ("action", "rolls", "told"),
    [
        (Action.STOP, False, ["Reports", "Board"]),
        (Action.RESTART, False, ["Reports", "Board"]),
        (Action.RESTART, True, ["Reports", "Board"]),
        (Action.START, False, []),
    ],
)
def test_what_came_up_on_top_of_what_is_stopped_is_drift(action: Action, rolls: bool, told: list[str]) -> None:
    goal = State.STOPPED if action is Action.START else State.RUNNING
    plan = build(SHOP, Choice(rolling=rolls), action, survey(SHOP, goal))
    now = survey(SHOP, goal, but={"sql@db-01": ON_TOP if action is not Action.START else goal})
    there = {"Reports": REPORTS, "Mail": status("Mail", State.STOPPED), "Board": status("Board")}
    more = [Reading(Asked(name), (one,)) for name, one in there.items()] + [Reading(Asked("Ghost"), problem=NO_SUCH)]
    hosts = {**now.hosts, "db-01": replace(now.hosts["db-01"], dependents=tuple(more))}
    assert [str(one) for one in drift(plan, Survey(hosts))] == [
        f"sql@db-01 was Running, is needed by {name} on db-01, which is Running and not in the plan" for name in told
    ]


def test_a_dependent_that_does_not_tell_its_state_is_drift_and_one_that_the_plan_stops_is_none() -> None:
    over = survey(SHOP, but={"orders@app-01": (replace(status("orders"), required_by=("Reports",)),)})
    plan = build(SHOP, Choice(), Action.STOP, survey(SHOP))
    silent = (Reading(Asked("Reports"), problem=DENIED),)
    hosts = {**over.hosts, "app-01": replace(over.hosts["app-01"], dependents=silent)}
    (found,) = drift(plan, Survey(hosts))
    assert found.now == f"is needed by Reports on app-01, which can't be read: {problem_in_words(DENIED)}"


def test_a_host_that_does_not_answer_is_drift_of_each_of_its_units() -> None:
    plan = build(SHOP, Choice(), Action.STOP, survey(SHOP))
    (found,) = drift(plan, survey(SHOP, silent=["db-01"]))
    assert str(found) == "sql@db-01 was Running, can't be read: no answer within 15 s"
    assert {str(one) for one in drift(plan, Survey())} == {
        f"{unit.id} was Running, was not read now" for unit in watched(plan)
    }
