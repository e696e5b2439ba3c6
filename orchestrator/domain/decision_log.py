"""The decisions of a run as eyes see them: what was asked and why, since when, and who answered what.

Room: domain. `RunState` decides what is asked and what follows; this only retells it. Holds no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.facts import DecisionAnswered, DecisionAsked, DecisionGrew, DecisionWithdrawn

_HEADLINES = {
    CauseKind.VANISHED: "most hosts can't be reached any more",
    CauseKind.BUDGET: "more units failed than max_failures allows",
    CauseKind.CANCELLED: "the run was cancelled",
    CauseKind.WINDOW: "the window has closed",
    CauseKind.APPROVAL: "somebody has to approve before anything is touched",
    CauseKind.HOOK: "a hook of the run did not succeed",
    CauseKind.PAUSE: "the playbook pauses here, between two batches, for a person",
}


@dataclass(slots=True, eq=False)
class Question:
    """One decision: `asked_at` and `ended_at` are UTC, seconds since 1970; `since_s` is on the timeline's clock.

    `units` are those of its cause and those that joined it; `withdrawn` says why it needs no answer any more; `held`
    that it was answered with hold before, and is open again; `waits` that it is not answered by the policy at once.
    """

    number: int
    cause: Cause
    choices: tuple[Choice, ...]
    pauses: bool
    asked_at: float
    since_s: float
    units: list[str]
    answer: Answer | None = None
    ended_at: float | None = None
    withdrawn: str = ""
    held: bool = False
    waits: bool = True

    @property
    def open(self) -> bool:
        """Whether it waits for an answer."""
        return self.waits and self.answer is None and not self.withdrawn

    @property
    def headline(self) -> str:
        """Why it is asked, in a few words: `orders@app-03 and 2 more failed (timeout)`."""
        return headline(self.cause, self.units)

    def as_json(self) -> dict[str, Any]:
        """The decision as JSON can hold it."""
        answer = self.answer
        return {
            "decision": self.number,
            "cause": self.cause.kind,
            "said": self.cause.said,
            "problem": self.cause.problem,
            "service": self.cause.service,
            "units": list(self.units),
            "choices": list(self.choices),
            "pauses": self.pauses,
            "held": self.held,
            "asked_at": self.asked_at,
            "ended_at": self.ended_at,
            "withdrawn": self.withdrawn or None,
            "answer": {
                "choice": answer.choice,
                "source": answer.source,
                "by": answer.by,
                "reason": answer.reason,
                "approvals": list(answer.approvals),
                "shown": answer.shown,
                "waited_s": answer.waited_s,
            }
            if answer
            else None,
        }


class DecisionLog:
    """Folds the facts about decisions. Cost: O(1) each, and O(units) for those that join."""

    def __init__(self) -> None:
        self.all: dict[int, Question] = {}

    @property
    def open(self) -> list[Question]:
        """Those that wait, the oldest first."""
        return [question for question in self.all.values() if question.open]

    def asked(self, fact: DecisionAsked, at: float, now_s: float) -> Question:
        """One more is open."""
        question = Question(
            number=fact.decision,
            cause=fact.cause,
            choices=fact.choices,
            pauses=fact.pauses,
            asked_at=at,
            since_s=now_s,
            units=list(fact.cause.units),
            held=fact.held,
            waits=fact.waits,
        )
        self.all[fact.decision] = question
        return question

    def grew(self, fact: DecisionGrew) -> None:
        """More units failed for the same reason."""
        question = self.all.get(fact.decision)
        if question is not None:
            question.units += [unit for unit in fact.units if unit not in question.units]
            question.pauses = question.pauses or fact.pauses

    def answered(self, fact: DecisionAnswered, at: float) -> Question | None:
        """The answer that counts; None if nothing like it was asked."""
        question = self.all.get(fact.decision)
        if question is not None:
            question.answer, question.ended_at = fact.answer, at
        return question

    def withdrawn(self, fact: DecisionWithdrawn, at: float) -> Question | None:
        """It needs no answer any more, or its answer came late and is not applied; None if it was not asked."""
        question = self.all.get(fact.decision)
        if question is not None:
            question.withdrawn, question.ended_at = fact.why, at
        return question


def headline(cause: Cause, units: Sequence[str]) -> str:
    """Why a decision is asked, in a few words; *units* are all that it is about by now."""
    if cause.kind is CauseKind.FAILURE:
        problem = f" ({cause.problem})" if cause.problem else ""
        return f"{named(units)} failed{problem}"
    if cause.kind is CauseKind.CHANGED:
        return f"{named(units)} {'is' if len(units) == 1 else 'are'} not where the run left {_them(units)}"
    return _HEADLINES[cause.kind]


def _them(units: Sequence[str]) -> str:
    return "it" if len(units) == 1 else "them"


def named(units: Sequence[str]) -> str:
    """`web@web-01 and 8 more`."""
    if not units:
        return "units"
    return units[0] + (f" and {len(units) - 1} more" if len(units) > 1 else "")


def given(answer: Answer) -> str:
    """`rollback by ada@ops`, `nobody answered in time: rollback`."""
    if answer.source is Source.TIMEOUT:
        return f"nobody answered in time: {answer.choice}"
    return f"{answer.choice} by {answerer(answer)}"


def answerer(answer: Answer) -> str:
    """Who answered: `ada@ops`, `ada@ops and bob@ops`, `the policy (on_failure)`, `nobody in time`."""
    if answer.source is Source.TIMEOUT:
        return "nobody in time"
    if answer.source is Source.POLICY:
        return f"the policy ({answer.by})" if answer.by else "the policy"
    return " and ".join(answer.approvals or (answer.by,))
