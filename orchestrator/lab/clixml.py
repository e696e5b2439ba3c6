"""CLIXML as Windows PowerShell 5.1 writes it, built from text: shapes are constant, so no serialiser is needed.

Facts of the shapes come from recorded conversations with real hosts: adapted properties stand in <Props>, extended
ones in <MS>, and what lies deeper than the serialisation depth is its ToString as text.
"""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from orchestrator.lab.errors import Error
from orchestrator.lab.service import Service

_ESCAPED = re.compile("_(?=[xX])|[\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff]")
_HRESULT = -2146233087
_TYPE_VALUES = {"Boot": 0, "System": 1, "Automatic": 2, "Manual": 3, "Disabled": 4}


@dataclass(frozen=True, slots=True)
class Services:
    """A service and what it is bound to, as Get-Service shows them."""

    service: Service
    dependents: tuple[str, ...]


def text(value: str) -> str:
    """The inside of an <S>: escaped as PowerShell does, control characters and surrogates as _xHHHH_."""

    def code_units(match: re.Match[str]) -> str:
        raw = match[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"_x{raw[i]:02X}{raw[i + 1]:02X}_" for i in range(0, len(raw), 2))

    return escape(_ESCAPED.sub(code_units, value))


def string(value: str) -> str:
    """A string as a pipeline's output."""
    return f"<S>{text(value)}</S>"


def integer(value: int) -> str:
    """An Int32 as a pipeline's output."""
    return f"<I32>{value}</I32>"


def date(value: datetime.datetime) -> str:
    """What Get-Date gives: a DateTime with its display hint."""
    stamp = value.isoformat(timespec="microseconds")
    body, zone = stamp[:26], stamp[26:]
    return (
        f'<Obj RefId="0"><DT>{body}0{zone}</DT><MS><Obj N="DisplayHint" RefId="1"><TN RefId="0">'
        "<T>Microsoft.PowerShell.Commands.DisplayHintType</T><T>System.Enum</T><T>System.ValueType</T>"
        "<T>System.Object</T></TN><ToString>DateTime</ToString><I32>2</I32></Obj></MS></Obj>"
    )


def operating_system(booted: datetime.datetime) -> str:
    """What Get-CimInstance gives of Win32_OperatingSystem when it was asked for LastBootUpTime: the other properties
    are empty."""
    empty = ("Caption", "Description", "InstallDate", "Name", "Status", "CSName", "CurrentTimeZone", "LocalDateTime")
    return _instance("OperatingSystem", "Win32_OperatingSystem", empty, _stamped("LastBootUpTime", booted))


def process(pid: int, parent: int, name: str, began: datetime.datetime) -> str:
    """What Get-CimInstance gives of Win32_Process when it was asked for these four."""
    empty = ("Caption", "Description", "InstallDate", "Status", "CommandLine", "ExecutablePath", "SessionId")
    told = (
        f'<S N="Name">{text(name)}</S>{_stamped("CreationDate", began)}<S N="Handle">{pid}</S>'
        f'<U32 N="ParentProcessId">{parent}</U32><U32 N="ProcessId">{pid}</U32>'
    )
    return _instance("Process", f'Win32_Process: {text(name)} (Handle = "{pid}")', empty, told)


def _stamped(name: str, at: datetime.datetime) -> str:
    stamp = at.isoformat(timespec="microseconds")
    return f'<DT N="{name}">{stamp[:26]}0{stamp[26:]}</DT>'


def _instance(name: str, shown: str, empty: Iterable[str], told: str) -> str:
    """A CimInstance of Win32_*name*."""
    base = "Microsoft.Management.Infrastructure.CimInstance"
    kinds = [f"{base}#{where}{kind}_{name}" for where in ("root/cimv2/", "") for kind in ("Win32", "CIM")]
    types = "".join(f"<T>{kind}</T>" for kind in (*kinds, base, "System.Object"))
    nothing = "".join(f'<Nil N="{each}" />' for each in empty)
    return f'<Obj RefId="0"><TN RefId="0">{types}</TN><ToString>{shown}</ToString><Props>{nothing}{told}</Props></Obj>'


def service(shown: Services) -> str:
    """A ServiceController. StartType of a delayed one is Automatic, for .NET knows no other."""
    of = shown.service
    name, status = text(of.name), of.state
    start_type = "Automatic" if of.start_type == "AutomaticDelayed" else of.start_type
    pause, stop = _bool(of.can_pause), _bool(of.can_stop)
    required = _strings(of.spec.requires)
    return (
        '<Obj RefId="0"><TN RefId="0"><T>System.ServiceProcess.ServiceController</T>'
        "<T>System.ComponentModel.Component</T><T>System.MarshalByRefObject</T><T>System.Object</T></TN>"
        f"<ToString>{name}</ToString><Props>"
        f'<B N="CanPauseAndContinue">{pause}</B><B N="CanShutdown">{stop}</B><B N="CanStop">{stop}</B>'
        f'<S N="DisplayName">{text(of.spec.display_name)}</S>'
        '<Obj N="DependentServices" RefId="1"><TN RefId="1"><T>System.ServiceProcess.ServiceController[]</T>'
        f"<T>System.Array</T><T>System.Object</T></TN><LST>{_strings(shown.dependents)}</LST></Obj>"
        f'<S N="MachineName">.</S><S N="ServiceName">{name}</S>'
        f'<Obj N="ServicesDependedOn" RefId="2"><TNRef RefId="1" /><LST>{required}</LST></Obj>'
        '<S N="ServiceHandle">SafeServiceHandle</S>'
        f"{_enum('Status', 3, 2, 'ServiceControllerStatus', status.name, status.value)}"
        f"{_enum('ServiceType', 4, 3, 'ServiceType', 'Win32OwnProcess', 16)}"
        f"{_enum('StartType', 5, 4, 'ServiceStartMode', start_type, _TYPE_VALUES[start_type])}"
        '<Nil N="Site" /><Nil N="Container" /></Props>'
        f'<MS><S N="Name">{name}</S><Obj N="RequiredServices" RefId="6"><TNRef RefId="1" /><LST>{required}</LST>'
        "</Obj></MS></Obj>"
    )


def error(record: Error) -> str:
    """The content of an ERROR_RECORD message."""
    return f'<Obj RefId="0">{_record(record, 1)}</Obj>'


def warning(message: str) -> str:
    """The content of a WARNING_RECORD message."""
    return (
        '<Obj RefId="0"><TN RefId="0"><T>System.Management.Automation.WarningRecord</T>'
        "<T>System.Management.Automation.InformationalRecord</T><T>System.Object</T></TN>"
        f"<ToString>{text(message)}</ToString><MS>"
        f'<S N="InformationalRecord_Message">{text(message)}</S>'
        '<B N="InformationalRecord_SerializeInvocationInfo">false</B></MS></Obj>'
    )


def pipeline_state(state: int, reason: Error | None = None) -> str:
    """The content of a PIPELINE_STATE message: 3 stopped, 4 completed, 5 failed."""
    if reason is None:
        return f'<Obj RefId="0"><MS><I32 N="PipelineState">{state}</I32></MS></Obj>'
    return (
        f'<Obj RefId="0"><MS><I32 N="PipelineState">{state}</I32>'
        f'<Obj N="ExceptionAsErrorRecord" RefId="1">{_record(reason, 2)}</Obj></MS></Obj>'
    )


def _record(record: Error, ref: int) -> str:
    message = text(record.text)
    within = " ---> ".join(f"{cause.exception}: {cause.text}" for cause in record.causes)
    printed = text(f"{record.exception}: {record.text}{' ---> ' + within if within else ''}")
    reason = text(record.exception.rpartition(".")[2])
    inner = f'<S N="InnerException">{text(within)}</S>' if within else '<Nil N="InnerException" />'
    target = text(record.target)
    whose = f'<S N="TargetObject">{target}</S>' if record.target else '<Nil N="TargetObject" />'
    number, category = record.category
    whom = f"{target}:{text(record.target_type)}" if record.target_type else f"{target}:"
    return (
        '<TN RefId="0"><T>System.Management.Automation.ErrorRecord</T><T>System.Object</T></TN>'
        f"<ToString>{message}</ToString><MS>"
        f'<Obj N="Exception" RefId="{ref}"><TN RefId="1"><T>{text(record.exception)}</T>'
        f"{''.join(f'<T>{base}</T>' for base in record.bases)}</TN><ToString>{printed}</ToString><Props>"
        f'<S N="Message">{message}</S><Obj N="Data" RefId="{ref + 1}"><TN RefId="2">'
        "<T>System.Collections.ListDictionaryInternal</T><T>System.Object</T></TN><DCT /></Obj>"
        f'{inner}<Nil N="TargetSite" /><Nil N="StackTrace" /><Nil N="HelpLink" /><Nil N="Source" />'
        f'<I32 N="HResult">{_HRESULT}</I32></Props></Obj>'
        f"{whose}"
        f'<S N="FullyQualifiedErrorId">{text(record.id)}</S><Nil N="InvocationInfo" />'
        f'<I32 N="ErrorCategory_Category">{number}</I32><S N="ErrorCategory_Activity">{text(record.activity)}</S>'
        f'<S N="ErrorCategory_Reason">{reason}</S><S N="ErrorCategory_TargetName">{target}</S>'
        f'<S N="ErrorCategory_TargetType">{text(record.target_type)}</S>'
        f'<S N="ErrorCategory_Message">{category}: ({whom}) [{text(record.activity)}], {reason}</S>'
        '<B N="SerializeExtendedInfo">false</B></MS>'
    )


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _strings(values: Iterable[str]) -> str:
    return "".join(string(value) for value in values)


def _enum(name: str, ref: int, type_ref: int, kind: str, label: str, number: int) -> str:
    return (
        f'<Obj N="{name}" RefId="{ref}"><TN RefId="{type_ref}"><T>System.ServiceProcess.{kind}</T><T>System.Enum</T>'
        f"<T>System.ValueType</T><T>System.Object</T></TN><ToString>{label}</ToString><I32>{number}</I32></Obj>"
    )
