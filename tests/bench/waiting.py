"""What waiting costs: a fleet whose services take their time, how late orch notices, and hosts that go silent."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import children
from fleet import POLL_S, Fleet, fleet
from table import WIRE_NAMES, Row, Scale

from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.domain.facts import RunBegan, StepEnded
from orchestrator.domain.results import Phase

SLOW_S = 20.0
ALL, SILENT = 500, 150
LAG_S = 1.0
STOP_VERBS = {"winrm": "Stop-Service", "ssh": "stop"}


@dataclass(frozen=True, slots=True)
class Night:
    """One run: its wall time as a process, how many cores it kept busy meanwhile, and the time from its first fact to
    the last stop of a host that answers."""

    wall_s: float
    cores: float
    stops_s: float
    lags_s: tuple[float, ...]


def waiting(wire: str, scale: Scale) -> Iterator[Row]:
    """W0 and W20, the lag of W20, and W20 again with hosts that go silent when they are asked to stop."""
    hosts, silent = scale.hosts(ALL), scale.hosts(SILENT)
    at_once, slow = _night(wire, hosts, 0.0), _night(wire, hosts, SLOW_S)
    most_s = SLOW_S + 1.25 * at_once.wall_s + POLL_S
    named = WIRE_NAMES[wire]
    yield Row(
        name=f"{named}: {hosts} hosts whose services take {SLOW_S:g} s to stop, wall (W20)",
        measured=f"{slow.wall_s:.1f} s",
        reference=f"they take 0 s (W0): {at_once.wall_s:.1f} s",
        goal=f"<= {SLOW_S:g} s + 1.25 x W0 + {POLL_S:g} s = {most_s:.1f} s",
        met=slow.wall_s <= most_s,
    )
    p95_s = statistics.quantiles(slow.lags_s, n=20)[-1]
    yield Row(
        name=f"{named}: from the lab's `Stopped` to our fact, p95 (W20)",
        measured=f"{p95_s:.2f} s",
        reference=f"median {statistics.median(slow.lags_s):.2f} s",
        goal=f"<= {POLL_S + LAG_S:g} s",
        met=p95_s <= POLL_S + LAG_S,
        note=f"each host is read every {POLL_S:g} s; orch kept {slow.cores:.2f} cores busy, and can use one",
    )
    troubled = _night(wire, hosts, SLOW_S, silent=silent)
    grown = troubled.stops_s / slow.stops_s
    yield Row(
        name=f"{named}: W20 of the others while {silent} of {hosts} hosts are silent",
        measured=f"{troubled.stops_s:.1f} s, {grown:.2f} x",
        reference=f"none silent: {slow.stops_s:.1f} s",
        goal="<= 1.10 x",
        met=grown <= 1.10,
        note="from the run's first fact to the last stop; silent from the moment that they are asked to stop",
    )


def _night(wire: str, hosts: int, stop_s: float, *, silent: int = 0) -> Night:
    with fleet(wire, hosts, stop_s=stop_s) as made:
        lost = {f"h{number:04}" for number in range(0, hosts, max(1, hosts // silent))} if silent else set()
        lost = set(sorted(lost)[:silent])
        for host in sorted(lost):
            made.lab.order(op="fault", host=host, kind="silent", value={"verb": STOP_VERBS[wire]})
        words = ("stop", "--yes", "--plan", str(made.plan))
        ran = children.orch(*words, state=made.folder / "state", codes=(0, 1) if silent else (0,))
        began_s, ends_s = asyncio.run(_ends_s(made))
        there_s = made.stopped_at_s()
        answering = {host: end_s for host, end_s in ends_s.items() if host not in lost}
        lags_s = tuple(end_s - there_s[host] for host, end_s in answering.items())
        return Night(ran.wall_s, ran.cpu_s / ran.wall_s, max(answering.values()) - began_s, lags_s)


async def _ends_s(made: Fleet) -> tuple[float, dict[str, float]]:
    """When the run began, and when each host's stop was known to have ended, on the monotonic clock."""
    journal = SqliteJournal(made.folder / "state")
    facts = await journal.read(await journal.resolve("last"))
    await journal.aclose()
    offset_s = time.time() - time.monotonic()
    (began_s,) = (one.at - offset_s for one in facts if isinstance(one.fact, RunBegan))
    ends_s = {
        one.fact.result.step.unit.partition("@")[2]: one.at - offset_s
        for one in facts
        if isinstance(one.fact, StepEnded) and one.fact.result.step.phase is Phase.STOP
    }
    return began_s, ends_s
