"""The cmdlets that tell of a host's processes: Get-Process, and Get-CimInstance for two classes."""

from orchestrator.lab import cim, texts
from orchestrator.lab.powershell import convert, objects
from orchestrator.lab.powershell.binding import Parameters
from orchestrator.lab.powershell.invocation import Cmdlet, Invocation
from orchestrator.lab.powershell.objects import Record
from orchestrator.lab.powershell.values import DateTime, Failed, failure
from orchestrator.lab.processes import Process

_CIM = "Microsoft.Management.Infrastructure"


async def _get_process(call: Invocation) -> None:
    processes = list(call.frame.session.where.host.scm.processes)
    if "Id" in call.bound:
        wanted = [int(convert.cast(one, "System.Int32")) for one in convert.items(call.get("Id"))]
        found = {one.pid: one for one in processes if one.pid in wanted}
        for pid in wanted:
            if pid in found:
                await call.out(_shown(found[pid]))
            else:
                call.error(_no_process(call, pid).record)
        return
    names = [name.lower() for name in convert.strings(convert.items(call.get("Name")))] if "Name" in call.bound else []
    for one in processes:
        if not names or one.name.lower().removesuffix(".exe") in names:
            await call.out(_shown(one))


def _shown(process: Process) -> Record:
    name = process.name.removesuffix(".exe")
    began = None if process.vital else _local(process.started_at)
    made = Record(Id=process.pid, ProcessName=name, Name=name, StartTime=began, HasExited=False)
    made.type_name = "System.Diagnostics.Process"
    return made


def _no_process(call: Invocation, pid: int) -> Failed:
    return failure(
        f"Cannot find a process with the process identifier {pid}.",
        f"NoProcessFoundForGivenId,{call.cmdlet.class_name}",
        exception="Microsoft.PowerShell.Commands.ProcessCommandException",
        category=(13, "ObjectNotFound"),
        activity=call.cmdlet.name,
        target=str(pid),
        target_type="Int32",
    )


async def _get_cim_instance(call: Invocation) -> None:
    wanted = call.text("ClassName")
    try:
        found = cim.instances(call.frame.session.where.host, wanted, call.text("Filter"))
    except cim.NoSuchClass:
        call.error(_refused(call, "no class", "HRESULT 0x80041010", f"root\\cimv2:{wanted}").record)
        return
    except cim.NoAnswer:
        call.error(_refused(call, "no cim", "HRESULT 0x800706ba", "CIM Server").record)
        return
    except cim.BadQuery:
        call.error(_refused(call, "bad query", "HRESULT 0x80041017", "").record)
        return
    for one in found:
        if isinstance(one, cim.System):
            made = Record(LastBootUpTime=_local(one.booted_at), CSName=call.frame.session.where.host.spec.name)
        else:
            made = Record(
                ProcessId=one.pid,
                ParentProcessId=one.parent,
                Name=one.name,
                CreationDate=_local(one.started_at),
                Handle=str(one.pid),
            )
        made.type_name = f"{_CIM}.CimInstance"
        await call.out(made)


def _refused(call: Invocation, text: str, number: str, target: str) -> Failed:
    return failure(
        texts.say(text, call.language),
        f"{number},{call.cmdlet.class_name}",
        exception=f"{_CIM}.CimException",
        category=(23, "MetadataError"),
        activity=call.cmdlet.name,
        target=target,
        target_type="String",
    )


def _local(seconds: float) -> DateTime:
    return DateTime(objects.now_ticks(seconds), "Local")


CMDLETS = (
    Cmdlet(
        name="Get-Process",
        end=_get_process,
        parameters=Parameters(("Id", "Name"), (), ("Name",), {"pid": "Id", "processname": "Name"}),
        acts=True,
    ),
    Cmdlet(
        name="Get-CimInstance",
        end=_get_cim_instance,
        parameters=Parameters(("ClassName", "Filter", "Property", "OperationTimeoutSec"), (), ("ClassName",)),
        acts=True,
        space=f"{_CIM}.CimCmdlets",
    ),
)
