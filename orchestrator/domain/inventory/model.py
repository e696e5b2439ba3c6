"""Hosts, groups and their variables, merged by Ansible's rules. Variables hold the raw text: templates unrendered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.domain.errors import Mark
from orchestrator.domain.numerous import numerous
from orchestrator.domain.tree import Node


class Values(Mapping[str, object]):
    """The variables of a host: its `own` over the `shared` ones, one mapping for all hosts in the same groups.

    Looking up is O(1).
    """

    __slots__ = ("own", "shared")

    def __init__(self, own: Mapping[str, Node], shared: Mapping[str, Node]) -> None:
        self.own = own
        self.shared = shared

    def node(self, name: str) -> Node:
        """The variable with its place. Raises KeyError."""
        found = self.own.get(name)
        return self.shared[name] if found is None else found

    def __getitem__(self, name: str) -> object:
        return self.node(name).plain()

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.shared

    def __iter__(self) -> Iterator[str]:
        yield from self.shared
        for name in self.own:
            if name not in self.shared:
                yield name

    def __len__(self) -> int:
        return len(self.shared) + sum(name not in self.shared for name in self.own)

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


@numerous(frozen=True, slots=True)
class InventoryHost:
    """One host. `groups` are all groups that it is in, sorted, without `all`: Ansible's `group_names`.

    `marks` has the place of each variable's value.
    """

    name: str
    variables: Values
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
