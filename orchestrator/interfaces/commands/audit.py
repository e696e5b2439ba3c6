"""`orch audit verify | head`: whether the record of a run is as it was written."""

import asyncio
import json as json_module
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.text import Text

from orchestrator import state_wiring
from orchestrator.domain.chain import Verified
from orchestrator.domain.errors import OrchError
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.terminal import out, print_json
from orchestrator.interfaces.theme import aligned, plural, safe


def verify(*, run: str | None, head: str | None, json: bool, state_dir: Path | None) -> None:
    """Walk the chain of one run or of all. Exit 1 if one is not as it was written."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        found = asyncio.run(_verified(state, run, (head or "").strip().lower()))
        if json:
            print_json(json_module.dumps({"runs": [_json(one) for one in found]}))
        else:
            out().print(*_rows(found), sep="\n")
        raise typer.Exit(1 if any(one.wrong for one in found) else 0)


def head(*, run: str, state_dir: Path | None) -> None:
    """Print one head, and nothing else."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        [found] = asyncio.run(_verified(state, run, ""))
        if found.wrong:
            raise OrchError(f"run {found.run}: {found.wrong}", hint=f"orch audit verify {found.run}")
        out().print(Text(found.head), soft_wrap=True)


async def _verified(state: Path, name: str | None, head: str) -> Sequence[Verified]:
    async with state_wiring.books(state) as books:
        run = None if name is None else await books.journal.resolve(name)
        return await books.journal.verify(run, head=head)


def _rows(found: Sequence[Verified]) -> list[Text]:
    if not found:
        return [Text("no runs yet")]
    rows = [[Text(name, style="bold") for name in ("run", "facts", "head", "record")]]
    for one in found:
        word = safe(one.wrong, "bold red") if one.wrong else Text("as written", style="green")
        if one.known_at:
            word.append(f"; the head that you gave is that of fact {one.known_at}", style="default")
        rows.append([Text(one.run), Text(str(one.facts)), Text(one.head), word])
    wrong = sum(bool(one.wrong) for one in found)
    last = f"{plural(wrong, 'run')} not as written" if wrong else f"{plural(len(found), 'run')}, each as it was written"
    return [*aligned(rows), Text(last, style="bold red" if wrong else "")]


def _json(one: Verified) -> dict[str, object]:
    return {
        "run": one.run,
        "ok": not one.wrong,
        "facts": one.facts,
        "head": one.head,
        "wrong": one.wrong,
        "known_at": one.known_at or None,
    }
