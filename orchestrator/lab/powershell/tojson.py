"""ConvertTo-Json and ConvertFrom-Json as Windows PowerShell 5.1 does them."""

import json
import re
from typing import Any

from orchestrator.lab.powershell import convert, members
from orchestrator.lab.powershell.values import (
    Char,
    Custom,
    DateTime,
    Enum,
    Table,
    Type,
    failure,
)

_UNIX_EPOCH_TICKS = 621_355_968_000_000_000
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile("[\"\\\\\x00-\x1f'<>&\x85\u2028\u2029\ud800-\udfff]")
_DATE = re.compile(r"/Date\((-?\d+)\)/")


def quoted(text: str) -> str:
    """A string as JavaScriptSerializer writes it: `'<>&` escaped, letters beyond ASCII left alone."""

    def escaped(found: re.Match[str]) -> str:
        return _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}"

    return f'"{_SPECIAL.sub(escaped, text)}"'


def write(value: Any, depth: int, *, compress: bool) -> str:
    """*value* as JSON; what lies deeper than *depth* is its text."""
    plain = _plain(value, depth)
    return _compact(plain) if compress else _indented(plain, 0)


def _plain(value: Any, depth: int) -> Any:
    """Down to what JSON has: dicts, lists, strings, numbers."""
    if convert.is_null(value) or isinstance(value, (bool, str, int, float)):
        return None if convert.is_null(value) else (str(value) if isinstance(value, Char) else value)
    if isinstance(value, Enum):
        return value.number
    if isinstance(value, DateTime):
        return _Raw(f'"\\/Date({(value.ticks - _UNIX_EPOCH_TICKS) // 10_000})\\/"')
    if isinstance(value, Type):
        return convert.text(value)
    if depth < 0:
        return convert.text(value)
    if isinstance(value, (list, bytes)):
        return [_plain(item, depth - 1) for item in value]
    pairs = value if isinstance(value, Table) else members.all_of(value)
    return {convert.text(key): _plain(item, depth - 1) for key, item in pairs}


class _Raw(str):
    """Text that is JSON already."""

    __slots__ = ()


def _scalar(value: Any) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        text = convert.number_text(value)
        return text if any(mark in text for mark in ".EN") else f"{text}.0"
    return str(int(value))


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(key)}:{_compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_compact(item) for item in value) + "]"
    return _scalar(value)


def _indented(value: Any, column: int) -> str:
    """5.1's own layout: what is within stands under its opening bracket, four columns further."""
    inner = " " * (column + 4)
    if isinstance(value, dict):
        if not value:
            return "{\r\n\r\n" + " " * column + "}"
        parts = []
        for key, item in value.items():
            head = f"{inner}{quoted(key)}:  "
            parts.append(head + _indented(item, len(head)))
        return "{\r\n" + ",\r\n".join(parts) + "\r\n" + " " * column + "}"
    if isinstance(value, list):
        if not value:
            return "[\r\n\r\n" + " " * column + "]"
        parts = [inner + _indented(item, column + 4) for item in value]
        return "[\r\n" + ",\r\n".join(parts) + "\r\n" + " " * column + "]"
    return _scalar(value)


def read(text: str) -> Any:
    """JSON as objects. Raises Failed."""
    try:
        return _objects(json.loads(text))
    except ValueError as exc:
        said = f"Invalid JSON primitive: {text[:40]}."
        raise failure(said, "System.ArgumentException,Microsoft.PowerShell.Commands.ConvertFromJsonCommand") from exc


def _objects(value: Any) -> Any:
    if isinstance(value, dict):
        return Custom(Table(((key, _objects(item)) for key, item in value.items()), ordered=True))
    if isinstance(value, list):
        return [_objects(item) for item in value]
    if isinstance(value, str) and (found := _DATE.fullmatch(value)):
        return DateTime(int(found[1]) * 10_000 + _UNIX_EPOCH_TICKS, "Utc")
    return convert.fit(value) if isinstance(value, int) and not isinstance(value, bool) else value
