"""What is no service on the hosts of a `MemoryFleet`: application pools, sites, scheduled tasks, cluster roles, and
things that a program of their own moves; with the programs that orch runs about them."""

import asyncio
import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.engine.ports import CommandOutput

if TYPE_CHECKING:
    from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryHost

APPCMD = "c:\\windows\\system32\\inetsrv\\appcmd.exe"
OWN = "spoolctl.exe"
"""`spoolctl.exe status|start|stop NAME`: ends with 0 for what runs, with 3 for what is stopped."""
_NO_SUCH = 'ERROR ( message:Cannot find {} object with identifier "{}". )\n'
_DENIED = "ERROR ( hresult:80070005, message:Command execution failed.\nAccess is denied.\n )\n"


@dataclass(slots=True)
class MemoryObject:
    """One of them. `kind` is app_pool, site, task, command or cluster_role. It takes `move_s` to start or stop;
    `fails`: its programs are refused; `garbage` is what a read prints in place of its state."""

    kind: str
    name: str
    up: bool = True
    move_s: float = 0.5
    fails: bool = False
    garbage: str = ""
    moving_until_s: float = 0.0

    def move(self, *, up: bool) -> None:
        """Begin to start, or to stop."""
        if self.up is not up:
            self.up, self.moving_until_s = up, asyncio.get_running_loop().time() + self.move_s

    @property
    def moving(self) -> bool:
        """Whether it is on its way."""
        return asyncio.get_running_loop().time() < self.moving_until_s


def add(fleet: "MemoryFleet", host: str, one: MemoryObject) -> MemoryObject:
    """Put *one* on a host that is there."""
    fleet.hosts[host].objects[one.kind, one.name.lower()] = one
    return one


def _appcmd(fleet: "MemoryFleet", host: "MemoryHost", args: Sequence[str]) -> CommandOutput:
    """`appcmd.exe list|start|stop apppool|site /apppool.name:NAME [/text:state]`."""
    verb, section, which, *_ = args
    name = which.partition(":")[2]
    one = _found(host, {"apppool": "app_pool", "site": "site"}[section], name)
    if one is None:
        return CommandOutput(1, "") if verb == "list" else CommandOutput(1168, _NO_SUCH.format(section.upper(), name))
    if verb != "list":
        if one.fails:
            return CommandOutput(5, _DENIED)
        one.move(up=verb == "start")
        return CommandOutput(0, f'"{name}" successfully {"started" if one.up else "stopped"}\n')
    words = ("Starting", "Started") if one.up else ("Stopping", "Stopped")
    return CommandOutput(0, f"{one.garbage or words[not one.moving]}\n")


def _schtasks(fleet: "MemoryFleet", host: "MemoryHost", args: Sequence[str]) -> CommandOutput:
    """`schtasks.exe /query|/change|/end /tn PATH [/xml|/enable|/disable]`."""
    verb, _, path, *what = args
    one = _found(host, "task", path)
    if one is None:
        return CommandOutput(1, "FEHLER: Das System kann die angegebene Datei nicht finden.\n")
    if verb == "/query":
        enabled = "" if one.up else "<Enabled>false</Enabled>"
        xml = (
            '<?xml version="1.0" encoding="UTF-16"?>\n<Task><Triggers><TimeTrigger><Enabled>false</Enabled>'
            f"</TimeTrigger></Triggers><Settings><Priority>7</Priority>{enabled}</Settings></Task>\n"
        )
        return CommandOutput(0, one.garbage or xml)
    if one.fails:
        return CommandOutput(1, "FEHLER: Zugriff verweigert\n")
    if verb == "/change":
        one.move(up=what == ["/enable"])
    return CommandOutput(0, "ERFOLGREICH\n")


def _own(fleet: "MemoryFleet", host: "MemoryHost", args: Sequence[str]) -> CommandOutput:
    verb, name = args
    one = _found(host, "command", name)
    if one is None or one.garbage:
        return CommandOutput(9, one.garbage if one else f"no {name}")
    if verb == "status":
        return CommandOutput(0 if one.up is not one.moving else 3, "")
    if one.fails:
        return CommandOutput(4, "it would not")
    one.move(up=verb == "start")
    return CommandOutput(0, "")


def _powershell(fleet: "MemoryFleet", host: "MemoryHost", args: Sequence[str]) -> CommandOutput:
    """`powershell.exe ... -EncodedCommand TEXT` about one cluster role, as far as its cmdlets tell. A host without
    any is no node of a cluster."""
    script = base64.b64decode(args[-1]).decode("utf-16-le")
    encoded = re.search(r"FromBase64String\('([^']*)'\)", script)
    name = base64.b64decode(encoded[1]).decode() if encoded else ""
    if all(kind != "cluster_role" for kind, _ in host.objects):
        return CommandOutput(3, "The cluster service is not running.\n")
    one = _found(host, "cluster_role", name)
    if one is None:
        return CommandOutput(4, "")
    moved = [verb for verb in ("Start", "Stop") if f"{verb}-ClusterGroup" in script]
    if not moved:
        return CommandOutput(0, one.garbage or f"orch:{4 if one.moving else 0 if one.up else 1}\n")
    if one.fails:
        return CommandOutput(5, "An error occurred opening the role: Access is denied\n")
    one.move(up=moved == ["Start"])
    return CommandOutput(0, "")


def _found(host: "MemoryHost", kind: str, name: str) -> MemoryObject | None:
    return host.objects.get((kind, name.lower()))


PROGRAMS: Mapping[str, "Callable[[MemoryFleet, MemoryHost, Sequence[str]], CommandOutput]"] = {
    APPCMD: _appcmd,
    "schtasks.exe": _schtasks,
    "powershell.exe": _powershell,
    OWN: _own,
}
