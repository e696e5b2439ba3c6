"""What work costs in CPU time, as `orch` would do it; ratios of such times are what tests may hold."""

import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.__main__ import YOUNG

MOST_ROUNDS = 16
"""A ratio that does not hold after so many does not hold."""

Cost = Callable[[], float]
"""Does some work and gives the seconds of CPU that it took."""


@contextmanager
def collecting_as_orch_does() -> Iterator[None]:
    """Python's garbage collector as `orch` sets it, walking what is made inside, not the heap of the whole session."""
    usual = gc.get_threshold()
    gc.set_threshold(YOUNG)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def cpu_s(work: Callable[[], object]) -> float:
    """Seconds of CPU that *work* takes in this process."""
    gc.collect()
    gc.freeze()
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def times(what: str, base_s: Cost, other_s: Cost, *, most: float, halves: int = 1, fewest: int = 3) -> float:
    """How many times the CPU of *base_s* that *other_s* takes; printed, and measured until it is at most *most*.

    A machine whose speed changes from one second to the next, and that others use, is no clock. So in each round half
    of the base's runs (*halves* of them) come before the other's run and half behind it, for what happens to the
    machine then to happen to both; noise only adds to either, so the least of both counts as well, if it says less than
    the median of the rounds, of which there are *fewest* at least.
    """
    bases_s: list[float] = []
    others_s: list[float] = []
    ratio = float("inf")
    with collecting_as_orch_does():
        while len(bases_s) < fewest or (ratio > most and len(bases_s) < MOST_ROUNDS):
            before_s = sum(base_s() for _ in range(halves))
            others_s.append(other_s())
            bases_s.append((before_s + sum(base_s() for _ in range(halves))) / (2 * halves))
            beside = statistics.median(other / base for other, base in zip(others_s, bases_s, strict=True))
            ratio = min(beside, min(others_s) / min(bases_s))
    took = f"{min(others_s) * 1e3:.3g} ms to {min(bases_s) * 1e3:.3g} ms; rounds: {len(bases_s)}"
    sys.stdout.write(f"{what}: {ratio:.2f} times, at most {most:g} ({took})\n")
    return ratio


def grown(what: str, small_s: Cost, large_s: Cost, *, fewest: int = 3) -> float:
    """How many times the CPU a unit takes among 10,000 as among 1,000.

    *small_s* and *large_s* give the CPU seconds for 1,000 and for 10,000 units; ten of the small stand beside a large.
    """
    return times(f"{what}, 10,000 units to 1,000", small_s, large_s, most=13, halves=5, fewest=fewest) / 10
