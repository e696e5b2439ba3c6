"""The reference for WinRM: raw pypsrp, 64 hosts side by side, the same exchanges as one `orch stop` of one service."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

SERVICE = "Bench"
told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))


def read(pool: RunspacePool) -> bool:
    """Whether the service is stopped: Get-Service, and the SCM's numbers."""
    ps = PowerShell(pool)
    ps.add_cmdlet("Get-Service").add_parameter("Name", [SERVICE]).add_statement()
    ps.add_cmdlet("sc.exe").add_argument("queryex").add_argument(SERVICE)
    return any(" 1  STOPPED" in str(line) for line in ps.invoke())


def stop(address: str) -> None:
    """Survey, look, stop, look, and look once more at the end."""
    user, password = told["user"], told["password"]
    wsman = WSMan(address, port=5985, ssl=False, auth="ntlm", username=user, password=password, no_proxy=True)
    with wsman, RunspacePool(wsman) as pool:
        assert not read(pool)
        assert not read(pool)
        PowerShell(pool).add_cmdlet("Stop-Service").add_parameter("Name", SERVICE).begin_invoke()
        assert read(pool)
        assert read(pool)


with ThreadPoolExecutor(64) as threads:
    list(threads.map(stop, told["addresses"]))
