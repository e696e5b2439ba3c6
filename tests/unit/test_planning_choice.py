"""What a command line chooses, and what must be read for it."""

import pytest
from drafts import draft, entry

from orchestrator.domain.draft import Dependency
from orchestrator.domain.errors import BadInput
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.choice import Choice, chosen, questions
from orchestrator.domain.service import Asked

SHOP = draft(
    entry("sql", "db-01 db-02", asked=[Asked("MSSQLSERVER")]),
    entry("broker", "mq-01", "sql"),
    entry("orders", "app-01 app-02", "broker", asked=[Asked("Orders.*", pattern=True)]),
    entry("agent", "db-01 app-01", Dependency(service="sql", same_host=True)),
    entry("report", "rep-01", Dependency(service="orders", soft=True)),
    entry("directory", "", external=True),
)


def ids(choice: Choice, action: Action = Action.STOP) -> list[str]:
    return [instance.id for instance in chosen(SHOP, choice, action)]


def test_without_options_everything_but_external_entries_is_chosen_in_playbook_order() -> None:
    assert ids(Choice()) == [
        *("sql@db-01", "sql@db-02", "broker@mq-01", "orders@app-01", "orders@app-02"),
        *("agent@db-01", "agent@app-01", "report@rep-01"),
    ]


def test_limit_exclude_and_service_narrow_together() -> None:
    assert ids(Choice(hosts=frozenset({"app-01", "app-02"}))) == ["orders@app-01", "orders@app-02", "agent@app-01"]
    assert ids(Choice(services=("orders", "sql"), exclude=frozenset({"db-02"}))) == [
        *("sql@db-01", "orders@app-01", "orders@app-02")
    ]


@pytest.mark.parametrize("action", [Action.STOP, Action.RESTART])
def test_with_dependents_widens_to_all_that_needs_it_directly_or_not(action: Action) -> None:
    assert ids(Choice(services=("sql",), hosts=frozenset({"db-02"}), with_dependents=True), action) == [
        *("sql@db-02", "broker@mq-01", "orders@app-01", "orders@app-02")
    ]


def test_with_dependents_never_crosses_exclude_or_a_soft_edge_and_widens_no_start() -> None:
    wide = Choice(services=("broker",), exclude=frozenset({"app-02"}), with_dependents=True)
    assert ids(wide) == ["broker@mq-01", "orders@app-01"]
    assert ids(wide, Action.START) == ["broker@mq-01"]


def test_an_unknown_service_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(BadInput, match=r"no service ordrs; did you mean orders\?.*no service zzz") as refused:
        ids(Choice(services=("ordrs", "sql", "zzz")))
    assert "sql, broker, orders" in refused.value.hint
    with pytest.raises(BadInput, match=r"no service SQL; did you mean sql\?"):
        ids(Choice(services=("SQL",)))


def test_an_scm_name_is_led_to_its_entry_and_an_external_entry_is_refused() -> None:
    with pytest.raises(BadInput, match="mssqlserver is a service of the entry sql; write --service sql"):
        ids(Choice(services=("mssqlserver",)))
    with pytest.raises(BadInput, match="directory is external"):
        ids(Choice(services=("directory",)))


def test_an_empty_choice_says_which_options_left_nothing_and_where_the_services_are() -> None:
    with pytest.raises(BadInput, match="nothing to stop: no host of sql is left by --limit and --service") as refused:
        ids(Choice(hosts=frozenset({"app-01"}), services=("sql",)))
    assert refused.value.hint == "they run on db-01, db-02"


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(BadInput, match="contradict"):
        ids(Choice(with_dependents=True, ignore_dependents=True))


def test_a_start_asks_what_is_chosen_and_what_it_needs() -> None:
    asked = questions(SHOP, Choice(services=("broker",)), Action.START)
    assert list(asked) == ["db-01", "db-02", "mq-01"]
    assert asked["db-01"] == (Asked("MSSQLSERVER"), Asked("agent"))  # the whole host in one go


def test_a_stop_asks_what_needs_it_unless_dependents_are_ignored() -> None:
    assert list(questions(SHOP, Choice(services=("broker",)), Action.STOP)) == ["mq-01", "app-01", "app-02"]
    assert list(questions(SHOP, Choice(services=("broker",), ignore_dependents=True), Action.STOP)) == ["mq-01"]
    assert list(questions(SHOP, Choice(services=("agent",)), Action.STATUS)) == ["db-01", "app-01"]


def test_a_need_on_the_same_host_asks_no_other_host() -> None:
    asked = questions(SHOP, Choice(services=("agent",), hosts=frozenset({"db-01"})), Action.START)
    assert list(asked) == ["db-01"]


def test_a_restart_asks_both_ways_and_a_question_is_asked_once() -> None:
    assert list(questions(SHOP, Choice(services=("broker",)), Action.RESTART)) == [
        *("db-01", "db-02", "mq-01", "app-01", "app-02")
    ]
    twice = draft(entry("a", "h", asked=[Asked("X")]), entry("b", "h", asked=[Asked("X"), Asked("Y")]))
    assert questions(twice, Choice(), Action.STOP) == {"h": (Asked("X"), Asked("Y"), Asked("ClusSvc"))}
    assert questions(twice, Choice(), Action.STATUS) == {"h": (Asked("X"), Asked("Y"))}
