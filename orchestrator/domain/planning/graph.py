"""Which entries need which, and how far a need reaches.

Works on entries and sets of hosts, never on pairs of units: a reach costs O(entries + edges), plus the hosts of
`same_host` edges.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import networkx

from orchestrator.domain.draft import Dependency, Draft, Entry, Instance

Hosts = AbstractSet[str | None]
HostsOf = Mapping[str, Hosts]
"""Instances, as entry key -> hosts. An external entry without hosts has the one host None."""
NOWHERE: Hosts = frozenset()
Edges = Sequence[tuple[str, Dependency]]


@dataclass(frozen=True, slots=True)
class EntryGraph:
    """The entries of a draft, looked up by key.

    `services` points from what is needed to what needs it, each arrow with its Dependency as `edge`. `order` has what
    is needed before what needs it.
    """

    entries: Mapping[str, Entry]
    services: "networkx.DiGraph[str]"
    order: tuple[str, ...]
    hosts: HostsOf

    def needs(self, key: str) -> Edges:
        """What the entry needs, in the order in which the playbook names it."""
        return [(other, arrow["edge"]) for other, _, arrow in self.services.in_edges(key, data=True)]

    def needed_by(self, key: str) -> Edges:
        """What needs the entry, in playbook order."""
        return [(other, arrow["edge"]) for _, other, arrow in self.services.out_edges(key, data=True)]

    def instances(self, chosen: HostsOf) -> Iterable[tuple[Entry, Instance]]:
        """The instances that *chosen* names, in playbook order."""
        for key, entry in self.entries.items():
            hosts = chosen.get(key, NOWHERE)
            if hosts:
                yield from ((entry, instance) for instance in entry.instances if instance.host in hosts)


def entry_graph(draft: Draft) -> EntryGraph:
    """The graph of a draft, whose readers have refused circles and unknown names already."""
    entries = {entry.key: entry for entry in draft.entries}
    services: networkx.DiGraph[str] = networkx.DiGraph()
    services.add_nodes_from(entries)
    services.add_edges_from(
        (edge.service, key, {"edge": edge}) for key, entry in entries.items() for edge in entry.depends_on
    )
    return EntryGraph(
        entries=entries,
        services=services,
        order=tuple(networkx.topological_sort(services)),
        hosts={key: frozenset(instance.host for instance in entry.instances) for key, entry in entries.items()},
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


def _reach(graph: EntryGraph, seeds: HostsOf, order: Iterable[str], edges: Callable[[str], Edges]) -> HostsOf:
    reached = dict(seeds)
    for key in order:
        here = reached.get(key)
        if not here:
            continue
        for other, edge in edges(key):
            everywhere = graph.hosts[other]
            already = reached.get(other, NOWHERE)
            if edge.soft or already is everywhere:
                continue
            reached[other] = already | (here & everywhere) if edge.same_host else everywhere
    return reached
