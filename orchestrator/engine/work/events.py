"""What the host's event logs say of a failure: the truth about a start that "succeeded" is often nowhere else.

Best effort: it never changes an outcome, takes some seconds at most, and keeps a few lines.
"""

import asyncio
from collections.abc import Iterable, Sequence

from orchestrator.domain.errors import HostError, ProblemKind
from orchestrator.domain.event_log import SCM, EventRecord, records, related
from orchestrator.domain.results import EVENT, Outcome, Phase, Result
from orchestrator.engine.work.looks import Host

EXE = "wevtutil.exe"
PHASES = (Phase.START, Phase.STOP, Phase.GATE, Phase.HEALTHY)
"""The phases whose failures are looked up."""
EXCHANGES = 2
ASKED_S = 8.0
"""How long the logs may take."""
SLACK_S = 5.0
"""How far before the beginning a record still belongs: as long as the question may take to come to the host."""
MOST = 5
"""Records that are kept."""
_KINDS = (ProblemKind.REMOTE, ProblemKind.TIMEOUT, ProblemKind.GATE, ProblemKind.ORPHAN)
_TRIED = (1053, 1066, 1067, 1068, 1069, 1070)
"""Refusals that say that something was tried: the others say all that there is to say."""


def worth_a_look(result: Result) -> bool:
    """Whether the logs may know more of *result* than it says itself."""
    problem = result.problem
    if result.outcome is not Outcome.FAILED or result.step.phase not in PHASES or problem is None:
        return False
    return problem.kind in _KINDS or (problem.kind is ProblemKind.REFUSED and problem.code in _TRIED)


async def gathered(host: Host, scm_name: str, since_s: float) -> dict[str, str]:
    """The last records that tell of the service, newest first, as evidence: `event 1`, `event 2`. Those of the last
    *since_s* seconds, and some more for the way there, by the host's own clock, which may differ from ours. Two
    exchanges; empty where the host has nothing to say, or no program to say it."""
    age = f"TimeCreated[timediff(@SystemTime) <= {int((since_s + SLACK_S) * 1000)}]"
    names = [scm_name, host.shown_as.get(scm_name.lower(), "")]
    try:
        async with asyncio.timeout(ASKED_S):
            found = await asyncio.gather(
                _asked(host, "System", f"*[System[Provider[@Name='{SCM}'] and {age}]]"),
                _asked(host, "Application", f"*[System[(Level=1 or Level=2 or Level=3) and {age}]]"),
            )
    except TimeoutError:
        return {}
    return _evidence(related((one for log in found for one in log), names))


async def _asked(host: Host, log: str, query: str) -> Sequence[EventRecord]:
    args = ("qe", log, f"/q:{query}", "/c:30", "/rd:true", "/f:RenderedXml")
    try:
        ran = await host.command.run(EXE, args, timeout_s=ASKED_S)
    except HostError:
        return ()
    return records(log, ran.output)


def _evidence(found: Iterable[EventRecord]) -> dict[str, str]:
    newest = sorted(found, key=lambda one: one.at, reverse=True)[:MOST]
    return {f"{EVENT}{number}": one.words for number, one in enumerate(newest, 1)}
