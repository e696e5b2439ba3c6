"""The batches of one service in a stage: what stands between two of them, and what it waits for.

Between two batches there is a node that is no unit. It waits, softly, for all of the batch before: whoever failed there
holds it up until that is decided, and whoever was given up does not. The batch behind it waits for both.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.domain.draft import Entry
from orchestrator.domain.plan import Barrier, Batch, Unit


class Gate(NamedTuple):
    """A node between two batches: what it is called, how long it pauses, and the barriers over the batch before."""

    unit: Unit
    pause_s: float
    opens: tuple[int, ...]


@dataclass(slots=True)
class Batched:
    """The batches of *entry*, whose instances that act come in order. *sizes* has two items at least."""

    entry: Entry
    sizes: list[int]
    nodes: dict[int, Batch] = field(default_factory=dict)
    """The nodes between batches, by their places in the stage."""
    members: list[tuple[int, ...]] = field(default_factory=list)
    """Where the units of each instance stand, riders aside."""
    _left: int = 0

    def __post_init__(self) -> None:
        self._left = self.sizes[0]

    def make_room(self, place: int) -> int:
        """Where the next instance begins, if it would begin at *place*: behind a node of ours if its batch is full."""
        self._left -= 1
        if self._left >= 0:
            return place
        batches, number = self.entry.batches, len(self.nodes) + 2
        assert batches is not None
        size = self.sizes[number - 1]
        self._left = size - 1
        self.nodes[place] = Batch(
            number=number, of=len(self.sizes), size=size, pause_s=batches.pause_s, asks=batches.asks
        )
        return place + 1

    def gates(self, barriers: list[Barrier]) -> Iterator[tuple[Gate | None, tuple[int, ...]]]:
        """Of each instance, in order: the node that stands right before it, if one does, and the barriers of its batch.

        They are added to *barriers* as this is walked.
        """
        yield from [(None, ())] * self.sizes[0]
        first = 0
        for (place, batch), size in zip(self.nodes.items(), self.sizes, strict=False):
            name = f"{self.entry.key}#{batch.number}"
            before = tuple(places for places in self.members[first : first + size] if places)
            opens: tuple[int, ...] = ()
            if before:
                opens = (len(barriers),)
                barriers.append(Barrier(name=name, instances=before, need=len(before), soft=True))
            barriers.append(Barrier(name=name, instances=((place,),), need=1))
            waits = (*opens, len(barriers) - 1)
            unit = Unit(id=name, service=self.entry.key, host=None, scm_name=None, instance=name)
            yield Gate(unit, batch.pause_s, opens), waits
            yield from [(None, waits)] * (batch.size - 1)
            first += size
