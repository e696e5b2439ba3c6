"""Golden files: a journal, a saved plan and one line for every shape of every fact, as this version writes them.

Run as a program it makes them, once, in a folder that is not there yet; see tests/data/golden/README.md.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from itertools import count
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from bookkeeping import Told
from drafts import draft, entry

from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.domain.decisions import Choice as Word
from orchestrator.domain.draft import Draft
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.fact_codec import FACT_KINDS, encode
from orchestrator.domain.facts import MadeFrom
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.observed import observed
from orchestrator.domain.policy import Approval, Do, Notice, Policy, Rule, Window
from orchestrator.domain.saved_plan import SavedPlan, write
from orchestrator.domain.service import Control, State
from orchestrator.engine.book_ports import Snapshot, Vote
from orchestrator.engine.jobs import resuming, running
from orchestrator.engine.jobs.answering import decide
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.surveying import survey
from orchestrator.engine.jobs.world import Books, Header, World
from orchestrator.engine.ports import Order

GOLDEN = Path(__file__).parent / "data" / "golden"
BACK, PARKED = "20261121-0213-k7q2", "20261121-0305-m4xa"
"""Two runs of the journal: one that failed, asked, was answered and went back, and one that waits for an answer."""
SHOP: Draft = draft(entry("sql", "db-01"), entry("orders", "app-01 app-02", "sql"))
MADE_FROM = MadeFrom(playbook="/srv/orch/playbooks/shop.yaml", inventories=("/srv/orch/inventory/hosts.yaml",))
BEGAN_AT = datetime(2026, 11, 21, 2, 13, tzinfo=UTC).timestamp()
ALL_UP = dict.fromkeys(("sql@db-01", "orders@app-01", "orders@app-02"), State.RUNNING)
REFUSED = Problem(ProblemKind.REFUSED, "Zugriff verweigert", code=5)


def shop(states: Mapping[str, State]) -> MemoryFleet:
    """The hosts of SHOP; *states* are by unit. The first of the two that need the database refuses to be stopped."""
    fleet = MemoryFleet()
    for unit, state in states.items():
        service, _, host = unit.partition("@")
        fleet.add(host, MemoryService(name=service, state=state, start_s=0.05, stop_s=0.05))
    fleet.service("orders", "app-01").refuses[Control.STOP] = REFUSED
    return fleet


def world(fleet: MemoryFleet) -> World:
    """The way to *fleet*."""
    return World(hosts=MemoryHosts(fleet), probe=MemoryProbe(fleet), local=MemoryLocal())


def books(store: SqliteJournal, clock: Any) -> Books:
    """All of them in one file."""
    return Books(journal=store, locks=store, decisions=store, snapshots=store, clock=clock)


def header(run: str, requester: str, command: str) -> Header:
    """A process of nobody's machine."""
    return Header(run=run, requester=requester, controller="ctl-01", command=command, made_from=MADE_FROM, pid=4711)


def alone() -> dict[str, Any]:
    """What a use case needs where nobody sits, watches or is told."""
    orders: asyncio.Queue[Order] = asyncio.Queue()
    return {
        "people": People(orders=orders.get),
        "watch": lambda _: None,
        "note": lambda _: None,
        "notifier": Told(),
    }


async def planned(fleet: MemoryFleet, action: Action, policy: Policy) -> Plan:
    """What would be done to the shop as it is."""
    live = await survey(questions(SHOP, Choice(), action), world(fleet).hosts)
    return replace(build(SHOP, Choice(), action, live), policy=policy, poll_s=0.1)


class Nights:
    """Makes the journal."""

    def __init__(self, folder: Path) -> None:
        self._began_s = time.monotonic()
        self._later_s = 0.0
        self._store = SqliteJournal(folder, wall=self._clock, process=lambda owner: None)
        self._books = books(self._store, self._clock)
        self._fleet = shop(ALL_UP)
        self._rest = alone()

    def _clock(self) -> float:
        return BEGAN_AT + time.monotonic() - self._began_s + self._later_s

    async def make(self) -> None:
        """A snapshot; a run that goes back; one that is left parked and half approved."""
        await self._snapshot("before-patch")
        await self._stop(BACK, Policy())
        self._later_s += 600.0
        vote = Vote(choice=Word.ROLLBACK, by="bob@ops", reason="app-01 is not ours tonight", shown="puts 1 unit back")
        await decide(BACK, 1, vote, self._books)
        head = header(BACK, "bob@ops", f"orch decide {BACK} rollback --resume --yes")
        ended = await resuming.resume(BACK, world(self._fleet), self._books, header=head, **self._rest)
        assert ended.exit_code == 3
        self._later_s += 2520.0
        await self._stop(PARKED, Policy(approval=Approval(approvers=("bob@ops", "eve@ops"), min_approvals=2)))
        await decide(PARKED, 1, Vote(choice=Word.ROLLBACK, by="bob@ops", reason="again", shown=""), self._books)
        await self._store.aclose()

    async def _stop(self, run: str, policy: Policy) -> None:
        plan = await planned(self._fleet, Action.STOP, policy)
        head = header(run, "ada@ops", "orch stop --plan playbooks/shop.yaml --yes")
        ended = await running.run(plan, world(self._fleet), self._books, header=head, **self._rest)
        assert ended.exit_code == 6

    async def _snapshot(self, tag: str) -> None:
        live = await survey(questions(SHOP, Choice(), Action.STOP), world(self._fleet).hosts)
        units, _ = observed(SHOP, live)
        await self._store.save(
            Snapshot(tag=tag, at=self._clock(), by="ada@ops", name="shop", made_from=MADE_FROM, units=units)
        )


async def saved() -> SavedPlan:
    """A plan in a file, with a policy of every kind."""
    policy = Policy(
        on_failure=Do.ASK,
        rules=(Rule(do=Do.RETRY, kinds=(ProblemKind.UNREACHABLE,), services=("orders",), count=3),),
        max_failures=1,
        zones=(("north", ("app-01", "db-01")),),
        window=Window(until="05:00", tz="Europe/Berlin"),
        notify=(Notice(url="json://mail.example.net/orch", remind_s=900.0),),
    )
    return SavedPlan(
        plan=await planned(shop(ALL_UP), Action.RESTART, policy),
        made_from=MADE_FROM,
        of="",
        command="orch restart --plan playbooks/shop.yaml --save restart.orchplan",
        saved_by="ada@ops",
        saved_at=BEGAN_AT,
        allow=("DNS",),
    )


# --- one of each -----------------------------------------------------------------------------------------------------


class Examples:
    """Facts of which every field says something, and which in the end have had every member of every enum, every class
    of every union, and both a value and none where that may be."""

    def __init__(self) -> None:
        self._turns: dict[Any, Iterator[int]] = {}

    def of(self, made: Any, name: str = "") -> Any:
        """The next value of an annotation; *name* is the field's."""
        if made is NoneType:
            return None
        if made in (str, int, float, bool):
            return {str: f"{name} \u00fc", int: 7, float: 2.5, bool: True}[made]
        origin, args = get_origin(made), get_args(made)
        if origin in (Union, UnionType):
            return self.of(self._next(made, args), name)
        if origin is tuple:
            return tuple(self.of(arg, name) for arg in args if arg is not ...)
        if origin is dict:
            return {name: self.of(args[1], name)}
        if issubclass(made, Enum):
            return self._next(made, tuple(made))
        hints = get_type_hints(made)
        return made(**{field.name: self.of(hints[field.name], field.name) for field in fields(made)})

    def _next(self, made: Any, members: tuple[Any, ...]) -> Any:
        return members[next(self._turns.setdefault(made, count())) % len(members)]


def parts(value: Any) -> Iterator[Any]:
    """What there is to be had in a fact: its classes, and the members of enums."""
    if isinstance(value, Enum):
        yield value
    elif is_dataclass(value):
        yield type(value)
        for field in fields(value):
            yield from parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for one in value:
            yield from parts(one)


def possible(made: Any) -> Iterator[Any]:
    """The same, of all facts of a type."""
    if get_origin(made) is not None:
        for arg in get_args(made):
            yield from possible(arg)
    elif isinstance(made, type) and issubclass(made, Enum):
        yield from made
    elif is_dataclass(made):
        yield made
        for hint in get_type_hints(made).values():
            yield from possible(hint)


def lines() -> Iterator[str]:
    """Facts as they are written: of each kind one, and more until all that it may have was there."""
    examples, seen = Examples(), set[Any]()
    for made in FACT_KINDS.values():
        first = True
        while first or set(possible(made)) - seen:
            first, fact = False, examples.of(made)
            seen.update(parts(fact))
            yield encode(fact)


async def written(folder: Path) -> None:
    """All files, into *folder*."""
    await Nights(folder).make()
    heads = {one.run: one.head for one in await SqliteJournal(folder).verify()}
    for name, text in (
        ("restart.orchplan", write(await saved())),
        ("facts.jsonl", "".join(f"{line}\n" for line in lines())),
        ("heads.json", json.dumps(heads, indent=1) + "\n"),
    ):
        (folder / name).write_text(text, encoding="ascii")


def main(folder: Path) -> None:
    """Raises FileExistsError: a golden file is never written again."""
    folder.mkdir()
    asyncio.run(written(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
