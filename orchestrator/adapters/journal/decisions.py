"""What runs ask and what was said to it: rows of `questions`, `votes` and `orders`. Each function is part of a
transaction; the rules are `domain.questions`'."""

from collections.abc import Sequence
from sqlite3 import Connection
from typing import cast

from orchestrator.adapters.journal.leases import ended_said, nothing_held
from orchestrator.adapters.journal.queries import column, from_column, moment, rows, text
from orchestrator.domain.decisions import Answer, Choice
from orchestrator.domain.fact_codec import decode, encode
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    OrderTaken,
    RunEnded,
)
from orchestrator.domain.policy import Approval
from orchestrator.domain.questions import Question, Said, closing, grown, missing, timed_out, unasked, weigh
from orchestrator.engine.book_ports import OpenDecision, Tally, Vote
from orchestrator.engine.ports import Order

Heeded = DecisionAsked | DecisionGrew | DecisionAnswered | DecisionWithdrawn | RunEnded


def heed(connection: Connection, run: str, fact: Heeded, at: float) -> None:
    """Note what *fact*, appended at *at*, means for what *run* asks."""
    if isinstance(fact, DecisionAsked):
        asked = {"run": run, "decision": fact.decision, "now": at, "asked": encode(fact)}
        connection.execute(text("add_question"), asked)
        return
    if isinstance(fact, RunEnded):
        numbers = [number for (number,) in rows(connection, "questions_of", run=run)]
    else:
        numbers = [fact.decision]
    for number in numbers:
        question = _question(connection, run, number)
        if question is None:
            continue
        if isinstance(fact, DecisionGrew):
            more = {"run": run, "decision": number, "asked": encode(grown(question.asked, fact))}
            connection.execute(text("grow_question"), more)
        else:
            closed = {"run": run, "decision": number, "closed": closing(question, fact, moment(at))}
            connection.execute(text("close_question"), closed)


def vote(
    connection: Connection, run: str, decision: int, one: Vote, approval: Approval, requester: str, *, now: float
) -> Tally:
    """See `Decisions.vote`."""
    question = _asked(connection, run, decision)
    said = _said(one, now)
    answer = weigh(question, said, approval, requester)
    connection.execute(text("add_vote"), {"run": run, "decision": decision, "now": now, "vote": column(one)})
    if answer is not None:
        _settle(connection, run, decision, answer, now)
    left = missing((*question.said, said), one.choice, approval)
    votes = tuple(vote for _, vote in _votes(connection, run, decision))
    return Tally(choice=answer.choice if answer else None, missing=left, votes=votes)


def settled(connection: Connection, run: str, decision: int) -> Answer | None:
    """See `Decisions.settled`."""
    question = _question(connection, run, decision)
    return question.answer if question else None


def settle_by_timeout(connection: Connection, run: str, decision: int, choice: Choice, *, now: float) -> Answer:
    """See `Decisions.settle_by_timeout`."""
    question = _asked(connection, run, decision)
    answer = timed_out(question, choice)
    if question.waits:
        _settle(connection, run, decision, answer, now)
    return answer


def open_decisions(connection: Connection) -> Sequence[OpenDecision]:
    """See `Decisions.open`."""
    found: list[OpenDecision] = []
    for run, decision, plan, requester, approval, asked_at in rows(connection, "open_questions"):
        question = _asked(connection, run, decision)
        found.append(
            OpenDecision(
                run=run,
                plan=plan,
                requester=requester,
                asked_at=asked_at,
                asked=question.asked,
                votes=tuple(vote for _, vote in _votes(connection, run, decision)),
                approval=from_column(Approval, approval),
                settled=question.answer,
            )
        )
    return tuple(found)


def order(connection: Connection, run: str, what: Order, by: str, *, now: float) -> None:
    """See `Decisions.order`."""
    if ended_said(connection, run) or not rows(connection, "newest_fact", run=run):
        raise nothing_held(connection, run)
    taken = encode(OrderTaken(order=str(what), by=by))
    connection.execute(text("add_order"), {"run": run, "now": now, "taken": taken})


def orders(connection: Connection, run: str) -> Sequence[tuple[Order, str]]:
    """See `Decisions.orders`."""
    taken = (cast(OrderTaken, decode(stored)) for (stored,) in rows(connection, "orders_for", run=run))
    return tuple((Order(one.order), one.by) for one in taken)


def _asked(connection: Connection, run: str, decision: int) -> Question:
    """The question of that number. Raises BadInput if there is none."""
    question = _question(connection, run, decision)
    if question is None:
        raise unasked(run, decision, [number for (number,) in rows(connection, "waiting", run=run)])
    return question


def _question(connection: Connection, run: str, decision: int) -> Question | None:
    for asked, answer, answered_at, closed in rows(connection, "question", run=run, decision=decision):
        return Question(
            run=run,
            asked=cast(DecisionAsked, decode(asked)),
            said=tuple(_said(vote, at) for at, vote in _votes(connection, run, decision)),
            answer=None if answer is None else from_column(Answer, answer),
            answered="" if answered_at is None else moment(answered_at),
            closed=closed,
        )
    return None


def _votes(connection: Connection, run: str, decision: int) -> list[tuple[float, Vote]]:
    found = rows(connection, "votes_on", run=run, decision=decision)
    return [(at, from_column(Vote, stored)) for at, stored in found]


def _said(one: Vote, at: float) -> Said:
    return Said(choice=one.choice, by=one.by, reason=one.reason, shown=one.shown, when=moment(at))


def _settle(connection: Connection, run: str, decision: int, answer: Answer, now: float) -> None:
    row = {"run": run, "decision": decision, "answer": column(answer), "now": now}
    connection.execute(text("answer_question"), row)
