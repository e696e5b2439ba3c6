"""The ways to the hosts that a playbook names, made when a host is first named; their mistakes are kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, NamedTuple

from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import Gathered
from orchestrator.domain.inventory.connecting import connect
from orchestrator.domain.inventory.connection_values import is_plain_address
from orchestrator.domain.inventory.connection_variables import ADDRESS, ADDRESSES, OURS
from orchestrator.domain.inventory.model import Inventory, InventoryHost, Values
from orchestrator.domain.inventory.rendering import BY_HOST, Rendered
from orchestrator.domain.secrets import ASKED, Secret, embed
from orchestrator.domain.templates import Render


class Reach:
    """How hosts are reached. `made` has the ways of each host that was asked for, by name, in that order.

    *ask*: a way without a password of its own gets a reference to the one that was typed (`--ask-pass`). *reveal*
    resolves secret references: addresses and users may be values that ansible-vault has encrypted.
    """

    def __init__(
        self,
        inventory: Inventory,
        render: Render,
        *,
        ask: bool = False,
        reveal: Callable[[str], str] | None = None,
    ) -> None:
        self.made: dict[str, tuple[Connection, ...]] = {}
        self._inventory = inventory
        self._render = render
        self._ask = ask
        self._reveal = reveal
        self._found = Gathered()
        self._alike: dict[int, _Alike] = {}  # by the group variables' identity; the inventory keeps them alive

    def address_of(self, name: str) -> str:
        """The address of a host's first way; its name while its variables are wrong (`check` tells)."""
        known = self.made.get(name)
        if known is None:
            host = self._inventory.hosts[name]
            known = self._found.value(lambda: self._connect(host)) or (Connection(host=name, address=name, port=0),)
            self.made[name] = known
        return known[0].address

    def all(self, names: Iterable[str] | None = None) -> Mapping[str, tuple[Connection, ...]]:
        """The ways to *names* (None: every host of the inventory). Raises Mistakes."""
        for name in self._inventory.hosts if names is None else names:
            self.address_of(name)
        self._found.check()
        return self.made

    def check(self) -> None:
        """Raise the mistakes of all hosts that were asked for; one that many share through a group is told once."""
        self._found.check()

    def _connect(self, host: InventoryHost) -> tuple[Connection, ...]:
        """As `_checked`. That is dear, so hosts that differ by their address alone are checked once for all."""
        shared = id(host.variables.shared)
        alike = self._alike.get(shared)
        made = alike.at(host) if alike else None
        if made is None:
            variables = Rendered(host, self._render, self._reveal)
            made = self._checked(variables)
            if alike is None and _may_be_alike(host.variables, variables.leaned_on):
                self._alike[shared] = _Alike.of(made, variables.leaned_on)
        return made

    def _checked(self, variables: Rendered) -> tuple[Connection, ...]:
        made = connect(variables)
        if not self._ask:
            return made
        asked = Secret(embed(ASKED))
        return tuple(replace(way, password=asked) if way.password is None else way for way in made)


class _Alike(NamedTuple):
    """Ways that come from group variables, but for host and address.

    `leaned_on` are the names that its templates asked for: who has one of them itself may get something else.
    """

    rest: tuple[Mapping[str, Any], ...]
    leaned_on: frozenset[str]

    @classmethod
    def of(cls, made: Sequence[Connection], leaned_on: set[str]) -> "_Alike":
        names = [name for name in Connection.__slots__ if name not in ("host", "address")]
        return cls(tuple({name: getattr(way, name) for name in names} for way in made), frozenset(leaned_on))

    def at(self, host: InventoryHost) -> tuple[Connection, ...] | None:
        """The ways to *host*, which has the same group variables; None if it needs a check of its own."""
        variables = host.variables
        if not _says_address_alone(variables.own, self.leaned_on):
            return None
        own = variables.own.get(ADDRESS)
        address = host.name if own is None else own.value
        if not isinstance(address, str) or not is_plain_address(address):
            return None
        return tuple([Connection(host=host.name, address=address, **rest) for rest in self.rest])


def _may_be_alike(variables: Values, leaned_on: AbstractSet[str]) -> bool:
    """Whether hosts with the same group variables can have the same ways, but for the address that they say."""
    return (
        leaned_on.isdisjoint(BY_HOST)
        and ADDRESSES.isdisjoint(variables.shared)
        and _says_address_alone(variables.own, leaned_on)
    )


def _says_address_alone(own: Iterable[str], leaned_on: AbstractSet[str]) -> bool:
    """Whether all that a host itself says of its connection, in templates of its groups too, is its address."""
    return not any(name in leaned_on or (name != ADDRESS and name.startswith(OURS)) for name in own)
