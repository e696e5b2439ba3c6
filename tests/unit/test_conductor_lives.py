"""What the conductor does with lives of several parts: hooks, prechecks, undos, kills, watches, hooks of the run."""

from dataclasses import replace

import pytest
from conducted import of, run, running, says
from lively import DOWN, RESUMED, STUCK, WHOLE, hook, lively, stop_plan
from scripted_work import FAILED, Answer, Decision, ScriptedWork
from stages import barrier, node, plan, stage

from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAsked, Fact, StepEnded, StepIntended
from orchestrator.domain.life import IfStuck, RunHooks
from orchestrator.domain.plan import Plan, Role
from orchestrator.domain.policy import Do, Policy, Rule
from orchestrator.domain.results import Outcome, Phase
from orchestrator.domain.service import State


def test_a_life_is_carried_out_part_by_part_and_dependents_wait_for_all_of_it() -> None:
    work = running()
    state = run(stop_plan(), work)
    assert of("app@web", work) == WHOLE
    assert work.ids.index("0/sql@db/stop/1") == len(WHOLE)
    assert state.verdict().verdict == "done"
    assert state.owed == {"app@web": ("pre_stop.1", "pre_stop.2", "keep_down", "post_stop.1")}


def test_at_the_goal_already_only_its_gates_are_asked() -> None:
    work = ScriptedWork(before="Stopped")
    state = run(stop_plan(), work)
    assert of("app@web", work) == ["read:first/1", "gate/1"]
    assert (state.verdict().verdict, state.owed) == ("done", {})


@pytest.mark.parametrize(
    ("fails", "goes_on"),
    [
        ("precheck", ["precheck/2", "pre_stop:pre_stop.1/2"]),
        ("pre_stop:pre_stop.2", ["pre_stop:pre_stop.2/2", "drained/2"]),
        ("stop", ["stop/2", "gate/2"]),
        ("gate", ["stop/2", "gate/2"]),
        ("post_stop:post_stop.1", ["post_stop:post_stop.1/2"]),
    ],
)
def test_a_retry_goes_on_at_the_part_that_failed(fails: str, goes_on: list[str]) -> None:
    after = "Running" if fails == "stop" else ""
    work = running({f"0/app@web/{fails}/1": Answer(Outcome.FAILED, 1.0, after)}, Choice.RETRY)
    assert run(stop_plan(), work).verdict().verdict == "done"
    asked = of("app@web", work)
    assert asked[asked.index(goes_on[0]) :][: len(goes_on)] == goes_on
    assert len([one for one in asked if one.startswith("pre_stop:pre_stop.1")]) == 1


def test_a_retry_of_a_person_checks_again_what_can_be_checked() -> None:
    checked = replace(hook("pre_stop.2", idempotent=False), check=hook("").undo)
    life = replace(DOWN, before=(hook("pre_stop.1"), checked))
    work = running({"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running")}, Choice.RETRY)
    assert run(stop_plan(life), work).verdict().verdict == "done"
    again = ["stop/1", "pre_stop:pre_stop.2/2", "drained/2", "keep_down/2", "stop/2", "gate/2"]
    assert of("app@web", work)[6:12] == again
    down = running({"0/app@web/gate/1": FAILED}, Choice.RETRY)
    run(stop_plan(life), down)
    assert of("app@web", down)[7:10] == ["gate/1", "stop/2", "gate/2"], "it is down: there is nothing to drain"
    policy = Policy(rules=(Rule(do=Do.RETRY, count=1),))
    work = running({"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running")})
    run(replace(stop_plan(life), policy=policy), work)
    assert of("app@web", work)[6:8] == ["stop/1", "stop/2"]


def test_who_was_moved_by_others_goes_through_its_whole_life_again() -> None:
    slow = {"0/sql@db/stop/1": Answer(took_s=60)}
    work = running(slow)
    run(stop_plan(), work)
    ends = [isinstance(fact, StepIntended) and fact.step.unit == "sql@db" for fact in work.journal]
    before: list[Fact] = [*work.journal[: ends.index(True) + 1], RESUMED]
    rest = replace(running(slow, Choice.RETRY), facts=[(0.0, fact) for fact in before], states={"app@web": "Running"})
    assert run(stop_plan(), rest, before).verdict().verdict == "done"
    assert of("app@web", rest) == [one.replace("/1", "/2") for one in WHOLE]


@pytest.mark.parametrize("choice", [Choice.SKIP, Choice.EXCLUDE, Choice.ABORT])
def test_given_up_halfway_what_may_have_been_done_is_undone_last_first(choice: Choice) -> None:
    work = running({"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running")}, choice)
    state = run(stop_plan(), work)
    assert of("app@web", work)[-3:] == ["release/1", "undo:pre_stop.2/1", "undo:pre_stop.1/1"]
    assert (state.standing("app@web"), state.owed, state.not_undone) == ("failed", {}, {})
    assert "0/sql@db/stop/1" not in work.ids


def test_what_came_to_its_goal_is_not_undone_and_hold_undoes_nothing() -> None:
    work = running({"0/app@web/gate/1": Answer(Outcome.FAILED, 1.0, "")}, Choice.SKIP)
    run(stop_plan(), work)
    assert of("app@web", work)[-1] == "gate/1"
    held = running({"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running")}, Choice.HOLD)
    state = run(stop_plan(), held)
    assert (state.held, len(state.owed["app@web"])) == (True, 3)


@pytest.mark.parametrize("choice", [Choice.SKIP, Choice.EXCLUDE, Choice.ABORT])
@pytest.mark.parametrize("left", ["StopPending", ""])
def test_given_up_while_it_may_still_come_down_it_is_not_put_back(choice: Choice, left: str) -> None:
    outcome = Outcome.FAILED if left else Outcome.UNKNOWN
    work = running({"0/app@web/stop/1": Answer(outcome, 1.0, left)}, choice)
    state = run(stop_plan(), work)
    assert of("app@web", work)[-1] == "stop/1"
    assert [name for _, name in state.not_undone] == ["pre_stop.1", "pre_stop.2", "keep_down"]
    assert state.verdict().counts["not undone"] == 3
    late = running({"0/app@web/stop/1": STUCK, "0/app@web/read/1": Answer(after="Stopped")}, choice)
    state = run(stop_plan(), late)
    assert (state.not_undone, len(state.owed["app@web"])) == ({}, 3), "it came down after all"


@pytest.mark.parametrize("found", ["Running", "Stopped"])
def test_on_resume_what_is_asked_about_is_looked_at_and_given_up_as_it_is_then(found: str) -> None:
    script = {"0/app@web/stop/1": STUCK}
    work = running(script, Choice.HOLD)
    run(stop_plan(), work)
    before: list[Fact] = [*work.journal, RESUMED]
    rest = replace(running(script), facts=[(0.0, fact) for fact in before], states={"app@web": found})
    rest.decide = lambda _: Decision(Choice.SKIP)
    state = run(stop_plan(), rest, before)
    assert rest.ids[0] == "0/app@web/look/1"
    assert not [
        fact for fact in rest.journal if isinstance(fact, DecisionAsked) and fact.cause.kind is CauseKind.CHANGED
    ]
    undone = ["release/1", "undo:pre_stop.2/1", "undo:pre_stop.1/1"] if found == "Running" else []
    assert (of("app@web", rest), state.not_undone) == (undone, {})


def test_an_undo_that_fails_is_told_at_the_end() -> None:
    script = {"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running"), "0/app@web/undo:pre_stop.2/1": FAILED}
    work = running(script, Choice.SKIP)
    state = run(stop_plan(), work)
    assert of("app@web", work)[-1] == "undo:pre_stop.1/1", "what is left is undone all the same"
    assert state.not_undone == {("app@web", "pre_stop.2"): "as the script says"}
    assert (state.verdict().verdict, state.verdict().counts["not undone"]) == ("failed", 1)


def test_a_cancel_stops_who_has_not_acted_and_an_abort_undoes_it() -> None:
    script = {"0/app@web/pre_stop:pre_stop.1/1": Answer(took_s=60)}
    work = replace(running(script, Choice.ABORT), cancel_at_s=5)
    state = run(stop_plan(), work)
    assert of("app@web", work)[2:] == ["pre_stop:pre_stop.1/1", "undo:pre_stop.1/1"]
    assert (state.verdict().verdict, state.standing("app@web")) == ("cancelled", "untouched")
    gone_on = replace(running(script, Choice.CONTINUE), cancel_at_s=5)
    assert run(stop_plan(), gone_on).verdict().verdict == "done"
    assert of("app@web", gone_on) == WHOLE


@pytest.mark.parametrize("killed", [False, True])
def test_who_was_under_way_when_the_run_was_aborted_goes_no_further_and_is_undone(killed: bool) -> None:
    two = plan(stage([lively("app@web", DOWN), lively("sql@db", DOWN)], goal=State.STOPPED))
    script = {"0/sql@db/stop/1": Answer(Outcome.FAILED, 1.0, "Running"), "0/app@web/keep_down/1": Answer(took_s=60)}
    work = running(script, Choice.ABORT)
    state = run(two, work)
    if killed:
        ended = [isinstance(one, StepEnded) and one.result.step.phase is Phase.KEEP_DOWN for one in work.journal]
        before: list[Fact] = [*work.journal[: len(ended) - 1 - ended[::-1].index(True)], RESUMED]
        work = replace(running(), facts=[(0.0, fact) for fact in before])
        state = run(two, work, before)
    assert of("app@web", work)[-3:] == ["release/1", "undo:pre_stop.2/1", "undo:pre_stop.1/1"]
    assert (state.verdict().verdict, state.owed, state.not_undone) == ("failed", {}, {})


def test_if_stuck_kill_ends_the_process_and_life_goes_on_after_the_stop() -> None:
    work = running({"0/app@web/stop/1": STUCK})
    assert run(stop_plan(replace(DOWN, if_stuck=IfStuck.KILL)), work).verdict().verdict == "done"
    assert of("app@web", work)[6:] == ["stop/1", "kill/1", "gate/1", "post_stop:post_stop.1/1"]
    orphan = running({"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Stopped", ProblemKind.ORPHAN)})
    run(stop_plan(replace(DOWN, if_stuck=IfStuck.KILL)), orphan)
    assert "kill/1" in of("app@web", orphan)


@pytest.mark.parametrize("choice", [Choice.KILL, Choice.ABORT, Choice.ROLLBACK])
def test_if_stuck_kill_asks_once_somebody_has_cancelled(choice: Choice) -> None:
    slow = replace(STUCK, took_s=60.0)
    made = stop_plan(replace(DOWN, if_stuck=IfStuck.KILL))

    def decide(asked: DecisionAsked) -> Decision:
        if asked.cause.kind is CauseKind.CANCELLED:
            return Decision(Choice.CONTINUE if choice is Choice.KILL else choice, 90.0, 1.0)
        assert Choice.KILL in asked.choices
        return Decision(choice, 200.0, 1.0)

    work = replace(running({"0/app@web/stop/1": slow}), cancel_at_s=20.0, decide=decide)
    state = run(made, work)
    killed = [one for one in of("app@web", work) if one.startswith("kill")]
    assert killed == (["kill/2"] if choice is Choice.KILL else [])
    wanted = {Choice.KILL: "done", Choice.ABORT: "cancelled", Choice.ROLLBACK: "rolled back"}
    assert state.verdict().verdict == wanted[choice]


def test_if_stuck_ask_offers_a_kill_for_those_that_are_stuck() -> None:
    asks = replace(DOWN, if_stuck=IfStuck.ASK)
    work = running({"0/app@web/stop/1": STUCK}, Choice.KILL)
    assert run(stop_plan(asks), work).verdict().verdict == "done"
    assert of("app@web", work)[6:] == ["stop/1", "kill/2", "gate/2", "post_stop:post_stop.1/2"]
    fails = running({"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running")})
    run(stop_plan(asks), fails)
    journal = [*work.journal, *fails.journal]
    assert [Choice.KILL in fact.choices for fact in journal if isinstance(fact, DecisionAsked)] == [True, False]


def test_after_a_kill_that_failed_it_is_said_why_there_is_no_other_and_how_there_is() -> None:
    asks = replace(DOWN, if_stuck=IfStuck.ASK)
    script = {"0/app@web/stop/1": STUCK, "0/app@web/kill/2": STUCK, "0/app@web/stop/3": STUCK}
    work = running(script, Choice.KILL, Choice.RETRY, Choice.KILL)
    assert run(stop_plan(asks), work).verdict().verdict == "done"
    asked = [fact for fact in work.journal if isinstance(fact, DecisionAsked)]
    assert [Choice.KILL in fact.choices for fact in asked] == [True, False, True]
    assert ["kill is no answer" in fact.cause.said for fact in asked] == [False, True, False]
    assert of("app@web", work)[6:10] == ["stop/1", "kill/2", "stop/3", "kill/4"]


HOOKS = RunHooks(
    begin=(hook("on_begin.1"), hook("on_begin.2")), end=(hook("on_end.1"),), failure=(hook("on_failure.1"),)
)


def test_hooks_of_a_run_come_before_all_else_and_after_it() -> None:
    work = running()
    state = run(stop_plan(hooks=HOOKS), work)
    assert work.ids[:2] == ["0/run/on_begin:on_begin.1/1", "0/run/on_begin:on_begin.2/1"]
    assert work.ids[-3:] == ["0/run/undo:on_begin.2/1", "0/run/undo:on_begin.1/1", "0/run/on_end:on_end.1/1"]
    assert state.verdict().verdict == "done"


def test_a_hook_of_a_run_that_fails_is_asked_about_before_and_told_after() -> None:
    work = running({"0/run/on_begin:on_begin.2/1": FAILED, "0/run/on_end:on_end.1/1": FAILED}, Choice.RETRY)
    state = run(stop_plan(hooks=HOOKS), work)
    [asked] = [fact for fact in work.journal if isinstance(fact, DecisionAsked)]
    assert (asked.cause.kind, Choice.ROLLBACK in asked.choices) == (CauseKind.HOOK, False)
    assert work.ids[2] == "0/run/on_begin:on_begin.2/2"
    assert state.hook_troubles == {(Phase.ON_END, "on_end.1"): "as the script says"}
    assert state.verdict().verdict == "failed"
    aborted = running({"0/run/on_begin:on_begin.2/1": Answer(Outcome.FAILED, 1.0, "")}, Choice.ABORT)
    assert run(stop_plan(hooks=HOOKS), aborted).verdict().verdict == "failed"
    assert [one.split("/")[2] for one in aborted.ids[2:]] == [
        "on_failure:on_failure.1",
        "undo:on_begin.2",
        "undo:on_begin.1",
        "on_end:on_end.1",
    ]


def test_a_hook_of_a_run_whose_late_answer_met_another_world_is_asked_about_anew() -> None:
    late = lambda one: Decision(  # noqa: E731 - of one line
        Choice.CONTINUE if one.cause.kind is CauseKind.CHANGED else Choice.RETRY, 61.0 if one.decision == 1 else 0.0
    )
    script = {"0/run/on_begin:on_begin.1/1": FAILED, "0/app@web/look/1": Answer(after="Stopped")}
    work = replace(running(script), decide=late)
    run(stop_plan(hooks=HOOKS), work)
    kinds = [fact.cause.kind for fact in work.journal if isinstance(fact, DecisionAsked)]
    assert kinds == [CauseKind.HOOK, CauseKind.CHANGED, CauseKind.HOOK]
    assert "0/run/on_begin:on_begin.1/2" in work.ids


def start_plan() -> Plan:
    """app waits for mq and for sql, which takes its time."""
    nodes = [node("mq@q"), node("sql@db"), node("app@web", waits_for=(0, 1))]
    back = stage([node("mq@q"), node("sql@db"), node("app@web")], goal=State.STOPPED)
    return plan(stage(nodes, [barrier(0), barrier(1)]), back=back)


def test_a_death_of_one_that_others_wait_for_is_a_failure_of_it() -> None:
    slow = {"0/sql@db/start/1": Answer(took_s=60), "0/mq@q/watch/1": Answer(Outcome.FAILED, 20.0, "Stopped")}
    work = ScriptedWork(slow, decide=lambda _: Decision(Choice.RETRY, 100.0, 1.0))
    state = run(start_plan(), work)
    assert [one for one in work.ids if "start" in one] == [
        "0/mq@q/start/1",
        "0/sql@db/start/1",
        "0/mq@q/start/2",
        "0/app@web/start/1",
    ]
    times = {fact.step.id: at for at, fact in work.facts if isinstance(fact, StepIntended)}
    assert times["0/mq@q/start/2"] == 121
    assert [step.id for step in work.watched] == ["0/mq@q/watch/1", "0/sql@db/watch/1", "0/mq@q/watch/2"]
    assert state.verdict().verdict == "done"
    skipped = ScriptedWork(slow, decide=says(Choice.SKIP))
    assert run(start_plan(), skipped).standing("app@web") == "untouched"


def test_watches_hold_nothing_up_and_begin_anew_on_resume() -> None:
    work = ScriptedWork({"0/sql@db/start/1": Answer(took_s=60)})
    state = run(start_plan(), work)
    assert max(at for at, _ in work.facts) == 62, "the last reading is not held up"
    assert not state.watching
    watches = [isinstance(fact, StepIntended) and fact.step.phase is Phase.WATCH for fact in work.journal]
    watched = watches.index(True)
    before: list[Fact] = [*work.journal[: watched + 1], RESUMED]
    rest = ScriptedWork(facts=[(0.0, fact) for fact in before], states={"mq@q": "Running"})
    state = run(start_plan(), rest, before)
    assert rest.watched[0].id == "0/mq@q/watch/2"
    assert [step.id for step in state.lost] == ["0/sql@db/start/1"]


def test_a_late_death_is_nothing_once_the_stage_is_over() -> None:
    late = ScriptedWork({"0/mq@q/watch/1": Answer(Outcome.FAILED, 1.5, "Running")})  # app is up by then
    slow = replace(late, script={**late.script, "0/mq@q/read/1": Answer(took_s=9.0)})
    assert run(start_plan(), slow).verdict().verdict == "done"
    assert not [fact for fact in slow.journal if isinstance(fact, StepEnded) and fact.result.step.phase is Phase.WATCH]


def test_who_waits_when_a_run_goes_back_that_touched_nothing_is_untouched() -> None:
    probe = replace(node("mq@q", gated=True), role=Role.PROBE)
    made = plan(stage([probe, node("app@web", waits_for=(0,))], [barrier(0)]), back=stage([node("app@web")]))
    work = ScriptedWork({"0/mq@q/gate/1": FAILED}, decide=says(Choice.ROLLBACK))
    state = run(made, work)
    assert [one for one in work.ids if "app@web" in one] == []
    assert (state.finished, state.standing("app@web"), state.verdict().verdict) == (True, "untouched", "rolled back")
