"""What holds for every plan, whatever the playbook, the choice and the live state; judged unit pair by unit pair."""

from dataclasses import dataclass
from itertools import product

import networkx as nx
import pytest
from drafts import CLOSED, NO_SUCH, READY, READY_ON_HOST, draft, entry, status, survey
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from orchestrator.domain.draft import Dependency, Draft, Entry, Instance
from orchestrator.domain.errors import BadInput
from orchestrator.domain.estimate import complete
from orchestrator.domain.plan import Action, Plan, Role, Stage
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, chosen, questions
from orchestrator.domain.planning.left_alone import left_alone
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.service import Asked, ServiceStatus, StartType, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.waves import waves

HOSTS = ("h1", "h2", "h3", "h4")
SHAPES = ((Asked("A"),), (Asked("A"), Asked("B")), (Asked("P*", pattern=True),))


@dataclass(frozen=True)
class Case:
    """One planning problem. Nothing in it is missing, unreadable or disabled."""

    draft: Draft
    choice: Choice
    action: Action
    survey: Survey
    excluded: frozenset[str]


@st.composite
def entries(draw: st.DrawFn) -> tuple[Entry, ...]:
    made: list[Entry] = []
    for number in range(draw(st.integers(1, 5))):
        key = f"e{number}"
        external = draw(st.integers(0, 5)) == 0
        hosts = draw(st.lists(st.sampled_from(HOSTS), unique=True, min_size=0 if external else 1, max_size=4))
        needed = draw(st.lists(st.sampled_from(range(number)), unique=True, max_size=3)) if number else []
        edges = [draw(edge(made[index])) for index in sorted(needed)]
        shape = draw(st.sampled_from(SHAPES))
        asked = tuple(Asked(f"{key}.{one.name}", one.pattern) for one in shape)
        gates = draw(st.sampled_from([{}, {"ready": (READY,)}, {"ready": (READY_ON_HOST,), "stopped": (CLOSED,)}]))
        made.append(
            entry(
                key,
                " ".join(hosts),
                *edges,
                asked=() if external else asked,
                of_instance=gates,
                external=external,
                in_order=draw(st.booleans()),
            )
        )
    return tuple(draw(st.permutations(made)))


@st.composite
def edge(draw: st.DrawFn, needed: Entry) -> Dependency:
    need = draw(st.none() | st.integers(1, len(needed.instances)))
    kind = draw(st.sampled_from(["plain", "plain", "plain", "soft", "same_host"]))
    return Dependency(service=needed.key, need=need, soft=kind == "soft", same_host=kind == "same_host")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    made = draft(*draw(entries()))
    keys = [one.key for one in made.entries if not one.external]
    some_hosts = st.frozensets(st.sampled_from(HOSTS), max_size=2)
    dependents = draw(st.sampled_from(["", "with", "ignore", "ignore"]))
    choice = Choice(
        hosts=draw(st.none() | st.frozensets(st.sampled_from(HOSTS), min_size=1)),
        exclude=draw(st.just(frozenset()) | some_hosts),
        services=draw(st.none() | st.lists(st.sampled_from(keys), unique=True, min_size=1).map(tuple))
        if keys
        else None,
        with_dependents=dependents == "with",
        ignore_dependents=dependents == "ignore",
    )
    states = st.sampled_from([State.RUNNING, State.RUNNING, State.STOPPED, State.PAUSED, State.STOP_PENDING])
    found: dict[str, tuple[ServiceStatus, ...]] = {}
    for one in made.entries:
        for item in one.instances:
            names = [f"{one.key}.P1", f"{one.key}.P2"][: draw(st.integers(1, 2))]
            literal = [asked.name for asked in item.asked if not asked.pattern]
            found[item.id] = tuple(status(name, draw(states), StartType.MANUAL) for name in literal or names)
    excluded = draw(st.just(frozenset()) | some_hosts)
    seen = survey(made, but=found, silent=sorted(excluded))
    return Case(made, choice, draw(st.sampled_from([Action.STOP, Action.START, Action.RESTART])), seen, excluded)


def needs(made: Draft, *, transitive: bool, counted: bool = True) -> set[tuple[str, str]]:
    """Pairs of instances: the first needs the second. Without *counted*, edges with a `need` are left out."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    by_key = {one.key: one for one in made.entries}
    for one in made.entries:
        for dependency in one.depends_on:
            if dependency.soft or (dependency.need is not None and not counted):
                continue
            for upper, lower in product(one.instances, by_key[dependency.service].instances):
                if not dependency.same_host or upper.host == lower.host:
                    graph.add_edge(upper.id, lower.id)
    return set(nx.transitive_closure(graph).edges if transitive else graph.edges)


def order_of(stage: Stage) -> "nx.DiGraph[tuple[str, int]]":
    graph: nx.DiGraph[tuple[str, int]] = nx.DiGraph()
    graph.add_nodes_from(("node", index) for index in range(len(stage.nodes)))
    for index, node in enumerate(stage.nodes):
        graph.add_edges_from((("barrier", barrier), ("node", index)) for barrier in node.waits_for)
        if node.begins_after is not None:
            graph.add_edge(("node", node.begins_after), ("node", index))
    for index, barrier in enumerate(stage.barriers):
        graph.add_edges_from((("node", member), ("barrier", index)) for group in barrier.instances for member in group)
    return graph


def planned(case: Case) -> Plan:
    try:
        return build(case.draft, case.choice, case.action, case.survey, excluded=case.excluded)
    except PlanRefused:
        event("refused")
        raise
    except BadInput:
        assume(False)
        raise


def plan_or_reject(case: Case) -> Plan:
    try:
        return planned(case)
    except PlanRefused:
        assume(False)
        raise


def acting(stage: Stage) -> set[str]:
    return {node.unit.instance for node in stage.nodes if node.role is Role.ACT}


def instances(case: Case) -> dict[str, tuple[Entry, Instance]]:
    return {item.id: (one, item) for one in case.draft.entries for item in one.instances}


@settings(deadline=None)
@given(cases())
def test_every_chosen_unit_acts_once_in_each_stage_or_is_left_alone(case: Case) -> None:
    plan = plan_or_reject(case)
    left = [one.unit for one in plan.left_alone]
    assert len(set(left)) == len(left)
    for stage in plan.stages:
        acts = [node.unit.id for node in stage.nodes if node.role is Role.ACT]
        ids = [node.unit.id for node in stage.nodes]
        assert len(set(ids)) == len(ids)
        everything = [*acts, *left]
        expected: set[str] = set()
        for item in chosen(case.draft, case.choice, case.action):
            answers = case.survey.hosts[item.host or ""].readings
            names = [one.name for answer in answers if answer.asked in item.asked for one in answer.found]
            alone = len(item.asked) == 1 and not item.asked[0].pattern
            expected |= {item.id} if alone or not names else {f"{item.service}:{name}@{item.host}" for name in names}
        assert sorted(everything) == sorted(expected)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_order_is_implied_and_the_graph_has_no_circle_and_few_edges(case: Case) -> None:
    plan = plan_or_reject(case)
    for stage in plan.stages:
        graph = order_of(stage)
        for barrier in stage.barriers:
            assert 1 <= barrier.need <= len(barrier.instances)
            if barrier.need < len(barrier.instances):
                members = {stage.nodes[index].role for group in barrier.instances for index in group}
                assert stage.goal is State.RUNNING, "a stop waits for all"
                assert Role.PASS not in members or members == {Role.PASS}, "what nobody looks at makes nobody ready"
        assert nx.is_directed_acyclic_graph(graph)
        nodes: dict[str, list[int]] = {}
        for index, node in enumerate(stage.nodes):
            if node.role is Role.ACT:
                nodes.setdefault(node.unit.instance, []).append(index)
        starts = stage.goal is State.RUNNING
        pairs = needs(case.draft, transitive=False) | needs(case.draft, transitive=True, counted=not starts)
        level = waves(stage)
        for upper, lower in sorted(pairs):
            first, then = (lower, upper) if starts else (upper, lower)
            for before, after in product(nodes.get(first, []), nodes.get(then, [])):
                assert nx.has_path(graph, ("node", before), ("node", after)), f"{first} before {then}"
                assert level[before] < level[after]
        sizes = {one.key: sum(node.unit.service == one.key for node in stage.nodes) for one in case.draft.entries}
        most = sum(sizes[one.key] + sizes[edge.service] for one in case.draft.entries for edge in one.depends_on)
        assert graph.number_of_edges() <= most + len(stage.nodes)


@settings(deadline=None)
@given(cases())
def test_ranks_path_and_duration_are_those_of_the_finished_stage(case: Case) -> None:
    for stage in plan_or_reject(case).stages:
        assert complete(stage) == stage


@given(cases())
def test_a_running_dependent_outside_is_never_pulled_from_under(case: Case) -> None:
    assume(case.action is not Action.START and not case.choice.ignore_dependents)
    where = instances(case)
    picked = {item.id for item in chosen_or_reject(case)}
    try:
        plan = planned(case)
    except PlanRefused as refusal:
        named = {unit for reason in refusal.reasons for unit in reason.about}
        assert named
        assert not any(host in case.excluded for host in named)
        return
    for upper, lower in sorted(needs(case.draft, transitive=True)):
        one, item = where[upper]
        if lower not in acting(plan.stages[0]) or upper in acting(plan.stages[0]) or one.external:
            continue
        assert item.host not in case.excluded, f"{lower} is stopped under {upper}, which may run"
        answers = case.survey.hosts[item.host or ""].readings
        states = {found.state for answer in answers if answer.asked in item.asked for found in answer.found}
        down = {State.STOPPED} if upper not in picked else {State.STOPPED, State.STOP_PENDING}
        assert states <= down, f"{lower} is stopped under {upper}"


@settings(deadline=None)
@given(cases())
def test_a_plan_is_refused_only_for_dependents(case: Case) -> None:
    free = case.action is Action.START or case.choice.ignore_dependents
    where = instances(case)
    try:
        planned(case)
    except PlanRefused as refusal:
        assert not free
        picked = {item.id for item in chosen(case.draft, case.choice, case.action)}
        for unit in {unit for reason in refusal.reasons for unit in reason.about}:
            key = unit.split("@")[0].split(":")[0]
            name = f"{key}@{unit.split('@')[1]}"
            assert name in where
            assert name not in picked
            assert any((name, lower) in needs(case.draft, transitive=True) for lower in picked)


@settings(deadline=None)
@given(cases())
def test_unreachable_hosts_are_never_touched_and_nothing_starts_without_enough(case: Case) -> None:
    plan = plan_or_reject(case)
    told = left_alone(case.draft, case.choice, case.action, case.excluded)
    assert {one.why for one in told} <= {one.why for one in plan.left_alone}
    if not case.excluded:
        assert told == ()
    for stage in plan.stages:
        for node in stage.nodes:
            touched = node.role is Role.ACT or (node.role is Role.PROBE and node.unit.scm_name is not None)
            assert not (touched and node.unit.host in case.excluded)
    if case.action is not Action.START:
        return
    (stage,) = plan.stages
    there = {node.unit.instance for node in stage.nodes if node.role is not Role.PASS}
    where = instances(case)
    by_key = {one.key: one for one in case.draft.entries}
    for name in sorted(acting(stage)):
        one, item = where[name]
        for edge in one.depends_on:
            others = [
                other for other in by_key[edge.service].instances if not edge.same_host or other.host == item.host
            ]
            gateless = by_key[edge.service].external and not any(other.ready for other in others)
            if not edge.soft and not gateless:
                have = sum(other.id in there for other in others)
                assert have >= (len(others) if edge.need is None or edge.same_host else edge.need)


@settings(deadline=None)
@given(cases())
def test_a_plan_asks_for_no_reading_that_the_questions_did_not_bring(case: Case) -> None:
    chosen_or_reject(case)
    asked = questions(case.draft, case.choice, case.action)
    narrow = Survey({host: found for host, found in case.survey.hosts.items() if host in asked})
    results: list[Plan | str] = []
    for seen in (case.survey, narrow):
        try:
            results.append(build(case.draft, case.choice, case.action, seen, excluded=case.excluded))
        except PlanRefused as refusal:
            results.append(str(refusal))
    assert results[0] == results[1]


def chosen_or_reject(case: Case) -> tuple[Instance, ...]:
    try:
        return chosen(case.draft, case.choice, case.action)
    except BadInput:
        assume(False)
        raise


@pytest.mark.parametrize("action", [Action.STOP, Action.START, Action.RESTART])
def test_one_missing_service_refuses_the_whole(action: Action) -> None:
    shop = draft(entry("sql", "db-01 db-02"))
    with pytest.raises(PlanRefused):
        build(shop, Choice(), action, survey(shop, but={"sql@db-01": NO_SUCH}))
