"""Which process this is, and whether another one is still there.

A process is told by its number and its start: numbers are given out again. Linux tells in /proc, macOS by `ps`;
elsewhere nothing is told, and a lease alone says whether a process lives.
"""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.engine.book_ports import Owner

UNKNOWN = 0.0
"""The start of a process of which this platform, or its rights, tell nothing."""
_PS_S = 5.0


def this_process(requester: str) -> Owner:
    """The owner of what this process holds, for *requester*."""
    return Owner(
        requester=requester,
        controller=socket.gethostname(),
        pid=os.getpid(),
        pid_started=started(os.getpid()) or UNKNOWN,
        pids=_numbering(),
    )


def exists(owner: Owner) -> bool | None:
    """Whether *owner*'s process is there; None: it is of another machine or container, or can't be told. A container
    may have the name of its machine, and has numbers of its own."""
    if owner.controller != socket.gethostname() or owner.pid_started == UNKNOWN or owner.pids != _numbering():
        return None
    found = started(owner.pid)
    return None if found == UNKNOWN else found == owner.pid_started


def started(pid: int) -> float | None:
    """When process *pid* began: None if there is none (or only what is left of it until its parent asks), UNKNOWN if it
    can't be told. Linux: seconds since the machine began, which no change of the clock moves; macOS: since 1970."""
    if sys.platform == "win32":
        return UNKNOWN
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # somebody else's, so it is there
    return _linux(pid) if sys.platform == "linux" else _ps(pid)


def _numbering() -> str:
    """What numbers this process, and all whom it can see. Source: pid_namespaces(7)."""
    try:
        return str(Path("/proc/self/ns/pid").readlink()) if sys.platform == "linux" else ""
    except OSError:
        return ""


def _linux(pid: int) -> float | None:
    """Source: proc_pid_stat(5). The name stands in brackets and may hold anything, so fields count from its end."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # /proc may hide what is not ours
        return UNKNOWN
    return None if fields[0] in (b"Z", b"X") else int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _ps(pid: int) -> float | None:
    """Source: ps(1): `lstart` is the start to the second, in the words of the locale and the hours of the zone."""
    asked = ["/bin/ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    try:
        done = subprocess.run(
            asked, capture_output=True, text=True, timeout=_PS_S, check=False, env={"LC_ALL": "C", "TZ": "UTC"}
        )
        state, _, start = done.stdout.strip().partition(" ")
        at = datetime.strptime(start.strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return UNKNOWN
    return None if state.startswith("Z") else at.timestamp()
