"""`make bench` on a fleet of three: it runs, counts, and says what it measured. Its figures are not judged here."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench"


def test_the_bench_compares_equal_exchanges() -> None:
    parts = ("cpu", "requests", "states", "rolling")
    words = [sys.executable, str(BENCH), "--json", "--scale", "0.01", "--rounds", "1", *parts]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert ran.stdout, ran.stderr
    told = json.loads(ran.stdout)
    winrm, ssh, requests, winrm_states, ssh_states, rolling = told["rows"]
    for row in (winrm, ssh, winrm_states, ssh_states):
        ours, theirs = row["note"].split(" a host")[0].split(" and ")
        assert ours == theirs.split(" ", 1)[0], row["note"]
        assert " x" in row["measured"]
    assert int(requests["measured"]) <= 14
    assert winrm_states["met"], winrm_states["note"]
    assert ssh_states["met"], ssh_states["note"]
    assert rolling["met"], "virtual time is the same on every machine"
    assert "cores busy" in told["machine"]
