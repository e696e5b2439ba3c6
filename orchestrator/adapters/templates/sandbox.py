"""The Jinja2 that playbooks and inventories may use: expressions and `{% if %}`, nothing that can run away.

Loops, assignments, macros, powers and repeated text are left out, and every text stays below LONGEST: what is left
takes time and memory in proportion to what was written. Importing this module imports Jinja2.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.compiler import Frame
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.meta import find_undeclared_variables
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from orchestrator.domain.secrets import embed, parse

LONGEST = 16_384
"""Characters of the longest text that any part of a template may give."""

_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.Expr,
    nodes.Pair,
    nodes.Keyword,
    nodes.Operand,
)
_STATEMENTS = (
    "expressions and {% if %} are offered, no other statement; lists are handled by filters: map, select, join"
)
_TEXT_METHODS = frozenset(
    ["capitalize", "casefold", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower", "isupper"]
    + ["lower", "lstrip", "partition", "removeprefix", "removesuffix", "rfind", "rpartition", "rsplit", "rstrip"]
    + ["split", "splitlines", "startswith", "strip", "title", "upper"]
)
_MAPPING_METHODS = frozenset(["get", "items", "keys", "values"])
_LIST_METHODS = frozenset(["count", "index"])
_BORROWED = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last", "length"),
    *("list", "lower", "map", "max", "min", "reject", "rejectattr", "select", "selectattr", "sort", "string", "sum"),
    *("title", "trim", "unique", "upper", "urlencode"),
)


KNOWN = "known names"
"""No name that a template could use: where its context keeps all the names that there are."""


class Missing(StrictUndefined):
    """An undefined name; its message names the nearest one that is defined."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name, owner = self._undefined_name, self._undefined_obj
        known = [str(key) for key in owner] if isinstance(owner, Mapping) else []
        near = get_close_matches(str(name), known, n=1)
        if near:
            return f"{name!r} is undefined; the nearest known name is {near[0]!r}"
        return f"{name!r} is undefined" + (f"; known: {', '.join(sorted(known)[:12])}" if known else "")


class _Names(Context):
    """A context whose undefined names know which names there are."""

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        if key in self.parent:
            return self.parent[key]
        known = dict.fromkeys([*self.parent[KNOWN], *self.environment.globals])
        return self.environment.undefined(obj=known, name=key)


class _Values(NativeCodeGenerator):
    """Hands each piece out as the value that it is; a constant is no exception."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> Any:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class _Grammar(NodeTransformer):
    """Refuses what is not offered, and turns `a ~ b` into `[a, b] | join`, whose length is bounded."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if not isinstance(node, _NODES):
            raise TemplateSyntaxError(_STATEMENTS, node.lineno)
        if isinstance(node, nodes.Pow):
            raise TemplateSyntaxError("`**` is not offered", node.lineno)
        return super().generic_visit(node, *args, **kwargs)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment: no loader, no files, the global `secret`, a short list of filters."""

    code_generator_class = _Values
    context_class = _Names
    intercepted_binops = frozenset(["*", "%"])

    def __init__(self) -> None:
        super().__init__(undefined=Missing, keep_trailing_newline=True, cache_size=0)
        self.globals.clear()
        self.globals["secret"] = _secret
        self.filters = {name: _bounded(FILTERS[name]) for name in _BORROWED}
        self.filters |= {"join": join, "replace": _replace, "tojson": _bounded(_tojson)}

    def compiled(self, text: str) -> tuple[Template, tuple[str, ...]]:
        """*text* compiled, and the names that it uses.

        Raises what Jinja2 raises for bad syntax, and for what is not offered.
        """
        tree = self.parse(text)
        _Grammar().visit(tree)
        template = self.from_string(tree)
        template.globals = {}  # the caller hands them over with the names: a ChainMap copied for each use is dear
        return template, tuple(sorted(find_undeclared_variables(tree)))

    def getattr(self, obj: Any, attribute: str) -> Any:
        # `vars.items` is the variable of that name if there is one, and the method otherwise.
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in _TEXT_METHODS
        if isinstance(obj, Mapping):
            return attr in _MAPPING_METHODS
        return isinstance(obj, list | tuple) and attr in _LIST_METHODS

    def wrap_str_format(self, value: Any) -> None:
        """Nothing: `format` is not among the methods, for its widths know no bound."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        return self.undefined(f"{attribute!r} of {type(obj).__name__} is not offered here", exc=SecurityError)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"`{operator}` is offered for numbers alone")
        return super().call_binop(context, operator, left, right)


def join(value: Iterable[object], separator: str = "") -> str:
    """The values as one text. Raises SecurityError past LONGEST, TypeError for a value that is no scalar."""
    pieces: list[str] = []
    length = 0
    for item in value:
        if isinstance(item, str):
            piece = item
        elif isinstance(item, list | tuple | Mapping):
            raise TypeError("a list or a mapping can't stand inside text")
        else:
            piece = str(item)
        length += len(piece) + len(separator)
        if length > LONGEST:
            _check(length)
        pieces.append(piece)
    return separator.join(pieces)


def _check(length: int) -> None:
    if length > LONGEST:
        raise SecurityError(f"it gives more than {LONGEST} characters")


def _replace(value: object, old: str, new: str, count: int = -1) -> str:
    text = str(value)
    _check(len(text) + text.count(old) * max(len(new) - len(old), 0))
    return text.replace(old, new, count)


def _tojson(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bounded(borrowed: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(borrowed)
    def checked(*args: Any, **kwargs: Any) -> Any:
        result = borrowed(*args, **kwargs)
        if isinstance(result, str):
            _check(len(result))
        return result

    return checked


def _secret(reference: str) -> str:
    return embed(parse(str(reference)))
