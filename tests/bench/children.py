"""Programs that are measured as whole processes."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LIMIT_S = 900.0


class Failed(RuntimeError):
    """A program that is measured did not do its job; the text has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one process cost: CPU seconds of user and system, wall seconds, MB at its peak; `began_s` is monotonic."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    began_s: float
    said: str


def run(words: Sequence[str], *, env: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)) -> Ran:
    """Run a program with its children to its end.

    Raises: Failed if its exit code is none of *codes*.
    """
    began_s = time.monotonic()
    environment = {**os.environ, **(env or {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # with it every start compiles everything anew
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode not in codes:
        raise Failed(f"{' '.join(words[:3])} ended with exit code {process.returncode}: {said[-800:]}")
    return Ran(
        cpu_s=used.ru_utime + used.ru_stime,
        wall_s=time.monotonic() - began_s,
        peak_mb=used.ru_maxrss / 1024,
        began_s=began_s,
        said=said,
    )


def orch(*words: str, state: Path, codes: Sequence[int] = (0,)) -> Ran:
    """Run `orch` as its user does, from this interpreter, with its runs in *state*."""
    return run([sys.executable, "-m", "orchestrator", *words], env={"ORCH_STATE_DIR": str(state)}, codes=codes)


def by_hand(script: str, facts: Path) -> Ran:
    """Run one of the reference scripts beside this file."""
    return run([sys.executable, str(HERE / script), str(facts)])
