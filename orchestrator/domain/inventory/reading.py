"""What an inventory in YAML form declares: a mapping of groups, each with `hosts`, `children` and `vars`."""

from collections.abc import Iterator
from difflib import get_close_matches

from orchestrator.domain.errors import Mark
from orchestrator.domain.inventory.declaring import Declaration, Declared, DeclaredGroup
from orchestrator.domain.tree import Node

SECTIONS = ("children", "hosts", "vars")


def declare(root: Node) -> Declared:
    """What *root*, the document of the only inventory file, declares; `mistakes` has all that is wrong with it.

    Raises:
        Mistakes: there are so many that it makes no sense to go on.
    """
    declaration = Declaration(root.file)
    declare_groups(root, declaration)
    return declaration.finish()


def declare_groups(root: Node, into: Declaration) -> None:
    """Add to *into* what *root*, the document of an inventory file, declares.

    Raises:
        Mistakes: there are so many that it makes no sense to go on.
    """
    _Reader(into).read(root)


class _Reader:
    def __init__(self, into: Declaration) -> None:
        self._into = into
        self._wrong = into.wrong

    def read(self, root: Node) -> None:
        if not isinstance(root.value, dict) or not root.value:
            kind = "empty" if not root.value else root.kind
            self._wrong(root.mark, f"an inventory is a mapping of groups, and this is {kind}", "begin with `all:`")
            return
        if "plugin" in root.value:
            right = "`ansible-inventory -i FILE --list > hosts.json` makes a file that orch reads"
            self._wrong(root.key_mark("plugin"), "inventory plugins are not supported", right)
            return
        for name, node in root.value.items():
            if name in SECTIONS:
                self._wrong(root.key_mark(name), f"{name!r} stands outside of any group", "put it under `all:`")
            else:
                self._group(name, node, root.key_mark(name))

    def _group(self, name: str, node: Node, mark: Mark) -> None:
        group = self._into.group(name, mark)
        if node.value is None:
            return
        if not isinstance(node.value, dict):
            self._wrong(node.mark, f"group {name!r} is {node.kind}", "a group is a mapping of hosts, children and vars")
            return
        for section, content in node.value.items():
            if section not in SECTIONS:
                self._unknown(name, section, node.key_mark(section))
            elif content.value is not None:
                self._section(name, group, section, content)

    def _unknown(self, group: str, key: str, mark: Mark) -> None:
        near = get_close_matches(key, SECTIONS, n=1)
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
            for key, value in _items(content):
                self._into.group_variable(group, key, value)
        elif section == "children":
            self._children(name, group, content)
        else:
            self._hosts(group, content)

    def _children(self, name: str, group: DeclaredGroup, content: Node) -> None:
        for child, node in _items(content):
            mark = content.key_mark(child)
            if self._into.may_hold(name, child, mark):
                self._group(child, node, mark)
                group.children.setdefault(child, mark)

    def _hosts(self, group: DeclaredGroup, content: Node) -> None:
        for entry, node in _items(content):
            variables = node.value
            if variables is None or isinstance(variables, dict):
                self._into.entry(group, entry, variables or {}, content.key_mark(entry))
            else:
                self._wrong(
                    node.mark, f"host {entry!r} is {node.kind}", "a host is a mapping of its variables, or nothing"
                )


def _items(node: Node) -> Iterator[tuple[str, Node]]:
    return iter(node.value.items()) if isinstance(node.value, dict) else iter(())


def _place(node: Node) -> tuple[str, int, int]:
    return node.file, node.line, node.column
