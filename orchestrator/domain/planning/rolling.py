"""A rolling restart: which instances of a service go together, how many stay up, and what such a restart can't do.

Each unit goes down and comes up in one life, so there is no moment at which all is down: what needs that is refused.
"""

from collections.abc import Iterable, Iterator, Mapping

from orchestrator.domain.budget import Budget
from orchestrator.domain.draft import Draft, Entry, Instance
from orchestrator.domain.errors import Problem
from orchestrator.domain.plan import Down, Node, Role, Unit
from orchestrator.domain.planning import dependents, refusals
from orchestrator.domain.planning.between import untold_boots
from orchestrator.domain.planning.census import Census, named, problem_in_words
from orchestrator.domain.planning.choice import Choice
from orchestrator.domain.planning.graph import EntryGraph
from orchestrator.domain.planning.members import Members, ran
from orchestrator.domain.planning.refusals import Reason
from orchestrator.domain.planning.rolls import Roll, Rolling, WayDown


def rolling(draft: Draft, graph: EntryGraph, acting: Members) -> Rolling:
    """How the instances of *acting* go down and up. Cost: O(instances); those that say the same share a `Down`."""
    shared: dict[tuple[object, ...], WayDown] = {}
    downs: dict[str, WayDown] = {}
    for key, here in acting.items():
        for instance in graph.entries[key].instances:
            if instance.id in here:
                timing = instance.stop_timeout_s, instance.stop_expected_s
                says = (id(instance.stopped), id(instance.stop_life), *timing)
                if says not in shared:
                    shared[says] = _way_down(draft, instance)
                downs[instance.id] = shared[says]
    return Rolling({key: _roll(graph.entries[key], len(here)) for key, here in acting.items()}, downs)


def _way_down(draft: Draft, instance: Instance) -> WayDown:
    given_s = instance.stop_expected_s
    between_s = sum(hook.timeout_s for hook in draft.between) / 4
    return WayDown(
        Down(
            gates=instance.stopped,
            timeout_s=instance.stop_timeout_s,
            life=instance.stop_life,
            between=draft.between,
        ),
        (instance.stop_timeout_s / 4 if given_s is None else given_s) + between_s,
        given_s is None or bool(draft.between),
    )


def _roll(entry: Entry, acting: int) -> Roll:
    """The batches of *entry*, so many of whose instances act: as given, or of as many as may go, or one by one."""
    wanted = _at_least(entry)
    if entry.batches is not None:
        return Roll(entry.batches.of(acting), wanted)
    together = 1 if wanted is None else max(1, len(entry.instances) - wanted)
    whole, left = divmod(acting, together)
    return Roll([together] * whole + [left] * bool(left), wanted)


def _at_least(entry: Entry) -> int | None:
    return None if entry.min_available is None else entry.min_available.at_least(len(entry.instances))


def counted_beside(
    graph: EntryGraph, census: Census, rolls: Mapping[str, Roll], nodes: Iterable[Node]
) -> Iterator[Unit]:
    """The units of services with a count that none of *nodes* looks at. What nobody could be asked about is none: it
    counts as not up. Cost: O(instances of those services + nodes)."""
    counted = [key for key in graph.entries if key in rolls and rolls[key].at_least is not None]
    if not counted:
        return
    known = {node.unit.id for node in nodes if node.role is not Role.PASS}
    for key in counted:
        for instance in graph.entries[key].instances:
            yield from (unit for unit in _units(instance, census) if unit.id not in known)


def _units(instance: Instance, census: Census) -> Iterator[Unit]:
    """All units of *instance*: also those that its host does not have, without which it is not up."""
    if instance.host is None or census.host(instance.host).problem is not None:
        return
    found = census.units(instance)
    yield from found
    there = {(unit.scm_name or "").lower() for unit in found}
    for asked in instance.asked:
        if not asked.pattern and asked.name.lower() not in there:
            yield Unit(
                id=instance.id if len(instance.asked) == 1 else named(instance, asked.name),
                service=instance.service,
                host=instance.host,
                scm_name=asked.name,
                instance=instance.id,
                by=asked.by,
                ways=asked.ways,
            )


def refused(draft: Draft, graph: EntryGraph, census: Census, acting: Members, choice: Choice) -> Iterator[Reason]:
    """What such a restart of *acting* can't do. Cost: O(instances + edges + what SCMs tell of dependents)."""
    for key, here in acting.items():
        yield from _too_many(graph.entries[key], len(here))
    yield from _needed_on_its_host(census, acting)
    if not choice.ignore_dependents:
        yield from _needed_by_a_neighbour(graph, census, acting)
    if draft.between:
        yield from _two_on_a_host(acting)
        yield from untold_boots(
            draft, [unit for here in acting.values() for _, units in here.values() for unit in units]
        )


def _too_many(entry: Entry, acting: int) -> Iterator[Reason]:
    """A service of which nobody may go down, or not so many at once."""
    wanted, whole = _at_least(entry), len(entry.instances)
    if wanted is None or entry.min_available is None:
        return
    said = _in_words(entry.min_available, wanted)
    if wanted >= whole:
        yield refusals.nobody_may_go_down(entry.key, said, whole)
    elif entry.batches is not None:
        biggest = max(entry.batches.of(acting))
        if biggest > whole - wanted:
            yield refusals.batch_too_big(entry.key, biggest, said, whole, whole - wanted)


def _in_words(said: Budget, wanted: int) -> str:
    """`60%, so 3`, or `3`."""
    return f"{said.most}%, so {wanted}" if said.percent else str(wanted)


def _needed_on_its_host(census: Census, acting: Members) -> Iterator[Reason]:
    """Windows refuses to stop what a running service of the host needs, be it of the same instance: each unit goes down
    by itself."""
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for host, name, seen, units in dependents.running(census, acting):
        why = f"can't be read ({problem_in_words(seen)})" if isinstance(seen, Problem) else f"is {seen.state}"
        for unit in units:
            found.setdefault((name, unit.service, why), []).append((host, unit.id))
    for (name, _, why), places in found.items():
        yield refusals.needed_while_rolling([unit for _, unit in places], [host for host, _ in places], name, why)


def _needed_by_a_neighbour(graph: EntryGraph, census: Census, acting: Members) -> Iterator[Reason]:
    """A service of the playbook that runs on the same host, and needs it there, would run on without it."""
    for key, here in acting.items():
        for other, edge in graph.needed_by(key):
            if edge.soft or not edge.same_host or graph.entries[other].external:
                continue
            hosts = {units[0].host for _, units in here.values()}
            up = [
                unit.id
                for instance in graph.entries[other].instances
                if instance.host in hosts
                for unit in census.units(instance)
                if ran(unit)
            ]
            if up:
                yield refusals.would_run_on_without(up, key)


def _two_on_a_host(acting: Members) -> Iterator[Reason]:
    """What is done between would meet the other while it runs."""
    on_host: dict[str | None, list[Unit]] = {}
    for here in acting.values():
        for _, units in here.values():
            for unit in units:
                on_host.setdefault(unit.host, []).append(unit)
    crowded: dict[tuple[str, ...], list[list[Unit]]] = {}
    for together in on_host.values():
        if len(together) > 1:
            crowded.setdefault(tuple(dict.fromkeys(unit.service for unit in together)), []).append(together)
    for keys, places in crowded.items():
        yield refusals.two_on_a_host(keys, [unit.id for unit in places[0]], [str(units[0].host) for units in places])
