"""What anybody who shares the state folder may say to a run: an answer, or that it shall be cancelled."""

from collections.abc import Sequence

from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import DecisionAsked, RunBegan
from orchestrator.engine.book_ports import Holding, OpenDecision, Tally, Vote
from orchestrator.engine.jobs.asking import on_timeout
from orchestrator.engine.jobs.world import Books
from orchestrator.engine.ports import Order


async def decide(run: str, decision: int | None, vote: Vote, books: Books) -> Tally:
    """Say *vote* to *decision* of *run*; to the one that waits, if the number is left out.

    A timeout that has passed takes effect first, but for one to hold. The process that holds the run goes on at once; a
    parked run goes on when it is resumed.

    Raises:
        BadInput: there is no such run or decision, several wait and none is named, or the store refuses: the message
            names who answered before, with what, when and why, or why this person may not answer.
        OrchError: the store can't be read or written.
    """
    for one in await _waiting(run, books):
        await _expire(one, books)
    waiting = await _waiting(run, books)
    chosen = next((one for one in waiting if one.asked.decision == decision), None)
    if decision is None:
        chosen = _only(run, waiting)
    if chosen is not None:
        return await books.decisions.vote(run, chosen.asked.decision, vote, chosen.approval, chosen.requester)
    began, last = await _asked_last(run, books)
    number = last if decision is None else decision
    if number is None:
        raise BadInput(f"run {run} asks nothing", hint=f"`orch show {run}` tells where it stands")
    return await books.decisions.vote(run, number, vote, began.plan.policy.approval, began.requester)


async def cancel(run: str, books: Books, *, by: str) -> Holding | None:
    """Leave the order to cancel for *run*, as its first Ctrl-C would. Returns who holds it now: a living process takes
    the order up within a second, a parked run when it is resumed; None if it ended in this moment.

    Raises BadInput if it has ended, or there is none.
    """
    await books.decisions.order(run, Order.CANCEL, by)
    return next((held for held in await books.locks.holdings() if held.run == run), None)


async def _waiting(run: str, books: Books) -> Sequence[OpenDecision]:
    return [one for one in await books.decisions.open() if one.run == run]


async def _expire(one: OpenDecision, books: Books) -> None:
    """Nobody's clock ran while the run was parked. To hold would only ask the same again: who comes is heard."""
    timeout_s = None if one.asked.held else one.approval.timeout_s
    choice = on_timeout(one.approval, one.asked.choices)
    if choice is Choice.HOLD or timeout_s is None or one.settled is not None:
        return
    if books.clock() - one.asked_at >= timeout_s:
        await books.decisions.settle_by_timeout(one.run, one.asked.decision, choice)


def _only(run: str, waiting: Sequence[OpenDecision]) -> OpenDecision | None:
    """The decision that is meant without a number: the one that waits, or else the one that was answered last."""
    left = [one for one in waiting if one.settled is None]
    if len(left) > 1:
        lines = "\n".join(f"  {one.asked.decision}: {one.asked.cause.said}" for one in left)
        raise BadInput(
            f"run {run} waits for {len(left)} decisions:\n{lines}",
            hint=f"say which: `orch decide {run} CHOICE --decision {left[0].asked.decision}`",
        )
    return left[0] if left else waiting[-1] if waiting else None


async def _asked_last(run: str, books: Books) -> tuple[RunBegan, int | None]:
    """How *run* began, and the number of its last decision. Raises BadInput if there is no such run."""
    facts = [stamped.fact for stamped in await books.journal.read(run)]
    if not facts or not isinstance(facts[0], RunBegan):
        raise BadInput(f"there is no run {run}", hint="`orch runs` lists them all")
    asked = [fact.decision for fact in facts if isinstance(fact, DecisionAsked)]
    return facts[0], asked[-1] if asked else None
