"""Looking at hosts without changing anything: what is there now, and what would hurt the night."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from orchestrator.domain.checkup import Checkup, GateCheck, HostCheck, UnitCheck, skew_said, unit_checks
from orchestrator.domain.cluster import GROUPS, RESOURCES, VALUES, clustered, roles
from orchestrator.domain.draft import Draft, Instance
from orchestrator.domain.errors import TRANSIENT, HostError, Problem, Refused
from orchestrator.domain.gates import Gate
from orchestrator.domain.keep_down import Record
from orchestrator.domain.kinds import is_service
from orchestrator.domain.service import Asked, Reading, StartType, State
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.domain.vital_services import CLUSTER_SERVICE
from orchestrator.engine.jobs.world import World
from orchestrator.engine.ports import HostFacts, Hosts, HostServices, may_be_cut
from orchestrator.engine.work.by_command import ByCommand, looks
from orchestrator.engine.work.keep_down import keeper
from orchestrator.engine.work.reader import Reader
from orchestrator.engine.work.sights import Eyes

SURVEY_TRIES = 3
SURVEY_RETRY_S = 1.0
CLUSTER_S = 20.0
SURVEY_PATIENCE_S = 10.0
"""A try that took longer than this met a silent host: a person waits, and asking again would take as long again."""


async def survey(
    questions: Mapping[str, Sequence[Asked]],
    hosts: Hosts,
    *,
    answered: Callable[[HostSurvey], None] = lambda _: None,
    dependents: bool = False,
) -> Survey:
    """Read every host's planned services, all hosts side by side, one exchange each. Changes nothing.

    With *dependents* also what needs those that do not stand still and was not asked for: one exchange more where there
    is any.

    Transient errors that come soon are tried again, `SURVEY_TRIES` times in all, with doubling waits; a host that
    doesn't answer becomes a `HostSurvey` with its problem. Never raises HostError.
    """

    async def one(host: str, asked: Sequence[Asked]) -> HostSurvey:
        found = await _surveyed(host, asked, hosts, dependents=dependents)
        answered(found)
        return found

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(host, asked)) for host, asked in questions.items() if asked]
    return Survey({task.result().host: task.result() for task in tasks})


async def _surveyed(host: str, asked: Sequence[Asked], hosts: Hosts, *, dependents: bool) -> HostSurvey:
    now_s = asyncio.get_running_loop().time
    for attempt in range(1, SURVEY_TRIES + 1):
        began_s = now_s()
        try:
            readings, unread = await _read(host, asked, hosts)
            above = await _dependents(readings, hosts.services(host)) if dependents else ()
        except HostError as error:
            hopeless = now_s() - began_s > SURVEY_PATIENCE_S or not isinstance(error, TRANSIENT)
            if hopeless or attempt == SURVEY_TRIES:
                return await _by_other_ways(host, asked, hosts, error.problem)
            await asyncio.sleep(SURVEY_RETRY_S * 2 ** (attempt - 1))
        else:
            owned, of_roles, unread = ({}, {}, unread) if unread else await _clustered(host, readings, hosts)
            return HostSurvey(
                host=host,
                readings=tuple(readings),
                booted_at=hosts.services(host).booted_at(),
                detour=hosts.detour(host),
                transport=hosts.transport(host),
                clustered=owned,
                roles=of_roles,
                cluster_unread=unread,
                kept_down=await _kept_down(host, readings, hosts),
                dependents=tuple(above),
            )
    raise AssertionError("the last try returns")


async def _by_other_ways(host: str, asked: Sequence[Asked], hosts: Hosts, problem: Problem) -> HostSurvey:
    """A host that gave no answer: what other hosts lead to as well is read through them, if nothing else was asked."""
    others = [question for question in asked if question.ways]
    if others and len(others) == len([question for question in asked if question.name != CLUSTER_SERVICE]):
        try:
            return HostSurvey(host=host, readings=tuple(await looks(host, hosts.command, others)))
        except HostError:
            pass
    return HostSurvey(host=host, problem=problem)


async def _read(host: str, asked: Sequence[Asked], hosts: Hosts) -> tuple[Sequence[Reading], str]:
    """The readings, in the order asked, and why the host can't be asked about its cluster."""
    others = [question for question in asked if not is_service(question.name)]
    if not others:
        return await _of_services(host, asked, hosts)
    of_scm = [question for question in asked if is_service(question.name)]
    readings, unread = await _of_services(host, of_scm, hosts) if of_scm else ((), "")
    found = {one.asked: one for one in (*readings, *await looks(host, hosts.command, others))}
    return [found[question] for question in asked if question in found], unread


async def _of_services(host: str, asked: Sequence[Asked], hosts: Hosts) -> tuple[Sequence[Reading], str]:
    """The same of services alone: a constrained endpoint may refuse a whole exchange for a name that is not on its
    list."""
    services = hosts.services(host)
    try:
        return await services.read(asked), ""
    except Refused:
        without = [question for question in asked if question.name != CLUSTER_SERVICE]
        if not without or len(without) == len(asked):
            raise
    return await services.read(without), f"the endpoint refuses to tell of {CLUSTER_SERVICE}"


async def _dependents(readings: Sequence[Reading], services: HostServices) -> Sequence[Reading]:
    """What needs the services of *readings* that do not stand still, directly or not, and is not among them. Where the
    host refuses to tell, the readings say so."""
    told: list[Reading] = []
    known = {status.name.lower() for reading in readings for status in reading.found} | {CLUSTER_SERVICE.lower()}
    while names := _above((*readings, *told), known):
        known |= names.keys()
        asked = [Asked(name) for name in names.values()]
        try:
            told += await services.read(asked)
        except Refused as error:
            told += [Reading(question, problem=error.problem) for question in asked]
    return told


def _above(readings: Sequence[Reading], known: AbstractSet[str]) -> dict[str, str]:
    """The names that need those of *readings*, without the *known* ones, by themselves in lower case."""
    return {
        name.lower(): name
        for reading in readings
        for status in reading.found
        if status.state is not State.STOPPED and status.name.lower() != CLUSTER_SERVICE.lower()
        for name in status.required_by
        if name.lower() not in known
    }


_Owned = tuple[dict[str, str], dict[str, str], str]


async def _clustered(host: str, readings: Sequence[Reading], hosts: Hosts) -> _Owned:
    """What a failover cluster owns on *host* and of which roles, as `domain.cluster` has it; why that can't be told.

    Asked of nodes alone: one program, and one more if it owns what was read; where the first prints more than is read,
    one more for each value that counts."""
    node = any(
        status.name.lower() == CLUSTER_SERVICE.lower() and status.state is State.RUNNING
        for reading in readings
        for status in reading.found
    )
    if not node:
        return {}, {}, ""
    command = hosts.command(host)
    try:
        said = await command.run("reg.exe", ["query", RESOURCES, "/s"], timeout_s=CLUSTER_S)
        if said.exit_code:
            return {}, {}, f"reg.exe ended with {said.exit_code}: {' '.join(said.output.split())}"
        if not may_be_cut(said.output):
            owned = clustered(said.output)
            if not any(status.name.lower() in owned for reading in readings for status in reading.found):
                return owned, {}, ""
            groups = await command.run("reg.exe", ["query", GROUPS, "/s"], timeout_s=CLUSTER_S)
            return owned, roles(said.output, groups.output), ""
        asked = (["query", RESOURCES, "/s", "/v", value] for value in VALUES)
        parts = [await command.run("reg.exe", one, timeout_s=CLUSTER_S) for one in asked]
    except HostError as error:
        return {}, {}, error.text
    cut = any(may_be_cut(part.output) for part in parts)
    found = clustered("\n".join(part.output for part in parts))
    return found, {}, "the cluster has more resources than are read" if cut else ""


async def _kept_down(host: str, readings: Sequence[Reading], hosts: Hosts) -> dict[str, Record]:
    """What is on record on *host* of services that are kept down: asked only where one is Disabled. One exchange; empty
    where it can't be told, so that a start is refused rather than tried."""
    seen = (status for reading in readings for status in reading.found)
    if all(status.start_type is not StartType.DISABLED for status in seen):
        return {}
    try:
        found = await keeper(host, hosts, tried_s=0.0).records(surely=False)
    except HostError:
        return {}
    return {record.service.lower(): record for record in found}


async def check(
    draft: Draft,
    questions: Mapping[str, Sequence[Asked]],
    world: World,
    *,
    answered: Callable[[HostSurvey], None] = lambda _: None,
) -> Checkup:
    """Reach every host of *questions*, read its services, rights and clock, and probe each gate once. Changes nothing.

    Gates of the hosts' instances and of external entries are probed; those of hosts that don't answer are not.
    """
    found = await survey(questions, world.hosts, answered=answered)
    reached = [host for host, said in found.hosts.items() if said.problem is None]
    async with asyncio.TaskGroup() as group:
        described = {host: group.create_task(_described(found.hosts[host], world.hosts)) for host in reached}
    readings = {
        (host, asked): reading
        for host in reached
        for asked, reading in zip(questions[host], found.hosts[host].readings, strict=True)
    }
    hosts = [
        _host_check(said, described[host].result() if host in described else None) for host, said in found.hosts.items()
    ]
    readers = {host: Reader(world.hosts.services(host)) for host in described}
    units: list[UnitCheck] = []
    gate_looks: list[Awaitable[list[GateCheck]]] = []
    for entry in draft.entries:
        for instance in entry.instances:
            if instance.host in described:
                told = [readings[instance.host, asked] for asked in instance.asked]
                facts, security = described[instance.host].result()
                said, sids = found.hosts[instance.host], facts.sids if facts else ()
                units += unit_checks(instance, told, security, sids, said.transport, said.kept_down)
                reader = _reader_of(instance, instance.host, readers[instance.host], world.hosts)
                gate_looks.append(_gate_checks(instance, told, world, reader))
            elif entry.external and instance.host is None:
                gate_looks.append(_gate_checks(instance, (), world, None))
        if entry.ready_all:
            eyes = Eyes(scm_name=None, reader=None, command=None, probe=world.probe, local=world.local)
            gate_looks.append(_looked(entry.key, [("ready_all", gate, False) for gate in entry.ready_all], eyes))
    gates = [row for rows in await asyncio.gather(*gate_looks) for row in rows]
    return Checkup(tuple(hosts), tuple(units), tuple(gates))


def _reader_of(instance: Instance, host: str, reader: Reader, hosts: Hosts) -> Reader:
    """What reads the instance's own state, and services of its host."""
    own = next((asked for asked in instance.asked if not is_service(asked.name)), None)
    if own is None:
        return reader
    return Reader(ByCommand(host, hosts.command, own, others=reader.read, control_s=0.0, booted_at=lambda: None))


_Described = tuple[HostFacts | None, dict[str, str | Problem]]


async def _described(found: HostSurvey, hosts: Hosts) -> _Described:
    """A host's facts and the security descriptors of its services; what it doesn't tell is left out."""
    services = hosts.services(found.host)
    names = [status.name for reading in found.readings for status in reading.found if is_service(status.name)]
    try:
        facts = await services.facts()
        descriptors = await services.security(names)
    except HostError as error:
        return None, {name.lower(): error.problem for name in names}
    return facts, {name.lower(): descriptor for name, descriptor in zip(names, descriptors, strict=True)}


def _host_check(found: HostSurvey, described: _Described | None) -> HostCheck:
    if found.problem is not None:
        advice = f"; {found.problem.hint}" if found.problem.hint else ""
        return HostCheck(host=found.host, ok=False, said=f"{found.problem.kind}: {found.problem.text}{advice}")
    facts = described[0] if described else None
    if facts is None:
        said = "it answers, but tells nothing of itself"
        return HostCheck(host=found.host, ok=True, said=said, detour=found.detour)
    said = skew_said(facts.clock_skew_s)
    return HostCheck(
        host=found.host,
        ok=not said,
        said=said,
        detour=found.detour,
        transport=facts.transport,
        computer_name=facts.computer_name,
        version=facts.version,
        clock_skew_s=facts.clock_skew_s,
    )


async def _gate_checks(
    instance: Instance, readings: Sequence[Reading], world: World, reader: Reader | None
) -> list[GateCheck]:
    states = [status for reading in readings for status in reading.found]
    running = all(status.state is State.RUNNING for status in states)
    stopped = all(status.state is State.STOPPED for status in states)
    eyes = Eyes(
        scm_name=states[0].name if states else None,
        reader=reader,
        command=world.hosts.command(instance.host) if instance.host else None,
        probe=world.probe,
        local=world.local,
    )
    gates = [("ready", gate, running) for gate in instance.ready]
    gates += [("stopped", gate, stopped and bool(states)) for gate in instance.stopped]
    if instance.stop_life is not None:
        gates += [("prechecks", gate, running) for gate in instance.stop_life.prechecks]
        gates += [("drained", gate, False) for gate in instance.stop_life.drained]
    return await _looked(instance.id, gates, eyes)


async def _looked(unit: str, gates: Sequence[tuple[str, Gate, bool]], eyes: Eyes) -> list[GateCheck]:
    """One look at each gate, which comes with when it has to hold and whether that is now."""
    sights = await asyncio.gather(*(eyes.look(gate) for _, gate, _ in gates))
    return [
        GateCheck(
            unit=unit,
            gate=f"{when}: {gate.words}",
            held=sight.held is True,
            saw=sight.saw,
            ok=sight.held is True or (sight.held is False and not due),
        )
        for (when, gate, due), sight in zip(gates, sights, strict=True)
    ]
