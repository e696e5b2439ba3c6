"""orch with `orch_control: sc`, through OpenSSH, on a service control manager that nobody here wrote: Wine's.

Services are real processes, with states, checkpoints, PIDs and error numbers that the service control manager gives.
What sc.exe prints around them is ours: see docs/lab.md.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wine_hosts import LIMIT_S, Fleet, Host, Moment, fleet, template, until

pytestmark = [pytest.mark.needs(program) for program in ("wine", "mingw", "sshd")]
DEMAND, DISABLED = 3, 4


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The lines of `--json`."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def said(self) -> str:
        """Both streams, on one line."""
        return " ".join((self.out + " " + self.err).split())

    def results(self, phase: str) -> dict[str, dict[str, Any]]:
        """The last result of each unit in that phase."""
        ended = [fact["result"] for fact in self.facts if fact["kind"] == "step_ended"]
        return {one["step"]["unit"]: one for one in ended if one["step"]["phase"] == phase}


@dataclass(frozen=True)
class Place:
    """A fleet, and a folder with a playbook for it."""

    folder: Path
    fleet: Fleet

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Type a command, and leave it running."""
        of_plan = [] if words[0] in ("decide", "resume") else ["--plan", str(self.folder / "playbook.yaml")]
        mine = {"ORCH_STATE_DIR": str(self.folder / "state"), "COLUMNS": "", "HOME": str(self.folder)}
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *words, *of_plan],
            env={**os.environ, **mine},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def orch(self, *words: str, meanwhile: Callable[[], object] = lambda: None) -> Ended:
        """Type a command; *meanwhile* happens while it runs."""
        process = self.begin(*words)
        try:
            meanwhile()
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
            process.wait()
        return Ended(process.returncode, out, err)


Hosts = Mapping[str, Mapping[str, Mapping[str, int]]]
Make = Callable[[str, Hosts], contextlib.AbstractContextManager[Place]]


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix that all hosts are made from: one for all processes that run tests side by side."""
    base = tmp_path_factory.getbasetemp()
    return template((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wine")


@pytest.fixture
def make(prefix: Path, tmp_path: Path) -> Make:
    @contextlib.contextmanager
    def made(playbook: str, hosts: Hosts) -> Iterator[Place]:
        with fleet(tmp_path / "hosts", prefix, hosts) as running:
            (tmp_path / "playbook.yaml").write_text(playbook)
            (tmp_path / "hosts.yaml").write_text(running.inventory())
            yield Place(tmp_path, running)

    return made


PATIENT = """
name: patient
inventory: hosts.yaml
poll: 1s
services:
  orders:
    service: Orders
    hosts: app-01
    stop: { timeout: 15s, max_timeout: 5m }
"""


def test_a_service_comes_up_and_down_by_its_checkpoints(make: Make) -> None:
    with make(PATIENT, {"app-01": {"Orders": {"start": DEMAND, "hold": 1}}}) as place:
        host = place.fleet["app-01"]

        def let_go_of(state: str, after_s: float) -> Callable[[], None]:
            def wait() -> None:
                until(lambda: host.last("Orders") == state, f"Orders is {state}")
                since = host.history()[-1].at
                until(lambda: time.time() > since + after_s, f"it is so for {after_s:g} s")
                assert checkpoint(host) > after_s
                host.tell("Orders")

            return wait

        started = place.orch("start", "--yes", "--json", meanwhile=let_go_of("StartPending", 2))
        assert started.code == 0, started
        (result,) = started.results("start").values()
        assert (result["acted"], result["before"], result["after"]) == ("yes", "Stopped", "Running")
        (pid,) = host.pids()
        assert result["evidence"]["pid_after"] == str(pid)

        host.tell("Orders", hold=1)
        stopped = place.orch("stop", "--yes", "--json", meanwhile=let_go_of("StopPending", 17))
        assert stopped.code == 0, stopped
        (result,) = stopped.results("stop").values()
        assert (result["acted"], result["after"]) == ("yes", "Stopped")
        assert result["took_s"] > 15
        assert not host.pids()
        assert host.states() == {"Orders": "STOPPED"}
        assert [moment.state for moment in host.history()] == ["StartPending", "Running", "StopPending", "Stopped"]


def checkpoint(host: Host) -> int:
    """The checkpoint that the service control manager has of Orders."""
    return int(host.run("sc.exe", "query", "Orders").partition("CHECKPOINT")[2].split()[1], 16)


REFUSALS = """
name: refusals
inventory: hosts.yaml
poll: 1s
on_failure: continue
services:
  slow: { service: Slow, hosts: app-01 }
  late: { service: Late, hosts: app-01, depends_on: slow }
  code: { service: Code, hosts: app-01 }
  own: { service: Own, hosts: app-01 }
  dies: { service: Dies, hosts: app-01 }
"""


def test_what_the_service_control_manager_refuses_is_told_by_its_number(make: Make) -> None:
    services = {
        "Slow": {"start": DEMAND, "hold": 1},
        "Late": {"start": DEMAND},
        "Code": {"start": DEMAND, "start_ms": 500, "fail": 1069},
        "Own": {"start": DEMAND, "start_ms": 500, "fail_specific": 42},
        "Dies": {"start": DEMAND, "start_ms": 60_000, "crash_ms": 1500},
    }
    with make(REFUSALS, {"app-01": services}) as place:
        host = place.fleet["app-01"]

        def forbid() -> None:
            until(lambda: host.last("Slow") == "StartPending", "Slow is about to start")
            assert "SUCCESS" in host.run("sc.exe", "config", "Late", "start=", "disabled")
            host.tell("Slow")

        ended = place.orch("start", "--yes", "--json", meanwhile=forbid)
        assert ended.code == 1, ended
        results = ended.results("start")
        codes = {unit: (result["problem"] or {}).get("code") for unit, result in results.items()}
        assert codes == {
            "slow@app-01": None, "late@app-01": 1058, "code@app-01": 1069, "own@app-01": 1066, "dies@app-01": 1067,
        }  # fmt: skip
        assert "42" in results["own@app-01"]["said"]
        assert results["late@app-01"]["acted"] == "no"
        assert host.states() == {"Slow": "RUNNING", **dict.fromkeys(("Late", "Code", "Own", "Dies"), "STOPPED")}

        (place.folder / "playbook.yaml").write_text(IMPOSSIBLE)
        refused = place.orch("start", "--yes")
        assert refused.code == 2
        assert "there is no service Nobody on app-01" in refused.said
        assert "Disabled" in refused.said


IMPOSSIBLE = """
inventory: hosts.yaml
services:
  late: { service: Late, hosts: app-01 }
  gone: { service: Nobody, hosts: app-01 }
"""
STUCK = """
name: stuck
inventory: hosts.yaml
poll: 1s
on_failure: continue
defaults: { stop: { timeout: 10s, if_stuck: kill } }
services:
  hangs: { service: Hangs, hosts: app-01 }
  orphan: { service: Orphan, hosts: app-01 }
  stays: { service: Stays, hosts: app-01, stop: { if_stuck: fail } }
"""


def test_what_is_stuck_is_killed_alone_and_what_is_revived_is_stopped(make: Make) -> None:
    hosts: Hosts = {"app-01": {"Hangs": {"hang_stop": 1}, "Orphan": {"orphan": 1}, "Stays": {"hang_stop": 1}}}
    with make(STUCK, hosts) as place:
        host = place.fleet["app-01"]
        until(lambda: all(host.last(name) == "Running" for name in host.services), "all run")
        assert "SUCCESS" in host.run("sc.exe", "failure", "Hangs", "reset=", "60", "actions=", "restart/200")
        host.tell("Hangs")
        pids = {moment.unit: moment.pid for moment in host.history()}
        ended = place.orch("stop", "--yes", "--json")
        assert ended.code == 1, ended
        stops, kills = ended.results("stop"), ended.results("kill")
        assert {unit: result["problem"]["kind"] for unit, result in stops.items()} == {
            "hangs@app-01": "timeout", "orphan@app-01": "orphan", "stays@app-01": "timeout",
        }  # fmt: skip
        assert "checkpoint 1" in stops["stays@app-01"]["said"]
        assert str(pids["Orphan@app-01"]) in stops["orphan@app-01"]["said"]
        assert {unit: result["outcome"] for unit, result in kills.items()} == {
            "hangs@app-01": "ok", "orphan@app-01": "ok",
        }, kills  # fmt: skip
        assert host.states() == {"Hangs": "STOPPED", "Orphan": "STOPPED", "Stays": "STOP_PENDING"}
        assert list(host.pids()) == [pids["Stays@app-01"]]
        hangs = [moment for moment in host.history() if moment.unit == "Hangs@app-01"]
        up, down = ["StartPending", "Running"], ["StopPending", "Stopped"]
        assert [moment.state for moment in hangs] == [*up, "StopPending", *up, *down]


CYCLE = """
name: cycle
inventory: hosts.yaml
poll: 1s
failure_rules: { do: retry, count: 9 }
defaults: { timeout: 15s }
services:
  sql: { service: Sql, hosts: app-01 }
  web: { service: Web, hosts: app-01, depends_on: sql }
"""


def test_a_host_that_loses_power_in_mid_run_is_brought_down_all_the_same(make: Make) -> None:
    with make(CYCLE, {"app-01": {"Sql": {}, "Web": {"hold": 0}}}) as place:
        host = place.fleet["app-01"]
        until(lambda: host.last("Web") == "Running", "Web runs")
        host.tell("Web", hold=1)

        def power_cycle() -> None:
            until(lambda: host.last("Web") == "StopPending", "Web is about to stop")
            host.switch_off()
            host.tell("Web")
            host.boot()

        ended = place.orch("stop", "--yes", "--json", meanwhile=power_cycle)
        assert ended.code == 0, ended
        assert set(host.states().values()) == {"STOPPED"}
        assert not host.pids()
        up, down = ["StartPending", "Running"], ["StopPending", "Stopped"]
        told = host.history()
        assert [one.state for one in told if one.unit == "Web@app-01"] == [*up, "StopPending", *up, *down]
        assert [one.unit for one in told if one.state == "Stopped"] == ["Web@app-01", "Sql@app-01"]


TEN = """
name: ten
inventory: hosts.yaml
poll: 1s
on_failure: { stop: rollback }
defaults: { timeout: 90s }
services:
  sql:
    service: Sql
    hosts: db-*
    stopped: [ { command: { exe: /bin/false }, from: controller, deadline: 1s } ]
  broker: { service: Broker, hosts: mq-*, depends_on: sql, ready: [ { tcp: 5672 } ] }
  orders: { service: Orders, hosts: app-*, depends_on: { broker: { need: 1 } } }
  front: { service: Front, hosts: web-*, depends_on: orders, ready: [ { tcp: 8080 } ] }
"""
UPPER = {"Front": "Orders", "Orders": "Broker", "Broker": "Sql"}


def test_ten_hosts_go_down_in_order_and_back_up_when_the_last_step_fails(make: Make) -> None:
    hosts: Hosts = {
        **{f"db-{n:02}": {"Sql": {}} for n in (1, 2)},
        **{f"mq-{n:02}": {"Broker": {"port": 5672}} for n in (1, 2)},
        **{f"app-{n:02}": {"Orders": {}} for n in (1, 2, 3, 4)},
        **{f"web-{n:02}": {"Front": {"port": 8080}} for n in (1, 2)},
    }
    with make(TEN, hosts) as place:
        ten = place.fleet
        until(lambda: all(host.last(name) == "Running" for host in ten.hosts.values() for name in host.services), "up")
        ended = place.orch("stop", "--yes", "--json")
        assert ended.code == 3, ended
        assert set(ten.states().values()) == {"RUNNING"}
        told = ten.history()
        for state, times in (("Stopped", 1), ("Running", 2)):
            units = [moment.unit for moment in told if moment.state == state]
            assert sorted(units) == sorted([*{moment.unit for moment in told}] * times)
        judge(told)


def judge(history: Sequence[Moment]) -> None:
    """No stop begins while something above it has not stopped; no start before what is below runs: one broker is enough
    for orders, and all of everything else. The first starts are those of the boot, which knows no order."""
    now: dict[str, str] = {}
    booting = {moment.unit for moment in history}
    for moment in history:
        name = layer(moment.unit)
        if moment.state == "StopPending":
            booting.discard(moment.unit)
            above = [unit for unit, state in now.items() if UPPER.get(layer(unit)) == name and state != "Stopped"]
            assert not above, f"{moment} while {above} are up"
        elif moment.state == "StartPending" and moment.unit not in booting:
            below = [state == "Running" for unit, state in now.items() if layer(unit) == UPPER.get(name)]
            assert any(below) if name == "Orders" else all(below), f"{moment} too early: {now}"
        now[moment.unit] = moment.state


def layer(unit: str) -> str:
    """`Orders` of `Orders@app-01`."""
    return unit.partition("@")[0]
