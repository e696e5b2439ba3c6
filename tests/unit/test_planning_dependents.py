"""What needs a service on its own host and stands in no playbook: refused, or stopped and started with it."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from drafts import DENIED, NO_SUCH, draft, entry, node_of, roles, status, survey, waits
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.domain.draft import Dependency, Draft, Entry, OnDependents
from orchestrator.domain.errors import BadInput, Problem
from orchestrator.domain.estimate import complete
from orchestrator.domain.plan import Action, Plan, Unit
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.service import Asked, Reading, ServiceStatus, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.way_back import Touch, acted_on, way_back
from orchestrator.engine.jobs.surveying import survey as look

RESTORE = OnDependents.STOP_AND_RESTORE


def shop(dependents: OnDependents = RESTORE) -> Draft:
    return draft(
        entry("sql", "db-01", dependents=dependents),
        entry("orders", "app-01 app-02", "sql", dependents=dependents),
        entry("web", "web-01", "orders"),
    )


def with_above(of: Survey, host: str, above: Mapping[str, str], *others: ServiceStatus | Problem | str) -> Survey:
    """*of* where services of *host* are needed by those that *above* names, and *others* were found beside them."""
    said = of.hosts[host]
    readings = tuple(
        Reading(one.asked, tuple(replace(f, required_by=tuple(above.get(f.name, "").split())) for f in one.found))
        for one in said.readings
    )
    told = {other.name if isinstance(other, ServiceStatus) else "Agent": other for other in others}
    dependents = tuple(
        Reading(Asked(name), (one,)) if isinstance(one, ServiceStatus) else Reading(Asked(name), problem=one)
        for name, one in told.items()
        if not isinstance(one, str)
    )
    return Survey({**of.hosts, host: replace(said, readings=readings, dependents=dependents)})


AGENT, TOP = status("Agent"), status("Top")


def seen(of: Draft, *others: ServiceStatus | Problem, state: State = State.RUNNING) -> Survey:
    return with_above(survey(of, state), "app-01", {"orders": "Agent Top"}, *others)


def why(of: Draft, live: Survey, action: Action = Action.STOP, **options: object) -> list[str]:
    with pytest.raises(PlanRefused) as refused:
        build(of, Choice(**options), action, live)  # type: ignore[arg-type] # as Choice takes them
    return [str(reason) for reason in refused.value.reasons]


def test_by_default_a_stop_is_refused_with_what_to_type() -> None:
    of = shop(OnDependents.FAIL)
    (told,) = why(of, seen(of, AGENT))
    assert told.startswith(
        "orders@app-01: Agent on app-01 is Running and needs it, and the playbook has no such service"
    )
    assert "`dependents: stop_and_restore` for orders" in told
    (told,) = why(of, seen(of, DENIED), Action.RESTART)
    assert "Agent on app-01 can't be read" in told
    assert build(of, Choice(ignore_dependents=True), Action.STOP, seen(of, AGENT))
    assert build(of, Choice(services=("web",)), Action.STOP, seen(of, AGENT)), "nobody stops what it needs"


@pytest.mark.parametrize("there", [status("Agent", State.STOPPED), status("Agent", State.STOP_PENDING), NO_SUCH])
def test_what_does_not_run_is_in_nobodys_way(there: ServiceStatus | Problem) -> None:
    of = shop(OnDependents.FAIL)
    (stage,) = build(of, Choice(), Action.STOP, seen(of, there)).stages
    assert len(stage.nodes) == 4


def test_what_the_playbook_has_on_the_host_is_no_stranger() -> None:
    of = draft(entry("orders", "app-01"), entry("agent", "app-01", "orders", asked=[Asked("Ag*", pattern=True)]))
    live = with_above(survey(of, but={"agent@app-01": (AGENT,)}), "app-01", {"orders": "Agent"})
    (stage,) = build(of, Choice(), Action.STOP, live).stages
    assert roles(stage) == {"orders@app-01": "act", "agent:Agent@app-01": "act"}


def test_it_is_stopped_before_and_started_after_what_it_needs() -> None:
    of = shop()
    live = seen(of, replace(AGENT, required_by=("Top",)), TOP)
    stop, start = build(of, Choice(), Action.RESTART, live).stages
    agent, top = "orders:Agent@app-01", "orders:Top@app-01"
    assert node_of(stop, agent).unit.instance == "orders@app-01"
    assert waits(stop, "orders@app-01") == {"web@web-01", agent, top}
    assert waits(stop, agent) == {"web@web-01", top}
    assert waits(stop, top) == {"web@web-01"}
    assert waits(stop, "sql@db-01") == {"orders@app-01", "orders@app-02"}
    assert waits(start, agent) == {"orders@app-01"}
    assert waits(start, top) == {"orders@app-01", agent}
    assert waits(start, "web@web-01") == {"orders@app-01", "orders@app-02"}, "whoever depends on orders needs no agent"


def test_it_needs_what_others_need_and_is_stopped_with_the_first_of_them() -> None:
    of = draft(
        entry("sql", "one", dependents=RESTORE),
        entry("orders", "one", "sql", dependents=RESTORE, in_order=True, of_instance={"ready": ()}),
    )
    live = with_above(survey(of), "one", {"sql": "Agent", "orders": "Agent"}, AGENT)
    stop, start = build(of, Choice(), Action.RESTART, live).stages
    assert waits(stop, "sql@one") == {"orders@one", "orders:Agent@one"}
    assert waits(stop, "orders@one") == {"orders:Agent@one"}
    assert waits(start, "orders:Agent@one") == {"sql@one", "orders@one"}
    of = replace(of, entries=(replace(of.entries[0], dependents=OnDependents.FAIL), of.entries[1]))
    (told,) = why(of, live)
    assert "for sql:" in told


def test_only_the_nearest_may_be_told() -> None:
    of = shop()
    live = with_above(survey(of), "app-01", {"orders": "Agent"}, replace(AGENT, required_by=("Top",)), TOP)
    (stop,) = build(of, Choice(), Action.STOP, live).stages
    assert waits(stop, "orders:Agent@app-01") >= {"orders:Top@app-01"}
    assert roles(stop)["orders:Top@app-01"] == "act"


def test_what_would_never_be_stopped_is_not_stopped_for_this_either() -> None:
    of = shop()
    told = why(of, with_above(survey(of), "app-01", {"orders": "Netlogon"}, status("Netlogon")))
    assert [one.partition(":")[0] for one in told] == ["orders@app-01", "orders"]
    assert told[1].startswith("orders:Netlogon@app-01: Netlogon carries our own connection")


def test_the_way_back_and_a_start_from_the_run_bring_it_back() -> None:
    of, agent = shop(), "orders:Agent@app-01"
    plan = build(of, Choice(), Action.STOP, seen(of, AGENT))
    touched = {unit.id: Touch(left="Stopped", live="Stopped") for unit in acted_on(plan)}
    (back,) = way_back(plan, touched, accept_drift=False).stages
    assert waits(back, agent) == {"orders@app-01"}
    choice = Choice(units=frozenset(unit.id for unit in acted_on(plan)))
    assert Asked("Agent") in questions(of, choice, Action.START)["app-01"]
    live = seen(of, replace(AGENT, state=State.STOPPED), state=State.STOPPED)
    (start,) = build(of, choice, Action.START, live).stages
    assert roles(start)[agent] == "act"
    assert waits(start, agent) == {"orders@app-01"}
    assert node_of(start, agent).gates == ()
    restored = build(of, choice, Action.RESTORE, live, before=acted_on(plan))
    assert roles(restored.stages[-1])[agent] == "act"
    assert why(of, with_above(live, "app-01", {}, NO_SUCH), Action.START, units=choice.units) == [
        f"{agent}: it is in the snapshot, and app-01 has no such service any more\n"
        "    look at app-01: orch status shows what is there; or add --exclude app-01"
    ]


def test_a_host_that_does_not_tell_what_needs_what_starts_it_behind_its_instance() -> None:
    of, agent = shop(), "orders:Agent@app-01"
    live = with_above(survey(of, State.STOPPED), "app-01", {}, replace(AGENT, state=State.STOPPED))
    (start,) = build(of, Choice(units=frozenset({agent, "orders@app-01"})), Action.START, live).stages
    assert waits(start, agent) == {"orders@app-01"}


def acted(plan: Plan) -> list[str]:
    units: tuple[Unit, ...] = acted_on(plan)
    return [unit.id for unit in units]


@in_virtual_time
async def test_a_survey_before_a_stop_reads_what_needs_what_it_read_and_no_other_does() -> None:
    fleet, of = MemoryFleet(), draft(entry("orders", "app-01 app-02", dependents=RESTORE))
    for host in ("app-01", "app-02"):
        fleet.add(host, MemoryService(name="orders", state=State.RUNNING))
    fleet.add("app-01", MemoryService(name="Agent", state=State.RUNNING, requires=("orders",)))
    fleet.add("app-01", MemoryService(name="Top", state=State.RUNNING, requires=("Agent",)))
    asked = questions(of, Choice(), Action.STOP)
    found = await look(asked, MemoryHosts(fleet), dependents=True)
    names = {host: [one.asked.name for one in said.dependents] for host, said in found.hosts.items()}
    assert names == {"app-01": ["Agent", "Top"], "app-02": []}
    plan = build(of, Choice(), Action.STOP, found)
    assert acted(plan) == ["orders@app-01", "orders:Agent@app-01", "orders:Top@app-01", "orders@app-02"]
    assert all(said.dependents == () for said in (await look(asked, MemoryHosts(fleet))).hosts.values())


def test_a_snapshot_names_no_stranger_of_another_instance() -> None:
    of = shop()
    with pytest.raises(BadInput, match="no longer has"):
        build(of, Choice(units=frozenset({"orders:Agent@app-09"})), Action.START, survey(of, State.STOPPED))


def tangled(seed: int) -> tuple[Draft, Survey]:
    """Services on two hosts that need each other across and along, and up to three strangers on top of them."""
    chance = random.Random(seed)
    entries: list[Entry] = []
    for number in range(chance.randint(1, 5)):
        needs = [Dependency(service=one.key, soft=chance.random() < 0.2) for one in entries if chance.random() < 0.5]
        hosts = " ".join(chance.sample(["h1", "h2"], chance.randint(1, 2)))
        order = chance.random() < 0.3
        entries.append(entry(f"e{number}", hosts, *needs, dependents=RESTORE, in_order=order))
    live = survey(of := draft(*entries))
    for host, said in live.hosts.items():
        strangers = [f"D{number}" for number in range(chance.randint(0, 3))]
        below = [reading.asked.name for reading in said.readings]
        above: dict[str, list[str]] = {name: [] for name in (*below, *strangers)}
        for name in strangers:
            for needed in below:
                if chance.random() < 0.5:
                    above[needed].append(name)
            below.append(name)
        states = {name: chance.choice([*[State.RUNNING] * 4, State.STOPPED]) for name in below}
        others = [status(name, states[name]) for name in strangers]
        told = [replace(one, required_by=tuple(above[one.name])) for one in others]
        live = with_above(live, host, {name: " ".join(names) for name, names in above.items()}, *told)
    return of, live


@pytest.mark.parametrize("seed", range(60))
def test_however_they_need_each_other_none_waits_for_itself_and_each_goes_before_what_it_needs(seed: int) -> None:
    of, live = tangled(seed)
    for action in (Action.STOP, Action.RESTART):
        plan = build(of, Choice(), action, live)
        for stage in (*plan.stages, *plan.back):
            complete(stage)  # raises ValueError for a circle
        here = {(node.unit.host, node.unit.scm_name): node.unit.id for node in plan.stages[0].nodes}
        for node in plan.stages[0].nodes:
            names = node.unit.seen.required_by if node.unit.seen else ()
            wanted = {here[node.unit.host, name] for name in names if (node.unit.host, name) in here}
            assert wanted <= waits(plan.stages[0], node.unit.id)
