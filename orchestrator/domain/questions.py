"""What was said to a decision, and what counts: the rules of an answer, whoever keeps the votes.

Room: domain. The store carries these rules out inside one transaction; here they are decided. Times come in as words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from orchestrator.domain.decisions import LEAVES_ALL, Answer, Choice, Source
from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import DecisionAnswered, DecisionAsked, DecisionGrew, DecisionWithdrawn, RunEnded
from orchestrator.domain.policy import Approval

"""Answers that act on nothing: one person is enough, and the requester may give them."""


class Word(Protocol):
    """What somebody said: `by` is who."""

    @property
    def by(self) -> str:
        """The name, however it is spelled."""


AnyWord = TypeVar("AnyWord", bound=Word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One person's word; `when` is its time, in words."""

    choice: Choice
    by: str
    reason: str
    shown: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One decision of a run, and what was said to it so far.

    `answer` is what counts, since `answered`, a time in words. `closed` says why no answer is waited for any more, as
    the run has it; "" while the decision is open.
    """

    run: str
    asked: DecisionAsked
    said: tuple[Said, ...] = ()
    answer: Answer | None = None
    answered: str = ""
    closed: str = ""

    @property
    def name(self) -> str:
        """`decision 2 of run 20261121-0213-k7q2`."""
        return f"decision {self.asked.decision} of run {self.run}"

    @property
    def waits(self) -> bool:
        """People may still answer it."""
        return not self.closed and self.answer is None


def weigh(question: Question, new: Said, approval: Approval, requester: str) -> Answer | None:
    """The answer that *new* gives together with what was said before; None: more people have to say the same.

    Raises:
        BadInput: it is answered or closed already, *new* is none of its choices or not this person's to give, or the
            person has said the same last. The message names who, what, when and why.
    """
    if not question.waits:
        raise _too_late(question, new.by)
    if new.choice not in question.asked.choices:
        raise BadInput(
            f"{question.name} can't be answered with {new.choice}; it may be: {', '.join(question.asked.choices)}",
            hint=f"`orch decide {question.run} CHOICE`",
        )
    _check_person(question, new, approval, requester)
    _check_word(question, new, approval)
    agreed = [one for one in newest((*question.said, new)) if one.choice is new.choice]
    if missing(agreed, new.choice, approval):
        return None
    return Answer(
        choice=new.choice,
        source=Source.PERSON,
        by=new.by,
        reason=new.reason,
        approvals=tuple(one.by for one in agreed),
        shown=new.shown,
    )


def newest(said: Iterable[AnyWord]) -> list[AnyWord]:
    """Of each person the last word, which is the one that counts, in the order in which these were said."""
    last: dict[str, AnyWord] = {}
    for one in said:
        last.pop(one.by.casefold(), None)
        last[one.by.casefold()] = one
    return list(last.values())


def missing(said: Iterable[Said], choice: Choice, approval: Approval) -> int:
    """How many more people have to say *choice*."""
    people = [one for one in newest(said) if one.choice is choice]
    return max(0, (1 if choice in LEAVES_ALL else max(1, approval.min_approvals)) - len(people))


def timed_out(question: Question, choice: Choice) -> Answer:
    """The answer that counts now that the time is over: what was said before, or else *choice*."""
    if question.answer is not None:
        return question.answer
    return Answer(choice=choice, source=Source.TIMEOUT, by="timeout", reason="nobody answered in time")


def unasked(run: str, decision: int, waiting: Iterable[int]) -> BadInput:
    """Nothing is asked under this number: too early, or mistyped."""
    numbers = ", ".join(map(str, waiting))
    return BadInput(
        f"run {run} has asked no decision {decision}; "
        + (f"it waits for {numbers}" if numbers else "it waits for none"),
        hint="`orch decisions` lists what waits",
    )


def grown(asked: DecisionAsked, more: DecisionGrew) -> DecisionAsked:
    """*asked* with the units that failed since for the same reason."""
    cause = replace(asked.cause, units=(*asked.cause.units, *more.units))
    return replace(asked, cause=cause, pauses=asked.pauses or more.pauses)


def closing(question: Question, fact: DecisionAnswered | DecisionWithdrawn | RunEnded, when: str) -> str:
    """What *fact* means for *question*: `Question.closed`. The first word stands."""
    if question.closed:
        return question.closed
    match fact:
        case DecisionAnswered():
            given = question.answered if question.answer is not None else when
            return f"was answered at {given}: {_answer_said(fact.answer)}"
        case DecisionWithdrawn():
            return f"was withdrawn at {when}: {fact.why}"
        case RunEnded():
            return f"needs no answer: the run ended at {when} ({fact.verdict})"


def _answer_said(answer: Answer) -> str:
    others = [name for name in answer.approvals if name != answer.by]
    by = f"{answer.by} (with {', '.join(others)})" if others else answer.by
    return f"{answer.choice}, by {by}" + (f", because: {answer.reason}" if answer.reason else "")


def _too_late(question: Question, by: str) -> BadInput:
    answer = question.answer
    why = question.closed or (f"was answered at {question.answered}: {_answer_said(answer)}" if answer else "")
    same = answer is not None and by.casefold() in {name.casefold() for name in answer.approvals}
    yours = "; that was you" if same else ""
    hint = f"`orch show {question.run}`"
    if answer is not None and answer.choice is Choice.HOLD and not question.closed:
        hint = f"`orch resume {question.run}` takes the hold up, and then the same is asked again"
    return BadInput(f"{question.name} {why}{yours}; your answer changes nothing", hint=hint)


def _check_person(question: Question, new: Said, approval: Approval, requester: str) -> None:
    me = new.by.casefold()
    if approval.approvers and me not in {name.casefold() for name in approval.approvers}:
        raise BadInput(
            f"{new.by} may not answer {question.name}: the playbook's approvers are {', '.join(approval.approvers)}",
            hint="ask one of them; the decision waits",
        )
    if approval.not_requester and me == requester.casefold() and new.choice not in LEAVES_ALL:
        raise BadInput(
            f"{new.by} began run {question.run}, and the playbook wants somebody else to say {new.choice} "
            "(not_requester)",
            hint="ask somebody else; hold and abort are open to you",
        )


def _check_word(question: Question, new: Said, approval: Approval) -> None:
    """Who says the same again is one person still. Something else may be said instead: else two people who disagree
    could never agree."""
    before = next((one for one in newest(question.said) if one.by.casefold() == new.by.casefold()), None)
    if before is None or before.choice is not new.choice:
        return
    left = missing(question.said, before.choice, approval)
    people = f"{left} more {'person has' if left == 1 else 'people have'} to say the same"
    why = f", because: {before.reason}" if before.reason else ""
    raise BadInput(
        f"{new.by} said {before.choice} to {question.name} already, at {before.when}{why}; {people}",
        hint="`orch decisions` shows who said what; as long as nothing is decided you may say something else",
    )
