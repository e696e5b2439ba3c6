"""Services beside the playbook that run on the same host as what is stopped, and need it: they go down first.

What the playbook has on a host is not looked at here: the graph has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain.draft import Entry, OnDependents
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.plan import Unit
from orchestrator.domain.planning.census import NO_SUCH_SERVICE, Census
from orchestrator.domain.planning.graph import EntryGraph
from orchestrator.domain.planning.members import Members, ran
from orchestrator.domain.planning.stages import Riders
from orchestrator.domain.service import DOWN, ServiceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """A service of *host* that runs, or whose state is not known, and what of *needs* it needs, in playbook order.

    `entry` is the one of those that is stopped first.
    """

    host: str
    name: str
    found: ServiceStatus | Problem
    needs: tuple[Unit, ...]
    entry: Entry
    refused_by: tuple[str, ...]
    """The entries that do not want it to be stopped with them."""

    @property
    def instance(self) -> str:
        """The instance that it is stopped with."""
        return next(unit.instance for unit in self.needs if unit.service == self.entry.key)


def undeclared(graph: EntryGraph, census: Census, down: Members) -> Iterator[Dependent]:
    """What needs the units that *down* stops, runs, and is in no entry of the playbook.

    Cost: O(units of *down*), and for those that anything needs, O(instances + dependents).
    """
    above = list(running(census, down))
    if not above:
        return
    declared = _declared(graph, census, {host for host, _, _, _ in above})
    rank = {key: place for place, key in enumerate(graph.order)}
    for host, name, found, units in above:
        if (host, name.lower()) in declared:
            continue
        keys = list(dict.fromkeys(unit.service for unit in units))
        yield Dependent(
            host=host,
            name=name,
            found=found,
            needs=tuple(units),
            entry=graph.entries[max(keys, key=rank.__getitem__)],
            refused_by=tuple(key for key in keys if graph.entries[key].dependents is OnDependents.FAIL),
        )


def running(census: Census, down: Members) -> Iterator[tuple[str, str, ServiceStatus | Problem, Sequence[Unit]]]:
    """What runs, or may run, and needs units that *down* stops: its host, its name, what is known of it, those units.

    Cost: O(units of *down* + dependents).
    """
    needed = _needed(down)
    _inherit(needed, census)
    for (host, name), units in needed.items():
        found = census.beside(host, name)
        if found is not None and not _is_down(found) and any(map(ran, units)):
            yield host, found.name if isinstance(found, ServiceStatus) else _spelled(name, units), found, units


def _needed(down: Members) -> dict[tuple[str, str], list[Unit]]:
    """Host and name, in lower case, of whatever needs what *down* stops: those units."""
    needed: dict[tuple[str, str], list[Unit]] = {}
    for here in down.values():
        for _, units in here.values():
            for unit in units:
                if unit.seen is not None and unit.seen.required_by and unit.host is not None:
                    for name in unit.seen.required_by:
                        needed.setdefault((unit.host, name.lower()), []).append(unit)
    return needed


def _spelled(name: str, units: Sequence[Unit]) -> str:
    """*name* as the host spells it where it tells what needs *units*."""
    told = (other for unit in units if unit.seen for other in unit.seen.required_by)
    return next((other for other in told if other.lower() == name), name)


def _is_down(found: ServiceStatus | Problem) -> bool:
    if isinstance(found, Problem):
        return found.kind is ProblemKind.MISSING or found.code == NO_SUCH_SERVICE
    return found.state in DOWN


def _inherit(needed: dict[tuple[str, str], list[Unit]], census: Census) -> None:
    """What needs a dependent needs what that needs: hosts may tell the nearest alone."""
    queue = list(needed)
    for host, name in queue:  # grows while it is walked
        found = census.beside(host, name)
        for above in found.required_by if isinstance(found, ServiceStatus) else ():
            known = needed.setdefault((host, above.lower()), [])
            more = [unit for unit in needed[host, name] if unit not in known]
            if more:
                known += more
                queue.append((host, above.lower()))


def _declared(graph: EntryGraph, census: Census, hosts: set[str]) -> set[tuple[str, str]]:
    """The SCM services that the playbook has on *hosts*, in lower case."""
    declared: set[tuple[str, str]] = set()
    for entry in graph.entries.values():
        for instance in entry.instances:
            host = instance.host
            if host is not None and host in hosts:
                declared |= {(host, asked.name.lower()) for asked in instance.asked}
                declared |= {(host, (unit.scm_name or "").lower()) for unit in census.units(instance)}
    return declared


def riders(taken: Mapping[str, Unit], *members: Members) -> Riders:
    """Of each unit of *taken* (by id) what it needs of those that act beside it.

    A host that does not tell leaves all of its instance. Cost: O(units), none if nothing was taken in.
    """
    if not taken:
        return {}
    by_host: dict[str | None, dict[str, Unit]] = {unit.host: {} for unit in taken.values()}
    for acting in members:
        for here in acting.values():
            for _, units in here.values():
                for unit in units:
                    if unit.host in by_host:
                        by_host[unit.host][unit.id] = unit
    return {rider.id: tuple(_needed_by(rider, by_host[rider.host], taken)) for rider in taken.values()}


def _needed_by(rider: Unit, here: Mapping[str, Unit], taken: Mapping[str, Unit]) -> list[str]:
    name = (rider.scm_name or "").lower()
    told = [
        unit.id
        for unit in here.values()
        if unit.id != rider.id and unit.seen is not None and name in map(str.lower, unit.seen.required_by)
    ]
    own = (unit.id for unit in here.values() if unit.instance == rider.instance and unit.id not in taken)
    return told or list(own)
