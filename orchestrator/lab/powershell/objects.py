"""The .NET objects with a life of their own: processes and their streams, identities, text under construction.

An object is a Record: properties by lower case name, and methods. Each class is one small table.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.types import type_name
from orchestrator.lab.powershell.values import (
    NOTHING,
    DateTime,
    NetException,
    Typed,
    failure,
    method_failure,
    unsupported,
)
from orchestrator.lab.win32 import message

Method = Callable[[list[Any]], Awaitable[Any]]
_STANDARD = {
    "o": "%Y-%m-%dT%H:%M:%S",
    "O": "%Y-%m-%dT%H:%M:%S",
    "s": "%Y-%m-%dT%H:%M:%S",
    "u": "%Y-%m-%d %H:%M:%SZ",
    "": "%m/%d/%Y %H:%M:%S",
}
_CUSTOM = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "fff": ""}


class Record:
    """An object with properties that can be read, some that can be written, and methods."""

    type_name = "System.Object"

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = {name.casefold(): value for name, value in values.items()}
        self.names = {name.casefold(): name for name in values}
        self.methods: dict[str, Method] = {}
        self.fixed = False

    def get(self, key: str) -> Callable[[], Any] | None:
        """How to read the property *key*; None if there is none."""
        return (lambda: self.values[key]) if key in self.values else None

    def put(self, key: str, value: Any) -> bool:
        """Write the property *key*; False if there is none."""
        if self.fixed or key not in self.values:
            return False
        held = self.values[key]
        self.values[key] = convert.cast(value, type_name(held)) if isinstance(held, (bool, str)) else value
        return True

    def method(self, key: str) -> Method | None:
        """The method *key*; None if there is none."""
        return self.methods.get(key)

    def properties(self) -> Iterator[tuple[str, Any]]:
        """All properties."""
        return ((self.names[key], value) for key, value in self.values.items())

    def members_of(self) -> list[tuple[str, Any]]:
        """All properties, for a formatter."""
        return list(self.properties())


def _done(value: Any = NOTHING) -> Method:
    async def run(arguments: list[Any]) -> Any:
        return value

    return run


class StartInfo(Record):
    """ProcessStartInfo."""

    type_name = "System.Diagnostics.ProcessStartInfo"

    def __init__(self, file_name: str = "", arguments: str = "") -> None:
        super().__init__(
            FileName=file_name,
            Arguments=arguments,
            UseShellExecute=True,
            CreateNoWindow=False,
            RedirectStandardInput=False,
            RedirectStandardOutput=False,
            RedirectStandardError=False,
            WorkingDirectory="",
            StandardOutputEncoding=None,
            StandardErrorEncoding=None,
        )


class Reader(Record):
    """A StreamReader at the end of a pipe that nothing more is written to."""

    type_name = "System.IO.StreamReader"

    def __init__(self, text: str) -> None:
        super().__init__(EndOfStream=not text)
        self._rest = text

        async def read_all(arguments: list[Any]) -> str:
            taken, self._rest = self._rest, ""
            return taken

        async def read_later(arguments: list[Any]) -> Record:
            task = Record(Result=await read_all([]), IsCompleted=True)
            task.methods["wait"] = _done()
            return task

        async def read_line(arguments: list[Any]) -> str | None:
            if not self._rest:
                return None
            line, _, self._rest = self._rest.partition("\r\n")
            return line

        self.methods = {
            "readtoend": read_all,
            "readtoendasync": read_later,
            "readline": read_line,
            "close": _done(),
            "dispose": _done(),
        }


class Process(Record):
    """A process that ended."""

    type_name = "System.Diagnostics.Process"

    def __init__(self, exit_code: int, output: str, errors: str) -> None:
        pipe = Record(AutoFlush=True)
        pipe.methods = {name: _done() for name in ("close", "flush", "write", "writeline", "dispose")}
        super().__init__(
            ExitCode=exit_code,
            HasExited=True,
            Id=5000,
            StandardInput=pipe,
            StandardOutput=Reader(output),
            StandardError=Reader(errors),
        )
        self.fixed = True

        async def wait(arguments: list[Any]) -> Any:
            return True if arguments else NOTHING

        self.methods = {"waitforexit": wait, "close": _done(), "dispose": _done(), "kill": _done(), "refresh": _done()}


class Identity(Record):
    """A WindowsIdentity."""

    type_name = "System.Security.Principal.WindowsIdentity"

    def __init__(self, name: str, user: str, groups: tuple[str, ...]) -> None:
        super().__init__(
            Name=name,
            User=Sid(user),
            Groups=Typed([Sid(group) for group in groups], "System.Security.Principal.IdentityReference"),
            IsAuthenticated=True,
            AuthenticationType="NTLM",
        )
        self.fixed = True
        self.methods = {"dispose": _done()}


class Sid(Record):
    """A SecurityIdentifier."""

    type_name = "System.Security.Principal.SecurityIdentifier"

    def __init__(self, value: str) -> None:
        super().__init__(Value=value)
        self.fixed = True

    def shown(self) -> str:
        """Its ToString."""
        return str(self.values["value"])


class Builder(Record):
    """A StringBuilder."""

    type_name = "System.Text.StringBuilder"

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._parts = [text]

        async def append(arguments: list[Any]) -> Builder:
            self._parts.append(convert.text(arguments[0]))
            return self

        async def append_line(arguments: list[Any]) -> Builder:
            self._parts.append((convert.text(arguments[0]) if arguments else "") + "\r\n")
            return self

        self.methods = {"append": append, "appendline": append_line}

    def shown(self) -> str:
        """Its ToString."""
        return "".join(self._parts)


def win32_exception(code: int, language: str) -> NetException:
    """A Win32Exception of that number."""
    return NetException("System.ComponentModel.Win32Exception", message(code, language), code=code)


def seconds(span: Any) -> float:
    """A TimeSpan that was written as text: h:m:s."""
    parts = [float(part) for part in convert.text(span).split(":")]
    if len(parts) != 3:
        raise method_failure("WaitForStatus", 2, NetException("System.FormatException", "String was not recognized."))
    return parts[0] * 3600 + parts[1] * 60 + parts[2]


def date_text(value: DateTime, pattern: str) -> str:
    """A date by a standard letter or a pattern of the usual parts. Raises Failed for others."""
    moment = convert.datetime_of(value)
    if pattern in _STANDARD:
        text = moment.strftime(_STANDARD[pattern])
        zone = {"Utc": "Z", "Local": "+00:00"}.get(value.kind, "")
        return f"{text}.{value.ticks % 10**7:07}{zone}" if pattern in ("o", "O") else text
    form, milliseconds = pattern, f"{value.ticks // 10_000 % 1000:03}"
    for part, percent in _CUSTOM.items():
        form = form.replace(part, percent or milliseconds)
    if any(letter in form.replace("%", "") for letter in "fgKtz"):
        raise unsupported(f"the date format '{pattern}'")
    return moment.strftime(form.replace("'", ""))


def to_string(value: Any, arguments: list[Any]) -> str:
    """ToString(), with a format for numbers. Raises Failed."""
    if not arguments:
        return convert.text(value)
    form = convert.text(arguments[0])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value, form)
    raise unsupported(f"ToString('{form}') of {type_name(value)}")


def number_text(value: float, form: str) -> str:
    """A number in one of .NET's formats: X, D, F, N, P, G, or zeros. Raises Failed."""
    kind, digits = form[:1].upper(), form[1:]
    if digits and not digits.isdigit():
        kind = ""
    places = min(int(digits), 99) if kind and digits else None
    if kind == "X":
        shown = f"{int(value) & (0xFFFFFFFFFFFFFFFF if not -(2**31) <= value < 2**31 else 0xFFFFFFFF):X}"
        return (shown.lower() if form[0] == "x" else shown).zfill(places or 0)
    if kind == "D" and isinstance(value, int):
        return ("-" if value < 0 else "") + str(abs(value)).zfill(places or 0)
    if kind in ("F", "N", "P"):
        scaled = value * 100 if kind == "P" else value
        shown = f"{scaled:{'' if kind == 'F' else ','}.{2 if places is None else places}f}"
        return f"{shown} %" if kind == "P" else shown
    if kind == "G" or not form:
        return convert.text(value)
    return _pattern(value, form)


def _pattern(value: float, form: str) -> str:
    whole, _, part = form.partition(".")
    if not form or set(whole) - set("0#,") or set(part) - set("0#"):
        raise failure("Format specifier was invalid.", "FormatException", exception="System.FormatException")
    shown = f"{value:{',' if ',' in whole else ''}.{len(part)}f}"
    if "#" in part:
        least = len(part.rstrip("#"))
        head, _, tail = shown.partition(".")
        tail = tail[:least] + tail[least:].rstrip("0")
        shown = f"{head}.{tail}" if tail else head
    return shown.zfill(len(form)) if "#" not in whole and "," not in whole else shown


def now_ticks(now_s: float) -> int:
    """Seconds since 1970 as ticks."""
    return 621_355_968_000_000_000 + int(now_s * 10**7)
