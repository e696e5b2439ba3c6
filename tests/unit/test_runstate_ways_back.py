"""Rolling back and resuming: what is looked at, what is put back, and how such runs end."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from scripted_work import FAILED, UNKNOWN, Answer, Decision, ScriptedWork
from stages import barrier, node, plan, stage
from virtual_time import run_virtual

from orchestrator.domain.decisions import Answer as Decided
from orchestrator.domain.decisions import CauseKind, Choice, Source
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    Fact,
    OrderTaken,
    RollbackBegan,
    RunBegan,
    RunEnded,
    RunResumed,
    StageBegan,
    StepEnded,
    StepIntended,
)
from orchestrator.domain.plan import Action, Limits, Plan
from orchestrator.domain.policy import Do, Policy
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import RunState, fold
from orchestrator.domain.service import State
from orchestrator.engine.conductor.conduct import conduct

RESUMED = RunResumed(requester="me", controller="here", epoch=2)
GONE = Answer(Outcome.UNKNOWN, 1.0, "", ProblemKind.UNREACHABLE)
UP = stage(
    [node("sql@1"), node("mq@2"), node("app@3", waits_for=(0, 1)), node("web@4", waits_for=(2,))],
    [barrier(0), barrier(1), barrier(2)],
)
DOWN = stage(
    [node("sql@1", waits_for=(0,)), node("mq@2", waits_for=(0,)), node("app@3", waits_for=(1,)), node("web@4")],
    [barrier(2), barrier(3)],
    goal=State.STOPPED,
)
SHOP = plan(UP, back=DOWN)
FELL = {"0/app@3/start/1": FAILED}


def _rollback(asked: DecisionAsked) -> Decision:
    return Decision(Choice.ROLLBACK if Choice.ROLLBACK in asked.choices else Choice.ABORT)


def _go_on(asked: DecisionAsked) -> Decision:
    return Decision(Choice.CONTINUE if Choice.CONTINUE in asked.choices else Choice.SKIP)


def _begun(any_plan: Plan, *facts: Fact) -> RunState:
    return fold([RunBegan(run="r", plan=any_plan, requester="me", controller="here"), *facts])


def _on(any_plan: Plan, work: ScriptedWork, facts: tuple[Fact, ...] = ()) -> RunState:
    """Go on after *facts*, with hosts that are as those left them."""
    work.facts += [(0.0, fact) for fact in facts]
    ended = [fact.result for fact in facts if isinstance(fact, StepEnded)]
    work.states = {one.step.unit: one.after for one in ended if one.after} | work.states
    return run_virtual(conduct(any_plan, _begun(any_plan, *facts), work.ports))


def _cut(work: ScriptedWork, after: Callable[[Fact], bool]) -> tuple[Fact, ...]:
    """What is on disk when the process dies right after the first such fact."""
    journal = work.journal
    return (*journal[: next(n for n, fact in enumerate(journal) if after(fact)) + 1], RESUMED)


def _intends(step: str) -> Callable[[Fact], bool]:
    return lambda fact: isinstance(fact, StepIntended) and fact.step.id == step


def _acted(work: ScriptedWork) -> list[str]:
    return [one for one in work.ids if "/read/" not in one and "/look/" not in one]


def test_a_rollback_looks_at_what_was_touched_puts_it_back_in_order_and_reads_it_once_more() -> None:
    work = ScriptedWork(FELL, decide=_rollback)
    state = _on(SHOP, work)
    assert [one for one in work.ids if "/look/" in one] == ["0/sql@1/look/1", "0/mq@2/look/1", "0/app@3/look/1"]
    assert _acted(work)[3:] == ["1/sql@1/stop/1", "1/mq@2/stop/1"], "app failed to start: it is as before"
    assert work.ids[-3:] == ["1/sql@1/read/1", "1/mq@2/read/1", "0/app@3/read/1"]
    assert dict(state.touched) == {unit: Acted.YES for unit in ("sql@1", "mq@2", "app@3")}
    assert (len(state.stages), state.rolling_back) == (2, True)
    assert (state.verdict().verdict, state.verdict().exit_code) == ("rolled back", 3)


def test_what_others_moved_since_is_named_and_left_and_then_the_rollback_is_not_whole() -> None:
    script = FELL | {"0/mq@2/look/1": Answer(after="Paused"), "0/mq@2/read/1": Answer(after="Paused")}
    work = ScriptedWork(script, decide=_rollback)
    state = _on(SHOP, work)
    [back] = [fact for fact in work.journal if isinstance(fact, RollbackBegan)]
    assert [one.unit for one in back.changed_since] == ["mq@2"]
    assert _acted(work)[3:] == ["1/mq@2/read/1", "1/sql@1/stop/1"] or _acted(work)[3:] == ["1/sql@1/stop/1"]
    assert (state.verdict().verdict, state.verdict().exit_code) == ("rollback incomplete", 4)


def test_on_the_way_back_a_silent_host_holds_up_nobody_and_is_tried_until_the_deadline() -> None:
    gone = {f"1/sql@1/stop/{attempt}": GONE for attempt in range(1, 99)}
    slow = plan(replace(UP, limits=Limits(run=1)), back=replace(DOWN, limits=Limits(run=1)))
    work = ScriptedWork(FELL | gone, decide=_rollback)
    state = _on(slow, work)
    tries = [step for step in work.asked if step.unit == "sql@1" and step.phase is Phase.STOP]
    assert _acted(work)[3:5] == ["1/sql@1/stop/1", "1/mq@2/stop/1"]
    assert 10 < len(tries) < 25
    assert tries[1].delay_s <= 2.0
    assert 30.0 <= tries[-1].delay_s <= 60.0
    assert 600 <= sum(r.took_s for r in work.answered if r.step in tries) < 680
    assert [f for f in work.journal if isinstance(f, DecisionAsked)][1:] == [], "nobody is asked on the way back"
    assert state.verdict().verdict == "rollback incomplete"
    assert state.standing("mq@2") == "ok"


def test_on_the_way_back_what_cannot_pass_is_not_tried_again() -> None:
    work = ScriptedWork(FELL | {"1/sql@1/stop/1": Answer(Outcome.FAILED, 1.0, "Running")}, decide=_rollback)
    state = _on(SHOP, work)
    assert "1/sql@1/stop/2" not in work.ids
    assert (state.standing("sql@1"), state.standing("mq@2")) == ("failed", "ok")
    assert state.verdict().exit_code == 4


def test_a_rollback_with_nothing_to_put_back_ends_as_rolled_back() -> None:
    refused = Answer(Outcome.UNKNOWN, 1.0, "Stopped")
    work = ScriptedWork({"0/sql@1/start/1": refused, "0/mq@2/start/1": refused}, decide=_rollback)
    state = _on(SHOP, work)
    assert StageBegan(1) not in work.journal
    assert state.verdict().verdict == "rolled back"


def test_a_cancel_on_the_way_back_is_asked_about_and_cannot_roll_back_again() -> None:
    work = ScriptedWork(FELL, cancel_at_s=3.5, decide=_rollback)
    state = _on(SHOP, work)
    asked = [fact for fact in work.journal if isinstance(fact, DecisionAsked)]
    assert [one.cause.kind for one in asked] == [CauseKind.FAILURE, CauseKind.CANCELLED]
    assert Choice.ROLLBACK not in asked[1].choices
    assert state.verdict().verdict == "rolled back", "what was under way has settled: all is as it was"


def test_a_run_that_is_a_way_back_asks_nothing_about_failures_and_ends_as_done_or_incomplete() -> None:
    back = replace(plan(DOWN, policy=Policy(on_failure=Do.ASK, approve_before=True)), action=Action.ROLLBACK)
    assert _on(back, ScriptedWork()).verdict().verdict == "done"
    work = ScriptedWork({"0/web@4/stop/1": FAILED})
    assert _on(back, work).verdict().exit_code == 4
    assert not [fact for fact in work.journal if isinstance(fact, DecisionAsked)]


def test_a_resume_looks_at_what_is_known_and_does_the_lost_steps_again() -> None:
    whole = ScriptedWork()
    _on(SHOP, whole)
    facts = _cut(whole, _intends("0/app@3/start/1"))
    rest = ScriptedWork()
    state = _on(SHOP, rest, facts)
    assert rest.ids[:3] == ["0/sql@1/look/1", "0/mq@2/look/1", "0/app@3/start/2"]
    assert (state.verdict().verdict, state.asking) == ("done", ())
    resumed = _begun(SHOP, *facts)
    assert [step.id for step in resumed.lost] == ["0/app@3/start/1"]
    assert (resumed.touched["app@3"], resumed.left["app@3"]) == (Acted.MAYBE, "")
    assert resumed.standing("app@3") == "waiting"


@pytest.mark.parametrize("drift", [False, True])
def test_what_others_changed_meanwhile_is_asked_on_resume_unless_it_was_accepted(drift: bool) -> None:
    whole = ScriptedWork()
    _on(SHOP, whole)
    facts = (*_cut(whole, _intends("0/app@3/start/1"))[:-1], replace(RESUMED, accept_drift=drift))
    rest = ScriptedWork(states={"mq@2": "Stopped"}, decide=_go_on)
    state = _on(SHOP, rest, facts)
    asked = [fact.cause for fact in rest.journal if isinstance(fact, DecisionAsked)]
    assert [(one.kind, one.units) for one in asked] == ([] if drift else [(CauseKind.CHANGED, ("mq@2",))])
    assert list(state.changed) == ["mq@2"]
    assert state.standing("web@4") == "ok"
    assert (state.verdict().verdict, [one.unit for one in state.strayed]) == ("failed", ["mq@2"])


def test_acting_again_on_what_others_changed_holds_its_dependents_back() -> None:
    whole = ScriptedWork()
    _on(SHOP, whole)
    facts = _cut(whole, lambda f: isinstance(f, StepEnded) and f.result.step.unit == "app@3")
    rest = ScriptedWork({"0/app@3/start/2": Answer(took_s=7)}, states={"app@3": "Stopped"}, decide=_retry)
    state = _on(SHOP, rest, facts)
    assert _acted(rest) == ["0/app@3/start/2", "0/web@4/start/1"]
    assert state.verdict().verdict == "done"


def _retry(asked: DecisionAsked) -> Decision:
    return Decision(Choice.RETRY if Choice.RETRY in asked.choices else Choice.ABORT)


def test_a_held_decision_is_still_open_after_a_resume_and_not_decided_by_the_policy() -> None:
    fleet = replace(SHOP, policy=Policy(on_failure=Do.HOLD))
    work = ScriptedWork(FELL, decide=lambda asked: None)
    assert _on(fleet, work).held
    rest = ScriptedWork(decide=_retry)
    state = _on(fleet, rest, (*work.journal, RESUMED))
    asked = [fact for fact in rest.journal if isinstance(fact, DecisionAsked)]
    assert [(one.decision, one.cause.units) for one in asked] == [(1, ("app@3",)), (2, ("app@3",))]
    assert rest.decided == [(2, Choice.RETRY)]
    assert state.verdict().verdict == "done"


def test_a_decision_that_was_open_when_the_process_died_is_still_open_under_its_number() -> None:
    work = ScriptedWork(FELL, decide=lambda asked: None, patient=False)
    assert list(_on(SHOP, work).open) == [1]
    rest = ScriptedWork(decide=_rollback)
    state = _on(SHOP, rest, (*work.journal, RESUMED))
    assert rest.decided == [(1, Choice.ROLLBACK)]
    assert state.verdict().verdict == "rolled back"


@pytest.mark.parametrize("dies_at", ["0/mq@2/look/1", "1/sql@1/stop/1", "1/sql@1/read/1"])
def test_killed_on_the_way_back_it_goes_on_back_and_ends_the_same(dies_at: str) -> None:
    whole = ScriptedWork(FELL, decide=_rollback)
    told = _on(SHOP, whole).verdict()
    rest = ScriptedWork(decide=_rollback)
    state = _on(SHOP, rest, _cut(whole, _intends(dies_at)))
    assert state.verdict() == told
    phase = dies_at.split("/")[2]
    assert dies_at.replace(f"{phase}/1", f"{phase}/2") in rest.ids


def test_a_lost_step_that_nobody_wants_any_more_leaves_its_unit_unknown() -> None:
    whole = ScriptedWork()
    _on(SHOP, whole)
    facts = (*_cut(whole, _intends("0/mq@2/start/1")), OrderTaken("cancel"))
    state = _on(SHOP, ScriptedWork(states={"mq@2": "Running"}), facts)
    assert state.standing("mq@2") == "unknown"
    assert state.verdict().verdict == "cancelled"
    assert [(one.unit, one.left, one.found) for one in state.strayed][:2] == [
        ("sql@1", "unknown", "Stopped"),
        ("mq@2", "unknown", "Running"),
    ]


def test_a_start_that_takes_effect_after_its_step_gave_up_is_this_run_s_doing() -> None:
    hung = FELL | {"0/app@3/look/1": Answer(after="Running")}
    work = ScriptedWork(hung, decide=_rollback)
    work.script = hung | {"0/app@3/read/1": Answer(after="Stopped")}
    state = _on(SHOP, work)
    [back] = [fact for fact in work.journal if isinstance(fact, RollbackBegan)]
    assert back.changed_since == ()
    assert _acted(work)[3:] == ["1/app@3/stop/1", "1/sql@1/stop/1", "1/mq@2/stop/1"]
    assert state.verdict().exit_code == 3


def test_what_came_late_is_no_change_by_others_on_resume_and_is_told_as_it_is_at_the_end() -> None:
    work = ScriptedWork(FELL, decide=lambda asked: None, patient=False)
    _on(SHOP, work)
    rest = ScriptedWork(decide=lambda asked: Decision(Choice.SKIP), states={"app@3": "Running"})
    state = _on(SHOP, rest, (*work.journal, RESUMED))
    assert [fact.cause.kind for fact in rest.journal if isinstance(fact, DecisionAsked)] == [CauseKind.FAILURE]
    assert [(one.unit, one.found, one.why) for one in state.strayed] == [
        ("app@3", "Running", "what this run asked of it took effect later")
    ]
    assert RunState.load(state.plan, state.dump()).dump() == state.dump()


def test_what_was_under_way_when_a_dead_run_was_closed_may_have_been_touched() -> None:
    whole = ScriptedWork()
    _on(SHOP, whole)
    *facts, _ = _cut(whole, _intends("0/app@3/start/1"))
    open_state = _begun(SHOP, *facts)
    assert open_state.verdict().counts["unknown"] == 1, "its start was asked for"
    state = _begun(SHOP, *facts, RunEnded(verdict="closed", exit_code=1))
    assert list(state.touched) == ["sql@1", "mq@2", "app@3"]
    assert (state.touched["app@3"], state.left["app@3"], state.under_way) == (Acted.MAYBE, "", [])


def test_what_others_put_right_meanwhile_is_asked_no_more() -> None:
    work = ScriptedWork({}, decide=lambda asked: None, patient=False, states={"mq@2": "Stopped"})
    whole = ScriptedWork()
    _on(SHOP, whole)
    assert list(_on(SHOP, work, _cut(whole, _intends("0/app@3/start/1"))).open) == [1]
    rest = ScriptedWork(decide=lambda asked: None, patient=False, states={"mq@2": "Running"})
    state = _on(SHOP, rest, (*work.journal, RESUMED))
    assert (dict(state.open), state.verdict().verdict) == ({}, "done")


def test_a_host_that_the_run_does_without_is_not_acted_on_again_after_a_change() -> None:
    one = stage([node("sql@1"), node("app@1"), node("web@2", waits_for=(0,))], [barrier(1)])
    said = {CauseKind.FAILURE: Choice.EXCLUDE, CauseKind.CHANGED: Choice.RETRY}
    work = ScriptedWork({"0/app@1/start/1": FAILED}, decide=lambda asked: None, patient=False)
    facts = _on(plan(one, back=DOWN), work)
    del facts
    answered = DecisionAnswered(decision=1, answer=Decided(choice=Choice.EXCLUDE, source=Source.PERSON, by="me"))
    rest = ScriptedWork(decide=lambda asked: Decision(said[asked.cause.kind]), states={"sql@1": "Stopped"})
    _on(plan(one, back=DOWN), rest, (*work.journal, answered, RESUMED))
    assert _acted(rest) == []


def test_a_look_that_nobody_asked_for_is_refused() -> None:
    state = _begun(SHOP)
    with pytest.raises(ValueError, match="does not follow"):
        state.apply(StepIntended(Step(0, "sql@1", Phase.LOOK)))
    with pytest.raises(ValueError, match="was answered but is not under way"):
        state.apply(StepEnded(Result(step=Step(0, "sql@1", Phase.LOOK), outcome=Outcome.OK)))


def test_the_first_fact_of_a_run_is_its_beginning() -> None:
    with pytest.raises(ValueError, match="begins with RunBegan"):
        fold([RESUMED])
    with pytest.raises(ValueError, match="no facts"):
        fold([])


def test_unknown_is_no_harm_to_the_snapshot_only_when_it_is_read_back() -> None:
    work = ScriptedWork({"0/sql@1/start/1": UNKNOWN, "0/sql@1/read/1": UNKNOWN}, decide=_rollback)
    assert _on(SHOP, work).verdict().verdict == "rollback incomplete"
