"""The lab's services live in processes, on virtual time: what ends them, what outlives them, what starts them again."""

import asyncio
from typing import Any

from virtual_time import in_virtual_time

from orchestrator.lab.fleet import Recovery, ServiceSpec
from orchestrator.lab.scm import Scm
from orchestrator.lab.service import Service, State

Told = list[tuple[float, str, str, tuple[object, ...]]]


def scm_of(*specs: ServiceSpec) -> tuple[Scm, Told]:
    loop = asyncio.get_running_loop()
    told: Told = []

    def tell(service: Service, what: str, values: tuple[object, ...]) -> None:
        told.append((round(loop.time(), 6), service.name, what, values))

    return Scm(loop, specs, lambda *change: None, tell=tell), told


def spec(name: str, **given: Any) -> ServiceSpec:
    return ServiceSpec(name=name, display_name=name, **{"start_s": 0.5, "stop_s": 0.5, **given})


def restarts(*after_s: float, reset_s: int = 0) -> Recovery:
    return Recovery(reset_s=reset_s, actions=tuple(("restart", int(s * 1000)) for s in after_s))


@in_virtual_time
async def test_recovery_actions_follow_one_another_and_the_last_one_goes_on() -> None:
    scm, told = scm_of(spec("a", recovery=restarts(1, 10)))
    a, pids = scm.find("a"), []
    for delay_s in (1, 10, 10):
        pids.append(a.pid)
        scm.crash(a)
        assert (a.state.name, a.win32_exit_code) == ("Stopped", 1067)
        await asyncio.sleep(delay_s + 0.4)
        assert a.state.name == "StartPending"
        await asyncio.sleep(0.2)
        assert a.state.name == "Running"
    assert len({*pids, a.pid}) == 4
    assert [values for _, _, what, values in told if what == "died"] == [
        (1, "restart", 1000), (2, "restart", 10000), (3, "restart", 10000)
    ]  # fmt: skip


@in_virtual_time
async def test_failures_are_forgotten_after_the_reset_period() -> None:
    scm, _ = scm_of(spec("a", recovery=restarts(1, 50, reset_s=20)))
    for _ in range(2):
        scm.crash(scm.find("a"))
        await asyncio.sleep(30)
        assert scm.find("a").state is State.Running


@in_virtual_time
async def test_a_clean_stop_is_followed_by_nothing_and_a_disabled_service_stays_down() -> None:
    scm, told = scm_of(spec("a", recovery=restarts(1)), spec("b", recovery=restarts(1)))
    scm.stop("a")
    await asyncio.sleep(5)
    assert scm.find("a").state is State.Stopped
    scm.crash(scm.find("b"))
    scm.configure("b", "Disabled")
    await asyncio.sleep(5)
    assert scm.find("b").state is State.Stopped
    assert told[-1] == (6.0, "b", "not started", (1058,))


@in_virtual_time
async def test_a_trigger_starts_what_was_stopped_unless_it_is_taken_away() -> None:
    scm, _ = scm_of(spec("a"), spec("b", triggers=("stop/networkoff",)))
    a, b = scm.find("a"), scm.find("b")
    scm.set_fault(a, "triggered", 2.0)
    assert a.triggers == ("start/networkon",)
    scm.stop("a")
    await asyncio.sleep(3.1)
    assert a.state.name == "Running"
    scm.stop("a")
    scm.trigger("a", ())
    await asyncio.sleep(10)
    assert a.state.name == "Stopped"
    assert not scm.revival.fire(b)


@in_virtual_time
async def test_services_that_share_a_process_die_together() -> None:
    scm, _ = scm_of(spec("a", process="x"), spec("b", process="x"), spec("c", process="x", state="Stopped"))
    a, b, c = (scm.find(name) for name in "abc")
    shared = a.process
    scm.start("c")
    await asyncio.sleep(1)
    assert shared is b.process is c.process
    scm.stop("a")
    await asyncio.sleep(1)
    assert shared in scm.processes
    scm.crash(b)
    assert (a.win32_exit_code, b.win32_exit_code, c.win32_exit_code) == (0, 1067, 1067)
    assert shared not in scm.processes


@in_virtual_time
async def test_an_orphan_stays_for_its_time_beside_the_next_life() -> None:
    scm, _ = scm_of(spec("a"))
    a = scm.find("a")
    scm.set_fault(a, "orphan", 5.0)
    orphan = a.process
    scm.stop("a")
    await asyncio.sleep(1)
    assert (a.state, a.pid, a.left) == (State.Stopped, 0, [orphan])
    scm.start("a")
    await asyncio.sleep(1)
    assert a.process is not orphan
    assert orphan in scm.processes
    await asyncio.sleep(4)
    assert a.left == []
    assert orphan not in scm.processes
    assert a.state is State.Running


@in_virtual_time
async def test_children_go_with_a_stop_and_outlive_a_kill_of_their_parent_alone() -> None:
    scm, _ = scm_of(spec("a", children=2))
    a = scm.find("a")
    first = list(a.children)
    assert [child.parent for child in first] == [a.pid] * 2
    scm.stop("a")
    await asyncio.sleep(1)
    assert all(child not in scm.processes for child in first)
    scm.start("a")
    await asyncio.sleep(1)
    second, parent = list(a.children), a.process
    assert parent is not None
    scm.processes.end(parent, "killed")
    assert a.left == second
    assert all(child in scm.processes for child in second)


@in_virtual_time
async def test_a_stop_that_hangs_may_raise_its_checkpoint_first() -> None:
    scm, _ = scm_of(spec("a", stop_s=8.0))
    a = scm.find("a")
    scm.set_fault(a, "hangs-on-stop", 3)
    scm.stop("a")
    seen = []
    for _ in range(5):
        await asyncio.sleep(2.01)
        seen.append(a.checkpoint)
    assert seen == [1, 2, 3, 3, 3]
    assert a.state is State.StopPending
    scm.crash(a, "killed")
    assert (a.state, a.win32_exit_code) == (State.Stopped, 1067)


@in_virtual_time
async def test_a_boot_starts_what_starts_by_itself_and_pids_are_new() -> None:
    scm, _ = scm_of(
        spec("auto", requires=("base",)),
        spec("late", start_type="AutomaticDelayed"),
        spec("base", start_type="Manual"),
        spec("hand", start_type="Manual"),
        spec("off", start_type="Disabled", recovery=restarts(1)),
    )
    before = {service.pid for service in scm}
    scm.crash(scm.find("off"))
    scm.power_off()
    assert {service.state for service in scm} == {State.Stopped}
    await asyncio.sleep(5)
    scm.boot(delayed_s=2.0)
    await asyncio.sleep(1.9)
    running = [service.name for service in scm if service.state is State.Running]
    assert running == ["auto", "base"]
    await asyncio.sleep(1)
    assert scm.find("late").state is State.Running
    assert before.isdisjoint(service.pid for service in scm if service.pid)
