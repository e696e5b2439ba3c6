"""What an inventory file declares: groups and hosts, their variables, who holds whom; nothing merged yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NoReturn

from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.inventory import ranges
from orchestrator.domain.tree import Node

MOST_HOSTS = 200_000
MOST_MENTIONS = 1_000_000
"""How often hosts may be named in all, with ranges written out."""
MOST_MISTAKES = 100
_SECTIONS = ("children", "hosts", "vars")
_PRIORITY = "ansible_group_priority"


@dataclass(slots=True)
class DeclaredGroup:
    """One group as the file has it; children and hosts in the order of the file, each once, with their places."""

    mark: Mark
    children: dict[str, Mark] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    priority: int = 1


@dataclass(slots=True)
class Declared:
    """Everything that the file declares. `hosts` has each host's own variables; both in order of first mention."""

    file: str
    groups: dict[str, DeclaredGroup] = field(default_factory=dict)
    hosts: dict[str, dict[str, Node]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def declare(root: Node) -> Declared:
    """What *root*, the document of an inventory file, declares; `mistakes` has all that is wrong with it.

    Raises:
        Mistakes: there are so many that it makes no sense to go on.
    """
    reader = _Reader(root.file)
    reader.read(root)
    return reader.declared


class _Reader:
    def __init__(self, file: str) -> None:
        start = Mark(file, 1, 1)
        self.declared = Declared(file)
        self.declared.groups["all"] = DeclaredGroup(start, children={"ungrouped": start})
        self.declared.groups["ungrouped"] = DeclaredGroup(start)
        self._places: dict[str, Mark] = {}
        self._mentions = 0

    def read(self, root: Node) -> None:
        if not isinstance(root.value, dict) or not root.value:
            kind = "empty" if not root.value else root.kind
            self._wrong(root.mark, f"an inventory is a mapping of groups, and this is {kind}", "begin with `all:`")
            return
        if "plugin" in root.value:
            self._wrong(root.key_mark("plugin"), "inventory plugins are not supported yet", "YAML inventories only")
            return
        for name, node in root.value.items():
            if name in _SECTIONS:
                self._wrong(root.key_mark(name), f"{name!r} stands outside of any group", "put it under `all:`")
            else:
                self._group(name, node, root.key_mark(name))
        for name in self.declared.groups:
            if name in self._places:
                self._wrong(self._places[name], f"{name!r} is a host and a group", "rename one of them")

    def _group(self, name: str, node: Node, mark: Mark) -> None:
        if not ranges.is_name(name):
            self._wrong(mark, f"{name!r} is no group name", "a name has letters, digits, dots, dashes, underscores")
        group = self.declared.groups.setdefault(name, DeclaredGroup(mark))
        if node.value is None:
            return
        if not isinstance(node.value, dict):
            self._wrong(node.mark, f"group {name!r} is {node.kind}", "a group is a mapping of hosts, children and vars")
            return
        for section, content in node.value.items():
            if section not in _SECTIONS:
                self._unknown(name, section, node.key_mark(section))
            elif content.value is not None:
                self._section(name, group, section, content)

    def _unknown(self, group: str, key: str, mark: Mark) -> None:
        near = get_close_matches(key, _SECTIONS, n=1)
        right = (
            f"the nearest known one is `{near[0]}`" if near else "known: children, hosts, vars; hosts stand in `hosts:`"
        )
        self._wrong(mark, f"unknown key {key!r} in group {group!r}", right)

    def _section(self, name: str, group: DeclaredGroup, section: str, content: Node) -> None:
        if section != "vars" and isinstance(content.value, str):
            # Ansible takes a lone name for a mapping of one.
            content = Node({content.value: Node(None, content.file, content.line, content.column)}, *_place(content))
        if not isinstance(content.value, dict):
            right = "write each name with a colon, `web-01:`" if section != "vars" else "write NAME: VALUE"
            self._wrong(content.mark, f"{section!r} of group {name!r} is {content.kind}, not a mapping", right)
        elif section == "vars":
            self._variables(group, content)
        elif section == "children":
            self._children(name, group, content)
        else:
            self._hosts(group, content)

    def _variables(self, group: DeclaredGroup, content: Node) -> None:
        for key, value in _items(content):
            if key != _PRIORITY:
                group.variables[key] = value
                continue
            try:
                group.priority = int(str(value.value))
            except ValueError:
                self._wrong(value.mark, f"{_PRIORITY} is {value.kind}", "a whole number")

    def _children(self, name: str, group: DeclaredGroup, content: Node) -> None:
        for child, node in _items(content):
            mark = content.key_mark(child)
            if name == "ungrouped" or (child == "ungrouped" and name != "all"):
                self._wrong(
                    mark, f"{name!r} can't hold {child!r}", "`ungrouped` is for hosts that are in no other group"
                )
                continue
            self._group(child, node, mark)
            group.children.setdefault(child, mark)

    def _hosts(self, group: DeclaredGroup, content: Node) -> None:
        for entry, node in _items(content):
            try:
                names, port = ranges.expand(entry)
            except ValueError as error:
                self._wrong(content.key_mark(entry), str(error))
                continue
            variables = node.value
            if variables is not None and not isinstance(variables, dict):
                self._wrong(
                    node.mark, f"host {entry!r} is {node.kind}", "a host is a mapping of its variables, or nothing"
                )
                continue
            self._mentions += len(names)
            if self._mentions > MOST_MENTIONS:
                self._stop(content.key_mark(entry), f"hosts are named more than {MOST_MENTIONS} times")
            for name in names:
                self._host(name, group, variables or {}, port, content.key_mark(entry))

    def _host(self, name: str, group: DeclaredGroup, variables: dict[str, Node], port: int | None, mark: Mark) -> None:
        own = self.declared.hosts.get(name)
        if own is None:
            if len(self.declared.hosts) >= MOST_HOSTS:
                self._stop(mark, f"more than {MOST_HOSTS} hosts")
            self._places[name] = mark
            # A port in the name counts only where the host is first met, as in Ansible.
            own = self.declared.hosts[name] = {}
            if port is not None:
                own["ansible_port"] = Node(port, mark.file, mark.line, mark.column)
        own.update(variables)
        group.hosts[name] = None

    def _wrong(self, mark: Mark, wrong: str, right: str = "") -> None:
        self.declared.mistakes.append(Mistake(mark, wrong, right))
        if len(self.declared.mistakes) >= MOST_MISTAKES:
            raise Mistakes(self.declared.mistakes)

    def _stop(self, mark: Mark, wrong: str) -> NoReturn:
        raise Mistakes([*self.declared.mistakes, Mistake(mark, wrong, "split the inventory")])


def _items(node: Node) -> Iterator[tuple[str, Node]]:
    return iter(node.value.items()) if isinstance(node.value, dict) else iter(())


def _place(node: Node) -> tuple[str, int, int]:
    return node.file, node.line, node.column
