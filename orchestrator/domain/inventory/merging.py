"""From what files declare to an inventory: groups put in order, variables merged with Ansible's precedence.

Weakest first: variables of `all`, of the other groups (by depth, priority, name), group_vars/all, group_vars of the
other groups, the host's own, host_vars. Depth is the longest way down from `all`. Hosts in the same groups share one
merged mapping, so the cost is that of the hosts' own variables plus one merge for each combination of groups.
"""

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.inventory.declaring import Declared
from orchestrator.domain.inventory.model import Inventory, InventoryGroup, InventoryHost, Marks, Values
from orchestrator.domain.tree import Node

MOST_MEMBERSHIPS = 3_000_000
"""How often hosts and groups may stand in groups, those above counted: a file of a few MiB could ask for billions."""
MOST_CIRCLES = 20
"""How many circles of groups are told: each costs a look at all groups."""
MOST_IN_CIRCLE = 12
"""How many groups of one circle are named."""

Variables = Mapping[str, Node]


class _Budget:
    """Counts memberships, and stops before they fill the memory."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._left = MOST_MEMBERSHIPS

    def spend(self, memberships: int) -> None:
        self._left -= memberships
        if self._left < 0:
            wrong = f"hosts and groups stand in groups more than {MOST_MEMBERSHIPS} times, groups above counted"
            raise Mistakes([Mistake(Mark(self._file, 1, 1), wrong, "nest groups less")])


def merge(
    declared: Declared, group_files: Collection[Mapping[str, Variables]], host_files: Mapping[str, Variables]
) -> Inventory:
    """The inventory. *group_files* are the group_vars of each source, by group; *host_files* are host_vars, by host.

    What a later source says of any group outdoes all that an earlier one says of a deeper group, as in Ansible.

    Raises:
        Mistakes: groups that contain each other, or too many of them.
    """
    children = _with_roots_under_all(declared)
    order = _parents_first(declared, children)
    budget = _Budget(declared.file)
    depths, ancestors = _depths(order, children, budget)
    member_of = _memberships(declared, ancestors, budget)
    listed = {name: list(group.hosts) for name, group in declared.groups.items()}
    named = [host for host in declared.groups["ungrouped"].hosts if member_of[host] == ("ungrouped",)]
    alone = [host for host, among in member_of.items() if among == ("ungrouped",)]
    listed["ungrouped"] = list(dict.fromkeys(named + alone))
    groups = {
        name: InventoryGroup(
            name,
            tuple(children[name]),
            tuple(listed[name]),
            _hosts_of(name, children, listed, budget),
            depths[name],
            group.priority,
        )
        for name, group in declared.groups.items()
    }
    hosts = _hosts(declared, member_of, groups, group_files, host_files)
    in_order = {name: hosts[name] for name in groups["all"].hosts}
    return Inventory(declared.file, in_order, groups, tuple(declared.hosts))


def _with_roots_under_all(declared: Declared) -> dict[str, list[str]]:
    children = {name: list(group.children) for name, group in declared.groups.items()}
    held = {child for below in children.values() for child in below}
    children["all"] += [name for name in children if name not in held and name != "all"]
    return children


def _parents_first(declared: Declared, children: Mapping[str, list[str]]) -> list[str]:
    graph: dict[str, dict[str, None]] = {name: {} for name in children}
    for name, below in children.items():
        for child in below:
            graph[child][name] = None
    mistakes: list[Mistake] = []
    order: list[str] = []
    while not order and len(mistakes) < MOST_CIRCLES:
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle: list[str] = error.args[1]  # each holds the next one; the first stands again at the end
            edges = zip(circle, circle[1:], strict=False)
            written = [(declared.groups[one].children.get(other), one, other) for one, other in edges]
            mark, parent, child = max((mark, one, other) for mark, one, other in written if mark is not None)
            if len(circle) > MOST_IN_CIRCLE:
                circle = [*circle[: MOST_IN_CIRCLE - 2], "...", *circle[-2:]]
            wrong = f"groups contain each other: {' -> '.join(circle)}"
            mistakes.append(Mistake(mark, wrong, f"take {child!r} out of the children of {parent!r}"))
            del graph[child][parent]
    if mistakes:
        raise Mistakes(mistakes)
    return order


def _depths(
    order: Iterable[str], children: Mapping[str, list[str]], budget: _Budget
) -> tuple[dict[str, int], dict[str, set[str]]]:
    depths: dict[str, int] = dict.fromkeys(children, 0)
    ancestors: dict[str, set[str]] = {name: set() for name in children}
    for name in order:
        for child in children[name]:
            budget.spend(1 + len(ancestors[name]))
            depths[child] = max(depths[child], depths[name] + 1)
            ancestors[child] |= ancestors[name] | {name}
    return depths, ancestors


def _memberships(declared: Declared, ancestors: Mapping[str, set[str]], budget: _Budget) -> dict[str, tuple[str, ...]]:
    """Each host's groups and their ancestors, sorted, without `all`; `ungrouped` for those in no other."""
    direct: dict[str, list[str]] = {host: [] for host in declared.hosts}
    for name, group in declared.groups.items():
        for host in group.hosts:
            direct[host].append(name)
    cache: dict[tuple[str, ...], tuple[str, ...]] = {}
    result = {}
    for host, names in direct.items():
        key = tuple(names)
        if key not in cache:
            named = [name for name in names if name not in ("all", "ungrouped")] or ["ungrouped"]
            budget.spend(sum(len(ancestors[name]) for name in named))
            cache[key] = tuple(sorted(set(named).union(*(ancestors[name] for name in named)) - {"all"}))
        result[host] = cache[key]
    return result


def _hosts_of(
    name: str, children: Mapping[str, list[str]], listed: Mapping[str, list[str]], budget: _Budget
) -> tuple[str, ...]:
    found: dict[str, None] = dict.fromkeys(listed[name])
    seen, level = {name}, [name]
    while level:
        below = dict.fromkeys(child for group in level for child in children[group] if child not in seen)
        for group in below:
            budget.spend(1 + len(listed[group]))
            found.update(dict.fromkeys(listed[group]))
        seen.update(below)
        level = list(below)
    return tuple(found)


def _hosts(
    declared: Declared,
    member_of: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, InventoryGroup],
    group_files: Collection[Mapping[str, Variables]],
    host_files: Mapping[str, Variables],
) -> dict[str, InventoryHost]:
    merged: dict[tuple[str, ...], dict[str, Node]] = {}
    hosts = {}
    for name, own in declared.hosts.items():
        among = member_of[name]
        shared = merged.get(among)
        if shared is None:
            ranked = sorted(among, key=lambda one: (groups[one].depth, groups[one].priority, one))
            shared = merged[among] = {}
            for group in ("all", *ranked):
                shared.update(declared.groups[group].variables)
            for files in group_files:
                shared.update(files.get("all", {}))
            for files in group_files:
                for group in ranked:
                    shared.update(files.get(group, {}))
        values = Values({**own, **host_files[name]} if name in host_files else own, shared)
        hosts[name] = InventoryHost(name, values, among, Marks(values))
    return hosts
