"""What a command line chooses, what it asks before it touches anything, and what a dry run reads. Judged by the lab."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import IMPATIENT, PAIR, Site, in_terminal, service_of, site

THREE = PAIR + "  web: { service: W3SVC, hosts: web, depends_on: { orders: {} } }\n"
GROUPS = {"db": ["db-01"], "app": ["app-01", "app-02"], "web": ["web-01"]}
SQL, ONE, TWO, WEB = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02", "W3SVC@web-01"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def odd(fleet: dict[str, object]) -> None:
        service_of(fleet, WEB)["start_type"] = "Disabled"

    with site(tmp_path_factory.mktemp("three"), THREE, GROUPS, variables=IMPATIENT, adjust=odd) as made:
        yield made


@pytest.fixture
def three(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def down(three: Site, *units: str) -> None:
    for unit in units:
        three.put(unit, "Stopped")
    three.read = len(three.lab.log())


def test_a_stop_that_would_pull_from_under_what_runs_is_refused(three: Site) -> None:
    ended = three.orch("stop", "--yes", "--service", "sql")
    assert (ended.code, three.untouched()) == (2, True), ended.said
    assert "orders@app-01, orders@app-02: outside the choice and Running; they need sql" in ended.said
    assert "add --with-dependents to stop them too, or --ignore-dependents to leave them as they are" in ended.said
    assert "nothing was touched" in ended.said


def test_with_dependents_stops_them_first(three: Site) -> None:
    ended = three.orch("stop", "--yes", "--service", "sql", "--with-dependents")
    assert ended.code == 0, ended.said
    assert three.controls()[0] == f"stop {WEB}"
    assert three.controls()[-1] == f"stop {SQL}"
    assert set(three.states().values()) == {"Stopped"}


def test_ignore_dependents_leaves_them_running(three: Site) -> None:
    ended = three.orch("stop", "--yes", "--service", "sql", "--ignore-dependents")
    assert (ended.code, three.controls()) == (0, [f"stop {SQL}"]), ended.said


def test_limit_and_exclude_choose_hosts(three: Site) -> None:
    ended = three.orch("stop", "--yes", "--limit", "app:web", "--exclude", "app-02", "--ignore-dependents")
    assert ended.code == 0, ended.said
    assert sorted(three.controls()) == [f"stop {ONE}", f"stop {WEB}"]


def test_a_start_needs_what_is_outside_the_choice_to_be_ready(three: Site) -> None:
    down(three, SQL, ONE, TWO)
    ended = three.orch("start", "--yes", "--limit", "app")
    assert (ended.code, three.untouched()) == (6, True), ended.said
    assert "sql@db-01 is Stopped, and orders need it Running" in ended.said
    three.put(SQL, "Running")
    ended = three.orch("decide", "last", "retry", "--resume", "--yes")
    assert ended.code == 0, ended.said
    assert sorted(three.controls()) == [f"start {ONE}", f"start {TWO}"]


def test_a_disabled_service_is_refused_before_anything_is_touched(three: Site) -> None:
    down(three, WEB, ONE)
    ended = three.orch("start", "--yes")
    assert (ended.code, three.untouched()) == (2, True), ended.said
    assert "web@web-01: W3SVC is Disabled on web-01, so Windows would refuse the start (error 1058)" in ended.said
    assert "sc.exe config W3SVC start= demand" in ended.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--service", "sqll"], "the playbook has no service sqll; did you mean sql?"),
        (["--limit", "nowhere"], "nowhere"),
        (["--exclude", "all"], "nothing to stop"),
        (["--with-dependents", "--ignore-dependents"], "contradict each other"),
        (["--unreachable", "maybe"], "choose ask, exclude or fail"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused(three: Site, words: list[str], said: str) -> None:
    ended = three.orch("stop", "--yes", *words)
    assert (ended.code, three.log("http")) == (2, []), ended.said
    assert said in ended.said


def test_without_a_terminal_and_without_yes_nothing_is_even_read(three: Site) -> None:
    ended = three.orch("stop")
    assert (ended.code, three.log("connect")) == (2, []), ended.said
    assert "asks before it touches anything, and there is no terminal to ask in" in ended.said
    assert "add --yes" in ended.said


def test_in_a_terminal_it_shows_what_it_would_do_and_asks(three: Site) -> None:
    code, seen = in_terminal(three, "stop", answers={"Stop 4 units on 4 hosts? [y/N]": "n"})
    assert (code, three.untouched()) == (5, True), seen
    assert "nothing was touched" in seen
    assert "critical path" in seen
    assert not three.orch("runs", "--json").out.count('"run"')
    code, seen = in_terminal(three, "stop", answers={"Stop 4 units on 4 hosts? [y/N]": "y"})
    assert code == 0, seen
    assert set(three.states().values()) == {"Stopped"}


def test_one_question_for_all_hosts_that_are_unreachable(three: Site) -> None:
    for host in ("app-01", "app-02"):
        three.fault(host, "down")
    ended = three.orch("stop", "--yes")
    assert (ended.code, three.untouched()) == (2, True), ended.said
    for words in (
        f"2 hosts give no usable answer: app-01: unreachable: {three.addresses['app-01']}:5985: connection refused",
        f"app-02: unreachable: {three.addresses['app-02']}:5985: connection refused",
        "is WinRM enabled there, and the port open?",
        "without them these units are left alone: sql@db-01: orders@app-01 needs it and may be running",
        "there is no terminal to ask in",
        "--unreachable exclude goes on without them",
    ):
        assert words in ended.said
    code, seen = in_terminal(three, "stop", "--yes", answers={"Go on without them? [y/N]": "n"})
    assert (code, three.untouched()) == (5, True), seen
    assert seen.count("Go on without them?") == 1


@pytest.mark.parametrize("where", ["typed", "playbook"])
def test_unreachable_hosts_can_be_excluded(three: Site, tmp_path: Path, where: str) -> None:
    plan = tmp_path / "playbook.yaml"
    policy = "unreachable: exclude\n" if where == "playbook" else ""
    plan.write_text(policy + THREE.replace("hosts.yaml", str(three.folder / "hosts.yaml")))
    typed = ["--unreachable", "exclude"] if where == "typed" else []
    three.fault("app-02", "down")
    ended = three.orch("stop", "--yes", *typed, plan=plan)
    assert ended.code == 0, ended.said
    assert three.controls() == [f"stop {WEB}", f"stop {ONE}"]
    assert "sql@db-01: orders@app-02 needs it and may be running" in ended.said
    assert "2 left alone" in ended.said
    assert three.states()[SQL] == "Running"


def test_unreachable_fail_never_goes_on(three: Site) -> None:
    three.fault("app-02", "down")
    ended = three.orch("stop", "--yes", "--unreachable", "fail")
    assert (ended.code, three.untouched()) == (2, True), ended.said
    assert f"app-02: unreachable: {three.addresses['app-02']}:5985: connection refused" in ended.said
    assert "nothing was touched" in ended.said


def test_a_dry_run_reads_and_nothing_else(three: Site) -> None:
    down(three, TWO)
    ended = three.orch("stop", "--dry-run")
    assert (ended.code, three.untouched()) == (0, True), ended.said
    assert {line["name"].lower() for line in three.log("command")} <= {
        "get-service",
        "get-ciminstance",
        "reg.exe",
        "sc.exe",
        "get-variable",
    }
    for words in (
        "pair: stop, nothing touched yet",
        "1 web web@web-01 Running Stopped stop",
        "orders@app-02 Stopped Stopped already there",
        "critical path: web@web-01 5.0 s (guess) → orders@app-01 5.0 s (guess) → sql@db-01 5.0 s (guess)",
        "a reboot would start 3 units again (Automatic)",
        "estimated duration 15 s",
        "guessed as a quarter of the timeout",
    ):
        assert words in ended.said
    assert "orch runs" not in ended.said
    told = json.loads(three.orch("stop", "--dry-run", "--json").out)
    assert (told["action"], told["totals"]) == ("stop", {"stop": 3, "already there": 1})
    assert [[row["unit"] for row in wave] for wave in told["stages"][0]["waves"]] == [
        ["web@web-01"],
        ["orders@app-01", "orders@app-02"],
        ["sql@db-01"],
    ]
    assert three.untouched()
    assert json.loads(three.orch("runs", "--json").out)["runs"] == []


def test_a_dry_run_of_a_start_says_what_it_could_not_verify(three: Site) -> None:
    down(three, SQL, ONE, TWO)
    three.fault("app-02", "down")
    ended = three.orch("start", "--dry-run", "--exclude", "web-01")
    assert (ended.code, three.untouched()) == (1, True), ended.said
    for words in (
        "sql sql@db-01 Stopped Running start",
        f"app-02 gave no usable answer: {three.addresses['app-02']}:5985: connection refused",
        "left alone, on hosts without an answer: 1 unit: orders (1)",
        "gates are not probed in a dry run; `orch check` probes each once",
    ):
        assert words in ended.said


def test_json_is_one_fact_a_line(three: Site) -> None:
    ended = three.orch("stop", "--yes", "--json", "--service", "web")
    facts = ended.facts()
    assert (ended.code, ended.err) == (0, "")
    assert (facts[0]["kind"], facts[-1]["kind"]) == ("run_began", "run_ended")
    assert [fact["number"] for fact in facts] == list(range(1, len(facts) + 1))
    assert (facts[-1]["verdict"], facts[-1]["exit_code"]) == ("done", 0)
    (asked,) = [fact for fact in facts if fact["kind"] == "step_intended" and fact["step"]["phase"] == "stop"]
    assert asked["step"]["unit"] == "web@web-01"
