"""The journal's twin in memory: same promises, gone with the process. Its clock is the event loop's: tests own it."""

import asyncio
from collections.abc import Sequence

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import Fact, RunBegan, RunEnded, Stamped
from orchestrator.domain.run_names import pick
from orchestrator.engine.ports import RunSummary


class MemoryJournal:
    """Implements `engine.ports.Journal`. Times count from *began_at* (UTC, seconds since 1970), by the loop's clock."""

    def __init__(self, *, began_at: float = 1_795_000_000.0) -> None:
        self._began_at = began_at
        self._facts: dict[str, list[Stamped]] = {}
        self._summaries: dict[str, RunSummary] = {}

    async def append(self, run: str, facts: Sequence[Fact]) -> Sequence[Stamped]:
        """See `Journal.append`. Returns in the same turn of the loop."""
        now_s = asyncio.get_running_loop().time()
        known = self._facts.setdefault(run, [])
        elapsed_s = now_s - (known[0].at - self._began_at) if known else 0.0
        at = self._began_at + now_s
        stamped = [Stamped(number, at, elapsed_s, fact) for number, fact in enumerate(facts, len(known) + 1)]
        for fact in facts:
            if isinstance(fact, RunBegan):
                if run in self._summaries:
                    raise OrchError(f"run {run} has begun already")
                self._summaries[run] = RunSummary(
                    run=run,
                    plan=fact.plan.name,
                    action=str(fact.plan.action),
                    requester=fact.requester,
                    began_at=at,
                    ended_at=None,
                    verdict=None,
                    counts={},
                )
            elif isinstance(fact, RunEnded) and run in self._summaries:
                self._end(run, fact, at)
        known.extend(stamped)
        return stamped

    def _end(self, run: str, fact: RunEnded, at: float) -> None:
        begun = self._summaries[run]
        self._summaries[run] = RunSummary(
            run=run,
            plan=begun.plan,
            action=begun.action,
            requester=begun.requester,
            began_at=begun.began_at,
            ended_at=at,
            verdict=fact.verdict,
            counts=dict(fact.counts),
        )

    async def read(self, run: str) -> Sequence[Stamped]:
        """See `Journal.read`."""
        return tuple(self._facts.get(run, ()))

    async def runs(self, limit: int) -> Sequence[RunSummary]:
        """See `Journal.runs`."""
        return tuple(reversed(self._summaries.values()))[:limit]

    async def resolve(self, name: str) -> str:
        """See `Journal.resolve`."""
        return pick(name, list(reversed(self._summaries)))

    async def aclose(self) -> None:
        """See `Journal.aclose`: nothing is open."""
