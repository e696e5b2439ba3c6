"""How long a stage will take, and who should go first: ranks, the critical path, and the makespan under limits.

Room: domain. Durations are expectations frozen into the nodes (`expected_s` includes the gates); nothing is measured.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from heapq import heappop, heappush
from operator import itemgetter

from orchestrator.domain.plan import Barrier, Role, Stage
from orchestrator.domain.results import Outcome
from orchestrator.domain.schedule import Schedule

_FIRST = itemgetter(0)


def complete(stage: Stage) -> Stage:
    """The *stage* with every rank, its critical path, and its estimated duration filled in.

    Raises:
        ValueError: the graph has a circle.
    Cost: O((nodes + edges) log nodes).
    """
    graph = _graph(stage)
    ranks = zip(stage.nodes, ranks_s(graph, expectations_s(stage)), strict=True)
    return foretold(replace(stage, nodes=tuple(replace(node, rank_s=rank_s) for node, rank_s in ranks)), graph)


def foretold(stage: Stage, graph: "Graph") -> Stage:
    """The *stage*, whose nodes hold their ranks, with its critical path and its estimated duration filled in.

    For a planner, which ranks before it makes the nodes; *graph* is the stage's own.
    Cost: O((nodes + edges) log nodes).
    """
    path, unhindered_s = _critical_path(stage, graph, expectations_s(stage))
    return replace(stage, critical_path=path, expected_s=makespan_s(stage) if _hindered(stage) else unhindered_s)


def expectations_s(stage: Stage) -> list[float]:
    """How long each node is expected to take; one that only hands the order on takes no time."""
    return [0.0 if node.role is Role.PASS else node.expected_s for node in stage.nodes]


def ranks_s(graph: "Graph", expected_s: Sequence[float]) -> list[float]:
    """Per node, the longest expected way from its beginning to the stage's end, itself included.

    Cost: O(nodes + edges).
    """
    count = len(expected_s)
    rank_s = [0.0] * len(graph.order)
    for place in reversed(graph.order):
        way_s = max([rank_s[later] for later in graph.ends[place]], default=0.0)
        if place < count:
            way_s += expected_s[place]
            for follower in graph.begins.get(place, ()):  # held up by the beginning alone
                way_s = max(way_s, rank_s[follower])
        rank_s[place] = way_s
    return rank_s[:count]


def critical_path(stage: Stage) -> tuple[int, ...]:
    """The nodes, first to last, whose expected durations add up to the earliest end of the stage without limits.

    A barrier that needs fewer instances than it has opens with the need-th to be ready. Nodes that only hand the
    order on are left out.
    """
    return _critical_path(stage, _graph(stage), expectations_s(stage))[0]


def _critical_path(stage: Stage, graph: "Graph", expected_s: Sequence[float]) -> tuple[tuple[int, ...], float]:
    """The path, and when it ends."""
    nodes, count = stage.nodes, len(stage.nodes)
    begin_s, end_s, cause = [0.0] * count, [0.0] * count, [-1] * count
    opened: list[tuple[float, int]] = [(0.0, -1)] * len(stage.barriers)
    for place in graph.order:
        if place >= count:
            opened[place - count] = _opens(stage.barriers[place - count], end_s)
            continue
        node = nodes[place]
        begins_s, because = 0.0, -1
        if node.waits_for:
            begins_s, because = max([opened[barrier] for barrier in node.waits_for], key=_FIRST)
        before = node.begins_after
        if before is not None and (begin_s[before] > begins_s or not node.waits_for):
            begins_s, because = begin_s[before], cause[before]
        begin_s[place], cause[place], end_s[place] = begins_s, because, begins_s + expected_s[place]
    path: list[int] = []
    last = place = max(range(count), key=end_s.__getitem__, default=-1)
    while place >= 0:
        if nodes[place].role is not Role.PASS:
            path.append(place)
        place = cause[place]
    return tuple(reversed(path)), end_s[last] if count else 0.0


def _hindered(stage: Stage) -> bool:
    """Whether limits may hold somebody up, or a barrier is none that can open; if not, the critical path is all.

    Counted in nodes, of which there are at least as many as instances.
    """
    limits, nodes = stage.limits, stage.nodes
    if (limits.run is not None and limits.run < len(nodes)) or limits.zone is not None:
        return True
    if limits.host is not None:
        crowded = Counter([node.unit.host for node in nodes if node.unit.host is not None]).most_common(1)
        if crowded and crowded[0][1] > limits.host:
            return True
    if limits.services:
        of_service = Counter([node.unit.service for node in nodes])
        if any(of_service[service] > most for service, most in limits.services):
            return True
    return any(barrier.need > len(barrier.instances) or () in barrier.instances for barrier in stage.barriers)


def _opens(barrier: Barrier, end_s: Sequence[float]) -> tuple[float, int]:
    """When *barrier* opens, and the node that opens it (-1: nobody)."""
    ends = [max((end_s[node], node) for node in group) for group in barrier.instances if group]
    if barrier.soft:
        return max(ends, default=(0.0, -1))
    needed = min(barrier.need, len(ends))
    if needed == len(ends):
        return max(ends, default=(0.0, -1))
    return sorted(ends)[needed - 1] if needed > 0 else (0.0, -1)


def makespan_s(stage: Stage) -> float:
    """How long the *stage* takes if every node ends well in its expected time, limits included.

    Played through with the conductor's own policy. A node that can never begin is left out.
    Cost: O((nodes + edges) log nodes).
    """
    schedule, expected_s = Schedule(stage), expectations_s(stage)
    under_way: list[tuple[float, int]] = []
    now_s = 0.0
    while True:
        while (node := schedule.next_node()) is not None:
            schedule.begin(node)
            heappush(under_way, (now_s + expected_s[node], node))
        if not under_way:
            return now_s
        now_s = under_way[0][0]
        while under_way and under_way[0][0] == now_s:
            schedule.end(heappop(under_way)[1], Outcome.OK)


def _graph(stage: Stage) -> "Graph":
    return Graph([n.waits_for for n in stage.nodes], [n.begins_after for n in stage.nodes], stage.barriers)


class Graph:
    """A stage's arrows, from its columns. A place is a node, or a barrier numbered on from the nodes.

    `ends` and `begins`: who may go on when a place ends (barrier: opens) or begins. `order`: all places, each after
    those it waits for. Raises ValueError if there is a circle. Cost: O(nodes + edges).
    """

    def __init__(
        self, waits_for: Sequence[Sequence[int]], begins_after: Sequence[int | None], barriers: Sequence[Barrier]
    ) -> None:
        count = len(waits_for)
        self.ends: list[list[int]] = [[] for _ in range(count + len(barriers))]
        self.begins: dict[int, list[int]] = {}
        waits_left = [len(waits) for waits in waits_for]
        for node, waits in enumerate(waits_for):
            for barrier in waits:
                self.ends[count + barrier].append(node)
        for node, before in enumerate(begins_after):
            if before is not None:
                self.begins.setdefault(before, []).append(node)
                waits_left[node] += 1
        for place, gathering in enumerate(barriers, start=count):
            waits_left.append(0)
            for group in gathering.instances:
                waits_left[place] += len(group)
                for node in group:
                    self.ends[node].append(place)
        self.order = self._sorted(waits_left)

    def _sorted(self, waits_left: list[int]) -> list[int]:
        """Kahn 1962."""
        order = [place for place, left in enumerate(waits_left) if left == 0]
        for place in order:  # grows while it is walked
            for later in (*self.ends[place], *self.begins.get(place, ())):
                waits_left[later] -= 1
                if waits_left[later] == 0:
                    order.append(later)
        if len(order) < len(waits_left):
            raise ValueError("the stage's graph has a circle")
        return order
