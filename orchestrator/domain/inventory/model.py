"""Hosts, groups and their variables, merged by Ansible's rules. Variables hold the raw text: templates unrendered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.domain.errors import Mark
from orchestrator.domain.tree import Node


@dataclass(frozen=True, slots=True)
class InventoryHost:
    """One host. `groups` are all groups that it is in, sorted, without `all`: Ansible's `group_names`.

    `marks` has the place of each variable's value.
    """

    name: str
    variables: Mapping[str, object]
    groups: tuple[str, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InventoryGroup:
    """One group. `listed` are the hosts that it names itself, `hosts` those of its children too, in Ansible's order.

    Ansible's order: the group's own hosts, its children's in the order they are listed, then their children's.
    """

    name: str
    children: tuple[str, ...]
    listed: tuple[str, ...]
    hosts: tuple[str, ...]
    depth: int = 0
    priority: int = 1


@dataclass(frozen=True, slots=True)
class Inventory:
    """All hosts and groups.

    `hosts` stands in the order of `ansible all --list-hosts`, `groups` in the order in which the file names them,
    `all` and `ungrouped` first. `as_written` has the hosts in the order in which the file names them.
    """

    file: str
    hosts: Mapping[str, InventoryHost]
    groups: Mapping[str, InventoryGroup]
    as_written: tuple[str, ...]


class Values(Mapping[str, object]):
    """The variables of a host: its own over those of its groups, which it shares with others. Looking up is O(1)."""

    __slots__ = ("_own", "_shared")

    def __init__(self, own: Mapping[str, Node], shared: Mapping[str, Node]) -> None:
        self._own = own
        self._shared = shared

    def node(self, name: str) -> Node:
        """The variable with its place. Raises KeyError."""
        found = self._own.get(name)
        return self._shared[name] if found is None else found

    def __getitem__(self, name: str) -> object:
        return self.node(name).plain()

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._shared

    def __iter__(self) -> Iterator[str]:
        yield from self._shared
        for name in self._own:
            if name not in self._shared:
                yield name

    def __len__(self) -> int:
        return len(self._shared) + sum(name not in self._shared for name in self._own)

    def __repr__(self) -> str:
        return repr(dict(self))


class Marks(Mapping[str, Mark]):
    """Where the values of `Values` stand."""

    __slots__ = ("_values",)

    def __init__(self, values: Values) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Mark:
        return self._values.node(name).mark

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
