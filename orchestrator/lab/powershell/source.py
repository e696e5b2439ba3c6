"""From text to a tree of our own nodes, by the PowerShell grammar of tree-sitter.

The grammar asks for a terminator in a few places where Windows PowerShell does not; there one is put in and the text
read again. What the grammar still can't read is a parse error, and never runs.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import tree_sitter
import tree_sitter_powershell

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
_OPENERS = frozenset({"{", "(", "[", "@{", "@(", "$("})
_CLOSERS = frozenset({"}", ")", "]"})
_STRINGS = frozenset({"string_literal", "generic_token", "command_name"})
_GOES_ON = frozenset({"|", ",", "=", "+=", "-=", "*=", "/=", "%=", "+", "-", "*", "/", "%", "..", "&", ".", "::", "`"})
_REPAIRS = 20
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)[lLdD]?(?:[kKmMgGtTpP][bB])?")
_SUSPECT = re.compile(r"[0-9](?:\.\.|[lLdD])")
_RANGE = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)")


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree: its kind in the grammar's words, its text as it was written, and where that began."""

    kind: str
    text: str
    start: int
    kids: tuple["Node", ...] = ()
    fields: Mapping[str, "Node"] = field(default_factory=dict)
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


@functools.lru_cache(maxsize=512)
def parse(text: str) -> Node:
    """The program *text*. Cached, for a fleet is sent the same text many times. Raises BadSyntax."""
    shape = text.translate(_SHAPE)
    for _ in range(_REPAIRS):
        root = _PARSER.parse(shape.encode("utf-8", "replace")).root_node
        repairs = _missing_terminators(root) if root.has_error else []
        if _SUSPECT.search(shape):
            repairs += _numbers_as_commands(root)
        if not repairs:
            break
        starts = _char_offsets(shape)
        for place, mark in sorted(repairs, reverse=True):
            at = starts[place] if starts else place
            text, shape = f"{text[:at]}{mark}{text[at:]}", f"{shape[:at]}{mark}{shape[at:]}"
    try:
        return _Reading(text, shape).node(root)
    except BadSyntax as exc:
        incomplete = _goes_on(root)
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


def _walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting += reversed(here.children)


def _numbers_as_commands(root: tree_sitter.Node) -> list[tuple[int, str]]:
    """Parentheses for what the grammar takes for a command's name though it is a number: `1..3 -contains 2`."""
    marks: list[tuple[int, str]] = []
    for node in _walk(root):
        if node.type == "command_name" and node.parent is not None and node.parent.child_count > 1:
            name = (node.text or b"").decode("utf-8", "replace")
            if _NUMBER.fullmatch(name) or _RANGE.fullmatch(name):
                marks += [(node.start_byte, "("), (node.end_byte, ")")]
    return marks


def _missing_terminators(root: tree_sitter.Node) -> list[tuple[int, str]]:
    """Byte offsets where PowerShell needs no terminator but the grammar does: behind param() and switch clauses."""
    places: set[int] = set()
    for node in _walk(root):
        if not node.is_error:
            continue
        kinds = [child.type for child in node.children]
        if kinds == ["param_block"]:
            places.add(node.end_byte)
        parent = node.parent
        if parent is not None and parent.type.startswith("switch"):
            places |= {child.end_byte for child in node.children if child.type == "statement_block"}
    return [(place, ";") for place in sorted(places)]


def _goes_on(root: tree_sitter.Node) -> bool:
    """Whether the mistake is that the text ends too early: something open, or an operator at its end."""
    depth, last = 0, ""
    for node in _walk(root):
        if node.child_count or node.type in _DROPPED:
            continue
        if node.is_missing:
            if node.type != "command_argument_sep" and node.end_byte == root.end_byte:
                return True
            continue
        text = (node.text or b"").decode("utf-8", "replace").strip()
        if not text:
            continue
        last = text
        depth += (node.type in _OPENERS) - (node.type in _CLOSERS)
        if node.type in ("'", '"') and node.parent is not None and node.parent.is_error:
            return True
    return depth > 0 or last.lower() in _GOES_ON or last.startswith(("@'", '@"'))


class _Reading:
    """The translation of one tree."""

    def __init__(self, text: str, shape: str) -> None:
        self._text = text
        self._starts = _char_offsets(shape)

    def _at(self, byte: int) -> int:
        return self._starts[byte] if self._starts else byte

    def node(self, node: tree_sitter.Node) -> Node:
        while node.type in _LEVELS and node.child_count == 1 and not node.has_error:
            node = node.child(0)
        start, end = self._at(node.start_byte), self._at(node.end_byte)
        text = self._text[start:end]
        if node.is_missing:
            raise BadSyntax(self._text[max(0, start - 20) : start], incomplete=False, offset=start)
        kind = node.type
        if node.is_error:
            if [child.type for child in node.children] not in (["break", "simple_name"], ["continue", "simple_name"]):
                raise BadSyntax(text, incomplete=False, offset=start)
            kind = "flow_control_statement"
        if kind == "variable" or not node.child_count:
            return _leaf(kind, text, start, named=node.is_named)
        return self._branch(node, kind, text, start)

    def _branch(self, node: tree_sitter.Node, kind: str, text: str, start: int) -> Node:
        kids: list[Node] = []
        fields: dict[str, Node] = {}
        for number, child in enumerate(node.children):
            if child.type in _DROPPED:
                if child.type == "command_argument_sep" and (child.text or b"").startswith(b":") and kids:
                    kids[-1] = Node(kids[-1].kind, kids[-1].text + ":", kids[-1].start)
                continue
            if child.is_missing and child.type in ("", "_statement_terminator"):
                continue
            kid = self.node(child)
            kids.append(kid)
            if name := node.field_name_for_child(number):
                fields.setdefault(name, kid)
        if kind == "command" and len(kids) == 1 and kids[0].kind == "command_name":
            return _number_or_command(kids[0], text, start) or Node(kind, text, start, tuple(kids), fields)
        return Node(kind, text, start, tuple(kids), fields)


def _leaf(kind: str, text: str, start: int, *, named: bool) -> Node:
    """A node without children. White space before a token belongs to no one."""
    stripped = text.lstrip() if kind != "verbatim_string_characters" else text
    return Node(kind if named else kind.lower(), stripped, start + len(text) - len(stripped), named=named)


def _number_or_command(name: Node, text: str, start: int) -> Node | None:
    """What the grammar takes for a command's name though it is a number, or a range of two."""
    if _NUMBER.fullmatch(name.text):
        return Node("real_literal", text, start)
    if bounds := _RANGE.fullmatch(name.text):
        ends = [Node("real_literal", part, start) for part in bounds.groups()]
        return Node("range_expression", text, start, (ends[0], Node("..", "..", start, named=False), ends[1]))
    return None
