"""How many of some, as a playbook says it: a number, or a percentage."""

from typing import NamedTuple


class Budget(NamedTuple):
    """So many, or a percentage: of the units that may fail, of a batch's instances, of those that have to be up."""

    most: int
    percent: bool = False

    def of(self, units: int) -> int:
        """The number for a run of so many *units*: a percentage is rounded down, but is one unit at least."""
        return max(1, units * self.most // 100) if self.percent else self.most

    def at_least(self, units: int) -> int:
        """The number of so many *units* where fewer would be too few: a percentage is rounded up."""
        return -(-units * self.most // 100) if self.percent else self.most
