"""HostServices.processes: what runs on a host now. One suite for the twin and for all who reach hosts."""

import asyncio

import host_suite
import pytest
from host_worlds import Enter
from ssh_server import run

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.domain.errors import Unreachable
from orchestrator.domain.service import Asked, Control, State

source, enter = host_suite.source, host_suite.enter

JOINED = ["memory", "either"]
"""Who takes part: a way joins with its name here."""
everybody = pytest.mark.parametrize("enter", JOINED, indirect=True)
NOBODY = 999_996
"""A PID that no host gives out."""


@everybody
def test_who_runs_is_told_in_the_order_asked_and_nobody_else(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            web, slow = (await site.status("Web")).pid, (await site.status("Slow")).pid
            assert web is not None
            assert slow is not None
            found = await site.services.processes([slow, NOBODY, web])
            assert [one.pid for one in found] == [slow, web]
            assert all(one.name for one in found)
            if site.world.says.start:
                booted_at = site.services.booted_at()
                assert booted_at is not None
                assert all(one.started_at is not None and one.started_at > booted_at - 5 for one in found)
                assert {one.parent for one in found} != {None}
                again = await site.services.processes([web])
                assert [one.started_at for one in again] == [found[1].started_at], "a start does not move"
            assert list(await site.services.processes([])) == []
            assert list(await site.services.processes([NOBODY])) == []

    run(main())


@everybody
def test_a_process_is_gone_with_its_service_and_another_one_comes(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            before = (await site.status("Web")).pid
            assert before is not None
            assert (await site.asked("Web", Control.STOP)).problem is None
            await site.until("Web", State.STOPPED)
            async with asyncio.timeout(10):
                while await site.services.processes([before]):  # noqa: ASYNC110 # a host sends no events
                    await asyncio.sleep(0.03)
            assert (await site.asked("Web", Control.START)).problem is None
            after = (await site.until("Web", State.RUNNING)).pid
            assert after is not None
            assert after != before
            assert [one.pid for one in await site.services.processes([before, after])] == [after]

    run(main())


@everybody
def test_processes_are_read_beside_states(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            web = (await site.status("Web")).pid
            assert web is not None
            readings, found = await asyncio.gather(site.services.read([Asked("Web")]), site.services.processes([web]))
            assert (readings[0].found[0].pid, [one.pid for one in found]) == (web, [web])

    run(main())


@everybody
def test_a_host_that_is_down_tells_no_processes_instead_of_none(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            web = (await site.status("Web")).pid
            assert web is not None
            site.world.fault(site.name, Fault.UNREACHABLE, times=None)
            with pytest.raises(Unreachable):
                await site.services.processes([web])
            site.world.clear(site.name)
            assert [one.pid for one in await site.services.processes([web])] == [web]

    run(main())
