"""The batches of one service in a stage: what stands between two of them, and what it waits for.

Between two batches there is a node that is no unit. It waits, softly, for all of the batch before: whoever failed there
holds it up until that is decided, and whoever was given up does not. The batch behind it waits for both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.domain.draft import Entry
from orchestrator.domain.plan import Barrier, Batch, Unit


class Gate(NamedTuple):
    """A node before a batch: what it is called, how long it waits for enough to be up, how long it pauses before that,
    and the barriers over the batch before."""

    unit: Unit
    timeout_s: float
    pause_s: float
    opens: tuple[int, ...]


@dataclass(slots=True)
class Batched:
    """The batches of *entry*, whose instances that act come in order. *at_least*: as many of all its instances have to
    be up before each of them, the first included."""

    entry: Entry
    sizes: Sequence[int]
    at_least: int | None = None
    nodes: dict[int, Batch] = field(default_factory=dict)
    """The nodes before batches, by their places in the stage."""
    members: list[tuple[int, ...]] = field(default_factory=list)
    """Where the units of each instance stand, riders aside."""
    _left: int = 0
    """How many instances the batch still takes."""
    _number: int = 0

    def make_room(self, place: int) -> int:
        """Where the next instance begins, if it would begin at *place*: behind a node of ours if its batch is full."""
        self._left -= 1
        if self._left >= 0:
            return place
        size, first = self.sizes[self._number], self._number == 0
        self._left = size - 1
        self._number += 1
        if first and self.at_least is None:
            return place
        pauses = None if first else self.entry.batches
        self.nodes[place] = Batch(
            number=self._number,
            of=len(self.sizes),
            size=size,
            pause_s=pauses.pause_s if pauses else 0.0,
            asks=pauses is not None and pauses.asks,
            at_least=self.at_least,
        )
        return place + 1

    def gates(self, barriers: list[Barrier]) -> Iterator[tuple[Gate | None, tuple[int, ...]]]:
        """Of each instance, in order: the node that stands right before it, if one does, and the barriers of its batch.

        They are added to *barriers* as this is walked.
        """
        begun, behind = 0, 0  # how many instances the batches before have, and those before the last of them
        if self.at_least is None:
            yield from [(None, ())] * self.sizes[0]
            begun = self.sizes[0]
        for place, batch in self.nodes.items():
            name = f"{self.entry.key}#{batch.number}"
            before = tuple(places for places in self.members[behind:begun] if places)
            opens: tuple[int, ...] = ()
            if before:
                opens = (len(barriers),)
                barriers.append(Barrier(name=name, instances=before, need=len(before), soft=True))
            barriers.append(Barrier(name=name, instances=((place,),), need=1))
            waits = (*opens, len(barriers) - 1)
            unit = Unit(id=name, service=self.entry.key, host=None, scm_name=None, instance=name)
            timeout_s = batch.pause_s if self.at_least is None else self.entry.instances[0].start_timeout_s
            yield Gate(unit, timeout_s, batch.pause_s, opens), waits
            yield from [(None, waits)] * (batch.size - 1)
            behind, begun = begun, begun + batch.size
