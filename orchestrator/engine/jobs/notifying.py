"""Telling people that a decision waits and how a run ended, without ever holding the run up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from orchestrator.domain.consequences import consequences
from orchestrator.domain.policy import Notice
from orchestrator.domain.runstate import RunState
from orchestrator.engine.ports import Notifier

LAST_WAIT_S = 15.0
"""How long the end of a process may wait for notices that are being sent."""
PREVIEWED = 500
"""A preview plays what is left of a run for each answer, while the run waits: a second for a few thousand units. In
larger plans a notice says where it is shown instead."""
_Event = Callable[[], Mapping[str, Any]]
_DECISION, _END = "decision", "end"


class Notices:
    """Sends the notices of one run, each by a task of its own. `unsent` has what went wrong, once each."""

    def __init__(self, notices: Sequence[Notice], notifier: Notifier) -> None:
        self._notices = notices
        self._notifier = notifier
        self._reminders: dict[int, list[asyncio.Task[None]]] = {}
        self._sends: set[asyncio.Task[None]] = set()
        self._unsent: dict[str, None] = {}

    @property
    def unsent(self) -> tuple[str, ...]:
        """Why notices could not be handed over, in words."""
        return tuple(self._unsent)

    def waits(self, decision: int, event: _Event, *, told: bool = False) -> None:
        """*decision* is open: tell people, unless they were *told* before, and remind them while it is.

        *event* is asked for what to tell at that moment.
        """
        self._reminders[decision] = [
            asyncio.create_task(self._remind(notice, event, told=told))
            for notice in self._notices
            if _DECISION in notice.on
        ]

    def settled(self, decision: int) -> None:
        """*decision* waits no more. One that is settled in the moment in which it is asked is told to nobody."""
        for task in self._reminders.pop(decision, ()):
            task.cancel()

    def ended(self, event: Mapping[str, Any]) -> None:
        """The run is over."""
        for notice in self._notices:
            if _END in notice.on:
                self._send(notice, event)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Notices go out while the block lasts. Where it ends well, what is being sent has LAST_WAIT_S more."""
        try:
            yield
            await asyncio.sleep(0)  # what was asked in the last moment is told too
            await self._go_out()
        finally:
            for decision in list(self._reminders):
                self.settled(decision)
            for task in self._sends:
                task.cancel()

    async def _go_out(self) -> None:
        if self._sends:
            _, late = await asyncio.wait(self._sends, timeout=LAST_WAIT_S)
            if late:
                self._unsent[f"a notice was not sent within {LAST_WAIT_S:g} s"] = None

    async def _remind(self, notice: Notice, event: _Event, *, told: bool) -> None:
        if not told:
            self._send(notice, event())
        while notice.remind_s is not None:
            await asyncio.sleep(notice.remind_s)
            self._send(notice, event())

    def _send(self, notice: Notice, event: Mapping[str, Any]) -> None:
        task = asyncio.create_task(self._sent(notice, event))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    async def _sent(self, notice: Notice, event: Mapping[str, Any]) -> None:
        wrong = await self._notifier.send(notice, event)
        if wrong:
            self._unsent[wrong] = None


def previewed(state: RunState, decision: int) -> str:
    """What each answer to an open *decision* would mean, a line each; "" if it is not open any more."""
    if decision not in state.asking:
        return ""
    if sum(len(stage.nodes) for stage in state.stages) > PREVIEWED:
        return f"What each answer would mean: orch decisions {state.run}"
    means = consequences(state, decision)
    return "\n".join(f"{one.choice}: {one.said}" + (f"; {one.warning}" if one.warning else "") for one in means)
