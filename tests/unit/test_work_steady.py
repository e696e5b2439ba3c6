"""What is up stays up, in the same process, and it is that process that listens: HEALTHY, bound gates, WATCH."""

import asyncio
from typing import Any

import pytest
from virtual_time import in_virtual_time
from working import Bench, about, bench, node

from orchestrator.adapters.memory.fleet import Fault, MemoryEvent, MemoryPort, MemoryService, clock
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.gates import Gate, HttpCheck, Origin, PortClosedCheck, TcpCheck
from orchestrator.domain.life import Life
from orchestrator.domain.results import Outcome, Phase, Result
from orchestrator.domain.service import StartType, State

TCP = TcpCheck(host="app-01", port=8080)
PORT = MemoryPort(port=8080, status=200)
MINUTE = Life(healthy_s=60.0)


def later(delay_s: float, act: Any, *args: Any) -> None:
    asyncio.get_running_loop().call_later(delay_s, act, *args)


def gate(**more: Any) -> Gate:
    return Gate(check=more.pop("check", TCP), origin=Origin.CONTROLLER, **more)


def starting(*gates: Gate, life: Life | None = None, **more: Any) -> Bench:
    return bench(Phase.START, MemoryService(name="orders", ports=(PORT,), **more), life=life, gates=gates)


def kind(result: Result) -> ProblemKind | None:
    return result.problem.kind if result.problem else None


# HEALTHY.


@in_virtual_time
async def test_who_stays_up_for_the_whole_window_is_healthy() -> None:
    one = starting(gate(), life=MINUTE)
    assert (await one.run(Phase.START)).outcome is Outcome.OK
    result = await one.run(Phase.HEALTHY)
    assert (result.outcome, result.took_s) == (Outcome.OK, about(60))
    assert result.said == "orders@app-01 is healthy for 60 s in process 1004"
    assert result.evidence["gate 1"] == "tcp app-01:8080 from controller: connected (30 probes)"


@in_virtual_time
async def test_another_process_is_a_crash_loop_and_fails_at_once() -> None:
    one = starting(life=MINUTE, crashes_after_s=5.0, revives_s=1.0)
    await one.run(Phase.START)
    result = await one.run(Phase.HEALTHY)
    assert (result.outcome, kind(result)) == (Outcome.FAILED, ProblemKind.GATE)
    assert result.took_s <= 15
    assert result.said == "orders@app-01: crash loop: PID 1004 became 1008"


@in_virtual_time
async def test_who_is_on_its_way_down_when_the_window_ends_is_not_healthy() -> None:
    one = starting(life=MINUTE)
    await one.run(Phase.START)
    later(59.5, setattr, one.fleet.service("orders", "app-01"), "state", State.STOP_PENDING)
    result = await one.run(Phase.HEALTHY)
    assert (result.outcome, kind(result), result.after) == (Outcome.FAILED, ProblemKind.GATE, "StopPending")


@in_virtual_time
async def test_a_crash_before_the_window_is_seen_by_the_process_that_the_start_saw() -> None:
    one = starting(life=MINUTE)
    await one.run(Phase.START)
    one.fleet.service("orders", "app-01").revives_s = 0.0
    one.fleet.end("app-01", 1004)
    await asyncio.sleep(1)
    result = await one.run(Phase.HEALTHY)
    assert (result.outcome, result.took_s) == (Outcome.FAILED, 0)
    assert "PID 1004 became 1008" in result.said


@in_virtual_time
async def test_a_death_is_told_with_its_exit_code_and_the_hosts_own_record() -> None:
    one = starting(life=MINUTE, crashes_after_s=5.0)
    await one.run(Phase.START)
    result = await one.run(Phase.HEALTHY)
    assert (result.outcome, result.after) == (Outcome.FAILED, "Stopped")
    assert "process ended unexpectedly (error 1067)" in result.said
    assert result.evidence["exit"] == "the service's process ended unexpectedly (error 1067)"
    assert result.evidence["event 1"].startswith("System, Service Control Manager 7031 at 2026-01-02T00:00:0")
    assert result.evidence["event 1"].endswith("The orders service terminated unexpectedly.")


@pytest.mark.parametrize(("noes", "outcome"), [(1, Outcome.OK), (2, Outcome.FAILED)])
@in_virtual_time
async def test_a_gate_that_says_no_twice_in_a_row_is_lost_and_once_is_a_blip(noes: int, outcome: Outcome) -> None:
    one = starting(gate(check=HttpCheck(url="http://app-01:8080/"), period_s=5.0), life=MINUTE)
    await one.run(Phase.START)
    service = one.fleet.service("orders", "app-01")
    later(19.0, setattr, service, "ports", ())
    later(19.0 + noes * 5, setattr, service, "ports", (PORT,))
    result = await one.run(Phase.HEALTHY)
    assert result.outcome is outcome
    assert result.took_s == about(60 if outcome is Outcome.OK else 25)


@in_virtual_time
async def test_silence_in_the_window_is_made_good_by_its_end_and_silence_at_the_end_is_unknown() -> None:
    for back_s, outcome in [(50.0, Outcome.OK), (600.0, Outcome.UNKNOWN)]:
        one = starting(gate(check=PortClosedCheck(port=1)), life=MINUTE)
        await one.run(Phase.START)
        later(10.0, lambda one=one: one.fleet.fault("app-01", Fault.UNREACHABLE, times=None))
        later(back_s, one.fleet.hosts["app-01"].faults.clear)
        assert (await one.run(Phase.HEALTHY)).outcome is outcome


@in_virtual_time
async def test_a_reboot_in_the_window_is_no_crash_loop() -> None:
    one = starting(life=Life(healthy_s=300.0))
    await one.run(Phase.START)
    later(10.0, one.fleet.reboot, "app-01")
    assert (await one.run(Phase.HEALTHY)).outcome is Outcome.OK


# Gates that wait for a start.


@in_virtual_time
async def test_a_gate_does_not_wait_for_who_crashes_over_and_over() -> None:
    one = starting(gate(check=TcpCheck(host="app-01", port=1)), crashes_after_s=4.0, revives_s=1.0)
    await one.run(Phase.START)
    result = await one.run(Phase.GATE)
    assert (result.outcome, kind(result)) == (Outcome.FAILED, ProblemKind.GATE)
    assert result.took_s <= 21
    assert "crash loop: PID 1004 became" in result.said
    assert "connection refused" in result.evidence["gate 1"]


@in_virtual_time
async def test_a_gate_does_not_wait_for_a_service_that_is_gone() -> None:
    one = starting(gate(check=TcpCheck(host="app-01", port=1)), crashes_after_s=4.0)
    await one.run(Phase.START)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.after, result.took_s) == (Outcome.FAILED, "Stopped", about(10))
    assert "event 1" in result.evidence


@in_virtual_time
async def test_a_gate_that_holds_soon_costs_no_reading() -> None:
    one = starting(gate())
    await one.run(Phase.START)
    before = one.fleet.exchanges.total()
    assert (await one.run(Phase.GATE)).exchanges == 0
    assert one.fleet.exchanges.total() == before


# Bound to the process.


@pytest.mark.parametrize("by_child", [False, True])
@in_virtual_time
async def test_a_bound_gate_holds_for_the_services_process_and_its_children(by_child: bool) -> None:
    port = MemoryPort(port=8080, by_child=by_child)
    one = bench(Phase.START, MemoryService(name="orders", ports=(port,)), gates=(gate(bound=True),))
    await one.run(Phase.START)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.OK, 0)
    assert "port 8080 is held by its process 1004" in result.said


@in_virtual_time
async def test_an_orphan_that_answers_holds_no_bound_gate() -> None:
    one = starting(gate(bound=True, deadline_s=20))
    one.fleet.service("orders", "app-01").ports = ()
    one.fleet.spawn("app-01", "orders-old.exe", ports=(PORT,))
    await one.run(Phase.START)
    result = await one.run(Phase.GATE)
    assert (result.outcome, kind(result), result.took_s) == (Outcome.FAILED, ProblemKind.GATE, about(20))
    assert "held by process 1004 (orders-old.exe, started" in result.said
    assert "neither 1008 nor a child of it" in result.said


@in_virtual_time
async def test_where_a_host_tells_no_parents_only_the_process_itself_is_known() -> None:
    port = MemoryPort(port=8080, by_child=True)
    one = bench(Phase.START, MemoryService(name="orders", ports=(port,)), gates=(gate(bound=True, deadline_s=10),))
    one.fleet.hosts["app-01"].booted_at = None
    await one.run(Phase.START)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.UNKNOWN, about(10))
    assert "whose child it is is not told" in result.said


# WATCH.


@in_virtual_time
async def test_a_watch_ends_at_the_first_reading_that_is_not_at_the_goal_and_silence_is_none() -> None:
    one = starting()
    await one.run(Phase.START)
    watching = asyncio.create_task(one.run(Phase.WATCH))
    one.fleet.fault("app-01", Fault.UNREACHABLE, times=5)
    await asyncio.sleep(600)
    assert not watching.done()
    one.fleet.end("app-01", 1004)
    await asyncio.sleep(20)
    assert watching.done()
    result = watching.result()
    assert (result.outcome, kind(result), result.after) == (Outcome.FAILED, ProblemKind.GATE, "Stopped")
    assert "orders@app-01, which others count on, is Stopped and no longer Running" in result.said


@in_virtual_time
async def test_all_that_is_watched_on_a_host_is_read_together() -> None:
    one = Bench(State.RUNNING, [node(f"s{number}") for number in range(4)])
    for number in range(4):
        one.fleet.add("app-01", MemoryService(name=f"s{number}", state=State.RUNNING))
    tasks = []
    for number in range(4):
        tasks.append(asyncio.create_task(one.run(Phase.WATCH, f"s{number}@app-01")))
        await asyncio.sleep(0.7)
    await asyncio.sleep(100)
    assert one.fleet.exchanges["app-01", "read"] <= 12
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@in_virtual_time
async def test_a_service_that_no_boot_brings_up_is_a_death() -> None:
    one = starting(start_type=StartType.MANUAL)
    await one.run(Phase.START)
    later(5.0, one.fleet.reboot, "app-01")
    assert (await one.run(Phase.WATCH)).after == "Stopped"


@in_virtual_time
async def test_a_bound_gate_sees_a_crash_loop_within_a_poll() -> None:
    one = starting(gate(check=TcpCheck(host="app-01", port=1), bound=True), crashes_after_s=3.0, revives_s=0.5)
    await one.run(Phase.START)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.FAILED, about(4))
    assert "crash loop: PID 1004 became 1008, while its gates waited" in result.said


# What the event logs say of it.


@in_virtual_time
async def test_a_start_that_fails_carries_its_codes_and_the_last_records_that_name_it() -> None:
    one = starting(fails_to_start=1066, service_exit_code=42)
    host = one.fleet.hosts["app-01"]
    for number in range(8):
        text = f"orders: can't open file {number}"
        host.events.append(
            MemoryEvent(log="Application", provider="orders", id=number, at=clock() + number / 1e3, message=text)
        )
    host.events.append(MemoryEvent(log="Application", provider="other", id=1, at=clock() + 9e8, message="not ours"))
    result = await one.run(Phase.START)
    assert result.outcome is Outcome.FAILED
    assert result.evidence["exit"] == "the service ended with an error code of its own (error 1066): 42 (0x2A)"
    told = [result.evidence[key] for key in sorted(result.evidence) if key.startswith("event ")]
    assert len(told) == 5
    assert "Service Control Manager 7023" in told[0]
    assert [words.rpartition(" ")[2] for words in told[1:]] == ["7", "6", "5", "4"]


@in_virtual_time
async def test_a_gate_that_fails_tells_what_was_recorded_since_the_start_and_nothing_of_an_earlier_run() -> None:
    one = starting(gate(check=TcpCheck(host="app-01", port=1)))
    for ago_s, text in ((10.0, "of an earlier run"), (0.0, "no license")):
        record = MemoryEvent(log="Application", provider="orders", id=1, at=clock() - ago_s, message=text)
        one.fleet.hosts["app-01"].events.append(record)
    await one.run(Phase.START)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.FAILED, about(120))
    told = [words for key, words in result.evidence.items() if key.startswith("event ")]
    assert told == ["Application, orders 1 at 2026-01-02T00:00:00Z: no license"]


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.GARBAGE, Fault.AUTH])
@in_virtual_time
async def test_a_host_that_tells_nothing_of_it_changes_no_outcome_and_holds_nobody_up(fault: Fault) -> None:
    one = starting(fails_to_start=1067)
    one.fleet.hosts["app-01"].silence_s = 10_000
    one.fleet.fault("app-01", fault, times=None, on=("run",))
    result = await one.run(Phase.START)
    assert (result.outcome, result.problem and result.problem.code) == (Outcome.FAILED, 1067)
    assert not [key for key in result.evidence if key.startswith("event ")]
    assert result.took_s < 10


@in_virtual_time
async def test_a_large_fleet_is_watched_less_often_and_a_death_is_noticed_all_the_same() -> None:
    hosts = [f"app-{number:03}" for number in range(500)]
    one = Bench(State.RUNNING, [node("orders", host) for host in hosts])
    for host in hosts:
        one.fleet.add(host, MemoryService(name="orders", state=State.RUNNING))
    watching = [asyncio.create_task(one.run(Phase.WATCH, f"orders@{host}")) for host in hosts]
    await asyncio.sleep(400)
    reads = sum(count for (_, what), count in one.fleet.exchanges.items() if what == "read")
    assert 10 * 400 <= reads <= 20 * 400
    one.fleet.enter("app-007", one.fleet.service("orders", "app-007"), State.STOPPED)
    result = await asyncio.wait_for(watching[7], 60)
    assert (result.outcome, result.after) == (Outcome.FAILED, "Stopped")
    assert not [task for task in watching if task is not watching[7] and task.done()]
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
