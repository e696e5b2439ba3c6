"""`orch graph --live` against a lab: what is drawn is what runs, and nothing is touched."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import IMPATIENT, PAIR, Ended, Site, site


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("pair"), PAIR, variables=IMPATIENT) as made:
        yield made


@pytest.fixture
def pair(shared: Site, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    return shared


def graph(pair: Site, *words: str) -> Ended:
    return pair.orch("graph", "--plan", str(pair.plan), *words)


def test_without_live_no_host_is_asked(pair: Site) -> None:
    ended = graph(pair)
    assert ended.code == 0, ended.said
    assert "sql 1 tcp 5.0 s ?" in ended.said
    assert "critical path: sql 5.0 s ? → orders 5.0 s ?" in ended.said
    assert not pair.log("command")


def test_live_states_are_those_of_the_hosts(pair: Site) -> None:
    pair.put("Orders@app-02", "Stopped")
    pair.read = len(pair.lab.log())
    ended = graph(pair, "--live")
    assert (ended.code, pair.untouched()) == (0, True), ended.said
    assert "Running 1/2, Stopped 1/2" in ended.said
    assert "Running 1 tcp" in ended.said
    assert pair.log("command")


def test_a_host_that_is_away_is_named_in_every_form(pair: Site) -> None:
    pair.fault("app-02", "down")
    ended = graph(pair, "--live")
    assert ended.code == 1, ended.said
    assert "Running 1/2, unknown 1/2" in ended.said
    assert "! orders@app-02: gave no usable answer" in ended.said
    for name in ("mermaid", "dot"):
        ended = graph(pair, "--live", "--format", name)
        assert (ended.code, ended.err) == (1, "")
        assert "not read: orders@app-02" in ended.out
    told = json.loads(graph(pair, "--live", "--json").out)
    assert [one["states"] for one in told["services"]] == [{"Running": 1}, {"Running": 1, "unknown": 1}]
    assert [one["unit"] for one in told["not_read"]] == ["orders@app-02"]


def test_what_cannot_be_drawn_is_refused(pair: Site) -> None:
    for words, said in (
        (("--format", "svg"), "choose text, mermaid or dot"),
        (("--action", "restart"), "choose start or stop"),
        (("--service", "nothing"), "no service nothing"),
    ):
        ended = graph(pair, *words)
        assert (ended.code, pair.untouched()) == (2, True), ended.said
        assert said in ended.said
