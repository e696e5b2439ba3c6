"""How an open decision gets its answer: from the run's own terminal, from anywhere else, or from the clock."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.decisions import Answer, Choice
from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.facts import DecisionAsked, DecisionGrew, Stamped
from orchestrator.domain.policy import Approval
from orchestrator.domain.questions import grown
from orchestrator.domain.runstate import RunState
from orchestrator.engine.book_ports import Vote
from orchestrator.engine.jobs.orders import CLOCK_LOOK_S
from orchestrator.engine.jobs.world import Books
from orchestrator.engine.ports import Order

SLEPT_S = 5.0
"""The clock is that much further than the loop's time: the machine slept. Less is a clock that was put right."""
SOON_S = 0.001
"""So little time left is none: it may be less than a clock can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the run's own terminal is asked: decision number *decision* of *state*, which goes on living meanwhile.

    `said` is what became of the vote that was given here before: refused and why, or how many more are needed.
    """

    decision: int
    state: RunState
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who this process can turn to.

    `orders` returns the next signal and may wait for ever. `ask` asks in the terminal: a vote, or None if none comes
    from there; it is cancelled when the answer comes from elsewhere, and asked one thing at a time (None: there is no
    terminal). `patient`: an open decision is waited for (a terminal, or `--wait`); else the run parks.
    """

    orders: Callable[[], Coroutine[Any, Any, Order]]
    ask: Callable[[Query], Awaitable[Vote | None]] | None = None
    patient: bool = False


class Asking:
    """The conductor's port `ask`. `hear` has to be told every fact of the run; *fail* of a store that fails.

    However an answer comes, the store has it first: there one wins, and the others learn who did.
    """

    def __init__(self, state: RunState, approval: Approval, requester: str, books: Books, people: People) -> None:
        self._state = state
        self._approval = approval
        self._requester = requester
        self._decisions = books.decisions
        self._people = people
        self._now_s = asyncio.get_running_loop().time
        self._clock = books.clock
        self._asked: dict[int, DecisionAsked] = {}
        self._since_s: dict[int, float] = {}
        self._asked_at: dict[int, float] = {}
        self._terminal = asyncio.Lock()
        self.fail: Callable[[OrchError], None] = lambda _: None
        self.delivered: Callable[[], None] = lambda: None

    def recall(self, facts: Iterable[Stamped], now: float) -> None:
        """Decisions that another process asked: they have waited since. *now* is UTC, seconds since 1970."""
        for stamped in facts:
            self._hear(stamped, max(0.0, now - stamped.at))

    def hear(self, stamped: Stamped) -> None:
        """A fact went on record just now."""
        self._hear(stamped, 0.0)

    def _hear(self, stamped: Stamped, ago_s: float) -> None:
        match stamped.fact:
            case DecisionAsked() as asked:
                self._asked[asked.decision] = asked
                self._since_s[asked.decision] = self._now_s() - ago_s
                self._asked_at[asked.decision] = stamped.at
            case DecisionGrew() as more:
                self._asked[more.decision] = grown(self._asked[more.decision], more)

    async def due(self, decisions: Iterable[int]) -> bool:
        """Whether one of *decisions*, all of them open, needs no more waiting. Raises OrchError."""
        for decision in decisions:
            if self._left_s(decision) <= 0 or await self._decisions.settled(self._state.run, decision) is not None:
                return True
        return False

    async def ask(self, decision: int) -> Answer:
        """The answer that counts, and how long it took. May wait for ever."""
        coming: Sequence[Coroutine[Any, Any, Answer | None]] = (
            self._from_anywhere(decision),
            self._from_the_terminal(decision),
            self._from_the_clock(decision),
        )
        tasks = [asyncio.create_task(self._or_fail(one)) for one in coming]
        try:
            for ended in asyncio.as_completed(tasks):
                answer = await ended
                if answer is not None:
                    self.delivered()
                    return replace(answer, waited_s=self.waited_s(decision))
            raise AssertionError("answers from anywhere are waited for until one comes")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _or_fail(self, coming: Coroutine[Any, Any, Answer | None]) -> Answer | None:
        """What comes; if the store fails, the run is told, and no answer comes from here any more."""
        try:
            return await coming
        except OrchError as error:
            self.fail(error)
            await asyncio.get_running_loop().create_future()
            raise

    async def _from_anywhere(self, decision: int) -> Answer | None:
        while True:
            answer = await self._decisions.settled(self._state.run, decision)
            if answer is not None:
                return answer
            await self._decisions.changed(self._state.run)

    async def _from_the_terminal(self, decision: int) -> Answer | None:
        if self._people.ask is None or self._state.held:
            return None  # the run is about to park: nothing is asked here before somebody resumes it
        said = ""
        async with self._terminal:
            if await self.due([decision]):
                return None  # it is settled, or its time is over: not worth a question
            while True:
                vote = await self._people.ask(Query(decision=decision, state=self._state, said=said))
                if vote is None:
                    return None
                try:
                    tally = await self._decisions.vote(self._state.run, decision, vote, self._approval, self._requester)
                except BadInput as error:
                    said = f"{error}\n{error.hint}" if error.hint else str(error)
                else:
                    if tally.choice is not None:
                        return await self._decisions.settled(self._state.run, decision)
                    said = still_missing(tally.missing, vote.choice)

    async def _from_the_clock(self, decision: int) -> Answer | None:
        if self._left_s(decision) == math.inf:
            return None
        while True:
            left_s = self._left_s(decision)
            if left_s <= SOON_S:
                break
            await asyncio.sleep(min(left_s, CLOCK_LOOK_S))
        choice = on_timeout(self._approval, self._asked[decision].choices)
        return await self._decisions.settle_by_timeout(self._state.run, decision, choice)

    def asked(self, decision: int) -> DecisionAsked:
        """What stands open, with all that joined it."""
        return self._asked[decision]

    def waited_s(self, decision: int) -> float:
        """How long it has been open. The loop's time stands still while a machine sleeps, and the clock may be set
        back: what says more counts."""
        by_loop_s = self._now_s() - self._since_s[decision]
        by_clock_s = self._clock() - self._asked_at[decision]
        return by_clock_s if by_clock_s > by_loop_s + SLEPT_S else by_loop_s

    def _left_s(self, decision: int) -> float:
        """How long the decision may still wait; endless without a timeout, and for what was held once."""
        timeout_s = self._approval.timeout_s
        if timeout_s is None or self._asked[decision].held:
            return math.inf
        return timeout_s - self.waited_s(decision)


def on_timeout(approval: Approval, choices: Collection[Choice]) -> Choice:
    """What a decision with these *choices* becomes when its time is over: hold, where the policy's wish is none."""
    wanted = Choice(approval.on_timeout.value)
    return wanted if wanted in choices else Choice.HOLD


def still_missing(missing: int, choice: Choice) -> str:
    """What a vote did that was not the last that is needed."""
    return f"noted; {missing} more {'person has' if missing == 1 else 'people have'} to say {choice} before it counts"
