"""Nights that go badly: what a run does, says and leaves when services, hosts and lines fail. Judged by the lab."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import IMPATIENT, PAIR, PASSWORD, Edge, Site, finish, judge, site, until_said

LEFT = PAIR + "on_failure: continue\n"
"""Nobody is asked: what failed and what waits for it is left, and the rest goes on."""
HASTY = LEFT.replace("timeout: 20s", "timeout: 5s").replace("deadline: 5s", "deadline: 1s")
"""Less patience, for what is meant to hang; what is not meant to does it well within that on a busy machine."""
NEEDS = [Edge("Orders", "MSSQLSERVER")]
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("pair"), LEFT, variables=IMPATIENT) as made:
        hasty(made).write_text(HASTY, encoding="utf-8")
        yield made


def hasty(pair: Site) -> Path:
    """The same playbook with less patience."""
    return pair.folder / "hasty.yaml"


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def stopped(pair: Site) -> None:
    for unit in (SQL, ONE, TWO):
        pair.put(unit, "Stopped")
    pair.read = len(pair.lab.log())


def test_a_start_that_fails_leaves_its_dependents_untouched(pair: Site) -> None:
    stopped(pair)
    pair.fault(SQL, "fails-to-start", 1067)
    ended = pair.orch("start", "--yes")
    assert ended.code == 1, ended.said
    assert pair.controls() == [f"start {SQL}"]
    assert pair.states() == {SQL: "Stopped", ONE: "Stopped", TWO: "Stopped"}
    for words in (
        "FAILED start pair",
        "✗ 1 failed · – 2 untouched",
        "orders@app-01 and 1 more untouched Stopped needs sql@db-01, which failed",
        "next: orch show ",
        "or: orch start --yes --plan",
    ):
        assert words in ended.said, ended.said
    # Windows tells of a failed start in two places, the exit code and the cmdlet: who is first, speaks.
    told = r"sql@db-01 is Stopped(, the start was refused| again after the start): the service's process ended unexpe"
    assert re.search(told + r"ctedly \(error 1067\)", ended.said), ended.said
    shown = pair.orch("show", "last")
    assert shown.code == 0
    assert "1067" in shown.said


def test_a_stop_that_hangs_is_told_with_what_it_was_doing_and_what_is_below_stays_up(pair: Site) -> None:
    pair.fault(ONE, "hangs-on-stop")
    ended = pair.orch("stop", "--yes", plan=hasty(pair))
    assert ended.code == 1, ended.said
    assert sorted(pair.controls()) == [f"stop {ONE}", f"stop {TWO}"]
    assert pair.states() == {SQL: "Running", ONE: "StopPending", TWO: "Stopped"}
    assert "orders@app-01 StopPending, stalled at checkpoint 0 for " in ended.said
    assert ended.out.count("stalled at checkpoint 0") == 2, "told once as it happens, and once in the end"
    assert "(deadline 5 s passed; the stop was not undone and may still finish)" in ended.said
    assert "sql@db-01 untouched Running" in ended.said


def test_a_restart_that_fails_on_its_way_down_starts_nothing_and_says_how_to_come_back(pair: Site) -> None:
    asking = pair.folder / "asking.yaml"
    asking.write_text(HASTY.replace("on_failure: continue", "on_failure: ask"), encoding="utf-8")
    pair.fault(ONE, "hangs-on-stop")
    parked = pair.orch("restart", "--yes", "--with-dependents", plan=asking)
    assert parked.code == 6, parked.said
    ended = pair.orch("decide", "last", "abort", "--yes", "--resume")
    assert ended.code == 1, ended.said
    assert sorted(pair.controls()) == [f"stop {ONE}", f"stop {TWO}"]
    assert "✗ orders@app-01 failed (stop) StopPending" in ended.said
    assert "– orders@app-02 untouched (start) Stopped" in ended.said  # noqa: RUF001 - the mark
    assert "or: orch start --yes --plan" in ended.said
    assert "it would leave down what this one stopped" in ended.said
    pair.lab.order(op="clear")
    pair.until(ONE, "Stopped")
    assert pair.orch("start", "--yes").code == 0
    assert pair.states() == pair.first


def test_a_crash_while_its_gate_is_awaited_fails_the_unit(pair: Site) -> None:
    stopped(pair)
    pair.fault(SQL, "never-healthy")
    pair.fault(SQL, "crashes-after", 3.0)
    ended = pair.orch("start", "--yes")
    assert ended.code == 1, ended.said
    assert pair.controls() == [f"start {SQL}"]
    assert "sql@db-01: the gate did not hold (deadline 5 s passed); tcp" in ended.said
    assert "sql@db-01 strayed left Running, found Stopped" in ended.said


def test_a_gate_that_never_holds_keeps_dependents_down(pair: Site) -> None:
    stopped(pair)
    pair.fault(SQL, "never-healthy")
    ended = pair.orch("start", "--yes", plan=hasty(pair))
    assert ended.code == 1, ended.said
    assert pair.controls() == [f"start {SQL}"]
    assert pair.states() == {SQL: "Running", ONE: "Stopped", TWO: "Stopped"}
    assert "connection refused" in ended.said.lower()
    assert "orders@app-01 and 1 more untouched" in ended.said


def test_access_denied_is_said_as_the_host_said_it(pair: Site) -> None:
    pair.fault(TWO, "refuses")
    ended = pair.orch("stop", "--yes")
    assert ended.code == 1, ended.said
    assert pair.states() == {SQL: "Running", ONE: "Stopped", TWO: "Running"}
    assert pair.controls().count(f"stop {TWO}") == 1
    assert "orders@app-02 is Running, the stop was refused: " in ended.said
    assert "Cannot open Orders service on computer" in ended.said
    assert "`orch check` shows whether the account may" in ended.said


def test_a_missing_service_is_refused_before_anything_is_touched(pair: Site) -> None:
    pair.fault(ONE, "missing")
    ended = pair.orch("stop", "--yes")
    assert (ended.code, pair.untouched()) == (2, True), ended.said
    assert "orders@app-01: there is no service Orders on app-01" in ended.said
    assert "nothing was touched" in ended.said
    assert "--exclude app-01" in ended.said


def test_wrong_credentials_are_sent_to_two_hosts_and_no_more(pair: Site, tmp_path: Path) -> None:
    for host in ("db-01", "app-01", "app-02"):
        pair.fault(host, "rejects-credentials")
    before = len(pair.log("auth"))
    ended = pair.orch("stop", "--yes")
    assert (ended.code, pair.untouched()) == (2, True), ended.said
    one, other = sorted(line["host"] for line in pair.log("auth")[before:])
    assert "3 hosts give no usable answer" in ended.said
    assert "auth: the host refused admin (ntlm)" in ended.said
    assert f"admin was rejected by {one} and {other}; it was not tried here" in ended.said
    assert ended.err.count("check ansible_user, ansible_password and ansible_psrp_auth") == 1
    assert "that is all that was chosen: there is nothing to stop; nothing was touched" in ended.said
    assert PASSWORD not in ended.said


def test_credentials_that_stop_working_in_mid_run_are_not_tried_again(pair: Site) -> None:
    pair.fault(ONE, "hangs-on-stop")
    process = pair.begin("stop", "--yes", plan=hasty(pair))
    until_said(process, "orders@app-01  stop begins")
    pair.until(ONE, "StopPending")
    for host in ("app-01", "app-02", "db-01"):
        pair.fault(host, "rejects-credentials")
        pair.fault(host, "drops", {"when": "before", "count": 1})
    ended = finish(process)
    assert ended.code == 1, ended.said
    tried = [line["host"] for line in pair.log("auth") if not line["ok"]]
    assert sorted(set(tried)) == sorted(tried)
    assert pair.controls().count(f"stop {ONE}") == 1
    assert pair.states()[SQL] == "Running"


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_connection_cut_around_a_stop_never_makes_it_a_second_stop(pair: Site, when: str) -> None:
    pair.fault("app-01", "drops", {"when": when, "verb": "Stop-Service", "count": 1})
    ended = pair.orch("stop", "--yes")
    asked = pair.controls().count(f"stop {ONE}")
    assert asked <= 1
    judge(pair, NEEDS, pair.first)
    if pair.states()[ONE] == "Stopped":
        assert (ended.code, pair.states()[SQL]) == (0, "Stopped"), ended.said
    else:
        assert (ended.code, pair.states()[SQL]) == (1, "Running"), ended.said
        assert "orders@app-01 " in ended.said


def test_a_host_that_falls_silent_in_mid_run_is_unknown_and_blocks(pair: Site) -> None:
    pair.fault(ONE, "hangs-on-stop")
    process = pair.begin("stop", "--yes", plan=hasty(pair))
    until_said(process, "orders@app-01  stop begins")
    pair.until(ONE, "StopPending")
    pair.fault("app-01", "silent")
    until_said(process, "stop UNKNOWN: state not read, perhaps acted")
    pair.lab.order(op="clear", host="app-01")
    ended = finish(process)
    assert ended.code == 1, ended.said
    assert pair.controls().count(f"stop {ONE}") == 1
    assert pair.states()[SQL] == "Running"
    assert "? 1 unknown" in ended.said
    assert "orders@app-01 strayed left unknown, found Stop" in ended.said
    assert "orders@app-01: its state can't be read (no answer within 6 s)" in ended.said
    assert "last seen " in ended.said
    assert "the stop was taken by the host: read the state before asking again" in ended.said


@pytest.mark.parametrize("what", ["text", "clixml"])
def test_garbage_is_no_answer(pair: Site, what: str) -> None:
    pair.fault("app-01", "garbage", what)
    ended = pair.orch("stop", "--yes", "--unreachable", "fail")
    assert (ended.code, pair.untouched()) == (2, True), ended.said
    assert "app-01: protocol: the answer can't be read" in ended.said


def test_one_garbled_answer_is_read_again(pair: Site) -> None:
    pair.fault("app-01", "garbage", {"what": "text", "count": 1, "verb": "Get-Service"})
    ended = pair.orch("stop", "--yes")
    assert ended.code == 0, ended.said
    assert sorted(pair.controls()) == [f"stop {SQL}", f"stop {ONE}", f"stop {TWO}"]


def test_a_service_that_a_hand_starts_again_is_named(pair: Site) -> None:
    pair.fault(SQL, "hangs-on-stop")
    process = pair.begin("stop", "--yes")
    pair.until(SQL, "StopPending")
    pair.put(TWO, "Running")
    pair.lab.order(op="clear", host="db-01", service="MSSQLSERVER")
    ended = finish(process)
    assert ended.code == 1, ended.said
    assert "! 1 strayed" in ended.said
    assert "orders@app-02 strayed left Stopped, found Running" in ended.said
    assert pair.controls().count(f"stop {TWO}") == 1
