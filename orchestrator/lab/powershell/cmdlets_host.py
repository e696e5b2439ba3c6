"""The cmdlets that ask something of the host beside its services, and those of the language itself."""

import asyncio
from typing import Any

from orchestrator.lab import texts
from orchestrator.lab.powershell import convert, dotnet, objects
from orchestrator.lab.powershell.binding import Parameters
from orchestrator.lab.powershell.invocation import Cmdlet, Invocation
from orchestrator.lab.powershell.types import full_name
from orchestrator.lab.powershell.values import Custom, DateTime, ErrorRecord, NetException, Table, failure
from orchestrator.lab.registry import START
from orchestrator.lab.service import Service
from orchestrator.lab.win32 import Win32Error

_SERVICES_KEY = "hklm:\\system\\currentcontrolset\\services\\"
_PREFIXES = ("registry::hkey_local_machine\\", "registry::hklm\\", "hkey_local_machine\\")
_FOLDERS = ("c:\\", "c:\\windows", "c:\\windows\\system32")


def _key(path: str) -> str:
    """A registry path by its drive, in lower case."""
    key = path.replace("/", "\\").lower().removeprefix("microsoft.powershell.core\\").rstrip("\\")
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            return "hklm:\\" + key.removeprefix(prefix)
    return key


def _service(call: Invocation, path: str) -> Service | None:
    key = _key(path)
    if not key.startswith(_SERVICES_KEY):
        return None
    try:
        return call.frame.session.where.host.scm.find(key.removeprefix(_SERVICES_KEY))
    except Win32Error:
        return None


def _values(service: Service) -> Table:
    values = Table(
        [
            ("Type", 16),
            ("Start", START[service.start_type]),
            ("ErrorControl", 1),
            ("ImagePath", f"C:\\Services\\{service.name}.exe"),
            ("DisplayName", service.spec.display_name),
            ("ObjectName", "LocalSystem"),
        ],
        ordered=True,
    )
    if service.start_type == "AutomaticDelayed":
        values["DelayedAutostart"] = 1
    if service.spec.requires:
        values["DependOnService"] = list(service.spec.requires)
    return values


async def _item_property(call: Invocation) -> None:
    for path in _paths(call):
        service = _service(call, path)
        if service is None:
            call.error(_no_path(call, path))
            continue
        values = _values(service)
        if "Name" in call.bound:
            wanted = [convert.text(name) for name in convert.items(call.get("Name"))]
            for name in wanted:
                if name not in values:
                    call.error(_no_value(call, name, path))
            values = Table([(name, values[name]) for name in wanted if name in values], ordered=True)
            if not len(values):
                continue
        values["PSPath"] = f"Microsoft.PowerShell.Core\\Registry::{path}"
        values["PSChildName"] = service.name
        await call.out(Custom(values))


async def _item(call: Invocation) -> None:
    for path in _paths(call):
        service = _service(call, path)
        if service is None:
            call.error(_no_path(call, path))
            continue
        values = _values(service)
        key = objects.Record(Name=path, PSChildName=service.name, Property=values.keys())
        key.type_name = "Microsoft.Win32.RegistryKey"

        async def get_value(arguments: list[Any], values: Table = values) -> Any:
            name = convert.text(arguments[0])
            return values[name] if name in values else (arguments[1] if len(arguments) > 1 else None)

        key.methods = {"getvalue": get_value, "close": get_value}
        await call.out(key)


def _paths(call: Invocation) -> list[str]:
    if call.is_piped:
        return convert.strings(call.items)
    return convert.strings(convert.items(call.get("LiteralPath", call.get("Path"))))


def _no_path(call: Invocation, path: str) -> ErrorRecord:
    said = f"Cannot find path '{path}' because it does not exist."
    return failure(
        said,
        f"PathNotFound,{call.cmdlet.class_name}",
        exception="System.Management.Automation.ItemNotFoundException",
        category=(13, "ObjectNotFound"),
        activity=call.cmdlet.name,
        target=path,
        target_type="String",
    ).record


def _no_value(call: Invocation, name: str, path: str) -> ErrorRecord:
    exception = NetException(
        "System.Management.Automation.PSArgumentException", f"Property {name} does not exist at path {path}."
    )
    return ErrorRecord(
        exception,
        f"System.Management.Automation.PSArgumentException,{call.cmdlet.class_name}",
        (5, "InvalidArgument"),
        call.cmdlet.name,
        name,
        name,
        "String",
    )


async def _test_path(call: Invocation) -> None:
    for path in _paths(call):
        key = _key(path)
        known = key.rstrip("\\") in _FOLDERS or key in _FOLDERS or key + "\\" == _SERVICES_KEY
        await call.out(known or _service(call, path) is not None)


async def _date(call: Invocation) -> None:
    value = call.get("Date")
    moment = (
        value
        if isinstance(value, DateTime)
        else DateTime(objects.now_ticks(call.frame.session.where.host.now()), "Local")
    )
    if "Format" in call.bound:
        await call.out(objects.date_text(moment, call.text("Format")))
    else:
        await call.out(moment)


async def _sleep(call: Invocation) -> None:
    seconds = convert.number(call.get("Seconds", 0)) + convert.number(call.get("Milliseconds", 0)) / 1000
    if seconds < 0:
        said = (
            "Cannot validate argument on parameter 'Seconds'. The argument is less than the minimum allowed range of 0."
        )
        raise failure(
            said, f"ParameterArgumentValidationError,{call.cmdlet.class_name}", category=(5, "InvalidArgument")
        )
    await asyncio.sleep(seconds)


async def _new_object(call: Invocation) -> None:
    written = call.text("TypeName")
    name = full_name(written)
    if name is None and written.lower().endswith("exception"):
        name = written if written.lower().startswith("system.") else f"System.{written}"
    if name is None:
        said = f"Cannot find type [{written}]: verify that the assembly containing this type is loaded."
        id = f"TypeNotFound,{call.cmdlet.class_name}"
        raise failure(said, id, category=(17, "InvalidType"), activity="New-Object")
    arguments = convert.items(call.get("ArgumentList")) if "ArgumentList" in call.bound else []
    made = dotnet.new(call.frame.session, name, arguments)
    given = call.get("Property")
    if isinstance(given, Table) and isinstance(made, Custom):
        made.members = Table(given, ordered=True)
    await call.out(made)


async def _get_variable(call: Invocation) -> None:
    for name in convert.strings(convert.items(call.get("Name"))):
        value = call.frame.get(name)
        if value is None:
            call.error(
                failure(
                    texts.say("no variable", call.language, name),
                    f"VariableNotFound,{call.cmdlet.class_name}",
                    exception="System.Management.Automation.ItemNotFoundException",
                    category=(13, "ObjectNotFound"),
                    activity=call.cmdlet.name,
                    target=name,
                    target_type="String",
                ).record
            )
        elif call.on("ValueOnly"):
            await call.out(value)
        else:
            await call.out(Custom(Table([("Name", name), ("Value", value)], ordered=True)))


async def _set_variable(call: Invocation) -> None:
    call.frame.set(call.text("Name"), call.get("Value", convert.single(call.items) if call.is_piped else None))


async def _accept(call: Invocation) -> None:
    """Set-StrictMode and others whose effect nothing here depends on."""


async def _add_member(call: Invocation) -> None:
    for value in call.items or convert.items(call.get("InputObject")):
        if not isinstance(value, Custom):
            raise failure("The lab adds members to custom objects only.", "LabNotSupported")
        kind = call.text("MemberType", "NoteProperty").lower()
        if kind != "noteproperty":
            raise failure(f"The lab adds no members of the type {kind}.", "LabNotSupported")
        name = call.text("Name")
        if name in value.members and not call.on("Force"):
            said = f'Cannot add a member with the name "{name}" because a member with that name already exists.'
            call.error(failure(said, f"MemberAlreadyExists,{call.cmdlet.class_name}", activity="Add-Member").record)
            continue
        value.members[name] = call.get("Value")
        if call.on("PassThru"):
            await call.out(value)


_PATHS = Parameters(
    ("Path", "LiteralPath", "Name"), ("Force",), ("Path", "Name"), {"pspath": "LiteralPath", "property": "Name"}
)
CMDLETS = (
    Cmdlet(name="Get-ItemProperty", end=_item_property, parameters=_PATHS, acts=True),
    Cmdlet(
        name="Get-Item", end=_item, parameters=Parameters(("Path", "LiteralPath"), ("Force",), ("Path",)), acts=True
    ),
    Cmdlet(
        name="Test-Path",
        end=_test_path,
        parameters=Parameters(("Path", "LiteralPath", "PathType"), (), ("Path",)),
        acts=True,
    ),
    Cmdlet(name="Get-Date", end=_date, parameters=Parameters(("Date", "Format"), (), ("Date",)), acts=True),
    Cmdlet(
        name="Start-Sleep",
        end=_sleep,
        parameters=Parameters(("Seconds", "Milliseconds"), (), ("Seconds",), {"m": "Milliseconds"}),
    ),
    Cmdlet(
        name="New-Object",
        end=_new_object,
        parameters=Parameters(
            ("TypeName", "ArgumentList", "Property"), (), ("TypeName", "ArgumentList"), {"args": "ArgumentList"}
        ),
    ),
    Cmdlet(
        name="Get-Variable",
        end=_get_variable,
        parameters=Parameters(("Name", "Scope"), ("ValueOnly",), ("Name",)),
    ),
    Cmdlet(
        name="Set-Variable",
        end=_set_variable,
        parameters=Parameters(("Name", "Value", "Scope"), ("Force",), ("Name", "Value")),
    ),
    Cmdlet(
        name="Set-StrictMode",
        end=_accept,
        parameters=Parameters(("Version",), ("Off",)),
    ),
    Cmdlet(
        name="Add-Member",
        end=_add_member,
        parameters=Parameters(
            ("MemberType", "Name", "Value", "InputObject", "NotePropertyName", "NotePropertyValue"),
            ("Force", "PassThru"),
            ("MemberType", "Name", "Value"),
        ),
    ),
)
