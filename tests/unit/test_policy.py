"""What a playbook says about failures, decisions and notices, and what becomes of it in a plan."""

import re
from pathlib import Path

import pytest
from drafts import survey

from orchestrator.adapters.documents.yaml_nodes import parse
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.budget import Budget
from orchestrator.domain.decisions import Cause, CauseKind
from orchestrator.domain.draft import Draft
from orchestrator.domain.drafting.drafting import draft
from orchestrator.domain.errors import Mistakes, ProblemKind
from orchestrator.domain.facts import DecisionAsked
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.notices import SAMPLES, OfRun, body_of, decision_event, title_of
from orchestrator.domain.plan import Action, Stage
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.policy import policy_of
from orchestrator.domain.playbook.reading import read_playbook
from orchestrator.domain.playbook.values import FAILURES, IN_RULES, ON_TIMEOUT
from orchestrator.domain.policy import Approval, Do, Notice, OnTimeout, Policy, Rule, Window
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import State

FLEET = b"""
all:
  children:
    db: { hosts: { db-01: { orch_zone: north }, db-02: { orch_zone: "{{ 'so' ~ 'uth' }}" } } }
    app: { hosts: { "app-[01:24]": {} }, vars: { orch_zone: 7 } }
    spare: { hosts: { spare-01: { orch_zone: north } } }
"""
SERVICES = """
services:
  sql: { hosts: db, max_failures: 1 }
  orders: { hosts: app, depends_on: sql, max_failures: 10% }
  cache: { hosts: db, max_failures: 2% }
"""
DOCS = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


def drafted(said: str, fleet: bytes = FLEET, services: str = SERVICES) -> Draft:
    hosts = merge(declare(parse(fleet, "fleet.yaml")), {}, {})
    written = read_playbook(parse((said + services).encode(), "p.yaml"))
    return draft(written, hosts, Renderer(), lambda name: name, notifies_by=lambda scheme: scheme != "jsn")


def planned(of: Draft, action: Action = Action.STOP, **choice: object) -> Policy:
    found = survey(of, State.RUNNING if action is Action.STOP else State.STOPPED)
    return build(of, Choice(**choice), action, found).policy  # type: ignore[arg-type]  # whatever a test chooses by


def told(said: str, fleet: bytes = FLEET) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        drafted(said, fleet)
    return [f"{mistake.mark.line}:{mistake.mark.column} {mistake.wrong}" for mistake in caught.value.mistakes]


def test_a_playbook_that_says_nothing_asks_without_end() -> None:
    of = drafted(
        "", fleet=b"all: { hosts: { db-01: , db-02: , app-01: } }", services="services: { sql: { hosts: all } }"
    )
    assert of.terms is None
    assert planned(of) == Policy()


def test_the_words_are_those_of_policies() -> None:
    assert sorted(IN_RULES) == sorted(Do)
    assert sorted(ON_TIMEOUT) == sorted(OnTimeout)


def test_short_and_long_forms_mean_the_same() -> None:
    short = drafted(
        """
on_failure: Hold
failure_rules: { kind: gate, service: sql, group: db-01, do: retry, count: "3" }
decisions: { approvers: ann }
approve_before: stop
notify: { url: "json://x/", events: end }
"""
    )
    long = drafted(
        """
on_failure: { default: hold }
failure_rules: [ { kind: [gate], service: [sql], group: ["db", "!db-02"], do: retry, count: 3 } ]
decisions: { approvers: [ann], on_timeout: , min_approvals: 1, not_requester: "false" }
approve_before: [stop]
notify: [ { url: "json://x/", events: [end], title: , body: } ]
window:
"""
    )
    assert short.terms == long.terms
    assert planned(short) == planned(long)
    assert planned(short).rules == (
        Rule(do=Do.RETRY, kinds=(ProblemKind.GATE,), services=("sql",), hosts=("db-01",), count=3),
    )


def test_all_of_it_reaches_the_plan() -> None:
    of = drafted(
        """
vars: { who: [bob, chris], zone: Berlin }
on_failure: { stop: rollback, restart: continue }
decisions:
  { timeout: 30m, on_timeout: abort, approvers: [ann, "{{ vars.who | first }}"], min_approvals: 2, not_requester: true }
approve_before: [start]
window: { until: "5:30", tz: "Europe/{{ vars.zone }}" }
rollback: { timeout: 1h }
notify:
- { url: "slack://{{ secret('env:TOKEN') }}/", remind: 15m, title: "{{ plan | upper }}", body: "it is {{ event }}" }
- { url: "json://x/", title: 10 }
"""
    )
    made = planned(of)
    assert (made.on_failure, made.approve_before) == (Do.ROLLBACK, False)
    assert made.approval == Approval(
        approvers=("ann", "bob"), min_approvals=2, not_requester=True, timeout_s=1800.0, on_timeout=OnTimeout.ABORT
    )
    assert (made.window, made.rollback_timeout_s) == (Window(until="05:30", tz="Europe/Berlin"), 3600.0)
    assert made.notify == (
        Notice(
            url=f"slack://{embed(SecretRef('env', 'TOKEN'))}/",
            title="{{ plan | upper }}",
            body="it is {{ event }}",
            remind_s=900.0,
        ),
        Notice(url="json://x/", title="10"),
    )
    started = planned(of, Action.START)
    assert (started.on_failure, started.approve_before) == (Do.ASK, True)


def test_percentages_are_of_what_the_run_acts_on() -> None:
    of = drafted("max_failures: 10%")
    assert planned(of).max_failures == 2  # of 28
    assert dict(planned(of).max_failures_of) == {"sql": 1, "orders": 2, "cache": 1}
    few = planned(of, hosts=frozenset({"app-01", "app-02"}))
    assert (few.max_failures, few.max_failures_of) == (1, (("orders", 1),))
    assert planned(drafted("max_failures: 0")).max_failures == 0
    assert [Budget(50, percent=True).of(units) for units in (0, 1, 3, 4)] == [1, 1, 1, 2]


def test_rules_and_zones_are_narrowed_to_the_hosts_that_the_run_acts_on() -> None:
    of = drafted("failure_rules: [ { group: db, do: hold }, { kind: remote error, do: continue } ]")
    whole = planned(of)
    assert [rule.hosts for rule in whole.rules] == [("db-01", "db-02"), ()]
    zones = {zone: len(hosts) for zone, hosts in whole.zones}
    assert zones == {"north": 1, "south": 1, "7": 24}
    few = planned(of, hosts=frozenset({"app-01", "app-02"}))
    assert few.rules == (Rule(do=Do.CONTINUE, kinds=(ProblemKind.REMOTE,)),)  # a rule for others must not be for any
    assert few.zones == (("7", ("app-01", "app-02")),)


def test_what_playbooks_have_no_word_for_goes_by_the_default_and_by_what_it_does() -> None:
    of = drafted("on_failure: { stop: hold, default: rollback }\napprove_before: stop")
    starts, stops = (Stage(goal=goal, nodes=(), barriers=()) for goal in (State.RUNNING, State.STOPPED))
    assert policy_of(of, Action.RESTORE, [starts]).on_failure is Do.ROLLBACK
    assert policy_of(of, Action.RESTORE, [starts]).approve_before is False
    assert policy_of(of, Action.RESTORE, [starts, stops]).approve_before is True


def test_names_that_are_not_there_are_told_at_their_places() -> None:
    assert told(
        """
failure_rules:
- { service: [sql, sqll], group: bd, do: ask }
- { group: [db, "!db"], do: ask }
- { group: spare, do: ask }
window: { until: "05:00", tz: Europe/Berln }
"""
    ) == [
        "3:20 'sqll' is no service of this playbook",
        "3:34 'bd' names no host and no group of fleet.yaml",
        "4:12 no host that this playbook acts on matches 'db:!db'",
        "5:12 no host that this playbook acts on matches 'spare'",
        "6:31 there is no time zone 'Europe/Berln'",
    ]


@pytest.mark.parametrize("zone", ["", "Europe", "../x", "/etc/localtime", "Europe/Berlin "])
def test_no_other_text_is_a_time_zone(zone: str) -> None:
    assert len(told(f'window: {{ until: "05:00", tz: "{zone}" }}')) == 1


def test_a_scheme_that_nothing_is_sent_by_is_told_unless_it_is_a_secret() -> None:
    assert told(
        """
notify:
- url: JSN://x/
- url: json://{{ secret('env:JSN') }}/jsn://x
- url: "{{ secret('env:JSN') }}"
- url: "js{{ 'n' }}://x"
"""
    ) == ["3:8 apprise knows no JSN://", "6:8 apprise knows no jsn://"]


def test_reminders_are_a_minute_apart_at_least() -> None:
    said = 'notify: {{ url: "json://x/", remind: {} }}'
    assert told(said.format("1s")) == ["1:37 '1s' is too often"]
    assert told(said.format("30")) == ["1:37 30 is too often"]
    of = drafted(said.format("1m")).terms
    assert of is not None
    assert of.notify[0].remind_s == 60.0


def test_the_texts_of_notices_are_looked_at_before_anything_is_sent() -> None:
    assert told(
        """
notify:
- { url: "json://x/", title: "{{ rnu }}", body: "{% for unit in units %}{% endfor %}" }
- { url: "json://x/", events: end, title: "{{ head }} {{ counts.ok }}", body: "{{ counts.nothing }}" }
"""
    ) == [
        "3:30 {{ rnu }}: 'rnu' is undefined; the nearest known name is 'run'",
        "3:49 {% for unit in units %}{% endfor %}: expressions and {% if %} are offered, no other statement; lists are "
        "handled by filters: map, select, join",
        "4:79 {{ counts.nothing }}: 'nothing' is undefined; known: failed, ok",
    ]


def test_a_notices_url_may_be_a_secret_as_a_whole() -> None:
    of = drafted("notify: { url: \"{{ secret('env:WHERE') }}\" }")
    assert of.terms is not None
    assert of.terms.notify == (Notice(url=embed(SecretRef("env", "WHERE"))),)


def test_a_zone_is_text() -> None:
    fleet = b"all: { hosts: { db-01: { orch_zone: [a] }, db-02: { orch_zone: '{{ x }}' }, app-01: { orch_zone: } } }"
    with pytest.raises(Mistakes) as caught:
        drafted("", fleet, "services: { sql: { hosts: all } }")
    assert [mistake.wrong for mistake in caught.value.mistakes] == [
        "orch_zone is no text (for db-01)",
        "{{ x }}: 'x' is undefined; known: group_names, inventory_hostname, inventory_hostname_short, orch_zone, "
        "secret (for db-02)",
    ]


def rows(heading: str) -> list[str]:
    """The first cells of the table below *heading*, code alone."""
    text = DOCS.split(f"\n{heading}\n\n", 1)[1].split("\n\n")[0]
    return [name for line in text.splitlines()[2:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_the_documentation_lists_the_names_that_templates_have_and_the_kinds_of_failures() -> None:
    asked, ended = SAMPLES["decision"], SAMPLES["end"]
    assert asked.keys() == ended.keys()
    assert set(rows("`title` and `body` are rendered when they are sent, with these names alone:")) == set(asked)
    kinds = DOCS.split("| kind | what happened |", 1)[1].split("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)`", kinds, re.MULTILINE) == FAILURES


def test_orchs_own_words_can_be_read_at_night() -> None:
    asked, ended = SAMPLES["decision"], SAMPLES["end"]
    assert title_of(asked) == "orch: stop shop waits for a decision (for 12 min 00 s now)"
    assert body_of(asked).splitlines() == [
        "orders@app-02 was StopPending for 94 s",
        "2 units: orders@app-02, orders@app-03",
        "What does not depend on it goes on.",
        "Without an answer it becomes hold in 18 min 00 s.",
        "May answer: ann, bob.",
        "Answers: rollback, retry, skip, exclude, hold, abort",
        "On jump-01: orch decide 20260101-021300-abcd rollback --decision 1",
        "Run 20260101-021300-abcd, begun by ann.",
    ]
    assert title_of(ended) == "orch: stop shop ended: failed"
    assert body_of(ended).splitlines() == [
        "7 ok, 1 failed, after 3 min 05 s (exit code 1).",
        "orders@app-02 was StopPending for 94 s",
        "On jump-01: orch start --from 20260101-021300-abcd",
        "Run 20260101-021300-abcd, begun by ann on jump-01.",
        f"Journal head {'0' * 64}",
    ]
    first = {**asked, "waited": "", "min_approvals": 2}
    assert title_of(first) == "orch: stop shop waits for a decision"
    assert "2 of ann, bob must agree; one is enough to hold or abort." in body_of(first).splitlines()
    assert "2 people must agree; one is enough to hold or abort." in body_of({**first, "approvers": []}).splitlines()


def test_a_notice_that_is_sent_as_soon_as_it_is_asked_names_no_time() -> None:
    of = OfRun(run="r1", plan="shop", action="stop", requester="ann", controller="jump-01")
    asked = DecisionAsked(decision=1, cause=Cause(kind=CauseKind.APPROVAL, said="a stop is approved"), choices=())
    assert "now" not in title_of(decision_event(of, asked, Approval(), waited_s=0.02))
    assert "(for 2.0 s now)" in title_of(decision_event(of, asked, Approval(), waited_s=2.0))
