"""What a YAML scalar means: the rules of YAML 1.1 as `yaml.safe_load` applies them, timestamps left as text."""

from collections.abc import Callable

import yaml

from orchestrator.domain.tree import Scalar

LONGEST_NUMBER = 256
"""Characters. A longer number is no number that a person wrote, and reading it costs the square of its length."""

_TAG = "tag:yaml.org,2002:"
_RULES = {
    first: [(tag, pattern) for tag, pattern in rules if tag.removeprefix(_TAG) in ("null", "bool", "int", "float")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_MAKER = yaml.constructor.SafeConstructor()
_MAKE: dict[str, Callable[[yaml.ScalarNode], Scalar]] = {
    _TAG + "null": _MAKER.construct_yaml_null,
    _TAG + "bool": _MAKER.construct_yaml_bool,
    _TAG + "int": _MAKER.construct_yaml_int,
    _TAG + "float": _MAKER.construct_yaml_float,
    _TAG + "str": lambda node: str(node.value),
}
KNOWN_TAGS = tuple(_MAKE)


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar.

    Raises:
        ValueError: it looks like a number, and is too long to be one.
    """
    for tag, pattern in _RULES.get(text[:1], ()):
        if pattern.match(text):
            return tagged(tag, text)
    return text


def tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with one of KNOWN_TAGS.

    Raises:
        ValueError: *text* is no such value; the message says so.
    """
    if len(text) > LONGEST_NUMBER and tag != _TAG + "str":
        raise ValueError(f"a number of {len(text)} characters; text that looks like a number stands in quotes")
    try:
        return _MAKE[tag](yaml.ScalarNode(tag, text))
    except (ValueError, KeyError, IndexError):
        raise ValueError(f"{text[:80]!r} is no {tag.removeprefix(_TAG)}") from None
