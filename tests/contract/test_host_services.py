"""HostServices and HostCommand: one suite for the in-memory twin, and for WinRM and SSH against the lab.

Where ways differ in what they tell, the world says so (`Says`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

import pytest
from host_worlds import (
    ODD_NAMES,
    PORT,
    WIRES,
    LabSource,
    LabWorld,
    Site,
    lab_site,
    memory_site,
    running_lab,
    second_way_site,
)

from orchestrator.adapters.memory.fleet import ANYONE_MAY_CONTROL, Fault
from orchestrator.domain.errors import (
    AuthRejected,
    HostError,
    Problem,
    ProblemKind,
    ProtocolError,
    QuotaExceeded,
    Unreachable,
)
from orchestrator.domain.service import Asked, Control, StartType, State
from orchestrator.engine.work.listeners import ARGS, listens

DIES_LATER = 1067
"""A start that Windows takes, and that comes to nothing afterwards."""
Enter = Callable[..., contextlib.AbstractAsyncContextManager[Site]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSource]:
    with running_lab(Path(tmp_path_factory.mktemp("lab")), wires=len(WIRES)) as lab:
        yield lab


@pytest.fixture(params=["memory", "either", *sorted(WIRES)])
def enter(request: pytest.FixtureRequest) -> Enter:
    """Opens a host of one of the worlds for the length of an `async with`."""
    if request.param not in WIRES:
        site = memory_site if request.param == "memory" else second_way_site

        def memory(language: str = "en") -> contextlib.AbstractAsyncContextManager[Site]:
            return site(language)

        return memory
    source: LabSource = request.getfixturevalue("source")

    @contextlib.asynccontextmanager
    async def lab(language: str = "en") -> AsyncIterator[Site]:
        async with lab_site(source, language, wire=WIRES[request.param]) as site:
            yield site
        if not source.lab.log(kind="fault", host=site.name):
            assert isinstance(site.world, LabWorld)
            async with asyncio.timeout(10):
                while site.world.shells_left(site.name):  # noqa: ASYNC110 # a lab sends no events
                    await asyncio.sleep(0.03)

    return lab


def run(test: Coroutine[object, object, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def test_every_state_is_read_in_one_exchange(enter: Enter) -> None:
    async def main() -> None:
        async with enter() as site:
            readings = await site.services.read([Asked(f"In{state}") for state in State])
            assert [reading.found[0].state for reading in readings] == list(State)
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
            assert base.required_by == (("OnTop",) if site.world.says.details else ())
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
            assert [found.name for found in web.found] == ["Web"]
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
