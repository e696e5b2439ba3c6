"""A row of the table, and how large the fleets are that it is measured on."""

from dataclasses import asdict, dataclass

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
