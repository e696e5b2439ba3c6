"""A world that follows a script: answers steps as told, in the time told, and remembers what it was asked."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import Fact, StepEnded, StepIntended
from orchestrator.domain.plan import Plan
from orchestrator.domain.results import Outcome, Phase, Result, Step
from orchestrator.engine.ports import ConductorPorts, Order

ENDS_AT = {Phase.START: "Running", Phase.STOP: "Stopped", Phase.GATE: ""}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one step meets, and how long that takes in seconds. `after` None: what a step of its kind leaves behind."""

    outcome: Outcome = Outcome.OK
    took_s: float = 1.0
    after: str | None = None


OK = Answer()
FAILED = Answer(Outcome.FAILED, 1.0, "Stopped")
UNKNOWN = Answer(Outcome.UNKNOWN, 1.0, "")


@dataclass(slots=True)
class ScriptedWork:
    """The ports of the conductor over a script: step id -> answer; OK after a second where the script says nothing.

    A READ finds the state that the last START or STOP of the unit left. `facts` holds what was appended, with the time,
    `appends` how many in each call, `asked` the steps in the order they came.
    """

    script: Mapping[str, Answer] = field(default_factory=dict)
    otherwise: Answer = OK
    cancel_at_s: float | None = None
    append_takes_s: float = 0.0
    facts: list[tuple[float, Fact]] = field(default_factory=list)
    appends: list[int] = field(default_factory=list)
    asked: list[Step] = field(default_factory=list)
    answered: list[Result] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    on_disk: set[Step] = field(default_factory=set)

    @property
    def ports(self) -> ConductorPorts:
        """What the conductor gets."""
        return ConductorPorts(run=self.run, append=self.append, orders=self.orders)

    @property
    def ids(self) -> list[str]:
        """The steps asked so far, by id, in order."""
        return [step.id for step in self.asked]

    @property
    def journal(self) -> list[Fact]:
        """The facts without their times."""
        return [fact for _, fact in self.facts]

    async def run(self, step: Step) -> Result:
        """Answer as the script says."""
        assert step in self.on_disk, f"{step.id} was issued before its intent was on disk"
        self.asked.append(step)
        answer = self.script.get(step.id, self.otherwise)
        await _pass_s(answer.took_s)
        after = answer.after
        if after is None:
            after = ENDS_AT.get(step.phase, self.states.get(step.unit, "Stopped"))
        if step.phase in (Phase.START, Phase.STOP) and after:
            self.states[step.unit] = after
        problem = None if answer.outcome is Outcome.OK else Problem(ProblemKind.TIMEOUT, "as the script says")
        result = Result(step=step, outcome=answer.outcome, after=after, problem=problem, took_s=answer.took_s)
        self.answered.append(result)
        return result

    async def append(self, facts: Sequence[Fact]) -> None:
        """Take the facts down; on disk when this returns."""
        if self.append_takes_s:
            await _pass_s(self.append_takes_s)
        now_s = asyncio.get_running_loop().time()
        self.appends.append(len(facts))
        self.facts.extend((now_s, fact) for fact in facts)
        self.on_disk.update(fact.step for fact in facts if isinstance(fact, StepIntended))

    async def orders(self) -> Order:
        """Cancel at the time told, or never."""
        if self.cancel_at_s is None:
            await asyncio.get_running_loop().create_future()
        else:
            await _pass_s(self.cancel_at_s)
        return Order.CANCEL


async def _pass_s(duration_s: float) -> None:
    """A timer and a future: all that a loop for replays has."""
    loop = asyncio.get_running_loop()
    passed: asyncio.Future[None] = loop.create_future()
    loop.call_later(duration_s, lambda: None if passed.done() else passed.set_result(None))
    await passed


def all_answered(work: ScriptedWork) -> bool:
    """Whether the facts hold exactly the answers that were given, so that no step was issued too early."""
    told = [fact.result for fact in work.journal if isinstance(fact, StepEnded)]
    return sorted(told, key=lambda r: r.step.id) == sorted(work.answered, key=lambda r: r.step.id)


@st.composite
def scripts(draw: st.DrawFn, plan: Plan) -> dict[str, Answer]:
    """Any answers to the steps of *plan*: mostly good ones, for else runs would end at once."""
    good = draw(st.integers(0, 10))
    script: dict[str, Answer] = {}
    for number, stage in enumerate(plan.stages):
        for node in stage.nodes:
            for phase in Phase:
                outcome = Outcome.OK if draw(st.integers(0, 9)) < good else draw(st.sampled_from(list(Outcome)))
                after = (
                    draw(st.sampled_from(["Running", "Stopped", "StopPending", ""])) if outcome != Outcome.OK else None
                )
                took_s = draw(st.sampled_from([0.0, 0.5, 1.0, 1.0, 3.0, 60.0]))
                script[Step(number, node.unit.id, phase).id] = Answer(outcome, took_s, after)
    return script
