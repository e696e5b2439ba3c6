"""Which entries need which, and how far a need reaches.

Works on entries and sets of hosts, never on pairs of units: a reach costs O(entries + edges), plus the hosts of
`same_host` edges.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from graphlib import TopologicalSorter

from orchestrator.domain.draft import Dependency, Draft, Entry, Instance

Hosts = AbstractSet[str | None]
HostsOf = Mapping[str, Hosts]
"""Instances, as entry key -> hosts. An external entry without hosts has the one host None."""
NOWHERE: Hosts = frozenset()
Edges = Mapping[str, tuple[tuple[str, Dependency], ...]]


@dataclass(frozen=True, slots=True)
class EntryGraph:
    """The entries of a draft, looked up by key. `order` has what is needed before what needs it."""

    entries: Mapping[str, Entry]
    order: tuple[str, ...]
    hosts: HostsOf
    needs: Edges
    needed_by: Edges

    def instances(self, chosen: HostsOf) -> Iterable[tuple[Entry, Instance]]:
        """The instances that *chosen* names, in playbook order."""
        for key, entry in self.entries.items():
            hosts = chosen.get(key, NOWHERE)
            if hosts:
                yield from ((entry, instance) for instance in entry.instances if instance.host in hosts)


def entry_graph(draft: Draft) -> EntryGraph:
    """The graph of a draft, whose readers have refused circles and unknown names already."""
    entries = {entry.key: entry for entry in draft.entries}
    needs = {key: tuple((edge.service, edge) for edge in entry.depends_on) for key, entry in entries.items()}
    needed_by: dict[str, list[tuple[str, Dependency]]] = {key: [] for key in entries}
    for key, edges in needs.items():
        for service, edge in edges:
            needed_by[service].append((key, edge))
    order = TopologicalSorter({key: [service for service, _ in edges] for key, edges in needs.items()})
    return EntryGraph(
        entries=entries,
        order=tuple(order.static_order()),
        hosts={key: frozenset(instance.host for instance in entry.instances) for key, entry in entries.items()},
        needs=needs,
        needed_by={key: tuple(edges) for key, edges in needed_by.items()},
    )


def upstream(graph: EntryGraph, seeds: HostsOf) -> HostsOf:
    """*seeds* and all that they need, directly or not. Soft edges are no need."""
    return _reach(graph, seeds, reversed(graph.order), graph.needs)


def downstream(graph: EntryGraph, seeds: HostsOf) -> HostsOf:
    """*seeds* and all that needs them, directly or not. Soft edges are no need."""
    return _reach(graph, seeds, graph.order, graph.needed_by)


def without(hosts: HostsOf, others: HostsOf) -> HostsOf:
    """The instances of *hosts* that are not among *others*."""
    left = {key: here - others.get(key, NOWHERE) for key, here in hosts.items()}
    return {key: here for key, here in left.items() if here}


def _reach(graph: EntryGraph, seeds: HostsOf, order: Iterable[str], edges: Edges) -> HostsOf:
    reached = dict(seeds)
    for key in order:
        here = reached.get(key)
        if not here:
            continue
        for other, edge in edges[key]:
            everywhere = graph.hosts[other]
            already = reached.get(other, NOWHERE)
            if edge.soft or already is everywhere:
                continue
            reached[other] = already | (here & everywhere) if edge.same_host else everywhere
    return reached
