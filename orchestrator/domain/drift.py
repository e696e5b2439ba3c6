"""What changed between the day on which a plan was frozen and now, as far as it matters to the plan.

Room: domain. Reads nothing: `questions` says what to ask, and `drift` judges what a survey found. A new process is no
drift, nor is a unit that is already where the plan brings it. A service that came up since on top of one that is going
to be stopped is: planning would have refused it, or taken it in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.plan import Node, Plan, Role, Unit
from orchestrator.domain.planning.census import NO_SUCH_SERVICE, problem_in_words
from orchestrator.domain.planning.observed import questions_about
from orchestrator.domain.service import DOWN, Asked, Reading, ServiceStatus, StartType, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.vital_services import CLUSTER_SERVICE


@dataclass(frozen=True, slots=True)
class Drift:
    """One unit: its state when the plan was frozen, and what it is now (`is Disabled`)."""

    unit: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.unit} was {self.was}, {self.now}"


def watched(plan: Plan) -> tuple[Unit, ...]:
    """The units that a survey has to read before `drift` can judge: those that the plan acts on or probes."""
    return tuple(node.unit for node, _ in _counted_on(plan))


def questions(plan: Plan) -> dict[str, tuple[Asked, ...]]:
    """What to ask which host before *plan* is applied: host -> questions. Where it acts, as planning does, the cluster
    service too: what a cluster owns is told of nodes alone. Who is only counted is asked, too: a run will do so."""
    asked = questions_about((*watched(plan), *(unit for stage in plan.stages for unit in stage.others)))
    for host in {node.unit.host for node, _ in _counted_on(plan) if node.role is Role.ACT and node.unit.host}:
        if CLUSTER_SERVICE.lower() not in {one.name.lower() for one in asked[host]}:
            asked[host] = (*asked[host], Asked(CLUSTER_SERVICE))
    return asked


def goes_down(plan: Plan) -> tuple[Node, ...]:
    """The nodes that are stopped on the way, and may have something on top of them."""
    return tuple(
        node
        for stage in plan.stages
        for node in stage.nodes
        if node.role is Role.ACT
        and (stage.goal is State.STOPPED or node.down is not None)
        and node.unit.host is not None
        and node.unit.scm_name is not None
    )


def drift(plan: Plan, survey: Survey) -> tuple[Drift, ...]:
    """What matters of the difference between *plan* and *survey*, in plan order; then what came up on top of what is
    going to be stopped, where *survey* asked for that. Cost: O(nodes + readings)."""
    readings: dict[tuple[str, str], Reading] = {}
    for host, said in survey.hosts.items():
        for reading in (*said.readings, *said.dependents):
            readings[host, reading.asked.name.lower()] = reading
            for status in reading.found:
                readings.setdefault((host, status.name.lower()), Reading(reading.asked, (status,)))
    found: list[Drift] = []
    for node, goal in _counted_on(plan):
        was = node.unit.seen
        if was is not None:
            now = _now(node, was, goal, survey, readings)
            if now:
                found.append(Drift(node.unit.id, was.state, now))
    return (*found, *_came_up(plan, readings))


def _came_up(plan: Plan, readings: Mapping[tuple[str, str], Reading]) -> Iterator[Drift]:
    """What needs what is going to be stopped, runs, and is not in the plan: each once."""
    down = {(node.unit.host or "", (node.unit.scm_name or "").lower()): node.unit for node in goes_down(plan)}
    known = set(down)
    for (host, name), unit in down.items():
        above = [name]
        while above:
            reading = readings.get((host, above.pop()))
            status = reading.found[0] if reading is not None and reading.found else None
            if status is not None and status.state not in DOWN:
                fresh = {other.lower(): other for other in status.required_by if (host, other.lower()) not in known}
                known |= {(host, other) for other in fresh}
                above += fresh
                yield from _on_top(unit, host, list(fresh.values()), readings)


def _on_top(
    unit: Unit, host: str, names: Sequence[str], readings: Mapping[tuple[str, str], Reading]
) -> Iterator[Drift]:
    was = str(unit.seen.state) if unit.seen is not None else "planned"
    for name in names:
        reading = readings.get((host, name.lower()))
        if reading is None or reading.problem is not None:
            problem = reading.problem if reading is not None else None
            if problem is not None and problem.code != NO_SUCH_SERVICE and problem.kind is not ProblemKind.MISSING:
                text = f"is needed by {name} on {host}, which can't be read: {problem_in_words(problem)}"
                yield Drift(unit.id, was, text)
        elif reading.found and reading.found[0].state not in DOWN:
            text = f"is needed by {name} on {host}, which is {reading.found[0].state} and not in the plan"
            yield Drift(unit.id, was, text)


def _counted_on(plan: Plan) -> Iterator[tuple[Node, State]]:
    """Each unit that was read and is acted on or probed, once, with the state that it is wanted in at the end."""
    last: dict[str, tuple[Node, State]] = {}
    for stage in plan.stages:
        for node in stage.nodes:
            known = last.get(node.unit.id)
            if node.role is Role.PASS or node.unit.scm_name is None or node.unit.host is None:
                continue
            if known is None or node.role is Role.ACT:
                last[node.unit.id] = (node, stage.goal)
    yield from last.values()


def _now(
    node: Node, was: ServiceStatus, goal: State, survey: Survey, readings: Mapping[tuple[str, str], Reading]
) -> str:
    """What became of the unit, as far as it matters; "" if nothing does."""
    host = node.unit.host or ""
    said = survey.hosts.get(host)
    reading = readings.get((host, was.name.lower()))
    problem = said.problem if said is not None and said.problem is not None else reading.problem if reading else None
    if reading is None or not reading.found:
        if problem is None and reading is None:
            return "was not read now"
        if problem is None or problem.kind is ProblemKind.MISSING or problem.code == NO_SUCH_SERVICE:
            return "is gone"
        return f"can't be read: {problem_in_words(problem)}"
    now = reading.found[0]
    disabled = now.start_type is StartType.DISABLED and was.start_type is not StartType.DISABLED
    if disabled and node.role is Role.ACT:
        return "is Disabled"
    return "" if now.state in (was.state, goal) else f"is {now.state}"
