"""Stop, start and restart of a small shop over WinRM: who moved when, by the lab's own log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_lab import Edge, Site, judge, service_of, site

SHOP = """
name: shop
inventory: hosts.yaml
defaults: { timeout: 20s, gate: { period: 100ms, deadline: 5s } }
poll: 200ms
services:
  directory: { external: true, ready: [ { tcp: { host: dc-01, port: 3268 } } ] }
  sql: { service: MSSQLSERVER, hosts: db, depends_on: [directory], ready: [ { tcp: 1433 } ] }
  broker:
    service: RabbitMQ
    hosts: broker
    depends_on: [sql]
    max_parallel: 1
    order: inventory
    ready: [ { http: { url: "http://{{ host.address }}:8080/health" } } ]
  orders:
    service: Orders.*
    hosts: app
    depends_on: { sql: {}, broker: { need: 1 } }
    ready: [ { tcp: 8090 } ]
    stopped: [ { port_closed: 8090 } ]
  billing: { service: Billing, hosts: app, depends_on: { orders: { same_host: true } } }
  web: { service: W3SVC, hosts: web, depends_on: { orders: {}, billing: { soft: true } } }
"""
GROUPS = {
    "dc": ["dc-01"],
    "db": ["db-01"],
    "broker": ["broker-01", "broker-02"],
    "app": ["app-01", "app-02"],
    "web": ["web-01"],
}
EDGES = [
    Edge("RabbitMQ", "MSSQLSERVER"),
    *(Edge(f"Orders.{kind}", "MSSQLSERVER") for kind in ("Api", "Worker")),
    *(Edge(f"Orders.{kind}", "RabbitMQ", need=1) for kind in ("Api", "Worker")),
    *(Edge("Billing", f"Orders.{kind}", same_host=True) for kind in ("Api", "Worker")),
    *(Edge("W3SVC", f"Orders.{kind}") for kind in ("Api", "Worker")),
    Edge("W3SVC", "Billing"),
]
SLOW_S = 1.2


def slow_ends(fleet: dict[str, Any]) -> None:
    """The second broker and one Orders are slow to start: who does not need them must not wait."""
    service_of(fleet, "RabbitMQ@broker-02")["start_s"] = SLOW_S
    service_of(fleet, "Orders.Api@app-02")["start_s"] = SLOW_S


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("shop"), SHOP, GROUPS, adjust=slow_ends) as made:
        yield made


@pytest.fixture
def shop(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def planned(shop: Site) -> list[str]:
    return sorted(unit for unit in shop.first if not unit.startswith("LabPort"))


def first(shop: Site, unit: str, state: str) -> float:
    return next(at for moved, to, at in shop.moves() if (moved, to) == (unit, state))


def test_stop_and_start_in_order_and_a_second_time_nothing(shop: Site) -> None:
    stopped = shop.orch("stop", "--yes")
    assert stopped.code == 0, stopped.said
    now = judge(shop, EDGES, shop.first)
    assert {now[unit] for unit in planned(shop)} == {"Stopped"}
    assert sorted(shop.controls()) == [f"stop {unit}" for unit in planned(shop)]
    assert first(shop, "RabbitMQ@broker-02", "Stopped") <= first(shop, "RabbitMQ@broker-01", "StopPending")
    assert "✓ 10 ok" in stopped.out

    shop.read = len(shop.lab.log())
    again = shop.orch("stop", "--yes")
    assert again.code == 0, again.said
    assert shop.untouched()
    assert "✓ 10 ok (10 needed no act)" in again.out
    assert {line["arguments"][0] for line in shop.log("command") if line["name"].lower() == "netstat.exe"}

    shop.read = len(shop.lab.log())
    started = shop.orch("start", "--yes")
    assert started.code == 0, started.said
    assert judge(shop, EDGES, now) == shop.first
    assert sorted(shop.controls()) == [f"start {unit}" for unit in planned(shop)]
    one, two = "RabbitMQ@broker-01", "RabbitMQ@broker-02"
    assert first(shop, one, "Running") + 0.15 <= first(shop, two, "StartPending"), "max_parallel: 1, in order"
    assert first(shop, "Orders.Api@app-01", "StartPending") < first(shop, two, "Running"), "need: 1"
    assert first(shop, "Billing@app-01", "StartPending") < first(shop, "Orders.Api@app-02", "Running"), "same_host"
    assert first(shop, "Billing@app-02", "Running") <= first(shop, "W3SVC@web-01", "StartPending"), "soft"

    shop.read = len(shop.lab.log())
    again = shop.orch("start", "--yes")
    assert (again.code, shop.untouched()) == (0, True), again.said
    assert {line["port"] for line in shop.log("probe")} == {1433, 3268, 8080, 8090}


def test_restart_stops_and_starts_what_was_running_under_one_id(shop: Site) -> None:
    shop.put("Billing@app-02", "Stopped")
    shop.put("Orders.Worker@app-01", "Stopped")
    shop.read = len(shop.lab.log())
    before = shop.states()
    ended = shop.orch("restart", "--yes", "--json")
    assert ended.code == 0, ended.said
    ran = {unit: state for unit, state in before.items() if state == "Running"}
    assert judge(shop, EDGES, ran) == ran
    ran = {unit: state for unit, state in ran.items() if unit in planned(shop)}
    assert sorted(shop.controls()) == sorted(f"{verb} {unit}" for verb in ("stop", "start") for unit in ran)
    stops = [at for unit, to, at in shop.moves() if to == "Stopped"]
    starts = [at for unit, to, at in shop.moves() if to == "StartPending"]
    assert max(stops) < min(starts)
    facts = ended.facts()
    assert (facts[0]["kind"], facts[-1]["kind"]) == ("run_began", "run_ended")
    (run,) = json.loads(shop.orch("runs", "--json").out)["runs"]
    assert (run["run"], run["action"], run["verdict"]) == (facts[0]["run"], "restart", "done")
