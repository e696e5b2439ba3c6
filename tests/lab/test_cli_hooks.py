"""Hooks and prechecks of a whole command: out of the load balancer and back, and nothing left behind when a stop fails.

The load balancer is a folder: whoever is out has a file in it. The hooks are real programs on this machine.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import PAIR, Site, site

OF_ORDERS = "hosts: app, depends_on: [sql]"
HOOK = """
    pre_stop:
      - name: out of the pool
        do: {{ command: {{ exe: {exe}, args: [-c, "{write}", "{{{{ host.name }}}}"] }} }}
        undo: {{ command: {{ exe: {exe}, args: [-c, "{remove}", "{{{{ host.name }}}}"] }} }}
        from: controller
    prechecks:
      - {{ command: {{ exe: {exe}, args: [-c, "{allowed}"] }}, from: controller, period: 100ms, deadline: 1s }}
    stop: {{ timeout: 4s }}
"""
ONE, TWO = "Orders@app-01", "Orders@app-02"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("hooks"), PAIR) as made:
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def plan(pair: Site, pool: Path) -> Path:
    """The pair, whose applications are in a pool: a folder, which has a file for each that is out."""
    at = f"import pathlib, sys; pathlib.Path(r'{pool}', *sys.argv[1:])"
    told = HOOK.format(
        exe=sys.executable,
        write=f"{at}.touch()",
        remove=f"{at}.unlink()",
        allowed=f"import pathlib, sys; sys.exit(pathlib.Path(r'{pool}', 'backup').exists())",
    )
    path = pair.folder / "of-a-test.yaml"
    orders = "\n    hosts: app\n    service: Orders\n    depends_on: [sql]" + told
    text = PAIR.replace("{ service: Orders, hosts: app, depends_on: [sql] }", orders)
    path.write_text(text + "on_failure: continue\n", encoding="utf-8")
    return path


def out(pool: Path) -> set[str]:
    return {path.name for path in pool.iterdir()}


def test_a_stop_drains_and_a_start_brings_back(pair: Site, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    playbook = plan(pair, pool)
    ended = pair.orch("stop", "--yes", plan=playbook)
    assert ended.code == 0, ended.said
    assert out(pool) == {"app-01", "app-02"}
    assert set(pair.states().values()) == {"Stopped"}
    ended = pair.orch("start", "--yes", plan=playbook)
    assert ended.code == 0, ended.said
    assert (out(pool), pair.states()) == (set(), pair.first)


def test_who_was_drained_and_never_stopped_goes_back_into_the_pool(pair: Site, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    pair.fault(ONE, "refuses")
    ended = pair.orch("stop", "--yes", plan=plan(pair, pool))
    assert ended.code == 1, ended.said
    assert (pair.states()[ONE], pair.states()[TWO]) == ("Running", "Stopped")
    assert out(pool) == {"app-02"}


def test_a_precheck_that_does_not_hold_keeps_all_from_being_touched(pair: Site, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "backup").touch()
    ended = pair.orch("stop", "--yes", plan=plan(pair, pool))
    assert ended.code == 1, ended.said
    assert (pair.controls(), out(pool)) == ([], {"backup"})
