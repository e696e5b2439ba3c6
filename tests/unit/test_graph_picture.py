"""What `orch graph` knows before it draws: services by wave, arrows, the critical path, live states."""

from typing import Any

import pytest
from drafts import CLOSED, READY, draft, entry, survey

from orchestrator.domain.draft import Dependency, Draft
from orchestrator.domain.errors import BadInput
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.picture import Picture, picture
from orchestrator.domain.service import Asked, State

ALL = Choice()


def lasting(start_s: float | None, stop_s: float | None = None) -> dict[str, Any]:
    return {"start_expected_s": start_s, "stop_expected_s": stop_s, "ready": (READY,), "stopped": (CLOSED, CLOSED)}


SHOP = draft(
    entry("dc", external=True, of_instance={"ready": (READY,)}),
    entry("sql", "db-01 db-02", "dc", of_instance=lasting(10, 1)),
    entry("cache", "db-01", of_instance=lasting(2, 50)),
    entry("web", "web-01 web-02", "sql", Dependency(service="cache", need=1), of_instance=lasting(None, 3)),
    entry("batch", "web-01", Dependency(service="web", same_host=True, soft=True), of_instance=lasting(1, 1)),
)


def made(of: Draft = SHOP, action: Action = Action.START, choice: Choice = ALL, **options: Any) -> Picture:
    return picture(of, choice, action, **options)


def test_a_start_goes_up_and_names_the_way_that_takes_longest() -> None:
    found = made()
    assert [(one.key, one.wave) for one in found.services] == [
        ("dc", 1), ("cache", 1), ("sql", 2), ("web", 3), ("batch", 4),
    ]  # fmt: skip
    assert found.critical_path == ("sql", "web", "batch")
    assert {(one.service, one.needs) for one in found.arrows if one.critical} == {("web", "sql"), ("batch", "web")}
    assert found.expected_s == 10 + 22.5 + 1
    assert found.guessed_share == pytest.approx(45 / (2 * 10 + 2 + 45 + 1))
    by_key = {one.key: one for one in found.services}
    assert (by_key["web"].guessed, by_key["web"].expected_s, by_key["sql"].guessed) == (True, 22.5, False)
    assert (by_key["dc"].external, by_key["dc"].hosts, by_key["dc"].gates) == (True, (), ("tcp",))
    assert (by_key["sql"].hosts, by_key["sql"].gates) == (("db-01", "db-02"), ("tcp",))
    assert found.waits_for("web") == [(arrow.needs, arrow) for arrow in found.arrows if arrow.service == "web"]


def test_a_stop_goes_down() -> None:
    found = made(action=Action.STOP)
    assert [(one.key, one.wave) for one in found.services] == [
        ("batch", 1), ("web", 2), ("sql", 3), ("cache", 3), ("dc", 4),
    ]  # fmt: skip
    assert found.critical_path == ("batch", "web", "cache")
    assert [key for key, _ in found.waits_for("sql")] == ["web"]
    assert [one.gates for one in found.services if one.key == "sql"] == [("port",)]
    assert {(one.service, one.needs) for one in found.arrows if one.critical} == {("web", "cache"), ("batch", "web")}


def test_arrows_say_what_is_special_about_them() -> None:
    said = {(one.service, one.needs): (one.need, one.of, one.same_host, one.soft) for one in made().arrows}
    assert said == {
        ("sql", "dc"): (None, 1, False, False),
        ("web", "sql"): (None, 2, False, False),
        ("web", "cache"): (1, 1, False, False),
        ("batch", "web"): (None, 2, True, True),
    }


def test_what_is_not_chosen_is_not_drawn() -> None:
    found = made(choice=Choice(services=("sql", "batch")))
    assert [(one.key, one.wave) for one in found.services] == [("dc", 1), ("batch", 1), ("sql", 2)]
    assert [(one.service, one.needs) for one in found.arrows] == [("sql", "dc")]
    limited = made(choice=Choice(hosts=frozenset({"web-01", "db-01"})))
    assert [(one.key, one.hosts) for one in limited.services if one.key in ("sql", "web")] == [
        ("sql", ("db-01",)), ("web", ("web-01",)),
    ]  # fmt: skip
    with pytest.raises(BadInput, match="no service nothing"):
        made(choice=Choice(services=("nothing",)))


def test_live_states_are_counted_and_what_was_not_read_is_named() -> None:
    found = made(survey=survey(SHOP, but={"web@web-02": State.STOPPED}, silent=["db-02"]))
    assert {one.key: one.states for one in found.services} == {
        "dc": None,
        "sql": {"Running": 1, "unknown": 1},
        "cache": {"Running": 1},
        "web": {"Running": 1, "Stopped": 1},
        "batch": {"Running": 1},
    }
    ((unit, service, why),) = [(one.unit, one.service, one.why) for one in found.not_read]
    assert (unit, service) == ("sql@db-02", "sql")
    assert "no answer within 15 s" in why
    assert made().not_read == ()


def test_units_count_where_an_entry_names_several() -> None:
    two = draft(entry("orders", "app-01 app-02", asked=[Asked("Orders.Api"), Asked("Orders.W*", pattern=True)]))
    assert made(two).critical_path == ("orders",)
    assert made(two).services[0].hosts == ("app-01", "app-02")
