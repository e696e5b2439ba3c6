"""From YAML events to nodes: one pass over a stack of open collections, every limit checked on the way."""

import sys
from collections.abc import Callable
from typing import Any

import yaml

from orchestrator.adapters.documents import scalars
from orchestrator.adapters.documents.vaulted import TAGS, Vault, reference
from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.secrets import CLOSE, OPEN
from orchestrator.domain.tree import Node, Scalar

LARGEST = 16 << 20
LONGEST_TEXT = 64 << 10
DEEPEST = 64
MOST_VALUES = 500_000
MOST_MISTAKES = 100

_TAG = "tag:yaml.org,2002:"
_ADVICE = {
    "!vault": 'a playbook refers to secrets: "{{ host.NAME }}" for one of the inventory, "{{ secret(\'env:NAME\') }}"',
    "!unsafe": "write text that is no template as \"{{ 'text' }}\"",
}


class _Open:
    """A collection whose end has not come yet. `key` is the one whose value comes next, `merge` the value of `<<`.

    `as_key` says that it stands where a key should: a mistake that is already noted.
    """

    __slots__ = ("anchor", "as_key", "began", "deepest", "entries", "items", "key", "keys", "merge", "merging", "node")

    def __init__(self, node: Node, anchor: str | None, *, began: int, depth: int, as_key: bool) -> None:
        self.node = node
        self.items = node.value if isinstance(node.value, list) else None
        self.entries: dict[str, Node] = node.value if isinstance(node.value, dict) else {}
        self.keys = node.keys if node.keys is not None else {}
        self.anchor = anchor
        self.began = began
        self.deepest = depth
        self.as_key = as_key
        self.key: str | None = None
        self.merging = False
        self.merge: Node | None = None


class _Anchored:
    """What an alias may name: the node, how many nodes it stands for, and how many levels it has."""

    __slots__ = ("levels", "node", "size")

    def __init__(self, node: Node, size: int, levels: int) -> None:
        self.node = node
        self.size = size
        self.levels = levels


class Composer:
    """Puts one document together. `mistakes` fills on the way."""

    def __init__(self, file: str, *, any_private: bool, vault: Vault | None = None) -> None:
        """*any_private*: the text may hold U+E000 or U+E001, plain or escaped, so that every scalar is looked at.

        *vault* keeps the ciphertext of `!vault` values; without one they are mistakes.
        """
        self.mistakes: list[Mistake] = []
        self._file = file
        self._any_private = any_private
        self._vault = vault
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._documents = 0
        self._anchors: dict[str, _Anchored | None] = {}
        self._nodes = 0

    def compose(self, next_event: Callable[[], Any]) -> Node:
        """The root node; worth using only if `mistakes` stays empty.

        Raises:
            Mistakes: it makes no sense to go on.
            yaml.YAMLError: what the parser raises.
        """
        handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._mapping,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
            yaml.DocumentEndEvent: lambda _: None,
            yaml.StreamStartEvent: lambda _: None,
        }
        event = next_event()
        while event.__class__ is not yaml.StreamEndEvent:
            handlers[event.__class__](event)
            event = next_event()
        return self._root or Node(None, self._file, 1, 1)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise self._stop(event, "a second document begins here", "keep one document in a file")

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        if self._any_private and (OPEN in text or CLOSE in text):
            self._wrong(event, "U+E000 and U+E001 are not allowed in text", "remove the invisible character")
        if len(text) > LONGEST_TEXT:
            self._wrong(event, f"text of {len(text)} characters", f"a value has at most {LONGEST_TEXT}")
            text = text[:80]
        top = self._stack[-1] if self._stack else None
        if top is not None and top.items is None and top.key is None:
            self._key(top, text, event)
            return
        mark = event.start_mark
        node = Node(self._meaning(text, event), self._file, mark.line + 1, mark.column + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, 1, 0)
        self._count(1, event)
        self._place(node)

    def _meaning(self, text: str, event: Any) -> Scalar:
        tag = event.tag
        try:
            if tag is None or tag == "!":
                return scalars.plain(text) if event.implicit[0] else text
            if tag in scalars.KNOWN_TAGS:
                return scalars.tagged(tag, text)
            if tag in TAGS and self._vault is not None:
                return reference(self._vault, self._mark(event), text, encrypted=True)
        except ValueError as error:
            self._wrong(event, str(error))
        else:
            self._unknown_tag(event)
        return None

    def _key(self, top: _Open, key: str, event: Any) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(Node(key, self._file, 0, 0), 1, 0)
        if event.tag is not None and event.tag != "!" and event.tag not in scalars.KNOWN_TAGS:
            self._unknown_tag(event)
        if key == "":
            self._wrong(event, "a key without a name", "write NAME: VALUE")
        self._open_key(top, key, event, merging=key == "<<" and event.implicit[0])

    def _open_key(self, top: _Open, key: str, event: Any, *, merging: bool = False) -> None:
        first = top.keys.get(key)
        if first is not None:
            place = f"line {first[0]}, column {first[1]}"
            self._wrong(
                event, f"the key {_excerpt(key)!r} stands twice in one mapping; first in {place}", "keep one of them"
            )
        mark = event.start_mark
        top.key = sys.intern(key)
        top.keys[top.key] = (mark.line + 1, mark.column + 1)
        top.merging = merging

    def _place(self, node: Node) -> None:
        """Hang a value where it belongs. A collection is hung up empty and filled later."""
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if top.items is not None:
            top.items.append(node)
        elif top.key is not None:
            if top.merging:
                top.merge = node
            else:
                top.entries[top.key] = node
            top.key = None

    def _mapping(self, event: Any) -> None:
        mark = event.start_mark
        self._begin(Node({}, self._file, mark.line + 1, mark.column + 1, {}), event, _TAG + "map")

    def _sequence(self, event: Any) -> None:
        mark = event.start_mark
        self._begin(Node([], self._file, mark.line + 1, mark.column + 1), event, _TAG + "seq")

    def _begin(self, node: Node, event: Any, tag: str) -> None:
        if event.tag not in (None, "!", tag):
            self._unknown_tag(event)
        if len(self._stack) >= DEEPEST:
            raise self._stop(event, f"nested more than {DEEPEST} levels deep", "no playbook or inventory needs that")
        top = self._stack[-1] if self._stack else None
        as_key = top is not None and top.items is None and top.key is None
        began = self._nodes
        self._count(1, event)
        if as_key:
            template = event.flow_style and node.keys is not None
            right = 'text that begins with {{ stands in quotes: "{{ name }}"' if template else "a key is text"
            self._wrong(event, f"{node.kind} where a key should stand", right)
        else:
            self._place(node)
        depth = len(self._stack) + 1
        self._stack.append(_Open(node, event.anchor, began=began, depth=depth, as_key=as_key))
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _end(self, event: Any) -> None:
        closed = self._stack.pop()
        if closed.merge is not None:
            self._merge(closed, closed.merge)
        depth = len(self._stack) + 1
        if closed.anchor is not None:
            levels = closed.deepest - depth + 1
            self._anchors[closed.anchor] = _Anchored(closed.node, self._nodes - closed.began, levels)
        if self._stack:
            above = self._stack[-1]
            above.deepest = max(above.deepest, closed.deepest)
            if closed.as_key:
                above.key = ""

    def _merge(self, into: _Open, source: Node) -> None:
        sources = source.value if isinstance(source.value, list) else [source]
        own, own_keys = dict(into.entries), dict(into.keys)
        own_keys.pop("<<", None)
        into.entries.clear()
        into.keys.clear()
        for one in reversed(sources):
            if isinstance(one.value, dict):
                into.entries.update(one.value)
                into.keys.update(one.keys or {})
            else:
                self._note(source.mark, f"`<<` merges mappings, not {one.kind}", "write <<: *NAME")
        into.entries.update(own)
        into.keys.update(own_keys)

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        name = _excerpt(event.anchor)
        if found is None:
            why = "it stands inside itself" if event.anchor in self._anchors else f"nothing before it is called &{name}"
            raise self._stop(event, f"the alias *{name} leads nowhere: {why}")
        self._count(found.size, event)
        top = self._stack[-1] if self._stack else None
        if top is None:
            return
        depth = len(self._stack) + found.levels
        if depth > DEEPEST:
            raise self._stop(event, f"nested more than {DEEPEST} levels deep through aliases", "write it out")
        top.deepest = max(top.deepest, depth)
        if top.items is None and top.key is None:
            if isinstance(found.node.value, str):
                self._open_key(top, found.node.value, event)
            else:
                self._wrong(event, f"*{name} is {found.node.kind}, and a key is text", "write the key out")
                top.key = ""
            return
        self._place(found.node)

    def _count(self, values: int, event: Any) -> None:
        self._nodes += values
        if self._nodes > MOST_VALUES:
            raise self._stop(event, f"more than {MOST_VALUES} values, an alias counted for all that it stands for")

    def _unknown_tag(self, event: Any) -> None:
        tag: str = event.tag
        short = "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
        self._wrong(event, f"the tag {_excerpt(short)} is not supported", _ADVICE.get(tag, "remove it"))

    def _wrong(self, event: Any, wrong: str, right: str = "") -> None:
        self._note(self._mark(event), wrong, right)

    def _note(self, mark: Mark, wrong: str, right: str) -> None:
        self.mistakes.append(Mistake(mark, wrong, right))
        if len(self.mistakes) >= MOST_MISTAKES:
            raise Mistakes(self.mistakes)

    def _stop(self, event: Any, wrong: str, right: str = "") -> Mistakes:
        return Mistakes([*self.mistakes, Mistake(self._mark(event), wrong, right)])

    def _mark(self, event: Any) -> Mark:
        mark = event.start_mark
        return Mark(self._file, mark.line + 1, mark.column + 1)


def _excerpt(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
