"""The values that PowerShell works with and Python has no kin of, and the ways in which a script can end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.lab.errors import Error
from orchestrator.lab.powershell.source import Node


class Nothing:
    """What a command that wrote nothing gives: null, but no element of a collection."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = Nothing()


class Char(str):
    """A System.Char."""

    __slots__ = ()


class Int64(int):
    """A System.Int64; a plain int is an Int32 for as long as it fits."""

    __slots__ = ()


class NetList(list[Any]):
    """A list that grows: ArrayList or List<T>, by its type name. A plain Python list is an object[]."""

    def __init__(self, items: Iterable[Any] = (), type_name: str = "System.Collections.ArrayList") -> None:
        super().__init__(items)
        self.type_name = type_name


class Typed(list[Any]):
    """An array whose elements have a type: string[] for example."""

    def __init__(self, items: Iterable[Any], element: str) -> None:
        super().__init__(items)
        self.element = element


def folded(key: Any) -> Any:
    """A key as hashtables and property names compare it."""
    return key.casefold() if isinstance(key, str) else key


class Table:
    """A hashtable, or an ordered dictionary: string keys never mind case."""

    __slots__ = ("_items", "ordered")

    def __init__(self, items: Iterable[tuple[Any, Any]] = (), *, ordered: bool = False) -> None:
        self.ordered = ordered
        self._items: dict[Any, tuple[Any, Any]] = {}
        for key, value in items:
            self[key] = value

    def __getitem__(self, key: Any) -> Any:
        found = self._items.get(folded(key))
        return found[1] if found else None

    def __setitem__(self, key: Any, value: Any) -> None:
        held = self._items.get(folded(key))
        self._items[folded(key)] = (held[0] if held else key, value)

    def __contains__(self, key: object) -> bool:
        return folded(key) in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(list(self._items.values()))

    def remove(self, key: Any) -> None:
        """Take *key* out; nothing happens if it is not in."""
        self._items.pop(folded(key), None)

    def keys(self) -> list[Any]:
        """The keys as they were first written."""
        return [key for key, _ in self]

    def values(self) -> list[Any]:
        """The values."""
        return [value for _, value in self]


@dataclass(slots=True, eq=False)
class Custom:
    """A PSCustomObject. *type_name* tells apart what cmdlets make of it."""

    members: Table = field(default_factory=lambda: Table(ordered=True))
    type_name: str = "System.Management.Automation.PSCustomObject"


@dataclass(frozen=True, slots=True)
class Enum:
    """A value of an enumeration."""

    type_name: str
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Type:
    """A type by its full name; arrays end in []."""

    name: str


@dataclass(frozen=True, slots=True)
class DateTime:
    """A DateTime: ticks of 100 ns since year 1; *kind* is Utc, Local or Unspecified."""

    ticks: int
    kind: str = "Unspecified"


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A TimeSpan in ticks of 100 ns."""

    ticks: int


@dataclass(slots=True, eq=False)
class Block:
    """A script block: its parameters and body, and a name if it is a function."""

    node: Node
    parameters: Node | None
    body: Node | None
    name: str = ""
    is_filter: bool = False


@dataclass(slots=True, eq=False)
class NetException:
    """An exception as .NET has it, with what is within it. *code* is a Win32Exception's NativeErrorCode."""

    type_name: str
    message: str
    inner: "NetException | None" = None
    code: int = 0
    bases: tuple[str, ...] = ("System.SystemException", "System.Exception", "System.Object")


@dataclass(slots=True, eq=False)
class ErrorRecord:
    """An error record: what $_ is within catch."""

    exception: NetException
    id: str
    category: tuple[int, str] = (0, "NotSpecified")
    activity: str = ""
    target: Any = None
    target_name: str = ""
    target_type: str = ""
    at: str = ""


class Failed(Exception):
    """An error that ends the statement; *fatal*, and it ends the script: throw, or $ErrorActionPreference is Stop."""

    def __init__(self, record: ErrorRecord, *, fatal: bool = False) -> None:
        self.record = record
        self.fatal = fatal
        super().__init__(record.exception.message)


class Leave(Exception):
    """A loop is left (`break`) or goes on (`continue`), the one with *label* if there is one."""

    def __init__(self, label: str, *, goes_on: bool) -> None:
        self.label = label
        self.goes_on = goes_on
        super().__init__()


class Return(Exception):
    """`return`: what it gives back was put out already."""


class Exit(Exception):
    """`exit`: the process ends."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(str(code))


class Enough(Exception):
    """A command downstream wants no more input."""

    def __init__(self, stage: object) -> None:
        self.stage = stage
        super().__init__()


_RUNTIME_BASES = (
    "System.Management.Automation.RuntimeException",
    "System.SystemException",
    "System.Exception",
    "System.Object",
)


def failure(
    message: str,
    id: str = "RuntimeException",
    *,
    exception: str = "System.Management.Automation.RuntimeException",
    category: tuple[int, str] = (7, "InvalidOperation"),
    activity: str = "",
    target: str = "",
    target_type: str = "",
) -> Failed:
    """An error that ends a statement, ready to raise."""
    net = NetException(exception, message, bases=_RUNTIME_BASES)
    return Failed(ErrorRecord(net, id, category, activity, target or None, target, target_type))


def unsupported(what: str) -> Failed:
    """What real PowerShell may do and the lab does not: said, never passed over."""
    return failure(f"The lab's PowerShell does not know {what}.", "LabNotSupported", category=(14, "NotImplemented"))


def method_failure(method: str, arguments: int, inner: NetException) -> Failed:
    """A .NET method threw: PowerShell wraps what it threw."""
    message = f'Exception calling "{method}" with "{arguments}" argument(s): "{inner.message}"'
    outer = NetException(
        "System.Management.Automation.MethodInvocationException", message, inner=inner, bases=_RUNTIME_BASES
    )
    return Failed(ErrorRecord(outer, inner.type_name.rpartition(".")[2]))


def from_error(error: Error, target: Any = None) -> ErrorRecord:
    """A cmdlet's error as a record with its exceptions one within the other."""
    inner: NetException | None = None
    for cause in reversed(error.causes):
        inner = NetException(cause.exception, cause.text, inner, cause.code)
    net = NetException(error.exception, error.text, inner, bases=error.bases)
    return ErrorRecord(
        net, error.id, error.category, error.activity, target or error.target, error.target, error.target_type
    )
