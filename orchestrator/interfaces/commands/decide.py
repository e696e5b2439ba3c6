"""`orch decide`: answering a decision from anywhere that shares the state folder."""

import asyncio
import json as json_module
from collections.abc import Sequence
from pathlib import Path

from orchestrator import state_wiring
from orchestrator.domain.consequences import consequences
from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import BadInput, Declined
from orchestrator.domain.questions import newest
from orchestrator.engine.book_ports import OpenDecision, Tally, Vote
from orchestrator.engine.jobs import answering
from orchestrator.engine.jobs.asking import still_missing
from orchestrator.interfaces import decisions_view
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.commands.found import Found, find, look
from orchestrator.interfaces.commands.opening import to_write
from orchestrator.interfaces.commands.resume import GoOn, go_on
from orchestrator.interfaces.decision_words import listed
from orchestrator.interfaces.question_view import in_short, processes, understood
from orchestrator.interfaces.terminal import confirm, err, print_json, say
from orchestrator.interfaces.theme import below, safe


def decide(*, run: str, choice: str, decision: int | None, reason: str, resume: bool, going: GoOn) -> None:
    """Answer, after the consequence was shown; tell what comes of it. With *resume*, go on here if nobody else does."""
    state = state_wiring.state_folder(going.state_dir)
    with boundary(state):
        going.check("decide")
        found = asyncio.run(look(state, run))
        wanted = meant_by(choice, found.open, decision)
        answer(state, found, wanted, decision=decision, reason=reason, resume=resume, going=going)


def answer(
    state: Path, found: Found, choice: Choice, *, decision: int | None, reason: str, resume: bool, going: GoOn
) -> None:
    """The same, of a run that was looked up."""
    shown = _shown(found, choice, decision, going)
    held = None if resume or choice is not Choice.HOLD else _holds_already(found, decision)
    if held is not None:
        if going.json:
            print_json(_as_json(found, Tally(choice=None, votes=tuple(held.votes))))
        say(
            f"run {found.run} is parked, so it holds already: nothing was recorded, and decision {held.asked.decision} "
            f"can be answered any time\ntry: orch decisions {found.run}"
        )
        return
    vote = Vote(choice=choice, by=state_wiring.requester(), reason=reason, shown=shown)
    tally, found = asyncio.run(_vote(state, found.run, decision, vote))
    if going.json and not resume:
        print_json(_as_json(found, tally))
    if tally.choice is None:
        say(f"run {found.run}: {still_missing(tally.missing, choice)}\ntry: orch decisions {found.run}")
        return
    say(f"run {found.run}: {tally.choice} is decided{_by_all(tally)}")
    if found.alive and found.holding is not None:
        owner = found.holding.owner
        say(f"the process that carries it (of {owner.requester} on {owner.controller}) goes on at once")
        say(f"try: orch show {found.run}")
    elif not resume:
        say(f"nobody carries the run: it goes on when somebody resumes it\ntry: orch resume {found.run}")
    else:
        go_on(state, found, going)


def _holds_already(found: Found, decision: int | None) -> OpenDecision | None:
    """The decision that to hold would only close: of a parked run it waits, and no time is over that would answer it.

    Whoever says hold to one that has a timeout wants it to wait longer: that has to be recorded.
    """
    left = [one for one in found.open if one.settled is None]
    asked = next((one for one in left if decision in (None, one.asked.decision)), None)
    parked = found.holding is not None and found.holding.alive is None
    if asked is None or not parked or Choice.HOLD not in asked.asked.choices or (decision is None and len(left) > 1):
        return None
    endless = asked.asked.held or asked.approval.timeout_s is None
    return asked if endless else None


def meant_by(typed: str, found: Sequence[OpenDecision], decision: int | None) -> Choice:
    """The answer that a word, its letter or its beginning means, as in the run's own terminal, among those of the
    decision that it is for. Where that is none of *found*, it is any answer: the store says what is wrong then."""
    waiting = [one for one in found if one.settled is None and decision in (None, one.asked.decision)]
    asked = waiting[0] if len(waiting) == 1 else None
    choices = asked.asked.choices if asked else tuple(Choice)
    choice = understood(typed, choices)
    if choice is None:
        of = f" to decision {asked.asked.decision} of run {asked.run}" if asked else ""
        raise BadInput(f"{typed!r} is no answer{of}; nothing was decided", hint=f"choose {listed(choices)}")
    return choice


def _shown(found: Found, choice: Choice, decision: int | None, going: GoOn) -> str:
    """What the answer would do, shown to the person, who agrees; in words, for the record. Raises Declined."""
    left = [one for one in found.open if one.settled is None]
    asked = next((one for one in left if decision in (None, one.asked.decision)), None)
    if asked is None or choice not in asked.asked.choices or (decision is None and len(left) > 1):
        return ""  # the store refuses it, and says why
    err().print(decisions_view.heading(asked, found.now))
    shown = show_meant(found, choice, asked.asked.decision)
    if not going.yes and not confirm(f"{str(choice).capitalize()}?"):
        raise Declined("nothing was decided", hint=f"orch decisions {found.run} shows what each answer would do")
    return shown


def show_meant(found: Found, choice: Choice, decision: int) -> str:
    """Show on stderr what *choice* would do as things are: all units in their order. Returns it in short."""
    meant = next(one for one in consequences(found.state(), decision) if one.choice is choice)
    err().print(decisions_view.foretold(meant))
    units = found.timeline.decisions.all[decision].units
    killed = processes(units, found.ends()) if choice is Choice.KILL else ""
    if killed:
        err().print(below(safe(killed, "bold red")))
    return in_short(meant, choice, killed)


async def _vote(state: Path, run: str, decision: int | None, vote: Vote) -> tuple[Tally, Found]:
    async with to_write(state) as books:
        tally = await answering.decide(run, decision, vote, books)
        return tally, await find(books, run)


def _as_json(found: Found, tally: Tally) -> str:
    votes = decisions_view.votes_json(tally.votes)
    told = {"run": found.run, "choice": tally.choice, "missing": tally.missing, "carried": found.alive, "votes": votes}
    return json_module.dumps(told)


def _by_all(tally: Tally) -> str:
    people = [vote.by for vote in newest(tally.votes) if vote.choice is tally.choice]
    return f" by {', '.join(people)}" if len(people) > 1 else ""
