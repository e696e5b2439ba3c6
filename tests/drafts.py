"""Drafts and surveys in a line or two, for tests that plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain.draft import Dependency, Draft, Entry, Instance
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.gates import Gate, Origin, PortClosedCheck, TcpCheck
from orchestrator.domain.plan import Node, Stage
from orchestrator.domain.service import Asked, Reading, ServiceStatus, StartType, State
from orchestrator.domain.survey import HostSurvey, Survey

READY = Gate(check=TcpCheck(host="127.0.0.1", port=1433), origin=Origin.CONTROLLER)
READY_ON_HOST = Gate(check=TcpCheck(host="127.0.0.1", port=1433), origin=Origin.HOST)
CLOSED = Gate(check=PortClosedCheck(port=8080), origin=Origin.HOST)
NO_SUCH = Problem(ProblemKind.MISSING, "Cannot find any service with this name", code=1060)
DENIED = Problem(ProblemKind.REFUSED, "Zugriff verweigert", code=5)
SILENT = Problem(ProblemKind.UNREACHABLE, "no answer within 15 s")


def entry(
    key: str,
    hosts: str = "",
    *depends_on: str | Dependency,
    asked: Sequence[Asked] | None = None,
    of_instance: Mapping[str, Any] | None = None,
    **options: Any,
) -> Entry:
    """`entry("orders", "app-01 app-02", "sql")`; without *asked*, the SCM name is the key. *options* are Entry's."""
    names = () if options.get("external") else (Asked(key),) if asked is None else tuple(asked)
    places: Sequence[str | None] = hosts.split() or [None]
    return Entry(
        key=key,
        instances=tuple(
            Instance(
                id=key if host is None else f"{key}@{host}", service=key, host=host, asked=names, **(of_instance or {})
            )
            for host in places
        ),
        depends_on=tuple(Dependency(service=needed) if isinstance(needed, str) else needed for needed in depends_on),
        **options,
    )


def draft(*entries: Entry, **options: Any) -> Draft:
    """A draft of *entries*; its hosts are theirs."""
    hosts = dict.fromkeys(item.host for one in entries for item in one.instances if item.host is not None)
    return Draft(name="shop", entries=entries, hosts=tuple(hosts), **options)


def status(name: str, state: State = State.RUNNING, start_type: StartType | None = StartType.MANUAL) -> ServiceStatus:
    """One service as a host tells it."""
    return ServiceStatus(name=name, state=state, start_type=start_type)


def survey(
    of: Draft,
    state: State = State.RUNNING,
    *,
    but: Mapping[str, State | Problem | tuple[ServiceStatus, ...]] | None = None,
    silent: Sequence[str] = (),
) -> Survey:
    """Every service of *of* found in *state*, *but* for the instances named there; *silent* hosts don't answer."""
    exceptions = but or {}
    readings: dict[str, list[Reading]] = {host: [] for host in of.hosts}
    for one in of.entries:
        for item in one.instances:
            found = exceptions.get(item.id, state)
            for asked in item.asked:
                assert item.host is not None
                if isinstance(found, Problem):
                    reading = Reading(asked, problem=found)
                elif isinstance(found, State):
                    reading = Reading(asked, () if asked.pattern else (status(asked.name, found),))
                else:
                    reading = Reading(asked, tuple(s for s in found if asked.pattern or s.name == asked.name))
                readings[item.host].append(reading)
    return Survey(
        {
            host: HostSurvey(host=host, problem=SILENT)
            if host in silent
            else HostSurvey(host=host, readings=tuple(answers))
            for host, answers in readings.items()
        }
    )


def node_of(stage: Stage, unit: str) -> Node:
    """The node of *unit*; there must be exactly one."""
    found = [node for node in stage.nodes if node.unit.id == unit]
    assert len(found) == 1, f"{unit} stands {len(found)} times in the stage"
    return found[0]


def waits(stage: Stage, unit: str) -> set[str]:
    """The ids of the units whose barriers *unit* waits at."""
    return {
        stage.nodes[index].unit.id
        for barrier in node_of(stage, unit).waits_for
        for instance in stage.barriers[barrier].instances
        for index in instance
    }


def roles(stage: Stage) -> dict[str, str]:
    """Unit id -> role."""
    return {node.unit.id: str(node.role) for node in stage.nodes}
