"""A unit's whole life in the timeline: every step in its row, in words, and nothing counted before it has ended."""

import io
import json
from dataclasses import replace

import pytest
from lives import DOWN, UNITS, Story, starts, stops
from rich.console import Console

from orchestrator.domain.consequences import Consequence
from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import RollbackBegan, RunEnded, RunResumed, StageBegan, StepEnded
from orchestrator.domain.life import IfStuck
from orchestrator.domain.plan import Action
from orchestrator.domain.policy import Approval
from orchestrator.domain.results import AT_FIRST, ORPHAN, PID, RUN, Acted, Outcome, Phase
from orchestrator.domain.timeline_json import as_json
from orchestrator.domain.undo import script
from orchestrator.interfaces.frame import Canvas, frame
from orchestrator.interfaces.question_view import Asked, in_short, processes, question, understood
from orchestrator.interfaces.report import report
from orchestrator.interfaces.report_end import need_hands, undo_of
from orchestrator.interfaces.runs_view import show
from orchestrator.interfaces.theme import UNICODE_MARKS

ONE, OTHER = UNITS
READ = (Phase.READ, AT_FIRST)


def on_paper(drawn: object, width: int = 160) -> str:
    paper = io.StringIO()
    Console(file=paper, width=width, color_system=None, force_terminal=False).print(drawn)
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines())


def picture(story: Story) -> str:
    return on_paper(frame(story.timeline, story.now_s, Canvas(160, 40, UNICODE_MARKS)))


def checked(story: Story) -> Story:
    """Both units have passed their prechecks, and the stop begins."""
    story.begin()
    for unit in UNITS:
        story.step(unit, Phase.GATE, stage=0)
    return story.tell(StageBegan(1))


def drained(story: Story, unit: str = ONE) -> Story:
    """A unit is out of the load balancer."""
    story.step(unit, *READ, after="Running").step(unit, Phase.PRECHECK)
    return story.step(unit, Phase.PRE_STOP, "drain", acted=Acted.YES, said="204")


def test_every_step_of_a_stop_is_in_its_units_row_and_the_last_one_ends_it() -> None:
    story = checked(Story(stops()))
    assert story.timeline.ended_count == 0
    told = []
    for phase, hook, after in (
        (*READ, "Running"),
        (Phase.PRECHECK, "", ""),
        (Phase.PRE_STOP, "drain", ""),
        (Phase.DRAINED, "", ""),
        (Phase.KEEP_DOWN, "", ""),
        (Phase.STOP, "", "Stopped"),
        (Phase.GATE, "", ""),
        (Phase.POST_STOP, "post_stop.1", ""),
    ):
        story.intend(ONE, phase, hook)
        assert (story.stands(ONE), story.timeline.ended_count) == ("under way", 0)
        told.append(story.doing(ONE))
        story.step(ONE, phase, hook, after=after, acted=Acted.YES if after == "Stopped" else Acted.NO)
    assert told == [
        "reading",
        "precheck",
        "pre_stop hook drain",
        "drained",
        "keeping down",
        "stopping",
        "gate",
        "post_stop hook 1",
    ]
    assert (story.stands(ONE), story.timeline.ended_count) == ("ok", 1)
    assert story.timeline.stages[1].tracks[ONE].now == "Stopped"
    assert f"{ONE}  pre_stop hook drain begins" in story.lines
    assert f"{ONE}  pre_stop hook drain ok: as it should be, 2.0 s" in story.lines
    assert f"{ONE}  stop ok: Stopped, 2.0 s" in story.lines


def test_who_is_there_already_has_its_gates_alone_before_it() -> None:
    story = checked(Story(stops())).step(ONE, *READ, after="Stopped")
    assert story.stands(ONE) == "under way"
    assert story.lines[-1] == f"{ONE}  is Stopped already: what has to be done before that is left out"
    assert story.step(ONE, Phase.GATE).stands(ONE) == "ok"


def test_a_stop_past_its_deadline_says_how_far_that_may_stretch() -> None:
    story = drained(checked(Story(stops()))).step(ONE, Phase.DRAINED).step(ONE, Phase.KEEP_DOWN, acted=Acted.YES)
    story.intend(ONE, Phase.STOP)
    story.now_s += 59.0
    assert "59 s of 1 min 00 s" in picture(story)
    assert "stretched" not in picture(story)
    story.now_s += 2.0
    assert "1 min 01 s of 1 min 00 s, stretched up to 5 min 00 s" in picture(story)


def test_a_start_is_over_when_it_was_healthy_and_is_back_in_the_load_balancer() -> None:
    story = Story(starts()).begin().step(ONE, *READ, stage=0, after="Stopped").step(ONE, Phase.RELEASE, stage=0)
    story.step(ONE, Phase.START, stage=0, after="Running", acted=Acted.YES).intend(ONE, Phase.HEALTHY, stage=0)
    story.now_s += 12.0
    assert "healthy" in picture(story)
    assert "12 s of 30 s" in picture(story)
    story.step(ONE, Phase.HEALTHY, stage=0, after="Running").intend(ONE, Phase.POST_START, "drain", stage=0)
    assert (story.doing(ONE, 0), story.stands(ONE, 0)) == ("undoing drain", "under way")
    assert story.step(ONE, Phase.POST_START, "drain", stage=0, acted=Acted.YES).stands(ONE, 0) == "ok"
    assert f"{ONE}  undo of drain ok: as it should be, 2.0 s" in story.lines


def test_prechecks_count_for_nothing_and_who_fails_them_is_left_as_it_is() -> None:
    story = Story(stops()).begin()
    assert (story.timeline.total, story.lines[-1]) == (3, "stage 1 of 2 begins: prechecks")
    story.step(ONE, Phase.GATE, stage=0)
    assert "1 of 2: prechecks 1/2" in picture(story)
    story.step(OTHER, Phase.GATE, stage=0, outcome=Outcome.FAILED, said="a backup runs")
    assert [track.unit for track in story.timeline.failures] == [OTHER]
    story.ask(OTHER, Choice.SKIP).tell(StageBegan(1))
    track = story.timeline.stages[1].tracks[OTHER]
    assert (str(track.standing), track.why, story.timeline.ended_count) == (
        "untouched",
        "its prechecks did not hold",
        0,
    )
    text = on_paper(report(story.tell(RunEnded(verdict="failed", exit_code=1)).timeline))
    assert f"✗ {OTHER}  failed (prechecks)" in text
    assert "a backup runs" in text


@pytest.mark.parametrize("evidence", [{ORPHAN: "4242"}, {PID: "4242"}], ids=["orphan", "stuck"])
@pytest.mark.parametrize("asked", [False, True], ids=["by policy", "by a person"])
def test_a_kill_goes_on_with_the_unit_and_names_the_process(evidence: dict[str, str], asked: bool) -> None:
    plan = stops()
    if asked:
        down = plan.stages[1]
        nodes = (replace(node, life=node.life and replace(node.life, if_stuck=IfStuck.ASK)) for node in down.nodes)
        plan = replace(plan, stages=(plan.stages[0], replace(down, nodes=tuple(nodes))))
    story = drained(checked(Story(plan))).step(ONE, Phase.DRAINED).step(ONE, Phase.KEEP_DOWN, acted=Acted.YES)
    told = {"outcome": Outcome.FAILED, "kind": ProblemKind.TIMEOUT, "said": "stalled at checkpoint 3 for 94 s"}
    story.step(ONE, Phase.STOP, acted=Acted.YES, after="StopPending", evidence=evidence, **told)  # type: ignore[arg-type] # a fake's keywords
    assert (story.stands(ONE), len(story.timeline.failures)) == (("failed", 1) if asked else ("under way", 0))
    if asked:
        story.ask(ONE, Choice.KILL)
    story.intend(ONE, Phase.KILL, attempt=1 + asked)
    assert (story.doing(ONE), story.stands(ONE)) == ("killing PID 4242", "under way")
    assert "killing PID 4242" in picture(story)
    assert story.lines[-1].startswith(f"{ONE}  kill of PID 4242 begins")
    assert story.timeline.failures == []
    story.step(ONE, Phase.KILL, attempt=1 + asked, after="Stopped", acted=Acted.YES)
    story.step(ONE, Phase.GATE, attempt=1 + asked)
    assert story.step(ONE, Phase.POST_STOP, "post_stop.1", attempt=1 + asked, acted=Acted.YES).stands(ONE) == "ok"


def given_up(*, well: bool) -> Story:
    """A unit was drained, did not become empty, was skipped, and was put back, or was not."""
    story = drained(checked(Story(stops())))
    story.step(ONE, Phase.DRAINED, outcome=Outcome.FAILED, said="12 sessions").ask(ONE, Choice.SKIP)
    outcome, said = (Outcome.OK, "200") if well else (Outcome.FAILED, "[red]503[/] no pool")
    story.intend(ONE, Phase.UNDO, "drain")
    assert (story.doing(ONE), story.stands(ONE)) == ("undoing drain", "failed")
    assert "undoing drain" in picture(story)
    return story.step(ONE, Phase.UNDO, "drain", outcome=outcome, acted=Acted.MAYBE, said=said)


def test_what_was_undone_needs_nobody() -> None:
    story = given_up(well=True)
    text = on_paper(report(story.tell(RunEnded(verdict="failed", exit_code=1)).timeline))
    assert "needs hands" not in text
    assert ", skipped, undo of drain done, acted beside the service: orders@app-01: 12 sessions" in " ".join(
        text.split()
    )
    assert list(story.timeline.hooks_done.due()) == []


def test_an_undo_that_failed_needs_hands_and_is_told_with_what_to_do() -> None:
    story = given_up(well=False)
    assert "NEEDS HANDS: undo of drain did not succeed" in picture(story)
    text = on_paper(report(story.tell(RunEnded(verdict="failed", exit_code=1)).timeline))
    assert "needs hands:\n! orders@app-01  undo of drain\n      orders@app-01: [red]503[/] no pool\n" in text
    assert "      by hand: PUT https://lb/pools/orders/app-01 from the controller\n" in text
    assert "LB_TOKEN" not in text
    data = json.loads(json.dumps(as_json(story.timeline, story.now_s)))
    assert data["to_undo"] == [
        {
            "unit": ONE,
            "name": "drain",
            "acted": "yes",
            "undo": "PUT https://lb/pools/orders/app-01",
            "origin": "controller",
            "failed": True,
            "said": f"{ONE}: [red]503[/] no pool",
        }
    ]
    [unit] = [one for one in data["units"] if one["unit"] == ONE and one["stage"] == 1]
    assert (unit["phase"], unit["hook"], unit["undos"][0]["outcome"]) == ("undo", "drain", "failed")


def test_a_drain_that_the_start_undoes_needs_nobody_unless_the_run_was_closed() -> None:
    story = drained(checked(Story(stops())))
    assert [done.name for done in story.timeline.hooks_done.due()] == ["drain"]
    assert "needs hands" not in on_paper(report(story.timeline))
    text = on_paper(report(story.tell(RunEnded(verdict="closed", exit_code=1)).timeline))
    assert "! orders@app-01  undo of drain\n      it was not undone\n      by hand: PUT https://lb/pools" in text


def test_what_was_done_for_a_unit_that_may_still_come_down_needs_hands() -> None:
    story = drained(checked(Story(stops()))).step(ONE, Phase.DRAINED)
    story.step(ONE, Phase.STOP, outcome=Outcome.FAILED, after="StopPending", acted=Acted.YES).ask(ONE, Choice.SKIP)
    text = on_paper(report(story.tell(RunEnded(verdict="failed", exit_code=1)).timeline))
    assert "! orders@app-01  undo of drain" in text
    assert "its unit is StopPending, and may still come to Stopped; undo it if that stays out" in " ".join(text.split())


def test_who_was_on_its_way_when_the_run_ended_was_not_stopped() -> None:
    story = drained(checked(Story(stops()))).ask(OTHER, Choice.ABORT, kind=CauseKind.CANCELLED)
    story.step(ONE, Phase.UNDO, "drain", acted=Acted.YES)
    track = story.timeline.stages[1].tracks[ONE]
    assert (str(track.standing), track.why) == ("untouched", "given up after pre_stop hook drain, before its stop")
    assert story.timeline.ended_count == 0
    text = on_paper(report(story.tell(RunEnded(verdict="cancelled", exit_code=5)).timeline))
    assert "given up after pre_stop hook drain, before its stop; undo of drain done" in text


def test_a_hook_whose_answer_was_lost_is_not_known_and_waits_for_a_person() -> None:
    story = checked(Story(stops())).step(ONE, *READ, after="Running").step(ONE, Phase.PRECHECK)
    story.step(OTHER, *READ, after="Running").intend(OTHER, Phase.DRAINED).intend(ONE, Phase.PRE_STOP, "drain")
    assert DOWN.before[0].check is not None
    story.tell(RunResumed(requester="ben", controller="ctl-02", epoch=2))
    assert (story.stands(ONE), story.stands(OTHER)) == ("waiting", "waiting")
    [done] = story.timeline.hooks_done.due()
    assert (done.name, done.acted) == ("drain", Acted.MAYBE)
    story.intend(OTHER, Phase.POST_STOP, "post_stop.1", attempt=2)
    story.tell(RunResumed(requester="ben", controller="ctl-02", epoch=3))
    assert story.stands(OTHER) == "unknown"
    assert story.timeline.failures[0].why.startswith("it was under way when its process was lost, and nobody knows")


def test_a_unit_that_dies_after_its_end_has_failed_after_all() -> None:
    story = Story(starts()).begin().step(ONE, *READ, stage=0, after="Running").step(ONE, Phase.RELEASE, stage=0)
    assert story.step(ONE, Phase.HEALTHY, stage=0, after="Running").stands(ONE, 0) == "ok"
    before = len(story.lines)
    story.intend(ONE, Phase.WATCH, stage=0)
    assert (story.stands(ONE, 0), story.lines[before:]) == ("ok", [])
    story.step(ONE, Phase.WATCH, stage=0, outcome=Outcome.FAILED, after="Stopped", said="it is Stopped")
    assert (story.stands(ONE, 0), story.timeline.ended_count) == ("failed", 1)
    assert story.lines[-1] == f"{ONE}  watch FAILED: Stopped, 2.0 s: it is Stopped"
    story.ask(ONE, Choice.RETRY).step(ONE, Phase.START, stage=0, attempt=2, after="Running", acted=Acted.YES)
    assert story.step(ONE, Phase.HEALTHY, stage=0, attempt=2, after="Running").timeline.failures == []


def test_the_last_reading_is_nobodys_own_step() -> None:
    story = checked(Story(stops())).step(ONE, *READ, after="Stopped").step(ONE, Phase.GATE)
    story.intend(ONE, Phase.READ)
    assert (story.timeline.checking, story.stands(ONE)) == (1, "ok")


def test_hooks_of_the_run_are_shown_and_named_when_they_fail() -> None:
    story = Story(stops()).begin(-1).intend(RUN, Phase.ON_BEGIN, "silence", stage=0)
    assert "the run" in picture(story)
    assert "on_begin hook silence" in picture(story)
    story.step(RUN, Phase.ON_BEGIN, "silence", stage=0, outcome=Outcome.FAILED, acted=Acted.MAYBE, said="exit code 2")
    assert story.lines[-2:] == [
        "the run  on_begin hook silence begins",
        "the run  on_begin hook silence FAILED: perhaps acted, 2.0 s: exit code 2",
    ]
    assert "✗ the run" in picture(story)
    story.ask(RUN, Choice.ABORT, kind=CauseKind.HOOK)
    story.step(RUN, Phase.UNDO, "silence", stage=0, outcome=Outcome.FAILED, said="exit code 3")
    text = on_paper(report(story.tell(RunEnded(verdict="failed", exit_code=1)).timeline))
    assert "✗ the run  on_begin hook silence failed\n      on_begin hook silence after 2.0 s, perhaps acted" in text
    assert "1  a hook of the run did not succeed" in text
    assert (
        "! the run  undo of silence\n      run: exit code 3\n      by hand: /opt/monitor listen shop from the" in text
    )


def test_evidence_stands_below_what_failed_and_what_is_told_already_is_not_told_again() -> None:
    story = Story(starts()).begin().step(ONE, *READ, stage=0, after="Stopped")
    found = {
        "exit": "the service ended with an error code of its own (error 1066): 42 (0x2A)",
        "gate 1": "tcp app-01:80 from controller: refused (3 probes)",
        "event 1": "System, Service Control Manager 7031 at 2026-11-21T02:13:05Z: [b]it\x1b[2J ended",
        "pid_before": "17",
        ORPHAN: "4242",
    }
    said = "fell back to Stopped; tcp app-01:80 from controller: refused (3 probes)"
    story.step(ONE, Phase.START, stage=0, outcome=Outcome.FAILED, after="Stopped", said=said, evidence=found)
    lines = [line.strip() for line in on_paper(report(story.timeline)).splitlines()]
    begins = lines.index("✗ orders@app-01  failed  Stopped")
    assert lines[begins + 1].startswith("start after 4.0 s: orders@app-01: fell back to Stopped; tcp app-01:80")
    assert lines[begins + 2 : begins + 5] == [
        "exit: the service ended with an error code of its own (error 1066): 42 (0x2A)",
        "event log: System, Service Control Manager 7031 at 2026-11-21T02:13:05Z: [b]it ended",
        "still there: PID 4242",
    ]


def test_after_a_way_back_all_that_is_not_undone_needs_hands_in_the_script_too() -> None:
    back = starts().stages[0]
    story = drained(checked(Story(stops()))).step(ONE, Phase.DRAINED).step(ONE, Phase.KEEP_DOWN, acted=Acted.YES)
    story.step(ONE, Phase.STOP, after="Stopped", acted=Acted.YES)
    story.tell(RollbackBegan(stages=(back,)), StageBegan(2)).step(ONE, *READ, stage=2, after="Stopped")
    story.step(ONE, Phase.RELEASE, stage=2).step(ONE, Phase.START, stage=2, after="Running", acted=Acted.YES)
    story.step(ONE, Phase.HEALTHY, stage=2, after="Running")
    story.step(ONE, Phase.POST_START, "drain", stage=2, outcome=Outcome.UNKNOWN, said="no answer")
    story.tell(RunEnded(verdict="rollback incomplete", exit_code=4))
    undo = undo_of(story.timeline, {})
    assert undo is not None
    assert (undo.hands, [hook.what for hook in undo.hooks]) == ((), ["undo of drain"])
    assert script("r1", undo.hands, undo.hooks).splitlines()[0] == (
        "# 1 thing to undo by hand, after run r1: see below. Nothing here acts."
    )
    assert script("r1", undo.hands, undo.hooks).splitlines()[3:] == [
        "# Beside the services; nothing here does it: look whether it is still in effect, and undo it.",
        "# orders@app-01: undo of drain: PUT https://lb/pools/orders/app-01 from the controller",
        "#     orders@app-01: no answer",
        "#     it needs credentials, which the playbook names",
    ]
    text = on_paper(report(story.timeline, undo=undo))
    assert "by hand: PUT https://lb/pools/orders/app-01" in text
    assert "by hand, in this order" not in text
    assert "the same as a file, which acts on nothing: comments alone: /runs/r1/undo.ps1" in on_paper(
        report(story.timeline, undo=replace(undo, path="/runs/r1/undo.ps1"))
    )


def test_a_rollback_names_what_the_other_run_left_though_it_never_came_to_try() -> None:
    back = replace(starts(), action=Action.ROLLBACK)
    story = Story(back).begin().step(ONE, *READ, stage=0, outcome=Outcome.UNKNOWN, after="")
    assert need_hands(story.timeline) == ()
    story.tell(RunEnded(verdict="rollback incomplete", exit_code=4))
    undo = undo_of(story.timeline, {})
    assert undo is not None
    named = {hook.what for hook in undo.hooks if hook.unit == ONE}
    assert named == {"undo of drain", "it is kept down: what starts it by itself is taken away"}
    assert "! orders@app-01  undo of drain\n      it was not undone" in on_paper(report(story.timeline, undo=undo))


def test_what_stays_kept_down_is_named_with_how_to_give_it_back() -> None:
    story = drained(checked(Story(stops()))).step(ONE, Phase.DRAINED).step(ONE, Phase.KEEP_DOWN, acted=Acted.YES)
    story.step(ONE, Phase.STOP, after="Stopped", acted=Acted.YES).tell(RunEnded(verdict="done", exit_code=0))
    text = on_paper(report(story.timeline))
    assert "kept down, 1 unit: orch release 20261121-0213-k7q2" in text
    assert "needs hands" not in text


def test_the_answer_kill_says_which_processes_it_ends_on_paper_and_on_record() -> None:
    story = drained(checked(Story(stops())))
    story.step(ONE, Phase.STOP, outcome=Outcome.FAILED, after="StopPending", evidence={PID: "4242"}, said="stalled")
    story.ask(ONE, Choice.KILL)
    *_, last = (fact.result for stamped in story.facts if isinstance(fact := stamped.fact, StepEnded))
    ends = {ONE: last}
    one = Consequence(choice=Choice.KILL, said=f"ends the process of {ONE}", units=(ONE,))
    asked = Asked(
        question=story.timeline.decisions.all[1],
        foreseen=(one,),
        ends=ends,
        approval=Approval(),
        requester="ada",
        behind=0,
    )
    text = " ".join(on_paper(question(asked)).split())
    assert f"k kill ends the process of {ONE}" in text
    assert f"ends PID 4242 of {ONE}, and what descends from it; refused where services live in it" in text
    assert understood("k", (Choice.KILL, Choice.ABORT)) is Choice.KILL
    assert "PID 4242" in in_short(one, Choice.KILL, processes((ONE,), ends))


def test_prechecks_are_a_table_of_their_own_when_a_run_is_shown() -> None:
    lines = [line.split() for line in on_paper(show(checked(Story(stops())).facts)).splitlines() if line]
    assert ["prechecks", "outcome", "states", "began", "took", "tries"] in lines
    begins = next(line for line in lines if line[:2] == ["✓", ONE])
    assert begins[2:4] == ["ok", "Running"], "there was nothing to act on"
