"""At what a fault over SSH may aim: the names that a line asks for. And what a lab without SSH does not load."""

import base64
import subprocess
import sys

import pytest

from orchestrator.lab.faults import Aim
from orchestrator.lab.ssh_session import asked

ENCODED = base64.b64encode("Stop-Service -Name A".encode("utf-16-le")).decode()
AIMED = [
    ("stop", "sc.exe stop A", True),
    ("stop", "C:\\Windows\\System32\\sc.exe stop A", True),
    ("STOP", 'cmd.exe /c "echo x & sc stop A"', True),
    ("sc.exe", "for %x in (A B) do @(sc.exe query %x)", True),
    ("queryex", "(for %s in (A) do @(echo n & sc.exe queryex %s)) & echo n", True),
    ("queryex", "sc.exe query A & sc.exe qc A", False),
    ("start", "sc.exe config A start= auto", False),
    ("stop", "sc.exe query stop", False),
    ("Stop-Service", "Stop-Service -Name A", True),
    ("stop-service", "try { Get-Service A | Stop-Service } catch { }", True),
    ("Start-Service", "Stop-Service -Name A", False),
    ("Stop-Service", f"powershell -NoProfile -EncodedCommand {ENCODED}", True),
    ("reg.exe", "reg query HKLM\\Cluster\\Resources /s", True),
    ("reg", "reg.exe query HKLM\\Cluster\\Resources /s", True),
    ("exec", "hostname", True),
    ("line", "hostname", False),
    ("", "hostname", True),
]


@pytest.mark.parametrize(("verb", "line", "hits"), AIMED, ids=[f"{verb} at {line[:30]}" for verb, line, _ in AIMED])
def test_a_fault_hits_what_a_line_asks_for(verb: str, line: str, hits: bool) -> None:
    assert Aim("before", verb).hits("exec", asked(line)) is hits


def test_a_lab_without_ssh_loads_no_ssh() -> None:
    look = "import sys, orchestrator.lab.serve; sys.exit('asyncssh' in sys.modules or 'tree_sitter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False, timeout=60).returncode == 0
