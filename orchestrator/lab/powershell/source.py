"""From text to a tree of our own nodes, by the PowerShell grammar of tree-sitter.

What the grammar can't read, after the repairs of `repairs`, is a parse error and never runs.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import tree_sitter
import tree_sitter_powershell

from orchestrator.lab.powershell import repairs

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
_SINGLE, _DOUBLE, _DASHES = "\u2018\u2019\u201a\u201b", "\u201c\u201d\u201e", "\u2013\u2014\u2015"
_SHAPE = str.maketrans({**dict.fromkeys(_SINGLE, "'"), **dict.fromkeys(_DOUBLE, '"'), **dict.fromkeys(_DASHES, "-")})
"""PowerShell takes curly quotes and long dashes for their ASCII kin; the grammar knows only the latter."""
_LEVELS = frozenset(
    f"{level}{kind}_expression"
    for level in ("logical", "bitwise", "comparison", "additive", "multiplicative", "format", "range")
    for kind in ("", "_argument")
) | {"pipeline_chain", "array_literal_expression", "unary_expression", "argument_expression", "path_command_name"}
"""Nodes that stand for precedence alone when they have one child."""
_DROPPED = frozenset({"comment", "command_argument_sep"})
_WITH_FIELDS = frozenset(f"{kind}_statement" for kind in ("if", "while", "do", "for")) | {
    "elseif_clause",
    "command",
    "sub_expression",
    "array_expression",
}
_NO_FIELDS: Mapping[str, "Node"] = MappingProxyType({})
_REPAIRS = 20
_FUNCTIONS_KEPT = 512
_WORTH_KEEPING = 1000
_CONTINUED = re.compile(r"[ \t]`[ \t]*\Z")


class Node(NamedTuple):
    """A node of the tree: its kind in the grammar's words, its text as it was written, and where that began.

    Offsets compare only within one statement: a function that was read before is taken from the cache.
    """

    kind: str
    text: str
    start: int
    kids: tuple["Node", ...] = ()
    fields: Mapping[str, "Node"] = _NO_FIELDS
    named: bool = True

    @property
    def end(self) -> int:
        """The offset behind its last character."""
        return self.start + len(self.text)

    def kid(self, kind: str) -> "Node | None":
        """Its first child of *kind*."""
        return next((kid for kid in self.kids if kid.kind == kind), None)

    def all(self, kind: str) -> Iterator["Node"]:
        """Its children of *kind*."""
        return (kid for kid in self.kids if kid.kind == kind)

    def named_kids(self) -> list["Node"]:
        """Its children without keywords and punctuation."""
        return [kid for kid in self.kids if kid.named]


class BadSyntax(Exception):
    """The text is no PowerShell that the grammar reads. `incomplete`: more lines may yet make it so."""

    def __init__(self, at: str, *, incomplete: bool, offset: int = 0) -> None:
        self.at = at
        self.incomplete = incomplete
        self.offset = offset
        super().__init__(at)


def parse(text: str) -> Node:
    """The program *text*; a long one is cached, for a fleet is sent the same many times. Raises BadSyntax."""
    return _cached(text) if len(text) > _WORTH_KEEPING else _parsed(text)


@functools.lru_cache(maxsize=64)
def _cached(text: str) -> Node:
    return _parsed(text)


def _parsed(text: str) -> Node:
    shape = text.translate(_SHAPE)
    if _CONTINUED.search(shape):
        raise BadSyntax("`", incomplete=True)
    for _ in range(_REPAIRS):
        root = _PARSER.parse(shape.encode("utf-8", "replace")).root_node
        marks = repairs.marks(root, shape)
        if not marks:
            break
        starts = _char_offsets(shape)
        for place, mark in marks:
            at = starts[place] if starts else place
            text, shape = f"{text[:at]}{mark}{text[at:]}", f"{shape[:at]}{mark}{shape[at:]}"
    try:
        return _Reading(text, shape).node(root)
    except BadSyntax as exc:
        incomplete = repairs.goes_on(root, shape)
        raise BadSyntax(exc.at, incomplete=incomplete, offset=exc.offset) from None
    except RecursionError:
        raise BadSyntax(text[:40], incomplete=False) from None


def _char_offsets(shape: str) -> list[int]:
    """For each byte of the UTF-8 text the character it belongs to; empty for ASCII, where both are the same."""
    if shape.isascii():
        return []
    offsets: list[int] = []
    for at, char in enumerate(shape):
        offsets += [at] * len(char.encode("utf-8", "replace"))
    return [*offsets, len(shape)]


class _Reading:
    """The translation of one tree."""

    def __init__(self, text: str, shape: str) -> None:
        self._text = text
        self._starts = _char_offsets(shape)

    def _at(self, byte: int) -> int:
        return self._starts[byte] if self._starts else byte

    def node(self, node: tree_sitter.Node) -> Node:
        while node.type in _LEVELS and node.child_count == 1:
            node = node.child(0)
        start, end = self._at(node.start_byte), self._at(node.end_byte)
        text = self._text[start:end]
        if node.is_missing:
            raise BadSyntax(self._text[max(0, start - 20) : start], incomplete=False, offset=start)
        kind = node.type
        if kind == "pipeline_chain_tail":
            raise BadSyntax(text, incomplete=False, offset=start)
        if node.is_error:
            kind = self._meant(node, text, start)
        if kind == "variable" or not node.child_count:
            return _leaf(kind, text, start, named=node.is_named)
        if kind == "function_statement":
            return self._function(node, text, start)
        return self._branch(node, kind, text, start)

    def _meant(self, node: tree_sitter.Node, text: str, start: int) -> str:
        """What is right in PowerShell though the grammar has no place for it. Raises BadSyntax for all else."""
        kinds = [child.type for child in node.children]
        if node.parent is None and (set(kinds) == {"comment"} or not text.strip()):
            return "program"
        if kinds not in (["break", "simple_name"], ["continue", "simple_name"]):
            raise BadSyntax(text, incomplete=False, offset=start)
        return "flow_control_statement"

    def _function(self, node: tree_sitter.Node, text: str, start: int) -> Node:
        """A function is sent again and again among other lines: it is read once."""
        known = _FUNCTIONS.get(text)
        if known is None:
            known = self._branch(node, "function_statement", text, start)
            if len(_FUNCTIONS) >= _FUNCTIONS_KEPT:
                _FUNCTIONS.clear()
            _FUNCTIONS[text] = known
        return known

    def _branch(self, node: tree_sitter.Node, kind: str, text: str, start: int) -> Node:
        kids: list[Node] = []
        fields: dict[str, Node] = {}
        has_fields = kind in _WITH_FIELDS
        for number, child in enumerate(node.children):
            if child.type in _DROPPED:
                if child.type == "command_argument_sep" and (child.text or b"").startswith(b":") and kids:
                    kids[-1] = Node(kids[-1].kind, kids[-1].text + ":", kids[-1].start)
                continue
            if child.is_missing and child.type == ";":
                continue
            kid = self.node(child)
            if kids and kids[-1].kind == "label":
                kid = kid._replace(fields={**kid.fields, "label": kids.pop()})
            kids.append(kid)
            if has_fields and (name := node.field_name_for_child(number)):
                fields.setdefault(name, kid)
        if kind == "command" and len(kids) == 1 and kids[0].kind == "command_name":
            return _number_or_command(kids[0], text, start) or Node(kind, text, start, tuple(kids), fields)
        return Node(kind, text, start, tuple(kids), fields)


_FUNCTIONS: dict[str, Node] = {}


def _leaf(kind: str, text: str, start: int, *, named: bool) -> Node:
    """A node without children. White space before a token belongs to no one."""
    stripped = text.lstrip() if kind != "verbatim_string_characters" else text
    return Node(kind if named else kind.lower(), stripped, start + len(text) - len(stripped), named=named)


def _number_or_command(name: Node, text: str, start: int) -> Node | None:
    """What the grammar takes for a command's name though it is a number, or a range of two."""
    if repairs.NUMBER.fullmatch(name.text):
        return Node("real_literal", text, start)
    if bounds := repairs.RANGE.fullmatch(name.text):
        ends = [Node("real_literal", part, start) for part in bounds.groups()]
        return Node("range_expression", text, start, (ends[0], Node("..", "..", start, named=False), ends[1]))
    return None
