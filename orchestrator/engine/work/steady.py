"""Whether a started service stays up, in the same process: while its gates wait, while it must be healthy, and as long
as others count on it."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.errors import AuthRejected, HostError, Problem, ProblemKind, Refused
from orchestrator.domain.gates import Gate
from orchestrator.domain.plan import Node
from orchestrator.domain.results import GATE, Outcome, Result, Step
from orchestrator.domain.service import ServiceStatus, State
from orchestrator.engine.work.gates import Watch
from orchestrator.engine.work.looks import Had, Host, Looks
from orchestrator.engine.work.pace import TICK_S, Pace
from orchestrator.engine.work.record import ended, evidence, span
from orchestrator.engine.work.sights import Eyes

WATCH_S = 10.0
WATCHED_PER_S = 20.0
"""So many hosts are read in a second at most only because something is watched there: about a tenth of a core."""
"""How often a service is read that only has to stay as it is."""
LAST_LOOK_S = 10.0
"""How long the last reading of a window is tried: without it nobody knows."""
NOES = 2
"""How many probes in a row must say no until a gate that held counts as lost: one is a blip."""


@dataclass(frozen=True, slots=True)
class Down:
    """A service that should be up is not, or is in another process."""

    said: str
    last: ServiceStatus | None = None

    @property
    def problem(self) -> Problem:
        """As a gate that does not hold: what follows from it is the same."""
        code = self.last.win32_exit_code if self.last else 0
        return Problem(ProblemKind.GATE, self.said, code or None)


class Steady:
    """Reads one service now and then. What it was last seen with, by whatever step, is what it should stay with."""

    def __init__(self, unit: str, host: Host, scm_name: str, note: Callable[[str], None]) -> None:
        self.first: ServiceStatus | None = None
        self.last: ServiceStatus | None = None
        self._unit = unit
        self._host = host
        self._had: Had | None = host.had.get(scm_name.lower())
        self._looks = Looks(host, scm_name, note)

    @property
    def exchanges(self) -> int:
        """The exchanges so far."""
        return self._looks.exchanges

    async def look(self, tried_s: float = 0.0) -> Down | None:
        """What is wrong with it now, if anything is. Transient errors are tried again for *tried_s*.

        Raises: HostError, where nobody can tell.
        """
        try:
            status = await self._looks.status(asyncio.get_running_loop().time() + tried_s)
        except Refused as error:
            return Down(f"its state can't be read any more: {error.text}")
        self.first, self.last = self.first or status, status
        if self._had is not None and self._host.restarted(self._had):
            self._had = None
        if status.state is State.STOPPED:
            why = f": {ended(status)}" if status.win32_exit_code else ""
            return Down(f"{self._unit} is Stopped after it was Running{why}", status)
        if status.pid is None:
            return None
        before, self._had = self._had, self._host.had.get(status.name.lower(), self._had)
        if before is not None and before.pid != status.pid:
            return Down(f"{self._unit}: crash loop: PID {before.pid} became {status.pid}", status)
        return None

    async def until_down(self, every_s: float) -> Down:
        """Look every *every_s*, first when that has passed, until something is wrong. Silence is not a death."""
        while True:
            await asyncio.sleep(every_s)
            try:
                down = await self.look()
            except AuthRejected as error:
                return Down(f"whether {self._unit} stays up can't be read any more: {error.text}")
            except HostError:
                continue
            if down is not None:
                return down


async def healthy(step: Step, node: Node, host: Host, eyes: Eyes, note: Callable[[str], None]) -> Result:
    """HEALTHY: for the node's `healthy_s` the service is Running in the same process, and its gates go on holding.

    Another process, a state that is not Running, or a gate that says no twice in a row ends it at once. A gate that
    can't be probed says nothing; a state that can't be read at the end of the window leaves it unknown.
    """
    window_s = node.life.healthy_s if node.life else 0.0
    steady = Steady(step.unit, host, node.unit.scm_name or "", note)
    every_s = min(max(window_s / 6, host.pace.poll_s), WATCH_S)
    watches = [Watch(gate, eyes, note) for gate in node.gates]
    try:
        down = await _first(
            [_stays(steady, window_s, every_s), *(_goes_on(step.unit, watch, window_s) for watch in watches)]
        )
    except HostError as error:
        said = f"{step.unit}: whether it stayed up is not known ({error.text})"
        return Result(step=step, outcome=Outcome.UNKNOWN, said=said, problem=error.problem, exchanges=steady.exchanges)
    found = evidence(steady.first, steady.last)
    found |= {f"{GATE}{number}": f"{one.gate.words}: {one.told}" for number, one in enumerate(watches, 1)}
    process = f" in process {steady.last.pid}" if steady.last is not None and steady.last.pid is not None else ""
    return Result(
        step=step,
        outcome=Outcome.OK if down is None else Outcome.FAILED,
        before=str(steady.first.state) if steady.first else "",
        after=str(steady.last.state) if steady.last else "",
        said=f"{step.unit} is healthy for {span(window_s)}{process}" if down is None else down.said,
        problem=down.problem if down else None,
        evidence=found,
        exchanges=steady.exchanges + sum(watch.exchanges for watch in watches),
    )


async def _stays(steady: Steady, window_s: float, every_s: float) -> Down | None:
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + window_s
    while (left_s := ends_s - loop.time()) > TICK_S:
        try:
            down = await steady.look()
        except AuthRejected:
            raise
        except HostError:
            down = None  # silence in the middle is made good by the last reading
        down = down or _not_up(steady.last)
        if down is not None:
            return down
        await asyncio.sleep(min(every_s, max(left_s, 0.0), max(ends_s - loop.time(), 0.0)))
    return await steady.look(LAST_LOOK_S) or _not_up(steady.last)


def _not_up(last: ServiceStatus | None) -> Down | None:
    """What is wrong with a service that was read a moment ago, or can't be read now, and is neither Stopped nor up."""
    if last is None or last.state is State.RUNNING:
        return None
    return Down(f"{last.name} is {last.state}, not Running", last)


async def _goes_on(unit: str, watch: Watch, window_s: float) -> Down | None:
    loop = asyncio.get_running_loop()
    ends_s, noes = loop.time() + window_s, 0
    while loop.time() + TICK_S < ends_s or 0 < noes < NOES:
        due_s = loop.time() + max(watch.gate.period_s, 1.0)
        sight = await watch.look()
        noes = noes + 1 if sight.held is False else 0
        if noes >= NOES:
            return Down(f"{unit}: the gate holds no more; {watch.gate.words}: {watch.told}")
        await asyncio.sleep(due_s - loop.time())
    return None


async def _first(waits: list[Coroutine[Any, Any, Down | None]]) -> Down | None:
    """The first thing that is wrong; None when all have ended well."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        while pending := [task for task in tasks if not task.done()]:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and (down := task.result()) is not None:
                    return down
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return None


class Watched:
    """The hosts on which something is watched, and how often that is read: of many hosts less often, in doubled
    periods, so that a large fleet's readings leave room for what is on its way."""

    def __init__(self) -> None:
        self._hosts: Counter[str] = Counter()

    @contextmanager
    def on(self, host: str) -> Iterator[None]:
        """One more watch on *host*, as long as it lasts."""
        self._hosts[host] += 1
        try:
            yield
        finally:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]

    def every_s(self) -> float:
        """The period."""
        least_s = len(self._hosts) / WATCHED_PER_S
        return WATCH_S if least_s <= WATCH_S else WATCH_S * 2.0 ** math.ceil(math.log2(least_s / WATCH_S))


async def watch(
    step: Step, goal: State, host: Host, scm_name: str, note: Callable[[str], None], every_s: Callable[[], float]
) -> Result:
    """WATCH: ends (failed, as a gate that does not hold) at the first reading that is not at *goal*, and never else.

    Its reads fall on a grid of the host's own, so that all that is watched there is read together.
    """
    loop, looks = asyncio.get_running_loop(), Looks(host, scm_name, note)
    while True:
        await asyncio.sleep(Pace(host.name, every_s()).next_look_s(loop.time(), 32) - loop.time())
        try:
            status = await looks.status(loop.time())
        except (AuthRejected, Refused) as error:  # neither will be otherwise by asking again
            said = f"{step.unit}, which others count on, can't be read any more: {error.text}"
            return Result(
                step=step, outcome=Outcome.FAILED, said=said, problem=error.problem, exchanges=looks.exchanges
            )
        except HostError:
            continue  # silence is not a death
        if status.state is goal:
            continue
        why = f": {ended(status)}" if status.win32_exit_code else ""
        said = f"{step.unit}, which others count on, is {status.state} and no longer {goal}{why}"
        return Result(
            step=step,
            outcome=Outcome.FAILED,
            after=str(status.state),
            said=said,
            problem=Problem(ProblemKind.GATE, said, status.win32_exit_code or None),
            evidence=evidence(status, status),
            exchanges=looks.exchanges,
        )


async def while_gates_wait(
    step: Step, node: Node, host: Host, note: Callable[[str], None], *, probed_s: float
) -> Result:
    """Ends when the started service that gates wait for is down, or in another process: no use in waiting. *probed_s*:
    how often it is read where one of its gates is bound to its process; else now and then."""
    steady = Steady(step.unit, host, node.unit.scm_name or "", note)
    down = await steady.until_down(probed_s if binds(node.gates) else WATCH_S)
    return Result(
        step=step,
        outcome=Outcome.FAILED,
        after=str(down.last.state) if down.last else "",
        said=f"{down.said}, while its gates waited",
        problem=down.problem,
        evidence=evidence(steady.first, down.last),
        exchanges=steady.exchanges,
    )


def binds(gates: tuple[Gate, ...]) -> bool:
    """Whether one of *gates* is bound to the service's process."""
    return any(gate.bound for gate in gates)
