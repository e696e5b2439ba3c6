"""What older versions wrote is read by this one, and what this one writes differently has golden files of its own.

See tests/data/golden/README.md.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from golden import ALL_UP, BACK, BEGAN_AT, GOLDEN, PARKED, alone, books, header, parts, possible, shop, world

from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.domain.decisions import Choice
from orchestrator.domain.drift import drift
from orchestrator.domain.fact_codec import FACT_KINDS, decode, encode, packed
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.observed import questions_about
from orchestrator.domain.saved_plan import read, write
from orchestrator.domain.service import State
from orchestrator.engine.book_ports import Standing, Vote
from orchestrator.engine.jobs import resuming
from orchestrator.engine.jobs.answering import decide
from orchestrator.engine.jobs.surveying import survey

FOLDERS = sorted((path for path in GOLDEN.iterdir() if path.is_dir()), key=lambda path: int(path.name))
NEWEST = FOLDERS[-1]
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
ANEW = "facts are written otherwise than before: add golden files of this version, see tests/data/golden/README.md"


def lines(folder: Path) -> list[str]:
    return (folder / "facts.jsonl").read_text(encoding="ascii").splitlines()


def copied(folder: Path, tmp_path: Path) -> Path:
    """A state folder with the journal of *folder*: even a reader makes files beside it."""
    state = tmp_path / "state"
    state.mkdir()
    shutil.copyfile(folder / "journal.db", state / "journal.db")
    return state


def orch(state: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "ORCH_STATE_DIR": str(state)}
    typed = [sys.executable, "-m", "orchestrator", *words]
    return subprocess.run(typed, env=environment, capture_output=True, text=True, timeout=60, check=False)


@EACH
def test_the_commands_read_a_golden_journal(folder: Path, tmp_path: Path) -> None:
    state, heads = copied(folder, tmp_path), json.loads((folder / "heads.json").read_text(encoding="ascii"))
    runs = json.loads(orch(state, "runs", "--json").stdout)["runs"]
    assert {one["run"]: (one["standing"], one["verdict"]) for one in runs} == {
        BACK: ("ended", "rolled back"),
        PARKED: ("parked", None),
    }
    shown = orch(state, "show", BACK)
    assert shown.returncode == 0, shown.stderr
    for words in ("orders@app-02", "Zugriff verweigert", "rollback", "app-01 is not ours tonight", "rolled back"):
        assert words in " ".join(shown.stdout.split()), shown.stdout
    [waits] = json.loads(orch(state, "decisions", PARKED, "--json").stdout)["decisions"]
    assert (waits["run"], waits["decision"], waits["units"]) == (PARKED, 1, ["orders@app-01"])
    verified = json.loads(orch(state, "audit", "verify", "--json").stdout)["runs"]
    assert {one["run"]: (one["ok"], one["head"]) for one in verified} == {run: (True, heads[run]) for run in heads}
    [snapshot] = json.loads(orch(state, "snapshot", "list", "--json").stdout)["snapshots"]
    assert (snapshot["tag"], len(snapshot["units"])) == ("before-patch", 3)


@EACH
def test_a_golden_run_that_waits_is_answered_and_goes_back(folder: Path, tmp_path: Path) -> None:
    fleet = shop({**ALL_UP, "orders@app-02": State.STOPPED})

    def clock() -> float:
        return BEGAN_AT + 86_400.0

    async def body() -> int:
        store = SqliteJournal(copied(folder, tmp_path), wall=clock, process=lambda owner: None)
        shared = books(store, clock)
        tally = await decide(PARKED, 1, Vote(choice=Choice.ROLLBACK, by="eve@ops"), shared)
        assert (tally.choice, [vote.by for vote in tally.votes]) == (Choice.ROLLBACK, ["bob@ops", "eve@ops"])
        ended = await resuming.resume(
            PARKED, world(fleet), shared, header=header(PARKED, "eve@ops", "orch resume"), **alone()
        )
        assert [one.standing for one in await store.runs(9)] == [Standing.ENDED] * 2
        assert all(not one.wrong for one in await store.verify())
        await store.aclose()
        return ended.exit_code

    assert asyncio.run(body()) == 3
    assert {unit: fleet.service(*unit.split("@")).state for unit in ALL_UP} == ALL_UP


@EACH
def test_a_golden_plan_is_held_against_what_is_there_now(folder: Path, tmp_path: Path) -> None:
    path = folder / "restart.orchplan"
    saved = read(path.read_text(encoding="ascii"), path.name)
    assert (saved.plan.action, saved.saved_by, saved.plan.policy.max_failures) == (Action.RESTART, "ada@ops", 1)
    units = [node.unit for stage in saved.plan.stages for node in stage.nodes]
    assert {unit.id for unit in units} == set(ALL_UP)
    for states, drifted in ((ALL_UP, []), ({**ALL_UP, "sql@db-01": State.PAUSED}, ["sql@db-01"])):
        live = asyncio.run(survey(questions_about(units), world(shop(states)).hosts))
        assert [one.unit for one in drift(saved.plan, live)] == drifted
    typed = orch(tmp_path, "apply", str(path), "--dry-run")
    assert typed.returncode == 2, typed.stderr
    assert "/srv/orch/" in typed.stderr, "it is read as far as the files that it was made from, which are not here"


@EACH
def test_a_golden_fact_of_every_kind_is_read(folder: Path) -> None:
    kinds = [json.loads(line)["kind"] for line in lines(folder)]
    facts = [decode(line) for line in lines(folder)]
    assert [type(fact) for fact in facts] == [FACT_KINDS[kind] for kind in kinds]


def test_what_is_written_now_is_what_the_newest_golden_files_hold() -> None:
    facts = [decode(line) for line in lines(NEWEST)]
    assert [encode(fact) for fact in facts] == lines(NEWEST), ANEW
    everything = {part for made in FACT_KINDS.values() for part in possible(made)}
    assert everything == {part for fact in facts for part in parts(fact)}, ANEW
    plan = (NEWEST / "restart.orchplan").read_text(encoding="ascii")
    assert write(read(plan, "golden")) == plan, ANEW


def test_a_fact_of_an_older_shape_is_read_with_what_it_lacks_filled_in() -> None:
    """Every field that came to be with a default, in every class that facts are made of: without it."""
    tried = set[tuple[type, str]]()
    for line in lines(NEWEST):
        whole = json.loads(encode(decode(line)))
        for made, name, default, way in _defaults(decode(line)):
            older = json.loads(line)
            _at(older, way).pop(name, None)
            newer = json.loads(encode(decode(json.dumps(older))))
            assert _at(newer, way).pop(name) == default, (made, name)
            assert _at(newer, way).keys() == _at(whole, way).keys() - {name}
            tried.add((made, name))
    assert len(tried) > 60


def _defaults(value: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[type, str, Any, tuple[str | int, ...]]]:
    """Class, field, its default as JSON, and where the class stands, of every such field inside of *value*."""
    if is_dataclass(value):
        for field in fields(value):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if default is not MISSING:
                yield type(value), field.name, _json(default), way
            yield from _defaults(getattr(value, field.name), (*way, field.name))
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from _defaults(one, (*way, number))


def _json(value: Any) -> Any:
    return json.loads(json.dumps(packed(value) if is_dataclass(value) else value))


def _at(data: Any, way: tuple[str | int, ...]) -> Any:
    for step in way:
        data = data[step]
    return data


def test_golden_files_are_of_nobodys_machine() -> None:
    for path in GOLDEN.rglob("*"):
        if path.is_file() and path.suffix != ".md":
            found = re.findall(rb"/(?:home|root|tmp|work|Users|var)/[^\"\s]*", path.read_bytes())
            assert not found, f"{path.name} has {found}"
