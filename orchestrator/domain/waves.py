"""The waves of a stage: how it is drawn. A run goes unit by unit."""

from graphlib import TopologicalSorter

from orchestrator.domain.plan import Node, Role, Stage


def waves(stage: Stage) -> list[int]:
    """The wave of each node, from 0: the longest way to it, counted in units that are looked at or acted on.

    A node that only hands the order on, or stands between batches, takes no wave of its own; nor does a batch of a
    rolling restart, of which there may be as many as units. Cost: O(nodes + edges).
    """
    count = len(stage.nodes)
    wave, opens = [0] * count, [0] * len(stage.barriers)
    waits: dict[int, list[int]] = {
        index: [count + barrier for barrier in node.waits_for] for index, node in enumerate(stage.nodes)
    }
    for index, barrier in enumerate(stage.barriers, start=count):
        waits[index] = [node for instance in barrier.instances for node in instance]
    batches = {node.unit.id for node in stage.nodes if node.batch is not None} if stage.rolling else ()
    for place in TopologicalSorter(waits).static_order():
        if place < count:
            wave[place] = max((opens[barrier] for barrier in stage.nodes[place].waits_for), default=0)
        elif stage.barriers[place - count].name not in batches:
            ends = (wave[node] + _is_looked_at(stage.nodes[node]) for node in waits[place])
            opens[place - count] = max(ends, default=0)
    return wave


def _is_looked_at(node: Node) -> bool:
    return node.role is not Role.PASS and node.batch is None
