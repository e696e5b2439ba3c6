"""STOP is done when the process is gone: orphans, shared processes, PIDs given out again, reboots, patience."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest
from virtual_time import in_virtual_time
from working import Bench, about, bench, node

from orchestrator.adapters.memory.fleet import Fault, MemoryProcess, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.life import IfStuck, Life
from orchestrator.domain.results import Acted, Outcome, Phase
from orchestrator.domain.service import Asked, Control, StartType, State


def running(**more: Any) -> MemoryService:
    return MemoryService(name="orders", state=State.RUNNING, stop_s=0.1, **more)


def later(delay_s: float, act: Any, *args: Any) -> None:
    asyncio.get_running_loop().call_later(delay_s, act, *args)


@in_virtual_time
async def test_a_process_that_takes_its_time_to_go_is_waited_for_and_costs_nothing_once_gone() -> None:
    service = running(lingers_s=5.0)
    one = bench(Phase.STOP, service)
    pid = service.pid
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, result.after) == (Outcome.OK, Acted.YES, "Stopped")
    assert 5 <= result.took_s <= 8
    assert result.evidence["process"] == f"{pid} is gone"
    again = await one.run(Phase.STOP)
    assert (again.outcome, again.exchanges) == (Outcome.OK, 1), "a process that is gone is forgotten"


@in_virtual_time
async def test_who_stops_at_the_last_moment_is_no_orphan_for_that() -> None:
    one = bench(Phase.STOP, MemoryService(name="orders", state=State.RUNNING, stop_s=19.9, lingers_s=0.8), timeout_s=20)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.after) == (Outcome.OK, "Stopped")


@in_virtual_time
async def test_an_orphan_is_a_failure_of_its_own_kind_with_its_pid_however_often_it_is_tried() -> None:
    service = running(lingers_s=math.inf)
    one = bench(Phase.STOP, service, timeout_s=20)
    pid = service.pid
    for attempt in (1, 2):
        result = await one.run(Phase.STOP, attempt=attempt)
        assert (result.outcome, result.after, result.took_s) == (Outcome.FAILED, "Stopped", about(20))
        assert result.problem is not None
        assert result.problem.kind is ProblemKind.ORPHAN
        assert result.evidence["orphan"] == str(pid)
        assert f"its process {pid} (orders.exe, started 2026-01-01 00:00:00 UTC) still runs" in result.said
        assert "known_by" not in result.evidence
    assert one.controls == ["stop orders@app-01"]
    assert pid is not None
    later(3.0, one.fleet.end, "app-01", pid)
    assert (await one.run(Phase.STOP, attempt=3)).outcome is Outcome.OK


@in_virtual_time
async def test_where_the_host_tells_no_start_the_pid_alone_is_what_an_orphan_is_known_by() -> None:
    one = bench(Phase.STOP, running(lingers_s=math.inf), timeout_s=5)
    one.fleet.hosts["app-01"].booted_at = None
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.problem and result.problem.kind) == (Outcome.FAILED, ProblemKind.ORPHAN)
    assert "PID alone" in result.evidence["known_by"]


@in_virtual_time
async def test_a_process_that_others_run_in_is_no_orphan() -> None:
    one = bench(Phase.STOP, running(shares="netsvcs"))
    one.fleet.add("app-01", MemoryService(name="Themes", state=State.RUNNING, shares="netsvcs"))
    result = await one.run(Phase.STOP)
    assert result.outcome is Outcome.OK
    assert "shared with Themes" in result.evidence["process"]
    assert result.took_s < 1


@in_virtual_time
async def test_a_pid_that_was_given_out_again_is_no_orphan() -> None:
    service = running()
    one = bench(Phase.STOP, service, timeout_s=30, life=Life(if_stuck=IfStuck.ASK))
    host, pid = one.fleet.hosts["app-01"], service.pid
    assert pid is not None

    def again() -> None:
        host.processes[pid] = MemoryProcess(pid=pid, name="backup.exe", parent=4, started_at=service.spawned_at + 60)

    later(0.11, again)
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.evidence["process"]) == (Outcome.OK, f"{pid} is gone")


@in_virtual_time
async def test_processes_of_units_that_stop_together_are_asked_for_together() -> None:
    one = Bench(State.STOPPED, [node(f"s{number}") for number in range(5)])
    for number in range(5):
        one.fleet.add("app-01", MemoryService(name=f"s{number}", state=State.RUNNING))
    await asyncio.gather(*(one.run(Phase.STOP, unit=f"s{number}@app-01") for number in range(5)))
    assert one.fleet.exchanges["app-01", "processes"] == 1
    assert one.fleet.exchanges["app-01", "read"] == 2


@in_virtual_time
async def test_a_service_whose_process_is_not_told_costs_no_exchange_more() -> None:
    one = bench(Phase.STOP, MemoryService(name="orders"))
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.exchanges, one.fleet.exchanges["app-01", "processes"]) == (Outcome.OK, 1, 0)


@in_virtual_time
async def test_silence_about_the_process_is_unknown_and_a_no_is_told() -> None:
    one = bench(Phase.STOP, running(), timeout_s=10)
    one.fleet.fault("app-01", Fault.CUT_DURING, times=None, on=("processes",))
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, result.after) == (Outcome.UNKNOWN, Acted.YES, "Stopped")
    assert "nobody could tell whether its process" in result.said
    one.fleet.hosts["app-01"].faults.clear()
    assert (await one.run(Phase.STOP)).outcome is Outcome.OK


@in_virtual_time
async def test_a_resumed_run_knows_the_process_that_was_planned_with() -> None:
    """The process of orch that stopped it is gone, and with it what it remembered."""
    service = running(lingers_s=math.inf)
    first = bench(Phase.STOP, service, timeout_s=5)
    link = MemoryHosts(first.fleet).services("app-01")
    (reading,) = await link.read([Asked("orders")])
    unit = replace(first.nodes[0].unit, seen=reading.found[0], booted_at=link.booted_at())
    assert (await first.run(Phase.STOP)).outcome is Outcome.FAILED
    second = Bench(State.STOPPED, [replace(first.nodes[0], unit=unit)], first.fleet)
    result = await second.run(Phase.STOP, attempt=2)
    assert (result.outcome, result.problem and result.problem.kind) == (Outcome.FAILED, ProblemKind.ORPHAN)
    first.fleet.reboot("app-01")
    service.start_type = StartType.MANUAL
    await asyncio.sleep(60)
    assert (await second.run(Phase.STOP, attempt=3)).outcome is Outcome.OK, "a PID means nothing after another boot"


# Reboots in the middle of a step.


@in_virtual_time
async def test_a_stop_whose_host_reboots_is_asked_anew_of_what_the_boot_brought_up() -> None:
    service = running(hangs=frozenset({Control.STOP}))
    one = bench(Phase.STOP, service, timeout_s=600)
    later(20.0, one.fleet.reboot, "app-01")
    later(30.0, setattr, service, "hangs", frozenset())
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted) == (Outcome.OK, Acted.YES)
    assert one.controls == ["stop orders@app-01"] * 2
    assert service.state is State.STOPPED


@in_virtual_time
async def test_a_start_that_the_boot_carried_out_is_ok() -> None:
    service = MemoryService(name="orders", hangs=frozenset({Control.START}))
    one = bench(Phase.START, service, timeout_s=600)
    later(20.0, one.fleet.reboot, "app-01")
    later(30.0, setattr, service, "hangs", frozenset())
    result = await one.run(Phase.START)
    assert (result.outcome, result.acted, result.after) == (Outcome.OK, Acted.YES, "Running")
    assert result.said == "orders@app-01 is Running: its host restarted meanwhile"
    assert one.controls == ["start orders@app-01"]


# Patience.


@in_virtual_time
async def test_the_deadline_stretches_while_the_checkpoint_rises() -> None:
    one = bench(Phase.STOP, replace_stop(200.0), life=Life(max_timeout_s=600))
    result = await one.run(Phase.STOP)
    assert result.outcome is Outcome.OK
    assert 200 <= result.took_s <= 203
    stretched = [note.text for note in one.notes if "rises" in note.text]
    assert stretched[-1].startswith("StopPending, checkpoint 20 rises: deadline 2")
    assert stretched[-1].endswith(", at most 600 s")


@pytest.mark.parametrize(("stop_s", "rises_s", "took_s"), [(2000.0, math.inf, 300.0), (2000.0, 100.0, 130.0)])
@in_virtual_time
async def test_the_stretch_ends_with_the_rise_and_at_its_limit(stop_s: float, rises_s: float, took_s: float) -> None:
    service = replace_stop(stop_s, checkpoints_end_s=rises_s)
    result = await bench(Phase.STOP, service, life=Life(max_timeout_s=300)).run(Phase.STOP)
    assert (result.outcome, result.problem and result.problem.kind) == (Outcome.FAILED, ProblemKind.TIMEOUT)
    assert took_s - 3 <= result.took_s <= took_s + 3
    assert " passed, stretched from 90 s; " in result.said
    if rises_s == 100.0:
        assert "stalled at checkpoint 11 for 3" in result.said


def replace_stop(stop_s: float, **more: Any) -> MemoryService:
    return MemoryService(name="orders", state=State.RUNNING, stop_s=stop_s, checkpoint_s=10.0, **more)
