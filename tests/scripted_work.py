"""A world that follows a script: answers steps as told, in the time told, and remembers what it was asked."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from orchestrator.domain.decisions import Answer as Decided
from orchestrator.domain.decisions import Choice, Source
from orchestrator.domain.errands import is_errand
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.facts import DecisionAsked, Fact, OrderTaken, StepEnded, StepIntended
from orchestrator.domain.parts import CHANGES
from orchestrator.domain.plan import Plan
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.engine.ports import ConductorPorts, Order

ENDS_AT = {
    Phase.READ: None,
    Phase.LOOK: None,
    Phase.START: "Running",
    Phase.STOP: "Stopped",
    Phase.KILL: "Stopped",
}
"""Where a phase leaves its unit; None: where it was. All others read no state."""
ACTING = (Phase.START, Phase.STOP, Phase.KILL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one step meets, and how long that takes in seconds. `after` None: what a step of its kind leaves behind."""

    outcome: Outcome = Outcome.OK
    took_s: float = 1.0
    after: str | None = None
    kind: ProblemKind = ProblemKind.TIMEOUT


@dataclass(frozen=True, slots=True)
class Decision:
    """What is answered to a decision, how long after it was asked, and how long it says that it waited."""

    choice: Choice = Choice.ABORT
    after_s: float = 0.0
    waited_s: float | None = None


OK = Answer()
FAILED = Answer(Outcome.FAILED, 1.0, "Stopped")
UNKNOWN = Answer(Outcome.UNKNOWN, 1.0, "")


@dataclass(slots=True)
class ScriptedWork:
    """The ports of the conductor over a script: step id -> answer; OK after a second where the script says nothing.

    Decisions are answered as `decide` says (None: never): to abort, at once, where nothing else is said. A READ or LOOK
    finds the state that the last START or STOP of the unit left; a hook that went well has acted. A WATCH never ends by
    itself unless the script says so; `watched` lists those. `facts` holds what was appended, with the time,
    `appends` how many in each call, `asked` the steps in the order they came.
    """

    script: Mapping[str, Answer] = field(default_factory=dict)
    otherwise: Answer = OK
    cancel_at_s: float | None = None
    append_takes_s: float = 0.0
    facts: list[tuple[float, Fact]] = field(default_factory=list)
    appends: list[int] = field(default_factory=list)
    asked: list[Step] = field(default_factory=list)
    watched: list[Step] = field(default_factory=list)
    answered: list[Result] = field(default_factory=list)
    decide: Callable[[DecisionAsked], Decision | None] = lambda asked: Decision()
    orders_at: Sequence[tuple[float, Order]] = ()
    patient: bool = True
    decided: list[tuple[int, Choice]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    before: str = "Stopped"
    on_disk: set[Step] = field(default_factory=set)
    _ordered: int = 0

    @property
    def ports(self) -> ConductorPorts:
        """What the conductor gets."""
        return ConductorPorts(run=self.run, append=self.append, orders=self.orders, ask=self.ask, patient=self.patient)

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
        if step.phase is Phase.WATCH:
            return await self._watch(step)
        self.asked.append(step)
        answer = self.script.get(step.id, self.otherwise)
        await _pass_s(step.delay_s + answer.took_s)
        after = answer.after
        if after is None:
            ends_at = ENDS_AT.get(step.phase, "")
            after = self.states.get(step.unit, self.before) if ends_at is None else ends_at
        if step.phase in ACTING and after:
            self.states[step.unit] = after
        acted = Acted.NO
        if step.phase in ACTING or step.phase in CHANGES or is_errand(step):
            acted = Acted.MAYBE if answer.outcome is Outcome.UNKNOWN else Acted.YES
        problem = None if answer.outcome is Outcome.OK else Problem(answer.kind, "as the script says")
        result = Result(
            step=step,
            outcome=answer.outcome,
            acted=acted,
            after=after,
            problem=problem,
            took_s=step.delay_s + answer.took_s,
        )
        self.answered.append(result)
        return result

    async def _watch(self, step: Step) -> Result:
        self.watched.append(step)
        answer = self.script.get(step.id)
        if answer is None:
            await asyncio.get_running_loop().create_future()
        assert answer is not None
        await _pass_s(answer.took_s)
        self.states[step.unit] = answer.after or "Stopped"
        problem = None if answer.outcome is Outcome.OK else Problem(answer.kind, "it died")
        result = Result(step=step, outcome=answer.outcome, after=self.states[step.unit], problem=problem)
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

    async def ask(self, decision: int) -> Decided:
        """Decide as told, or never."""
        asked = next(f for f in self.journal if isinstance(f, DecisionAsked) and f.decision == decision)
        said = self.decide(asked)
        if said is None or (asked.held and said.choice is Choice.HOLD):  # what is held is not held once more
            await asyncio.get_running_loop().create_future()
        assert said is not None
        assert said.choice in asked.choices, f"{said.choice} is no answer to {asked}"
        await _pass_s(said.after_s)
        self.decided.append((decision, said.choice))
        waited_s = said.after_s if said.waited_s is None else said.waited_s
        return Decided(choice=said.choice, source=Source.PERSON, by="somebody", waited_s=waited_s)

    async def orders(self) -> OrderTaken:
        """Cancel at the time told, or give the orders at their times; else never."""
        now_s = asyncio.get_running_loop().time()
        orders = [(self.cancel_at_s, Order.CANCEL)] if self.cancel_at_s is not None else []
        due = sorted([*orders, *self.orders_at])[self._ordered :]
        if not due:
            await asyncio.get_running_loop().create_future()
        at_s, order = due[0]
        await _pass_s(max(0.0, at_s - now_s))
        self._ordered += 1
        return OrderTaken(order.value)


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
            for phase in (Phase.READ, Phase.LOOK, Phase.START, Phase.STOP, Phase.GATE):
                outcome = Outcome.OK if draw(st.integers(0, 9)) < good else draw(st.sampled_from(list(Outcome)))
                after = (
                    draw(st.sampled_from(["Running", "Stopped", "StopPending", ""])) if outcome != Outcome.OK else None
                )
                took_s = draw(st.sampled_from([0.0, 0.5, 1.0, 1.0, 3.0, 60.0]))
                script[Step(number, node.unit.id, phase).id] = Answer(outcome, took_s, after)
    return script
