"""The end of a report: what is still to do, and what to type for that, as things are."""

import io
import re
from dataclasses import replace

import pytest
from fake_run import SMALL, fleet
from lives import UNITS, stops
from nights import Night, failing, parked
from rich.console import Console, RenderableType

from orchestrator.domain.errors import BadInput, Problem, ProblemKind, Unreachable
from orchestrator.domain.facts import (
    UNREAD,
    MadeFrom,
    RunBegan,
    RunEnded,
    StageBegan,
    Stamped,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.plan import Action, Plan, Role
from orchestrator.domain.results import WAITS, Acted, Note, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import Standing
from orchestrator.domain.service import ServiceStatus, State
from orchestrator.domain.undo import ByHand, HookByHand, script
from orchestrator.domain.way_back import Touch, acted_on, rollback_plan, way_back
from orchestrator.engine.book_ports import Holding, Owner
from orchestrator.engine.work.record import Record
from orchestrator.interfaces.commands.recorded import Recorded
from orchestrator.interfaces.fact_lines import lines_of
from orchestrator.interfaces.plain import PlainView
from orchestrator.interfaces.report import report
from orchestrator.interfaces.report_end import undo_of
from orchestrator.interfaces.runs_view import show, timeline_of


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
        (Action.RESTART, "orch restart --rolling --with-dependents --plan p.yaml", "orch start --plan p.yaml"),
        (Action.RESTART, "orch apply restart.orchplan", "orch start --from r-1"),
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


def test_a_rollback_of_its_own_counts_and_lists_each_unit_once_by_what_became_of_it() -> None:
    """web-01 is unknown at first and comes up when it is tried again; web-02 was moved by others, and is left there."""
    was = fleet(SMALL, twice=True)
    touched = {"web@web-01": Touch("Stopped", ""), "web@web-02": Touch("Stopped", "Paused")}
    plan = rollback_plan(was, way_back(was, touched, accept_drift=False), touched)
    [stage] = plan.stages
    probes = [node.unit.id for node in stage.nodes if node.role is Role.PROBE]
    if not probes:  # nobody waits for it: it is put beside those that go back
        [there] = (node for node in was.stages[1].nodes if node.unit.id == "web@web-02")
        probe = replace(there, role=Role.PROBE, waits_for=())
        plan = replace(plan, stages=(replace(stage, nodes=(*stage.nodes, probe)),))
    night = Night(plan).tell(
        RunBegan(run="r-1", plan=plan, requester="ada", controller="ctl-01", command="orch rollback r-0", of="r-0"),
        StageBegan(0),
    )
    night.intend("web@web-01", phase=Phase.START).intend("web@web-02", phase=Phase.READ).later(60)
    night.ended("web@web-02", phase=Phase.READ, outcome=Outcome.FAILED, after="Paused")
    night.ended("web@web-01", phase=Phase.START, outcome=Outcome.UNKNOWN, after="", acted=Acted.NO)
    assert timeline_of(night.facts).counts()[Standing.UNKNOWN] == 1
    night.intend("web@web-01", phase=Phase.START, attempt=2).later(5)
    night.ended("web@web-01", phase=Phase.START, attempt=2, after="Running")
    night.tell(RunEnded(verdict="rollback incomplete", exit_code=4, counts={"ok": 1, "failed": 1}))
    timeline = timeline_of(night.facts)
    assert [(track.unit, track.standing) for track in timeline.failures] == [("web@web-02", Standing.FAILED)]
    assert timeline.ended_count == timeline.total
    undo = undo_of(timeline, {})
    assert undo is not None
    assert [(hand.unit, hand.was, hand.now) for hand in undo.hands] == [("web@web-02", "Running", "Paused")]
    text = drawn(report(timeline, undo=undo))
    assert "1 ok · ✗ 1 failed\n" in "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    assert "left alone" not in text
    assert "! web@web-02  was Running, is Paused\n      changed since: the run left it Stopped" in text
    assert "Resume-Service -Name 'Web'" in text
    assert "web@web-01" not in text


def test_a_later_attempt_does_not_say_for_those_before_it_that_nothing_was_asked() -> None:
    gone = Unreachable("app-01", "no route to host")
    for attempt, said in ((1, "nothing was asked of it"), (2, "this attempt asked nothing of it")):
        record = Record(Step(0, "orders@app-01", Phase.START, attempt), State.RUNNING)
        assert record.blind(gone, 1.0).endswith(f"; {said}")


def test_show_says_to_answer_a_run_that_lives_and_to_resume_or_close_one_that_is_dead() -> None:
    owner = Owner(requester="ada", controller="ctl-01", pid=7, pid_started=1.0)
    run, asks, busy = "20261121-0213-k7q2", failing().facts, Night(fleet(SMALL)).begin().intend("web@web-01").facts

    def typed(facts: list[Stamped], *, alive: bool | None) -> list[str]:
        holding = Holding(run=run, epoch=1, owner=owner, since=0.0, renewed_at=0.0, alive=alive, units=())
        lines = drawn(show(facts, holding)).splitlines()
        return [line[6:].strip() for line in lines if line.startswith(("next: ", "or:   ", "back: "))]

    assert typed(asks, alive=True) == [f"orch decide {run} CHOICE", f"orch cancel {run}"]
    assert typed(busy, alive=True) == [f"orch show {run}", f"orch cancel {run}"]
    ways = [f"orch resume {run}", f"orch close {run} --reason TEXT"]
    assert typed(asks, alive=False) == [*ways, f"orch rollback {run}"], "that answers what it asks"
    assert typed(Night(fleet(SMALL)).begin().facts, alive=False) == ways
    assert typed(busy, alive=False) == [*ways, f"orch close {run} --reason TEXT && orch rollback {run}"]
    waits = [f"orch decide {run} CHOICE --resume", f"orch decisions; orch resume {run}"]
    assert typed(parked().facts, alive=None) == waits


def test_a_hook_that_failed_is_named_with_what_it_asked_and_no_secret() -> None:
    plan = stops()
    night = Night(replace(plan, stages=plan.stages[1:])).begin()
    step = Step(0, UNITS[0], Phase.PRE_STOP, hook="drain")
    problem = Problem(ProblemKind.REMOTE, "status 500, wanted 200")
    night.tell(StepIntended(step))
    night.tell(StepEnded(Result(step=step, outcome=Outcome.FAILED, problem=problem, said="it failed")))
    told = drawn(show(night.facts))
    assert "pre_stop hook drain (DELETE https://lb/pools/orders/app-01): status 500, wanted 200" in told


def test_lines_tell_once_that_a_batch_waits_for_others_and_leave_other_notes_to_pictures() -> None:
    stream = io.StringIO()
    view, step = PlainView(stream), Step(0, "web#2", Phase.COUNT)
    for text in ("pausing for 5.0 s", f"{WAITS}2 of web are up", f"{WAITS}1 of web is up"):
        view.note(Note(step, text))
    view.note(Note(Step(0, "web@w-1", Phase.STOP), f"{WAITS}StopPending"))
    assert [line[27:] for line in stream.getvalue().splitlines()] == ["web#2  waits: 2 of web are up"]


def test_a_script_beside_which_something_is_left_says_so_at_its_head() -> None:
    hand = ByHand(unit="web@w-1", was="Running", now="Stopped", command="Invoke-Command 1", local="1")
    hook = HookByHand(unit="web@w-2", what="undo of drain", why="it was not undone", how="PUT https://lb/w-2")
    assert "# 2 things to undo by hand as well: see the end. Nothing here does that.\r\n$Error" in script(
        "r1", [hand], [hook, hook]
    )
    assert "by hand as well" not in script("r1", [hand])
    assert script("r1", [], [hook]).startswith("# 1 thing to undo by hand, after run r1: see below.")


def test_who_can_only_not_be_read_at_the_end_is_not_told_as_moved() -> None:
    night = Night(fleet(SMALL)).begin().intend("web@web-01").later(4).ended("web@web-01")
    night.tell(Strayed("web@web-01", "Stopped", UNREAD, "no answer"), RunEnded(verdict="failed", exit_code=1))
    told = drawn(report(timeline_of(night.facts)))
    assert "! web@web-01  not read at the end\n      left Stopped: no answer\n" in re.sub(r" +\n", "\n", told)
    assert list(lines_of(Strayed("a@b", "Stopped", UNREAD, "no answer"), timeline_of(night.facts), own=False)) == [
        "a@b  NOT READ at the end: left Stopped: no answer"
    ]
