"""HostServices where things go wrong: faults, quotas, rejected credentials, cancelling, closing. On the same worlds as
test_host_services."""

import asyncio
import contextlib

import host_suite
import pytest
from host_worlds import Enter, LabWorld
from ssh_server import run

from orchestrator.adapters.memory.fleet import Fault
from orchestrator.domain.errors import AuthRejected, ProblemKind, ProtocolError, QuotaExceeded, Unreachable
from orchestrator.domain.service import Asked, Control, State

source, enter = host_suite.source, host_suite.enter


@pytest.mark.parametrize("kind", [Fault.CUT_BEFORE, Fault.CUT_DURING, Fault.CUT_AFTER, Fault.GARBAGE])
def test_a_read_that_breaks_is_told_and_the_next_one_is_whole(enter: Enter, kind: Fault) -> None:
    async def main() -> None:
        async with enter() as site:
            await site.status("Web")
            site.world.fault(site.name, kind, on="read")
            with pytest.raises(ProtocolError if kind is Fault.GARBAGE else Unreachable):
                await site.status("Web")
            assert (await site.status("Web")).state is State.RUNNING

    run(main())


@pytest.mark.parametrize("kind", [Fault.CUT_BEFORE, Fault.CUT_DURING, Fault.CUT_AFTER, Fault.GARBAGE])
def test_a_request_that_breaks_is_never_called_unsent_when_it_was_carried_out(enter: Enter, kind: Fault) -> None:
    async def main() -> None:
        async with enter() as site:
            await site.status("Web")
            site.world.fault(site.name, kind, on="stop")
            try:
                await site.services.request("Web", Control.STOP)
            except (Unreachable, ProtocolError) as error:
                sent = error.sent
            else:  # the host took it, and what it said after that was cut off
                assert isinstance(site.world, LabWorld)
                assert kind in (Fault.CUT_DURING, Fault.GARBAGE)
                sent = True
                while not (await site.services.answer("Web")).ended:  # noqa: ASYNC110 # a host sends no events
                    await asyncio.sleep(0.03)
            await asyncio.sleep(0.3)
            if site.world.controls(site.name, "Web"):
                assert sent
            (reading,) = await site.services.read([Asked("Web")])
            assert reading.found[0].state is site.world.state(site.name, "Web")
            assert len(site.world.controls(site.name, "Web")) <= 2, "the request was repeated"

    run(main())


def test_a_control_whose_session_is_lost_ends_unreachable(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            site.world.behave(site.name, "Web", "hangs-on-stop")
            await site.services.request("Web", Control.STOP)
            site.world.fault(site.name, Fault.CUT_DURING, on="read")
            with pytest.raises(Unreachable):
                await site.services.read([Asked("Web")])
            answer = await site.services.answer("Web")
            assert answer.ended
            if site.world.says.waits:
                assert answer.problem is not None
                assert answer.problem.kind is ProblemKind.UNREACHABLE
            assert (await site.status("Web")).state is State.STOP_PENDING

    run(main())


def test_a_host_that_is_down_was_not_asked(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            site.world.fault(site.name, Fault.UNREACHABLE, times=None)
            for ask in (site.services.read([Asked("Web")]), site.services.request("Web", Control.STOP)):
                with pytest.raises(Unreachable) as caught:
                    await ask
                assert caught.value.sent is False
            site.world.clear(site.name)
            assert (await site.status("Web")).state is State.RUNNING

    run(main())


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


def test_a_silent_host_is_given_up_in_time(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            await site.status("Web")
            site.world.fault(site.name, Fault.SILENT, times=None)
            async with asyncio.timeout(20):
                with pytest.raises(Unreachable):
                    await site.services.read([Asked("Web")])
            site.world.clear(site.name)
            assert (await site.status("Web")).state is State.RUNNING

    run(main())


def test_rejected_credentials_are_never_tried_twice(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            site.world.fault(site.name, Fault.AUTH, times=None)
            for ask in (
                site.services.read([Asked("Web")]),
                site.services.request("Web", Control.STOP),
                site.services.facts(),
                site.command.run("hostname.exe", [], timeout_s=5),
            ):
                with pytest.raises(AuthRejected) as caught:
                    await ask
                assert caught.value.sent is False
            assert site.world.sign_ins(site.name) == 1

    run(main())


def test_a_quota_is_told_as_one_and_may_pass(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            site.world.fault(site.name, Fault.QUOTA)
            with pytest.raises(QuotaExceeded) as caught:
                await site.services.request("Web", Control.STOP)
            assert caught.value.sent is False
            site.world.clear(site.name)
            assert (await site.asked("Web", Control.STOP)).problem is None

    run(main())


def test_cancelling_leaves_the_host_usable(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            for delay_s in (0.0, 0.001, 0.01, 0.05):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await site.services.read([Asked("Web")])
            assert (await site.status("Web")).state is State.RUNNING

    run(main())


def test_closing_twice_and_before_anything_is_harmless(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            await site.services.aclose()
            await site.status("Web")
            await site.services.aclose()
            await site.services.aclose()

    run(main())


def test_closing_a_host_that_went_down_is_quick(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            await site.status("Web")
            site.world.fault(site.name, Fault.SILENT, times=None)
            async with asyncio.timeout(6):
                await site.services.aclose()
            site.world.clear(site.name)

    run(main())
