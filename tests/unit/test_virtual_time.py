"""Virtual time keeps its promises: it jumps exactly, in order, and never hangs."""

import asyncio
import time

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import NothingLeftToWaitFor, VirtualTimeLoop, in_virtual_time, run_virtual

from orchestrator.adapters.memory_journal import MemoryJournal


@pytest.mark.parametrize("delay_s", [0.1, 600.0, 86400.0 * 300])
@in_virtual_time
async def test_the_clock_jumps_exactly(delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(delay_s)
    assert loop.time() == delay_s


@given(delays_s=st.lists(st.floats(0.001, 1000.0), max_size=8))
@in_virtual_time
async def test_sleepers_wake_in_order_of_time(delays_s: list[float]) -> None:
    woken: list[float] = []

    async def sleeper(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        woken.append(delay_s)

    await asyncio.gather(*map(sleeper, delays_s))
    assert [round(delay_s, 5) for delay_s in woken] == pytest.approx(sorted(delays_s), abs=1e-4)


@in_virtual_time
async def test_timeouts_and_cancellation_work() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.sleep(31)
    assert asyncio.get_running_loop().time() == 30


@in_virtual_time
async def test_fixtures_pass_through(tmp_path: object) -> None:
    assert tmp_path is not None


def test_a_wait_for_nothing_raises_instead_of_hanging() -> None:
    async def waits_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(NothingLeftToWaitFor, match=r"nothing left to wait for at 0 s; .*waits_for_ever"):
        run_virtual(waits_for_ever())


def test_a_look_every_second_for_what_never_comes_raises_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def looks_for_ever() -> None:
        store = MemoryJournal()
        while await store.settled("r1", 1) is None:
            await store.changed("r1")

    monkeypatch.setattr(virtual_time, "MOST_JUMPS", 1000)
    with pytest.raises(NothingLeftToWaitFor, match=r"1000 jumps, and no end at 1000 s; .*looks_for_ever"):
        run_virtual(looks_for_ever())


def test_an_hour_costs_no_time_and_the_loop_is_closed() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def hour() -> None:
        loops.append(asyncio.get_running_loop())
        for _ in range(3600):
            await asyncio.sleep(1)

    began_s = time.monotonic()
    run_virtual(hour())
    assert time.monotonic() - began_s < 60
    assert isinstance(loops[0], VirtualTimeLoop)
    assert loops[0].is_closed()
