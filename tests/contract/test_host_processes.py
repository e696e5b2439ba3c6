"""Processes of a host: which run, whose they are, what outlives a stop, and what a kill and a reboot do to them. On the
same worlds as test_host_services."""

import asyncio
import time

import host_suite
import pytest
from host_worlds import CHILDS_PORT, PORT, WIRES, Enter, LabSource, LabWorld, Site, lab_site
from ssh_server import run

from orchestrator.domain.errors import HostError
from orchestrator.domain.event_log import records, related
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, State
from orchestrator.engine.work.listeners import ARGS, owners

source, enter = host_suite.source, host_suite.enter

NOBODYS = 999_999


async def process_of(site: Site, service: str) -> Process:
    """The process in which a running service lives."""
    pid = (await site.status(service)).pid
    assert pid is not None
    (process,) = await site.services.processes([pid])
    return process


async def kill(site: Site, pid: int | None) -> int | None:
    ran = await site.command.run("taskkill.exe", ["/PID", str(pid), "/T", "/F"], timeout_s=10)
    return ran.exit_code


async def gone(site: Site, pid: int) -> None:
    async with asyncio.timeout(10):
        while await site.services.processes([pid]):  # noqa: ASYNC110 # a host sends no events
            await asyncio.sleep(0.03)


def test_what_runs_is_told_in_the_order_asked(enter: Enter) -> None:
    async def main() -> None:
        async with enter("de") as site:
            assert list(await site.services.processes([])) == []
            base, web = await process_of(site, "Base"), await process_of(site, "Web")
            found = await site.services.processes([web.pid, NOBODYS, base.pid])
            assert list(found) == [web, base]
            assert [one.name for one in found] == ["Web.exe", "Base.exe"]
            for process in found:
                assert (process.started_at is not None) is (process.parent is not None) is site.world.says.births

    run(main())


def test_another_life_has_another_process(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            first = await process_of(site, "Web")
            await site.asked("Web", Control.STOP)
            await gone(site, first.pid)
            await site.asked("Web", Control.START)
            second = await process_of(site, "Web")
            assert second.pid != first.pid
            if site.world.says.births:
                assert (first.started_at or 0) < (second.started_at or 0)
            if isinstance(site.world, LabWorld) and second.started_at is not None:
                assert abs(second.started_at - time.time()) < 60

    run(main())


def test_they_are_told_beside_a_control_that_blocks(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            site.world.behave(site.name, "Web", "hangs-on-stop")
            before = await process_of(site, "Web")
            await site.services.request("Web", Control.STOP)
            found, (reading,) = await asyncio.gather(
                site.services.processes([before.pid]), site.services.read([Asked("Web")])
            )
            assert (list(found), reading.found[0].state) == ([before], State.STOP_PENDING)

    run(main())


def test_a_process_that_outlives_its_stop_keeps_its_port_until_it_is_killed(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            site.world.behave(site.name, "Web", "orphan")
            orphan = await process_of(site, "Web")
            await site.asked("Web", Control.STOP)
            assert (await site.status("Web")).state is State.STOPPED
            assert list(await site.services.processes([orphan.pid])) == [orphan]
            table = (await site.command.run("netstat.exe", ARGS, timeout_s=10)).output
            assert owners(table, PORT) == [orphan.pid]
            assert await kill(site, orphan.pid) == 0
            await gone(site, orphan.pid)
            table = (await site.command.run("netstat.exe", ARGS, timeout_s=10)).output
            assert owners(table, PORT) == []
            assert await kill(site, orphan.pid) == 128

    run(main())


def test_a_shared_process_goes_with_the_last_of_its_services(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            shared = await process_of(site, "Twin.A")
            assert shared == await process_of(site, "Twin.B")
            assert shared.name == "svchost.exe"
            await site.asked("Twin.A", Control.STOP)
            assert list(await site.services.processes([shared.pid])) == [shared]
            assert await kill(site, shared.pid) == 0
            assert (await site.status("Twin.B")).win32_exit_code == 1067

    run(main())


def test_a_port_may_be_a_childs(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            nest = await process_of(site, "Nest")
            table = (await site.command.run("netstat.exe", ARGS, timeout_s=10)).output
            (owner,) = owners(table, CHILDS_PORT) or []
            assert owner != nest.pid
            (child,) = await site.services.processes([owner])
            assert child.parent == (nest.pid if site.world.says.births else None)
            assert await kill(site, nest.pid) == 0
            await gone(site, owner)
            assert site.world.state(site.name, "Nest") is State.STOPPED

    run(main())


def test_all_services_are_read_with_their_processes(enter: Enter) -> None:
    """Who shares a process is told by this, before it is killed. sc.exe can't print every name: then it is refused."""

    async def main() -> None:
        async with enter() as site:
            (reading,) = await site.services.read([Asked("*", pattern=True)])
            if reading.problem is not None:
                assert not site.world.says.details
                return
            pids = {status.name: status.pid for status in reading.found if status.name.isascii()}
            assert pids["Twin.A"] == pids["Twin.B"] == (await process_of(site, "Twin.A")).pid
            running = [status.name for status in reading.found if status.state is not State.STOPPED]
            assert {name for name in running if name.isascii()} == {name for name, pid in pids.items() if pid}

    run(main())


def test_a_killed_service_is_revived_and_the_event_log_tells(enter: Enter) -> None:
    async def main() -> None:
        async with enter("fr") as site:
            site.world.behave(site.name, "Web", "revives", 1)
            first = await process_of(site, "Web")
            assert await kill(site, first.pid) == 0
            assert (await site.until("Web", State.RUNNING)).pid not in (first.pid, None)
            query = (
                "*[System[Provider[@Name='Service Control Manager'] and TimeCreated[timediff(@SystemTime) <= 600000]]]"
            )
            args = ["qe", "System", f"/q:{query}", "/c:30", "/rd:true", "/f:RenderedXml"]
            ran = await site.command.run("wevtutil.exe", args, timeout_s=10)
            told = related(records("System", ran.output), ["Web", "The Web service"])
            assert 7031 in [record.id for record in told]
            assert all(record.text for record in told)

    run(main())


def test_after_a_reboot_nothing_is_as_it_was(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            first, manual = await process_of(site, "Web"), await site.asked("Manual", Control.START)
            assert manual.problem is None
            booted_at = site.services.booted_at()
            site.world.reboot(site.name, 0.3)
            async with asyncio.timeout(20):
                while True:
                    try:
                        status = await site.status("Web")
                        if status.state is State.RUNNING and status.pid != first.pid:
                            break
                    except HostError:
                        pass
                    await asyncio.sleep(0.05)
            assert (await site.status("Manual")).state is State.STOPPED
            assert list(await site.services.processes([first.pid])) == []
            if site.world.says.start and isinstance(site.world, LabWorld):
                assert (site.services.booted_at() or 0) > (booted_at or 0) + 3600

    run(main())


@pytest.mark.parametrize("wire", ["winrm", "ssh-powershell"])
def test_without_the_management_service_presence_is_told_all_the_same(source: LabSource, wire: str) -> None:
    async def main() -> None:
        async with lab_site(source, "de", wire=WIRES[wire]) as site:
            before = await process_of(site, "Web")
            assert isinstance(site.world, LabWorld)
            site.world.lab.order(op="fault", host=site.name, kind="no-cim")
            found = await site.services.processes([NOBODYS, before.pid])
            assert [(one.pid, one.name, one.parent) for one in found] == [(before.pid, "Web.exe", None)]

    run(main())
