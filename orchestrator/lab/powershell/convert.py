"""From one type to another, as PowerShell's LanguagePrimitives do: text, truth, numbers, arrays, casts."""

import datetime
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from orchestrator.lab.powershell.types import INT32, INT64, is_a, type_name
from orchestrator.lab.powershell.values import (
    NOTHING,
    Block,
    Char,
    Custom,
    DateTime,
    Enum,
    ErrorRecord,
    Failed,
    Int64,
    NetException,
    NetList,
    Nothing,
    Table,
    TimeSpan,
    Type,
    Typed,
    failure,
    unsupported,
)

_NUMBER = re.compile(
    r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]+)|([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+\.))([lLdD]?)([kKmMgGtTpP][bB])?\s*"
)
_LAST_TICK = 3_155_378_976_000_000_000
_MULTIPLES = {"kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40, "pb": 2**50}
_EPOCH = datetime.datetime(1, 1, 1)  # noqa: DTZ001  a DateTime of .NET has no zone either
ENUMS: dict[str, dict[str, int]] = {
    "System.ServiceProcess.ServiceControllerStatus": {
        "Stopped": 1,
        "StartPending": 2,
        "StopPending": 3,
        "Running": 4,
        "ContinuePending": 5,
        "PausePending": 6,
        "Paused": 7,
    },
    "System.ServiceProcess.ServiceStartMode": {"Boot": 0, "System": 1, "Automatic": 2, "Manual": 3, "Disabled": 4},
    "System.Management.Automation.ActionPreference": {
        "SilentlyContinue": 0,
        "Stop": 1,
        "Continue": 2,
        "Inquire": 3,
        "Ignore": 4,
    },
}


def is_null(value: Any) -> bool:
    """Whether it is $null, of whichever kind."""
    return value is None or value is NOTHING


def datetime_of(value: DateTime) -> datetime.datetime:
    """To the microsecond; a moment out of .NET's range is its last."""
    if not 0 <= value.ticks < _LAST_TICK:
        raise failure(
            "The added or subtracted value results in an un-representable DateTime.", "ArgumentOutOfRangeException"
        )
    return _EPOCH + datetime.timedelta(microseconds=value.ticks // 10)


def number_text(value: float) -> str:
    """A double as .NET Framework writes it in the invariant culture: 15 digits at most."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.15g}"
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    if int(exponent) < 15 and int(exponent) >= -5:
        return f"{value:f}".rstrip("0").rstrip(".")
    return f"{mantissa}E{exponent[0]}{exponent[1:].lstrip('0').zfill(2)}"


def text(value: Any) -> str:
    """What `[string]$value` and "$value" give."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return str(value) if isinstance(value, bool) else str(int(value))
    if isinstance(value, (list, bytes)):
        return " ".join(text(item) for item in value)
    if shown := getattr(value, "shown", None):
        return str(shown())
    render = next((render for kind, render in _TEXTS.items() if isinstance(value, kind)), type_name)
    return render(value)


def custom_text(value: Custom) -> str:
    """@{a=1; b=2}"""
    return "@{" + "; ".join(f"{key}={text(item)}" for key, item in value.members) + "}"


def _time_span_text(value: TimeSpan) -> str:
    sign, ticks = ("-", -value.ticks) if value.ticks < 0 else ("", value.ticks)
    seconds, rest = divmod(ticks, 10**7)
    days, seconds = divmod(seconds, 86400)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{sign}{f'{days}.' if days else ''}{clock}{f'.{rest:07}' if rest else ''}"


def exception_text(value: NetException) -> str:
    """The exception's ToString: its type, message, and what is within."""
    within = f" ---> {exception_text(value.inner)}" if value.inner else ""
    return f"{value.type_name}: {value.message}{within}"


_TEXTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "",
    Nothing: lambda value: "",
    float: number_text,
    Enum: lambda value: value.name,
    Custom: custom_text,
    Type: lambda value: value.name.removeprefix("System.") if value.name.count(".") == 1 else value.name,
    Block: lambda value: value.node.text[1:-1] if value.node.text.startswith("{") else value.node.text,
    ErrorRecord: lambda value: value.exception.message,
    NetException: exception_text,
    DateTime: lambda value: datetime_of(value).strftime("%m/%d/%Y %H:%M:%S"),
    TimeSpan: _time_span_text,
}


def truth(value: Any) -> bool:
    """What `[bool]$value` gives: an array of one counts as what is in it."""
    if is_null(value):
        return False
    if isinstance(value, (list, bytes)):
        return len(value) > 1 or (len(value) == 1 and truth(value[0]))
    if isinstance(value, Char):
        return value != "\0"
    if isinstance(value, (str, int, float)):
        return bool(value)
    return not isinstance(value, Enum) or value.number != 0


def parse_number(written: str) -> int | float | None:
    """A number as PowerShell reads it in text or code; None if it is none."""
    match = _NUMBER.fullmatch(written)
    if match is None:
        return None
    sign, hexadecimal, decimal, suffix, multiple = match.groups()
    value: int | float
    if hexadecimal:
        value = int(hexadecimal, 16)
        if 2**31 <= value < 2**32 and len(hexadecimal) <= 8:
            value -= 2**32
    else:
        value = int(decimal) if decimal.isdigit() else float(decimal)
    value *= _MULTIPLES[multiple.lower()] if multiple else 1
    value = -value if sign == "-" else value
    if suffix and suffix in "lL":
        return Int64(round(value))
    return fit(value)


def fit(value: int | float, *, wide: bool = False) -> int | float:
    """A result as int, Int64 or, when it fits neither, double. *wide*: an Int64 took part."""
    if isinstance(value, (bool, float)):
        return value
    if not INT64[0] <= value <= INT64[1]:
        return float(value)
    return Int64(value) if wide or not INT32[0] <= value <= INT32[1] else int(value)


def number(value: Any) -> int | float:
    """*value* as the number that arithmetic takes it for. Raises Failed."""
    if is_null(value):
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, Enum):
        return value.number
    if isinstance(value, Char):
        return ord(value)
    if isinstance(value, str):
        found = 0 if not value.strip() else parse_number(value)
        if found is not None:
            return found
    raise bad_cast(value, "System.Int32", "Input string was not in a correct format.")


def bad_cast(value: Any, wanted: str, why: str = "") -> Failed:
    """The error of a conversion that can't be."""
    own = type_name(value)
    if isinstance(value, str):
        said = f'Cannot convert value "{value}" to type "{wanted}".'
    else:
        said = f'Cannot convert the "{text(value)}" value of type "{own}" to type "{wanted}".'
    kind = {"System.String": "InvalidCastFromStringToInteger"}.get(own, "ConvertToFinalInvalidCastException")
    message = f'{said} Error: "{why}"' if why else said
    return failure(message, kind if why else "ConvertToFinalInvalidCastException", category=(5, "InvalidArgument"))


def items(value: Any) -> list[Any]:
    """What a pipeline makes of *value*: the elements of a collection, or the one value."""
    if value is NOTHING:
        return []
    if isinstance(value, list):
        return list(value)
    return list(value) if isinstance(value, bytes) else [value]


def single(values: list[Any]) -> Any:
    """What a command gives as one value: nothing, the only one, or an array."""
    if not values:
        return NOTHING
    return values[0] if len(values) == 1 else values


def cast(value: Any, wanted: str) -> Any:
    """*value* as the type of that full name. Raises Failed."""
    if wanted.endswith("[]"):
        return _array(value, wanted[:-2])
    if converter := _CASTS.get(wanted):
        return converter(value)
    if wanted in ENUMS:
        return enum(wanted, value)
    if is_null(value) or is_a(value, wanted):
        return None if is_null(value) else value
    if wanted.endswith("Exception"):
        return NetException(wanted, text(value))
    raise bad_cast(value, wanted)


def enum(type_name: str, value: Any) -> Enum:
    """The value of an enumeration by name, number or itself. Raises Failed."""
    names = ENUMS[type_name]
    if isinstance(value, Enum) and value.type_name == type_name:
        return value
    wanted = value.casefold() if isinstance(value, str) else value
    for name, numeral in names.items():
        if wanted in (name.casefold(), numeral, str(numeral)):
            return Enum(type_name, name, numeral)
    possible = ",".join(names)
    raise bad_cast(
        value,
        type_name,
        f"Unable to match the identifier name {text(value)} to a valid enumerator name. Specify one of the following"
        f" enumerator names and try again:\n{possible}",
    )


def _array(value: Any, element: str) -> Any:
    if is_null(value):
        return None
    if element == "System.Byte":
        return value if isinstance(value, bytes) else bytes(_byte(item) for item in items(value))
    if element == "System.Char" and isinstance(value, str):
        return Typed([Char(char) for char in value], element)
    if element == "System.Object":
        return list(value) if isinstance(value, (list, bytes)) else [value]
    return Typed([cast(item, element) for item in items(value)], element)


def _whole(low: int, high: int, wanted: str) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, (list, Table, Custom)) or isinstance(value, str) and parse_number(value or "0") is None:
            raise bad_cast(value, wanted, "Input string was not in a correct format." if isinstance(value, str) else "")
        found = number(value)
        if isinstance(found, float) and (math.isnan(found) or math.isinf(found)) or not low <= round(found) <= high:
            what = {"System.Int32": "an Int32", "System.Int64": "an Int64", "System.Byte": "an unsigned byte"}
            raise bad_cast(value, wanted, f"Value was either too large or too small for {what.get(wanted, 'it')}.")
        whole = round(found)  # to even, as .NET does
        return Int64(whole) if wanted == "System.Int64" else int(whole)

    return convert


_byte = _whole(0, 255, "System.Byte")


def _double(value: Any) -> float:
    return float(number(value))


def _char(value: Any) -> Char:
    if isinstance(value, str) and len(value) == 1:
        return Char(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF:
        return Char(chr(value))
    raise bad_cast(value, "System.Char", "String must be exactly one character long." if isinstance(value, str) else "")


def _table(value: Any) -> Any:
    if is_null(value) or isinstance(value, Table):
        return None if is_null(value) else value
    raise bad_cast(value, "System.Collections.Hashtable")


def to_custom(value: Any) -> Any:
    """[pscustomobject]: a hashtable becomes an object, everything else stays."""
    return Custom(Table(value, ordered=True)) if isinstance(value, Table) else value


def _ordered(value: Any) -> Table:
    if not isinstance(value, Table):
        raise bad_cast(value, "System.Collections.Specialized.OrderedDictionary")
    return Table(value, ordered=True)


def _list(value: Any) -> NetList:
    return value if isinstance(value, NetList) else NetList(items(value))


def _bool(value: Any) -> bool:
    if isinstance(value, (Table, Custom)):
        return True
    return truth(value)


def _date(value: Any) -> DateTime:
    if isinstance(value, DateTime):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LAST_TICK:
        return DateTime(int(value))
    raise unsupported(f"a [datetime] of {type_name(value) or 'null'}")


def strings(values: Iterable[Any]) -> list[str]:
    """Each as text."""
    return [text(value) for value in values]


_CASTS: dict[str, Callable[[Any], Any]] = {
    "System.String": text,
    "System.Char": _char,
    "System.Boolean": _bool,
    "System.Management.Automation.SwitchParameter": _bool,
    "System.Int32": _whole(*INT32, "System.Int32"),
    "System.UInt32": _whole(0, 2**32 - 1, "System.UInt32"),
    "System.Int64": _whole(*INT64, "System.Int64"),
    "System.Byte": _byte,
    "System.Double": _double,
    "System.Single": _double,
    "System.Object": lambda value: None if is_null(value) else value,
    "System.Void": lambda value: NOTHING,
    "System.Array": lambda value: None if is_null(value) else items(value),
    "System.Collections.Hashtable": _table,
    "System.Collections.IDictionary": _table,
    "System.Collections.Specialized.OrderedDictionary": _ordered,
    "System.Collections.ArrayList": _list,
    "System.Collections.Generic.List": _list,
    "System.Management.Automation.PSCustomObject": to_custom,
    "System.Management.Automation.PSObject": to_custom,
    "System.DateTime": _date,
}
