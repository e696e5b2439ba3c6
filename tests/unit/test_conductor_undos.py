"""What the conductor takes back of lives on a way back, after a kill at any moment, and what it never does twice."""

from dataclasses import replace

import pytest
from conducted import of, run, running
from lively import DOWN, RESUMED, UP, hook, lively, stop_plan
from scripted_work import FAILED, UNKNOWN, Answer, Decision, ScriptedWork
from stages import barrier, plan, stage, unit

from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAsked, Fact, RollbackBegan, StepIntended
from orchestrator.domain.life import Life, RunHooks
from orchestrator.domain.plan import Action, Role
from orchestrator.domain.policy import Do, Policy, Rule
from orchestrator.domain.results import Outcome, Phase
from orchestrator.domain.service import State
from orchestrator.domain.way_back import rollback_plan, way_back


def test_a_rollback_undoes_what_may_have_run_and_nothing_else() -> None:
    script = {"0/app@web/pre_stop:pre_stop.2/1": UNKNOWN}
    work = running(script, Choice.ROLLBACK)
    state = run(stop_plan(), work)
    [back] = [fact for fact in work.journal if isinstance(fact, RollbackBegan)]
    assert [one.unit.id for one in back.stages[0].nodes if one.role is Role.ACT] == ["app@web"]
    assert of("app@web", work)[4:] == [
        "read:first/1",
        "gate/1",
        "healthy/1",
        "post_start:pre_stop.2/1",
        "post_start:pre_stop.1/1",
    ], "it runs, so nothing is started; it was never kept down, so nothing is released"
    assert (state.verdict().verdict, state.owed) == ("rolled back", {})


@pytest.mark.parametrize("outcome", [FAILED, UNKNOWN])
@pytest.mark.parametrize("alone", [False, True])
def test_on_a_way_back_a_hook_after_the_start_that_fails_holds_up_nobody_and_the_rest_is_undone(
    outcome: Answer, alone: bool
) -> None:
    down = Life(before=(hook("pre_stop.1"),))
    up = Life(after=(hook("post_start.1"), hook("pre_stop.1", undoes=True)))
    stop = stage([lively("sql@db", None, waits_for=(0,)), lively("app@web", down)], [barrier(1)])
    back = stage([lively("sql@db", None), lively("app@web", up), lively("web@x", None, waits_for=(0,))], [barrier(1)])
    first = stage([lively("web@x", None), *stop.nodes], [barrier(2)], goal=State.STOPPED)
    made = replace(plan(first, back=back), action=Action.STOP)
    fails = {f"{n}/app@web/post_start:post_start.1/1": replace(outcome, after="") for n in (0, 1)}
    work = running({"0/sql@db/stop/1": Answer(Outcome.FAILED, 1.0, "Running"), **fails}, Choice.ROLLBACK)
    state = run(made, work)
    if alone:
        going = running({"0/sql@db/stop/1": Answer(Outcome.FAILED, 1.0, "Running")}, Choice.ABORT)
        state = run(made, going)
        touched = {unit: state.touch(unit, going.states[unit]) for unit in state.touched}
        work = ScriptedWork(fails, before="Running", states=dict(going.states))
        state = run(rollback_plan(made, way_back(made, touched, accept_drift=False), touched), work)
    asked = of("app@web", work)
    assert asked[asked.index("start/1") :] == ["start/1", "post_start:post_start.1/1", "post_start:pre_stop.1/1"]
    assert work.states["web@x"] == "Running"
    assert "start/1" in of("web@x", work)
    verdict = state.verdict()
    assert (verdict.verdict, verdict.exit_code, state.owed) == (
        "rollback incomplete",
        4,
        {"app@web": ("post_start.1",)},
    )
    assert (state.standing("app@web"), state.not_undone) == (str(outcome.outcome), {})


@pytest.mark.parametrize("where", ["the run", "a unit"])
def test_a_way_back_on_which_an_undo_fails_is_not_whole(where: str) -> None:
    begin = RunHooks(begin=(hook("on_begin.1"),))
    script = {"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running")}
    fails = {"0/run/undo:on_begin.1/1" if where == "the run" else "1/app@web/post_start:pre_stop.1/1": FAILED}
    state = run(stop_plan(hooks=begin), running({**script, **fails}, Choice.ROLLBACK))
    verdict = state.verdict()
    assert (verdict.verdict, verdict.exit_code) == ("rollback incomplete", 4)


def test_the_rollback_of_an_ended_run_undoes_the_same() -> None:
    made = stop_plan()
    ended = run(made, running())
    touched = {unit: ended.touch(unit, "Stopped") for unit in ended.touched}
    back = rollback_plan(made, way_back(made, touched, accept_drift=False), touched)
    work = ScriptedWork(before="Stopped")
    state = run(back, work)
    assert of("app@web", work) == [
        "read:first/1",
        "pre_start:post_stop.1/1",
        "release/1",
        "start/1",
        "gate/1",
        "healthy/1",
        "post_start:pre_stop.2/1",
        "post_start:pre_stop.1/1",
    ]
    assert state.verdict().verdict == "done"


def test_a_restart_goes_back_by_its_last_stage_whatever_checks_it_has() -> None:
    checked = replace(lively("app@web", None, gated=True), role=Role.PROBE)
    checks = replace(stage([checked], goal=State.STOPPED), checks=True)
    down = stage([lively("app@web", DOWN), lively("sql@db", None)], goal=State.STOPPED)
    up = stage([lively("app@web", UP), lively("sql@db", None)])
    made = replace(plan(checks, down, up), action=Action.RESTART)
    work = running({"1/sql@db/stop/1": Answer(Outcome.FAILED, 20.0, "Running")}, Choice.ROLLBACK)
    state = run(made, work)
    assert work.ids[0] == "0/app@web/gate/1"
    assert "3/app@web/start/1" in work.ids
    assert state.verdict().verdict == "rolled back"

    skipped = running({"0/app@web/gate/1": FAILED}, Choice.SKIP)
    state = run(made, skipped)
    assert not [one for one in skipped.ids if one.startswith("1/app@web")], "whose checks did not hold is left alone"
    assert "2/app@web/start/1" not in skipped.ids, "it runs"
    assert (state.verdict().verdict, state.verdict().counts["failed"]) == ("failed", 1)


@pytest.mark.parametrize("cut", range(4, 21, 2))
def test_killed_anywhere_no_hook_is_carried_out_twice_and_all_is_undone(cut: int) -> None:
    once = replace(DOWN, before=(hook("pre_stop.1", idempotent=False), hook("pre_stop.2", idempotent=False)))
    script = {f"0/app@web/stop/{n}": Answer(Outcome.FAILED, 1.0, "Running") for n in range(1, 6)}
    whole = running(script, Choice.SKIP)
    run(stop_plan(once), whole)
    before: list[Fact] = [*whole.journal[:cut], RESUMED]
    rest = replace(running(script), facts=[(0.0, fact) for fact in before], decide=lambda _: Decision(Choice.SKIP))
    state = run(stop_plan(once), rest, before)
    asked = [fact.step for fact in rest.journal if isinstance(fact, StepIntended)]
    done = [step for step in asked if step.phase is Phase.PRE_STOP]
    assert len({step.hook for step in done}) == len(done)
    undone = [step.hook for step in asked if step.phase is Phase.UNDO]
    assert {step.hook for step in done} <= {*undone, *(name for _, name in state.not_undone)}
    assert len(undone) == len(set(undone)), "these must not be undone twice either"


def test_a_lost_hook_that_may_run_once_alone_is_asked_about() -> None:
    once = replace(DOWN, before=(hook("pre_stop.1", idempotent=False),))
    work = running()
    run(stop_plan(once), work)
    intents = [isinstance(fact, StepIntended) and fact.step.phase is Phase.PRE_STOP for fact in work.journal]
    before: list[Fact] = [*work.journal[: intents.index(True) + 1], RESUMED]
    rest = replace(running({}, Choice.RETRY), facts=[(0.0, fact) for fact in before])
    state = run(stop_plan(once), rest, before)
    [asked] = [fact for fact in rest.journal if isinstance(fact, DecisionAsked)]
    assert "not done twice unless you say retry" in asked.cause.said
    assert of("app@web", rest)[0] == "pre_stop:pre_stop.1/2"
    assert state.verdict().verdict == "done"


def test_no_policy_carries_a_hook_out_twice_that_may_run_once_alone() -> None:
    once = replace(DOWN, before=(hook("pre_stop.1", idempotent=False),))
    rule = Rule(do=Do.RETRY, count=3)
    for life, asked in ((once, 1), (DOWN, 0)):
        work = running({"0/app@web/pre_stop:pre_stop.1/1": UNKNOWN}, Choice.ABORT)
        run(replace(stop_plan(life), policy=Policy(rules=(rule,))), work)
        assert sum(isinstance(fact, DecisionAsked) and fact.waits for fact in work.journal) == asked


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("goes_back", [True, False])
def test_an_undo_that_may_have_been_carried_out_is_named_and_not_repeated_by_a_later_stage(
    once: bool, goes_back: bool
) -> None:
    down = Life(before=(hook("pre_stop.1", idempotent=not once),))
    up = Life(after=(hook("pre_stop.1", undoes=True, idempotent=not once),))
    stop = stage([lively("app@web", down), lively("sql@db", None)], goal=State.STOPPED)
    start = stage([lively("app@web", up), lively("sql@db", None)])
    made = replace(plan(stop, start), action=Action.RESTART)
    script = {"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running"), "0/app@web/undo:pre_stop.1/1": UNKNOWN}
    if goes_back:
        script["0/sql@db/stop/1"] = Answer(Outcome.FAILED, 90.0, "Running")
    work = running(script, Choice.SKIP, Choice.ROLLBACK)
    state = run(made, work)
    later = f"{2 if goes_back else 1}/app@web/post_start:pre_stop.1/1"
    assert ("0/app@web/undo:pre_stop.1/1" in work.ids, later in work.ids) == (True, not once)
    assert set(state.not_undone) == ({("app@web", "pre_stop.1")} if once else set())
    whole = "rolled back" if goes_back and not once else "rollback incomplete" if goes_back else "failed"
    assert state.verdict().verdict == whole


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("undone", [True, False])
def test_the_way_back_of_a_restart_does_nothing_twice_that_may_run_once_alone(once: bool, undone: bool) -> None:
    does = replace(hook("pre_start.1", idempotent=not once), undo=hook("").undo if undone else None)
    stop = stage([lively("app@web", Life()), lively("sql@db", None)], goal=State.STOPPED)
    start = stage([lively("app@web", Life(before=(does,))), lively("sql@db", None)])
    made = replace(plan(stop, start), action=Action.RESTART)
    fails = {"1/app@web/start/1": Answer(Outcome.FAILED, 1.0, "Stopped")}
    work = running({**fails, "1/sql@db/start/1": Answer(Outcome.FAILED, 9.0, "Stopped")}, Choice.ROLLBACK)
    state = run(made, work)
    assert ("2/app@web/pre_start:pre_start.1/1" in work.ids) is not once
    assert "2/app@web/start/1" in work.ids
    assert state.verdict().verdict == "rolled back"
    again = running(fails, Choice.SKIP, Choice.ROLLBACK)
    again.script = {**fails, "1/sql@db/start/1": Answer(Outcome.FAILED, 9.0, "Stopped")}
    run(made, again)
    did = "2/app@web/pre_start:pre_start.1/1" in again.ids
    assert did is (undone or not once), "what was undone is done again"


@pytest.mark.parametrize("once", [True, False])
def test_the_way_back_tries_no_hook_again_that_may_run_once_alone(once: bool) -> None:
    down = replace(DOWN, before=(hook("pre_stop.1", idempotent=not once),))
    up = replace(UP, after=(hook("pre_stop.1", undoes=True, idempotent=not once),))
    passes = {"1/app@web/post_start:pre_stop.1/1": Answer(Outcome.UNKNOWN, 1.0, "", ProblemKind.UNREACHABLE)}
    script = {"0/app@web/stop/1": Answer(Outcome.FAILED, 1.0, "Running"), **passes}
    work = running(script, Choice.ROLLBACK)
    state = run(stop_plan(down, up), work)
    undone = [one for one in of("app@web", work) if one.startswith("post_start")]
    assert undone == ["post_start:pre_stop.1/1"] + ["post_start:pre_stop.1/2"] * (not once)
    assert set(state.not_undone) == ({("app@web", "pre_stop.1")} if once else set())


def test_a_way_back_whose_stop_leaves_a_process_behind_is_not_whole() -> None:
    nodes = [replace(lively(name, Life()), unit=unit(name)) for name in ("app@web", "sql@db")]
    made = plan(stage(nodes), back=stage(nodes, goal=State.STOPPED))
    orphan = Answer(Outcome.FAILED, 1.0, "Stopped", ProblemKind.ORPHAN)
    for stopped, code in ((orphan, 4), (Answer(), 3)):
        script = {"0/sql@db/start/1": Answer(Outcome.FAILED, 9.0, "Stopped"), "1/app@web/stop/1": stopped}
        state = run(made, ScriptedWork(script, decide=lambda _: Decision(Choice.ROLLBACK)))
        assert state.verdict().exit_code == code


@pytest.mark.parametrize("fails", [True, False])
def test_a_cancel_that_leaves_something_undone_needs_hands(fails: bool) -> None:
    undo = {"0/app@web/undo:pre_stop.1/1": FAILED} if fails else {}
    work = running({"0/app@web/pre_stop:pre_stop.1/1": Answer(took_s=60), **undo}, Choice.ABORT)
    ended = run(stop_plan(), replace(work, cancel_at_s=5)).verdict()
    assert (ended.verdict, ended.exit_code) == ("cancelled", 4 if fails else 5)
