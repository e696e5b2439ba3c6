"""Steps beside a unit's own life: a look judges nothing, a delay is waited, and a way back is learnt."""

from dataclasses import replace

from virtual_time import in_virtual_time
from working import Bench, about, node

from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryService
from orchestrator.domain.plan import Role, Stage
from orchestrator.domain.results import Outcome, Phase, Step
from orchestrator.domain.service import State
from orchestrator.engine.work.work import LOOK_S, READ_S


def _bench(role: Role = Role.ACT) -> Bench:
    fleet = MemoryFleet()
    fleet.add("app-01", MemoryService(name="sql", state=State.RUNNING))
    return Bench(State.STOPPED, [node("sql", role=role)], fleet=fleet)


@in_virtual_time
async def test_a_look_tells_the_state_and_a_read_of_a_probed_unit_judges_it() -> None:
    bench = _bench(role=Role.PROBE)
    look, read = await bench.run(Phase.LOOK), await bench.run(Phase.READ)
    assert (look.outcome, look.after, look.problem) == (Outcome.OK, "Running", None)
    assert (read.outcome, read.after) == (Outcome.FAILED, "Running")


@in_virtual_time
async def test_a_look_at_a_dead_host_holds_the_others_up_for_ten_seconds_and_a_read_tries_longer() -> None:
    bench = _bench()
    bench.fleet.fault("app-01", Fault.UNREACHABLE, times=None)
    look, read = await bench.run(Phase.LOOK), await bench.run(Phase.READ)
    assert (look.outcome, look.after, look.took_s) == (Outcome.UNKNOWN, "", about(LOOK_S))
    assert (read.outcome, read.took_s) == (Outcome.UNKNOWN, about(READ_S))
    assert LOOK_S < READ_S


@in_virtual_time
async def test_a_delay_is_waited_before_anything_is_done_and_counts_as_time_taken() -> None:
    bench = _bench()
    step = replace(Step(0, "sql@app-01", Phase.READ), delay_s=30.0)
    assert (await bench.work.run(step)).took_s == about(30.0)


@in_virtual_time
async def test_the_stages_of_a_way_back_are_numbered_on() -> None:
    bench = _bench()
    assert (await bench.run(Phase.STOP)).after == "Stopped"
    bench.work.learn([Stage(goal=State.RUNNING, nodes=tuple(bench.nodes), barriers=())])
    assert (await bench.work.run(Step(1, "sql@app-01", Phase.START))).after == "Running"


@in_virtual_time
async def test_on_the_way_back_a_dead_host_is_given_up_soon_and_a_slow_service_waited_for() -> None:
    bench = _bench()
    bench.fleet.add("app-02", MemoryService(name="sql", state=State.STOPPED, start_s=60.0))
    nodes = (*bench.nodes, node("sql", "app-02"))
    bench.work.learn([Stage(goal=State.RUNNING, nodes=nodes, barriers=())])
    bench.fleet.fault("app-01", Fault.UNREACHABLE, times=None)
    forth = await bench.run(Phase.STOP)
    gone = await bench.work.run(Step(1, "sql@app-01", Phase.START))
    slow = await bench.work.run(Step(1, "sql@app-02", Phase.START))
    assert (forth.outcome, forth.took_s) == (Outcome.UNKNOWN, about(90.0))
    assert (gone.outcome, gone.acted, gone.took_s) == (Outcome.UNKNOWN, "no", about(LOOK_S))
    assert slow.outcome is Outcome.OK
    assert slow.took_s > 60.0
