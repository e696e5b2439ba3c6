"""Members of objects: properties, methods and elements. What .NET has and stands in no table here is an error."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.lab.powershell import convert, objects, text_methods
from orchestrator.lab.powershell.convert import is_null
from orchestrator.lab.powershell.services import PROPERTIES, Controller
from orchestrator.lab.powershell.types import type_name
from orchestrator.lab.powershell.values import (
    NOTHING,
    Char,
    Custom,
    DateTime,
    Enum,
    ErrorRecord,
    NetException,
    NetList,
    Nothing,
    Table,
    TimeSpan,
    Type,
    Typed,
    failure,
    folded,
    method_failure,
)

if TYPE_CHECKING:
    from orchestrator.lab.powershell.frame import Frame, Session

Getter = Callable[[Any], Any]
_ABSENT = object()


def _length(value: str) -> int:
    return len(value.encode("utf-16-le", "surrogatepass")) // 2


def _date_part(name: str) -> Getter:
    return lambda value: getattr(convert.datetime_of(value), name)


def _category(record: ErrorRecord) -> Custom:
    number, name = record.category
    reason = record.exception.type_name.rpartition(".")[2]
    pairs = [("Category", name), ("Activity", record.activity), ("Reason", reason), ("TargetName", record.target_name)]
    return Custom(Table([*pairs, ("TargetType", record.target_type)], ordered=True))


def _properties(value: Any) -> list[Any]:
    """psobject.Properties: name and value of each."""
    return [Custom(Table([("Name", key), ("Value", item)], ordered=True)) for key, item in all_of(value)]


_TABLE: dict[type, dict[str, Getter]] = {
    str: {"length": _length},
    list: {
        "length": len,
        "longlength": len,
        "count": len,
        "rank": lambda value: 1,
        "isfixedsize": lambda value: not isinstance(value, NetList),
    },
    bytes: {"length": len, "count": len, "longlength": len},
    Table: {"count": len, "keys": lambda value: value.keys(), "values": lambda value: value.values()},
    ErrorRecord: {
        "exception": lambda value: value.exception,
        "fullyqualifiederrorid": lambda value: value.id,
        "categoryinfo": _category,
        "targetobject": lambda value: value.target,
        "errordetails": lambda value: None,
        "scriptstacktrace": lambda value: "",
        "invocationinfo": lambda value: None,
    },
    NetException: {
        "message": lambda value: value.message,
        "innerexception": lambda value: value.inner,
        "hresult": lambda value: -2147467259 if value.code else -2146233088,
        "stacktrace": lambda value: None,
        "source": lambda value: None,
        "data": lambda value: Table(),
    },
    Enum: {"value__": lambda value: value.number},
    Type: {
        "fullname": lambda value: value.name,
        "name": lambda value: value.name.rpartition(".")[2],
        "namespace": lambda value: value.name.rpartition(".")[0],
        "isarray": lambda value: value.name.endswith("[]"),
    },
    DateTime: {
        "ticks": lambda value: convert.fit(value.ticks, wide=True),
        "kind": lambda value: value.kind,
        "date": lambda value: DateTime(value.ticks - value.ticks % 864_000_000_000, value.kind),
        **{name: _date_part(name) for name in ("year", "month", "day", "hour", "minute", "second")},
    },
    TimeSpan: {
        "ticks": lambda value: convert.fit(value.ticks, wide=True),
        "totalseconds": lambda value: value.ticks / 1e7,
        "totalmilliseconds": lambda value: value.ticks / 1e4,
        "totalminutes": lambda value: value.ticks / 6e8,
        "totalhours": lambda value: value.ticks / 3.6e10,
        "totaldays": lambda value: value.ticks / 8.64e11,
        "seconds": lambda value: int(value.ticks / 1e7) % 60,
        "days": lambda value: int(value.ticks / 8.64e11),
    },
    Controller: {name.casefold(): get for name, get in PROPERTIES.items()},
    Char: {},
}


def _getters(value: Any) -> dict[str, Getter]:
    for kind in type(value).__mro__:
        if kind in _TABLE:
            return _TABLE[kind]
    return {}


def all_of(value: Any) -> list[tuple[str, Any]]:
    """All properties of an object, by name."""
    if isinstance(value, Custom):
        return list(value.members)
    if isinstance(value, Controller):
        return value.members_of()
    if isinstance(value, objects.Record):
        return list(value.properties())
    return [(_spelled(name), get(value)) for name, get in _getters(value).items()]


def _spelled(name: str) -> str:
    return name[:1].upper() + name[1:]


def _own(value: Any, key: str) -> Any:
    """The property *key* of one object; _ABSENT if it has none."""
    if isinstance(value, Custom) and key in value.members:
        return value.members[key]
    if isinstance(value, Table) and key in value:
        return value[key]
    if isinstance(value, objects.Record) and (found := value.get(key)) is not None:
        return found()
    if isinstance(value, NetException) and key == "nativeerrorcode" and "Win32Exception" in value.type_name:
        return value.code
    if key == "psobject":
        return Custom(Table([("Properties", _properties(value))], ordered=True))
    getter = _getters(value).get(key)
    return getter(value) if getter else _ABSENT


def get(session: "Session", value: Any, name: str) -> Any:
    """`value.name`: null where there is no such property; of an array, that of each element."""
    key = folded(name)
    if is_null(value):
        return 0 if key in ("count", "length") else None
    found = _own(value, key)
    if found is not _ABSENT:
        return found
    if isinstance(value, (list, bytes)):
        each = [_own(item, key) for item in value if not is_null(item)]
        flat = [part for item in each if item is not _ABSENT for part in convert.items(item)]
        return convert.single(flat) if flat else None
    if key in ("count", "length"):
        return 1
    return None


def set_member(value: Any, name: str, new: Any) -> None:
    """`value.name = new`. Raises Failed where that can't be."""
    if isinstance(value, Table):
        value[name] = new
    elif isinstance(value, Custom) and name in value.members:
        value.members[name] = new
    elif isinstance(value, objects.Record) and value.put(folded(name), new):
        return
    elif is_null(value):
        said = f"The property '{name}' cannot be found on this object. Verify that the property exists and can be set."
        raise failure(said, "PropertyNotFound")
    elif _getters(value).get(folded(name)):
        raise failure(f"'{name}' is a ReadOnly property.", "PropertyAssignmentException")
    else:
        said = f"The property '{name}' cannot be found on this object. Verify that the property exists and can be set."
        raise failure(said, "PropertyNotFound")


def index(value: Any, key: Any) -> Any:
    """`value[key]`: several keys give several elements, one that is not there gives null. Raises Failed."""
    if is_null(value):
        raise failure("Cannot index into a null array.", "NullArray")
    if isinstance(value, Table):
        return [value[each] for each in key] if isinstance(key, list) else _of_table(value, key)
    if isinstance(key, list):
        found = [_element(value, each) for each in key]
        return [each for each in found if each is not _ABSENT]
    element = _element(value, key)
    return None if element is _ABSENT else element


def _of_table(value: Table, key: Any) -> Any:
    if value.ordered and isinstance(key, int) and not isinstance(key, bool):
        values = value.values()
        return values[key] if -len(values) <= key < len(values) else None
    return value[key]


def _element(value: Any, key: Any) -> Any:
    if not isinstance(value, (list, bytes, str)):
        if isinstance(value, (Custom, ErrorRecord, bool, float)) or not isinstance(key, int):
            raise failure(f"Unable to index into an object of type {type_name(value)}.", "CannotIndex")
        return value if key in (0, -1) else _ABSENT
    number = int(convert.cast(key, "System.Int32"))
    if not -len(value) <= number < len(value):
        return _ABSENT
    return Char(value[number]) if isinstance(value, str) else value[number]


def set_index(value: Any, key: Any, new: Any) -> None:
    """`value[key] = new`. Raises Failed."""
    if isinstance(value, Table):
        if value.ordered and isinstance(key, int) and key < len(value):
            key = value.keys()[key]
        value[key] = new
        return
    if is_null(value):
        raise failure("Cannot index into a null array.", "NullArray")
    if not isinstance(value, list):
        raise failure(f"Unable to index into an object of type {type_name(value)}.", "CannotIndex")
    number = int(convert.cast(key, "System.Int32"))
    if not -len(value) <= number < len(value):
        raise failure("Index was outside the bounds of the array.", "System.IndexOutOfRangeException")
    value[number] = convert.cast(new, value.element) if isinstance(value, Typed) else new


async def call(frame: "Frame", value: Any, name: str, arguments: Sequence[Any]) -> Any:
    """`value.name(arguments)`. Raises Failed: no such method, or what the method throws."""
    if is_null(value):
        raise failure("You cannot call a method on a null-valued expression.", "InvokeMethodOnNull")
    key = name.casefold()
    try:
        found = await _called(frame, value, key, list(arguments))
    except (ValueError, IndexError, OverflowError) as exc:
        kind = "System.ArgumentOutOfRangeException" if isinstance(exc, IndexError) else "System.ArgumentException"
        raise method_failure(name, len(arguments), NetException(kind, str(exc))) from exc
    if found is _ABSENT:
        said = f"Method invocation failed because [{type_name(value)}] does not contain a method named '{name}'."
        raise failure(said, "MethodNotFound", target=name, target_type="String")
    return found


async def _called(frame: "Frame", value: Any, key: str, arguments: list[Any]) -> Any:
    if isinstance(value, Controller) and key in _SERVICE_METHODS:
        return await _SERVICE_METHODS[key](value, arguments)
    if isinstance(value, objects.Record) and (work := value.method(key)) is not None:
        return await work(arguments)
    if isinstance(value, str) and (found := text_methods.METHODS.get(key)):
        return found(str(value), arguments)
    for kind, methods in _METHODS.items():
        if isinstance(value, kind) and (method := methods.get(key)):
            return method(value, arguments)
    if general := _GENERAL.get(key):
        return general(value, arguments)
    if isinstance(value, list) and value and not isinstance(value, NetList):
        return [await call(frame, item, key, arguments) for item in value]
    return _ABSENT


def _nothing(work: Callable[[Any, list[Any]], object]) -> Callable[[Any, list[Any]], Nothing]:
    def run(value: Any, arguments: list[Any]) -> Nothing:
        work(value, arguments)
        return NOTHING

    return run


def _add(value: Any, arguments: list[Any]) -> Any:
    if not isinstance(value, NetList):
        fixed = NetException("System.NotSupportedException", "Collection was of a fixed size.")
        raise method_failure("Add", 1, fixed)
    value.append(arguments[0])
    return len(value) - 1 if value.type_name.endswith("ArrayList") else NOTHING


def _add_entry(value: Table, arguments: list[Any]) -> Any:
    if arguments[0] in value:
        said = f"Item has already been added. Key in dictionary: '{convert.text(arguments[0])}'"
        raise method_failure("Add", 2, NetException("System.ArgumentException", said))
    value[arguments[0]] = arguments[1]
    return NOTHING


def _remove_item(value: list[Any], arguments: list[Any]) -> Any:
    if arguments[0] in value:
        value.remove(arguments[0])
    return NOTHING


_METHODS: dict[type, dict[str, Callable[[Any, list[Any]], Any]]] = {
    list: {
        "add": _add,
        "addrange": _nothing(lambda value, arguments: value.extend(convert.items(arguments[0]))),
        "clear": _nothing(lambda value, arguments: value.clear()),
        "remove": _remove_item,
        "removeat": _nothing(lambda value, arguments: value.pop(int(arguments[0]))),
        "toarray": lambda value, arguments: list(value),
        "contains": lambda value, arguments: arguments[0] in value,
        "indexof": lambda value, arguments: value.index(arguments[0]) if arguments[0] in value else -1,
    },
    Table: {
        "add": _add_entry,
        "remove": _nothing(lambda value, arguments: value.remove(arguments[0])),
        "contains": lambda value, arguments: arguments[0] in value,
        "containskey": lambda value, arguments: arguments[0] in value,
        "containsvalue": lambda value, arguments: arguments[0] in value.values(),
        "clear": _nothing(lambda value, arguments: [value.remove(key) for key, _ in value]),
        "getenumerator": lambda value, arguments: [
            Custom(Table([("Name", key), ("Key", key), ("Value", item)], ordered=True)) for key, item in value
        ],
    },
    DateTime: {
        "tostring": lambda value, arguments: objects.date_text(value, convert.text(arguments[0]) if arguments else ""),
        "touniversaltime": lambda value, arguments: DateTime(value.ticks, "Utc"),
        "tolocaltime": lambda value, arguments: DateTime(value.ticks, "Local"),
        "addseconds": lambda value, arguments: DateTime(value.ticks + int(arguments[0] * 1e7), value.kind),
        "adddays": lambda value, arguments: DateTime(value.ticks + int(arguments[0] * 8.64e11), value.kind),
    },
}
_GENERAL: dict[str, Callable[[Any, list[Any]], Any]] = {
    "tostring": objects.to_string,
    "gettype": lambda value, arguments: Type(type_name(value)),
    "equals": lambda value, arguments: value == arguments[0],
    "gethashcode": lambda value, arguments: hash(convert.text(value)) & 0x7FFFFFFF,
}


async def _refresh(value: Controller, arguments: list[Any]) -> Nothing:
    value.refresh()
    return NOTHING


def _control(method: str, verb: str, text: str) -> Callable[[Controller, list[Any]], Awaitable[Nothing]]:
    async def run(value: Controller, arguments: list[Any]) -> Nothing:
        scm = value.host.scm
        asked = {"start": scm.start, "stop": scm.stop, "continue": scm.resume, "pause": scm.pause}
        value.control(method, verb, asked[verb], text)
        return NOTHING

    return run


async def _wait(value: Controller, arguments: list[Any]) -> Nothing:
    wanted = convert.enum("System.ServiceProcess.ServiceControllerStatus", arguments[0])
    span = arguments[1] if len(arguments) > 1 else None
    limit_s = None if span is None else (span.ticks / 1e7 if isinstance(span, TimeSpan) else objects.seconds(span))
    await value.wait(wanted, limit_s)
    return NOTHING


_SERVICE_METHODS: dict[str, Callable[[Controller, list[Any]], Awaitable[Any]]] = {
    "refresh": _refresh,
    "start": _control("Start", "start", "cannot start"),
    "stop": _control("Stop", "stop", "cannot stop"),
    "continue": _control("Continue", "continue", "cannot resume"),
    "pause": _control("Pause", "pause", "cannot resume"),
    "waitforstatus": _wait,
    "close": _refresh,
    "dispose": _refresh,
}
