"""The cmdlets that remoting can call on a virtual host, by name with the parameters that each takes.

What they do with services is in `service_cmdlets`; here is what only a remote runspace has.
Source of the behaviour: a recorded conversation with an endpoint in NoLanguage mode.
"""

import datetime
from collections.abc import Awaitable, Callable, Sequence

from orchestrator.lab import cim, clixml
from orchestrator.lab.errors import Error
from orchestrator.lab.psrp import Pipeline, Runspace
from orchestrator.lab.service import Service
from orchestrator.lab.service_cmdlets import COMMON_PARAMETERS, SERVICE_CMDLETS, Call


class Remote:
    """The streams of one pipeline, and the runspace in which it runs."""

    def __init__(self, pipeline: Pipeline, runspace: Runspace) -> None:
        self.pipeline = pipeline
        self.runspace = runspace
        self.error = pipeline.error
        self.warning = pipeline.warning

    def show(self, service: Service, dependents: Sequence[Service]) -> None:
        """Put *service* out as a ServiceController."""
        self.pipeline.output(clixml.service(clixml.Services(service, tuple(other.name for other in dependents))))


async def get_date(call: Call, remote: Remote) -> None:
    """Get-Date: the host's own clock, which may be wrong."""
    remote.pipeline.output(clixml.date(_moment(call.host.now())))


async def get_cim_instance(call: Call, remote: Remote) -> None:
    """Get-CimInstance: Win32_OperatingSystem, for LastBootUpTime alone, and Win32_Process, for four properties."""
    wanted = str(call.parameters.get("classname") or call.parameters.get("name") or "")
    try:
        found = cim.instances(call.host, wanted, str(call.parameters.get("filter") or ""))
    except cim.NoSuchClass:
        call.fail(_cim_error(call, "no class", "HRESULT 0x80041010", (23, "MetadataError"), f"root\\cimv2:{wanted}"))
        return
    except cim.NoAnswer:
        call.fail(_cim_error(call, "no cim", "HRESULT 0x800706ba", (6, "ConnectionError"), "CIM Server"))
        return
    except cim.BadQuery:
        call.fail(_cim_error(call, "bad query", "HRESULT 0x80041017", (5, "InvalidArgument"), ""))
        return
    for one in found:
        remote.pipeline.output(
            clixml.operating_system(_moment(one.booted_at))
            if isinstance(one, cim.System)
            else clixml.process(one.pid, one.parent, one.name, _moment(one.started_at))
        )


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)


def _cim_error(call: Call, text: str, number: str, category: tuple[int, str], target: str) -> Error:
    return Error(
        text=call.say(text),
        id=f"{number},Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand",
        exception="Microsoft.Management.Infrastructure.CimException",
        category=category,
        activity=call.cmdlet,
        target=target,
        target_type="String" if target else "",
    )


async def get_variable(call: Call, remote: Remote) -> None:
    """Get-Variable -ValueOnly, of LASTEXITCODE alone: that is all this endpoint has."""
    name = call.names[0] if call.names else ""
    if name.casefold() == "lastexitcode" and remote.runspace.last_exit_code is not None:
        remote.pipeline.output(clixml.integer(remote.runspace.last_exit_code))
        return
    call.fail(
        Error(
            text=call.say("no variable", name),
            id="VariableNotFound,Microsoft.PowerShell.Commands.GetVariableCommand",
            exception="System.Management.Automation.ItemNotFoundException",
            category=(13, "ObjectNotFound"),
            activity=call.cmdlet,
            target=name,
            target_type="String",
        )
    )


def _with_services(run: Callable[[Call], Awaitable[None]]) -> Callable[[Call, Remote], Awaitable[None]]:
    return lambda call, remote: run(call)


CMDLETS: dict[str, tuple[str, Callable[[Call, Remote], Awaitable[None]], frozenset[str]]] = {
    **{
        name.casefold(): (name, _with_services(run), parameters | COMMON_PARAMETERS)
        for name, run, parameters in SERVICE_CMDLETS
    },
    "get-ciminstance": (
        "Get-CimInstance",
        get_cim_instance,
        COMMON_PARAMETERS | {"name", "classname", "filter", "property", "operationtimeoutsec"},
    ),
    "get-date": ("Get-Date", get_date, COMMON_PARAMETERS),
    "get-variable": ("Get-Variable", get_variable, COMMON_PARAMETERS | {"name", "valueonly"}),
}
