"""How many may fail, as a playbook says it."""

from typing import NamedTuple


class Budget(NamedTuple):
    """A `max_failures`: a number of units, or a percentage of those that a run acts on."""

    most: int
    percent: bool = False

    def of(self, units: int) -> int:
        """The number for a run of so many *units*: a percentage is rounded down, but is one unit at least."""
        return max(1, units * self.most // 100) if self.percent else self.most
