"""A row of the table, and how large the fleets are that it is measured on."""

from dataclasses import asdict, dataclass

_TRY = 0.1
WIRE_NAMES = {"winrm": "WinRM, NTLM with encryption", "ssh": "SSH, sc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `met` is None where there is no goal."""

    name: str
    measured: str
    reference: str = ""
    goal: str = ""
    met: bool | None = None
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the fleets are, of what the goals are stated for (1.0 is all of it), and in how many rounds CPU is
    measured."""

    factor: float = 1.0
    rounds: int = 3

    def hosts(self, whole: int) -> int:
        """A fleet of *whole* hosts, scaled."""
        return max(3, round(whole * self.factor))

    def slope(self, small: int, large: int) -> tuple[int, int]:
        """Two fleets, scaled, between which the cost of a host is taken. A small try has one: the other is of nobody,
        and the cost of a start stays in."""
        if self.factor < _TRY:
            return 0, self.hosts(large)
        return self.hosts(small), max(self.hosts(large), self.hosts(small) + 3)
