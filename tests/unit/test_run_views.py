"""What the commands around runs show: what waits, what is found of a run that is gone on with, snapshots."""

import io
import json
from dataclasses import replace

import pytest
from fake_run import BEGAN_AT, NASTY, facts, fleet
from rich.console import Console, RenderableType

from orchestrator.domain.consequences import Consequence
from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.errors import BadInput, ProblemKind
from orchestrator.domain.facts import DecisionAsked, MadeFrom, StepEnded
from orchestrator.domain.planning.observed import Difference, What
from orchestrator.domain.policy import Approval
from orchestrator.engine.book_ports import OpenDecision, Snapshot, Vote
from orchestrator.interfaces.commands.decide import meant_by
from orchestrator.interfaces.decisions_view import foretold, waiting, waiting_json
from orchestrator.interfaces.resume_view import what_is_found
from orchestrator.interfaces.runs_view import timeline_of
from orchestrator.interfaces.snapshots_view import differences_table, snapshots_json, snapshots_table

WAITS = OpenDecision(
    run="20261121-0213-k7q2",
    plan="shop",
    requester="ada",
    asked_at=BEGAN_AT,
    asked=DecisionAsked(
        decision=2,
        cause=Cause(
            kind=CauseKind.FAILURE,
            said=f"sql@db-01: {NASTY}",
            problem=ProblemKind.TIMEOUT,
            service="sql",
            units=("sql@db-01", "sql@db-02"),
        ),
        choices=(Choice.ROLLBACK, Choice.ABORT),
        pauses=True,
    ),
    votes=(Vote(choice=Choice.ABORT, by="Bob"), Vote(choice=Choice.ROLLBACK, by="bob", reason="the window ends")),
    approval=Approval(approvers=("ada", "bob"), min_approvals=2, not_requester=True),
)


def drawn(picture: RenderableType, width: int = 100) -> str:
    paper = io.StringIO()
    Console(file=paper, width=width, height=500, color_system=None, force_terminal=False).print(picture)
    return paper.getvalue()


def test_what_waits_is_told_with_who_may_answer_and_what_to_type() -> None:
    text = drawn(waiting([WAITS], BEGAN_AT + 720.0, [WAITS.run]), 160)
    for words in (
        "20261121-0213-k7q2  decision 2  shop of ada, waits 12 min",
        "sql@db-01 and 1 more failed (timeout)",
        "2 of ada, bob must agree, but not ada",
        "Bob said abort; changed since\n",
        "bob said rollback: the window ends\n",
        "orch decide 20261121-0213-k7q2 rollback --decision 2  put back what this run changed",
        "nothing new begins until it is answered",
    ):
        assert words in text, text
    assert "\x1b" not in text
    assert "owned" not in text.splitlines()[0]
    [told] = json.loads(waiting_json([WAITS], BEGAN_AT + 720.0))["decisions"]
    assert (told["waits_s"], told["min_approvals"], told["units"]) == (720.0, 2, ["sql@db-01", "sql@db-02"])
    assert [(vote["choice"], vote["counts"]) for vote in told["votes"]] == [("abort", False), ("rollback", True)]
    assert (told["asked_at"], "consequences" in told) == ("2026-11-21T01:13:05.000Z", False)
    assert "nothing waits" in drawn(waiting([], BEGAN_AT))


def test_what_to_type_names_the_decision_where_several_wait_and_goes_on_with_a_parked_run() -> None:
    first = replace(WAITS, asked=replace(WAITS.asked, decision=1))
    both, alone = drawn(waiting([first, WAITS], BEGAN_AT), 160), drawn(waiting([first], BEGAN_AT), 160)
    assert f"orch decide {WAITS.run} rollback --decision 1 --resume  put back" in both
    assert f"orch decide {WAITS.run} rollback --resume  put back" in alone


def test_an_answer_may_be_a_letter_or_a_beginning_of_those_that_the_decision_has() -> None:
    few = replace(WAITS, asked=replace(WAITS.asked, choices=(Choice.ROLLBACK, Choice.RETRY, Choice.HOLD)))
    meant = [meant_by(typed, [few], None) for typed in ("r", "t", "ret", "ROLLBACK", "ho")]
    assert meant == [Choice.ROLLBACK, Choice.RETRY, Choice.RETRY, Choice.ROLLBACK, Choice.HOLD]
    for typed in ("s", "skip", "x"):
        with pytest.raises(BadInput) as refused:
            meant_by(typed, [few], 2)
        assert (str(refused.value), refused.value.hint) == (
            f"{typed!r} is no answer to decision 2 of run {WAITS.run}; nothing was decided",
            "choose rollback, retry or hold",
        )
    assert meant_by("s", [few], 7) is Choice.SKIP  # which is none that waits: the store says so


def test_what_is_answered_and_not_taken_up_says_who_and_how_it_goes_on() -> None:
    answer = Answer(choice=Choice.ROLLBACK, source=Source.PERSON, by="bob", approvals=("bob", "cem"))
    settled = OpenDecision(
        run="r-1", plan="shop", requester="ada", asked_at=BEGAN_AT, asked=WAITS.asked, settled=answer
    )
    text = drawn(waiting([settled], BEGAN_AT + 1.0))
    assert "answered: rollback by bob and cem" in text
    assert "orch resume r-1" in text
    assert "orch decide" not in text
    late = replace(settled, settled=Answer(choice=Choice.HOLD, source=Source.TIMEOUT, by="timeout", reason="too late"))
    assert "nobody answered in time: hold; the run" in drawn(waiting([late], BEGAN_AT + 1.0))


def test_a_consequence_is_shown_whole() -> None:
    units = tuple(f"web@web-{number:02}" for number in range(20))
    one = Consequence(
        choice=Choice.ROLLBACK,
        said="20 units are started again",
        units=units,
        expected_s=90.0,
        stays_down=("sql@db-01",),
        warning="this STOPS 3 running units",
    )
    text = " ".join(drawn(foretold(one)).split())
    assert "20 units, about 1 min 30 s, in this order: web@web-00, web@web-01" in text
    assert all(unit in text for unit in units)
    assert "stays down: sql@db-01 this STOPS 3 running units" in text


def test_before_a_run_goes_on_it_is_told_what_is_done_and_what_was_lost() -> None:
    events = facts(fleet())
    ended = [place for place, stamped in enumerate(events) if isinstance(stamped.fact, StepEnded)]
    timeline = timeline_of(events[: ended[len(ended) // 2] + 1])  # some units are done, and some under way
    text = drawn(what_is_found(timeline, [], alive=False, now=timeline.last_at + 60.0), 200)
    assert "has lost its process" in text
    assert "1 min" in text
    assert "units done: web@web-01 and" in text
    assert "lost on the way (asked of their hosts, the answer is not known" in text
    assert "still to do" in text
    assert "is parked" in drawn(what_is_found(timeline, [], alive=None, now=timeline.last_at))


def test_snapshots_are_listed_and_compared() -> None:
    units = tuple(node.unit for node in fleet().stages[0].nodes)
    one = Snapshot(tag="before", at=BEGAN_AT, by="ada", name="shop", made_from=MadeFrom(), units=units)
    assert f"{len(units)} Running" in drawn(snapshots_table([one]))
    [told] = json.loads(snapshots_json([one]))["snapshots"]
    assert (told["units"][0]["unit"], told["units"][0]["state"]) == ("web@web-01", "Running")
    moved = [
        Difference(unit="web@web-01", what=What.STATE, was="Running", now="Stopped"),
        Difference(unit="web@web-02", what=What.PROCESS, was="PID 4", now="PID 8", restarted=True),
        Difference(unit="web@web-03", what=What.PROCESS, was="PID 4", now="PID 8", restarted=False),
        Difference(unit="web@web-04", what=What.PROCESS, was="PID 4", now="PID 8"),
    ]
    text = drawn(differences_table("before", 35, moved))
    assert "web@web-01  state    was Running, is Stopped" in text
    assert "web@web-02  process  was PID 4, is PID 8; its host has restarted since\n" in text
    assert "web@web-03  process  was PID 4, is PID 8; its host has not restarted\n" in text
    assert "web@web-04  process  was PID 4, is PID 8\n" in "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    assert "1 unit of 35 not as in before; 3 started again since, which is no difference" in text
    assert "all 35 units are as in before" in drawn(differences_table("before", 35, []))
