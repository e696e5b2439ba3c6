"""Real processes that die at every commit of a run, freeze, or find the disk full; then `orch resume` in another one.

Judged by the lab's own log and by the record as it lies on the disk; the product's words are read last.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cli_lab import PAIR_GROUPS, Edge, Site, judge, site
from dying import Died, Fate, Mortals, mortals

PAIR = """
name: pair
inventory: hosts.yaml
defaults: { timeout: 20s, gate: { period: 100ms, deadline: 20s } }
poll: 100ms
services:
  sql: { service: MSSQLSERVER, hosts: db, ready: [ { tcp: 1433 } ], stopped: [ { port_closed: 1433 } ] }
  orders: { service: Orders, hosts: app, depends_on: [sql] }
"""
GOES_BACK = PAIR + "on_failure: rollback\n"
NEEDS = [Edge("Orders", "MSSQLSERVER")]
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"
KILLED = -9
LEASE_S = 60.0
"""After so long without a word a process counts as gone."""
MOST = 40
"""More commits than any run of here has."""


@dataclass(frozen=True, slots=True)
class Night:
    """A stop, and how it ends however often its process dies: verdict, exit code, and what the hosts accepted."""

    playbook: str
    verdict: str
    code: int
    accepted: frozenset[str]


GOOD = Night("playbook.yaml", "done", 0, frozenset({f"stop {ONE}", f"stop {TWO}", f"stop {SQL}"}))
BAD = Night(
    "goes_back.yaml", "rolled back", 3, frozenset({f"stop {ONE}", f"stop {TWO}", f"start {ONE}", f"start {TWO}"})
)
"""The database refuses; the policy says rollback."""
NIGHTS = {"done": GOOD, "rolled back": BAD}


@dataclass(slots=True)
class Place:
    """A lab, and processes that meet their fate while they work on it."""

    site: Site
    mortals: Mortals
    folder: Path
    runs: int = 0

    def fresh(self, night: Night) -> None:
        """As in the evening, with a state folder of its own."""
        self.runs += 1
        self.site.reset(self.folder / f"state-{self.runs}")
        if night is BAD:
            self.site.fault(SQL, "refuses")

    def stop(self, night: Night, fate: Fate | None = None) -> Died:
        return self.orch("stop", "--yes", "--plan", str(self.site.folder / night.playbook), fate=fate)

    def orch(self, *words: str, fate: Fate | None = None, clock: Path | None = None) -> Died:
        return self.mortals.begin(words, self.site.environment(), fate=fate, clock=clock).finish()

    def facts(self) -> list[dict[str, Any]]:
        """All that is on record of the one run, in order, read without the product."""
        connection = sqlite3.connect(self.site.state / "journal.db")
        try:
            assert connection.execute("SELECT count(DISTINCT run) FROM facts").fetchone()[0] <= 1
            return [json.loads(body) for (body,) in connection.execute("SELECT body FROM facts ORDER BY number")]
        except sqlite3.OperationalError:  # it died before there were tables
            return []
        finally:
            connection.close()

    def gone_on(self, night: Night, fate: Fate | None = None) -> Died:
        """Whoever comes next: resumes the run if one has begun, else begins it."""
        return self.orch("resume", "last", "--yes", fate=fate) if self.facts() else self.stop(night, fate)

    def hold(self, night: Night, when: str) -> None:
        """Hold what the lab saw and what is on record against what has to be so at the end of *night*."""
        facts, log = self.facts(), self.site.lab.log()[self.site.read :]
        controls = [line for line in log if line["kind"] == "control"]
        accepted = Counter(_control(line) for line in controls if line["outcome"] == "accepted")
        assert accepted == dict.fromkeys(night.accepted, 1), f"{when}: {accepted}"
        intents = Counter(_intent(fact) for fact in facts if fact["kind"] == "step_intended")
        asked = Counter(map(_control, controls))
        assert all(asked[one] <= intents[one] for one in asked), f"{when}: asked {asked}, intended {intents}"
        _read_between(log, when)
        expected = self.site.first if night is BAD else dict.fromkeys(self.site.first, "Stopped")
        assert judge(self.site, NEEDS, self.site.first) == self.site.states() == expected, when
        assert (facts[-1]["kind"], facts[-1]["verdict"], facts[-1]["exit_code"]) == (
            "run_ended",
            night.verdict,
            night.code,
        ), when
        verified = self.orch("audit", "verify")
        assert (verified.code, "as written" in verified.said) == (0, True), f"{when}: {verified.said}"


def _control(line: dict[str, Any]) -> str:
    return f"{line['control']} {line['service']}@{line['host']}"


def _intent(fact: dict[str, Any]) -> str:
    service, _, host = fact["step"]["unit"].partition("@")
    return f"{fact['step']['phase']} {dict(sql='MSSQLSERVER', orders='Orders')[service]}@{host}"


def _read_between(log: list[dict[str, Any]], when: str) -> None:
    """Nothing is asked twice blindly: between two controls of a service its host was read."""
    last: dict[str, str] = {}
    for line in log:
        if line["kind"] == "command" and line["name"] == "Get-Service":
            last = {unit: said for unit, said in last.items() if not unit.endswith(f"@{line['host']}")}
        elif line["kind"] == "control":
            unit = f"{line['service']}@{line['host']}"
            assert unit not in last, f"{when}: {last[unit]}, and then {_control(line)}, unread"
            last[unit] = _control(line)


def _swift(fleet: dict[str, Any]) -> None:
    """These are many nights, and whoever is killed leaves its shells open."""
    for host in fleet["hosts"]:
        host["max_shells"] = 1000
        for service in host["services"]:
            service.update(start_s=0.03, stop_s=0.03)
            for port in service["ports"]:
                port["warmup_s"] = 0.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Mortals]]:
    folder = tmp_path_factory.mktemp("kills")
    with site(folder, PAIR, PAIR_GROUPS, adjust=_swift) as made, mortals(folder / "said") as server:
        made.ported = frozenset()
        (folder / BAD.playbook).write_text(GOES_BACK, encoding="utf-8")
        yield made, server


@pytest.fixture
def place(shared: tuple[Site, Mortals], tmp_path: Path) -> Place:
    return Place(*shared, tmp_path)


@pytest.mark.parametrize("moment", ["after", "before"])
@pytest.mark.parametrize("name", sorted(NIGHTS))
def test_a_run_that_is_killed_at_any_commit_and_resumed_ends_as_if_nothing_had_been(
    place: Place, name: str, moment: str
) -> None:
    night, killed = NIGHTS[name], 0
    for commit in count(1):
        assert commit < MOST
        when = f"killed {moment} commit {commit}"
        place.fresh(night)
        ended = place.stop(night, (moment, commit, "killed"))
        if ended.code != KILLED:
            assert ended.code == night.code, ended.said
            place.hold(night, "not killed")
            break
        killed += 1
        over = any(fact["kind"] == "run_ended" for fact in place.facts())
        again = place.gone_on(night)
        assert (again.code, "it ended at" in again.said) == (2 if over else night.code, over), f"{when}: {again.said}"
        place.hold(night, when)
    assert killed >= 9  # what ends at the same moment shares a commit


def test_a_resume_is_killed_too_and_the_next_one_ends_it(place: Place) -> None:
    for commit in range(4, 10):
        second = 2 + commit % 3
        when = f"killed after commit {commit}, and its resume after commit {second}"
        place.fresh(BAD)
        assert place.stop(BAD, ("after", commit, "killed")).code == KILLED, when
        assert place.gone_on(BAD, ("after", second, "killed")).code == KILLED, when
        ended = place.gone_on(BAD)
        assert ended.code == BAD.code, f"{when}: {ended.said}"
        place.hold(BAD, when)


@pytest.mark.parametrize("commit", range(2, 9))
def test_a_full_disk_stops_a_run_and_with_space_again_it_is_resumed(place: Place, commit: int) -> None:
    place.fresh(GOOD)
    ended = place.stop(GOOD, ("after", commit, "out of disk"))
    assert "can't be written: " in ended.said
    facts, controls = place.facts(), place.site.controls()
    if not facts:
        assert (ended.code, "nothing was touched" in ended.said, controls) == (2, True, []), ended.said
    else:
        assert ended.code == 1, ended.said
        assert "everything acknowledged before this is on disk" in ended.said
        assert "nothing new is issued" in ended.said
        assert "orch resume" in ended.said
        intended = {_intent(fact) for fact in facts if fact["kind"] == "step_intended"}
        assert set(controls) <= intended, "what could not be written down was asked all the same"
        assert facts[-1]["kind"] != "run_ended"
    again = place.gone_on(GOOD)
    assert again.code == 0, again.said
    place.hold(GOOD, f"out of disk after commit {commit}")


@pytest.mark.parametrize("commit", range(4, 9))
def test_a_run_that_was_frozen_past_its_lease_acts_no_more_when_it_wakes(place: Place, commit: int) -> None:
    """The clock that all of them look at is put forward by a lease, instead of waiting for so long."""
    place.fresh(GOOD)
    clock = place.folder / "clock"
    clock.write_text("0", encoding="ascii")
    words = ("stop", "--yes", "--plan", str(place.site.plan))
    frozen = place.mortals.begin(words, place.site.environment(), fate=("after", commit, "frozen"), clock=clock)
    frozen.until_frozen()
    early = place.orch("resume", "last", "--yes", clock=clock)
    assert (early.code, "its process lives" in early.said) == (7, True), early.said
    clock.write_text(str(LEASE_S + 1), encoding="ascii")
    ended = place.orch("resume", "last", "--yes", clock=clock)
    assert ended.code == 0, ended.said
    before = place.site.controls()
    frozen.wake()
    woken = frozen.finish()
    assert woken.code == 7, woken.said
    assert "was taken over at" in woken.said
    assert place.site.controls() == before
    place.hold(GOOD, f"frozen after commit {commit}")
