"""Type names: what PowerShell's short ones mean, what type a value has, and what it is derived from."""

from typing import Any

from orchestrator.lab.powershell.values import (
    Block,
    Char,
    Custom,
    DateTime,
    Enum,
    ErrorRecord,
    Int64,
    NetException,
    Table,
    TimeSpan,
    Type,
    Typed,
)

_SHORT = {
    "string": "System.String",
    "char": "System.Char",
    "int": "System.Int32",
    "int32": "System.Int32",
    "uint32": "System.UInt32",
    "long": "System.Int64",
    "int64": "System.Int64",
    "double": "System.Double",
    "float": "System.Single",
    "byte": "System.Byte",
    "bool": "System.Boolean",
    "boolean": "System.Boolean",
    "switch": "System.Management.Automation.SwitchParameter",
    "void": "System.Void",
    "object": "System.Object",
    "array": "System.Array",
    "exception": "System.Exception",
    "hashtable": "System.Collections.Hashtable",
    "ordered": "System.Collections.Specialized.OrderedDictionary",
    "pscustomobject": "System.Management.Automation.PSCustomObject",
    "psobject": "System.Management.Automation.PSObject",
    "scriptblock": "System.Management.Automation.ScriptBlock",
    "type": "System.Type",
    "datetime": "System.DateTime",
    "timespan": "System.TimeSpan",
    "wildcardpattern": "System.Management.Automation.WildcardPattern",
    "ref": "System.Management.Automation.PSReference",
    "regex": "System.Text.RegularExpressions.Regex",
    "math": "System.Math",
    "convert": "System.Convert",
    "console": "System.Console",
    "environment": "System.Environment",
    "datetimeoffset": "System.DateTimeOffset",
    "guid": "System.Guid",
    "version": "System.Version",
    "cmdletbinding": "System.Management.Automation.CmdletBindingAttribute",
    "parameter": "System.Management.Automation.ParameterAttribute",
}
_KNOWN = (
    "System.Text.Encoding",
    "System.Text.UTF8Encoding",
    "System.Security.Principal.WindowsIdentity",
    "System.ServiceProcess.ServiceController",
    "System.ServiceProcess.ServiceControllerStatus",
    "System.ServiceProcess.ServiceStartMode",
    "System.ServiceProcess.TimeoutException",
    "System.ComponentModel.Win32Exception",
    "System.InvalidOperationException",
    "System.ArgumentException",
    "System.FormatException",
    "System.Collections.ArrayList",
    "System.Collections.Generic.List",
    "System.Collections.IDictionary",
    "System.Collections.IEnumerable",
    "System.Management.Automation.ErrorRecord",
    "System.Management.Automation.RuntimeException",
    "System.Management.Automation.MethodInvocationException",
    "System.Management.Automation.CommandNotFoundException",
    "System.Management.Automation.ItemNotFoundException",
    "System.Management.Automation.RemoteException",
    "System.Management.Automation.ActionPreference",
    "System.DivideByZeroException",
    "System.SystemException",
    "System.Enum",
    "System.ValueType",
    "System.Diagnostics.Process",
    "System.Diagnostics.Stopwatch",
    "System.Diagnostics.ProcessStartInfo",
    "System.Text.StringBuilder",
    "System.StringSplitOptions",
    "System.StringComparison",
    "Microsoft.PowerShell.Commands.ServiceCommandException",
)
_FULL = {name.casefold(): name for name in (*_SHORT.values(), *_KNOWN)}
INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)
_CLASSES: dict[type, str] = {
    str: "System.String",
    Char: "System.Char",
    bool: "System.Boolean",
    float: "System.Double",
    bytes: "System.Byte[]",
    list: "System.Object[]",
    Int64: "System.Int64",
    Custom: _SHORT["pscustomobject"],
    Block: _SHORT["scriptblock"],
    DateTime: "System.DateTime",
    TimeSpan: "System.TimeSpan",
    Type: "System.RuntimeType",
    ErrorRecord: "System.Management.Automation.ErrorRecord",
}
_BASES = {
    "System.Boolean": ("System.ValueType",),
    "System.Int32": ("System.ValueType",),
    "System.Int64": ("System.ValueType",),
    "System.Double": ("System.ValueType",),
    "System.Object[]": ("System.Array", "System.Collections.IEnumerable"),
    "System.String": ("System.Collections.IEnumerable",),
    "System.Collections.Hashtable": ("System.Collections.IDictionary", "System.Collections.IEnumerable"),
    "System.Collections.Specialized.OrderedDictionary": (
        "System.Collections.IDictionary",
        "System.Collections.IEnumerable",
    ),
    "System.Management.Automation.PSCustomObject": ("System.Management.Automation.PSObject",),
}


def full_name(written: str) -> str | None:
    """The full name of a type as it was written; None if there is no such type here."""
    name = written.replace(" ", "")
    if name.endswith("[]"):
        element = full_name(name[:-2])
        return element and f"{element}[]"
    if "[" in name:
        name = name.partition("[")[0]
    plain = name.casefold()
    return _SHORT.get(plain) or _FULL.get(plain) or _FULL.get(f"system.{plain}")


def type_name(value: Any) -> str:
    """The full name of *value*'s type; empty for null."""
    if known := _CLASSES.get(type(value)):
        return known
    if isinstance(value, int):
        return "System.Int32" if INT32[0] <= value <= INT32[1] else "System.Int64"
    if isinstance(value, Table):
        return _SHORT["ordered" if value.ordered else "hashtable"]
    if isinstance(value, Typed):
        return f"{value.element}[]"
    return str(getattr(value, "type_name", ""))


def is_a(value: Any, wanted: str) -> bool:
    """Whether *value* is of the type of that full name, or derived from it."""
    own = type_name(value)
    if not own:
        return False
    bases = value.bases if isinstance(value, NetException) else _BASES.get(own, ())
    if isinstance(value, Typed) or own == "System.Byte[]":
        bases = _BASES["System.Object[]"]
    if isinstance(value, Enum):
        bases = ("System.Enum", "System.ValueType")
    return wanted in (own, "System.Object", *bases)
