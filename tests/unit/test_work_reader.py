"""One reader per host: what is due together is one exchange, and no answer is older than its question."""

import asyncio
import gc

import pytest
from virtual_time import in_virtual_time
from working import Bench, about, node

from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.domain.errors import Unreachable
from orchestrator.domain.plan import Barrier, Role
from orchestrator.domain.results import Acted, Outcome, Phase
from orchestrator.domain.service import Reading, State
from orchestrator.engine.work.pace import Pace
from orchestrator.engine.work.reader import Reader

NAMES = [f"s{number:02d}" for number in range(50)]


def fleet(latency_s: float = 0.0, state: State = State.RUNNING) -> MemoryFleet:
    made = MemoryFleet()
    made.add("app-01", *(MemoryService(name=name, state=state) for name in NAMES)).latency_s = latency_s
    return made


def reads(made: MemoryFleet) -> int:
    return made.exchanges["app-01", "read"]


def state(reading: Reading) -> State:
    return reading.found[0].state


@in_virtual_time
async def test_fifty_questions_at_once_are_one_exchange() -> None:
    made = fleet()
    reader = Reader(MemoryHosts(made).services("app-01"))
    readings = await asyncio.gather(*(reader.read(name) for name in NAMES))
    assert [reading.found[0].name for reading in readings] == NAMES
    assert reads(made) == 1


@in_virtual_time
async def test_who_asks_during_an_exchange_gets_the_next_one() -> None:
    made = fleet(latency_s=1.0)
    reader = Reader(MemoryHosts(made).services("app-01"))
    first = asyncio.create_task(reader.read("s00"))
    await asyncio.sleep(0.5)
    late = [asyncio.create_task(reader.read(name)) for name in ("s00", "s01", "s01")]
    loop = asyncio.get_running_loop()
    loop.call_later(0.6, made.enter, "app-01", made.service("s01", "app-01"), State.STOPPED)
    assert state(await first) is State.RUNNING
    assert loop.time() == about(1.0)
    assert [state(reading) for reading in await asyncio.gather(*late)] == [
        State.RUNNING, State.STOPPED, State.STOPPED,
    ]  # fmt: skip
    assert (loop.time(), reads(made)) == (about(2.0), 2)


@in_virtual_time
async def test_a_failed_exchange_fails_all_who_waited_for_it_and_nobody_else() -> None:
    made = fleet(latency_s=1.0)
    made.fault("app-01", Fault.UNREACHABLE)
    reader = Reader(MemoryHosts(made).services("app-01"))
    early = [asyncio.create_task(reader.read(name)) for name in ("s00", "s01")]
    await asyncio.sleep(0.5)
    late = asyncio.create_task(reader.read("s02"))
    failures = await asyncio.gather(*early, return_exceptions=True)
    assert [type(failure) for failure in failures] == [Unreachable, Unreachable]
    assert state(await late) is State.RUNNING


@in_virtual_time
async def test_a_cancelled_question_leaves_the_others_their_answer() -> None:
    made = fleet(latency_s=1.0)
    reader = Reader(MemoryHosts(made).services("app-01"))
    one, other = (asyncio.create_task(reader.read(name)) for name in ("s00", "s01"))
    await asyncio.sleep(0.5)
    one.cancel()
    assert state(await other) is State.RUNNING
    assert one.cancelled()
    assert state(await reader.read("s00")) is State.RUNNING


@in_virtual_time
async def test_a_failure_that_nobody_waits_for_any_longer_is_nobodys_matter() -> None:
    """asyncio would print it over the live view."""
    printed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: printed.append(context["message"]))
    made = fleet(latency_s=1.0)
    made.fault("app-01", Fault.UNREACHABLE)
    reader = Reader(MemoryHosts(made).services("app-01"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await reader.read("s00")
    await asyncio.sleep(2.0)
    del reader
    gc.collect()
    assert printed == []


@in_virtual_time
async def test_fifty_slow_services_of_a_host_are_polled_together() -> None:
    made = fleet()
    for service in made.hosts["app-01"].services.values():
        service.stop_s = 60.0
    one = Bench(State.STOPPED, [node(name) for name in NAMES], made)
    results = await asyncio.gather(*(one.run(Phase.STOP, f"{name}@app-01") for name in NAMES))
    assert {result.outcome for result in results} == {Outcome.OK}
    assert reads(made) < 37  # one, three quick ones, and every two seconds
    assert len(made.asked) == 50


@pytest.mark.parametrize("poll_s", [0.1, 0.5, 1.0, 2.0, 5.0, 30.0])
def test_looks_come_quickly_first_and_then_on_the_hosts_own_grid(poll_s: float) -> None:
    pace = Pace("app-01", poll_s)
    now_s, waits = 1000.0, []
    for looks in range(40):
        due_s = pace.next_look_s(now_s, looks)
        waits.append(due_s - now_s)
        now_s = due_s
    assert waits[0] <= 0.375
    assert all(wait <= 1.5 * poll_s for wait in waits)
    assert waits[-1] == about(poll_s)
    assert Pace("app-01", poll_s).next_look_s(now_s + poll_s / 3, 99) == about(now_s + poll_s)


def test_hosts_are_not_read_all_at_the_same_instant() -> None:
    looks = sorted(Pace(f"app-{number:03d}", 2.0).next_look_s(100.0, 99) for number in range(200))
    assert looks[0] >= 101
    assert looks[-1] <= 103
    assert max(later - sooner for sooner, later in zip(looks, looks[1:], strict=False)) < 0.2


def test_pauses_double_up_to_fifteen_seconds() -> None:
    pauses = [Pace("app-01", 2.0).pause_s(attempt) for attempt in range(1, 9)]
    for pause, longest in zip(pauses, [1, 2, 4, 8, 15, 15, 15, 15], strict=True):
        assert 0.8 * longest <= pause <= longest
    assert pauses == [Pace("app-01", 2.0).pause_s(attempt) for attempt in range(1, 9)]


# READ


@in_virtual_time
async def test_a_read_tells_the_state_whatever_it_is() -> None:
    made = fleet(state=State.PAUSED)
    result = await Bench(State.RUNNING, [node("s00")], made).run(Phase.READ)
    assert (result.outcome, result.acted, result.before, result.after) == ("ok", Acted.NO, "Paused", "Paused")
    assert (result.exchanges, made.asked) == (1, [])


@pytest.mark.parametrize(("seen", "outcome"), [(State.RUNNING, Outcome.OK), (State.STOPPED, Outcome.FAILED)])
@in_virtual_time
async def test_a_unit_that_is_only_probed_must_be_at_the_goal(seen: State, outcome: Outcome) -> None:
    made = fleet(state=seen)
    barriers = (Barrier(name="s00", instances=((0,),), need=1),)
    others = [node("orders", waits_for=(0,)), node("web", waits_for=(0,)), node("orders", "app-02", waits_for=(0,))]
    one = Bench(State.RUNNING, [node("s00", role=Role.PROBE), *others], made, barriers)
    result = await one.run(Phase.READ)
    assert result.outcome is outcome
    if seen is State.STOPPED:
        assert result.said == "s00@app-01 is Stopped, and orders, web need it Running"


@in_virtual_time
async def test_an_external_entry_has_nothing_to_read() -> None:
    result = await Bench(State.RUNNING, [node("directory", None, role=Role.PROBE)]).run(Phase.READ)
    assert (result.outcome, result.after, result.exchanges) == (Outcome.OK, "", 0)


@pytest.mark.parametrize(
    ("kind", "outcome", "longest_s"),
    [(Fault.UNREACHABLE, "unknown", 30), (Fault.GARBAGE, "unknown", 30), (Fault.AUTH, "failed", 0)],
)
@in_virtual_time
async def test_a_read_without_an_answer(kind: Fault, outcome: str, longest_s: float) -> None:
    made = fleet()
    made.fault("app-01", kind, times=None)
    result = await Bench(State.RUNNING, [node("s00")], made).run(Phase.READ)
    assert (result.outcome, result.after, result.took_s) == (outcome, "", about(longest_s))
