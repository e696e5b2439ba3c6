"""The end of a report: what is still to do, and what to type for that, as things are."""

import io
from dataclasses import replace

import pytest
from fake_run import SMALL, fleet
from nights import Night
from rich.console import Console, RenderableType

from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import MadeFrom, RunBegan, RunEnded, StageBegan
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.results import Outcome
from orchestrator.domain.service import ServiceStatus, State
from orchestrator.domain.way_back import acted_on
from orchestrator.interfaces.commands.recorded import Recorded
from orchestrator.interfaces.report import report
from orchestrator.interfaces.runs_view import timeline_of


def drawn(picture: RenderableType) -> str:
    paper = io.StringIO()
    Console(file=paper, width=160, height=500, color_system=None, force_terminal=False).print(picture)
    return paper.getvalue()


def were(plan: Plan, states: dict[str, State]) -> Plan:
    """*plan*, with units that were seen in other states."""
    stages = []
    for stage in plan.stages:
        nodes = tuple(
            replace(node, unit=replace(node.unit, seen=ServiceStatus(name="s", state=states[node.unit.id])))
            if node.unit.id in states
            else node
            for node in stage.nodes
        )
        stages.append(replace(stage, nodes=nodes))
    return replace(plan, stages=tuple(stages))


DOWN = {"web@web-02": State.STOPPED, "sql@sql-01": State.STOPPED}


def test_a_stop_says_how_much_of_what_is_down_a_start_from_it_leaves_down() -> None:
    night = Night(were(fleet(SMALL), DOWN)).begin().intend("web@web-01").later(4).ended("web@web-01")
    night.tell(RunEnded(verdict="done", exit_code=0, counts={"ok": 3}))
    lines = drawn(report(timeline_of(night.facts))).rstrip().splitlines()
    assert lines[-2] == "back: orch start --from 20261121-0213-k7q2"
    assert lines[-1].strip() == "starts the 1 unit that ran before it; 2 were down already and would stay down"


def test_what_was_down_when_it_was_recorded_is_counted_and_nothing_to_start_says_where_to_look() -> None:
    one = Recorded(of="r-1", made_from=MadeFrom(), units=acted_on(were(fleet(SMALL), DOWN)))
    assert one.ran == {"web@web-01"}
    assert one.stayed == "2 of 3 units were not running when r-1 was recorded: they stay as they are"
    assert replace(one, units=acted_on(fleet(SMALL))).stayed == ""
    none = replace(one, units=acted_on(were(fleet(SMALL), {**DOWN, "web@web-01": State.STOPPED})))
    with pytest.raises(BadInput, match="nothing ran when r-1 was recorded") as caught:
        assert none.ran
    assert "`orch runs`" in caught.value.hint


@pytest.mark.parametrize(
    ("action", "typed", "said"),
    [
        (Action.START, "orch start --from last --yes", "orch start --from r-0 --yes"),
        (Action.START, "orch start --from=last --limit last", "orch start --from=r-0 --limit last"),
        (Action.ROLLBACK, "orch rollback --yes last", "orch rollback --yes r-0"),
    ],
)
def test_what_is_to_be_typed_again_names_the_run_that_it_was_of(action: Action, typed: str, said: str) -> None:
    plan = replace(fleet(SMALL), action=action)
    night = Night(plan).tell(
        RunBegan(run="r-1", plan=plan, requester="ada", controller="ctl-01", command=typed, of="r-0"), StageBegan(0)
    )
    night.intend("web@web-01").later(4).ended("web@web-01", outcome=Outcome.FAILED)
    night.tell(RunEnded(verdict="failed", exit_code=1, counts={"failed": 1}))
    lines = [line.rstrip() for line in drawn(report(timeline_of(night.facts))).splitlines()]
    assert f"or:   {said}" in lines
