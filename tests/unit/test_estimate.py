"""The estimate: ranks, the critical path, and the makespan under limits, held against brute force."""

from functools import cache

import pytest
from hypothesis import given
from stages import barrier, node, stage, stages

from orchestrator.domain.estimate import Graph, complete, critical_path, expectations_s, makespan_s, ranks_s
from orchestrator.domain.plan import Limits, Role, Stage


def _ranks_s(stage: Stage) -> list[float]:
    graph = Graph([node.waits_for for node in stage.nodes], [node.begins_after for node in stage.nodes], stage.barriers)
    return ranks_s(graph, expectations_s(stage))


def test_the_longest_way_to_the_end_is_the_rank() -> None:
    shop = stage(
        [node("sql@a", expected_s=10), node("sql@b", expected_s=30), node("app@c", expected_s=5, waits_for=(0,))],
        [barrier(0, 1)],
    )
    done = complete(shop)
    assert [n.rank_s for n in done.nodes] == [15, 35, 5]
    assert done.critical_path == (1, 2)
    assert done.expected_s == 35


def test_a_barrier_that_needs_one_opens_with_the_fastest() -> None:
    shop = stage(
        [node("sql@a", expected_s=10), node("sql@b", expected_s=30), node("app@c", expected_s=25, waits_for=(0,))],
        [barrier(0, 1, need=1)],
    )
    assert critical_path(shop) == (0, 2)
    assert makespan_s(shop) == 35 == complete(shop).expected_s


def test_a_soft_barrier_opens_with_the_last() -> None:
    shop = stage(
        [node("sql@a", expected_s=10), node("sql@b", expected_s=30), node("app@c", expected_s=25, waits_for=(0,))],
        [barrier(0, 1, need=1, soft=True)],
    )
    assert critical_path(shop) == (1, 2)
    assert makespan_s(shop) == 55 == complete(shop).expected_s


def test_nodes_that_only_hand_the_order_on_take_no_time_and_stand_on_no_path() -> None:
    shop = stage(
        [
            node("a@h", expected_s=10),
            node("b@h", role=Role.PASS, expected_s=99, waits_for=(0,)),
            node("c@h", expected_s=10, waits_for=(1,)),
        ],
        [barrier(0), barrier(1)],
    )
    done = complete(shop)
    assert [n.rank_s for n in done.nodes] == [20, 10, 10]
    assert (done.critical_path, done.expected_s) == ((0, 2), 20)


def test_limits_make_it_longer_than_the_critical_path() -> None:
    web = stage([node(f"web@{n}", expected_s=10) for n in range(6)], [], Limits(services=(("web", 2),)))
    assert complete(web).expected_s == 30
    assert len(complete(web).critical_path) == 1


def test_what_is_complete_stays_as_it_is() -> None:
    once = complete(stage([node("a@h", expected_s=3), node("b@h", expected_s=4, waits_for=(0,))], [barrier(0)]))
    assert complete(once) == once


def test_a_circle_is_refused() -> None:
    circle = stage([node("a@h", waits_for=(1,)), node("b@h", waits_for=(0,))], [barrier(0), barrier(1)])
    with pytest.raises(ValueError, match="circle"):
        complete(circle)


def test_a_stage_without_nodes_takes_no_time() -> None:
    done = complete(stage([], []))
    assert (done.critical_path, done.expected_s) == ((), 0.0)


@given(any_stage=stages())
def test_ranks_are_the_longest_ways(any_stage: Stage) -> None:
    expected_s = expectations_s(any_stage)

    @cache
    def way_s(place: int) -> float:
        after = [
            way_s(later)
            for number, gathering in enumerate(any_stage.barriers)
            if any(place in group for group in gathering.instances)
            for later, other in enumerate(any_stage.nodes)
            if number in other.waits_for
        ]
        in_order = [way_s(later) for later, other in enumerate(any_stage.nodes) if other.begins_after == place]
        return max(expected_s[place] + max(after, default=0.0), *in_order, 0.0)

    assert _ranks_s(any_stage) == pytest.approx([way_s(place) for place in range(len(any_stage.nodes))])


@given(any_stage=stages(need_all=True))
def test_without_limits_the_makespan_is_the_highest_rank(any_stage: Stage) -> None:
    free = complete(Stage(goal=any_stage.goal, nodes=any_stage.nodes, barriers=any_stage.barriers))
    longest_s = max((n.rank_s for n in free.nodes), default=0.0)
    assert free.expected_s == pytest.approx(longest_s)


@given(any_stage=stages())
def test_it_takes_as_long_as_when_played_through(any_stage: Stage) -> None:
    done = complete(any_stage)
    assert done.expected_s == makespan_s(done)


@given(any_stage=stages())
def test_limits_never_make_it_shorter_than_their_share_of_the_work(any_stage: Stage) -> None:
    done = complete(any_stage)
    busy_s: dict[str, float] = {}
    for each, expected_s in zip(done.nodes, expectations_s(done), strict=True):
        busy_s[each.unit.instance] = max(busy_s.get(each.unit.instance, 0.0), expected_s)
    if done.limits.run is not None:
        assert done.expected_s >= sum(busy_s.values()) / done.limits.run - 1e-6
