"""The operators: comparison, arithmetic, text, types, ranges. An array on the left of a comparison is a filter."""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.convert import fit, is_null, items, number, text
from orchestrator.lab.powershell.types import INT32, full_name, is_a, type_name
from orchestrator.lab.powershell.values import (
    Custom,
    Enum,
    Failed,
    Int64,
    NetException,
    NetList,
    Table,
    TimeSpan,
    Type,
    Typed,
    failure,
    unsupported,
)
from orchestrator.lab.wildcard import matcher

_LONGEST = 1_000_000
"""Characters or elements that one operator may make: the lab's own memory is not a script's."""


def equal(left: Any, right: Any, *, cased: bool = False) -> bool:
    """Whether two values are equal for -eq: the right one is taken for what the left one is."""
    if is_null(left) or is_null(right):
        return is_null(left) and is_null(right)
    if isinstance(left, bool):
        return left == convert.truth(right)
    if isinstance(left, Enum):
        return _equals_enum(left, right)
    if isinstance(left, str):
        return _same_text(left, text(right), cased)
    if isinstance(left, (int, float)):
        try:
            return bool(left == number(right))
        except Failed:
            return False
    if isinstance(left, Type):
        return isinstance(right, Type) and left.name == right.name
    return left is right or (
        type(left) is type(right) and not isinstance(left, (list, Table, Custom)) and left == right
    )


def _same_text(left: str, right: str, cased: bool) -> bool:
    return left == right if cased else left.casefold() == right.casefold()


def _equals_enum(left: Enum, right: Any) -> bool:
    try:
        return left == convert.enum(left.type_name, right) if left.type_name in convert.ENUMS else left == right
    except Failed:
        return False


def ordered(left: Any, right: Any) -> int:
    """-1, 0 or 1 as *left* is less, equal or greater. Raises Failed."""
    if isinstance(left, str):
        one, other = left.casefold(), text(right).casefold()
        return (one > other) - (one < other)
    if is_null(left) or is_null(right):
        return (not is_null(left)) - (not is_null(right))
    try:
        if hasattr(left, "ticks") and hasattr(right, "ticks"):
            return int(left.ticks > right.ticks) - int(left.ticks < right.ticks)
        one_number, other_number = number(left), number(right)
    except Failed:
        said = f'Cannot compare "{text(left)}" because it is not IComparable.'
        raise failure(said, "NotIcomparable") from None
    return (one_number > other_number) - (one_number < other_number)


def _pattern(value: Any, *, cased: bool) -> re.Pattern[str]:
    try:
        return re.compile(_dotnet(text(value)), 0 if cased else re.IGNORECASE)
    except re.error as exc:
        said = f'parsing "{text(value)}" - {exc}'
        raise failure(said, "System.ArgumentException", exception="System.ArgumentException") from None


def _dotnet(pattern: str) -> str:
    """.NET's named groups as Python has them."""
    return re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)


def match(left: Any, right: Any, *, cased: bool = False) -> re.Match[str] | None:
    """-match of one value."""
    return _pattern(right, cased=cased).search(text(left))


def like(left: Any, right: Any, *, cased: bool = False) -> bool:
    """-like of one value."""
    whole = matcher(text(right))
    if cased:
        whole = re.compile(whole.pattern, whole.flags & ~re.IGNORECASE)
    return whole.fullmatch(text(left)) is not None


def _contains(left: Any, right: Any, *, cased: bool = False) -> bool:
    return any(equal(item, right, cased=cased) for item in items(left))


def is_type(left: Any, right: Any) -> bool:
    """-is"""
    name = right.name if isinstance(right, Type) else full_name(text(right))
    if name is None:
        raise failure(f'Cannot convert value "{text(right)}" to type "System.Type".', "RuntimeException")
    return is_a(left, name)


_ONE_BY_ONE: dict[str, Callable[..., bool]] = {
    "eq": equal,
    "ne": lambda left, right, *, cased: not equal(left, right, cased=cased),
    "lt": lambda left, right, *, cased: ordered(left, right) < 0,
    "le": lambda left, right, *, cased: ordered(left, right) <= 0,
    "gt": lambda left, right, *, cased: ordered(left, right) > 0,
    "ge": lambda left, right, *, cased: ordered(left, right) >= 0,
    "like": like,
    "notlike": lambda left, right, *, cased: not like(left, right, cased=cased),
    "match": lambda left, right, *, cased: match(left, right, cased=cased) is not None,
    "notmatch": lambda left, right, *, cased: match(left, right, cased=cased) is None,
}
_WHOLE: dict[str, Callable[..., Any]] = {
    "contains": _contains,
    "notcontains": lambda left, right, *, cased: not _contains(left, right, cased=cased),
    "in": lambda left, right, *, cased: _contains(right, left, cased=cased),
    "notin": lambda left, right, *, cased: not _contains(right, left, cased=cased),
    "split": lambda left, right, *, cased: split(left, right, cased=cased),
    "replace": lambda left, right, *, cased: _replace(left, right, cased=cased),
}


def compare(word: str, left: Any, right: Any) -> Any:
    """One of the operators that the grammar calls comparison, with or without the letter that says how it sees case."""
    word = word.lstrip("-").lower()
    if word in _CASELESS:
        return _CASELESS[word](left, right)
    name, cased = word, False
    if word not in _ONE_BY_ONE and word not in _WHOLE:
        name, cased = word[1:], word[0] == "c"
    if name in _ONE_BY_ONE:
        test = _ONE_BY_ONE[name]
        if isinstance(left, (list, bytes)):
            return [item for item in left if test(item, right, cased=cased)]
        return test(left, right, cased=cased)
    if name not in _WHOLE:
        raise unsupported(f"the operator -{word}")
    return _WHOLE[name](left, right, cased=cased)


def _as(left: Any, right: Any) -> Any:
    name = right.name if isinstance(right, Type) else full_name(text(right)) or ""
    try:
        return convert.cast(left, name)
    except Failed:
        return None


def _whole_number(value: Any) -> int:
    return int(convert.cast(value, "System.Int64"))


def _shifted(left: Any, right: Any) -> int | float:
    wrapped = (_whole_number(left) << (_whole_number(right) & 31)) & 0xFFFFFFFF
    return wrapped - 2**32 if wrapped >= 2**31 else wrapped


_CASELESS: dict[str, Callable[[Any, Any], Any]] = {
    "is": is_type,
    "isnot": lambda left, right: not is_type(left, right),
    "join": lambda left, right: bounded(text(right).join(text(item) for item in items(left))),
    "as": _as,
    "shl": _shifted,
    "shr": lambda left, right: _whole_number(left) >> (_whole_number(right) & 31),
}


def split(left: Any, right: Any, *, cased: bool = False) -> list[Any]:
    """-split: by a pattern, at most as many parts as a second element of the right side says."""
    given = items(right)
    limit = int(number(given[1])) if len(given) > 1 else 0
    simple = len(given) > 2 and "simplematch" in text(given[2]).lower()
    pattern = re.compile(re.escape(text(given[0])), 0 if cased else re.I) if simple else _pattern(given[0], cased=cased)
    parts: list[Any] = []
    for item in items(left):
        parts += [part for part in pattern.split(text(item), max(0, limit - 1)) if part is not None]
    return Typed(parts, "System.String")


def _replace(left: Any, right: Any, *, cased: bool) -> Any:
    given = items(right)
    if len(given) > 2:
        said = "The -ireplace operator allows only two elements to follow it."
        raise failure(said, "BadReplaceArgument")
    pattern = _pattern(given[0] if given else "", cased=cased)
    into = text(given[1]) if len(given) > 1 else ""

    def one(value: Any) -> str:
        return pattern.sub(lambda found: _filled(into, found), text(value))

    return [one(item) for item in left] if isinstance(left, list) else one(left)


def _filled(into: str, found: re.Match[str]) -> str:
    """.NET's replacement text: $1, ${name}, $0, $$."""

    def value(group: re.Match[str]) -> str:
        name = group[1] or group[2]
        if name == "$":
            return "$"
        key: int | str = int(name) if name.isdigit() else name
        try:
            return found[key] or ""
        except (IndexError, KeyError):
            return group[0]

    return re.sub(r"\$(?:\{(\w+)\}|(\d+|\$|&))", lambda group: found[0] if group[2] == "&" else value(group), into)


def add(left: Any, right: Any) -> Any:
    """+"""
    if isinstance(left, (list, bytes)):
        joined = [*left, *(items(right) if not is_null(right) else [None])]
        return bounded(Typed(joined, left.element) if isinstance(left, Typed) and _fits(left, right) else joined)
    if isinstance(left, str):
        return bounded(left + text(right))
    if isinstance(left, Table) and isinstance(right, Table):
        return _merged(left, right)
    if is_null(left):
        return right
    if hasattr(left, "ticks") and hasattr(right, "ticks"):
        return (
            type(left)(left.ticks + right.ticks)
            if not hasattr(left, "kind")
            else type(left)(left.ticks + right.ticks, left.kind)
        )
    if isinstance(left, (Table, Custom)):
        raise no_operation(left, "op_Addition")
    return _arithmetic(operator.add, left, right)


def _fits(left: Typed, right: Any) -> bool:
    return all(type_name(item) == left.element for item in items(right))


def check_length(parts: Sequence[str]) -> None:
    """Whether a text of *parts* may be made. Raises Failed."""
    if sum(map(len, parts)) > _LONGEST:
        raise failure("Exception of type 'System.OutOfMemoryException' was thrown.", "OutOfMemoryException")


def bounded(value: Any) -> Any:
    """*value*, unless it is longer than a script of the lab may make anything. Raises Failed."""
    if len(value) > _LONGEST:
        raise failure("Exception of type 'System.OutOfMemoryException' was thrown.", "OutOfMemoryException")
    return value


def _merged(left: Table, right: Table) -> Table:
    both = Table(left, ordered=left.ordered)
    for key, value in right:
        if key in both:
            said = f"Item has already been added. Key in dictionary: '{text(key)}'  Key being added: '{text(key)}'"
            raise failure(said, "ArgumentException", exception="System.ArgumentException")
        both[key] = value
    return both


def no_operation(left: Any, name: str) -> Failed:
    """The error of an operator that a type does not have."""
    said = f"Method invocation failed because [{type_name(left)}] does not contain a method named '{name}'."
    return failure(said, "MethodNotFound")


def _arithmetic(work: Callable[[Any, Any], Any], left: Any, right: Any) -> int | float:
    one, other = number(left), number(right)
    return _result(work(one, other), one, other)


def _result(value: int | float, one: int | float, other: int | float) -> int | float:
    """What Int32 can't hold becomes a double, unless an Int64 took part."""
    if isinstance(value, float):
        return value
    wide = any(isinstance(each, Int64) for each in (one, other))
    return fit(value, wide=wide) if wide or INT32[0] <= value <= INT32[1] else float(value)


def subtract(left: Any, right: Any) -> Any:
    """-"""
    if isinstance(left, (list, Table, Custom)):
        raise no_operation(left, "op_Subtraction")
    if hasattr(left, "ticks") and hasattr(right, "ticks"):
        return _time_difference(left, right)
    return _arithmetic(operator.sub, left, right)


def _time_difference(left: Any, right: Any) -> Any:
    from_date, with_date = hasattr(left, "kind"), hasattr(right, "kind")
    if from_date and not with_date:
        return type(left)(left.ticks - right.ticks, left.kind)
    return TimeSpan(left.ticks - right.ticks)


def multiply(left: Any, right: Any) -> Any:
    """*"""
    if isinstance(left, (str, list)):
        times = int(number(right))
        if times < 0 or len(left) * times > _LONGEST:
            raise failure("The repetition count is out of range.", "ArgumentOutOfRangeException")
        return left * times if isinstance(left, str) else [*left] * times
    if isinstance(left, (Table, Custom)):
        raise no_operation(left, "op_Multiply")
    return _arithmetic(operator.mul, left, right)


def divide(left: Any, right: Any) -> Any:
    """/: whole numbers stay whole if they can."""
    one, other = number(left), number(right)
    if other == 0:
        if isinstance(one, float) or isinstance(other, float):
            return float("nan") if one == 0 else float("inf") * (1 if one > 0 else -1)
        raise _by_zero()
    if isinstance(one, int) and isinstance(other, int) and one % other == 0:
        return _result(one // other, one, other)
    return one / other


def remainder(left: Any, right: Any) -> Any:
    """%: with the sign of the left side."""
    one, other = number(left), number(right)
    if other == 0:
        if isinstance(one, float) or isinstance(other, float):
            return float("nan")
        raise _by_zero()
    left_over = abs(one) % abs(other)
    return _result(-left_over if one < 0 else left_over, one, other)


def _by_zero() -> Failed:
    failed = failure("Attempted to divide by zero.", "RuntimeException", category=(0, "NotSpecified"))
    failed.record.exception.inner = NetException("System.DivideByZeroException", "Attempted to divide by zero.")
    return failed


def span(left: Any, right: Any) -> list[Any]:
    """.. : both ends included, upwards or downwards."""
    first, last = int(convert.cast(left, "System.Int32")), int(convert.cast(right, "System.Int32"))
    if abs(last - first) >= _LONGEST:
        raise failure("The range is too long.", "RangeTooLong")
    return list(range(first, last + 1) if last >= first else range(first, last - 1, -1))


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
    "-band": lambda left, right: fit(_whole_number(left) & _whole_number(right)),
    "-bor": lambda left, right: fit(_whole_number(left) | _whole_number(right)),
    "-bxor": lambda left, right: fit(_whole_number(left) ^ _whole_number(right)),
    "..": span,
}


def copy_of(value: Any) -> Any:
    """What += works on: a growing list is not grown in place, as it is not on Windows."""
    return list(value) if isinstance(value, NetList) else value
