"""The reference for WinRM: raw pypsrp, 64 hosts side by side, one pipeline that asks for the states of all services."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))


def look(address: str) -> None:
    """Get-Service, and the SCM's numbers of each service."""
    user, password = told["user"], told["password"]
    wsman = WSMan(address, port=5985, ssl=False, auth="ntlm", username=user, password=password, no_proxy=True)
    with wsman, RunspacePool(wsman) as pool:
        ps = PowerShell(pool).add_cmdlet("Get-Service").add_parameter("Name", told["services"])
        for service in told["services"]:
            ps.add_statement().add_cmdlet("sc.exe").add_argument("queryex").add_argument(service)
        said = [str(line) for line in ps.invoke()]
        assert sum(" 4  RUNNING" in line for line in said) == len(told["services"])


with ThreadPoolExecutor(64) as threads:
    list(threads.map(look, told["addresses"]))
