"""The two stores of what outlasts a run, SQLite and memory, driven alike: time and processes are the tests' own."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from virtual_time import run_virtual

from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.decisions import Cause, CauseKind, Choice
from orchestrator.domain.facts import DecisionAsked, RunBegan
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.policy import Approval, Policy
from orchestrator.engine.book_ports import Lease, Owner

BOUND_S = 60.0
BEGAN_AT = 1_795_000_000.0
ANY = tuple(Choice)

Store = SqliteJournal | MemoryJournal


class StateFolder:
    """A store, and a second process's view of it. `gone` are the numbers of processes that are not there any more."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._skipped_s = 0.0
        self.gone: set[int] = set()
        self.opened: list[Store] = []
        self.store = self.another()

    def another(self) -> Store:
        """The same, as another process opens it."""
        if self._folder is None:
            made: Store = self.opened[0] if self.opened else MemoryJournal(began_at=BEGAN_AT, exists=self._exists)
        else:
            made = SqliteJournal(self._folder, wall=lambda: BEGAN_AT + self._skipped_s, process=self._exists)
        self.opened.append(made)
        return made

    async def later(self, seconds: float) -> None:
        """Let time pass."""
        if self._folder is None:
            await asyncio.sleep(seconds)
        else:
            self._skipped_s += seconds

    def _exists(self, owner: Owner) -> bool | None:
        return None if owner.controller != "ctl-01" else owner.pid not in self.gone


Body = Callable[[StateFolder], Coroutine[Any, Any, None]]
Drive = Callable[[Body], None]


@pytest.fixture(params=["memory", "sqlite"])
def drive(request: pytest.FixtureRequest, tmp_path: Path) -> Drive:
    """Runs a test's body on a store of each kind, and closes it."""
    memory = request.param == "memory"

    async def driven(body: Body) -> None:
        folder = StateFolder(None if memory else tmp_path / "state")
        async with asyncio.timeout(None if memory else BOUND_S):
            await body(folder)
        for store in folder.opened:
            await store.aclose()

    return lambda body: (run_virtual if memory else asyncio.run)(driven(body))


def owner(requester: str = "ada", *, pid: int = 100, controller: str = "ctl-01") -> Owner:
    """A process that holds a run."""
    return Owner(requester=requester, controller=controller, pid=pid, pid_started=float(pid))


def began(run: str, *, approval: Approval | None = None) -> RunBegan:
    """The first fact of a run of nothing."""
    policy = Policy(approval=approval or Approval())
    return RunBegan(
        run=run,
        plan=Plan(name="shop", action=Action.STOP, stages=(), policy=policy),
        requester="ada",
        controller="ctl-01",
        command="orch stop --plan shop.yaml",
    )


def asked(decision: int = 1, *units: str, choices: tuple[Choice, ...] = ANY) -> DecisionAsked:
    """A failure that waits for an answer."""
    cause = Cause(kind=CauseKind.FAILURE, said="timed out", service="orders", units=units or ("orders@app-01",))
    return DecisionAsked(decision=decision, cause=cause, choices=choices)


async def begin(
    store: Store, run: str, *units: str, by: Owner | None = None, approval: Approval | None = None
) -> Lease:
    """A run that holds *units* and has begun."""
    lease = await store.take(run, units, by or owner())
    await store.append(run, [began(run, approval=approval)], lease=lease)
    return lease
