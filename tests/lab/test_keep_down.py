"""Keeping services down over both wires, on hosts that speak German: what was read is what is there after."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_lab import Site, in_terminal, service_of, site

from orchestrator import wiring
from orchestrator.domain.keep_down import service_key
from orchestrator.engine.jobs.world import World
from orchestrator.engine.work.keep_down import keeper

PLAYBOOK = """
name: pair
inventory: hosts.yaml
defaults: { timeout: 60s }
poll: 200ms
services:
  sql: { service: MSSQLSERVER, hosts: db, keep_down: true }
  orders: { service: "Bestellungen täglich", hosts: app, depends_on: [sql], keep_down: true }
"""
NAMES = {"db-01": "MSSQLSERVER", "app-01": "Bestellungen täglich"}


def _adjust(fleet: dict[str, Any]) -> None:
    for host in fleet["hosts"]:
        host["language"] = "de"
    service_of(fleet, "MSSQLSERVER@db-01").update(
        start_type="AutomaticDelayed",
        recovery={
            "reset_s": 86400,
            "actions": [{"do": "restart", "after_s": 60}, {"do": "run", "after_s": 1}, {"do": ""}],
            "command": "C:\\Werkzeuge\\Alarm.exe größer",
            "reboot_message": "Neustart",
            "flag": True,
        },
        triggers=["start/networkon", "start/portopen/1433;TCP;x;y"],
    )
    service_of(fleet, "Bestellungen täglich@app-01").update(
        start_type="Automatic", recovery={"reset_s": 0, "actions": [{"do": "reboot", "after_s": 5}]}
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, groups = tmp_path_factory.mktemp("kept"), {"db": ["db-01"], "app": ["app-01"]}
    trusted = f"-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={folder / 'lab' / 'known_hosts'}"
    ssh = {"ansible_connection": "ssh", "ansible_port": 2022, "ansible_ssh_common_args": trusted, "orch_control": "sc"}
    with site(folder, PLAYBOOK, groups, own={"app-01": ssh}, adjust=_adjust) as made:
        yield made


@pytest.fixture
def fresh(pair: Site, tmp_path: Path) -> Site:
    pair.reset(tmp_path / "state")
    return pair


async def _on_hosts(site: Site) -> dict[str, list[str]]:
    """What `reg.exe` prints of each service, whole, as the hosts have it now: values have no order."""

    async def look(world: World, host: str) -> list[str]:
        said = await world.hosts.command(host).run("reg.exe", ["query", service_key(NAMES[host]), "/s"], timeout_s=20)
        assert said.exit_code == 0
        return sorted(said.output.splitlines())

    project = wiring.load(site.plan, None, answers={})
    async with wiring.world(project, NAMES) as world:
        return {host: await look(world, host) for host in NAMES}


async def _keep(site: Site) -> None:
    """What a controller that is gone has left."""
    project = wiring.load(site.plan, None, answers={})
    async with wiring.world(project, NAMES) as world:
        for host, name in NAMES.items():
            kept = await keeper(host, world.hosts, tried_s=20.0).keep(name, run="r0", at=1_795_000_000.0)
            assert kept.wrong == ()


def _start_types(site: Site) -> dict[str, str]:
    hosts = site.lab.order(op="ps")["hosts"]
    return {host["host"]: service["start_type"] for host in hosts for service in host["services"]}


def _kept(site: Site) -> Mapping[str, Any]:
    ended = site.orch("kept-down", "--inventory", str(site.folder / "hosts.yaml"), "--json")
    assert ended.code == 0, ended.said
    found: dict[str, Any] = json.loads(ended.out)
    return found


def test_what_a_lost_controller_kept_down_is_found_and_put_back_to_the_byte(fresh: Site) -> None:
    before = asyncio.run(_on_hosts(fresh))
    asyncio.run(_keep(fresh))
    assert _start_types(fresh) == {"db-01": "Disabled", "app-01": "Disabled"}
    found = _kept(fresh)
    assert [(one["host"], one["service"], one["run"], one["changed"]) for one in found["kept_down"]] == [
        (host, name, "r0", []) for host, name in sorted(NAMES.items(), reverse=True)
    ]
    words = {one["host"]: one["kept"] for one in found["kept_down"]}
    assert words["db-01"].startswith("Automatic (delayed); on failure: restart it after 1 min 00 s, then run C:\\")
    assert words["app-01"] == "Automatic; on failure: reboot the host after 5.0 s"
    inventory = str(fresh.folder / "hosts.yaml")
    fresh.lab.order(op="fault", host="db-01", kind="no-registry")
    half = fresh.orch("kept-down", "--inventory", inventory, "--json")
    assert half.code == 1, half.said
    assert "db-01" in half.said, "a record that may not be read is not taken for none"
    assert "FEHLER: Zugriff verweigert" in half.said
    fresh.lab.order(op="clear", host="db-01")
    released = fresh.orch("release", "--host", "all", "--inventory", inventory, "--yes", "--json")
    assert released.code == 0, released.said
    assert [one["ok"] for one in json.loads(released.out)["released"]] == [True, True]
    assert asyncio.run(_on_hosts(fresh)) == before
    assert _start_types(fresh) == {"db-01": "AutomaticDelayed", "app-01": "Automatic"}


def test_a_stop_keeps_down_what_a_trigger_would_start_and_the_way_back_up_releases_it(fresh: Site) -> None:
    before = asyncio.run(_on_hosts(fresh))
    fresh.fault("MSSQLSERVER@db-01", "triggered", 0.1)
    stopped = fresh.orch("stop", "--yes")
    assert stopped.code == 0, stopped.said
    assert set(fresh.states().values()) == {"Stopped"}
    assert set(_start_types(fresh).values()) == {"Disabled"}
    refused = fresh.orch("release", "last")
    assert (refused.code, "--yes" in refused.said) == (2, True)
    code, seen = in_terminal(fresh, "release", "last", answers={"Put back what 2 services on 2 hosts had? [y/N]": "n"})
    assert (code, "nothing was touched" in seen) == (5, True), seen
    assert set(_start_types(fresh).values()) == {"Disabled"}
    started = fresh.orch("start", "--from", "last", "--yes")
    assert started.code == 0, started.said
    assert set(fresh.states().values()) == {"Running"}
    assert asyncio.run(_on_hosts(fresh)) == before
    nothing = fresh.orch("release", "last", "--yes")
    assert (nothing.code, "no service is kept down" in nothing.said) == (0, True)
