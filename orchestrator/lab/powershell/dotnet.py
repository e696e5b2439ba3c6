"""Static members of .NET types: one entry of the tables is one member. What is not in them is an error by name."""

import base64
import binascii
import math
import re
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.lab import programs
from orchestrator.lab.powershell import convert, encodings, objects, processes
from orchestrator.lab.powershell.convert import text
from orchestrator.lab.powershell.services import Controller
from orchestrator.lab.powershell.types import INT32, INT64, type_name
from orchestrator.lab.powershell.values import (
    NOTHING,
    Custom,
    DateTime,
    Int64,
    NetException,
    NetList,
    Table,
    TimeSpan,
    failure,
    method_failure,
    unsupported,
)
from orchestrator.lab.win32 import Win32Error

if TYPE_CHECKING:
    from orchestrator.lab.powershell.frame import Session

_LONGEST = 1_000_000
_PER_S = 10_000_000
"""Ticks of the counter, which are a tenth of a microsecond on all that Windows runs on today."""
_FORMAT = re.compile(r"\{\{|\}\}|\{(\d+)(?:,(-?\d+))?(?::([^{}]*))?\}")
_SPECIAL = re.compile(r"[*?\[\]]")


class NetFailed(Exception):
    """A .NET member threw."""

    def __init__(self, exception: NetException) -> None:
        self.exception = exception
        super().__init__(exception.message)


def _throw(kind: str, message: str) -> NetFailed:
    return NetFailed(NetException(f"System.{kind}", message))


def cast(session: "Session", value: Any, wanted: str) -> Any:
    """[wanted]$value, controllers included. Raises Failed."""
    if wanted == Controller.type_name and isinstance(value, str):
        return controller(session, value)
    if wanted == "System.Management.Automation.ScriptBlock" and isinstance(value, str):
        raise unsupported("a script block made of text")
    return convert.cast(value, wanted)


def controller(session: "Session", name: str) -> Controller:
    """A ServiceController; one that is not there fails here and not, as on Windows, at its first use."""
    host = session.where.host
    try:
        return Controller(host, host.scm.find(name))
    except Win32Error as exc:
        cause = objects.win32_exception(exc.code, host.spec.language)
        said = f"Service {name} was not found on computer '.'."
        raise method_failure(".ctor", 1, NetException("System.InvalidOperationException", said, cause)) from exc


def static(session: "Session", owner: str, name: str) -> Any:
    """[owner]::name. Raises Failed if the lab has none."""
    if owner in convert.ENUMS:
        for each in convert.ENUMS[owner]:
            if each.casefold() == name.casefold():
                return convert.enum(owner, each)
    member = f"{owner}::{name}".casefold()
    if member in session.static:
        return session.static[member]
    getter = _PROPERTIES.get(member)
    if getter is None:
        raise unsupported(f"[{owner}]::{name}")
    return getter(session)


def set_static(session: "Session", owner: str, name: str, value: Any) -> None:
    """[owner]::name = value. Raises Failed."""
    member = f"{owner}::{name}".casefold()
    if member == "system.console::outputencoding" and isinstance(value, encodings.Encoding):
        session.writer.code_page = value.code_page
    elif member not in ("system.console::inputencoding", "system.console::title"):
        raise unsupported(f"assignment to [{owner}]::{name}")
    session.static[member] = value


async def call(session: "Session", owner: str, name: str, arguments: list[Any]) -> Any:
    """[owner]::name(arguments). Raises Failed: none such in the lab, or what it throws."""
    member = f"{owner}::{name}".casefold()
    try:
        if member == "system.diagnostics.process::start":
            return await _start(session, arguments)
        if name.casefold() == "new":
            return new(session, owner, arguments)
        function = _METHODS.get(member)
        if function is None:
            raise unsupported(f"[{owner}]::{name}()")
        return function(session, arguments)
    except NetFailed as exc:
        raise method_failure(name, len(arguments), exc.exception) from exc
    except (IndexError, TypeError, AttributeError) as exc:
        said = f'Cannot find an overload for "{name}" and the argument count: "{len(arguments)}".'
        raise failure(said, "MethodCountCouldNotFindBest", category=(0, "NotSpecified")) from exc


async def _start(session: "Session", arguments: list[Any]) -> Any:
    """Process.Start: the program runs to its end; its streams hold what it wrote."""
    info = arguments[0]
    if not isinstance(info, objects.StartInfo):
        info = objects.StartInfo(text(info), text(arguments[1]) if len(arguments) > 1 else "")
    values = info.values
    ended = await processes.start(session.where, text(values["filename"]), text(values["arguments"]), session.oem)
    if ended is None:
        raise NetFailed(objects.win32_exception(2, session.where.host.spec.language))
    output, errors = (
        (said, "") if values[f"redirectstandard{name}"] else ("", said)
        for name, said in (("output", ended.output), ("error", ended.errors))
    )
    session.writer.text(output[1])
    session.writer.raw_error(errors[1])
    return objects.Process(ended.exit_code, output[0], errors[0])


def new(session: "Session", owner: str, arguments: Sequence[Any]) -> Any:
    """New-Object and ::new(). Raises Failed."""
    maker = _MAKERS.get(owner.casefold())
    if maker is None and owner.endswith("Exception"):
        return NetException(owner, text(arguments[0]) if arguments else f"Exception of type '{owner}' was thrown.")
    if maker is None:
        raise unsupported(f"a new {owner}")
    return maker(session, list(arguments))


def _int_of(limits: tuple[int, int], wanted: str) -> Callable[["Session", list[Any]], Any]:
    def parse(session: "Session", arguments: list[Any]) -> Any:
        written = text(arguments[0]).strip()
        if not re.fullmatch(r"[+-]?[0-9]+", written):
            raise _throw("FormatException", "Input string was not in a correct format.")
        if not limits[0] <= int(written) <= limits[1]:
            raise _throw("OverflowException", f"Value was either too large or too small for an {wanted}.")
        return Int64(int(written)) if wanted == "Int64" else int(written)

    return parse


def _from_base64(session: "Session", arguments: list[Any]) -> bytes:
    written = re.sub(r"\s", "", text(arguments[0]))
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        said = (
            "The input is not a valid Base-64 string as it contains a non-base 64 character, more than two padding"
            " characters, or an illegal character among the padding characters. "
        )
        raise _throw("FormatException", said) from None


def _to_base64(session: "Session", arguments: list[Any]) -> str:
    return base64.b64encode(convert.cast(arguments[0], "System.Byte[]")).decode()


def _join(session: "Session", arguments: list[Any]) -> str:
    parts = convert.items(arguments[1]) if len(arguments) == 2 else arguments[1:]
    return text(arguments[0]).join(text(part) for part in parts)


def escape_wildcards(pattern: str) -> str:
    """[WildcardPattern]::Escape: a backtick before each of the four; backticks stay as they are."""
    return _SPECIAL.sub(lambda found: "`" + found[0], pattern)


def formatted(session: "Session", pattern: str, values: Sequence[Any]) -> str:
    """-f and [string]::Format. Raises Failed."""
    broken = failure("Error formatting a string: Input string was not in a correct format..", "FormatError")

    def filled(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        if int(found[1]) >= len(values):
            said = "Error formatting a string: Index (zero based) must be greater than or equal to zero and less than"
            raise failure(f"{said} the size of the argument list..", "FormatError")
        value = values[int(found[1])]
        shown = _shown(value, found[3] or "")
        width = int(found[2] or 0)
        if abs(width) > _LONGEST:
            raise broken
        return shown.rjust(width) if width >= 0 else shown.ljust(-width)

    if re.search(r"[{}]", _FORMAT.sub("", pattern)):
        raise broken
    return _FORMAT.sub(filled, pattern)


def _shown(value: Any, form: str) -> str:
    if form and isinstance(value, (int, float)) and not isinstance(value, bool):
        return objects.number_text(value, form)
    if form and isinstance(value, DateTime):
        return objects.date_text(value, form)
    return type_name(value) if isinstance(value, (list, bytes)) else text(value)


def _now(session: "Session", kind: str) -> DateTime:
    return DateTime(objects.now_ticks(session.where.host.now()), kind)


def _up(session: "Session", arguments: list[Any]) -> Int64:
    """The counter that runs since the host started."""
    host = session.where.host
    return Int64(int((host.now() - host.booted_at) * _PER_S))


def _offset(session: "Session") -> objects.Record:
    ticks = objects.now_ticks(session.where.host.now())
    offset = objects.Record(UtcDateTime=DateTime(ticks, "Utc"), DateTime=DateTime(ticks), Ticks=Int64(ticks))
    offset.type_name = "System.DateTimeOffset"

    async def milliseconds(arguments: list[Any]) -> Int64:
        return Int64((ticks - objects.now_ticks(0)) // 10_000)

    async def seconds(arguments: list[Any]) -> Int64:
        return Int64((ticks - objects.now_ticks(0)) // 10_000_000)

    async def shown(arguments: list[Any]) -> str:
        return objects.date_text(DateTime(ticks, "Local"), text(arguments[0]) if arguments else "")

    offset.methods = {"tounixtimemilliseconds": milliseconds, "tounixtimeseconds": seconds, "tostring": shown}
    return offset


def _identity(session: "Session", arguments: list[Any]) -> objects.Identity:
    where = session.where
    user, groups = programs.sids(where)
    return objects.Identity(f"{where.host.spec.name.upper()}\\{where.user}", user, groups)


def _os_version(session: "Session") -> Custom:
    return Custom(
        Table(
            [
                ("Platform", "Win32NT"),
                ("ServicePack", ""),
                ("Version", session.version("10.0.17763.0")),
                ("VersionString", "Microsoft Windows NT 10.0.17763.0"),
            ]
        ),
        "System.OperatingSystem",
    )


def _of_math(work: Callable[..., Any]) -> Callable[["Session", list[Any]], Any]:
    def run(session: "Session", arguments: list[Any]) -> Any:
        numbers = [convert.number(argument) for argument in arguments]
        try:
            found = work(*numbers)
        except (ValueError, OverflowError):
            return math.nan
        wide = any(isinstance(each, Int64) for each in numbers)
        return convert.fit(found, wide=wide) if isinstance(found, int) else found

    return run


def _is_empty(session: "Session", arguments: list[Any]) -> bool:
    return text(arguments[0]) == ""


def _environment(session: "Session", arguments: list[Any]) -> Any:
    return session.environment[text(arguments[0])]


def _to_int(session: "Session", arguments: list[Any]) -> Any:
    if len(arguments) == 1:
        return convert.cast(arguments[0], "System.Int32")
    try:
        return convert.fit(int(text(arguments[0]), int(arguments[1])))
    except ValueError:
        raise _throw("FormatException", "Could not find any recognizable digits.") from None


def _match(session: "Session", arguments: list[Any]) -> bool:
    return re.search(text(arguments[1]), text(arguments[0])) is not None


_PROPERTIES: dict[str, Callable[["Session"], Any]] = {
    name.casefold(): get
    for name, get in {
        "System.Text.Encoding::UTF8": lambda session: encodings.named("utf8"),
        "System.Text.Encoding::ASCII": lambda session: encodings.named("ascii"),
        "System.Text.Encoding::Unicode": lambda session: encodings.named("unicode"),
        "System.Text.Encoding::Default": lambda session: encodings.named("default"),
        "System.Console::Out": lambda session: encodings.ConsoleWriter(session.writer, error=False),
        "System.Console::Error": lambda session: encodings.ConsoleWriter(session.writer, error=True),
        "System.Console::OutputEncoding": lambda session: encodings.of_code_page(session.writer.code_page),
        "System.Console::InputEncoding": lambda session: encodings.of_code_page(session.oem),
        "System.Console::IsOutputRedirected": lambda session: True,
        "System.Environment::MachineName": lambda session: session.where.host.spec.name.upper(),
        "System.Environment::UserName": lambda session: session.where.user,
        "System.Environment::UserDomainName": lambda session: session.where.host.spec.name.upper(),
        "System.Environment::NewLine": lambda session: "\r\n",
        "System.Environment::OSVersion": _os_version,
        "System.Environment::ProcessorCount": lambda session: 2,
        "System.Environment::Is64BitProcess": lambda session: True,
        "System.Diagnostics.Stopwatch::Frequency": lambda session: Int64(_PER_S),
        "System.DateTime::UtcNow": lambda session: _now(session, "Utc"),
        "System.DateTime::Now": lambda session: _now(session, "Local"),
        "System.DateTimeOffset::UtcNow": _offset,
        "System.DateTimeOffset::Now": _offset,
        "System.String::Empty": lambda session: "",
        "System.Int32::MaxValue": lambda session: INT32[1],
        "System.Int32::MinValue": lambda session: INT32[0],
        "System.Int64::MaxValue": lambda session: Int64(INT64[1]),
        "System.Int64::MinValue": lambda session: Int64(INT64[0]),
        "System.Math::PI": lambda session: math.pi,
        "System.StringSplitOptions::RemoveEmptyEntries": lambda session: "RemoveEmptyEntries",
        "System.StringSplitOptions::None": lambda session: "None",
        "System.StringComparison::OrdinalIgnoreCase": lambda session: "OrdinalIgnoreCase",
        "System.StringComparison::Ordinal": lambda session: "Ordinal",
        "System.TimeSpan::Zero": lambda session: TimeSpan(0),
    }.items()
}


def _span(ticks: float) -> Callable[["Session", list[Any]], TimeSpan]:
    return lambda session, arguments: TimeSpan(round(convert.number(arguments[0]) * ticks))


def _console(work: str) -> Callable[["Session", list[Any]], Any]:
    def run(session: "Session", arguments: list[Any]) -> Any:
        session.writer.text(encodings.written(arguments) + ("\r\n" if work == "line" else ""))
        return NOTHING

    return run


_METHODS: dict[str, Callable[["Session", list[Any]], Any]] = {
    name.casefold(): run
    for name, run in {
        "System.Convert::FromBase64String": _from_base64,
        "System.Convert::ToBase64String": _to_base64,
        "System.Convert::ToInt32": _to_int,
        "System.Convert::ToString": lambda session, arguments: text(arguments[0]),
        "System.Console::WriteLine": _console("line"),
        "System.Console::Write": _console("text"),
        "System.String::Join": _join,
        "System.String::IsNullOrEmpty": _is_empty,
        "System.String::IsNullOrWhiteSpace": lambda session, arguments: text(arguments[0]).strip() == "",
        "System.String::Concat": lambda session, arguments: "".join(convert.strings(arguments)),
        "System.String::Format": lambda session, arguments: formatted(session, text(arguments[0]), arguments[1:]),
        "System.String::Equals": lambda session, arguments: text(arguments[0]) == text(arguments[1]),
        "System.Int32::Parse": _int_of(INT32, "Int32"),
        "System.Int64::Parse": _int_of(INT64, "Int64"),
        "System.Math::Max": _of_math(max),
        "System.Math::Min": _of_math(min),
        "System.Math::Abs": _of_math(abs),
        "System.Math::Floor": _of_math(lambda number: float(math.floor(number))),
        "System.Math::Ceiling": _of_math(lambda number: float(math.ceil(number))),
        "System.Math::Round": _of_math(lambda number, digits=0: round(float(number), int(digits))),
        "System.Math::Sqrt": _of_math(math.sqrt),
        "System.Math::Pow": _of_math(lambda base, power: float(base) ** power),
        "System.Management.Automation.WildcardPattern::Escape": lambda session, arguments: escape_wildcards(
            text(arguments[0])
        ),
        "System.Text.RegularExpressions.Regex::Escape": lambda session, arguments: re.escape(text(arguments[0])),
        "System.Text.RegularExpressions.Regex::IsMatch": _match,
        "System.Text.Encoding::GetEncoding": lambda session, arguments: encodings.by_name(arguments[0]),
        "System.Environment::GetEnvironmentVariable": _environment,
        "System.Diagnostics.Stopwatch::GetTimestamp": _up,
        "System.Security.Principal.WindowsIdentity::GetCurrent": _identity,
        "System.Guid::NewGuid": lambda session, arguments: str(uuid.uuid4()),
        "System.TimeSpan::FromSeconds": _span(1e7),
        "System.TimeSpan::FromMilliseconds": _span(1e4),
        "System.TimeSpan::FromMinutes": _span(6e8),
        "System.DateTime::IsLeapYear": lambda session, arguments: int(arguments[0]) % 4 == 0,
        "System.ServiceProcess.ServiceController::GetServices": lambda session, arguments: [
            Controller(session.where.host, service) for service in session.where.host.scm
        ],
        "System.Array::IndexOf": lambda session, arguments: (
            arguments[0].index(arguments[1]) if arguments[1] in arguments[0] else -1
        ),
        "System.Char::IsDigit": lambda session, arguments: text(arguments[0]).isdigit(),
    }.items()
}
_MAKERS: dict[str, Callable[["Session", list[Any]], Any]] = {
    name.casefold(): make
    for name, make in {
        "System.Management.Automation.PSObject": lambda session, arguments: Custom(),
        "System.Object": lambda session, arguments: Custom(type_name="System.Object"),
        "System.Collections.ArrayList": lambda session, arguments: NetList(
            convert.items(arguments[0]) if arguments and isinstance(arguments[0], list) else ()
        ),
        "System.Collections.Generic.List": lambda session, arguments: NetList((), "System.Collections.Generic.List`1"),
        "System.Collections.Hashtable": lambda session, arguments: Table(),
        "System.Collections.Specialized.OrderedDictionary": lambda session, arguments: Table(ordered=True),
        "System.Diagnostics.ProcessStartInfo": lambda session, arguments: objects.StartInfo(
            *convert.strings(arguments)
        ),
        "System.Text.StringBuilder": lambda session, arguments: objects.Builder(*convert.strings(arguments)[:1]),
        "System.Text.UTF8Encoding": lambda session, arguments: encodings.named("utf8"),
        "System.ServiceProcess.ServiceController": lambda session, arguments: controller(session, text(arguments[0])),
        "System.String": lambda session, arguments: text(arguments[0]) * int(arguments[1] if len(arguments) > 1 else 1),
        "System.TimeSpan": lambda session, arguments: TimeSpan(
            int(convert.number(arguments[0]) * 3600 + convert.number(arguments[1]) * 60 + convert.number(arguments[2]))
            * 10**7
        ),
    }.items()
}
