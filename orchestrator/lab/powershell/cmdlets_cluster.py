"""The cmdlets of a failover cluster: Get-ClusterGroup, Start-ClusterGroup and Stop-ClusterGroup."""

from orchestrator.lab import things, wildcard
from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.binding import Parameters
from orchestrator.lab.powershell.invocation import Cmdlet, Invocation
from orchestrator.lab.powershell.objects import Record
from orchestrator.lab.powershell.values import Failed, failure
from orchestrator.lab.things import Thing, Things

_SPACE = "Microsoft.FailoverClusters.PowerShell"
_DOWN = "The cluster service is not running.  Make sure that the service is running on all nodes in the cluster."


class _Group(Record):
    """One role, as Get-ClusterGroup puts it out."""

    type_name = f"{_SPACE}.ClusterGroup"

    def __init__(self, role: Thing, state: int) -> None:
        super().__init__(Name=role.spec.name, State=state)
        self.role = role


async def _get(call: Invocation) -> None:
    here = _cluster(call)
    names = convert.strings(convert.items(call.get("Name"))) if "Name" in call.bound else ["*"]
    for role in here.roles():
        if any(wildcard.matcher(name).fullmatch(role.spec.name) for name in names):
            await call.out(_Group(role, here.group_state(role)))


async def _start(call: Invocation) -> None:
    await _move(call, up=True)


async def _stop(call: Invocation) -> None:
    await _move(call, up=False)


async def _move(call: Invocation, *, up: bool) -> None:
    here = _cluster(call)
    for group in [one for one in call.items if isinstance(one, _Group)]:
        await things.hang(group.role, moves=True)
        if group.role.spec.fault == "fails":
            call.error(_refused(call, f"An error occurred moving the role '{group.role.spec.name}'.").record)
            continue
        here.move(group.role, up=up)
        await call.out(_Group(group.role, here.group_state(group.role)))


def _cluster(call: Invocation) -> Things:
    here = call.frame.session.where.host.things
    if not here.roles():
        raise _refused(call, _DOWN)
    return here


def _refused(call: Invocation, text: str) -> Failed:
    return failure(
        text,
        f"{call.cmdlet.name},{call.cmdlet.class_name}",
        exception=f"{_SPACE}.ClusterCmdletException",
        category=(7, "InvalidOperation"),
        activity=call.cmdlet.name,
    )


CMDLETS = (
    Cmdlet(name="Get-ClusterGroup", end=_get, parameters=Parameters(("Name",), (), ("Name",)), space=_SPACE),
    Cmdlet(name="Start-ClusterGroup", end=_start, parameters=Parameters(), acts=True, space=_SPACE),
    Cmdlet(name="Stop-ClusterGroup", end=_stop, parameters=Parameters(), acts=True, space=_SPACE),
)
