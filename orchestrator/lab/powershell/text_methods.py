"""The methods of System.String."""

from collections.abc import Callable
from typing import Any

from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.convert import text
from orchestrator.lab.powershell.values import Char, Typed

_STRINGS = "System.String"


def _compares(arguments: list[Any]) -> bool:
    """Whether a StringComparison that ignores case stands among the arguments."""
    return any("ignorecase" in text(argument).lower() for argument in arguments[1:])


def _find(value: str, arguments: list[Any]) -> int:
    start = int(arguments[1]) if len(arguments) > 1 and isinstance(arguments[1], int) else 0
    if _compares(arguments):
        return value.casefold().find(text(arguments[0]).casefold(), start)
    return value.find(text(arguments[0]), start)


def _starts(value: str, arguments: list[Any]) -> bool:
    if _compares(arguments):
        return value.casefold().startswith(text(arguments[0]).casefold())
    return value.startswith(text(arguments[0]))


def _ends(value: str, arguments: list[Any]) -> bool:
    if _compares(arguments):
        return value.casefold().endswith(text(arguments[0]).casefold())
    return value.endswith(text(arguments[0]))


def _equals(value: str, arguments: list[Any]) -> bool:
    other = text(arguments[0])
    return value.casefold() == other.casefold() if _compares(arguments) else value == other


def _part(value: str, arguments: list[Any]) -> str:
    start = int(convert.cast(arguments[0], "System.Int32"))
    length = int(convert.cast(arguments[1], "System.Int32")) if len(arguments) > 1 else len(value) - start
    if not 0 <= start <= len(value):
        raise IndexError("startIndex cannot be larger than length of string.\r\nParameter name: startIndex")
    if length < 0 or start + length > len(value):
        raise IndexError("Index and length must refer to a location within the string.\r\nParameter name: length")
    return value[start : start + length]


def _split(value: str, arguments: list[Any]) -> list[Any]:
    """By any of the characters given, as .NET Framework takes a string for its characters."""
    options = [each for each in arguments[1:] if not isinstance(each, int)]
    limit = next((int(each) for each in arguments[1:] if isinstance(each, int)), 0)
    marks = "".join(text(each) for each in convert.items(arguments[0])) if arguments else ""
    parts: list[str] = []
    rest = value
    while limit <= 0 or len(parts) < limit - 1:
        at = min((place for mark in marks or " \t\r\n" if (place := rest.find(mark)) >= 0), default=-1)
        if at < 0:
            break
        parts.append(rest[:at])
        rest = rest[at + 1 :]
    parts.append(rest)
    if any("removeempty" in text(option).lower() for option in options):
        parts = [part for part in parts if part]
    return Typed(parts, _STRINGS)


def _marks(arguments: list[Any]) -> str | None:
    return "".join(text(each) for argument in arguments for each in convert.items(argument)) or None


def _replace(value: str, arguments: list[Any]) -> str:
    old = text(arguments[0])
    if not old:
        raise ValueError("String cannot be of zero length.\r\nParameter name: oldValue")
    return value.replace(old, text(arguments[1]))


def _pad(value: str, arguments: list[Any], *, left: bool) -> str:
    width = min(int(convert.cast(arguments[0], "System.Int32")), 65536)
    mark = text(arguments[1]) if len(arguments) > 1 else " "
    return value.rjust(width, mark) if left else value.ljust(width, mark)


def _remove(value: str, arguments: list[Any]) -> str:
    start = int(arguments[0])
    count = int(arguments[1]) if len(arguments) > 1 else len(value) - start
    if start < 0 or count < 0 or start + count > len(value):
        raise IndexError("Index and count must refer to a location within the string.")
    return value[:start] + value[start + count :]


METHODS: dict[str, Callable[[str, list[Any]], Any]] = {
    "replace": _replace,
    "split": _split,
    "trim": lambda value, arguments: value.strip(_marks(arguments)),
    "trimstart": lambda value, arguments: value.lstrip(_marks(arguments)),
    "trimend": lambda value, arguments: value.rstrip(_marks(arguments)),
    "toupper": lambda value, arguments: value.upper(),
    "tolower": lambda value, arguments: value.lower(),
    "toupperinvariant": lambda value, arguments: value.upper(),
    "tolowerinvariant": lambda value, arguments: value.lower(),
    "substring": _part,
    "startswith": _starts,
    "endswith": _ends,
    "contains": lambda value, arguments: text(arguments[0]) in value,
    "indexof": _find,
    "lastindexof": lambda value, arguments: value.rfind(text(arguments[0])),
    "padleft": lambda value, arguments: _pad(value, arguments, left=True),
    "padright": lambda value, arguments: _pad(value, arguments, left=False),
    "insert": lambda value, arguments: value[: int(arguments[0])] + text(arguments[1]) + value[int(arguments[0]) :],
    "remove": _remove,
    "equals": _equals,
    "tochararray": lambda value, arguments: Typed([Char(char) for char in value], "System.Char"),
    "tostring": lambda value, arguments: value,
    "compareto": lambda value, arguments: (value > text(arguments[0])) - (value < text(arguments[0])),
}
