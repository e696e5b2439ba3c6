"""What the conductor does with nodes that live both ways: a rolling restart."""

from dataclasses import replace

import pytest
from conducted import of, run, running
from rolling import DOWN, STOPS, bare, in_batches, rolled, rolling
from scripted_work import FAILED, Answer, Decision, ScriptedWork
from stages import GATE, stage

from orchestrator.domain.consequences import consequences
from orchestrator.domain.decisions import CauseKind, Choice
from orchestrator.domain.facts import (
    DecisionAsked,
    Fact,
    RollbackBegan,
    RunEnded,
    RunResumed,
    StepEnded,
)
from orchestrator.domain.life import IfStuck
from orchestrator.domain.plan import Role
from orchestrator.domain.results import Outcome, Phase
from orchestrator.domain.service import State
from orchestrator.domain.way_back import rollback_plan, way_back
from orchestrator.engine.ports import Order

WHOLE = [
    "read:first/1",
    "precheck/1",
    "pre_stop:warm/1",
    "pre_stop:drain/1",
    "drained/1",
    "keep_down/1",
    "stop/1",
    "gate:stopped/1",
    "post_stop:clear/1",
    "between:between.1/1",
    "pre_start:clear/1",
    "pre_start:mount/1",
    "release/1",
    "start/1",
    "gate/1",
    "healthy/1",
    "post_start:warm/1",
    "post_start:drain/1",
]
"""The life of a unit in a rolling restart, part by part."""
WEB = "web@w-1"


def test_a_unit_goes_down_and_comes_up_in_one_life() -> None:
    work = running()
    state = run(rolling(stage([rolled(WEB)])), work)
    assert of(WEB, work) == WHOLE
    assert len(set(work.ids)) == len(work.ids)
    assert (state.verdict().verdict, state.left) == ("done", {WEB: "Running"})
    assert state.owed == {WEB: ("mount", "warm")}
    plain = running()
    assert run(rolling(stage([bare(WEB)])), plain).verdict().verdict == "done"
    assert of(WEB, plain) == ["stop/1", "start/1"]


@pytest.mark.parametrize("already", ["gate:stopped/1", "between:between.1/1", "pre_start:mount/1", "start/1"])
def test_a_unit_found_down_comes_up_all_the_same(already: str) -> None:
    work = ScriptedWork(before="Stopped")
    state = run(rolling(stage([rolled(WEB)])), work)
    assert of(WEB, work) == [WHOLE[0], *(one for one in WHOLE[7:] if one != "post_stop:clear/1")]
    assert already in of(WEB, work)
    assert state.verdict().verdict == "done"


@pytest.mark.parametrize(
    ("fails", "after", "goes_on"),
    [
        ("pre_stop:drain", "", "pre_stop:drain/2"),
        ("stop", "Running", "stop/2"),
        ("gate:stopped", "", "stop/2"),
        ("post_stop:clear", "", "post_stop:clear/2"),
        ("between:between.1", "", "between:between.1/2"),
        ("pre_start:mount", "", "pre_start:mount/2"),
        ("release", "", "release/2"),
        ("start", "Stopped", "start/2"),
        ("gate", "", "start/2"),
        ("healthy", "Running", "start/2"),
        ("post_start:drain", "", "post_start:drain/2"),
    ],
)
def test_a_retry_goes_on_at_the_way_that_failed(fails: str, after: str, goes_on: str) -> None:
    work = running({f"0/{WEB}/{fails}/1": Answer(Outcome.FAILED, 1.0, after)}, Choice.RETRY)
    assert run(rolling(stage([rolled(WEB)])), work).verdict().verdict == "done"
    asked = of(WEB, work)
    first = asked.index(f"{fails}/1")
    assert asked[: first + 1] == WHOLE[: first + 1]
    rest = WHOLE[WHOLE.index(goes_on.replace("/2", "/1")) :]
    assert asked[first + 1 :] == [one.replace("/1", "/2") for one in rest]


UNDONE = {
    "pre_stop:drain": ["undo:drain/1"],
    "drained": ["undo:drain/1"],
    "stop": ["release:given_up/1", "undo:drain/1"],
    "gate:stopped": [],
    "post_stop:clear": [],
    "between:between.1": [],
    "pre_start:mount": ["undo:mount/1"],
    "start": ["undo:mount/1"],
    "gate": [],
}
"""What is undone of a unit that is given up at a part. Who never went down is put back to where it is used; who is left
down is not; of the way up only what was done for it."""


@pytest.mark.parametrize("choice", [Choice.SKIP, Choice.EXCLUDE, Choice.ABORT])
@pytest.mark.parametrize("fails", list(UNDONE))
def test_who_is_given_up_is_put_back_only_if_it_never_went_down(fails: str, choice: Choice) -> None:
    after = {"stop": "Running", "start": "Stopped"}.get(fails, "")
    work = running({f"0/{WEB}/{fails}/1": Answer(Outcome.FAILED, 1.0, after)}, choice)
    state = run(rolling(stage([rolled(WEB)])), work)
    asked = of(WEB, work)
    assert asked[asked.index(f"{fails}/1") + 1 :] == UNDONE[fails]
    up = WHOLE.index(f"{fails}/1") <= WHOLE.index("stop/1") or fails == "gate"
    assert state.left[WEB] == ("Running" if up else "Stopped")
    why = f"it was not undone, and its unit is {state.left[WEB]}"
    hands = {(WEB, name): why for name in state.owed.get(WEB, ()) if name != "mount"}  # that stays while it is up
    assert state.not_undone == hands, "who is down, or not as it should be, is put back by somebody who has seen it"
    assert ("drain" in state.owed.get(WEB, ())) is (WHOLE.index(f"{fails}/1") > WHOLE.index("stop/1"))


@pytest.mark.parametrize("fails", ["stop", "between:between.1", "start", "gate", "post_start:warm"])
def test_the_way_back_starts_what_is_down_and_nothing_else(fails: str) -> None:
    after = {"stop": "Running", "start": "Stopped"}.get(fails, "")
    others = [rolled("web@w-2"), rolled("web@w-3")]
    made = in_batches([others[0], rolled(WEB), others[1]], [1, 1, 1])
    work = running({f"0/{WEB}/{fails}/1": Answer(Outcome.FAILED, 1.0, after)}, Choice.ROLLBACK)
    state = run(rolling(made), work)
    assert state.verdict().verdict == "rolled back"
    assert state.owed.get(WEB, ()) in ((), ("mount",), ("mount", "warm"))
    (back,) = [fact for fact in work.journal if isinstance(fact, RollbackBegan)]
    assert [node.unit.id for one in back.stages for node in one.nodes if node.role is Role.ACT] == [WEB]
    assert all(node.down is None for one in back.stages for node in one.nodes)
    went = [step.id for step in work.asked if step.stage == 1 and step.phase is not Phase.READ]
    assert ("1/web@w-1/start/1" in went) is (fails in ("between:between.1", "start"))
    assert [one for one in went if "post_start" in one and "drain" in one] == ["1/web@w-1/post_start:drain/1"]
    assert not any(step.unit == "web@w-3" and step.phase is not Phase.READ for step in work.asked)
    assert not any(step.phase is Phase.STOP for step in work.asked if step.stage == 1)


def test_a_rollback_of_its_own_starts_what_an_aborted_one_left_down() -> None:
    made = rolling(in_batches([rolled(WEB), rolled("web@w-2")], [1, 1]))
    work = running({f"0/{WEB}/start/1": Answer(Outcome.FAILED, 1.0, "Stopped")}, Choice.ABORT)
    state = run(made, work)
    assert (state.verdict().verdict, state.left[WEB], state.left["web@w-2"]) == ("failed", "Stopped", "Running")
    touched = {unit: state.touch(unit, state.left[unit]) for unit in state.touched}
    way = way_back(made, touched, accept_drift=False)
    back = rollback_plan(made, way, touched)
    rest = ScriptedWork(states=dict(state.left))
    assert run(back, rest).verdict().verdict == "done"
    assert [one for one in of(WEB, rest) if one.startswith(("start", "post_start"))] == [
        "start/1", "post_start:warm/1", "post_start:drain/1",
    ]  # fmt: skip
    assert of("web@w-2", rest) == []


def test_past_the_window_nobody_new_goes_down_and_who_is_down_comes_up() -> None:
    made = in_batches([rolled(WEB), rolled("web@w-2")], [1, 1])
    work = running(None, Choice.ABORT)
    work.orders_at = [(7.5, Order.WINDOW_CLOSED)]
    state = run(rolling(made), work)
    assert of(WEB, work) == WHOLE
    assert of("web@w-2", work) == []
    (question,) = [fact.cause for fact in work.journal if isinstance(fact, DecisionAsked)]
    assert (question.kind, state.left[WEB]) == (CauseKind.WINDOW, "Running")
    assert question.said == "the window has closed, and web@w-2 was to be stopped next"
    soon = running(None, Choice.ABORT)
    soon.orders_at = [(4.5, Order.WINDOW_CLOSED)]
    state = run(rolling(made), soon)
    assert of(WEB, soon) == [*WHOLE[:5], "undo:drain/1"]
    down = running({f"0/{WEB}/start/1": Answer(Outcome.FAILED, 1.0, "Stopped")}, Choice.RETRY, Choice.ABORT)
    down.decide = lambda asked: Decision([Choice.RETRY, Choice.ABORT][asked.decision - 1], after_s=50.0)
    down.orders_at = [(30.0, Order.WINDOW_CLOSED)]
    assert run(rolling(made), down).left[WEB] == "Running"
    assert of("web@w-2", down) == []


def test_a_cancel_lets_who_is_down_come_up_and_nobody_else_go_down() -> None:
    made = in_batches([rolled(WEB), rolled("web@w-2")], [1, 1])
    work = replace(running(None, Choice.ABORT), cancel_at_s=7.5)
    state = run(rolling(made), work)
    assert (of(WEB, work), of("web@w-2", work)) == (WHOLE, [])
    assert state.verdict().verdict == "cancelled"


def test_who_came_up_is_watched_while_others_wait_and_is_started_again() -> None:
    made = in_batches([bare(WEB), bare("web@w-2")], [1, 1], pause_s=60.0)
    script = {"0/web#2/count/1": Answer(took_s=60.0), f"0/{WEB}/watch/1": Answer(Outcome.FAILED, 20.0, "Stopped")}
    work = running(script, Choice.RETRY)
    assert run(rolling(made), work).verdict().verdict == "done"
    assert of(WEB, work) == ["stop/1", "start/1", "start/2"]


def test_a_stop_that_hangs_is_killed_if_its_way_down_says_so() -> None:
    life = replace(STOPS, if_stuck=IfStuck.KILL)
    stuck = {f"0/{WEB}/stop/1": Answer(Outcome.FAILED, 1.0, "StopPending")}
    work = running(stuck)
    state = run(rolling(stage([rolled(WEB, down=replace(DOWN, life=life))])), work)
    assert of(WEB, work) == [*WHOLE[:7], "kill/1", *WHOLE[7:]]
    assert state.verdict().verdict == "done"
    asks = replace(life, if_stuck=IfStuck.ASK)
    asked = running(stuck, Choice.KILL)
    assert run(rolling(stage([rolled(WEB, down=replace(DOWN, life=asks))])), asked).verdict().verdict == "done"
    assert of(WEB, asked) == [*WHOLE[:7], "kill/2", *(one.replace("/1", "/2") for one in WHOLE[7:])]


def test_whose_checks_do_not_hold_never_goes_down() -> None:
    nodes = [rolled(WEB), rolled("web@w-2")]
    probes = [replace(one, role=Role.PROBE, gates=(GATE,), life=None, down=None) for one in nodes]
    checks = replace(stage(probes, goal=State.STOPPED), checks=True)
    work = running({f"0/{WEB}/gate/1": FAILED}, Choice.SKIP)
    state = run(rolling(stage(nodes), checks), work)
    assert (len(of(WEB, work)), state.left[WEB]) == (1, "Running")
    assert [one.split("/")[0] for one in of("web@w-2", work)][1:] == [one.split("/")[0] for one in WHOLE]


def test_a_count_that_does_not_hold_leaves_its_batch_as_it_is() -> None:
    made = in_batches([bare(WEB), bare("web@w-2"), bare("web@w-3")], [1, 1, 1], at_least=2)
    work = running({"0/web#2/count/1": FAILED, "0/web#2/count/2": FAILED}, Choice.RETRY, Choice.SKIP)
    state = run(rolling(made), work)
    assert [of(unit, work) for unit in (WEB, "web@w-2", "web@w-3")] == [
        ["stop/1", "start/1"], [], ["stop/1", "start/1"],
    ]  # fmt: skip
    assert [one for one in work.ids if "count" in one] == [
        "0/web#1/count/1", "0/web#2/count/1", "0/web#2/count/2", "0/web#3/count/1",
    ]  # fmt: skip
    assert state.verdict().counts["untouched"] == 1


def test_a_unit_that_is_down_holds_its_batch_until_it_is_decided() -> None:
    made = in_batches([bare(WEB), bare("web@w-2")], [1, 1])
    work = running({f"0/{WEB}/start/1": Answer(Outcome.FAILED, 1.0, "Stopped")})
    work.decide, work.patient = lambda _: None, False
    state = run(rolling(made), work)
    assert (of("web@w-2", work), state.finished) == ([], False)


def test_what_an_answer_means_is_told_of_both_ways() -> None:
    made = in_batches([rolled(WEB), rolled("web@w-2")], [1, 1])
    work = running({f"0/{WEB}/stop/1": Answer(Outcome.FAILED, 1.0, "Running")})
    work.decide, work.patient = lambda _: None, False
    means = {one.choice: one for one in consequences(run(rolling(made), work), 1)}
    retry, skip = means[Choice.RETRY], means[Choice.SKIP]
    assert (retry.units, retry.expected_s, retry.stays_down) == ((WEB, "web@w-2"), 20.0, ())
    assert skip.said.startswith("puts web@w-1 back first (release, undo of drain); ")
    assert (skip.units, skip.stays_down) == (("web@w-2",), ())
    down = running({f"0/{WEB}/start/1": Answer(Outcome.FAILED, 1.0, "Stopped")})
    down.decide, down.patient = lambda _: None, False
    means = {one.choice: one for one in consequences(run(rolling(made), down), 1)}
    assert (means[Choice.RETRY].units, means[Choice.RETRY].expected_s) == ((WEB, "web@w-2"), 15.0)
    assert (means[Choice.SKIP].stays_down, means[Choice.ABORT].stays_down) == ((WEB,), (WEB,))
    back = means[Choice.ROLLBACK]
    assert (back.units, back.stays_down, back.warning) == ((WEB,), (), "")


@pytest.mark.parametrize("cut", range(1, 96, 4))
def test_wherever_the_controller_dies_a_unit_goes_on_at_its_part(cut: int) -> None:
    made = rolling(in_batches([rolled(WEB), rolled("web@w-2")], [1, 1]))
    first = running()
    run(made, first)
    left = [fact for fact in first.journal[:cut] if not isinstance(fact, RunEnded)]
    ended = [fact.result for fact in left if isinstance(fact, StepEnded)]
    before: list[Fact] = [*left, RunResumed(requester="me", controller="here", epoch=2)]
    rest = running(None, Choice.RETRY)
    rest.states = {result.step.unit: result.after for result in ended if result.after}
    rest.facts = [(0.0, fact) for fact in before]
    assert run(made, rest, before).verdict().verdict == "done"
    for unit in (WEB, "web@w-2"):
        steps = [result.step for result in ended if result.step.unit == unit]
        done = {step.id.split("/")[2] for step in steps}
        goes_on = [one.split("/")[0] for one in of(unit, rest)]
        assert goes_on == [one[:-2] for one in WHOLE][len(WHOLE) - len(goes_on) :]
        assert {*done, *goes_on} >= {one[:-2] for one in WHOLE}
        assert not [one for one in goes_on if one in done and one not in ("stop", "start", "gate")]


def test_past_the_window_whose_stopped_gate_failed_comes_up_by_a_retry() -> None:
    made = rolling(in_batches([rolled(WEB), rolled("web@w-2")], [1, 1]))
    work = running({f"0/{WEB}/gate:stopped/1": FAILED}, Choice.RETRY, Choice.ABORT)
    work.decide = lambda asked: Decision([Choice.RETRY, Choice.ABORT][asked.decision - 1], after_s=30.0)
    work.orders_at = [(20.0, Order.WINDOW_CLOSED)]
    state = run(made, work)
    assert of(WEB, work)[7:] == ["gate:stopped/1", "stop/2", *(one.replace("/1", "/2") for one in WHOLE[7:])]
    assert (state.left[WEB], of("web@w-2", work)) == ("Running", [])
