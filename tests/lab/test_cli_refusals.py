"""What orch refuses to move, by way of the command line, and what `--allow` lifts. Judged by the lab's log."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_lab import Site, service_of, site

PLAYBOOK = """
name: house
inventory: hosts.yaml
defaults: { timeout: 20s }
poll: 200ms
services:
  names: { service: DNS, hosts: dc }
  wire: { service: WinRM, hosts: dc }
  sensor: { service: Sensor, hosts: dc }
  orders: { service: Orders, hosts: app }
  batch: { service: Batch, hosts: app }
"""
GROUPS = {"dc": ["dc-01"], "app": ["app-01"]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def clustered(fleet: dict[str, Any]) -> None:
        orders = service_of(fleet, "Orders@app-01")
        (node,) = [host for host in fleet["hosts"] if host["name"] == "app-01"]
        node["services"].append({**orders, "name": "ClusSvc", "display_name": "Cluster Service", "ports": []})
        orders["cluster_role"] = "Orders of the shop"
        service_of(fleet, "WinRM@dc-01")["requires"] = ["Sensor"]

    with site(tmp_path_factory.mktemp("house"), PLAYBOOK, GROUPS, adjust=clustered) as made:
        yield made


@pytest.fixture
def house(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def test_all_that_must_not_be_stopped_is_named_in_one_refusal(house: Site) -> None:
    for words in (("stop", "--yes"), ("restart", "--yes"), ("stop", "--dry-run")):
        ended = house.orch(*words)
        assert (ended.code, house.untouched()) == (2, True), ended.said
        for said in (
            "names@dc-01: DNS on dc-01 is a DNS server",
            "add --allow DNS if that is what you want, or --allow names@dc-01",
            "wire@dc-01: WinRM carries our own connection to dc-01 (it is what answers us)",
            "sensor@dc-01: Sensor carries our own connection to dc-01 (WinRM needs it, and it is what answers us)",
            "orders@app-01: Orders on app-01 belongs to the failover cluster, as 'Orders of the shop' "
            "of the role 'Orders of the shop'",
            "stop the role itself: write `cluster_role: Orders of the shop` in place of `service`"
            if words[0] == "stop"
            else "restart the role itself",
            "nothing was touched",
        ):
            assert said in ended.said
        assert "batch@app-01" not in ended.said


def test_check_says_the_afternoon_before_what_would_be_refused(house: Site) -> None:
    ended = house.orch("check")
    assert ended.code == 0, ended.said
    assert "a stop is refused without --allow DNS: others need it" in ended.said
    assert ended.said.count("a stop is refused: it carries our own connection") == 2, "WinRM, and what it needs"
    assert "ready for a start; a stop would be refused for 3 units (see above)" in ended.said
    assert "ready for the night" not in ended.said


def test_what_carries_us_is_stopped_for_no_word(house: Site) -> None:
    ended = house.orch("stop", "--yes", "--service", "wire", "--allow", "WinRM", "--allow", "wire@dc-01")
    assert (ended.code, house.untouched()) == (2, True), ended.said
    assert "nothing lifts this" in ended.said


@pytest.mark.parametrize("allow", ["DNS", "dns", "names@dc-01"])
def test_what_others_need_is_stopped_if_it_is_allowed_by_name(house: Site, allow: str) -> None:
    ended = house.orch("stop", "--yes", "--service", "names", "--allow", allow)
    assert (ended.code, house.controls()) == (0, ["stop DNS@dc-01"]), ended.said


def test_what_a_cluster_owns_is_moved_if_it_is_allowed_by_name(house: Site) -> None:
    ended = house.orch("stop", "--yes", "--service", "orders", "--allow", "Orders", "--service", "batch")
    assert ended.code == 0, ended.said
    assert sorted(house.controls()) == ["stop Batch@app-01", "stop Orders@app-01"]
    ended = house.orch("start", "--yes", "--service", "orders")
    assert ended.code == 2, ended.said
    assert "the cluster may stop it again" in ended.said
    assert house.orch("start", "--yes", "--service", "orders", "--allow", "orders@app-01").code == 0


def test_a_saved_plan_is_refused_what_planning_would_refuse_on_the_day_it_is_applied(
    house: Site, tmp_path: Path
) -> None:
    bare, allowed = tmp_path / "bare.orchplan", tmp_path / "allowed.orchplan"
    chosen = ("--service", "orders", "--service", "names", "--allow", "DNS")
    house.put("ClusSvc@app-01", "Stopped")
    assert house.orch("stop", "--save", str(bare), *chosen).code == 0
    house.put("ClusSvc@app-01", "Running")
    assert house.orch("stop", "--save", str(allowed), *chosen, "--allow", "Orders").code == 0
    house.read = len(house.lab.log())
    for way in ("--yes", "--dry-run"):
        ended = house.orch("apply", str(bare), way)
        assert (ended.code, house.untouched()) == (2, True), ended.said
        assert "orders@app-01: Orders on app-01 belongs to the failover cluster" in ended.said
        assert "names@dc-01" not in ended.err, "what was allowed when it was saved is allowed now"
        assert "a saved plan takes no such options: plan and save it anew" in ended.said
    ended = house.orch("apply", str(allowed), "--yes")
    assert ended.code == 0, ended.said
    assert sorted(house.controls()) == ["stop DNS@dc-01", "stop Orders@app-01"]


def test_a_slip_of_the_pen_allows_nothing(house: Site) -> None:
    ended = house.orch("stop", "--yes", "--service", "names", "--allow", "DNS", "--allow", "D*")
    assert (ended.code, house.untouched()) == (2, True), ended.said
    assert "--allow D*: nothing that was chosen is named so" in ended.said


def test_the_cluster_costs_two_programs_on_a_node_that_owns_something_and_nothing_elsewhere(house: Site) -> None:
    assert house.orch("stop", "--dry-run", "--service", "batch", "--service", "names", "--allow", "DNS").code == 0
    programs = [(line["host"], line["name"]) for line in house.log("command") if line["name"] == "reg.exe"]
    assert programs == [("app-01", "reg.exe")] * 2


def test_nothing_is_moved_on_the_machine_that_orch_runs_on(tmp_path: Path) -> None:
    """By whatever name or address it is in the inventory; a lab next door on loopback is another machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"app-01": {"ansible_host": "localhost", "ansible_port": port}}
    playbook = PLAYBOOK.replace("hosts: dc", "hosts: app")
    with site(tmp_path, playbook, {"dc": ["dc-01"], "app": ["app-01"]}, own=own, adjust=on_loopback) as here:
        ended = here.orch("stop", "--yes", "--service", "batch")
        assert (ended.code, here.untouched()) == (2, True), ended.said
        assert "batch@app-01: app-01 is the very machine that orch runs on" in ended.said
        assert here.orch("status", "--service", "batch").code == 0


def on_loopback(fleet: dict[str, Any]) -> None:
    for host in fleet["hosts"]:
        host["address"] = host["address"].replace("localhost", "127.0.0.1")


def test_over_ssh_the_server_carries_us_and_winrm_does_not(tmp_path: Path) -> None:
    trusted = f"-F none -o UserKnownHostsFile={tmp_path / 'lab' / 'known_hosts'}"
    ssh = {"ansible_connection": "ssh", "ansible_port": 2022, "ansible_ssh_common_args": trusted, "orch_control": "sc"}
    playbook = PLAYBOOK.replace("Sensor", "sshd")

    def clustered(fleet: dict[str, Any]) -> None:
        node, batch = fleet["hosts"][-1], service_of(fleet, "Batch@app-01")
        node["services"].append({**batch, "name": "ClusSvc", "display_name": "Cluster Service"})
        batch["cluster_role"] = "Nightly work"

    with site(tmp_path, playbook, GROUPS, own={"dc-01": ssh, "app-01": ssh}, adjust=clustered) as house:
        ended = house.orch("stop", "--yes", "--allow", "DNS")
        assert (ended.code, house.untouched()) == (2, True), ended.said
        assert "sensor@dc-01: sshd carries our own connection to dc-01" in ended.said
        assert "Batch on app-01 belongs to the failover cluster, as 'Nightly work'" in ended.said
        assert "wire@dc-01" not in ended.said
        assert "names@dc-01" not in ended.said


def test_who_is_shown_no_preview_hears_all_the_same_that_a_cluster_does_not_tell(tmp_path: Path) -> None:
    def much(fleet: dict[str, Any]) -> None:
        orders = service_of(fleet, "Orders@app-01")
        fleet["hosts"][-1]["services"].append({**orders, "name": "ClusSvc", "display_name": "Cluster Service"})
        service_of(fleet, "Batch@app-01")["cluster_role"] = "more than 64 KiB " * 4096

    playbook = PLAYBOOK.replace("hosts: dc", "hosts: app")
    with site(tmp_path, playbook, {"app": ["app-01"], "dc": []}, adjust=much) as house:
        ended = house.orch("stop", "--yes", "--json", "--service", "orders")
        assert (ended.code, house.controls()) == (0, ["stop Orders@app-01"]), ended.said
        told = (
            "whether a failover cluster owns services can't be told of app-01: the cluster has more resources than are"
        )
        assert told in " ".join(ended.err.split())
        assert [fact for fact in ended.facts() if "cluster" in json.dumps(fact)] == []


def test_of_a_cluster_with_many_resources_the_values_that_count_are_read_alone(tmp_path: Path) -> None:
    def many(fleet: dict[str, Any]) -> None:
        (node,) = fleet["hosts"]
        orders = service_of(fleet, "Orders@app-01")
        others = [
            {**orders, "name": f"Z{n}", "display_name": f"Z{n}", "cluster_role": f"Z{n} " * 20} for n in range(300)
        ]
        cluster = {**orders, "name": "ClusSvc", "display_name": "Cluster Service"}
        orders["cluster_role"] = "Orders of the shop"
        node["services"] = [cluster, *others, *node["services"]]

    playbook = PLAYBOOK.replace("hosts: dc", "hosts: app")
    with site(tmp_path, playbook, {"app": ["app-01"], "dc": []}, adjust=many) as house:
        ended = house.orch("stop", "--yes", "--service", "orders")
        assert (ended.code, house.untouched()) == (2, True), ended.said
        assert "Orders on app-01 belongs to the failover cluster, as 'Orders of the shop'" in ended.said
        assert "can't be told" not in ended.said
