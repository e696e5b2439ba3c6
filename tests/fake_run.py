"""A made-up run for views: facts and notes in order, with their times. `python tests/fake_run.py` shows one live.

Whoever ends badly is asked about, once; what does not need it goes on, and then somebody aborts.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.estimate import complete
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    Fact,
    RunBegan,
    RunEnded,
    StageBegan,
    Stamped,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.gates import Gate, Origin, PortClosedCheck
from orchestrator.domain.plan import Action, Barrier, LeftAlone, Limits, Node, Plan, Role, Stage, Unit
from orchestrator.domain.results import Acted, Note, Outcome, Phase, Result, Step
from orchestrator.domain.schedule import Schedule, phases
from orchestrator.domain.service import ServiceStatus, State

BEGAN_AT = 1_795_223_585.0
CHOICES = (Choice.ROLLBACK, Choice.RETRY, Choice.SKIP, Choice.EXCLUDE, Choice.HOLD, Choice.ABORT)
NASTY = "[bold red]Zugriff\nverweigert[/] \x1b[2J\x1b]0;owned\x07 \u202eevil\ud800"
SMALL = (("web", 2), ("sql", 1))
SHOP = (("web", 8), ("orders", 12), ("billing", 4), ("broker", 3), ("cache", 6), ("sql", 2))


def fleet(services: tuple[tuple[str, int], ...] = SHOP, *, slots: int = 6, twice: bool = False) -> Plan:
    """A plan that stops *services*, each after the one before it; with *twice*, a restart."""
    nodes: list[Node] = []
    barriers: list[Barrier] = []
    for number, (service, count) in enumerate(services):
        first = len(nodes)
        nodes += [
            Node(
                unit=Unit(
                    id=f"{service}@{service}-{host:02}",
                    service=service,
                    host=f"{service}-{host:02}",
                    scm_name=service.title(),
                    instance=f"{service}@{service}-{host:02}",
                    seen=ServiceStatus(name=service.title(), state=State.RUNNING),
                ),
                role=Role.ACT,
                gates=(Gate(check=PortClosedCheck(port=8080), origin=Origin.HOST),) if service == "orders" else (),
                expected_s=4.0 + host % 5,
                waits_for=(number - 1,) if number else (),
            )
            for host in range(1, count + 1)
        ]
        places = tuple((place,) for place in range(first, len(nodes)))
        barriers.append(Barrier(name=service, instances=places, need=count))
    down = complete(Stage(goal=State.STOPPED, nodes=tuple(nodes), barriers=tuple(barriers), limits=Limits(run=slots)))
    up = complete(Stage(goal=State.RUNNING, nodes=tuple(nodes), barriers=tuple(barriers), limits=Limits(run=slots)))
    return Plan(
        name="shop",
        action=Action.RESTART if twice else Action.STOP,
        stages=(down, up) if twice else (down,),
        left_alone=(LeftAlone(unit="mail@mail-01", why="mail-01 does not answer"),),
    )


@dataclass(slots=True)
class _Playing:
    plan: Plan
    bad: dict[str, Outcome]
    error: str
    now_s: float = 0.0
    number: int = 0
    ends: dict[str, Outcome] = field(default_factory=dict)
    steps: list[tuple[float, int, int, Step]] = field(default_factory=list)
    asked: bool = False

    def stamp(self, fact: Fact) -> Stamped:
        self.number += 1
        return Stamped(self.number, BEGAN_AT + self.now_s, self.now_s, fact)

    def play(self) -> Iterator[Stamped | tuple[float, Note]]:
        run = "20261121-0213-k7q2"
        command = "orch stop --plan playbooks/shop.yaml --yes"
        yield self.stamp(RunBegan(run=run, plan=self.plan, requester="ada@ops", controller="ctl-01", command=command))
        failed = False
        for number, stage in enumerate(self.plan.stages):
            if failed:
                break
            yield self.stamp(StageBegan(number))
            for event in self.stage(number, stage):
                failed |= isinstance(event, Stamped) and _is_bad(event.fact)
                if isinstance(event, Stamped) and isinstance(event.fact, StepEnded):
                    self.ends[event.fact.result.step.unit] = event.fact.result.outcome
                yield event
        yield from self.look()
        yield self.stamp(RunEnded(verdict="failed" if failed else "done", exit_code=int(failed), counts=self.counts()))

    def counts(self) -> dict[str, int]:
        units = {node.unit.id for stage in self.plan.stages for node in stage.nodes}
        return {"untouched": len(units) - len(self.ends), **Counter(map(str, self.ends.values()))}

    def stage(self, number: int, stage: Stage) -> Iterator[Stamped | tuple[float, Note]]:
        schedule, order = Schedule(stage), 0
        while True:
            while (place := schedule.next_node()) is not None:
                schedule.begin(place)
                node = stage.nodes[place]
                step = Step(number, node.unit.id, phases(node, stage.goal)[0])
                yield self.stamp(StepIntended(step))
                order += 1
                heappush(self.steps, (self.now_s + node.expected_s, order, place, step))
                yield self.now_s + 0.4, Note(step, f"StopPending, checkpoint {place % 4}")
            if not self.steps:
                if self.asked:
                    self.now_s += 3
                    yield self.stamp(DecisionAnswered(decision=1, answer=ABORT))
                return
            self.now_s, _, place, step = heappop(self.steps)
            result = self.result(step, stage.nodes[place])
            yield self.stamp(StepEnded(result))
            life = phases(stage.nodes[place], stage.goal)
            if result.outcome is Outcome.OK and step.phase is not life[-1]:
                step = Step(number, step.unit, Phase.GATE)
                yield self.stamp(StepIntended(step))
                order += 1
                heappush(self.steps, (self.now_s + 1.5, order, place, step))
            elif result.outcome is Outcome.OK:
                schedule.end(place, result.outcome)
            else:
                yield self.stamp(self.question(result))
                self.asked = True

    def question(self, result: Result) -> Fact:
        if self.asked:
            return DecisionGrew(decision=1, units=(result.step.unit,))
        cause = Cause(kind=CauseKind.FAILURE, said=result.said, problem=ProblemKind.TIMEOUT, units=(result.step.unit,))
        return DecisionAsked(decision=1, cause=cause, choices=CHOICES)

    def result(self, step: Step, node: Node) -> Result:
        outcome = self.bad.get(step.unit, Outcome.OK)
        if outcome is Outcome.OK:
            said = "port 8080 closed" if step.phase is Phase.GATE else ""
            after = "Stopped" if step.phase is not Phase.START else "Running"
            return Result(
                step=step,
                outcome=outcome,
                acted=Acted.YES,
                before="Running",
                after=after,
                said=said,
                took_s=node.expected_s,
            )
        return Result(
            step=step,
            outcome=outcome,
            acted=Acted.YES if outcome is Outcome.FAILED else Acted.MAYBE,
            before="Running",
            after="StopPending" if outcome is Outcome.FAILED else "",
            said=f"{node.unit.scm_name} was not Stopped after 90 s",
            problem=Problem(ProblemKind.TIMEOUT, self.error, 1053),
            took_s=90.0,
        )

    def look(self) -> Iterator[Stamped]:
        last = len(self.plan.stages) - 1
        units = [node.unit.id for node in self.plan.stages[last].nodes[:3]]
        for unit in units:
            yield self.stamp(StepIntended(Step(last, unit, Phase.READ)))
        self.now_s += 0.5
        for unit in units:
            read = Step(last, unit, Phase.READ)
            yield self.stamp(
                StepEnded(Result(step=read, outcome=Outcome.OK, after="Running" if unit == units[0] else ""))
            )
        yield self.stamp(
            Strayed(unit=units[0], left="Stopped", found="Running", why="started at 02:14 by somebody else")
        )


ABORT = Answer(
    choice=Choice.ABORT, source=Source.PERSON, by="bob@ops", reason="not tonight", approvals=("bob@ops",), waited_s=3.0
)


def _is_bad(fact: Fact) -> bool:
    return isinstance(fact, StepEnded) and fact.result.outcome is not Outcome.OK


def play(
    plan: Plan, *, bad: dict[str, Outcome] | None = None, error: str = "The service did not respond."
) -> Iterator[Stamped | tuple[float, Note]]:
    """The run's facts in order, and notes with the time at which they come. *bad* units end badly, with *error*."""
    return _Playing(plan, bad or {}, error).play()


def facts(
    plan: Plan, *, bad: dict[str, Outcome] | None = None, error: str = "The service did not respond."
) -> list[Stamped]:
    """The facts alone."""
    return [event for event in play(plan, bad=bad, error=error) if isinstance(event, Stamped)]


def main(kind: str, speed: float) -> None:
    """Show a run in real time, *speed* times as fast."""
    from orchestrator.interfaces.views import of_run  # noqa: PLC0415 - the tests need no terminal

    view = of_run(json=kind == "json")
    bad = {"orders@orders-07": Outcome.FAILED, "orders@orders-09": Outcome.UNKNOWN} if kind != "good" else {}
    for event in play(fleet(twice=kind == "twice"), bad=bad, error=NASTY):
        if isinstance(event, Stamped):
            time.sleep(max(0.0, event.elapsed_s / speed - main_clock()))
            view.fact(event)
        else:
            view.note(event[1])
    view.close()


def main_clock(began_s: float = time.monotonic()) -> float:
    """Seconds since this script began."""
    return time.monotonic() - began_s


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad", float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
