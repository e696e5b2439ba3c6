"""Decisions in words: what is asked, who may answer and how, what was answered. All views say it alike."""

from collections.abc import Sequence

from orchestrator.domain.decision_log import Question, given
from orchestrator.domain.decisions import Choice, Source
from orchestrator.domain.durations import spoken
from orchestrator.domain.policy import Approval
from orchestrator.domain.timeline import Timeline
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.theme import clock, moment

MEANS = {
    Choice.CONTINUE: "go on as planned",
    Choice.ROLLBACK: "put back what this run changed",
    Choice.RETRY: "do the failed steps again",
    Choice.SKIP: "leave them and all that waits for them; go on with the rest",
    Choice.EXCLUDE: "do without their hosts from here on",
    Choice.HOLD: "leave all as it is and decide later; the run parks and keeps its locks",
    Choice.ABORT: "leave all as it is, and end the run",
    Choice.KILL: "end the processes that are stuck, or that outlived their stop, and go on",
}


def listed(choices: Sequence[Choice]) -> str:
    """`rollback, retry or abort`."""
    words = [str(choice) for choice in choices]
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def command(timeline: Timeline, decision: int | None = None) -> str:
    """What to type, in any terminal that shares the state folder, to answer *decision*, or the oldest that waits."""
    waiting = timeline.decisions.open
    which = f" --decision {decision or waiting[0].number}" if len(waiting) > 1 else ""
    return f"orch decide {timeline.run} CHOICE{which}" + (" --resume" if timeline.parked else "")


def said(question: Question) -> str:
    """What the first of its units said, harmless; empty if the headline says as much."""
    text = clean(question.cause.said)
    return "" if text == question.headline else text


def who_may(approval: Approval, requester: str) -> str:
    """`anybody may answer`; `2 of ada, bob, cem must agree, not ada who began the run`."""
    people = ", ".join(map(clean, approval.approvers))
    but = f"{clean(requester)}, who began the run" if approval.not_requester and requester else ""
    if approval.min_approvals > 1:
        words = f"{approval.min_approvals} of {people} must agree" if people else _agree(approval.min_approvals)
    else:
        words = f"{people} may answer" if people else "anybody may answer"
    return f"{words}, but not {but}" if but else words


def _agree(count: int) -> str:
    return f"{count} people must agree (one is enough to hold or abort)"


def in_time(question: Question, approval: Approval) -> str:
    """What becomes of it when nobody answers; empty if it waits for ever."""
    if approval.timeout_s is None or question.held:
        return ""
    return f"{approval.on_timeout} at {clock(question.asked_at + approval.timeout_s)} if nobody answers"


def answered(question: Question) -> str:
    """`abort by ada@ops after 2 min 3 s: not tonight`; why it needs none any more, or the one that it
    got is not applied; or that it waits."""
    answer = question.answer
    if answer is None:
        withdrawn = f"withdrawn: {clean(question.withdrawn)}"
        return withdrawn if question.withdrawn else f"waits since {moment(question.asked_at)}"
    waited = f" after {spoken(answer.waited_s)}" if answer.waited_s >= 1 and answer.source is Source.PERSON else ""
    reason = f": {clean(answer.reason)}" if answer.reason and answer.source is not Source.TIMEOUT else ""
    if question.withdrawn:
        return f"{clean(given(answer))} NOT APPLIED: {clean(question.withdrawn)}"
    return f"{clean(given(answer))}{waited}{reason}"
