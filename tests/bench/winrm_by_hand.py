"""The reference for WinRM: raw pypsrp, 64 hosts side by side, the same exchanges as one `orch stop` of one service."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

SERVICE = "Bench"
told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))


def runs(pool: RunspacePool, pid: str) -> bool:
    """Whether the process is there."""
    ps = PowerShell(pool).add_cmdlet("Get-CimInstance").add_parameter("ClassName", "Win32_Process")
    ps.add_parameter("Filter", f"ProcessId={pid}").add_parameter("OperationTimeoutSec", 10)
    ps.add_parameter("Property", ["ProcessId", "ParentProcessId", "Name", "CreationDate"])
    return bool(ps.invoke())


def pid_of(pool: RunspacePool) -> str:
    """The process of the service; "" if it is stopped: Get-Service, and the SCM's numbers."""
    ps = PowerShell(pool)
    ps.add_cmdlet("Get-Service").add_parameter("Name", [SERVICE]).add_statement()
    ps.add_cmdlet("sc.exe").add_argument("queryex").add_argument(SERVICE)
    said = [str(line) for line in ps.invoke()]
    if any(" 1  STOPPED" in line for line in said):
        return ""
    return next(line.partition(":")[2].strip() for line in said if line.strip().startswith("PID"))


def stop(address: str) -> None:
    """Survey, look, stop, look, see that its process is gone, and look once more at the end."""
    user, password = told["user"], told["password"]
    wsman = WSMan(address, port=5985, ssl=False, auth="ntlm", username=user, password=password, no_proxy=True)
    with wsman, RunspacePool(wsman) as pool:
        assert pid_of(pool)
        pid = pid_of(pool)
        PowerShell(pool).add_cmdlet("Stop-Service").add_parameter("Name", SERVICE).begin_invoke()
        assert not pid_of(pool)
        assert not runs(pool, pid)
        assert not pid_of(pool)


with ThreadPoolExecutor(64) as threads:
    list(threads.map(stop, told["addresses"]))
