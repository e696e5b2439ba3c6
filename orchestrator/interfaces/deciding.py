"""A decision, asked in the terminal that began or resumed the run.

A word or a letter, a reason, and for what moves or leaves out much a preview and a yes. What somebody else answers
meanwhile takes the question away, and is said.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from orchestrator.domain.consequences import Consequence, consequences
from orchestrator.domain.decision_log import DecisionLog
from orchestrator.domain.decisions import LEAVES_ALL, Choice
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    RunBegan,
    Stamped,
    StepEnded,
)
from orchestrator.domain.preview import preview
from orchestrator.domain.results import Outcome, Result
from orchestrator.domain.runstate import RunState
from orchestrator.domain.survey import Survey
from orchestrator.domain.way_back import rollback_plan, way_back
from orchestrator.engine.book_ports import Vote
from orchestrator.engine.jobs.asking import Query
from orchestrator.interfaces import preview_view
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.decision_words import answered, listed
from orchestrator.interfaces.question_view import LETTERS, Asked, in_short, named, processes, question, understood
from orchestrator.interfaces.terminal import err, say
from orchestrator.interfaces.theme import plural

CONFIRMED = {Choice.ROLLBACK: "Roll back?", Choice.EXCLUDE: "Go on without these hosts?", Choice.KILL: "Kill?"}
"""Answers that are shown whole, and asked for once more, before they are given."""

SETTLE_S = 3.0
"""How long an answer may take to go on record before the next question is asked all the same."""


class Decider:
    """Asks for decisions through *asker*; *by* is who sits there. `hear` has to be told every fact of the run,
    those from before this process took it over among them.

    *gone* is called once, when the input has ended: there is no terminal any more.
    """

    def __init__(self, asker: Asker, by: str, gone: Callable[[], None]) -> None:
        self._asker = asker
        self._by = by
        self._gone = gone
        self._log = DecisionLog()
        self._began: RunBegan | None = None
        self._ends: dict[str, Result] = {}
        self._asking = 0
        self._grown = False
        """What was shown last of the question in the terminal is not all of it any more."""
        self._shown: set[int] = set()
        self._ended = False
        self._voted = 0
        self._settled = asyncio.Event()

    def hear(self, stamped: Stamped) -> None:
        """Take one fact in; say what it means for the question that stands in the terminal."""
        match stamped.fact:
            case RunBegan() as fact:
                self._began = fact
            case StepEnded(result=result) if result.outcome is not Outcome.OK:
                self._ends[result.step.unit] = result
            case DecisionAsked() as fact:
                one = self._log.asked(fact, stamped.at, stamped.elapsed_s)
                self._aside(f"decision {fact.decision} waits too: {clean(one.headline)}" if one.open else "")
            case DecisionGrew(decision=number, units=units) as fact:
                self._log.grew(fact)
                if number == self._asking:
                    self._grown = True
                    self._aside(
                        f"{plural(len(units), 'unit')} more for the same reason: {named(units)}; Enter: show it anew"
                    )
            case DecisionAnswered() as fact:
                self._log.answered(fact, stamped.at)
                self._tell(fact.decision, (self._by,) == fact.answer.approvals)
            case DecisionWithdrawn() as fact:
                self._log.withdrawn(fact, stamped.at)
                self._tell(fact.decision, mine=False)

    def _aside(self, text: str) -> None:
        """Something to know while a question stands there; "" if there is nothing."""
        if self._asking and text:
            say(f"\n{text}")
            self._asker.again()

    def _tell(self, number: int, mine: bool) -> None:
        """What became of a question that stood in this terminal and was answered by others."""
        self._settled.set()
        if number in self._shown and not mine:
            say(("\n" if number == self._asking else "") + f"decision {number}: {answered(self._log.all[number])}")

    async def ask(self, query: Query) -> Vote | None:
        """`People.ask`: what is answered here; None once the input has ended, or the run parks. May be cancelled."""
        async with self._asker.turn():
            await self._until_settled()
            if self._ended or query.state.held:
                return None
            self._asking, self._grown = query.decision, False
            self._shown.add(query.decision)
            try:
                vote = await self._answer(query)
                self._voted = query.decision
                self._settled.clear()
                return vote
            except EOFError:
                self._ended = True
                say(f"the input has ended: nobody is asked here any more; orch decide {query.state.run} CHOICE answers")
                self._gone()
                return None
            finally:
                self._asking = 0

    async def _until_settled(self) -> None:
        """The answer that was given here last may take other questions away: they are not asked before that is seen."""
        last = self._log.all.get(self._voted)
        if last is not None and last.open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), SETTLE_S)

    async def _answer(self, query: Query) -> Vote:
        if query.said:
            say(query.said)
        else:
            await self._show(query)
        first = True
        told: Choice | None = None
        while True:
            choices = self._log.all[query.decision].choices
            letters = "/".join(letter for letter, choice in LETTERS.items() if choice in choices)
            prompt = f"decision {query.decision}, your answer [{letters}; Enter: show it again]: "
            typed, first = await self._line(prompt, first=first), False
            choice = understood(typed, choices)
            if not typed.strip():
                await self._show(query)
            elif choice is None:
                say(f"{typed.strip()!r} is none of {listed(choices)}")
            else:
                vote = None if self._is_stale(choice, told) else await self._vote(query, choice)
                if self._is_stale(choice, told):
                    told = choice
                    await self._refresh(query)
                elif vote is not None:
                    return vote

    def _is_stale(self, choice: Choice, told: Choice | None) -> bool:
        """Whether *choice* is about the units of the question, others have joined them since they were shown, and
        nobody was *told* so when the same was said before."""
        return self._grown and choice is not told and choice not in (Choice.ROLLBACK, *LEAVES_ALL)

    async def _refresh(self, query: Query) -> None:
        """Show what it is that is answered. Who says the same then is taken at their word, whoever joins meanwhile."""
        units = plural(len(self._log.all[query.decision].units), "unit")
        say(f"nothing was answered: it is about {units} by now; here it is as it stands, answer again")
        await self._show(query)

    async def _vote(self, query: Query, choice: Choice) -> Vote | None:
        """The vote for *choice*; None if the person thought better of it."""
        one = (await self._foreseen(query)).get(choice)
        if choice is Choice.ROLLBACK:
            self._preview(query)
        elif one is not None and choice in CONFIRMED:
            say(f"{one.said}: {', '.join(one.units)}")
        killed = processes(self._log.all[query.decision].units, self._ends) if choice is Choice.KILL else ""
        if killed:
            say(killed)
        reason = await self._line("why, for the record (may be empty): ")
        if choice in CONFIRMED:
            sure = await self._line(f"{CONFIRMED[choice]} [y/N] ")
            if sure.strip().lower() not in ("y", "yes"):
                say("nothing was answered")
                return None
        return Vote(choice=choice, by=self._by, reason=reason.strip(), shown=in_short(one, choice, killed))

    async def _line(self, prompt: str, *, first: bool = False) -> str:
        """Raises EOFError at the end of input."""
        line = await self._asker.line(prompt, first=first)
        if line is None:
            raise EOFError
        return line

    async def _show(self, query: Query) -> None:
        began = self._began
        assert began is not None
        self._grown = False
        asked = Asked(
            question=self._log.all[query.decision],
            foreseen=tuple((await self._foreseen(query)).values()),
            ends=self._ends,
            approval=began.plan.policy.approval,
            requester=began.requester,
            behind=len(self._log.open) - 1,
            run=began.run,
            halted="cancel was ordered" if query.state.cancelled else "",
        )
        with suppress(OSError):  # nobody may look
            err().print(question(asked))

    async def _foreseen(self, query: Query) -> dict[Choice, Consequence]:
        """What would follow from each answer now. Large plans take seconds: the run goes on meanwhile."""
        twin = RunState.load(query.state.plan, query.state.dump())
        if query.decision not in twin.open:
            return {}  # answered in this moment
        return {one.choice: one for one in await asyncio.to_thread(consequences, twin, query.decision)}

    def _preview(self, query: Query) -> None:
        """The way back as it would be gone now, unit by unit."""
        state = query.state
        touched = {unit: state.touch(unit, state.whereabouts(unit)) for unit in state.touched}
        way = way_back(state.plan, touched, accept_drift=False)
        plan = rollback_plan(state.plan, way, touched)
        asks_no_more = replace(preview(plan), approval=None)  # the run was approved as a whole
        preview_view.show(asks_no_more, Survey({}), json=False, to_person=True)
