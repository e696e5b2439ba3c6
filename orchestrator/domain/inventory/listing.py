"""What an inventory in the form of `ansible-inventory --list` declares: what inventory scripts print."""

from collections.abc import Callable, Mapping

from orchestrator.domain.errors import Mark
from orchestrator.domain.inventory import ranges
from orchestrator.domain.inventory.declaring import Declaration, DeclaredGroup
from orchestrator.domain.inventory.reading import SECTIONS
from orchestrator.domain.tree import Node

META = "_meta"


def is_listing(root: Node) -> bool:
    """Whether the document *root* has that form, and not the one of YAML inventories."""
    if not isinstance(root.value, dict):
        return False
    return META in root.value or any(
        isinstance(group.value, list)
        or (isinstance(group.value, dict) and any(_is_list(group.value.get(part)) for part in ("hosts", "children")))
        for group in root.value.values()
    )


def declare_listing(root: Node, into: Declaration, host_variables: Callable[[str], Node] | None = None) -> None:
    """Add to *into* what *root* declares. *host_variables* is asked, host by host, where *root* has no `_meta`.

    As in Ansible, `_meta.hostvars` makes no hosts: one that stands in no group is not there.

    Raises:
        Mistakes: there are so many that it makes no sense to go on; or what *host_variables* raises.
    """
    if not isinstance(root.value, dict):
        into.wrong(root.mark, f"an inventory is a mapping of groups, and this is {root.kind}", "begin with {")
        return
    reader = _Reader(into)
    known = _hostvars(root, into)
    for name, node in root.value.items():
        if name != META:
            reader.group(name, node, root.key_mark(name))
    for host in reader.seen:
        own = known.get(host) if known is not None else host_variables(host) if host_variables else None
        if own is None:
            continue
        if isinstance(own.value, dict):
            into.host_variables(host, own.value)
        elif own.value is not None:
            into.wrong(own.mark, f"the variables of {host!r} are {own.kind}", "a mapping")


def _hostvars(root: Node, into: Declaration) -> Mapping[str, Node] | None:
    if not isinstance(root.value, dict) or META not in root.value:
        return None
    meta = root.value[META]
    hostvars = meta.value.get("hostvars") if isinstance(meta.value, dict) else None
    if hostvars is not None and isinstance(hostvars.value, dict):
        return hostvars.value
    into.wrong(meta.mark, "`_meta` has no mapping `hostvars`", 'write "_meta": {"hostvars": {}}')
    return {}


def _is_list(node: Node | None) -> bool:
    return node is not None and isinstance(node.value, list)


class _Reader:
    """Reads groups. `seen` has the hosts that were named, in order."""

    def __init__(self, into: Declaration) -> None:
        self._into = into
        self.seen: dict[str, None] = {}

    def group(self, name: str, node: Node, mark: Mark) -> None:
        group = self._into.group(name, mark)
        if isinstance(node.value, list):
            self._hosts(name, group, node)
        elif isinstance(node.value, dict):
            for section, content in node.value.items():
                self._section(name, group, section, content, node.key_mark(section))
        elif node.value is not None:
            right = "a group is a mapping of hosts, children and vars, or a list of hosts"
            self._into.wrong(node.mark, f"group {name!r} is {node.kind}", right)

    def _section(self, name: str, group: DeclaredGroup, section: str, content: Node, mark: Mark) -> None:
        if section not in SECTIONS:
            self._into.wrong(mark, f"unknown key {section!r} in group {name!r}", "known: children, hosts, vars")
        elif section == "vars" and isinstance(content.value, dict):
            for key, value in content.value.items():
                self._into.group_variable(group, key, value)
        elif section == "vars":
            self._into.wrong(content.mark, f"'vars' of group {name!r} is {content.kind}, not a mapping", "a mapping")
        elif not isinstance(content.value, list):
            self._into.wrong(content.mark, f"{section!r} of group {name!r} is {content.kind}, not a list", "a list")
        elif section == "hosts":
            self._hosts(name, group, content)
        else:
            self._children(name, group, content)

    def _hosts(self, name: str, group: DeclaredGroup, content: Node) -> None:
        for host in content.value if isinstance(content.value, list) else ():
            mark = host.mark
            if isinstance(host.value, str) and (ranges.is_name(host.value) or ranges.is_ipv6(host.value)):
                self.seen[host.value] = None
                self._into.hosts(group, (host.value,), {}, mark)
            else:
                shown = repr(host.value) if isinstance(host.value, str) else host.kind
                right = "a name has letters, digits, dots, dashes and underscores; ranges are not written out here"
                self._into.wrong(mark, f"{shown} in group {name!r} is no host name", right)

    def _children(self, name: str, group: DeclaredGroup, content: Node) -> None:
        for child in content.value if isinstance(content.value, list) else ():
            mark = child.mark
            if not isinstance(child.value, str):
                self._into.wrong(mark, f"{child.kind} in the children of {name!r}", "a group's name")
            elif self._into.may_hold(name, child.value, mark):
                self._into.group(child.value, mark)
                group.children.setdefault(child.value, mark)
