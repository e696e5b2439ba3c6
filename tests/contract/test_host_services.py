"""HostServices and HostCommand: one suite for the in-memory twin, and for WinRM and SSH against the lab.

Where ways differ in what they tell, the world says so (`Says`). What goes wrong: test_host_trouble.
"""

import asyncio
import time

import host_suite
import pytest
from host_worlds import ODD_NAMES, PORT, Enter, LabWorld
from ssh_server import run

from orchestrator.adapters.memory.fleet import ANYONE_MAY_CONTROL
from orchestrator.domain.errors import HostError, Problem, ProblemKind
from orchestrator.domain.service import Asked, Control, StartType, State
from orchestrator.engine.work.listeners import ARGS, listens

source, enter = host_suite.source, host_suite.enter

DIES_LATER = 1067
"""A start that Windows takes, and that comes to nothing afterwards."""


def test_every_state_of_fifty_services_is_read_in_one_exchange(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            there = [Asked(f"In{state}") for state in State]
            nowhere = [Asked(f"Nowhere-{number}") for number in range(50 - len(there))]
            readings = await site.services.read([*nowhere, *there])
            assert [reading.found[0].state for reading in readings[len(nowhere) :]] == list(State)
            assert {reading.problem.code for reading in readings if reading.problem} == {1060}
            assert site.world.reads(site.name) == 1

    run(main())


def test_a_status_tells_all_that_the_host_knows(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            web, off, base = [
                reading.found[0] for reading in await site.services.read([Asked("web"), Asked("Off"), Asked("Base")])
            ]
            assert (web.name, web.start_type, web.can_stop) == ("Web", StartType.AUTOMATIC, True)
            assert web.pid is not None
            assert bool(web.display_name) is site.world.says.details
            assert (off.state, off.start_type, off.pid) == (State.STOPPED, StartType.DISABLED, None)
            assert base.required_by == ("OnTop",)
            assert (await site.status("OnTop")).requires == ("Base",)

    run(main())


def test_one_missing_name_leaves_the_others_whole(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            first, missing, last = await site.services.read([Asked("Web"), Asked("Nope"), Asked("Idle")])
            assert (first.found[0].state, last.found[0].state) == (State.RUNNING, State.STOPPED)
            assert missing.found == ()
            assert missing.problem is not None
            assert missing.problem.code == 1060

    run(main())


def test_a_read_tells_when_the_host_started(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            for number in (1, 2):
                await site.status("Web")
                booted_at = site.services.booted_at()
                assert site.world.reads(site.name) == number
                if not site.world.says.start:
                    assert booted_at is None
                elif isinstance(site.world, LabWorld):
                    assert booted_at is not None
                    # Three days ago when the lab began.
                    assert -5 < time.time() - booted_at - 3 * 86400 < 3600
                else:
                    assert booted_at == 1_767_225_600.0

    run(main())


def test_nothing_asked_costs_nothing(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            assert list(await site.services.read([])) == []

    run(main())


def test_patterns_know_star_and_question_mark_alone(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            asked = [Asked("orders.*", pattern=True), Asked("W?b", pattern=True), Asked("[ab]*", pattern=True)]
            orders, web, none = await site.services.read(asked)
            assert [found.name for found in orders.found] == ["Orders.Api", "Orders.Worker"]
            assert [(found.name, found.start_type) for found in web.found] == [("Web", StartType.AUTOMATIC)]
            assert (none.found, none.problem) == ((), None)

    run(main())


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_taken_literally(enter: Enter, name: str) -> None:
    async def main() -> None:
        async with enter() as site:
            assert (await site.status(name)).name == name
            answer = await site.asked(name, Control.STOP)
            assert answer.problem is None
            assert site.world.state(site.name, name) is State.STOPPED
            assert site.world.state(site.name, "abbc") is State.RUNNING

    run(main())


@pytest.mark.parametrize("name", ["Orders.*", "W?b", "[W]eb", "*"])
@pytest.mark.parametrize("control", [Control.STOP, Control.START])
def test_a_wildcard_in_a_literal_name_reaches_nothing(enter: Enter, name: str, control: Control) -> None:
    async def main() -> None:
        async with enter() as site:
            (reading,) = await site.services.read([Asked(name)])
            assert reading.problem is not None
            assert reading.problem.code == 1060
            answer = await site.asked(name, control)
            assert answer.problem is not None
            assert answer.problem.code == 1060
            assert site.world.state(site.name, "Web") is State.RUNNING
            assert site.world.state(site.name, "Orders.Api") is State.RUNNING

    run(main())


def test_stop_and_start_are_handed_over_and_come_true(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            await site.services.request("Web", Control.STOP)
            await site.until("Web", State.STOPPED)
            assert await site.answered("Web") == await site.services.answer("Web")
            await site.services.request("web", Control.START)
            assert (await site.until("Web", State.RUNNING)).pid is not None
            assert (await site.answered("Web")).problem is None

    run(main())


def test_a_paused_service_is_resumed(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            assert (await site.asked("InPaused", Control.RESUME)).problem is None
            assert site.world.state(site.name, "InPaused") is State.RUNNING

    run(main())


def test_a_slow_service_shows_its_progress(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            await site.services.request("Slow", Control.STOP)
            seen = [await site.status("Slow")]
            while seen[-1].state is not State.STOPPED:
                await asyncio.sleep(0.1)
                seen.append(await site.status("Slow"))
            pending = [status for status in seen if status.state is State.STOP_PENDING]
            assert pending[-1].checkpoint > pending[0].checkpoint
            assert {status.wait_hint_s for status in pending} == {5.0}
            assert (await site.answered("Slow")).problem is None

    run(main())


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize(
    ("service", "control", "code"),
    [
        ("Base", Control.STOP, 1051),
        ("Stubborn", Control.STOP, 1052),
        ("Off", Control.START, 1058),
        ("Nope", Control.START, 1060),
        ("Nope", Control.STOP, 1060),
        ("InStartPending", Control.STOP, 1061),
        ("Idle", Control.RESUME, 1062),
    ],
)
def test_a_refusal_has_its_number_in_every_language(
    enter: Enter, language: str, service: str, control: Control, code: int
) -> None:
    async def main() -> None:
        async with enter(language) as site:
            await site.services.read([Asked(service)])
            problem = (await site.asked(service, control)).problem
            assert problem is not None
            assert (problem.kind, problem.code) == (ProblemKind.REFUSED, code)
            assert problem.text

    run(main())


@pytest.mark.parametrize(("service", "control"), [("Web", Control.START), ("Idle", Control.STOP)])
def test_what_is_so_already_is_no_error(enter: Enter, service: str, control: Control) -> None:
    """1056 and 1062: the cmdlets swallow them."""

    async def main() -> None:
        async with enter() as site:
            assert (await site.asked(service, control)).problem is None

    run(main())


@pytest.mark.parametrize("code", [1053, 1067, 1069])
def test_a_failed_start_has_the_number_of_its_failure(enter: Enter, code: int) -> None:
    async def main() -> None:
        async with enter("de") as site:
            site.world.behave(site.name, "Idle", "fails-to-start", code)
            await site.services.read([Asked("Idle")])
            problem = (await site.asked("Idle", Control.START)).problem
            if site.world.says.waits or code != DIES_LATER:
                assert problem is not None
                assert (problem.kind, problem.code) == (ProblemKind.REFUSED, code)
            await site.until("Idle", State.STOPPED)
            status = await site.status("Idle")
            assert (status.state, status.win32_exit_code) == (State.STOPPED, code)

    run(main())


def test_access_denied_is_a_refusal_with_the_hosts_text(enter: Enter) -> None:
    """Windows PowerShell 5.1 sends no number for it, and none is guessed."""

    async def main() -> None:
        async with enter() as site:
            site.world.behave(site.name, "Web", "refuses")
            problem = (await site.asked("Web", Control.STOP)).problem
            assert problem is not None
            assert problem.kind is ProblemKind.REFUSED
            assert problem.code in (5, None)
            assert problem.text
            assert site.world.state(site.name, "Web") is State.RUNNING

    run(main())


def test_states_are_read_beside_a_control_that_blocks(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            site.world.behave(site.name, "Web", "hangs-on-stop")
            await site.services.request("Web", Control.STOP)
            assert (await site.until("Web", State.STOP_PENDING)).name == "Web"
            assert (await site.services.answer("Web")).ended is False or not site.world.says.waits
            assert (await site.asked("Manual", Control.START)).problem is None
            assert (await site.until("Manual", State.RUNNING)).name == "Manual"
            assert (await site.services.answer("Web")).ended is False or not site.world.says.waits

    run(main())


def test_security_and_facts_are_read_only(enter: Enter) -> None:
    async def main() -> None:
        async with enter("fr") as site:
            web, nope, idle = await site.services.security(["Web", "Nope", "Idle"])
            assert web == idle == ANYONE_MAY_CONTROL
            assert isinstance(nope, Problem)
            assert nope.code == 1060
            facts = await site.services.facts()
            if site.world.says.clock:
                assert facts.version.startswith("5.1")
                assert facts.clock_skew_s is not None
                assert abs(facts.clock_skew_s) < 1.0

    run(main())


def test_a_program_ends_with_its_exit_code(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            for code in (0, 3):
                output = await site.command.run("lab-exit.exe", [str(code), "all well"], timeout_s=10)
                assert (output.exit_code, output.output.strip()) == (code, "all well")
            with pytest.raises(HostError):
                await site.command.run("no-such-program.exe", [], timeout_s=10)

    run(main())


def test_the_listener_table_tells_of_open_ports(enter: Enter) -> None:
    async def main() -> None:
        async with enter("de") as site:
            table = (await site.command.run("netstat.exe", ARGS, timeout_s=10)).output
            assert listens(table, PORT) is True
            assert (await site.asked("Web", Control.STOP)).problem is None
            table = (await site.command.run("netstat.exe", ARGS, timeout_s=10)).output
            assert listens(table, PORT) is False

    run(main())
