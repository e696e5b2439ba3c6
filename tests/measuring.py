"""What work costs in CPU time, as `orch` would do it; ratios of such times are what tests may hold."""

import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from orchestrator.__main__ import YOUNG


@contextmanager
def collecting_as_orch_does() -> Iterator[None]:
    """Python's garbage collector as `orch` sets it, walking what is made inside, not the heap of the whole session."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def cpu_s(work: Callable[[], object]) -> float:
    """Seconds of CPU that *work* takes in this process."""
    with collecting_as_orch_does():
        began_s = time.process_time()
        work()
        return time.process_time() - began_s


def best_s(
    costs_s: Mapping[str, Callable[[], float]], *, enough: Callable[[Mapping[str, float]], bool], least: int, most: int
) -> dict[str, float]:
    """The fewest seconds of each, measured in turns, since others use the machine.

    *least* rounds at least, then as many as it takes until the seconds are *enough*, and *most* at most.
    """
    best = dict.fromkeys(costs_s, float("inf"))
    for number in range(1, most + 1):
        for name, cost_s in costs_s.items():
            best[name] = min(best[name], cost_s())
        if number >= least and enough(best):
            break
    return best


def grown(what: str, small_s: Callable[[], float], large_s: Callable[[], float], *, least: int = 2) -> float:
    """How many times the CPU a unit takes among 10,000 as among 1,000; printed, and measured until it is at most 1.3.

    *small_s* and *large_s* give the CPU seconds for 1,000 and for 10,000 units.
    """
    best = best_s(
        {"small": lambda: min(small_s() for _ in range(3)), "large": large_s},
        enough=lambda best: best["large"] <= 13 * best["small"],
        least=least,
        most=16,
    )
    small_us, large_us = best["small"] / 1_000 * 1e6, best["large"] / 10_000 * 1e6
    ratio = large_us / small_us
    sys.stdout.write(f"{what}: {small_us:.0f} us a unit of 1,000, {large_us:.0f} of 10,000; ratio {ratio:.2f}\n")
    return ratio
