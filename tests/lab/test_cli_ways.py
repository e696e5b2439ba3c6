"""Hosts over SSH, by both controls, beside WinRM; and hosts with two ways, one of which fails. Judged by the lab."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from cli_lab import PAIR, Edge, Site, finish, judge, site

SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"
UP = dict.fromkeys((SQL, ONE, TWO), "Running")
EDGES = [Edge("Orders", "MSSQLSERVER")]
PORT = 2022
PASSPHRASE = "correct horse"


def mixed(folder: Path) -> dict[str, dict[str, object]]:
    """db-01 by SSH and sc.exe, app-01 by WinRM and then SSH, app-02 by SSH with a key, and PowerShell."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "id", "pkcs8-pem", PASSPHRASE)
    key.write_public_key(folder / "id.pub")
    (folder / "passphrase").write_text(PASSPHRASE, encoding="utf-8")
    trusted = f"-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={folder / 'lab' / 'known_hosts'}"
    ssh: dict[str, object] = {"ansible_ssh_port": PORT, "ansible_ssh_common_args": trusted}
    return {
        "db-01": {**ssh, "ansible_connection": "ssh", "ansible_port": PORT, "orch_control": "sc"},
        "app-01": {**ssh, "orch_transports": ["psrp", "ssh"]},
        "app-02": {
            **ssh,
            "orch_transports": "ssh",
            "ansible_password": "",
            "ansible_ssh_private_key_file": "id",
            "ansible_ssh_private_key_passphrase": f"{{{{ secret('file:{folder / 'passphrase'}') }}}}",
        },
    }


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("ways")
    with site(folder, PAIR, own=mixed(folder)) as made:
        yield made


@pytest.fixture
def ways(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def test_a_mixed_fleet_goes_down_and_up_in_order_and_each_control_is_sent_once(ways: Site) -> None:
    stopped = ways.orch("stop", "--yes")
    assert stopped.code == 0, stopped.said
    assert "reached by" not in stopped.said
    assert sorted(ways.controls()) == [f"stop {unit}" for unit in sorted(UP)]
    ended = judge(ways, EDGES, UP)
    assert ended == dict.fromkeys(UP, "Stopped")
    started = ways.orch("start", "--yes")
    assert started.code == 0, started.said
    assert judge(ways, EDGES, UP) == UP
    wires = {line["host"]: line["wire"] for line in ways.log("auth") if "wire" in line}
    assert wires == {"db-01": "ssh", "app-02": "ssh"}
    assert {line["method"] for line in ways.log("auth") if line["host"] == "app-02"} == {"publickey"}


def test_check_tells_over_what_each_host_is_reached(ways: Site) -> None:
    ended = ways.orch("check", "--json")
    assert ended.code == 0, ended.said
    told = {host["host"]: (host["transport"].lower(), host["detour"]) for host in json.loads(ended.out)["hosts"]}
    assert ["ssh" in told["db-01"][0], "sc" in told["db-01"][0]] == [True, True]
    assert "psrp" in told["app-01"][0]
    assert ["ssh" in told["app-02"][0], "powershell" in told["app-02"][0]] == [True, True]
    assert {detour for _, detour in told.values()} == {""}
    assert ways.untouched()


def test_a_way_that_is_shut_is_gone_round_visibly_everywhere(ways: Site) -> None:
    ways.fault("app-01", "down", "winrm")
    shut = f"ssh; psrp failed: {ways.addresses['app-01']}:5985: connection refused"
    looked = ways.orch("stop", "--dry-run")
    assert looked.code == 0, looked.said
    assert f"app-01: reached by {shut}" in looked.said
    assert json.loads(ways.orch("stop", "--dry-run", "--json").out)["detours"] == {"app-01": shut}
    checked = ways.orch("check")
    assert checked.code == 0, checked.said
    assert "reached by ssh; psrp failed" in checked.said
    graph = ("graph", "--live", "--plan", str(ways.plan))
    for words in (("status",), graph):
        seen = ways.orch(*words)
        assert seen.code == 0, seen.said
        assert f"! app-01: reached by {shut}" in seen.said
        assert json.loads(ways.orch(*words, "--json").out)["detours"] == {"app-01": shut}
    drawn = ways.orch(*graph, "--format", "dot")
    assert f"app-01: reached by {shut}" in " ".join(drawn.err.split())
    assert "reached by" not in drawn.out
    assert ways.untouched()

    stopped = ways.orch("stop", "--yes")
    assert stopped.code == 0, stopped.said
    assert f"app-01 is reached by {shut}" in stopped.said
    assert stopped.out.count("app-01  is reached by") == 1
    assert f"app-01 reached by {shut.replace(';', '')}" in stopped.said
    assert sorted(ways.controls()) == [f"stop {unit}" for unit in sorted(UP)]
    assert f"app-01 reached by {shut.replace(';', '')}" in ways.orch("show", "last").said
    assert json.loads(ways.orch("show", "last", "--json").out)["detours"] == {"app-01": shut}


def test_a_way_that_breaks_in_the_middle_of_a_stop_is_gone_round_and_nothing_is_asked_twice(ways: Site) -> None:
    ways.fault(ONE, "hangs-on-stop")
    process = ways.begin("stop", "--yes", "--json")
    try:
        ways.until(ONE, "StopPending")
        ways.fault("app-01", "down", "winrm")
        ways.lab.until(limit_s=30.0, kind="auth", host="app-01", wire="ssh", ok=True)
        ways.lab.order(op="clear", host="app-01", service="Orders")
        ended = finish(process)
    finally:
        process.kill()
    assert ended.code == 0, ended.said
    assert ways.controls().count(f"stop {ONE}") == 1
    (result,) = [
        fact["result"]
        for fact in ended.facts()
        if fact["kind"] == "step_ended"
        and fact["result"]["step"]["unit"] == "orders@app-01"
        and fact["result"]["step"]["phase"] == "stop"
    ]
    assert result["evidence"]["reached_by"].startswith("ssh; psrp failed: ")
    assert judge(ways, EDGES, UP) == dict.fromkeys(UP, "Stopped")


def test_a_host_that_no_way_reaches_is_told_with_each_of_them(ways: Site) -> None:
    ways.fault("app-01", "down")
    ended = ways.orch("status", "--limit", "app-01")
    assert ended.code == 1, ended.said
    address = ways.addresses["app-01"]
    assert f"psrp: {address}:5985: connection refused; ssh: {address}:{PORT}: connection refused" in ended.said
    assert "is WinRM enabled there, and the port open?; is sshd running there" in ended.said


def test_a_wrong_password_is_not_tried_on_the_second_way(ways: Site) -> None:
    ways.fault("app-01", "rejects-credentials")
    ended = ways.orch("status", "--limit", "app-01")
    assert ended.code == 1, ended.said
    assert [line for line in ways.log("auth") if line.get("wire") == "ssh"] == []


def test_the_inventory_shows_every_way(ways: Site) -> None:
    told = {
        host["host"]: host["ways"]
        for host in json.loads(ways.orch("inventory", "--plan", str(ways.plan), "--json").out)["hosts"]
    }
    assert [
        (way["transport"], way["port"], way["control"]) for host in ("db-01", "app-01", "app-02") for way in told[host]
    ] == [
        ("ssh", PORT, "sc"),
        ("psrp", 5985, "powershell"),
        ("ssh", PORT, "powershell"),
        ("ssh", PORT, "powershell"),
    ]
    assert told["app-02"][0]["auth"] == f"key {ways.folder / 'id'}"


def test_a_lab_of_the_command_line_says_where_its_host_keys_are(tmp_path: Path) -> None:
    with site(tmp_path, PAIR, own=mixed(tmp_path)) as pair:
        pass
    (tmp_path / "id.pub").rename(tmp_path / "away.pub")
    refused = pair.orch("lab", "up", "--plan", str(pair.plan))
    assert refused.code == 1, refused.said
    assert f"`ssh-keygen -y -f {tmp_path / 'id'} > {tmp_path / 'id.pub'}` makes it" in refused.said
    (tmp_path / "away.pub").rename(tmp_path / "id.pub")
    process = pair.begin("lab", "up", "--plan", str(pair.plan))
    try:
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(3)]
        known_hosts = pair.state / "lab" / "known_hosts"
        assert f"its SSH host keys are in {known_hosts}" in said[2]
        assert known_hosts.exists()
        assert f"db-01 {pair.addresses['db-01']}, ssh {PORT}" in pair.orch("lab", "ps").said
        unknown = pair.orch("status", "--limit", "db-01")
        assert unknown.code == 1, unknown.said
        assert "the host's key has changed" in unknown.said  # known_hosts is of the lab before
    finally:
        process.send_signal(signal.SIGTERM)
        finish(process)
