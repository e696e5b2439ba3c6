"""Books in memory, people who answer by script, and a shop whose runs are begun, killed, resumed and answered."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from drafts import draft, entry

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.decisions import Choice as Word
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import DecisionAsked, Fact, Stamped
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.policy import Notice, Policy
from orchestrator.domain.service import Control, State
from orchestrator.engine.book_ports import Lease, Tally, Vote
from orchestrator.engine.jobs import resuming, running
from orchestrator.engine.jobs.answering import decide
from orchestrator.engine.jobs.asking import People, Query
from orchestrator.engine.jobs.journey import Ending
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import Order

Ask = Callable[[Query], Awaitable[Vote | None]]
BEGAN_AT = 1_795_000_000.0
SHOP = draft(entry("sql", "db-01"), entry("orders", "app-01 app-02", "sql"))
UNITS = ("orders@app-01", "orders@app-02", "sql@db-01")
ALL_DOWN = dict.fromkeys(UNITS, "Stopped")
REFUSED = Problem(ProblemKind.REFUSED, "Zugriff verweigert", code=5)


def books(store: MemoryJournal) -> Books:
    """One store for all, with a clock that is the loop's: the one by which the twin stamps facts."""
    now_s = asyncio.get_running_loop().time
    return Books(journal=store, locks=store, decisions=store, snapshots=store, clock=lambda: BEGAN_AT + now_s())


class Told:
    """Implements `engine.ports.Notifier`: keeps what it was to send, with the loop's time. *wrong* is its answer."""

    def __init__(self, *, wrong: str = "", takes_s: float = 0.0) -> None:
        self.events: list[tuple[float, Mapping[str, Any]]] = []
        self._wrong = wrong
        self._takes_s = takes_s

    async def send(self, notice: Notice, event: Mapping[str, Any]) -> str:
        """See `Notifier.send`."""
        self.events.append((asyncio.get_running_loop().time(), event))
        await asyncio.sleep(self._takes_s)
        return self._wrong


class Deadly(MemoryJournal):
    """A store at whose write number *at* the controller dies, just before it or just after."""

    victim: "asyncio.Task[object]"

    def __init__(self, at: int, *, before: bool) -> None:
        super().__init__(began_at=BEGAN_AT)
        self._at = at
        self._before = before

    async def append(self, run: str, facts: Sequence[Fact], *, lease: Lease | None = None) -> Sequence[Stamped]:
        self._at -= 1
        if self._at == 0 and self._before:
            await self._die()
        written = await super().append(run, facts, lease=lease)
        if self._at == 0:
            await self._die()
        return written

    async def _die(self) -> None:
        self.victim.cancel()
        await asyncio.sleep(0)


@dataclass
class Shop:
    """A database and two hosts that need it, all running; each stop takes ten seconds, each start twenty.

    `run` and `resume` are processes of their own, by pid; the fleet and the store outlive them.
    """

    store: MemoryJournal = field(default_factory=lambda: MemoryJournal(began_at=BEGAN_AT))
    fleet: MemoryFleet = field(default_factory=MemoryFleet)
    told: Told = field(default_factory=Told)
    policy: Policy = Policy()
    processes: int = 0

    def __post_init__(self) -> None:
        self.fleet.add("db-01", MemoryService(name="sql", state=State.RUNNING, start_s=20.0, stop_s=10.0))
        for host in ("app-01", "app-02"):
            self.fleet.add(host, MemoryService(name="orders", state=State.RUNNING, start_s=20.0, stop_s=10.0))
        self.orders: asyncio.Queue[Order] = asyncio.Queue()

    @property
    def world(self) -> World:
        return World(hosts=MemoryHosts(self.fleet), probe=MemoryProbe(self.fleet), local=MemoryLocal())

    @property
    def states(self) -> dict[str, str]:
        """Unit -> where it is, of those that are not Running."""
        units = ((unit, self.fleet.service(*unit.split("@")).state) for unit in UNITS)
        return {unit: str(state) for unit, state in units if state is not State.RUNNING}

    def refuses(self, host: str = "app-01") -> None:
        """The orders of *host* refuse to be stopped, until they are `willing`."""
        self.fleet.service("orders", host).refuses[Control.STOP] = REFUSED

    def willing(self, host: str = "app-01") -> None:
        self.fleet.service("orders", host).refuses.clear()

    async def plan(self, action: Action = Action.STOP) -> Plan:
        live = await survey(questions(SHOP, Choice(), action), self.world.hosts)
        return replace(build(SHOP, Choice(), action, live), policy=self.policy)

    def header(self, run: str, *, of: str = "") -> Header:
        self.processes += 1
        return Header(run=run, requester="anna", controller="desk", command="orch stop", of=of, pid=self.processes)

    async def run(
        self,
        plan: Plan,
        run: str = "r1",
        *,
        patient: bool = False,
        of: str = "",
        through: Books | None = None,
        ask: Ask | None = None,
    ) -> Ending:
        return await running.run(
            plan,
            self.world,
            through or books(self.store),
            header=self.header(run, of=of),
            people=People(orders=self.orders.get, ask=ask, patient=patient),
            watch=lambda _: None,
            note=lambda _: None,
            notifier=self.told,
        )

    async def resume(
        self, run: str = "r1", *, patient: bool = False, accept_drift: bool = False, ask: Ask | None = None
    ) -> Ending:
        return await resuming.resume(
            run,
            self.world,
            books(self.store),
            header=replace(self.header(run), requester="ben"),
            people=People(orders=self.orders.get, ask=ask, patient=patient),
            watch=lambda _: None,
            note=lambda _: None,
            notifier=self.told,
            accept_drift=accept_drift,
        )

    async def says(self, choice: Word, *, by: str = "ben", after_s: float = 0.0, decision: int | None = None) -> Tally:
        await asyncio.sleep(after_s)
        return await decide("r1", decision, Vote(choice=choice, by=by), books(self.store))

    async def facts(self, run: str = "r1") -> Sequence[Stamped]:
        return await self.store.read(run)

    async def asked(self, run: str = "r1") -> list[DecisionAsked]:
        return [one.fact for one in await self.facts(run) if isinstance(one.fact, DecisionAsked)]

    async def last(self, run: str = "r1") -> Fact:
        return (await self.facts(run))[-1].fact
