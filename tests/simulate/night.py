"""One night, played: a script's fleet, the processes of orch that work on it, and the people around them."""

import asyncio
import traceback
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

from adversary import Adversary
from beside import NightLocal
from people import Reply, replies
from seeds import PEOPLE, Script
from store import RUN, Door, NightStore
from virtual_time import VirtualTimeLoop
from witness import Entry, Log, Process, WatchedHosts, WatchedProbe

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import DecisionAnswered, DecisionAsked, DecisionWithdrawn, Fact, RunEnded, RunParked
from orchestrator.domain.life import Reboot
from orchestrator.engine.book_ports import Vote
from orchestrator.engine.jobs.answering import cancel, decide
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.going_back import plan_rollback
from orchestrator.engine.jobs.journey import Ending
from orchestrator.engine.jobs.resuming import close, resume
from orchestrator.engine.jobs.running import run
from orchestrator.engine.jobs.world import Header, World
from orchestrator.engine.ports import Order

LIVES = 25
"""How many processes carry one run at most; past that somebody would have to look into it."""
LONGEST_S = 20_000.0
TURNS = 60_000
"""Turns of the loop: a long night takes a few thousand."""
RIVAL = "ben"
RIVALS = 5
HANGS_UP_S = 4.0
UNDO = "undo"


class Night:
    """Plays one script to its end."""

    def __init__(self, script: Script, log: Log) -> None:
        self.script = script
        self.log = log
        world = Adversary(script, self.log)
        self.fleet, self.beside = world.fleet, world.beside
        self.store = NightStore(script, self.log, self._hear)
        self._loop = asyncio.get_running_loop()
        self._began = self._ended = self._undoing = False
        self._beside: set[asyncio.Future[Any]] = set()
        self._rivals = 0
        self._closed: set[tuple[str, int]] = set()
        self._too_late: Counter[tuple[str, int]] = Counter()
        """How often somebody came too late to each decision: two are enough."""

    async def play(self) -> None:
        """Until the run ended, or nobody can end it."""
        for at_s in self.script.rivals_at_s:
            self._loop.call_at(at_s, self._compete)
        if self.script.cancel_at_s is not None and self.script.seed % 2:
            self._loop.call_at(self.script.cancel_at_s, lambda: self._keep(self._cancel()))
        process = self._process(RUN)
        await self._watched(process, self._run(process))
        for life in range(LIVES):
            if self._ended or not self._began or self._loop.time() > LONGEST_S:
                break
            await asyncio.sleep(self.script.resume_after_s + life * 20.0)
            process = self._process(RUN)
            gives_up = self.script.close_after_lives == life
            await self._watched(process, self._close(process) if gives_up else self._resume(process))
        if self._ended and self.script.undo_after_s is not None:
            await self._undone(self.script.undo_after_s)
        for task in [*self._beside]:
            await task

    async def _undone(self, after_s: float) -> None:
        """Until a rollback of the run, days later, has ended."""
        await asyncio.sleep(after_s)
        process = self._process(UNDO)
        await self._live(process, self._undo(process))
        for _ in range(LIVES):
            if not self._undoing:
                break
            await asyncio.sleep(self.script.resume_after_s)
            process = self._process(UNDO)
            await self._live(process, self._resume(process, UNDO))

    # --- processes

    def _process(self, run_id: str) -> Process:
        process = Process(len(self.store.processes) + 1, self.log)
        self.store.processes.append(process)
        self.log.add("process", by=process.number, run=run_id, did="started")
        return process

    async def _watched(self, process: Process, doing: Coroutine[Any, Any, Any]) -> None:
        """Until the process is over, or has been frozen so long that others take it for gone."""
        task = self._keep(self._live(process, doing))
        process.on_freeze = self._loop.create_future()
        await asyncio.wait([task, process.on_freeze], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()

    async def _live(self, process: Process, doing: Coroutine[Any, Any, Ending]) -> None:
        """A process from its start to its end, however it ends."""
        try:
            ending = await asyncio.ensure_future(doing)
        except asyncio.CancelledError:
            if not process.dead:
                raise
        except OrchError as error:
            self.log.add("process", by=process.number, did="failed", error=type(error).__name__, said=str(error))
        else:
            said = ending.ended.verdict if ending.ended else "parked" if ending.head else "nothing to do"
            self.log.add("process", by=process.number, did="ended", said=said, exit_code=ending.exit_code)
        process.dead = True

    def _keep(self, doing: Coroutine[Any, Any, None]) -> "asyncio.Future[None]":
        task = asyncio.ensure_future(doing)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    def _world(self, process: Process) -> World:
        return World(
            hosts=WatchedHosts(self.fleet, process),
            probe=WatchedProbe(self.fleet, process),
            local=NightLocal(self.beside, process),
        )

    def _header(self, process: Process, run_id: str, who: str) -> Header:
        desk = "desk" if self.script.seed % 3 else "another desk"
        return Header(run=run_id, requester=who, controller=desk, command="orch", pid=process.number, pid_started=1.0)

    async def _run(self, process: Process, run_id: str = RUN, who: str = PEOPLE[0]) -> Ending:
        return await run(
            self.script.plan,
            self._world(process),
            Door(self.store, process).books(),
            header=self._header(process, run_id, who),
            people=People(orders=self._signals, patient=self.script.patient),
            watch=_nothing,
            note=_nothing,
            notifier=_SILENT,
        )

    async def _resume(self, process: Process, run_id: str = RUN) -> Ending:
        return await resume(
            run_id,
            self._world(process),
            Door(self.store, process).books(),
            header=self._header(process, run_id, RIVAL),
            people=People(orders=self._signals, patient=self.script.patient or run_id == UNDO),
            watch=_nothing,
            note=_nothing,
            notifier=_SILENT,
            accept_drift=self.script.accept_drift,
        )

    async def _close(self, process: Process) -> Ending:
        """`orch close`: somebody gives the run up."""
        books = Door(self.store, process).books()
        return await close(RUN, books, reason="enough", header=self._header(process, RUN, RIVAL))

    async def _undo(self, process: Process) -> Ending:
        """`orch rollback` of the run, once it has ended."""
        books, drift = Door(self.store, process).books(), self.script.accept_drift
        facts = await books.journal.read(RUN)
        back = await plan_rollback(RUN, facts, self._world(process), accept_drift=drift)
        if not back.plan.stages:
            return Ending(run=UNDO, ended=None)
        return await run(
            back.plan,
            self._world(process),
            books,
            header=replace(self._header(process, UNDO, RIVAL), of=RUN),
            people=People(orders=self._signals, patient=True),
            watch=_nothing,
            note=_nothing,
            notifier=_SILENT,
        )

    async def _signals(self) -> Order:
        """Ctrl-C, if the night has one; then the terminal may go away."""
        at_s = self.script.cancel_at_s
        if at_s is not None and self._loop.time() < at_s and not self.script.seed % 2:
            await asyncio.sleep(at_s - self._loop.time())
            return Order.CANCEL
        if at_s is not None and self._loop.time() < at_s + HANGS_UP_S and not self.script.seed % 4:
            await asyncio.sleep(at_s + HANGS_UP_S - self._loop.time())
            return Order.PARK
        await self._loop.create_future()
        raise AssertionError

    # --- people

    def _hear(self, run_id: str, fact: Fact) -> None:
        """Somebody reads what was committed just now."""
        if run_id not in (RUN, UNDO):
            return
        self._began = True
        if isinstance(fact, DecisionAsked):
            for reply in replies(self.script, fact.decision, fact.cause, fact.choices):
                self._loop.call_later(reply.after_s, self._answer, (run_id, fact.decision), reply)
        elif isinstance(fact, DecisionAnswered | DecisionWithdrawn):
            self._closed.add((run_id, fact.decision))
        elif run_id == UNDO:
            self._undoing = not isinstance(fact, RunEnded)
        elif isinstance(fact, RunEnded):
            self._ended = True
        elif isinstance(fact, RunParked) and self.script.rivals_at_s:
            self._loop.call_later(0.5, self._compete)

    def _answer(self, decision: tuple[str, int], reply: Reply) -> None:
        if (self._ended and decision[0] == RUN) or self._too_late[decision] > 1:
            return
        self._too_late[decision] += decision in self._closed
        self._keep(self._vote(decision, reply))

    async def _vote(self, decision: tuple[str, int], reply: Reply) -> None:
        vote = Vote(choice=reply.choice, by=reply.by, reason="because")
        with suppress(OrchError):  # it is in the log, with what they were told
            await decide(*decision, vote, Door(self.store, Process(0, self.log)).books())

    async def _cancel(self) -> None:
        """`orch cancel` from elsewhere."""
        with suppress(OrchError):
            await cancel(RUN, Door(self.store, Process(0, self.log)).books(), by=RIVAL)

    def _compete(self) -> None:
        """Somebody else wants the same services."""
        if not self._ended and self._rivals < RIVALS:
            self._rivals += 1
            run_id = f"rival{self._rivals}"
            process = self._process(run_id)
            self._keep(self._live(process, self._run(process, run_id, RIVAL)))


class _Silent:
    async def send(self, notice: Any, event: Any) -> str:
        return ""


_SILENT = _Silent()


def _nothing(_: object) -> None:
    """Nobody looks."""


class NightLoop(VirtualTimeLoop):
    """A loop that gives up: a night that goes round in circles has failed."""

    turns = 0

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns > TURNS:
            raise RuntimeError(f"the night goes round in circles at {self.time():g} s")
        super()._run_once()  # type: ignore[misc]  # typeshed does not tell of it


class Broken(Exception):
    """The night broke off, or something went wrong that nobody was told of. `entries` is the log up to there."""

    def __init__(self, said: str, entries: list[Entry]) -> None:
        super().__init__(said)
        self.entries = entries


def played(script: Script) -> list[Entry]:
    """The log of the night that *script* tells. Raises Broken."""
    log = Log()
    broken: list[str] = []
    loop = NightLoop()  # not by asyncio.Runner: its signal handlers cost more than a small night
    loop.set_exception_handler(lambda _, told: broken.append(f"{told['message']}: {told.get('exception')!r}"))
    try:
        loop.run_until_complete(_played(script, log))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the log
        broken.append("".join(traceback.format_exception(error, limit=-6)))
    finally:
        loop.turns = 0
        loop.run_until_complete(_leave_nothing())
        loop.close()
    if broken:
        raise Broken("; ".join(broken), log.entries)
    return log.entries


async def _played(script: Script, log: Log) -> None:
    night = Night(script, log)
    log.add("seed", seed=script.seed, profile=script.profile)
    log.add("playbook", **_playbook(script))
    try:
        await night.play()
    finally:
        for process in night.store.processes:
            process.dead = True


def _playbook(script: Script) -> dict[str, Any]:
    """What the playbook says of who goes when, and of what is done between, as plain values; and what there is."""
    draft = script.draft
    batches = {entry.key: entry.batches for entry in draft.entries if entry.batches is not None}
    least = {entry.key: entry.min_available for entry in draft.entries if entry.min_available is not None}
    return {
        "rolling": any(node.down is not None for stage in script.plan.stages for node in stage.nodes),
        "min_available": {key: list(one) for key, one in least.items()},
        "instances": {
            entry.key: {item.id: [[item.host, asked.name] for asked in item.asked] for item in entry.instances}
            for entry in draft.entries
        },
        "states": [[host, service.name, str(service.state)] for host, service in script.services],
        "batches": {
            key: {"sizes": [list(size) for size in one.sizes], "pause_s": one.pause_s, "asks": one.asks}
            for key, one in batches.items()
        },
        "per_zone": draft.max_parallel_per_zone,
        "zones": {host: zone for zone, hosts in (draft.terms.zones if draft.terms else ()) for host in hosts},
        "between": {
            hook.name: "reboot" if isinstance(hook.do, Reboot) else "often" if hook.idempotent else "once"
            for hook in draft.between
        },
    }


async def _leave_nothing() -> None:
    """End every task: one that the next night's garbage collection ends would act in that night."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
