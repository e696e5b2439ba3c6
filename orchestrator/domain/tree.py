"""YAML with its places kept: what the loader hands to the readers of playbook and inventory.

A `Node` is a value plus where it stands, so that every mistake can name file, line and column.
"""

from collections.abc import Sequence

from orchestrator.domain.errors import Mark
from orchestrator.domain.numerous import numerous

_TYPE_NAMES = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


@numerous(frozen=True, slots=True)
class Node:
    """One YAML value.

    `value` is a scalar (None, bool, int, float, str), a list of nodes, or a dict from key text to node. `keys` holds
    the place of each key of a dict. Line and column count from 1.
    """

    value: "Scalar | list[Node] | dict[str, Node]"
    file: str
    line: int
    column: int
    keys: dict[str, tuple[int, int]] | None = None

    @property
    def mark(self) -> Mark:
        """Where the value stands."""
        return Mark(self.file, self.line, self.column)

    def key_mark(self, key: str) -> Mark:
        """Where *key* of this mapping stands; the mapping's own place if it has no such key."""
        line, column = (self.keys or {}).get(key, (self.line, self.column))
        return Mark(self.file, line, column)

    def plain(self) -> object:
        """The value without its places: dicts, lists and scalars."""
        value = self.value
        if isinstance(value, dict):
            return {key: node.plain() for key, node in value.items()}
        if isinstance(value, list):
            return [node.plain() for node in value]
        return value

    def at(self, path: Sequence[str | int]) -> "Node":
        """The node at *path*, or the deepest one on the way to it that exists.

        Where one item stands for a list of one, it is that list's first.
        """
        node = self
        for part in path:
            value = node.value
            if isinstance(value, dict) and part in value:
                node = value[str(part)]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                node = value[part]
            elif part != 0 or isinstance(value, list):
                break
        return node

    @property
    def kind(self) -> str:
        """What the value is, in words: "a mapping", "a list", "text", "a number", "nothing"."""
        return "nothing" if self.value is None else _TYPE_NAMES[type(self.value)]


Scalar = None | bool | int | float | str
