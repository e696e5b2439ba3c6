"""Playbooks in several files: what a file includes, and how its fragments become one with it.

The one rule: it is as if the text of the fragments stood before the playbook's own. So their services come first, and
what is said later wins: later fragments over earlier ones, the including file over all that it includes. A service is
never overridden: the same key in two files is a mistake.
"""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.domain.errors import Mark
from orchestrator.domain.playbook import longhand
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.life_shapes import HooksShape
from orchestrator.domain.playbook.pieces import keys_of, read_piece
from orchestrator.domain.playbook.policy_shapes import PolicyShape
from orchestrator.domain.playbook.shapes import DefaultsShape, FragmentShape, SettingsShape
from orchestrator.domain.playbook.values import nearest
from orchestrator.domain.templates import is_template
from orchestrator.domain.tree import Node

Defaults = Mapping[str, Mapping[str, Node]]
"""The keys of `start`, `stop` and `gate`; a single value, as `timeout`, has itself for its only key."""


def includes(node: Node, found: Findings) -> Iterator[tuple[str, Mark]]:
    """The paths that the file *node* includes, as written, each with its place; *found* tells what is no path."""
    given = longhand.given(node).get("include")
    if given is None:
        return
    for item in given.value if isinstance(given.value, list) else [given]:
        path = item.value
        if not isinstance(path, str):
            found.add(item.mark, f"a fragment is the path of a file, this is {item.kind}", "write `include: [ FILE ]`")
        elif not path.strip() or not path.isprintable():
            found.add(item.mark, f"{path!r} is no path of a file", "write `include: [ FILE ]`")
        elif is_template(path):
            found.add(item.mark, "a fragment's path can't hold a template", "write the path")
        else:
            yield path, item.mark


def readable(fragments: Sequence[Node], found: Findings) -> list[Node]:
    """Those of *fragments* that are mappings; what is wrong with their keys, or with the others, *found* tells."""
    own, known = keys_of(SettingsShape) + keys_of(PolicyShape) + keys_of(HooksShape), keys_of(FragmentShape)
    whole = []
    for node in fragments:
        if not isinstance(node.value, dict):
            right = f"a fragment is a mapping; its keys: {', '.join(known)}"
            found.add(node.mark, f"this is {node.kind}, not a fragment of a playbook", right)
            continue
        whole.append(node)
        for key in node.value:
            mark = node.key_mark(key)
            if key in own:
                found.add(mark, f"{key!r} is said by the playbook alone, not by a fragment", "move it to the playbook")
            elif key not in known:
                found.add(mark, f"unknown key {key!r}", nearest(key, known))
    return whole


def variables(files: Sequence[Node], found: Findings) -> dict[str, Node]:
    """The `vars` of all *files*, later ones over earlier."""
    merged: dict[str, Node] = {}
    for file in files:
        merged |= longhand.mapping(longhand.given(file).get("vars"), "vars", found)
    return merged


def defaults(files: Sequence[Node], found: Findings) -> Defaults:
    """The `defaults` of all *files*, merged key by key, those within `start`, `stop` and `gate` too.

    Those of a file that are wrong are left out, so that their mistakes are not told again for every service.
    """
    merged: dict[str, dict[str, Node]] = {}
    for file in files:
        node = longhand.given(file).get("defaults")
        given = longhand.mapping(node, "defaults", found)
        if node is None or not given or read_piece(DefaultsShape, node, longhand.plain(node), found).fixed is None:
            continue
        for key, child in given.items():
            merged.setdefault(key, {}).update(longhand.given(child) if isinstance(child.value, dict) else {key: child})
    return merged


def services(files: Sequence[Node], found: Findings) -> Iterator[tuple[Node, str, Node]]:
    """Every service of *files* once: the mapping it stands in, its key, and what it says."""
    places: dict[str, Mark] = {}
    for file in files:
        listed = longhand.given(file).get("services")
        longhand.mapping(listed, "services", found)
        if listed is None or not isinstance(listed.value, dict):
            continue
        for key, node in listed.value.items():
            mark = listed.key_mark(key)
            if key in places:
                found.add(
                    mark,
                    f"{key!r} is a service already, at {places[key]}",
                    "give one of the two another key, or remove it",
                )
            else:
                places[key] = mark
                yield listed, key, node
