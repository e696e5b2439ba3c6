"""Looking without touching: status, check, validate, inventory. Judged by the lab's log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_lab import PAIR, Site, service_of, site

SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"
READERS = "D:(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;BA)(A;;CCLCSWLOCRRC;;;SU)"
"""Whoever signs in may look, and nobody may start or stop."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def odd(fleet: dict[str, Any]) -> None:
        service_of(fleet, ONE)["sddl"] = READERS
        next(host for host in fleet["hosts"] if host["name"] == "app-02")["clock_skew_s"] = -900.0

    with site(tmp_path_factory.mktemp("pair"), PAIR, adjust=odd) as made:
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def test_status_answers_by_exit_code(pair: Site) -> None:
    running = pair.orch("status", "--expect", "running")
    assert running.code == 0, running.said
    assert "3 units: 3 Running" in running.said
    pair.put(TWO, "Stopped")
    pair.read = len(pair.lab.log())
    mixed = pair.orch("status", "--expect", "stopped")
    assert mixed.code == 1, mixed.said
    assert mixed.out.count("expected Stopped") == 2
    assert pair.orch("status", "--expect", "stopped", "--limit", "app-02").code == 0
    wrong = pair.orch("status", "--expect", "gone")
    assert (wrong.code, pair.untouched()) == (2, True), wrong.said
    assert "choose running or stopped" in wrong.said


def test_status_of_a_host_that_is_away_is_unknown(pair: Site) -> None:
    pair.fault("app-02", "down")
    ended = pair.orch("status", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["counts"]) == (1, {"Running": 2, "unknown": 1})
    (row,) = [row for row in told["rows"] if row["unit"] == "orders@app-02"]
    assert row["state"] is None
    assert f"{pair.addresses['app-02']}:5985: connection refused" in row["problem"]
    assert "is WinRM enabled there" in row["problem"]
    seen = pair.orch("status")
    assert seen.code == 1, seen.said
    assert "orders@app-02 unknown no usable answer (see below)" in seen.said
    assert seen.said.count("connection refused") == seen.said.count("! app-02 gave no usable answer") == 1


def test_check_names_what_would_hurt_the_night_and_changes_nothing(pair: Site) -> None:
    pair.fault(SQL, "never-healthy")
    ended = pair.orch("check")
    assert (ended.code, pair.untouched()) == (1, True), ended.said
    for words in (
        "app-02 NO psrp app-02 5.1.17763.5830 -900 s its clock is 900 s behind: Kerberos will refuse it",
        "orders@app-01 NO Running Automatic NO NO this account may not start and stop it",
        "orders@app-02 ok Running Automatic ok ok",
        "from controller no connection refused",
        "3 problems to solve before the night",
    ):
        assert words in ended.said
    told = json.loads(pair.orch("check", "--json", "--limit", "db").out)
    assert (told["problems"], [row["unit"] for row in told["units"]]) == (1, ["sql@db-01"])


def test_check_finds_what_is_away_missing_or_not_let_in(pair: Site) -> None:
    pair.fault("app-01", "rejects-credentials")
    pair.fault(TWO, "missing")
    pair.put(SQL, "Stopped")
    ended = pair.orch("check")
    assert ended.code == 1, ended.said
    assert "app-01 NO auth: the host refused admin (ntlm)" in ended.said
    assert "check ansible_user, ansible_password" in ended.said
    assert "orders@app-02 NO" in ended.said
    assert "sql@db-01 ok Stopped" in ended.said
    assert "not yet connection refused" in ended.said
    assert [line["host"] for line in pair.log("auth") if not line["ok"]] == ["app-01"]


def test_check_is_ready_for_the_night(pair: Site) -> None:
    ended = pair.orch("check", "--limit", "db")
    assert (ended.code, pair.untouched()) == (0, True), ended.said
    assert "ready for the night" in ended.said


def test_validate_tells_every_mistake_at_its_place_and_asks_nobody(pair: Site, tmp_path: Path) -> None:
    fine = pair.orch("validate")
    assert fine.code == 0, fine.said
    assert "valid; services 2, instances 3, hosts 3; no host was asked" in fine.said
    plan = tmp_path / "bad.yaml"
    plan.write_text(
        PAIR.replace("hosts.yaml", str(pair.folder / "hosts.yaml"))
        .replace("depends_on: [sql]", "depend_on: [sql]")
        .replace("timeout: 20s", "timeout: 20 parsecs")
        .replace("hosts: db", "hosts: nowhere")
    )
    for words in (["validate"], ["stop", "--yes"]):
        ended = pair.orch(*words, plan=plan)
        assert (ended.code, ended.out) == (2, ""), ended.said
        assert f"{plan}:4:" in ended.err
        assert f"{plan}:7:" in ended.err
        assert f"{plan}:8:" in ended.err
        assert "did you mean 'depends_on'" in ended.said or "depends_on" in ended.said
        assert "3 mistakes; nothing was touched" in ended.said
    assert pair.log("connect") == []


def test_a_file_that_is_not_there_is_a_sentence(pair: Site, tmp_path: Path) -> None:
    ended = pair.orch("stop", "--yes", plan=tmp_path / "nowhere.yaml")
    assert (ended.code, ended.out) == (2, ""), ended.said
    assert "nowhere.yaml" in ended.err
    assert "Traceback" not in ended.err


def test_inventory_shows_how_each_host_would_be_reached(pair: Site) -> None:
    ended = pair.orch("inventory", "app", "--plan", str(pair.plan))
    assert ended.code == 0, ended.said
    assert f"app-01 app psrp http {pair.addresses['app-01']}:5985 powershell ntlm admin {{file:" in ended.said
    assert "encrypted messages" in ended.said
    assert "db-01" not in ended.out
    told = json.loads(pair.orch("inventory", "--plan", str(pair.plan), "--json").out)
    assert [row["host"] for row in told["hosts"]] == ["db-01", "app-01", "app-02"]
    assert pair.log("connect") == []
