"""What a snapshot keeps of a survey, what a survey has to ask about one, and how the two differ.

Room: domain. A new PID is told and is no difference: the service was started again, and is where it was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.domain.draft import Draft
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.plan import Plan, Stage, Unit
from orchestrator.domain.planning.census import NO_SUCH_SERVICE, Census, problem_in_words
from orchestrator.domain.planning.graph import entry_graph
from orchestrator.domain.processes import has_restarted
from orchestrator.domain.service import Asked, Reading, ServiceStatus
from orchestrator.domain.survey import Survey


@dataclass(frozen=True, slots=True)
class Unread:
    """A unit, or an instance whose units are not known, that was not seen, and why."""

    unit: str
    why: str


def observed(draft: Draft, survey: Survey) -> tuple[tuple[Unit, ...], tuple[Unread, ...]]:
    """All units of the playbook as *survey* has them, in playbook order, and what it does not tell of."""
    census, units, unread = Census(survey), list[Unit](), list[Unread]()
    graph = entry_graph(draft)
    for entry, instance in graph.instances(graph.hosts):
        if not entry.external:
            units += census.units(instance)
            unread += [Unread(one.unit, one.reason.wrong) for one in census.troubles(instance)]
    return tuple(units), tuple(unread)


def questions_about(units: Iterable[Unit]) -> dict[str, tuple[Asked, ...]]:
    """What to ask which host to see *units* again: host -> questions, each once. A host that only leads to what others
    are asked about comes without any."""
    asked: dict[str, dict[str, Asked]] = {}
    for unit in units:
        if unit.host is not None and unit.scm_name is not None:
            question = Asked(unit.scm_name, by=unit.by, ways=unit.ways)
            asked.setdefault(unit.host, {})[unit.scm_name.lower()] = question
            for way in unit.ways:
                asked.setdefault(way, {})
    return {host: tuple(of_host.values()) for host, of_host in asked.items()}


class What(StrEnum):
    """In what a unit differs. PROCESS: it runs as another process; where it is, is where it was."""

    STATE = "state"
    START_TYPE = "start type"
    PROCESS = "process"
    UNREAD = "not read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One unit: what it was then and what it is now, in words. Of a PROCESS, `restarted` says whether its host has
    restarted in between (None: it does not tell)."""

    unit: str
    what: What
    was: str
    now: str
    restarted: bool | None = None


def differences(then: Sequence[Unit], survey: Survey) -> tuple[Difference, ...]:
    """How *then*, units as a snapshot has them, differ from *survey*, which asked `questions_about` them."""
    readings = {
        (host, reading.asked.name.lower()): reading for host, said in survey.hosts.items() for reading in said.readings
    }
    found: list[Difference] = []
    for unit in then:
        if unit.seen is not None and unit.host is not None:
            said = survey.hosts.get(unit.host)
            reading = readings.get((unit.host, unit.seen.name.lower()))
            restarted = has_restarted(unit.booted_at, said.booted_at if said else None)
            found += _differences(unit.id, unit.seen, _now(reading, said.problem if said else None), restarted)
    return tuple(found)


def as_seen(plan: Plan, survey: Survey) -> Plan:
    """*plan* with the units as *survey* has them: what a run of it goes back to is what was there when it began. A unit
    that was not read stays as it was. Cost: O(nodes + readings)."""
    now = {
        (host, reading.asked.name.lower()): status
        for host, said in survey.hosts.items()
        for reading in said.readings
        for status in reading.found
    }

    def again(stage: Stage) -> Stage:
        return replace(stage, nodes=tuple(replace(node, unit=_as_seen(node.unit, now, survey)) for node in stage.nodes))

    return replace(plan, stages=tuple(map(again, plan.stages)), back=tuple(map(again, plan.back)))


def _as_seen(unit: Unit, now: Mapping[tuple[str, str], ServiceStatus], survey: Survey) -> Unit:
    host = unit.host or ""
    status = now.get((host, (unit.scm_name or "").lower()))
    return unit if status is None else replace(unit, seen=status, booted_at=survey.hosts[host].booted_at)


def _now(reading: Reading | None, silent: Problem | None) -> ServiceStatus | str:
    """The service as it is, or why that is not known."""
    if reading is not None and reading.found:
        return reading.found[0]
    problem = silent or (reading.problem if reading else None)
    if problem is None or problem.kind is ProblemKind.MISSING or problem.code == NO_SUCH_SERVICE:
        return "there is no such service any more"
    return problem_in_words(problem)


def _differences(
    unit: str, was: ServiceStatus, now: ServiceStatus | str, restarted: bool | None
) -> Iterator[Difference]:
    if isinstance(now, str):
        yield Difference(unit=unit, what=What.UNREAD, was=was.state, now=now)
        return
    if now.state is not was.state:
        yield Difference(unit=unit, what=What.STATE, was=was.state, now=now.state)
    elif was.pid and now.pid and now.pid != was.pid:
        pids = {"was": f"PID {was.pid}", "now": f"PID {now.pid}"}
        yield Difference(unit=unit, what=What.PROCESS, **pids, restarted=restarted)
    if was.start_type and now.start_type and now.start_type is not was.start_type:
        yield Difference(unit=unit, what=What.START_TYPE, was=was.start_type, now=now.start_type)
