"""The connections of the hosts that a playbook names, made when a host is first named; their mistakes are kept."""

from dataclasses import replace

from orchestrator.domain.connection import Connection, Transport
from orchestrator.domain.errors import Gathered, Mark, Mistake, Mistakes
from orchestrator.domain.inventory.connecting import connect
from orchestrator.domain.inventory.model import Inventory, InventoryHost
from orchestrator.domain.secrets import ASKED, Secret, embed
from orchestrator.domain.templates import Render


class Reach:
    """How hosts are reached. `made` has each host that was asked for, by name, in that order.

    *ask*: a host without a password of its own gets a reference to the one that was typed (`--ask-pass`).
    """

    def __init__(self, inventory: Inventory, render: Render, *, ask: bool = False) -> None:
        self.made: dict[str, Connection] = {}
        self._inventory = inventory
        self._render = render
        self._ask = ask
        self._found = Gathered()

    def address_of(self, name: str) -> str:
        """The address of a host of the inventory; its name while its variables are wrong (`check` tells)."""
        known = self.made.get(name)
        if known is None:
            host = self._inventory.hosts[name]
            known = self._found.value(lambda: self._connect(host)) or Connection(host=name, address=name, port=0)
            self.made[name] = known
        return known.address

    def check(self) -> None:
        """Raise the mistakes of all hosts that were asked for; one that many share through a group is told once."""
        self._found.check()

    def _connect(self, host: InventoryHost) -> Connection:
        made = connect(host, self._render)
        if made.transport is Transport.SSH:
            mark = host.marks.get("ansible_connection", Mark(self._inventory.file, 1, 1))
            right = "write psrp (WinRM); a host that only SSH reaches can be left out with `hosts: all:!NAME`"
            raise Mistakes([Mistake(mark, f"{host.name}: SSH is not supported yet", right)])
        if self._ask and made.password is None:
            return replace(made, password=Secret(embed(ASKED)))
        return made
