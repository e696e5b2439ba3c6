"""`make bench` on a fleet of three: it runs, counts, and says what it measured. Its figures are not judged here."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "bench"


def test_the_bench_compares_equal_exchanges() -> None:
    words = [sys.executable, str(BENCH), "--json", "--scale", "0.01", "--rounds", "1", "cpu", "requests"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert ran.stdout, ran.stderr
    told = json.loads(ran.stdout)
    winrm, ssh, requests = told["rows"]
    for row in (winrm, ssh):
        ours, theirs = row["note"].split(" a host")[0].split(" and ")
        assert ours == theirs.split(" ", 1)[0], row["note"]
        assert " x" in row["measured"]
    assert int(requests["measured"]) <= 14
    assert "cores busy" in told["machine"]
