"""All cmdlets by name, and the aliases that lead to them."""

from orchestrator.lab.powershell import (
    cmdlets_cluster,
    cmdlets_host,
    cmdlets_objects,
    cmdlets_output,
    cmdlets_processes,
    cmdlets_services,
)
from orchestrator.lab.powershell.invocation import Cmdlet

CMDLETS: dict[str, Cmdlet] = {
    cmdlet.name.casefold(): cmdlet
    for module in (
        cmdlets_cluster.CMDLETS,
        cmdlets_host.CMDLETS,
        cmdlets_objects.CMDLETS,
        cmdlets_output.CMDLETS,
        cmdlets_processes.CMDLETS,
        cmdlets_services.CMDLETS,
    )
    for cmdlet in module
}
ALIASES: dict[str, str] = {
    "%": "ForEach-Object",
    "foreach": "ForEach-Object",
    "?": "Where-Object",
    "where": "Where-Object",
    "select": "Select-Object",
    "sort": "Sort-Object",
    "measure": "Measure-Object",
    "echo": "Write-Output",
    "write": "Write-Output",
    "gsv": "Get-Service",
    "sasv": "Start-Service",
    "spsv": "Stop-Service",
    "sleep": "Start-Sleep",
    "gi": "Get-Item",
    "gp": "Get-ItemProperty",
    "gv": "Get-Variable",
    "sv": "Set-Variable",
    "set": "Set-Variable",
    "sc": "Set-Content",
    "curl": "Invoke-WebRequest",
    "wget": "Invoke-WebRequest",
    "dir": "Get-ChildItem",
    "ls": "Get-ChildItem",
    "cat": "Get-Content",
    "type": "Get-Content",
    "cd": "Set-Location",
    "ps": "Get-Process",
    "gps": "Get-Process",
    "gcim": "Get-CimInstance",
    "kill": "Stop-Process",
    "start": "Start-Process",
    "iex": "Invoke-Expression",
    "icm": "Invoke-Command",
}
"""Those of 5.1 that matter here: `sc` and `curl` are not the programs of that name."""
ABSENT = frozenset(
    {
        *(name.casefold() for name in ALIASES.values() if name.casefold() not in CMDLETS),
        *(
            "compare-object",
            "convertto-csv",
            "copy-item",
            "export-csv",
            "format-list",
            "format-table",
        ),
        *("get-command", "get-eventlog", "get-help", "get-member", "get-module", "get-winevent", "get-wmiobject"),
        *("import-csv", "import-module", "move-item", "new-item", "new-service", "out-file", "read-host"),
        *("remove-item", "restart-computer", "restart-service", "select-string", "set-item", "set-itemproperty"),
        *("start-job", "tee-object", "test-netconnection", "wait-process", "write-information"),
    }
)
"""Cmdlets of 5.1 that the lab has not: asking for one is told as that."""
