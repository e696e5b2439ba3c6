"""The plan of a rolling restart: batches, who is counted, what goes down before it comes up, and what is refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from drafts import READY, draft, entry, node_of, status, survey, waits
from test_drafting import drafted

from orchestrator.domain import drift, estimate
from orchestrator.domain.budget import Budget
from orchestrator.domain.draft import Batches, Dependency, Draft
from orchestrator.domain.errors import BadInput
from orchestrator.domain.fact_codec import packed, unpacked
from orchestrator.domain.gates import CommandCheck, Gate, Origin, PortClosedCheck
from orchestrator.domain.life import Hook, Life, Reboot
from orchestrator.domain.plan import Action, Batch, Down, Plan, Role, Stage
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.service import Asked, Reading, State
from orchestrator.domain.survey import Survey

CLOSED = Gate(check=PortClosedCheck(port=8080), origin=Origin.HOST)
PATCH = Hook(name="patch", do=CommandCheck(exe="patch.exe"), origin=Origin.HOST, timeout_s=400.0)
REBOOT = Hook(name="between.2", do=Reboot(timeout_s=800.0), origin=Origin.HOST, timeout_s=800.0)
DRAIN = Hook(
    name="drain",
    do=CommandCheck(exe="drain.exe"),
    undo=CommandCheck(exe="undrain.exe"),
    origin=Origin.CONTROLLER,
)
WEB = "w-1 w-2 w-3 w-4 w-5"
SIXTY = Budget(60, percent=True)


def rolled(made: Draft, found: Survey | None = None, **choice: Any) -> Plan:
    """The plan of a rolling restart of *made*, all of which runs unless *found* says otherwise."""
    return build(made, Choice(rolling=True, **choice), Action.RESTART, found or survey(made))


def only(plan: Plan) -> Stage:
    (stage,) = plan.stages
    return stage


def web(hosts: str = WEB, **options: Any) -> Draft:
    return draft(entry("web", hosts, **options))


def sizes(stage: Stage, service: str = "web") -> list[int]:
    """The instances of each batch, as its barriers and nodes tell."""
    batches: dict[tuple[int, ...], int] = {}
    own = {place for place, barrier in enumerate(stage.barriers) if barrier.name.startswith(f"{service}#")}
    for node in stage.nodes:
        if node.unit.service == service and node.role is Role.ACT:
            at = tuple(number for number in node.waits_for if number in own)
            batches[at] = batches.get(at, 0) + 1
    return list(batches.values())


@pytest.mark.parametrize(
    ("options", "expected", "at_least"),
    [
        ({}, [1, 1, 1, 1, 1], None),
        ({"batches": Batches(sizes=(Budget(1), Budget(3)))}, [1, 3, 1], None),
        ({"min_available": SIXTY}, [2, 2, 1], 3),
        ({"min_available": Budget(55, percent=True)}, [2, 2, 1], 3),
        ({"min_available": Budget(1)}, [4, 1], 1),
        ({"min_available": Budget(4), "batches": Batches(sizes=(Budget(1),))}, [1, 1, 1, 1, 1], 4),
    ],
)
def test_the_batches_are_as_given_or_as_many_as_may_go_or_one_by_one(
    options: Mapping[str, Any], expected: list[int], at_least: int | None
) -> None:
    stage = only(rolled(web(**options)))
    assert sizes(stage) == expected
    counts = [node.batch for node in stage.nodes if node.batch is not None]
    first = [] if at_least is None else [Batch(number=1, of=len(expected), size=expected[0], at_least=at_least)]
    assert counts == first + [
        Batch(number=number, of=len(expected), size=size, at_least=at_least)
        for number, size in enumerate(expected[1:], start=2)
    ]


def test_before_the_first_batch_too_there_is_a_count_and_each_waits_for_the_batch_before() -> None:
    made = draft(entry("sql", "db"), entry("web", WEB, "sql", min_available=SIXTY))
    stage = only(rolled(made))
    assert waits(stage, "web#1") == {"sql@db"}, "hard edges hold as in a start"
    assert waits(stage, "web@w-1") == {"sql@db", "web#1"}
    assert waits(stage, "web#2") == {"sql@db", "web@w-1", "web@w-2"}
    assert waits(stage, "web@w-3") == {"sql@db", "web@w-1", "web@w-2", "web#2"}
    count = node_of(stage, "web#1")
    assert (count.timeout_s, count.expected_s, count.role) == (90.0, 0.0, Role.PROBE)
    soft = [barrier for barrier in stage.barriers if barrier.name == "web#2" and barrier.soft]
    assert [barrier.instances for barrier in soft] == [((2,), (3,))]


def test_a_node_goes_down_and_up_in_one_life_and_the_estimate_is_of_both() -> None:
    stop_life = Life(before=(DRAIN,), keep_down=True)
    start_life = Life(after=(replace(DRAIN, undoes=True),), healthy_s=30.0, keep_down=True)
    of_instance = {
        "ready": (READY,),
        "stopped": (CLOSED,),
        "stop_timeout_s": 60.0,
        "stop_expected_s": 10.0,
        "start_timeout_s": 80.0,
        "start_expected_s": 20.0,
        "start_life": start_life,
        "stop_life": stop_life,
    }
    plan = rolled(draft(entry("web", "w-1 w-2", of_instance=of_instance), between=(PATCH,)))
    stage = only(plan)
    node = node_of(stage, "web@w-1")
    assert (stage.goal, node.role, node.life, node.gates) == (State.RUNNING, Role.ACT, start_life, (READY,))
    assert node.down == Down(gates=(CLOSED,), timeout_s=60.0, life=stop_life, between=(PATCH,))
    assert node.down is node_of(stage, "web@w-2").down, "what is the same for all is there once"
    assert (node.expected_s, node.guessed) == (10.0 + 100.0 + 20.0 + 30.0, True)
    assert stage.expected_s == estimate.makespan_s(stage) == 2 * 160.0, "one after the other"
    (back,) = plan.back
    assert [(each.down, each.life, each.batch) for each in back.nodes] == [(None, start_life, None)] * 2
    assert unpacked(Plan, packed(plan)) == plan


def test_without_between_and_with_both_durations_given_nothing_is_guessed() -> None:
    node = node_of(only(rolled(web(of_instance={"stop_expected_s": 4.0, "start_expected_s": 6.0}))), "web@w-1")
    assert (node.expected_s, node.guessed) == (10.0, False)


def test_prechecks_hold_before_anything_goes_down() -> None:
    life = Life(prechecks=(READY,))
    checks, stage = rolled(web("w-1 w-2", of_instance={"stop_life": life})).stages
    assert (checks.checks, checks.goal) == (True, State.STOPPED)
    assert [(node.unit.id, node.gates) for node in checks.nodes] == [("web@w-1", (READY,)), ("web@w-2", (READY,))]
    assert stage.goal is State.RUNNING


def test_who_was_not_running_is_left_alone_and_counted_all_the_same() -> None:
    made = web(min_available=Budget(3))
    plan = rolled(made, survey(made, but={"web@w-2": State.STOPPED}), hosts=frozenset({"w-1", "w-2", "w-3"}))
    stage = only(plan)
    assert [node.unit.id for node in stage.nodes if node.role is Role.ACT] == ["web@w-1", "web@w-3"]
    assert [unit.id for unit in stage.others] == ["web@w-2", "web@w-4", "web@w-5"]
    assert [left.unit for left in plan.left_alone] == ["web@w-2"]
    assert only(rolled(web())).others == (), "nobody counts without min_available"


def test_who_is_counted_is_asked_when_a_plan_is_made_and_when_it_is_applied() -> None:
    made = web(min_available=Budget(3))
    choice = Choice(rolling=True, hosts=frozenset({"w-1"}))
    assert list(questions(made, choice, Action.RESTART)) == WEB.split()
    assert list(drift.questions(build(made, choice, Action.RESTART, survey(made)))) == WEB.split()


def test_an_instance_of_which_its_host_lacks_a_service_is_counted_with_it() -> None:
    both = (Asked("Api"), Asked("Worker"))
    made = draft(entry("web", "w-1 w-2 w-3", asked=both, min_available=Budget(1)))
    found = survey(made, but={"web@w-3": (status("Api"),)})
    others = only(rolled(made, found, hosts=frozenset({"w-1", "w-2"}))).others
    assert [(unit.id, unit.instance, unit.seen is None) for unit in others] == [
        ("web:Api@w-3", "web@w-3", False),
        ("web:Worker@w-3", "web@w-3", True),
    ]
    silent = survey(made, silent=("w-3",))
    plan = build(made, Choice(rolling=True), Action.RESTART, silent, excluded=frozenset({"w-3"}))
    assert plan.stages[0].others == (), "who can't be asked is not up"


REFUSED = [
    (
        web("w-1 w-2 w-3", min_available=Budget(3)),
        "web: `min_available: 3` lets none of its 3 instances go down\n"
        "    lower it in the playbook, or restart without --rolling: then all go down at once",
    ),
    (
        web("w-1", min_available=Budget(1, percent=True)),
        "web: `min_available: 1%, so 1` lets its one instance never go down\n"
        "    lower it in the playbook, or restart without --rolling: then all go down at once",
    ),
    (
        web(min_available=SIXTY, batches=Batches(sizes=(Budget(1), Budget(3)))),
        "web: a batch of 3 would leave fewer than `min_available: 60%, so 3` of its 5 instances up\n"
        "    at most 2 can go at once: write `batch: 2`, or leave `batch` out of the playbook",
    ),
    (
        draft(entry("web", "w-1 w-2"), entry("api", "w-1 w-2"), between=(PATCH,)),
        "web@w-1, api@w-1: they run on one host (w-1 and 1 more host), and what `restart: between:` does there for one "
        "would meet the other running\n"
        "    choose one of them (--service web), or restart without --rolling: then it is done once on each host, "
        "while all is down",
    ),
    (
        draft(entry("web", "w-1"), entry("api", "w-1", Dependency(service="web", same_host=True))),
        "api@w-1: it runs and needs web on the same host, which would go down alone\n"
        "    restart without --rolling; or --ignore-dependents, and it loses what it needs for that time",
    ),
]


@pytest.mark.parametrize(("made", "said"), REFUSED)
def test_what_can_t_be_done_batch_by_batch_is_refused_in_words(made: Draft, said: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        rolled(made)
    assert [str(reason) for reason in refused.value.reasons] == [said]


def test_a_reboot_between_wants_hosts_that_tell_when_they_started() -> None:
    with pytest.raises(PlanRefused, match="w-1, w-2: the playbook reboots it between stop and start"):
        rolled(draft(entry("web", "w-1 w-2"), between=(REBOOT,)))


def test_what_another_service_of_the_host_needs_is_refused() -> None:
    made = draft(entry("web", "w-1 w-2", asked=(Asked("Web"), Asked("Agent"))))
    plain = survey(made)

    def needed_by(name: str, *, beside: State | None) -> Survey:
        hosts = {}
        for host, said in plain.hosts.items():
            api, agent = said.readings
            found = (replace(api.found[0], required_by=(name,)),)
            above = () if beside is None else (Reading(Asked(name), (status(name, beside),)),)
            hosts[host] = replace(said, readings=(replace(api, found=found), agent), dependents=above)
        return Survey(hosts)

    with pytest.raises(PlanRefused) as refused:
        rolled(made, needed_by("Watcher", beside=State.RUNNING), ignore_dependents=True)
    assert [str(reason) for reason in refused.value.reasons] == [
        "web:Web@w-1, web:Web@w-2: Watcher on w-1 and 1 more host is Running and needs them, so Windows would refuse "
        "the stop\n    a rolling restart takes each service down by itself: restart without --rolling, or stop what "
        "needs it first"
    ]
    assert rolled(made, needed_by("Watcher", beside=State.STOPPED)).stages
    with pytest.raises(PlanRefused, match="Agent on w-1 and 1 more host is Running and needs them"):
        rolled(made, needed_by("Agent", beside=None))  # of the same instance, but it would be up when that goes down


def test_dependents_on_other_hosts_run_on_whether_they_were_chosen_or_not() -> None:
    made = draft(entry("sql", "db-1 db-2"), entry("web", WEB, "sql"))
    plan = rolled(made, services=("sql",))
    assert [node.unit.id for node in only(plan).nodes if node.batch is None] == ["sql@db-1", "sql@db-2"]
    assert plan.ignored == ()
    assert list(questions(made, Choice(rolling=True, services=("sql",)), Action.RESTART)) == ["db-1", "db-2"]


def test_a_silent_host_of_what_needs_it_keeps_nobody_from_going_down() -> None:
    made = draft(entry("sql", "db-1 db-2"), entry("web", "w-1 w-2", "sql"))
    found = survey(made, silent=("w-1", "db-2"))
    plan = build(made, Choice(rolling=True), Action.RESTART, found, excluded=frozenset({"w-1", "db-2"}))
    acting = [node.unit.id for node in only(plan).nodes if node.role is Role.ACT]
    assert acting == ["sql@db-1"], "web needs all of sql to come up again"
    assert [left.unit for left in plan.left_alone] == ["sql@db-2", "web@w-1", "web@w-2"]


@pytest.mark.parametrize(("said", "wanted", "least"), [("60%", Budget(60, percent=True), 3), ("1", Budget(1), 1)])
def test_a_playbook_says_how_many_have_to_be_up(said: str, wanted: Budget, least: int) -> None:
    (made,) = drafted(f"services: {{ sql: {{ hosts: db, min_available: {said} }} }}").entries
    assert (made.min_available, wanted.at_least(5)) == (wanted, least)


@pytest.mark.parametrize("action", [Action.STOP, Action.START])
def test_nothing_but_a_restart_is_rolling(action: Action) -> None:
    made = web()
    with pytest.raises(BadInput, match=f"--rolling says nothing of a {action}") as refused:
        questions(made, Choice(rolling=True), action)
    assert "orch restart --rolling" in refused.value.hint


def test_min_available_does_nothing_without_rolling() -> None:
    def plain(made: Draft, action: Action) -> Plan:
        return build(made, Choice(), action, survey(made))

    for action in (Action.STOP, Action.START, Action.RESTART):
        assert plain(web(min_available=SIXTY), action) == plain(web(), action)


def test_four_thousand_units_in_a_thousand_batches_are_planned_in_seconds() -> None:
    hosts = " ".join(f"h-{number:04}" for number in range(4_000))
    made = draft(entry("web", hosts, min_available=Budget(3_996)))
    found = survey(made)
    stage = only(rolled(made, found))
    assert len([node for node in stage.nodes if node.batch is not None]) == 1_000
    arrows = sum(len(node.waits_for) for node in stage.nodes) + sum(
        len(instance) for barrier in stage.barriers for instance in barrier.instances
    )
    assert arrows < 4 * len(stage.nodes)
    assert len(json.dumps(packed(stage))) < 2_000 * len(stage.nodes), "no node tells of all others"
