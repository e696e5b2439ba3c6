"""Two people who answer at the same moment, from two processes: one counts, the other is told who did and what."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import PAIR, Edge, Site, in_terminal, judge, site
from dying import Died, Mortals, mortals

NEEDS = [Edge("Orders", "MSSQLSERVER")]
SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"
ASKED = "show it again]:"
CODES = {"abort": 1, "rollback": 3}
"""What a run ends with that was answered so."""
PAIRS = [("rollback", "abort"), ("rollback", "rollback")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Mortals]]:
    folder = tmp_path_factory.mktemp("operators")
    with site(folder, PAIR) as made, mortals(folder / "said") as server:
        yield made, server


@pytest.fixture
def pair(shared: tuple[Site, Mortals], tmp_path: Path) -> Site:
    """The first of two services that stop at once refuses to: the run asks."""
    made, _ = shared
    made.reset(tmp_path / "state")
    made.fault(ONE, "refuses")
    return made


@pytest.fixture
def people(shared: tuple[Site, Mortals]) -> Mortals:
    return shared[1]


def both(pair: Site, people: Mortals, choices: tuple[str, str], *more: str) -> tuple[str, Died, Died]:
    """Two answer at once: what won, and what each of them got, the winner first."""
    words = [
        ("decide", "last", choice, "--yes", "--reason", f"{choice}, says {who}", *more)
        for who, choice in zip(("one", "two"), choices, strict=True)
    ]
    told = [one.finish() for one in [people.begin(typed, pair.environment()) for typed in words]]
    [won] = [number for number, said in enumerate(told) if "is decided" in said.said]
    winner, loser = told[won], told[1 - won]
    assert f"{choices[won]} is decided" in winner.said, winner.said
    assert loser.code == 2, loser.said
    assert f"{choices[won]}, by" in loser.said, loser.said
    assert f"{choices[won]}, says {('one', 'two')[won]}" in loser.said, loser.said
    return choices[won], winner, loser


def held(pair: Site, won: str) -> None:
    """Whether the run did what was answered, once, and has just one answer on record."""
    left = pair.first if won == "rollback" else {**pair.first, TWO: "Stopped"}
    assert judge(pair, NEEDS, pair.first) == pair.states() == left
    assert pair.controls().count(f"start {TWO}") == (won == "rollback")
    shown = json.loads(pair.orch("show", "last", "--json").out)
    [decision] = shown["decisions"]
    assert decision["answer"]["choice"] == won
    assert pair.orch("audit", "verify").code == 0


@pytest.mark.parametrize("choices", PAIRS, ids="-".join)
def test_two_answer_a_parked_run_and_both_would_go_on_with_it(
    pair: Site, people: Mortals, choices: tuple[str, str]
) -> None:
    assert pair.orch("stop", "--yes").code == 6
    won, winner, _ = both(pair, people, choices, "--resume")
    assert winner.code == CODES[won], winner.said
    held(pair, won)


def test_two_answer_a_run_that_asks_in_its_terminal(pair: Site, people: Mortals) -> None:
    told: list[tuple[str, Died, Died]] = []
    code, seen = in_terminal(
        pair, "stop", "--yes", answers={ASKED: lambda: told.append(both(pair, people, ("abort", "rollback")))}
    )
    [(won, winner, _)] = told
    assert (winner.code, "goes on at once" in winner.said) == (0, True), winner.said
    assert code == CODES[won], seen
    assert f"decision 1: {won} by " in " ".join(seen.split()), seen
    held(pair, won)
