"""All cmdlets by name, and the aliases that lead to them."""

from orchestrator.lab.powershell import cmdlets_host, cmdlets_objects, cmdlets_output, cmdlets_services
from orchestrator.lab.powershell.invocation import Cmdlet

CMDLETS: dict[str, Cmdlet] = {
    cmdlet.name.casefold(): cmdlet
    for module in (cmdlets_host.CMDLETS, cmdlets_objects.CMDLETS, cmdlets_output.CMDLETS, cmdlets_services.CMDLETS)
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
    "kill": "Stop-Process",
    "start": "Start-Process",
    "iex": "Invoke-Expression",
    "icm": "Invoke-Command",
}
"""Those of 5.1 that matter here: `sc` and `curl` are not the programs of that name."""
