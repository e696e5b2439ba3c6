"""Planning is linear: counted in calls, which no busy machine can blur."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from drafts import draft, entry, survey

from orchestrator.domain.draft import Dependency, Draft
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.left_alone import left_alone
from orchestrator.domain.preview import preview
from orchestrator.domain.service import State


def chain(entries: int, hosts: int, **edge: bool) -> Draft:
    names = " ".join(f"h{number}" for number in range(hosts))
    return draft(
        entry("e0", names),
        *(entry(f"e{n}", names, Dependency(service=f"e{n - 1}", **edge)) for n in range(1, entries)),
    )


def calls(work: Callable[[], object]) -> int:
    count = 0

    def note(_frame: FrameType, _event: str, _arg: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("edge", [{}, {"same_host": True}, {"soft": True}], ids=["plain", "same host", "soft"])
@pytest.mark.parametrize("grown", [(5, 400), (100, 20)], ids=["more hosts", "more entries"])
def test_ten_times_the_units_cost_ten_times_the_calls(edge: dict[str, bool], grown: tuple[int, int]) -> None:
    per_unit: list[float] = []
    for shape in ((10, 20), grown):
        made = chain(*shape, **edge)
        silent = frozenset({"h0"})

        def work(made: Draft = made, silent: frozenset[str] = silent) -> None:
            questions(made, Choice(), Action.RESTART)
            left_alone(made, Choice(), Action.RESTART, silent)
            preview(build(made, Choice(), Action.START, survey(made, State.STOPPED)))

        per_unit.append(calls(work) / (shape[0] * shape[1]))
    small, large = per_unit
    assert large <= 1.3 * small


def test_a_dependency_between_two_large_groups_is_one_barrier() -> None:
    made = chain(2, 300)
    (stage,) = build(made, Choice(), Action.START, survey(made, State.STOPPED)).stages
    edges = sum(len(node.waits_for) for node in stage.nodes)
    edges += sum(len(group) for barrier in stage.barriers for group in barrier.instances)
    assert edges == 300 + 300
