"""What a failure, a cancel or a closed window leads to, one situation at a time, on virtual time."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from scripted_work import FAILED, UNKNOWN, Answer, Decision, ScriptedWork
from stages import barrier, node, plan, stage, way_back
from virtual_time import in_virtual_time, run_virtual

from orchestrator.domain.decisions import Answer as Said
from orchestrator.domain.decisions import CauseKind, Choice, Source
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    OrderTaken,
    StepIntended,
)
from orchestrator.domain.plan import Limits, Node, Plan, Stage
from orchestrator.domain.policy import Do, Policy, Rule
from orchestrator.domain.results import Outcome
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import State
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.ports import Order

GONE = Answer(Outcome.UNKNOWN, 1.0, "", ProblemKind.UNREACHABLE)
LOCKED = Answer(Outcome.FAILED, 1.0, "Stopped", ProblemKind.AUTH)
CHAINS = stage(
    [node("sql@1"), node("mq@2"), node("app@3", waits_for=(0,)), node("web@4", waits_for=(1,))],
    [barrier(0), barrier(1)],
)
"""app waits for sql, web for mq."""


def _plan(one: Stage = CHAINS, **policy: object) -> Plan:
    return plan(one, policy=Policy(**policy), back=way_back(one))  # type: ignore[arg-type]  # any of its fields


def _run(any_plan: Plan, work: ScriptedWork) -> RunState:
    return run_virtual(conduct(any_plan, RunState.begin(any_plan), work.ports))


def _says(*choices: Choice, after_s: float = 0.0) -> Callable[[DecisionAsked], Decision]:
    """Answers the first decision with the first of *choices*, and so on; the last one goes on."""
    return lambda asked: Decision(choices[min(asked.decision, len(choices)) - 1], after_s)


def _acted(work: ScriptedWork) -> list[str]:
    return [one for one in work.ids if "/read/" not in one and "/look/" not in one]


def _of(kind: type[Fact], work: ScriptedWork) -> list[Fact]:
    return [fact for fact in work.journal if isinstance(fact, kind)]


def _fleet(hosts: int) -> Stage:
    return stage([node(f"web@{host}") for host in range(1, hosts + 1)], limits=Limits(run=2))


def test_what_is_not_downstream_of_a_failure_goes_on_while_a_person_thinks() -> None:
    work = ScriptedWork({"0/sql@1/start/1": FAILED}, decide=_says(Choice.ABORT, after_s=30))
    state = _run(_plan(), work)
    assert _acted(work) == ["0/sql@1/start/1", "0/mq@2/start/1", "0/web@4/start/1"]
    [asked] = _of(DecisionAsked, work)
    assert isinstance(asked, DecisionAsked)
    assert (asked.cause.kind, asked.cause.problem, asked.cause.service) == ("failure", "timeout", "sql")
    assert (asked.cause.units, asked.pauses) == (("sql@1",), False)
    assert asked.choices == tuple(c for c in Choice if c not in (Choice.CONTINUE, Choice.KILL))
    standings = [state.standing(unit) for unit in ("sql@1", "mq@2", "app@3", "web@4")]
    assert standings == ["failed", "ok", "untouched", "ok"]
    assert (state.verdict().verdict, state.verdict().exit_code) == ("failed", 1)


def test_a_retry_goes_through_the_queue_and_what_waited_goes_on() -> None:
    work = ScriptedWork({"0/sql@1/start/1": UNKNOWN}, decide=_says(Choice.RETRY, after_s=5))
    state = _run(_plan(), work)
    assert _acted(work)[-2:] == ["0/sql@1/start/2", "0/app@3/start/1"]
    assert state.verdict().verdict == "done"


def test_skip_leaves_the_unit_and_all_that_waits_for_it_and_the_next_stage_still_comes() -> None:
    down = stage([node("sql@1", waits_for=(0,)), node("app@2"), node("mq@3")], [barrier(1)], goal=State.STOPPED)
    up = stage([node("sql@1"), node("app@2", waits_for=(0,)), node("mq@3")], [barrier(0)])
    restart = plan(down, up)
    work = ScriptedWork({"0/app@2/stop/1": FAILED}, decide=_says(Choice.SKIP))
    state = _run(restart, work)
    assert "0/sql@1/stop/1" not in work.ids
    assert _acted(work)[-3:] == ["1/sql@1/start/1", "1/mq@3/start/1", "1/app@2/start/1"]
    assert state.verdict().verdict == "failed"


def test_a_soft_dependent_and_the_next_in_order_go_on_past_what_never_begins() -> None:
    nodes = [
        node("a@1"),
        node("b@2", waits_for=(0,)),
        node("soft@3", waits_for=(1,)),
        node("c@4", begins_after=1),
        node("d@5", waits_for=(2,)),
    ]
    one = stage(nodes, [barrier(0), barrier(1, soft=True), barrier(1)])
    work = ScriptedWork({"0/a@1/start/1": FAILED}, decide=_says(Choice.SKIP))
    state = _run(_plan(one), work)
    assert sorted(_acted(work)) == ["0/a@1/start/1", "0/c@4/start/1", "0/soft@3/start/1"]
    assert (state.standing("b@2"), state.standing("d@5")) == ("untouched", "untouched")


def test_a_host_that_is_excluded_is_left_alone_and_what_fails_there_later_is_no_question() -> None:
    nodes = [node("a@1"), node("b@1"), node("c@1", waits_for=(0,)), node("d@2"), node("e@1", waits_for=(1,))]
    one = stage(nodes, [barrier(3), barrier(3)])
    script = {"0/a@1/start/1": FAILED, "0/b@1/start/1": Answer(Outcome.FAILED, 9.0, "Stopped")}
    script["0/d@2/start/1"] = Answer(took_s=3.0)
    work = ScriptedWork(script, decide=_says(Choice.EXCLUDE))
    state = _run(_plan(one), work)
    assert sorted(_acted(work)) == ["0/a@1/start/1", "0/b@1/start/1", "0/d@2/start/1"]
    assert len(_of(DecisionAsked, work)) == 1
    assert [state.standing(unit) for unit in ("a@1", "b@1", "c@1", "e@1")] == [
        "failed",
        "failed",
        "untouched",
        "untouched",
    ]


def test_one_cause_is_one_question_and_grows_until_it_is_answered() -> None:
    one = stage([node("sql@1"), node("sql@2"), node("sql@3", waits_for=(0,)), node("mq@4")], [barrier(3)])
    script = {f"0/sql@{host}/start/1": FAILED for host in (1, 2, 3)}
    work = ScriptedWork(script, decide=_says(Choice.SKIP, after_s=10))
    _run(_plan(one), work)
    assert [fact.cause.units for fact in _of(DecisionAsked, work) if isinstance(fact, DecisionAsked)] == [
        ("sql@1", "sql@2")
    ]
    assert _of(DecisionGrew, work) == [DecisionGrew(decision=1, units=("sql@3",))]


def test_a_locked_account_is_one_cause_whatever_the_service() -> None:
    script = {"0/sql@1/start/1": LOCKED, "0/mq@2/start/1": LOCKED}
    work = ScriptedWork(script, decide=_says(Choice.ABORT))
    _run(_plan(), work)
    [asked] = _of(DecisionAsked, work)
    assert isinstance(asked, DecisionAsked)
    assert (asked.cause.service, asked.cause.units) == ("", ("sql@1", "mq@2"))


def test_rules_decide_as_often_as_they_say_and_then_the_next_is_asked() -> None:
    rules = (
        Rule(do=Do.RETRY, kinds=(ProblemKind.TIMEOUT,), count=2),
        Rule(do=Do.CONTINUE, services=("mq",)),
    )
    script = {f"0/sql@1/start/{n}": FAILED for n in (1, 2)} | {f"0/mq@2/start/{n}": FAILED for n in (1, 2)}
    work = ScriptedWork(script, decide=_says(Choice.ABORT))
    state = _run(_plan(rules=rules), work)
    answers = [fact.answer for fact in _of(DecisionAnswered, work) if isinstance(fact, DecisionAnswered)]
    assert [(said.choice, said.source, said.by) for said in answers[:3]] == [
        (Choice.RETRY, Source.POLICY, "rule 1"),  # both, in one decision each: two causes
        (Choice.RETRY, Source.POLICY, "rule 1"),
        (Choice.SKIP, Source.POLICY, "rule 2"),
    ]
    assert answers[3].source is Source.PERSON
    asked = [fact for fact in _of(DecisionAsked, work) if isinstance(fact, DecisionAsked)]
    assert [one.waits for one in asked] == [said.source is Source.PERSON for said in answers]
    assert state.standing("mq@2") == "failed"
    delays = [s.delay_s for f in _of(StepIntended, work) if isinstance(f, StepIntended) and (s := f.step).attempt == 2]
    assert len(set(delays)) == 2, "retries of a policy back off, each by its own jitter"
    assert all(1.0 <= delay_s <= 2.0 for delay_s in delays)


def test_a_policy_to_go_on_never_asks_until_too_many_have_failed() -> None:
    one = _fleet(8)
    script = {f"0/web@{host}/start/1": FAILED for host in range(1, 7)}
    work = ScriptedWork(script, decide=_says(*[Choice.CONTINUE] * 9))
    state = _run(_plan(one, on_failure=Do.CONTINUE, max_failures=2), work)
    asked = [f for f in _of(DecisionAsked, work) if isinstance(f, DecisionAsked) and f.pauses]
    assert [(f.cause.kind, f.cause.units) for f in asked] == [
        (CauseKind.BUDGET, ("web@1", "web@2", "web@3", "web@4")),
    ], "the count begins anew with each answer: 4, then 2 more"
    assert state.verdict().counts == {"ok": 2, "failed": 6, "unknown": 0, "untouched": 0}


def test_past_max_failures_nothing_new_begins_and_what_is_under_way_settles() -> None:
    script = {"0/sql@1/start/1": FAILED, "0/mq@2/start/1": Answer(took_s=5.0)}
    work = ScriptedWork(script, decide=lambda asked: None, patient=False)
    state = _run(_plan(max_failures_of=(("sql", 0),)), work)
    assert _acted(work) == ["0/sql@1/start/1", "0/mq@2/start/1"]
    assert [question.cause.kind for question in state.open.values()] == ["failure", "max_failures"]
    assert state.open[2].cause.service == "sql"
    assert not state.finished


def test_a_unit_that_a_person_sent_again_counts_as_failed_until_all_of_it_went_well() -> None:
    nodes = [node("app@1", gated=True), node("sql@2"), node("mq@3"), node("mq@4")]
    three = stage(nodes, limits=Limits(services=(("mq", 1),)))
    script = {
        "0/app@1/gate/1": FAILED,
        "0/app@1/gate/2": Answer(took_s=60.0),
        "0/sql@2/start/1": replace(FAILED, took_s=9.0),
        "0/mq@3/start/1": Answer(took_s=30.0),
    }
    work = ScriptedWork(script, decide=lambda asked: Decision(Choice.RETRY) if asked.decision == 1 else None)
    state = _run(_plan(three, max_failures=1), replace(work, patient=False))
    assert {question.cause.kind: question.cause.units for question in state.open.values()} == {
        CauseKind.FAILURE: ("sql@2",),
        CauseKind.BUDGET: ("app@1", "sql@2"),
    }


def test_when_most_hosts_vanish_it_pauses_and_asks_whatever_the_policy_says() -> None:
    one = _fleet(8)
    script = {f"0/web@{host}/start/1": GONE for host in range(1, 9)}
    work = ScriptedWork(script, decide=lambda asked: None, patient=False)
    state = _run(_plan(one, on_failure=Do.CONTINUE), work)
    assert [(q.cause.kind, q.pauses) for q in state.open.values()] == [("vanished", True)]
    assert state.open[3].cause.said == "6 of 8 hosts can't be reached any more"
    assert len(_acted(work)) == 6


def test_when_most_of_a_zone_vanishes_the_open_question_grows_into_that() -> None:
    one = stage([node(f"web@{host}") for host in range(1, 9)], limits=Limits(run=1))
    script = {f"0/web@{host}/start/1": GONE for host in (1, 2)}
    work = ScriptedWork(script, decide=lambda asked: None, patient=False)
    state = _run(_plan(one, zones=(("east", ("1", "2", "3")),)), work)
    assert _of(DecisionGrew, work) == [DecisionGrew(decision=1, units=("web@2",), pauses=True)]
    [question] = state.open.values()
    assert (question.cause.kind, question.cause.units) == ("vanished", ("web@1", "web@2"))
    assert len(_acted(work)) == 2


def test_a_retry_of_those_that_vanished_is_asked_anew_if_they_stay_away() -> None:
    script = {f"0/web@{host}/start/{n}": GONE for host in (1, 2) for n in (1, 2)}
    work = ScriptedWork(script, decide=_says(Choice.RETRY, Choice.RETRY))
    state = _run(_plan(_fleet(2)), work)
    assert [f.cause.kind for f in _of(DecisionAsked, work) if isinstance(f, DecisionAsked)] == ["vanished"] * 2
    assert state.verdict().verdict == "done"


def test_hold_parks_and_the_same_is_open_again_at_once_for_a_person() -> None:
    fleet = _plan(rules=(Rule(do=Do.HOLD, services=("sql",)),))
    work = ScriptedWork({"0/sql@1/start/1": FAILED}, decide=lambda asked: None)
    state = _run(fleet, work)
    assert (state.held, state.finished, list(state.open)) == (True, False, [2])
    asked = [fact for fact in work.journal if isinstance(fact, DecisionAsked)]
    assert [(one.decision, one.held, one.cause) for one in asked] == [
        (1, False, asked[0].cause),
        (2, True, asked[0].cause),
    ]
    assert "0/web@4/start/1" not in work.ids
    assert not state.under_way


def test_what_is_held_can_be_answered_before_the_process_leaves_and_the_run_goes_on() -> None:
    answers = {1: Decision(Choice.HOLD), 2: Decision(Choice.RETRY, after_s=3.0)}
    script = {"0/sql@1/start/1": FAILED, "0/mq@2/start/1": Answer(took_s=9.0)}
    work = ScriptedWork(script, decide=lambda asked: answers[asked.decision])
    state = _run(_plan(), work)
    assert (state.held, state.verdict().verdict) == (False, "done")


def test_more_of_what_was_held_by_policy_joins_it_and_is_asked_of_a_person() -> None:
    one = stage([node("app@1"), node("app@2"), node("sql@3")])
    script = {"0/app@1/start/1": FAILED, "0/app@2/start/1": Answer(Outcome.FAILED, 5.0)}
    work = ScriptedWork(script, decide=lambda asked: None)
    state = _run(_plan(one, on_failure=Do.HOLD), work)
    assert [question.cause.units for question in state.open.values()] == [("app@1", "app@2")]
    assert len(_of(DecisionAnswered, work)) == 1


def test_a_hold_of_what_is_asked_already_takes_the_open_question_in() -> None:
    one = stage([node("app@1"), node("app@2")])
    script = {"0/app@1/start/1": FAILED, "0/app@2/start/1": Answer(Outcome.FAILED, 5.0)}
    work = ScriptedWork(script, decide=lambda asked: None)
    state = _run(_plan(one, rules=(Rule(do=Do.HOLD, hosts=("2",)),)), work)
    assert state.held
    assert [(number, set(q.cause.units)) for number, q in state.open.items()] == [(3, {"app@1", "app@2"})]
    assert RunState.load(state.plan, state.dump()).dump() == state.dump()


def test_of_a_hold_and_a_rollback_at_one_moment_the_run_goes_back() -> None:
    one = stage([node("app@1"), node("sql@2")])
    fleet = plan(one, back=stage([node("app@1"), node("sql@2")], goal=State.STOPPED))
    said = {"app": Choice.HOLD, "sql": Choice.ROLLBACK}
    script = {"0/app@1/start/1": FAILED, "0/sql@2/start/1": FAILED}
    work = ScriptedWork(script, decide=lambda asked: Decision(said[asked.cause.service]))
    state = _run(fleet, work)
    assert (state.held, state.finished, state.verdict().verdict) == (False, True, "rolled back")


@in_virtual_time
async def test_without_patience_it_returns_when_only_answers_are_missing() -> None:
    work = ScriptedWork({"0/sql@1/start/1": FAILED}, decide=lambda asked: None, orders_at=[(10.0, Order.PARK)])
    fleet = _plan()
    state = await conduct(fleet, RunState.begin(fleet), work.ports)
    assert work.facts[-1] == (10.0, OrderTaken("park"))
    assert list(state.open) == [1]
    assert state.standing("web@4") == "ok"


def test_a_cancel_settles_and_then_asks_and_continue_goes_on() -> None:
    work = ScriptedWork({"0/sql@1/start/1": Answer(took_s=9)}, cancel_at_s=1.5, decide=_says(Choice.CONTINUE))
    state = _run(_plan(), work)
    [asked] = [(at, f) for at, f in work.facts if isinstance(f, DecisionAsked)]
    assert (asked[0], asked[1].cause.kind, asked[1].pauses) == (9.0, CauseKind.CANCELLED, True)
    assert asked[1].choices == (Choice.CONTINUE, Choice.ROLLBACK, Choice.HOLD, Choice.ABORT)
    assert state.verdict().verdict == "done"


def test_a_cancel_before_anything_was_touched_just_ends() -> None:
    work = ScriptedWork({f"0/{unit}/start/1": GONE for unit in ("sql@1", "mq@2")}, cancel_at_s=0.5)
    fleet = _plan()
    state = RunState.begin(fleet)
    state.apply(OrderTaken("cancel"))
    assert (state.decide(), state.finished, state.verdict().exit_code) == ([], True, 5)
    assert _run(fleet, work).verdict().verdict == "cancelled", "what was lost may have been touched: it is asked"
    assert [f.cause.kind for f in _of(DecisionAsked, work) if isinstance(f, DecisionAsked)] == ["failure", "cancelled"]


def test_past_the_window_no_stop_begins_and_starts_go_on() -> None:
    down = stage([node("app@1"), node("sql@2", waits_for=(0,))], [barrier(0)], goal=State.STOPPED)
    restart = plan(down, stage([node("app@1"), node("sql@2")]), back=stage([node("app@1"), node("sql@2")]))
    late = ScriptedWork(orders_at=[(0.5, Order.WINDOW_CLOSED)], decide=lambda asked: None, patient=False)
    state = _run(restart, late)
    assert _acted(late) == ["0/app@1/stop/1"]
    assert [q.choices for q in state.open.values()] == [(Choice.ROLLBACK, Choice.HOLD, Choice.ABORT)]
    going_up = ScriptedWork(orders_at=[(2.5, Order.WINDOW_CLOSED)])
    assert _run(restart, going_up).verdict().verdict == "done"


@pytest.mark.parametrize(("choice", "verdict", "acts"), [(Choice.CONTINUE, "done", 4), (Choice.ABORT, "cancelled", 0)])
def test_an_approval_comes_before_anything_is_touched(choice: Choice, verdict: str, acts: int) -> None:
    work = ScriptedWork(decide=_says(choice, after_s=20))
    state = _run(_plan(approve_before=True), work)
    [asked] = _of(DecisionAsked, work)
    assert isinstance(asked, DecisionAsked)
    assert asked.choices == (Choice.CONTINUE, Choice.HOLD, Choice.ABORT)
    assert (state.verdict().verdict, len(_acted(work))) == (verdict, acts)


def test_an_answer_that_comes_late_meets_a_look_and_counts_if_nothing_changed() -> None:
    work = ScriptedWork({"0/sql@1/start/1": FAILED}, decide=_says(Choice.RETRY, after_s=61))
    state = _run(_plan(), work)
    assert [one for one in work.ids if "/look/" in one] == [f"0/{unit}/look/1" for unit in ("mq@2", "web@4")]
    assert work.ids.index("0/web@4/look/1") < work.ids.index("0/sql@1/start/2")
    assert state.verdict().verdict == "done"


def test_a_late_answer_to_what_is_no_longer_so_is_withdrawn_and_asked_anew() -> None:
    script = {"0/sql@1/start/1": FAILED, "0/mq@2/look/1": Answer(after="Stopped")}

    def decide(asked: DecisionAsked) -> Decision:
        if asked.cause.kind is CauseKind.CHANGED:
            moved = "mq@2 is Stopped and not Running, as the run had left it"
            assert asked.cause.said == f"retry by somebody was not applied: {moved}"
            return Decision(Choice.RETRY)
        return Decision(Choice.SKIP if asked.decision > 1 else Choice.RETRY, 0.0 if asked.decision > 1 else 61.0)

    work = ScriptedWork(script, decide=decide)
    state = _run(_plan(), work)
    [withdrawn] = _of(DecisionWithdrawn, work)
    assert isinstance(withdrawn, DecisionWithdrawn)
    assert (withdrawn.decision, withdrawn.why.partition(":")[0]) == (1, "units changed meanwhile")
    assert "0/sql@1/start/2" not in work.ids
    assert _acted(work)[-1] == "0/mq@2/start/2"
    assert state.standing("mq@2") == "ok"
    assert dict(state.changed) == {}


def test_of_two_answers_of_one_moment_the_first_to_go_back_or_end_counts() -> None:
    script = {"0/sql@1/start/1": FAILED, "0/mq@2/start/1": FAILED}
    work = ScriptedWork(script, decide=_says(Choice.ROLLBACK, Choice.RETRY, after_s=3))
    state = _run(_plan(), work)
    assert _of(DecisionWithdrawn, work) == []
    assert not any(one.endswith("/2") for one in _acted(work))
    assert state.verdict().verdict == "rolled back"


def test_facts_about_decisions_that_cannot_follow_are_refused() -> None:
    fleet = _plan()
    state = RunState.begin(fleet)
    answered = DecisionAnswered(decision=1, answer=Said(choice=Choice.ABORT, source=Source.PERSON, by="me"))
    with pytest.raises(ValueError, match="decision 1 is not open"):
        state.apply(answered)
    work = ScriptedWork({"0/sql@1/start/1": FAILED}, decide=lambda asked: None, patient=False)
    state = _run(fleet, work)
    with pytest.raises(ValueError, match="can't be answered with continue"):
        state.apply(DecisionAnswered(decision=1, answer=Said(choice=Choice.CONTINUE, source=Source.PERSON, by="me")))
    [asked] = _of(DecisionAsked, work)
    with pytest.raises(ValueError, match="decision 1 was asked after decision 1"):
        state.apply(asked)


def _gated(*nodes: Node) -> Plan:
    return _plan(stage(nodes))


def test_a_failed_gate_is_retried_from_the_start_of_its_unit() -> None:
    work = ScriptedWork({"0/sql@1/gate/1": FAILED}, decide=_says(Choice.RETRY))
    _run(_gated(node("sql@1", gated=True)), work)
    assert _acted(work) == ["0/sql@1/start/1", "0/sql@1/gate/1", "0/sql@1/start/2", "0/sql@1/gate/2"]


def test_a_retry_waits_for_its_limits_like_everybody() -> None:
    one = stage([node("a@1"), node("b@2"), node("c@3")], limits=Limits(run=1))
    work = ScriptedWork({"0/a@1/start/1": FAILED, "0/b@2/start/1": Answer(took_s=9)}, decide=_says(Choice.RETRY))
    _run(_plan(one), work)
    assert _acted(work) == ["0/a@1/start/1", "0/b@2/start/1", "0/a@1/start/2", "0/c@3/start/1"]
