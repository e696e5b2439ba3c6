"""A service that goes in batches, against the lab: a canary, a person's word, then the rest; and back without them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import Site, in_terminal, site

SHOP = """
name: shop
inventory: hosts.yaml
defaults: { timeout: 20s }
poll: 200ms
max_parallel_per_zone: 2
services:
  sql: { service: MSSQLSERVER, hosts: db }
  orders: { service: Orders, hosts: app, depends_on: sql, batch: [1, 50%], pause: decision }
"""
GROUPS = {"db": ["db-01"], "app": ["app-01", "app-02", "app-03", "app-04"]}
APPS = [f"Orders@{host}" for host in GROUPS["app"]]
ASKED, WHY, SURE = "show it again]:", "(may be empty):", "Roll back? [y/N]"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("batches"), SHOP, GROUPS) as made:
        yield made


@pytest.fixture
def shop(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def test_a_canary_then_a_person_then_the_rest(shop: Site) -> None:
    shown = shop.orch("stop", "--dry-run")
    assert "orders: 3 batches (1, 2, 1); before each next one somebody is asked" in " ".join(shown.out.split())
    parked = shop.orch("stop", "--yes")
    assert parked.code == 6, parked.said
    assert shop.controls() == [f"stop {APPS[0]}"], "nobody else is touched before somebody has looked"
    assert "batch 2 of 3 of orders is next: 2 of its instances" in " ".join(parked.said.split())
    again = shop.orch("decide", "last", "continue", "--yes", "--resume")
    assert again.code == 6, again.said
    assert sorted(shop.controls()) == [f"stop {unit}" for unit in APPS[:3]]
    done = shop.orch("decide", "last", "continue", "--yes", "--resume")
    assert done.code == 0, done.said
    assert set(shop.states().values()) == {"Stopped"}
    facts = json.loads(shop.orch("show", "last", "--json").out)
    assert [one["answer"]["choice"] for one in facts["decisions"]] == ["continue", "continue"]


def test_from_a_pause_all_that_is_down_comes_back_at_once(shop: Site) -> None:
    code, seen = in_terminal(shop, "stop", "--yes", answers={ASKED: "r", WHY: "the canary looks bad", SURE: "y"})
    assert code == 3, seen
    assert "puts 1 unit back to the state before the run" in " ".join(seen.split())
    assert shop.controls() == [f"stop {APPS[0]}", f"start {APPS[0]}"]
    assert set(shop.states().values()) == {"Running"}
