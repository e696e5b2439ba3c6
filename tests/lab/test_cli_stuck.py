"""Stopped means stopped, on both wires: what is stuck is killed, what outlives its stop is found, and nothing else."""

import re
from pathlib import Path

from cli_lab import PAIR, site

PORT = 2022
KILLS = PAIR.replace("hosts: app,", "hosts: app, stop: { timeout: 3s, if_stuck: kill },")
FAILS = PAIR.replace("hosts: app,", "hosts: app, stop: { timeout: 3s },")


def test_a_stuck_service_and_an_orphan_are_killed_and_nothing_else(tmp_path: Path) -> None:
    trusted = f"-o UserKnownHostsFile={tmp_path / 'lab' / 'known_hosts'} -F none"
    ssh = {"ansible_connection": "ssh", "ansible_port": PORT, "ansible_ssh_common_args": trusted, "orch_control": "sc"}
    with site(tmp_path, KILLS, own={"app-02": ssh}) as two:
        pids = {
            host["host"]: service["pid"]
            for host in two.lab.order(op="ps")["hosts"]
            for service in host["services"]
            if service["name"] == "Orders"
        }
        two.fault("Orders@app-01", "hangs-on-stop", 2)
        two.fault("Orders@app-02", "orphan")
        ended = two.orch("stop", "--yes")
        assert ended.code == 0, ended.said
        kills = [(line["host"], line["pid"], line["outcome"]) for line in two.lab.log(kind="control", control="kill")]
        assert sorted(kills) == [(host, pids[host], "accepted") for host in ("app-01", "app-02")]
        assert set(two.states().values()) == {"Stopped"}
        assert "stalled at checkpoint 2 for" in ended.said
        assert "Orders.exe" in ended.said


def test_without_leave_to_kill_an_orphan_is_a_failure_with_its_pid(tmp_path: Path) -> None:
    with site(tmp_path, FAILS) as pair:
        pair.fault("Orders@app-01", "orphan")
        ended = pair.orch("stop", "--yes", "--limit", "app-01")
        assert ended.code == 6, ended.said
        (host,) = [one for one in pair.lab.order(op="ps")["hosts"] if one["host"] == "app-01"]
        (left,) = [pid for service in host["services"] for pid in service["left"]]
        assert re.search(rf"process {left} \(Orders\.exe, started [^)]+\) still runs", ended.said), ended.said
        assert pair.lab.log(kind="control", control="kill") == []
