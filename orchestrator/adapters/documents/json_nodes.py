"""JSON as nodes with their places, for inventories and what scripts print: JSON's numbers and escapes are not YAML's.

Python's own parser finds what is wrong; what it has accepted is cut into its tokens here, without recursion.
"""

import json
import re
from typing import NoReturn

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.adapters.documents.composing import DEEPEST, LARGEST, LONGEST_TEXT, MOST_MISTAKES, MOST_VALUES
from orchestrator.adapters.documents.vaulted import Vault, reference
from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.secrets import CLOSE, OPEN
from orchestrator.domain.templates import is_template
from orchestrator.domain.tree import Node, Scalar

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+|\n')
_VAULT, _UNSAFE = "__ansible_vault", "__ansible_unsafe"


def parse(text: bytes, file: str, vault: Vault | None = None) -> Node:
    """The value in *text*; `{"__ansible_vault": ...}` becomes a secret reference. *file* is what mistakes call it.

    Raises:
        Mistakes: no JSON, or more of it than an inventory can be.
    """
    if len(text) > LARGEST:
        raise Mistakes([Mistake(Mark(file, 1, 1), f"more than {LARGEST >> 20} MiB", "split the inventory")])
    decoded = _checked(text, file)
    return _Builder(file, vault).build(decoded)


def parse_either(text: bytes, file: str, vault: Vault | None = None) -> Node:
    """The document in *text*: JSON if it is that, else YAML, as Ansible reads inventories and variables.

    Raises:
        Mistakes: it is neither.
    """
    if text.lstrip()[:1] == b"{" and len(text) <= LARGEST and _is_json(text):
        return parse(text, file, vault)
    try:
        return yaml_nodes.parse(text, file, vault)
    except Mistakes:
        if file.endswith(".json"):
            parse(text, file, vault)  # what is wrong with the JSON says more
        raise


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _checked(text: bytes, file: str) -> str:
    try:
        decoded = text.decode("utf-8-sig")
        json.loads(decoded, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        before = text[: error.start]
        mark = Mark(file, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise Mistakes([Mistake(mark, "this is not UTF-8")]) from None
    except json.JSONDecodeError as error:
        wrong = f"this is no JSON: {error.msg}" if decoded.strip() else "this is no JSON: nothing is there"
        raise Mistakes([Mistake(Mark(file, error.lineno, error.colno), wrong)]) from None
    except RecursionError:
        raise Mistakes([Mistake(Mark(file, 1, 1), f"nested more than {DEEPEST} levels deep")]) from None
    except ValueError as error:
        raise Mistakes([Mistake(Mark(file, 1, 1), f"this is no JSON: {error}")]) from None
    return decoded


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class _Builder:
    def __init__(self, file: str, vault: Vault | None) -> None:
        self._file = file
        self._vault = vault
        self._mistakes: list[Mistake] = []
        self._line = 1
        self._line_began = 0
        self._count = 0
        self._stack: list[tuple[Node, str | None]] = []
        self._root: Node | None = None
        self._key: str | None = None

    def build(self, text: str) -> Node:
        after_colon = False
        for found in _TOKEN.finditer(text):
            token = found[0]
            first = token[0]
            if first == "\n":
                self._line, self._line_began = self._line + 1, found.end()
            elif first == ":":
                after_colon = True
            elif first in "]}":
                self._end()
            elif first != ",":
                self._value(token, found.start() - self._line_began + 1, after_colon=after_colon)
                after_colon = False
        if self._mistakes:
            raise Mistakes(self._mistakes)
        assert self._root is not None
        return self._root

    def _value(self, token: str, column: int, *, after_colon: bool) -> None:
        if token in "[{":
            self._begin(Node({} if token == "{" else [], self._file, self._line, column, {} if token == "{" else None))
            return
        scalar: Scalar = self._text(token, column) if token[0] == '"' else json.loads(token)
        if self._stack and isinstance(self._stack[-1][0].value, dict) and not after_colon:
            self._open_key(str(scalar), column)
        else:
            self._place(Node(scalar, self._file, self._line, column))

    def _text(self, token: str, column: int) -> str:
        text: str = json.loads(token) if "\\" in token else token[1:-1]
        if len(text) > LONGEST_TEXT:
            self._wrong(column, f"text of {len(text)} characters", f"a value has at most {LONGEST_TEXT}")
        if OPEN in text or CLOSE in text:
            self._wrong(column, "U+E000 and U+E001 are not allowed in text", "remove the invisible character")
            return ""
        if "\\" in token and any("\ud800" <= one <= "\udfff" for one in text):
            self._wrong(column, "half of a character (a lone surrogate)", "remove it")
            return ""
        return text

    def _open_key(self, key: str, column: int) -> None:
        keys = self._stack[-1][0].keys
        assert keys is not None
        if key in keys:
            place = f"line {keys[key][0]}, column {keys[key][1]}"
            wrong = f"the key {key[:80]!r} stands twice in one mapping; first in {place}"
            self._wrong(column, wrong, "keep one of them")
        keys[key] = (self._line, column)
        self._key = key

    def _begin(self, node: Node) -> None:
        if len(self._stack) >= DEEPEST:
            self._stop(f"nested more than {DEEPEST} levels deep")
        self._stack.append((node, self._key))
        self._key = None

    def _end(self) -> None:
        node, self._key = self._stack.pop()
        self._place(self._meant(node))

    def _place(self, node: Node) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            self._stop(f"more than {MOST_VALUES} values")
        if not self._stack:
            self._root = node
            return
        above = self._stack[-1][0].value
        if isinstance(above, list):
            above.append(node)
        elif isinstance(above, dict) and self._key is not None:
            above[self._key] = node

    def _meant(self, node: Node) -> Node:
        """What Ansible means by a mapping of one key of its own."""
        value = node.value
        if not isinstance(value, dict) or len(value) != 1:
            return node
        ((key, inside),) = value.items()
        if key not in (_VAULT, _UNSAFE) or not isinstance(inside.value, str):
            return node
        if key == _VAULT and self._vault is not None:
            return Node(reference(self._vault, node.mark, inside.value, encrypted=True), *node.mark)
        if key == _UNSAFE and not is_template(inside.value):
            return Node(inside.value, *node.mark)
        right = "write text that is no template as \"{{ 'text' }}\"" if key == _UNSAFE else ""
        self._note(node.mark, f"{key} is not supported here", right)
        return node

    def _wrong(self, column: int, wrong: str, right: str = "") -> None:
        self._note(Mark(self._file, self._line, column), wrong, right)

    def _note(self, mark: Mark, wrong: str, right: str) -> None:
        self._mistakes.append(Mistake(mark, wrong, right))
        if len(self._mistakes) >= MOST_MISTAKES:
            raise Mistakes(self._mistakes)

    def _stop(self, wrong: str) -> NoReturn:
        raise Mistakes([*self._mistakes, Mistake(Mark(self._file, self._line, 1), wrong, "split the inventory")])
