"""Who depends on whom: every name must be a service's, and nobody may wait for itself.

graphlib finds the circles, although plans are made with networkx: importing that takes half as long as all of
`orch validate`.
"""

from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from orchestrator.domain.errors import Mark
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.values import nearest

MOST_CIRCLES = 20


def check_order(needs: Mapping[str, Sequence[str]], mark: Callable[[str, str], Mark], found: Findings) -> None:
    """Check the graph of *needs*, from each service to those that it depends on.

    *mark* says where the dependency of one on the other stands. Cost: O(services + edges) for each circle.
    """
    known = sorted(needs)
    graph: dict[str, list[str]] = {}
    for key, dependencies in needs.items():
        graph[key] = []
        for dependency in dependencies:
            if dependency == key:
                found.add(mark(key, key), f"{key!r} depends on itself", "remove it from its `depends_on`")
            elif dependency not in needs:
                found.add(
                    mark(key, dependency), f"{dependency!r} is no service of this playbook", nearest(dependency, known)
                )
            else:
                graph[key].append(dependency)
    for _ in range(MOST_CIRCLES):
        circle = _circle(graph)
        if circle is None:
            return
        places = [f"{one} -> {other} at {mark(one, other)}" for one, other in zip(circle, circle[1:], strict=False)]
        found.add(
            mark(circle[0], circle[1]),
            "services depend on each other in a circle: " + " -> ".join(circle),
            "remove one of: " + ", ".join(places),
        )
        graph[circle[0]].remove(circle[1])


def _circle(graph: Mapping[str, Sequence[str]]) -> list[str] | None:
    """One circle as `a -> b -> a` in the direction of `depends_on`, from the service that is listed first in it."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib tells it from dependency to dependent.
        circle: list[str] = list(reversed(error.args[1]))[:-1]
        order = list(graph)
        first = min(range(len(circle)), key=lambda index: order.index(circle[index]))
        turned = circle[first:] + circle[:first]
        return [*turned, turned[0]]
    return None
