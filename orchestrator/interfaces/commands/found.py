"""A run as its record has it, for commands that do something about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator import state_wiring
from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import RunBegan, Stamped, StepEnded
from orchestrator.domain.locks import InTheWay, holds_nothing, puts_back, still_held
from orchestrator.domain.results import Outcome, Result
from orchestrator.domain.runstate import RunState
from orchestrator.domain.timeline import Timeline
from orchestrator.engine.book_ports import Holding, OpenDecision
from orchestrator.engine.jobs.world import Books
from orchestrator.interfaces.runs_view import timeline_of
from orchestrator.interfaces.theme import moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that is on record. `holding` is None of a run that has ended; `now` is UTC, seconds since 1970."""

    run: str
    began: RunBegan
    facts: Sequence[Stamped]
    timeline: Timeline
    holding: Holding | None
    open: Sequence[OpenDecision]
    now: float

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that a run of its plan may ask, each once."""
        stages = (*self.began.plan.stages, *self.began.plan.back)
        units = [unit for stage in stages for unit in (*(node.unit for node in stage.nodes), *stage.others)]
        return tuple(dict.fromkeys(host for unit in units for host in (unit.host, *unit.ways) if host))

    @property
    def alive(self) -> bool:
        """Whether a process carries it."""
        return self.holding is not None and self.holding.alive is True

    def state(self) -> RunState:
        """What the run itself knows, folded anew. Cost: O(plan + facts)."""
        state = RunState.begin(self.began.plan)
        for stamped in self.facts:
            state.apply(stamped.fact)
        return state

    def ends(self) -> dict[str, Result]:
        """The last result of each unit that has one that is not ok."""
        results = (one.fact.result for one in self.facts if isinstance(one.fact, StepEnded))
        return {result.step.unit: result for result in results if result.outcome is not Outcome.OK}

    def free(self) -> None:
        """Raises BadInput of a run that has ended, Locked of one that a living process carries."""
        if self.holding is None:
            raise holds_nothing(self.run, self._ended, puts_back(self.run, self.began.plan.action, self.began.of))
        if self.holding.alive:
            owner = self.holding.owner
            raise still_held(
                InTheWay(
                    run=self.run,
                    requester=owner.requester,
                    controller=owner.controller,
                    since=moment(self.holding.since),
                    age_s=self.now - self.holding.since,
                    alive=True,
                    asks=tuple(one.asked.decision for one in self.open),
                )
            )

    @property
    def _ended(self) -> str:
        ended = self.timeline.ended
        return f"it ended at {moment(self.timeline.last_at)} ({ended.verdict})" if ended else ""


async def find(books: Books, name: str) -> Found:
    """What is on record of the run that goes by *name*. Raises BadInput if there is none."""
    run = await books.journal.resolve(name)
    facts = await books.journal.read(run)
    began = facts[0].fact if facts else None
    if not isinstance(began, RunBegan):
        raise BadInput(f"of run {run} no beginning is on record", hint="orch audit verify tells more")
    return Found(
        run=run,
        began=began,
        facts=facts,
        timeline=timeline_of(facts),
        holding=next((one for one in await books.locks.holdings() if one.run == run), None),
        open=[one for one in await books.decisions.open() if one.run == run],
        now=books.clock(),
    )


async def look(state: Path, name: str) -> Found:
    """What is on record of a run. Raises BadInput if there is none."""
    async with state_wiring.books(state) as books:
        return await find(books, name)
