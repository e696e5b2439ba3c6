"""The machine that is measured on, and what else it had to do meanwhile."""

import os
import platform
import resource
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Load:
    """A moment of the machine: wall clock, CPU seconds that all processes had, and that we and our children had."""

    wall_s: float
    all_s: float
    ours_s: float


def now() -> Load:
    """The moment, from /proc/stat."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    ticks = [int(field) for field in fields]
    busy = (sum(ticks[:8]) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Load(time.monotonic(), busy, sum(one.ru_utime + one.ru_stime for one in used))


def stated(before: Load, after: Load) -> str:
    """One line: processors, Python, and how many cores others kept busy between two moments."""
    others = max(0.0, after.all_s - before.all_s - (after.ours_s - before.ours_s)) / (after.wall_s - before.wall_s)
    return (
        f"{os.cpu_count()} cores ({_processor()}), Linux {platform.release()}, Python {platform.python_version()}; "
        f"other processes kept {others:.2f} cores busy meanwhile"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
