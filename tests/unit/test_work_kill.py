"""KILL: exactly that process, never somebody else's, and read back."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest
from virtual_time import in_virtual_time
from working import Bench, about, bench

from orchestrator.adapters.memory.fleet import Fault, MemoryProcess, MemoryService
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.life import IfStuck, Life
from orchestrator.domain.results import Acted, Outcome, Phase
from orchestrator.domain.service import Control, ServiceStatus, State
from orchestrator.engine.ports import CommandOutput
from orchestrator.engine.work.kill import SURE_S

ASK = Life(if_stuck=IfStuck.ASK)


def stuck(life: Life = ASK, **more: Any) -> Bench:
    service = MemoryService(name="orders", state=State.RUNNING, hangs=frozenset({Control.STOP}), **more)
    return bench(Phase.STOP, service, timeout_s=20, life=life)


async def killed(one: Bench) -> Any:
    assert (await one.run(Phase.STOP)).outcome is Outcome.FAILED
    return await one.run(Phase.KILL)


@in_virtual_time
async def test_a_stuck_stop_is_ended_with_its_children_and_nothing_else() -> None:
    one = stuck()
    child = one.fleet.spawn("app-01", "java.exe", parent=1004)
    other = one.fleet.spawn("app-01", "backup.exe")
    result = await killed(one)
    assert (result.outcome, result.acted, result.before, result.after) == ("ok", "yes", "StopPending", "Stopped")
    left = one.fleet.processes(one.fleet.hosts["app-01"])
    assert child.pid not in left
    assert other.pid in left
    assert result.evidence["killed"] == "1004 (orders.exe, started 2026-01-01 00:00:00 UTC)"
    assert [asked for asked in one.fleet.asked if "taskkill" in asked] == ["run taskkill.exe@app-01"]


@in_virtual_time
async def test_an_orphan_is_ended() -> None:
    service = MemoryService(name="orders", state=State.RUNNING, lingers_s=math.inf)
    one = bench(Phase.STOP, service, timeout_s=20, life=ASK)
    result = await killed(one)
    assert (result.outcome, result.acted, result.after) == ("ok", "yes", "Stopped")
    again = await one.run(Phase.KILL, attempt=2)
    assert (again.outcome, again.acted) == (Outcome.OK, Acted.NO)


@in_virtual_time
async def test_what_recovery_actions_revive_is_stopped_again() -> None:
    one = stuck(revives_s=3.0)
    service = one.fleet.service("orders", "app-01")
    asyncio.get_running_loop().call_later(20.5, setattr, service, "hangs", frozenset())
    result = await killed(one)
    assert (result.outcome, result.acted, service.state) == ("ok", "yes", State.STOPPED)
    assert "revived 1 time, and stopped again" in result.said
    assert one.controls == ["stop orders@app-01"] * 2


@pytest.mark.parametrize("times", [3, 4])
@in_virtual_time
async def test_what_is_revived_again_and_again_is_watched_to_the_last_and_has_failed(times: int) -> None:
    one = stuck()
    service = one.fleet.service("orders", "app-01")

    async def revive() -> None:
        left = times
        for _ in range(100):
            await asyncio.sleep(4.0)
            if left and service.state is State.STOPPED:
                service.hangs, left = frozenset(), left - 1
                one.fleet.enter("app-01", service, State.RUNNING)

    reviving = asyncio.create_task(revive())
    result = await killed(one)
    await reviving
    assert "revived 3 times, and stopped again" in result.said
    assert one.controls == ["stop orders@app-01"] * 4
    assert (result.outcome, result.after) == (("ok", "Stopped") if times == 3 else ("failed", "Running"))
    if times == 4:
        assert "is Running once more within 10 s: it does not stay stopped" in result.said
        assert "keep_down" in result.problem.hint


@pytest.mark.parametrize("allowed", [(), ("themes",), ("Themes", "Winmgmt")])
@in_virtual_time
async def test_who_shares_the_process_is_never_ended_unless_named(allowed: tuple[str, ...]) -> None:
    one = stuck(replace(ASK, kill_shared=allowed), shares="netsvcs")
    for name in ("Themes", "Winmgmt"):
        one.fleet.add("app-01", MemoryService(name=name, state=State.RUNNING, shares="netsvcs"))
    result = await killed(one)
    if len(allowed) == 2:
        assert (result.outcome, one.fleet.service("Themes", "app-01").state) == (Outcome.OK, State.STOPPED)
        assert "and with it Themes, Winmgmt" in result.said
        return
    assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.NO)
    assert result.problem.kind is ProblemKind.REFUSED
    assert f"is shared with {'Themes, Winmgmt' if not allowed else 'Winmgmt'}, which would end with it" in result.said
    assert not [asked for asked in one.fleet.asked if "taskkill" in asked]


@in_virtual_time
async def test_who_runs_in_a_process_that_nobody_tells_may_share_it_so_nothing_is_ended() -> None:
    one = stuck(replace(ASK, kill_shared=("Themes",)))
    one.fleet.add("app-01", MemoryService(name="Winmgmt", state=State.RUNNING))
    one.fleet.service("Winmgmt", "app-01").pid = None
    result = await killed(one)
    assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.NO)
    assert "can't be told: no process of Winmgmt" in result.said
    assert not [asked for asked in one.fleet.asked if "taskkill" in asked]


@in_virtual_time
async def test_a_pid_that_belongs_to_another_process_now_is_left_alone() -> None:
    service = MemoryService(name="orders", state=State.RUNNING, lingers_s=math.inf)
    one = bench(Phase.STOP, service, timeout_s=20, life=ASK)
    assert (await one.run(Phase.STOP)).outcome is Outcome.FAILED
    table = one.fleet.hosts["app-01"].processes
    table[1004] = MemoryProcess(pid=1004, name="backup.exe", parent=4, started_at=table[1004].started_at + 500)
    result = await one.run(Phase.KILL)
    assert (result.outcome, result.acted) == (Outcome.OK, Acted.NO)
    assert 1004 in table


@in_virtual_time
async def test_a_process_that_goes_while_the_host_lists_its_services_is_not_ended_under_another_name() -> None:
    one = stuck()
    await one.run(Phase.STOP)
    host = one.fleet.hosts["app-01"]
    host.latency_s = 2.0

    def goes() -> None:
        one.fleet.end("app-01", 1004)
        host.processes[1004] = MemoryProcess(pid=1004, name="backup.exe", parent=4, started_at=9e9)

    asyncio.get_running_loop().call_later(5.0, goes)
    result = await one.run(Phase.KILL)
    assert (result.outcome, result.acted, result.after) == (Outcome.OK, Acted.NO, "Stopped"), result.said
    assert 1004 in host.processes
    assert not [asked for asked in one.fleet.asked if "taskkill" in asked]


@in_virtual_time
async def test_who_has_forgotten_which_process_it_was_ends_none() -> None:
    one = bench(Phase.STOP, MemoryService(name="orders"), life=ASK)
    unit = one.nodes[0].unit
    seen = replace(unit, seen=ServiceStatus(name="orders", state=State.RUNNING, pid=1004), booted_at=1.0)
    other = Bench(State.STOPPED, [replace(one.nodes[0], unit=seen)], one.fleet)
    result = await other.run(Phase.KILL)
    assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.NO)
    assert "retry the stop" in result.said


@pytest.mark.parametrize("told", [True, False], ids=["by its start", "by its PID alone"])
@in_virtual_time
async def test_a_pid_from_the_plan_is_no_leave_to_kill_however_often_the_stop_is_tried(told: bool) -> None:
    """A run that was taken up again finds the PID of hours ago in use: by whom, nobody knows."""
    fleet = Bench(State.STOPPED, []).fleet
    fleet.add("app-01", MemoryService(name="orders"))
    other, host = fleet.spawn("app-01", "backup.exe"), fleet.hosts["app-01"]
    plan = bench(Phase.STOP, MemoryService(name="orders"), timeout_s=20, life=Life(if_stuck=IfStuck.KILL)).nodes[0]
    seen = ServiceStatus(name="orders", state=State.RUNNING, pid=other.pid)
    booted_at = host.booted_at
    if not told:
        host.booted_at = None
    one = Bench(State.STOPPED, [replace(plan, unit=replace(plan.unit, seen=seen, booted_at=booted_at))], fleet)
    stop = await one.run(Phase.STOP, attempt=2)
    assert stop.problem is not None
    assert stop.problem.kind is ProblemKind.ORPHAN
    result = await one.run(Phase.KILL, attempt=2)
    assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.NO)
    assert "is the one that it had is not known" in result.said
    assert other.pid in host.processes


@pytest.mark.parametrize("name", ["orders.exe", "backup.exe"])
@in_virtual_time
async def test_where_no_start_is_told_an_orphan_is_known_by_its_program_too(name: str) -> None:
    service = MemoryService(name="orders", state=State.RUNNING, lingers_s=math.inf)
    one = bench(Phase.STOP, service, timeout_s=20, life=ASK)
    host = one.fleet.hosts["app-01"]
    host.booted_at = None
    assert (await one.run(Phase.STOP)).outcome is Outcome.FAILED
    host.processes[1004] = replace(host.processes[1004], name=name)
    result = await one.run(Phase.KILL)
    same = name == "orders.exe"
    assert (result.outcome, 1004 in host.processes) == ((Outcome.OK, False) if same else (Outcome.FAILED, True))


@in_virtual_time
async def test_who_was_on_its_way_down_before_the_run_came_is_known_and_ended() -> None:
    service = MemoryService(name="orders", state=State.STOP_PENDING, hangs=frozenset({Control.STOP}))
    one = bench(Phase.STOP, service, timeout_s=20, life=ASK)
    service.lingers_s = math.inf
    result = await killed(one)
    assert (result.outcome, result.acted, result.after) == ("ok", "yes", "Stopped")


@pytest.mark.parametrize("state", [State.RUNNING, State.START_PENDING, State.PAUSED])
@in_virtual_time
async def test_only_who_is_on_the_way_down_is_ended(state: State) -> None:
    one = bench(Phase.STOP, MemoryService(name="orders", state=state), life=ASK)
    result = await one.run(Phase.KILL)
    assert (result.outcome, result.acted, one.fleet.asked) == (Outcome.FAILED, Acted.NO, [])


@in_virtual_time
async def test_a_process_that_its_host_can_t_be_without_is_never_ended() -> None:
    service = MemoryService(name="lsass", state=State.RUNNING, hangs=frozenset({Control.STOP}))
    result = await killed(bench(Phase.STOP, service, timeout_s=20, life=ASK))
    assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.NO)
    assert "can't be without" in result.said


@pytest.mark.parametrize(("fault", "outcome", "acted"), [
    (Fault.UNREACHABLE, Outcome.UNKNOWN, Acted.NO),
    (Fault.CUT_AFTER, Outcome.OK, Acted.YES),
    (Fault.CUT_DURING, Outcome.FAILED, Acted.MAYBE),
])  # fmt: skip
@in_virtual_time
async def test_a_lost_answer_is_judged_by_the_process(fault: Fault, outcome: Outcome, acted: Acted) -> None:
    one = stuck()
    await one.run(Phase.STOP)
    one.fleet.fault("app-01", fault, on=("run",))
    result = await one.run(Phase.KILL)
    assert (result.outcome, result.acted) == (outcome, acted), result.said
    if outcome is Outcome.FAILED:
        assert result.problem is not None
        assert (result.problem.kind, result.evidence["pid_after"]) == (ProblemKind.TIMEOUT, "1004")
        assert "orphan" not in result.evidence, "it is on its way down yet"


@in_virtual_time
async def test_a_host_that_goes_silent_holds_a_kill_a_minute_and_nothing_is_ended() -> None:
    one = stuck()
    await one.run(Phase.STOP)
    one.fleet.hosts["app-01"].silence_s = 10_000
    one.fleet.fault("app-01", Fault.SILENT, times=None, on=("processes",))
    result = await one.run(Phase.KILL)
    assert (result.outcome, result.acted, result.took_s) == (Outcome.UNKNOWN, Acted.NO, about(SURE_S))


@in_virtual_time
async def test_a_process_that_can_t_be_ended_is_told_in_taskkills_words() -> None:
    one = stuck()
    one.fleet.hosts["app-01"].commands["taskkill.exe"] = CommandOutput(1, "ERROR: Access is\r\n denied.")
    result = await killed(one)
    assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.MAYBE)
    assert "taskkill.exe says: ERROR: Access is denied." in result.said
