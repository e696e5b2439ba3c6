"""Who is what in a stage: the units that act, those that are looked at, and those that only hand the order on."""

from collections.abc import Callable, Mapping

from orchestrator.domain.draft import Entry, Instance
from orchestrator.domain.plan import Role, Unit
from orchestrator.domain.planning.graph import NOWHERE, EntryGraph, HostsOf, downstream, upstream, without
from orchestrator.domain.planning.stages import Member
from orchestrator.domain.service import DOWN

Members = Mapping[str, Mapping[str, Member]]
"""Entry key -> instance id -> what it is in a stage."""


def ran(unit: Unit) -> bool:
    """Whether the unit was running when it was seen; pending starts and paused ones count."""
    return unit.seen is not None and unit.seen.state not in DOWN


def acting_if(members: Members, acts: Callable[[Unit], bool]) -> Members:
    """The acting ones of *members*, and of those the units that *acts* picks."""
    picked: dict[str, dict[str, Member]] = {}
    for key, here in members.items():
        for instance, (role, units) in here.items():
            some = tuple(filter(acts, units)) if role is Role.ACT else ()
            if some:
                picked.setdefault(key, {})[instance] = (Role.ACT, some)
    return picked


def hosts_of(graph: EntryGraph, members: Members) -> HostsOf:
    """Where *members* are."""
    return {key: {one.host for one in graph.entries[key].instances if one.id in here} for key, here in members.items()}


def stopping(graph: EntryGraph, members: Members, acting: HostsOf) -> Members:
    """A stop stage: *members*, who act on the hosts *acting*, and those between them that hand the order on.

    An external entry with `stopped` gates is probed wherever it is connected to the acting ones.
    """
    above, below = upstream(graph, acting), downstream(graph, acting)
    others: dict[str, dict[str, Member]] = {}
    for key, entry in graph.entries.items():
        up, down = above.get(key, NOWHERE), below.get(key, NOWHERE)
        here = (up & down) - acting.get(key, NOWHERE)
        gated = (up | down) if entry.external else NOWHERE
        if here or gated:
            others[key] = {
                item.id: (Role.PROBE, (stand_in(item),)) if item.host in gated and item.stopped else passing(item)
                for item in entry.instances
                if item.host in here or (item.host in gated and item.stopped)
            }
    return _joined(members, others)


def starting(
    graph: EntryGraph, members: Members, acting: HostsOf, needed: Callable[[Entry, Instance], Member]
) -> Members:
    """A start stage: *members*, who act on the hosts *acting*, and what they need, which is what *needed* says."""
    others: dict[str, dict[str, Member]] = {}
    for entry, instance in graph.instances(without(upstream(graph, acting), acting)):
        others.setdefault(entry.key, {})[instance.id] = needed(entry, instance)
    return _joined(members, others)


def looked_at(instance: Instance, units: tuple[Unit, ...]) -> Member:
    """An instance that is probed if there is something to probe, and hands the order on in any case."""
    return (Role.PROBE, units) if units else passing(instance)


def external(instance: Instance) -> Member:
    """An instance of an external entry, which a start probes by its gates alone."""
    return looked_at(instance, (stand_in(instance),) if instance.ready else ())


def stand_in(instance: Instance) -> Unit:
    """The one unit of an instance whose SCM services are not looked at."""
    return Unit(id=instance.id, service=instance.service, host=instance.host, scm_name=None, instance=instance.id)


def passing(instance: Instance) -> Member:
    """An instance that only hands the order on."""
    return Role.PASS, (stand_in(instance),)


def _joined(members: Members, others: Members) -> Members:
    return {**members, **{key: {**members.get(key, {}), **more} for key, more in others.items()}}
