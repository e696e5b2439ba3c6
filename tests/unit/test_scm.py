"""The lab's service control manager on virtual time: states, delays, error numbers, dependents, faults."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from virtual_time import in_virtual_time

from orchestrator.lab.fleet import ServiceSpec
from orchestrator.lab.scm import Scm
from orchestrator.lab.service import Service, State
from orchestrator.lab.win32 import Win32Error

Change = tuple[float, str, str, str]


def spec(name: str, **given: Any) -> ServiceSpec:
    return ServiceSpec(name=name, display_name=given.pop("display_name", name), **given)


def scm_of(*specs: ServiceSpec) -> tuple[Scm, list[Change]]:
    loop = asyncio.get_running_loop()
    seen: list[Change] = []

    def note(service: Service, before: State, now: State, why: str) -> None:
        seen.append((round(loop.time(), 6), service.name, before.name, now.name))

    return Scm(loop, specs, note), seen


def refused(scm: Scm, verb: str, name: str) -> int:
    with pytest.raises(Win32Error) as caught:
        getattr(scm, verb)(name)
    return caught.value.code


def states(scm: Scm) -> dict[str, str]:
    return {service.name: service.state.name for service in scm}


@in_virtual_time
async def test_a_start_takes_its_time_and_reports_rising_checkpoints() -> None:
    scm, seen = scm_of(spec("a", state="Stopped", start_s=4.0, checkpoints=3, wait_hint_s=5))
    service = scm.start("A")
    assert (service.state, service.wait_hint_ms, service.checkpoint) == (State.StartPending, 5000, 0)
    checkpoints = []
    for _ in range(3):
        await asyncio.sleep(1.01)
        checkpoints.append(service.checkpoint)
    await asyncio.sleep(1.0)
    assert checkpoints == [1, 2, 3]
    assert (service.state, service.checkpoint, service.wait_hint_ms) == (State.Running, 0, 0)
    assert seen == [(0.0, "a", "Stopped", "StartPending"), (4.0, "a", "StartPending", "Running")]


@in_virtual_time
async def test_exit_codes_and_pids_follow_the_life_of_a_service() -> None:
    scm, _ = scm_of(spec("a", state="Stopped", start_s=1, stop_s=1), spec("b"))
    a = scm.find("a")
    assert (a.win32_exit_code, a.pid) == (1077, 0)
    scm.start("a")
    first = a.pid
    assert a.win32_exit_code == 0
    assert first not in (0, scm.find("b").pid)
    await asyncio.sleep(2)
    scm.stop("a")
    assert (a.pid, a.state) == (first, State.StopPending)
    await asyncio.sleep(2)
    assert (a.pid, a.win32_exit_code, a.state) == (0, 0, State.Stopped)
    scm.start("a")
    assert a.pid not in (0, first)


@in_virtual_time
async def test_controls_are_refused_with_windows_own_numbers() -> None:
    scm, _ = scm_of(
        spec("running"),
        spec("stopped", state="Stopped"),
        spec("disabled", state="Stopped", start_type="Disabled"),
        spec("stubborn", can_stop=False),
        spec("paused", state="Paused"),
        spec("starting", state="StartPending"),
        spec("stopping", state="StopPending"),
        spec("base"),
        spec("above", requires=("BASE",)),
    )
    asked = [
        ("start", "nobody", 1060),
        ("stop", "nobody", 1060),
        ("start", "running", 1056),
        ("start", "starting", 1056),
        ("start", "stopping", 1056),
        ("start", "disabled", 1058),
        ("stop", "stopped", 1062),
        ("stop", "starting", 1061),
        ("stop", "stopping", 1061),
        ("stop", "stubborn", 1052),
        ("stop", "base", 1051),
        ("resume", "stopped", 1062),
        ("resume", "paused", 1052),
    ]
    assert [(verb, name, refused(scm, verb, name)) for verb, name, _ in asked] == asked


@in_virtual_time
async def test_every_state_can_be_described_and_forced() -> None:
    scm, seen = scm_of(*(spec(state.name, state=state.name) for state in State), spec("x"))
    assert states(scm) == {**{state.name: state.name for state in State}, "x": "Running"}
    for state in State:
        scm.force("x", state, "by hand")
        assert scm.find("x").state is state
    await asyncio.sleep(100)
    assert scm.find("x").state is State.Paused, "a state that was forced stays"
    assert len(seen) == len(State)


@in_virtual_time
async def test_pause_and_resume_need_a_service_that_takes_them() -> None:
    scm, seen = scm_of(spec("a", can_pause=True))
    scm.pause("a")
    await asyncio.sleep(1)
    scm.resume("a")
    await asyncio.sleep(1)
    assert [now for _, _, _, now in seen] == ["PausePending", "Paused", "ContinuePending", "Running"]


@in_virtual_time
async def test_what_a_service_requires_is_started_first() -> None:
    scm, seen = scm_of(
        spec("top", state="Stopped", requires=("middle",), start_s=1),
        spec("middle", state="Stopped", requires=("base",), start_s=1),
        spec("base", state="Stopped", start_s=1),
    )
    scm.start("top")
    await asyncio.sleep(10)
    assert [(at, name) for at, name, _, now in seen if now == "Running"] == [(1, "base"), (2, "middle"), (3, "top")]


@in_virtual_time
async def test_a_dependency_that_falls_back_takes_its_dependent_along() -> None:
    scm, _ = scm_of(spec("top", state="Stopped", requires=("base",)), spec("base", state="Stopped", start_s=1))
    scm.set_fault(scm.find("base"), "fails-to-start", 1067)
    scm.start("top")
    await asyncio.sleep(5)
    assert scm.find("base").win32_exit_code == 1067
    assert (scm.find("top").state, scm.find("top").win32_exit_code) == (State.Stopped, 1068)


@in_virtual_time
async def test_a_dependency_that_is_disabled_refuses_the_start_at_once() -> None:
    scm, _ = scm_of(
        spec("top", state="Stopped", requires=("base",)), spec("base", state="Stopped", start_type="Disabled")
    )
    assert refused(scm, "start", "top") == 1068
    assert scm.find("top").state is State.Stopped


@in_virtual_time
async def test_dependents_are_found_through_others_and_block_a_stop_until_they_are_down() -> None:
    scm, _ = scm_of(
        spec("base", stop_s=0), spec("middle", requires=("base",), stop_s=0), spec("top", requires=("middle",))
    )
    assert [service.name for service in scm.required_by(scm.find("base"))] == ["middle", "top"]
    scm.force("top", State.Stopped, "by hand")
    scm.stop("middle")
    assert refused(scm, "stop", "base") == 1051, "a dependent that is still stopping blocks too"
    await asyncio.sleep(1)
    scm.stop("base")
    await asyncio.sleep(1)
    assert set(states(scm).values()) == {"Stopped"}


def codes() -> Iterable[int]:
    return (2, 1053, 1069)


@pytest.mark.parametrize("code", codes())
@in_virtual_time
async def test_some_starts_are_refused_at_once(code: int) -> None:
    scm, seen = scm_of(spec("a", state="Stopped"))
    scm.set_fault(scm.find("a"), "fails-to-start", code)
    assert refused(scm, "start", "a") == code
    assert (scm.find("a").win32_exit_code, seen) == (code, [])


@pytest.mark.parametrize(("code", "specific"), [(1066, 1), (1067, 0)])
@in_virtual_time
async def test_other_starts_fall_back_after_a_while(code: int, specific: int) -> None:
    scm, seen = scm_of(spec("a", state="Stopped", start_s=3))
    scm.set_fault(scm.find("a"), "fails-to-start", code)
    scm.start("a")
    await asyncio.sleep(10)
    a = scm.find("a")
    assert (a.state, a.win32_exit_code, a.service_exit_code) == (State.Stopped, code, specific)
    assert seen[-1] == (3.0, "a", "StartPending", "Stopped")


@in_virtual_time
async def test_hanging_lasts_until_cleared_and_shows_no_progress() -> None:
    scm, seen = scm_of(spec("a", stop_s=2, start_s=2))
    a = scm.find("a")
    scm.set_fault(a, "hangs-on-stop", True)
    scm.stop("a")
    await asyncio.sleep(1000)
    assert (a.state, a.checkpoint) == (State.StopPending, 0)
    scm.clear_fault(a, "hangs-on-stop")
    await asyncio.sleep(3)
    assert states(scm) == {"a": "Stopped"}
    scm.set_fault(a, "hangs-on-start", True)
    scm.start("a")
    await asyncio.sleep(1000)
    assert states(scm) == {"a": "StartPending"}
    scm.clear_fault(a, "hangs-on-start")
    await asyncio.sleep(3)
    assert states(scm) == {"a": "Running"}
    assert [at for at, *_ in seen] == [0, 1002, 1003, 2005]


@in_virtual_time
async def test_a_crash_comes_some_seconds_after_running_each_time() -> None:
    scm, seen = scm_of(spec("a", start_s=1))
    a = scm.find("a")
    scm.set_fault(a, "crashes-after", 5.0)
    await asyncio.sleep(6)
    assert (a.state, a.win32_exit_code, a.pid) == (State.Stopped, 1067, 0)
    scm.start("a")
    await asyncio.sleep(6.5)
    assert [(at, now) for at, _, _, now in seen] == [
        (5, "Stopped"), (6, "StartPending"), (7, "Running"), (12, "Stopped")
    ]  # fmt: skip
    scm.start("a")
    await asyncio.sleep(2)
    scm.clear_fault(a, "crashes-after")
    await asyncio.sleep(60)
    assert a.state is State.Running


@in_virtual_time
async def test_refusing_and_missing_services() -> None:
    scm, _ = scm_of(spec("a"), spec("b", requires=("a",)))
    scm.set_fault(scm.find("a"), "refuses", True)
    assert [refused(scm, "stop", "a"), refused(scm, "start", "a")] == [5, 5]
    hidden = scm.find("b")
    scm.set_fault(hidden, "missing", True)
    assert refused(scm, "stop", "b") == 1060
    assert list(states(scm)) == ["a"]
    scm.clear_fault(hidden, "missing")
    assert list(states(scm)) == ["a", "b"]


@in_virtual_time
async def test_a_hand_on_the_host_interrupts_what_was_under_way() -> None:
    scm, seen = scm_of(spec("a", stop_s=10))
    scm.stop("a")
    await asyncio.sleep(1)
    scm.force("a", State.Running, "by hand")
    await asyncio.sleep(100)
    assert [now for _, _, _, now in seen] == ["StopPending", "Running"]


@in_virtual_time
async def test_names_are_found_whatever_their_case_and_letters() -> None:
    names = ["O'Brien's \"Service\"", "Überwachung [1]", "a b*?`c", "服务"]
    scm, _ = scm_of(*(spec(name) for name in names))
    assert sorted(service.name for service in scm) == sorted(names)
    assert [scm.find(name.upper()).name for name in names] == names
