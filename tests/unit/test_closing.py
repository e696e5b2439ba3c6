"""Ending what nobody carries any more, whatever was left of it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from fake_run import fleet

from orchestrator import state_wiring
from orchestrator.domain.facts import MadeFrom, RunBegan
from orchestrator.domain.locks import keys
from orchestrator.domain.plan import Action, Plan
from orchestrator.interfaces.commands.ending import cancel, close

PLAN = fleet((("sql", 2),))
GONE = replace(state_wiring.header([], MadeFrom()).owner, requester="ada", pid=2**22 - 1, pid_started=1.0)


def left_behind(state: Path, plan: Plan = PLAN, of: str = "") -> None:
    """A run whose process is gone."""

    async def leave() -> None:
        async with state_wiring.books(state, to_write=True) as books:
            lease = await books.locks.take("20261121-0213-dead", keys(PLAN), GONE)
            began = RunBegan(run=lease.run, plan=plan, requester="ada", controller="ops", command="orch stop", of=of)
            await books.journal.append(lease.run, [began], lease=lease)

    asyncio.run(leave())


def held(state: Path) -> list[str]:
    async def look() -> list[str]:
        async with state_wiring.books(state) as books:
            return [one.run for one in await books.locks.holdings()]

    return asyncio.run(look())


def test_what_a_dead_process_left_is_closed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left_behind(tmp_path)
    assert held(tmp_path) == ["20261121-0213-dead"]
    close(run="20261121", reason="gone", state_dir=tmp_path)
    assert "is closed and its units are free" in capsys.readouterr().err
    assert held(tmp_path) == []
    with pytest.raises(typer.Exit) as ended:
        close(run="20261121", reason="again", state_dir=tmp_path)
    assert ended.value.exit_code == 2
    assert "`orch rollback 20261121-0213-dead` puts it back" in capsys.readouterr().err


def test_whoever_ends_a_rollback_is_sent_to_the_run_that_it_was_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_behind(tmp_path, replace(PLAN, action=Action.ROLLBACK), of="20261121-0100-orig")
    close(run="last", reason="gone", state_dir=tmp_path)
    for again in (close, cancel):
        with pytest.raises(typer.Exit):
            again(run="last", reason="again", state_dir=tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("`orch rollback 20261121-0100-orig` puts back what it could not") == 3
    assert "orch rollback 20261121-0213-dead" not in said


def test_a_cancel_of_a_run_that_nobody_carries_says_when_it_is_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_behind(tmp_path)
    cancel(run="last", reason="wrong night", state_dir=tmp_path)
    said = capsys.readouterr().err
    assert "its process (ada on" in said
    assert "the order is taken up when somebody goes on with it" in said
