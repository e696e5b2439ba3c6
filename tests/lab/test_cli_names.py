"""Names that want to be something else, hosts that speak German, and services found paused or on their way."""

from pathlib import Path
from typing import Any

from cli_lab import IMPATIENT, PAIR_GROUPS, finish, site

ODD = """
name: odd
on_failure: continue
inventory: hosts.yaml
defaults: { timeout: 8s, gate: { period: 100ms, deadline: 3s } }
poll: 200ms
services:
  sql: { service: "MSSQL$O'Brien [x]", hosts: db, ready: [ { tcp: 1433 } ] }
  orders:
    service: ["Größe & Co", "Ab?c*"]
    hosts: app
    depends_on: [sql]
    ready: [ { command: { exe: hostname.exe } } ]
    stopped: [ { service: Stopped } ]
"""
SQL, BIG = "MSSQL$O'Brien [x]@db-01", "Größe & Co@app-01"


def german(fleet: dict[str, Any]) -> None:
    for host in fleet["hosts"]:
        host["language"] = "de"


def test_odd_names_german_words_paused_and_pending_services(tmp_path: Path) -> None:
    with site(tmp_path, ODD, PAIR_GROUPS, variables=IMPATIENT, adjust=german) as odd:
        odd.put(BIG, "Paused")
        stopped = odd.orch("stop", "--yes")
        assert stopped.code == 0, stopped.said
        assert sorted(odd.controls()) == sorted(f"stop {unit}" for unit in odd.first)
        assert "orders:Größe & Co@app-01 stop ok: Paused -> Stopped" in stopped.said
        assert set(odd.states().values()) == {"Stopped"}

        odd.fault(SQL, "fails-to-start", 1053)
        failed = odd.orch("start", "--yes", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
        assert failed.code == 1, failed.said
        assert "the service did not answer the start or control request in time (error 1053)" in failed.said
        assert "kann nicht gestartet werden" in failed.said
        assert "x sql@db-01 failed Stopped" in failed.said, "no character that the terminal has not"
        assert failed.out.isascii()

        odd.lab.order(op="clear")
        odd.put(SQL, "StopPending")
        odd.read = len(odd.lab.log())
        process = odd.begin("start", "--yes")
        odd.until_read("db-01", 3)
        assert odd.controls() == [], "a pending service is waited for, not asked"
        odd.put(SQL, "Stopped")
        started = finish(process)
        assert started.code == 0, started.said
        assert "sql@db-01 start ok: StopPending -> Running" in started.said
        assert set(odd.states().values()) == {"Running"}
