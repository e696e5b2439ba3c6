"""`orch lab` and `orch demo`: the virtual fleet, ordered about from the command line."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cli_lab import PAIR, Site, finish, site

SHOP = ("127.77.0.10", 5985)
"""The first address of inventory/lab.yaml."""


@pytest.fixture
def pair(tmp_path: Path) -> Site:
    """Files and addresses of a pair whose own lab has ended: the command line starts another."""
    with site(tmp_path, f"{PAIR}  pool: {{ app_pool: Shop, hosts: db }}\n") as made:
        pass
    return made


def _misbehaves_as_no_service(pair: Site) -> None:
    assert pair.orch("lab", "fault", "pool@db-01", "fails").code == 0
    assert "app_pool Shop Running fails" in pair.orch("lab", "ps").said
    assert "pool@db-01 is no service" in pair.orch("lab", "kill", "pool@db-01").said
    assert pair.orch("lab", "clear", "pool@db-01").code == 0
    nobody = pair.orch("lab", "fault", "nobody@app-01", "refuses")
    assert nobody.code == 2, nobody.said
    assert "orch lab ps lists every unit" in nobody.said


def test_a_lab_comes_up_is_seen_misbehaves_and_goes_down(pair: Site) -> None:
    process = pair.begin("lab", "up", "--plan", str(pair.plan))
    try:
        assert process.stderr is not None
        first, second = process.stderr.readline(), process.stderr.readline()
        assert "lab pair: 3 hosts on loopback; Ctrl-C or `orch lab down` ends it" in first
        assert str(pair.state / "lab" / "log.jsonl") in second

        again = pair.orch("lab", "up", "--plan", str(pair.plan))
        assert again.code == 1, again.said
        assert "a lab runs in" in again.said
        assert "`orch lab down` ends it" in again.said

        seen = pair.orch("lab", "ps")
        assert seen.code == 0, seen.said
        assert f"db-01 {pair.addresses['db-01']} MSSQLSERVER Running" in seen.said

        refused = pair.orch("lab", "fault", "orders@app-01", "refuses")
        assert refused.code == 0, refused.said
        assert "take it back: orch lab clear orders@app-01" in refused.said
        assert "refuses" in pair.orch("lab", "ps").said
        assert pair.orch("stop", "--yes", "--limit", "app-01").code == 6
        assert pair.orch("close", "last", "--reason", "seen").code == 0
        assert pair.orch("lab", "clear").code == 0
        stopped = pair.orch("stop", "--yes", "--limit", "app-01")
        assert stopped.code == 0, stopped.said

        unknown = pair.orch("lab", "fault", "orders@app-01", "explodes")
        assert unknown.code == 2, unknown.said
        assert "hangs-on-stop" in unknown.said

        _misbehaves_as_no_service(pair)
        untriggered = pair.orch("lab", "trigger", "orders@app-01")
        assert untriggered.code == 2, untriggered.said
        assert "has no start trigger" in untriggered.said
        hostless = pair.orch("lab", "kill", "orders")
        assert hostless.code == 2, hostless.said
        assert pair.orch("lab", "kill", "sql@db-01").code == 0
        killed = pair.orch("lab", "ps")
        assert f"db-01 {pair.addresses['db-01']} MSSQLSERVER Stopped" in killed.said
        assert pair.orch("lab", "reboot", "db-01", "0").code == 0

        down = pair.orch("lab", "down")
        assert down.code == 0, down.said
        ended = finish(process)
        assert (ended.code, ended.err) == (0, "lab ended\n")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            finish(process)
    gone = pair.orch("lab", "ps")
    assert gone.code == 2, gone.said
    assert "no lab runs in" in gone.said
    assert "orch lab up --plan FILE starts one" in gone.said


def test_ctrl_c_ends_a_lab(pair: Site) -> None:
    process = pair.begin("lab", "up", "--plan", str(pair.plan))
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert "Traceback" not in ended.err
    assert ended.code == 0, ended.said
    assert "lab ended" in ended.err
    with socket.socket() as knocking:
        assert knocking.connect_ex((pair.addresses["db-01"], 5985)) != 0


def test_the_demo_ends_as_it_should(tmp_path: Path) -> None:
    with socket.socket() as asking:
        if asking.connect_ex(SHOP) == 0 and not os.environ.get("ORCH_TEST_ALL"):
            pytest.skip(
                "left out: orch demo needs the addresses of inventory/lab.yaml, which are in use by another lab"
            )
    words = [sys.executable, "-m", "orchestrator", "demo"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    typed = [line for line in ended.stderr.splitlines() if line.startswith("$ ")]
    assert [line.split()[2] for line in typed] == ["stop", "lab", "stop", "decisions", "decide", "lab", "stop", "start"]
    heads = [line.split("  ")[0] for line in ended.stdout.splitlines() if re.match("[A-Z ]+  (stop|start) shop", line)]
    assert heads == ["PARKED", "ROLLED BACK", "DONE", "DONE"]
    assert "rollback by " in ended.stdout
    assert "journal head " in ended.stdout
    assert "Every unit ended as it should" in ended.stderr
