"""START and STOP of one unit, on virtual time: what is asked, how often, and what is said in the end."""

import asyncio
from typing import Any

import pytest
from virtual_time import in_virtual_time
from working import Bench, about, bench, node

from orchestrator.adapters.memory.fleet import Fault, MemoryService, refused
from orchestrator.adapters.memory.hosts import MemoryHosts, MemoryLink
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.plan import Role
from orchestrator.domain.results import Acted, Outcome, Phase
from orchestrator.domain.service import Control, State
from orchestrator.engine.ports import ControlAnswer
from orchestrator.engine.work.looks import FINISH_S

CONTROLS = {Phase.START: Control.START, Phase.STOP: Control.STOP}
FROM = {Phase.START: State.STOPPED, Phase.STOP: State.RUNNING}
TO = {Phase.START: State.RUNNING, Phase.STOP: State.STOPPED}
BOTH = pytest.mark.parametrize("phase", [Phase.START, Phase.STOP])


def orders(phase: Phase, **behaviour: Any) -> MemoryService:
    return MemoryService(name="orders", state=FROM[phase], **behaviour)


@BOTH
@in_virtual_time
async def test_a_unit_at_its_goal_is_read_once_and_left_alone(phase: Phase) -> None:
    one = bench(phase, MemoryService(name="orders", state=TO[phase]))
    result = await one.run(phase)
    assert (result.outcome, result.acted, result.before, result.after) == ("ok", "no", TO[phase], TO[phase])
    assert (one.controls, result.exchanges, result.took_s) == ([], 1, 0)
    assert result.said == f"orders@app-01 is {TO[phase]} already"


@BOTH
@in_virtual_time
async def test_a_quick_service_costs_a_read_a_request_and_a_read(phase: Phase) -> None:
    one = bench(phase, orders(phase))
    result = await one.run(phase)
    assert (result.outcome, result.acted, result.before, result.after) == ("ok", "yes", FROM[phase], TO[phase])
    exchanges = 3 if phase is Phase.START else 4  # the process is asked for once
    assert (one.controls, result.exchanges) == ([f"{phase} orders@app-01"], exchanges)
    assert 0.1 < result.took_s < 0.4


@in_virtual_time
async def test_a_slow_service_is_asked_once_and_waited_for() -> None:
    one = bench(Phase.START, orders(Phase.START, start_s=600), timeout_s=900)
    result = await one.run(Phase.START)
    assert result.outcome is Outcome.OK
    assert 600 <= result.took_s <= 602
    assert one.controls == ["start orders@app-01"]
    assert one.fleet.exchanges["app-01", "read"] < 310
    assert one.fleet.exchanges["app-01", "answer"] == 0


@in_virtual_time
async def test_a_service_that_is_up_at_the_very_deadline_is_up() -> None:
    one = bench(Phase.START, orders(Phase.START, start_s=599.99), timeout_s=600)
    result = await one.run(Phase.START)
    assert (result.outcome, result.took_s) == (Outcome.OK, about(600))


@in_virtual_time
async def test_a_pending_service_is_waited_out_before_it_is_asked() -> None:
    service = orders(Phase.STOP)
    one = bench(Phase.STOP, service)
    one.fleet.enter("app-01", service, State.START_PENDING)
    asyncio.get_running_loop().call_later(20, one.fleet.enter, "app-01", service, State.RUNNING)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, result.before) == (Outcome.OK, Acted.YES, "StartPending")
    assert 20 <= result.took_s <= 23


@in_virtual_time
async def test_a_pending_service_that_comes_to_the_goal_is_not_asked() -> None:
    service = orders(Phase.STOP)
    one = bench(Phase.STOP, service)
    one.fleet.enter("app-01", service, State.STOP_PENDING)
    asyncio.get_running_loop().call_later(5, one.fleet.enter, "app-01", service, State.STOPPED)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, one.controls) == (Outcome.OK, Acted.NO, [])
    assert result.said == "orders@app-01 became Stopped without being asked"


@in_virtual_time
async def test_a_service_that_stays_pending_is_never_asked() -> None:
    service = orders(Phase.STOP)
    one = bench(Phase.STOP, service)
    one.fleet.enter("app-01", service, State.START_PENDING)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, one.controls) == (Outcome.FAILED, Acted.NO, [])
    assert result.took_s == about(90)
    assert result.said == (
        "orders@app-01 StartPending, stalled at checkpoint 0 for 90 s (deadline 90 s passed; nothing was asked of it)"
    )


@pytest.mark.parametrize("start_s", [0.0, 0.1, 30.0])
@in_virtual_time
async def test_a_service_that_fails_to_start_is_given_up_at_once_with_its_exit_code(start_s: float) -> None:
    one = bench(Phase.START, orders(Phase.START, start_s=start_s, fails_to_start=1067))
    result = await one.run(Phase.START)
    assert (result.outcome, result.acted, result.after) == (Outcome.FAILED, Acted.YES, "Stopped")
    assert (result.problem is not None, one.controls) == (True, ["start orders@app-01"])
    assert result.problem is not None
    assert result.problem.code == 1067
    assert result.evidence["win32_exit_code"] == "1067"
    assert result.took_s <= start_s + 2.5
    assert "process ended unexpectedly (error 1067)" in result.said


@in_virtual_time
async def test_a_service_that_hangs_while_stopping_is_reported_at_the_deadline_exactly() -> None:
    one = bench(Phase.STOP, orders(Phase.STOP, hangs=frozenset({Control.STOP})))
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, result.after) == (Outcome.FAILED, Acted.YES, "StopPending")
    assert result.took_s == about(90)
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.TIMEOUT
    assert result.said == (
        "orders@app-01 StopPending, stalled at checkpoint 0 for 90 s "
        "(deadline 90 s passed; the stop was not undone and may still finish)"
    )


@in_virtual_time
async def test_a_checkpoint_that_rises_is_told_from_one_that_does_not() -> None:
    one = bench(Phase.STOP, orders(Phase.STOP, stop_s=600, checkpoint_s=11))
    result = await one.run(Phase.STOP)
    assert "checkpoint 9 rose" in result.said
    assert result.evidence["checkpoint"] == "9"
    assert any("checkpoint 5" in note.text for note in one.notes)


REFUSALS = [5, 1051, 1053, 1058, 1069]


@pytest.mark.parametrize("code", REFUSALS)
@BOTH
@in_virtual_time
async def test_a_refusal_fails_at_once_in_the_words_of_the_host(phase: Phase, code: int) -> None:
    problem = refused(code, "Zugriff verweigert [rot]")
    one = bench(phase, orders(phase, refuses={CONTROLS[phase]: problem}))
    result = await one.run(phase)
    assert (result.outcome, result.problem, result.after) == (Outcome.FAILED, problem, FROM[phase])
    assert result.acted is (Acted.YES if code == 1053 else Acted.NO)
    assert (len(one.controls), result.exchanges) == (1, 7 if code in (1053, 1069) else 5)
    assert result.took_s < 0.5
    assert f"(error {code}); the host says: Zugriff verweigert [rot]" in result.said


UNNUMBERED = Problem(ProblemKind.REFUSED, "Accès refusé")


@BOTH
@in_virtual_time
async def test_a_refusal_without_a_number_did_nothing_if_nothing_shows(phase: Phase) -> None:
    one = bench(phase, orders(phase, refuses={CONTROLS[phase]: UNNUMBERED}))
    result = await one.run(phase)
    assert (result.outcome, result.acted, result.problem) == (Outcome.FAILED, Acted.NO, UNNUMBERED)
    assert result.after == FROM[phase]


@in_virtual_time
async def test_a_start_that_may_have_been_tried_leaves_open_whether_something_happened() -> None:
    """It may have fallen back with the same exit code as the time before."""
    service = orders(Phase.START, refuses={Control.START: UNNUMBERED}, win32_exit_code=1067)
    result = await bench(Phase.START, service).run(Phase.START)
    assert (result.outcome, result.acted, result.problem) == (Outcome.FAILED, Acted.MAYBE, UNNUMBERED)


@in_virtual_time
async def test_a_refusal_without_a_number_acted_if_another_process_runs() -> None:
    service = orders(Phase.STOP, refuses={Control.STOP: UNNUMBERED}, pid=100)
    one = bench(Phase.STOP, service)
    asyncio.get_running_loop().call_later(0.05, setattr, service, "pid", 200)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.YES)


@pytest.mark.parametrize(("phase", "code"), [(Phase.START, 1056), (Phase.STOP, 1062)])
@in_virtual_time
async def test_already_there_is_fine_if_the_state_agrees(phase: Phase, code: int) -> None:
    service = orders(phase, refuses={CONTROLS[phase]: refused(code, "already")})
    one = bench(phase, service)
    asyncio.get_running_loop().call_later(0.05, one.fleet.enter, "app-01", service, TO[phase])
    assert (await one.run(phase)).outcome is Outcome.OK
    other = bench(phase, orders(phase, refuses={CONTROLS[phase]: refused(code, "already")}))
    result = await other.run(phase)
    assert (result.outcome, result.problem and result.problem.code) == (Outcome.FAILED, code)


@in_virtual_time
async def test_not_now_is_waited_for_and_asked_again() -> None:
    service = orders(Phase.STOP, refuses={Control.STOP: refused(1061, "not now")})
    one = bench(Phase.STOP, service)
    asyncio.get_running_loop().call_later(5, service.refuses.clear)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted) == (Outcome.OK, Acted.YES)
    assert 3 <= len(one.controls) <= 4  # after about 1, 2 and 4 s


@in_virtual_time
async def test_not_now_until_the_deadline_is_a_failure_that_changed_nothing() -> None:
    one = bench(Phase.STOP, orders(Phase.STOP, refuses={Control.STOP: refused(1061, "pas maintenant")}))
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, result.took_s) == (Outcome.FAILED, Acted.NO, about(90))
    assert result.problem == refused(1061, "pas maintenant")
    assert "the host never took the request (pas maintenant)" in result.said


@in_virtual_time
async def test_a_paused_service_is_resumed_or_stopped() -> None:
    for phase, verb in [(Phase.START, "resume"), (Phase.STOP, "stop")]:
        one = bench(phase, MemoryService(name="orders", state=State.PAUSED))
        assert (await one.run(phase)).outcome is Outcome.OK
        assert one.controls == [f"{verb} orders@app-01"]


@in_virtual_time
async def test_a_service_that_comes_back_after_its_stop_is_not_asked_twice() -> None:
    service = orders(Phase.STOP)
    one = bench(Phase.STOP, service)
    first = service.pid
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, one.fleet.enter, "app-01", service, State.RUNNING)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, one.controls) == (Outcome.FAILED, Acted.YES, ["stop orders@app-01"])
    assert f"(process {first} before, {service.pid} now)" in result.said


@in_virtual_time
async def test_a_missing_service_fails_at_once() -> None:
    one = Bench(State.RUNNING, [node("orders")])
    one.fleet.add("app-01")
    result = await one.run(Phase.START)
    assert (result.outcome, result.acted, result.problem and result.problem.code) == (Outcome.FAILED, Acted.NO, 1060)


# What the wire does.


@pytest.mark.parametrize("kind", [Fault.UNREACHABLE, Fault.CUT_BEFORE, Fault.QUOTA])
@BOTH
@in_virtual_time
async def test_a_control_that_was_not_sent_is_sent_again(phase: Phase, kind: Fault) -> None:
    one = bench(phase, orders(phase))
    one.fleet.fault("app-01", kind, times=2, on=(CONTROLS[phase].value,))
    result = await one.run(phase)
    assert (result.outcome, result.acted) == (Outcome.OK, Acted.YES)
    assert one.controls == [f"{phase} orders@app-01"] * 3
    assert 2 < result.took_s < 3.5  # about 1 s and 2 s, each up to a fifth less


@pytest.mark.parametrize("kind", [Fault.CUT_AFTER, Fault.GARBAGE])
@BOTH
@in_virtual_time
async def test_a_control_whose_answer_was_lost_is_judged_by_the_state(phase: Phase, kind: Fault) -> None:
    one = bench(phase, orders(phase, start_s=5, stop_s=5))
    one.fleet.fault("app-01", kind, on=(CONTROLS[phase].value,))
    result = await one.run(phase)
    assert (result.outcome, result.acted) == (Outcome.OK, Acted.YES)
    assert one.controls == [f"{phase} orders@app-01"]


@pytest.mark.parametrize("kind", [Fault.CUT_DURING, Fault.SILENT])
@BOTH
@in_virtual_time
async def test_a_control_that_may_have_arrived_is_never_sent_twice(phase: Phase, kind: Fault) -> None:
    one = bench(phase, orders(phase))
    one.fleet.fault("app-01", kind, on=(CONTROLS[phase].value,))
    result = await one.run(phase)
    assert (result.outcome, result.acted, result.after) == (Outcome.FAILED, Acted.MAYBE, FROM[phase])
    assert one.controls == [f"{phase} orders@app-01"]
    assert result.took_s == about(90)
    assert f"the answer to the {phase} was lost, it was not asked again and may still happen" in result.said


@BOTH
@in_virtual_time
async def test_lost_after_the_request_and_never_back_is_unknown(phase: Phase) -> None:
    one = bench(phase, orders(phase))
    one.fleet.fault("app-01", Fault.CUT_AFTER, on=(CONTROLS[phase].value,))
    first = await_fault(one)
    result = await one.run(phase)
    await first
    assert (result.outcome, result.acted, result.before, result.after) == (
        Outcome.UNKNOWN, Acted.MAYBE, FROM[phase], "",
    )  # fmt: skip
    assert one.controls == [f"{phase} orders@app-01"]
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.UNREACHABLE
    assert "sent and its answer lost: read the state before asking again" in result.said


def await_fault(one: Bench) -> "asyncio.Task[None]":
    """From 0.1 s on the host can't be reached any more."""

    async def later() -> None:
        await asyncio.sleep(0.1)
        one.fleet.fault("app-01", Fault.UNREACHABLE, times=None)

    return asyncio.create_task(later())


@in_virtual_time
async def test_unreachable_and_then_back_is_waited_for() -> None:
    one = bench(Phase.START, orders(Phase.START))
    one.fleet.fault("app-01", Fault.UNREACHABLE, times=4, on=("read",))
    result = await one.run(Phase.START)
    assert (result.outcome, result.acted) == (Outcome.OK, Acted.YES)
    assert 12 < result.took_s < 15.5  # 1 + 2 + 4 + 8 s, each up to a fifth less
    assert any("trying again" in note.text for note in one.notes)


@in_virtual_time
async def test_unreachable_until_the_deadline_is_unknown_and_nothing_was_asked() -> None:
    one = bench(Phase.START, orders(Phase.START))
    one.fleet.fault("app-01", Fault.UNREACHABLE, times=None)
    result = await one.run(Phase.START)
    assert (result.outcome, result.acted, result.after) == (Outcome.UNKNOWN, Acted.NO, "")
    assert (one.controls, result.took_s) == ([], about(90))


@in_virtual_time
async def test_a_host_that_went_silent_holds_a_step_a_few_seconds_longer_at_most() -> None:
    one = bench(Phase.START, orders(Phase.START))
    one.fleet.hosts["app-01"].silence_s = 10_000
    one.fleet.fault("app-01", Fault.SILENT, times=None)
    result = await one.run(Phase.START)
    assert (result.outcome, result.took_s) == (Outcome.UNKNOWN, about(90 + FINISH_S))


@in_virtual_time
async def test_rejected_credentials_are_tried_once() -> None:
    one = bench(Phase.START, orders(Phase.START))
    one.fleet.fault("app-01", Fault.AUTH)
    result = await one.run(Phase.START)
    assert (result.outcome, result.acted, result.took_s) == (Outcome.FAILED, Acted.NO, 0)
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.AUTH
    assert one.fleet.exchanges.total() == 1


@in_virtual_time
async def test_credentials_rejected_after_the_request_leave_it_unknown() -> None:
    one = bench(Phase.START, orders(Phase.START, start_s=30))
    one.fleet.fault("app-01", Fault.CUT_AFTER, on=("start",))
    asyncio.get_running_loop().call_later(0.1, one.fleet.fault, "app-01", Fault.AUTH)
    result = await one.run(Phase.START)
    assert (result.outcome, result.acted) == (Outcome.UNKNOWN, Acted.MAYBE)


class OneLink(MemoryHosts):
    """Hosts whose every link is *link*."""

    def __init__(self, link: MemoryLink, one: Bench) -> None:
        super().__init__(one.fleet)
        self.link = link

    def services(self, host: str) -> MemoryLink:
        return self.link


class StuckLink(MemoryLink):
    """A host that takes a request and never says that it did."""

    async def request(self, name: str, control: Control) -> None:
        await super().request(name, control)
        await asyncio.sleep(10_000)


@in_virtual_time
async def test_a_request_that_blocks_is_left_at_the_deadline_and_judged_by_the_state() -> None:
    one = bench(Phase.STOP, orders(Phase.STOP))
    hosts = OneLink(StuckLink(one.fleet, one.fleet.hosts["app-01"]), one)
    result = await Bench(State.STOPPED, one.nodes, one.fleet, hosts=hosts).run(Phase.STOP)
    assert (result.outcome, result.acted, result.took_s) == (Outcome.OK, Acted.YES, about(90))
    assert one.controls == ["stop orders@app-01"]


class PonderingLink(MemoryLink):
    """A host that says no half a minute after it was asked, as Windows does for a service that doesn't listen."""

    asked_at_s = 0.0

    async def request(self, name: str, control: Control) -> None:
        self.asked_at_s = asyncio.get_running_loop().time()
        await super().request(name, control)

    async def answer(self, name: str) -> ControlAnswer:
        if asyncio.get_running_loop().time() < self.asked_at_s + 30:
            return ControlAnswer(ended=False)
        return await super().answer(name)


@BOTH
@in_virtual_time
async def test_a_late_refusal_without_a_number_leaves_open_whether_something_happened(phase: Phase) -> None:
    one = bench(phase, orders(phase, refuses={CONTROLS[phase]: UNNUMBERED}))
    hosts = OneLink(PonderingLink(one.fleet, one.fleet.hosts["app-01"]), one)
    result = await Bench(TO[phase], one.nodes, one.fleet, hosts=hosts).run(phase)
    assert (result.outcome, result.acted, result.problem) == (Outcome.FAILED, Acted.MAYBE, UNNUMBERED)


class BrokenLink(MemoryLink):
    """An adapter with a bug."""

    async def request(self, name: str, control: Control) -> None:
        raise KeyError("oops")


@in_virtual_time
async def test_a_bug_of_ours_is_a_result_that_says_so() -> None:
    one = bench(Phase.STOP, orders(Phase.STOP))
    hosts = OneLink(BrokenLink(one.fleet, one.fleet.hosts["app-01"]), one)
    result = await Bench(State.STOPPED, one.nodes, one.fleet, hosts=hosts).run(Phase.STOP)
    assert (result.outcome, result.acted) == (Outcome.UNKNOWN, Acted.MAYBE)
    assert result.problem is not None
    assert (result.problem.kind, result.problem.text) == (ProblemKind.INTERNAL, "KeyError: 'oops'")
    assert "KeyError" in result.evidence["traceback"]


@in_virtual_time
async def test_a_unit_outside_the_choice_is_never_acted_on() -> None:
    one = Bench(State.STOPPED, [node("orders", role=Role.PROBE)])
    one.fleet.add("app-01", orders(Phase.STOP))
    result = await one.run(Phase.STOP)
    assert (result.outcome, one.controls) == (Outcome.UNKNOWN, [])
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.INTERNAL


@in_virtual_time
async def test_a_cancelled_step_says_so_and_nothing_else() -> None:
    one = bench(Phase.START, orders(Phase.START, start_s=600), timeout_s=900)
    task = asyncio.create_task(one.run(Phase.START))
    await asyncio.sleep(100)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.controls == ["start orders@app-01"]
