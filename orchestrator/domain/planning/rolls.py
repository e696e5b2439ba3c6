"""What makes a start stage a rolling restart: who goes with whom, and how each goes down before it comes up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.domain.plan import Down


class Roll(NamedTuple):
    """How many instances of a service each batch has, and how many of all have to be up before each (None: nobody
    counts)."""

    sizes: Sequence[int]
    at_least: int | None


class WayDown(NamedTuple):
    """The way down of an instance's nodes, how long it is expected to take, and whether that is guessed."""

    down: Down
    expected_s: float
    guessed: bool


@dataclass(frozen=True, slots=True)
class Rolling:
    """A Roll for each acting entry, by key, and a WayDown for each acting instance, by id."""

    rolls: Mapping[str, Roll]
    downs: Mapping[str, WayDown]


NOTHING_ROLLS = Rolling({}, {})
"""Of any other stage."""
