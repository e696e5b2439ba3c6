"""What the value of a variable means in an INI inventory: a Python literal if it is one, else the text."""

import ast
import re
import warnings
from functools import lru_cache

from orchestrator.domain.tree import Node, Scalar

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LITERAL_WORDS = frozenset(("True", "False", "None"))

Place = tuple[str, int, int]


def value(text: str, place: Place) -> Node:
    """The value written as *text*, all of it at *place*. Tuples and sets become lists, keys of mappings text.

    Raises:
        ValueError: Ansible could not read it either.
    """
    if _WORD.fullmatch(text) and text not in _LITERAL_WORDS:
        return Node(text, *place)  # at once: no literal looks like this
    return _node(_literal(text), place)


@lru_cache(maxsize=4096)
def _literal(text: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    except (TypeError, MemoryError, RecursionError):
        raise ValueError("this looks like a Python literal and is none") from None


def _node(given: object, place: Place) -> Node:
    if isinstance(given, dict):
        keys = {_text(key): (place[1], place[2]) for key in given}
        return Node({_text(key): _node(one, place) for key, one in given.items()}, *place, keys)
    if isinstance(given, list | tuple | set):
        return Node([_node(one, place) for one in given], *place)
    return Node(_scalar(given), *place)


def _scalar(given: object) -> Scalar:
    if given is None or isinstance(given, bool | int | float | str):
        return given
    if isinstance(given, bytes):
        return given.decode("utf-8", "surrogateescape")
    return "..." if given is ... else str(given)


def _text(key: object) -> str:
    return str(_scalar(key))
