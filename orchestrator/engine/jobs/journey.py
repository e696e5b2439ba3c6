"""One process's part of a run: the conductor between books, hosts and people, until the run has ended or is parked."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionWithdrawn,
    Fact,
    RollbackBegan,
    RunBegan,
    RunEnded,
    RunParked,
    RunResumed,
    Stamped,
    StepEnded,
)
from orchestrator.domain.leaving import leaving
from orchestrator.domain.notices import OfRun, decision_event, end_event
from orchestrator.domain.parts import may_be_out
from orchestrator.domain.results import Outcome, Phase
from orchestrator.domain.runstate import RunState
from orchestrator.domain.window import closes_at
from orchestrator.engine.book_ports import Lease
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.jobs.asking import Asking, People
from orchestrator.engine.jobs.guarding import GuardedHosts, GuardedLocal, GuardedProbe
from orchestrator.engine.jobs.holding import Held
from orchestrator.engine.jobs.notifying import Notices, previewed
from orchestrator.engine.jobs.orders import Inbox
from orchestrator.engine.jobs.world import Books, World
from orchestrator.engine.ports import ConductorPorts, NoteTaker, Notifier, Order
from orchestrator.engine.work.counting import Doubts
from orchestrator.engine.work.work import Work

EXIT_PARKED = 6
Watch = Callable[[Stamped], None]
"""Hears every fact, once it is on disk. Must return at once and never raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Where a process left its run: `ended`, or (None) parked, with the open decisions `waiting`.

    `head` is that of the run's last fact. `unsent` says why notices could not be handed over.
    """

    run: str
    ended: RunEnded | None
    waiting: tuple[int, ...] = ()
    head: str = ""
    unsent: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The process's."""
        return EXIT_PARKED if self.ended is None else self.ended.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who hears of a run as it goes: `watch` of facts, `note` of what is for the eyes only, `notifier` of what people
    are told who are not here."""

    watch: Watch
    note: NoteTaker
    notifier: Notifier


class Journey:
    """What *began* began, held by *lease*. `begin` it, or `go_on` with it."""

    def __init__(
        self, began: RunBegan, world: World, books: Books, lease: Lease, people: People, audience: Audience
    ) -> None:
        plan = began.plan
        self._began = began
        self._began_at = books.clock()
        self._told: frozenset[int] = frozenset()
        self._failing: dict[str, str] = {}
        self._out: dict[str, str] = {}
        self._books = books
        self._people = people
        self._state = RunState.begin(plan)
        self._inbox = Inbox(began.run, books)
        self._held = Held(lease, books, lost=lambda: self._inbox.put(Order.CANCEL))
        self._asking = Asking(self._state, plan.policy.approval, began.requester, books, people)
        self._inbox.fail = self._asking.fail = self._held.fail
        self._notices = Notices(plan.policy.notify, audience.notifier)
        hosts = GuardedHosts(world.hosts, self._held)
        probe, local = GuardedProbe(world.probe, self._held), GuardedLocal(world.local, self._held)
        self._work = Work(
            plan,
            hosts,
            probe,
            local,
            audience.note,
            run=began.run,
            clock=books.clock,
            doubts=Doubts(self._out, self._state.in_vain),
        )
        self._watch = audience.watch
        self._of = OfRun(
            run=began.run,
            plan=plan.name,
            action=str(plan.action),
            requester=began.requester,
            controller=began.controller,
        )

    async def begin(self) -> Ending:
        """From the first fact on. Where that can't be written, what was locked is free again."""
        try:
            return await self._travel(self._began)
        except OrchError:
            if not self._held.head:
                with suppress(OrchError):
                    await self._books.locks.release(self._held.lease)
            raise

    async def go_on(self, facts: Sequence[Stamped], resumed: RunResumed) -> Ending:
        """From where *facts*, all that there are, have left it."""
        now = self._books.clock()
        for stamped in facts:
            self._state.apply(stamped.fact)
            self._fail(stamped.fact)
            if isinstance(stamped.fact, RollbackBegan):
                self._work.learn(stamped.fact.stages)
        self._work.recall(leaving(self._began.plan, (stamped.fact for stamped in facts)))
        self._told = _told(facts)
        self._asking.recall(facts, now)
        self._inbox.recall(facts)
        self._began_at = facts[0].at
        return await self._travel(resumed, *await self._inbox.missed(self._closes_at()))

    def _closes_at(self) -> float | None:
        """When the window of this run closes; None: it has none."""
        window = self._began.plan.policy.window
        return closes_at(window, self._began_at) if window else None

    async def _travel(self, *first: Fact) -> Ending:
        async with self._notices.sending():
            await self._append(first)
            for fact in first:
                self._state.apply(fact)
            for decision in self._state.asking:
                told = decision in self._told or await self._asking.due([decision])
                self._notices.waits(decision, partial(self._waits, decision), told=told)
            async with self._held.beating(), self._inbox.listening(self._people.orders, self._closes_at()):
                await self._conduct()
                ended = await self._close()
            with suppress(OrchError):  # the last fact did the same: what goes wrong now undoes nothing
                if ended is None:
                    await self._books.locks.park(self._held.lease)
                else:
                    await self._books.locks.release(self._held.lease)
            if ended is not None:
                self._notices.ended(self._end(ended))
        return Ending(
            run=self._began.run,
            ended=ended,
            waiting=tuple(self._state.asking),
            head=self._held.head,
            unsent=self._notices.unsent,
        )

    async def _conduct(self) -> None:
        """Conduct until nothing is left to do here. Who is not patient still takes the answers that are there."""
        state, patient = self._state, self._people.patient
        while True:
            due = not patient and await self._due()
            if due:
                self._asking.delivered = lambda: self._inbox.put(Order.PARK)
            ports = ConductorPorts(
                run=self._work.run,
                append=self._append,
                orders=self._inbox.next,
                ask=self._asking.ask,
                patient=patient or due,
            )
            await conduct(self._began.plan, state, ports)
            if patient or state.finished or state.held or not await self._due():
                return

    async def _due(self) -> bool:
        try:
            return await self._asking.due(self._state.asking)
        except OrchError as error:
            self._held.fail(error)
            raise

    async def _close(self) -> RunEnded | None:
        if not self._state.finished:
            await self._append([RunParked(decisions=tuple(self._state.asking))])
            return None
        ended = self._state.verdict()
        await self._append([ended])
        return ended

    async def _append(self, facts: Sequence[Fact]) -> None:
        """The conductor's port `append`, and ours: facts on disk first, then to whoever has to hear of them."""
        for stamped in await self._held.append(facts):
            self._hear(stamped)
            self._watch(stamped)

    def _hear(self, stamped: Stamped) -> None:
        self._asking.hear(stamped)
        self._fail(stamped.fact)
        match stamped.fact:
            case DecisionAsked(decision=decision):
                self._notices.waits(decision, partial(self._waits, decision))
            case RollbackBegan(stages=stages):
                self._work.learn(stages)
            case DecisionAnswered(decision=decision) | DecisionWithdrawn(decision=decision):
                self._notices.settled(decision)

    def _fail(self, fact: Fact) -> None:
        """What units that ended badly said, the first one first, until they do what they did not; and of those who may
        be out of use."""
        if isinstance(fact, StepEnded) and fact.result.step.phase is not Phase.LOOK:
            result = fact.result
            if result.outcome is not Outcome.OK:
                self._failing[result.step.unit] = result.said
                if may_be_out(result.step) and not self._state.stages[result.step.stage].checks:
                    self._out[result.step.unit] = result.said
            elif result.step.phase not in (Phase.READ, Phase.UNDO, Phase.RELEASE):
                self._failing.pop(result.step.unit, None)
                self._out.pop(result.step.unit, None)

    def _end(self, ended: RunEnded) -> Mapping[str, Any]:
        """What is told of the end."""
        took_s = self._books.clock() - self._began_at
        return end_event(
            self._of,
            ended,
            took_s=took_s,
            head=self._held.head,
            command=f"orch show {self._of.run}",
            failed=next(iter(self._failing.values()), "") if ended.exit_code else "",
        )

    def _waits(self, decision: int) -> Mapping[str, Any]:
        """What is told of a decision that waits."""
        asked, waited_s = self._asking.asked(decision), self._asking.waited_s(decision)
        preview = previewed(self._state, decision)
        return decision_event(self._of, asked, self._began.plan.policy.approval, waited_s=waited_s, preview=preview)


def _told(facts: Sequence[Stamped]) -> frozenset[int]:
    """The decisions that people were told of before: who parks has told of all; who died may have told of none."""
    parked = [stamped.fact.decisions for stamped in facts if isinstance(stamped.fact, RunParked)]
    return frozenset(chain.from_iterable(parked))
