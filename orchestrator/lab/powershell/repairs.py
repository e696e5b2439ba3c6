"""Where the grammar is stricter than Windows PowerShell: marks to put in, after which it reads the same program.

And what a mistake at the end of a text means: that the text is wrong, or that it is not finished.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import tree_sitter

NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)[lLdD]?(?:[kKmMgGtTpP][bB])?")
RANGE = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)")
_SUSPECT = re.compile(r"[0-9](?:\.\.|[lLdD])")
_LEADING_COMMA = re.compile(r"[ \t],\S")
_HERE = re.compile(r"@(['\"])[ \t]*(?:\n|\Z)")
_WORD = re.compile(r"[\w.:\\/*?+-]+")
_OPENERS = frozenset({"{", "(", "[", "@{", "@(", "$("})
_CLOSERS = frozenset({"}", ")", "]"})
_GOES_ON = frozenset({"|", ",", "=", "+=", "-=", "*=", "/=", "%=", "+", "-", "*", "/", "%", "..", "&", ".", "::"})
_HEADS = frozenset({"if", "while", "for", "foreach", "switch", "function", "filter", "try", "do"})
_NO_TEXT = frozenset({"command_argument_sep", "comment"})
Mark = tuple[int, str]
"""Text to put in at a byte offset."""


def marks(root: tree_sitter.Node, text: str) -> list[Mark]:
    """What to put in, the last first; nothing if the grammar can read *text*, or no repair is known."""
    found: set[Mark] = set()
    if root.has_error:
        leaves = [leaf for leaf in walk(root) if _said(leaf).strip() and not leaf.child_count]
        leaves = [leaf for leaf in leaves if leaf.type not in _NO_TEXT]
        found |= {*_terminators(root), *_empty_blocks(leaves), *_bare_lists(leaves)}
    if _LEADING_COMMA.search(text):
        found |= {*_leading_commas(root)}
    if _SUSPECT.search(text):
        found |= {*_numbers_as_commands(root)}
    return sorted(found, reverse=True)


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """All nodes in the order of the text, parents first."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting += reversed(here.children)


def _said(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _terminators(root: tree_sitter.Node) -> Iterator[Mark]:
    """Behind param() and behind the clauses of a switch, PowerShell needs none."""
    for node in walk(root):
        if not node.is_error:
            continue
        if [child.type for child in node.children] == ["param_block"]:
            yield node.end_byte, ";"
        if node.parent is not None and node.parent.type.startswith("switch"):
            for child in node.children:
                if child.type == "statement_block":
                    yield child.end_byte, ";"


def _empty_blocks(leaves: Sequence[tree_sitter.Node]) -> Iterator[Mark]:
    """A script block may be empty."""
    for one, other in pairwise(leaves):
        if one.type == "{" and other.type == "}":
            yield one.end_byte, ";"


def _bare_lists(leaves: Sequence[tree_sitter.Node]) -> Iterator[Mark]:
    """Quotes for bare words in a list of arguments: `Name, 'x'` is one list, with or without blanks."""
    for number, leaf in enumerate(leaves):
        loose = leaf.type == "simple_name" and leaf.parent is not None and leaf.parent.is_error
        if leaf.type != "generic_token" and not loose:
            continue
        before = _said(leaves[number - 1]).strip() if number else ""
        after = _said(leaves[number + 1]).strip() if number + 1 < len(leaves) else ""
        said = _said(leaf)
        word = said.strip().strip(",")
        listed = before.endswith(",") or after.startswith(",") or "," in said
        if before not in (".", "::") and listed and _WORD.fullmatch(word):
            start = leaf.start_byte + len(said[: said.index(word)].encode())
            yield start, "'"
            yield start + len(word.encode()), "'"


def _leading_commas(root: tree_sitter.Node) -> Iterator[Mark]:
    """A blank behind a comma that begins an argument, so that what follows is read as an expression."""
    for node in walk(root):
        if node.type == "generic_token" and (node.text or b"").startswith(b",") and node.text != b",":
            yield node.start_byte + 1, " "


def _numbers_as_commands(root: tree_sitter.Node) -> Iterator[Mark]:
    """Parentheses for what the grammar takes for a command's name though it is a number: `1..3 -contains 2`."""
    for node in walk(root):
        if node.type == "command_name" and node.parent is not None and node.parent.child_count > 1:
            name = _said(node)
            if NUMBER.fullmatch(name) or RANGE.fullmatch(name):
                yield node.start_byte, "("
                yield node.end_byte, ")"


def goes_on(root: tree_sitter.Node, text: str) -> bool:
    """Whether what is wrong is that *text* ends too early: something open, or an operator at its end."""
    opened = [found for found in _HERE.finditer(text) if f"\n{found[1]}@" not in text[found.end() - 1 :]]
    if opened:
        return True
    depth, last = 0, ""
    for node in walk(root):
        if node.is_error and _opens_text(node):
            return True
        if node.child_count or node.type in _NO_TEXT:
            continue
        if node.is_missing:
            if node.end_byte == root.end_byte:
                return True
            continue
        said = _said(node).strip()
        if said:
            last = said
            depth += (node.type in _OPENERS) - (node.type in _CLOSERS)
    head = root.children[0].type if root.is_error and root.children else ""
    return depth > 0 or last in _GOES_ON or head in _HEADS or text.count("<#") > text.count("#>")


def _opens_text(error: tree_sitter.Node) -> bool:
    """Whether a string begins in *error* and does not end."""
    at, uncovered = error.start_byte, b""
    data = error.text or b""
    for child in error.children:
        uncovered += data[at - error.start_byte : child.start_byte - error.start_byte]
        if child.type in ("'", '"'):
            return True
        at = child.end_byte
    return b'"' in uncovered + data[at - error.start_byte :]
