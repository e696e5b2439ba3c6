"""`make simulate`: plays seeds on all cores and tells what was put to the test. See docs/simulation.md."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1]))

from checker import INVARIANTS
from judge import SAME_END, Tally, judged
from telling import told

CHUNK = 50
SHOWN = 5


def simulated(first: int, count: int, *, cores: int, enough: int = 20) -> Tally:
    """Play *count* seeds from *first* on; stops early when *enough* have failed."""
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    tally = Tally()
    for part in _played(chunks, cores):
        tally.add(part)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{tally.seeds} of {count} seeds, {len(tally.failed)} failed \r")
        if len(tally.failed) >= enough:
            break
    return tally


def _played(chunks: list[range], cores: int) -> Iterator[Tally]:
    if cores == 1:
        yield from map(judged, chunks)
        return
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(judged, chunk) for chunk in chunks]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def missing(tally: Tally) -> list[str]:
    """The invariants that no seed put to the test."""
    return [name for name in (*INVARIANTS, SAME_END) if not tally.exercised[name]]


def main() -> int:
    """Play, print, and return 1 if an invariant was violated or never put to the test."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play this one again, and tell it")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    typed = parser.parse_args()
    if typed.seed is not None:
        return told(typed.seed)
    began_s = time.perf_counter()
    tally = simulated(typed.first, typed.seeds, cores=typed.cores)
    took_s = time.perf_counter() - began_s
    _say(f"{tally.seeds} seeds in {took_s:.1f} s: {tally.seeds / took_s:.0f} seeds/s on {typed.cores} cores")
    _table("what went wrong", tally.faults)
    _table("verdicts", tally.verdicts)
    _table("choices", tally.choices)
    _table("invariants, and how often each was put to the test", tally.exercised)
    for seed in sorted(tally.failed)[:SHOWN]:
        _say(f"\nseed {seed} fails; play it again with: make simulate SEED={seed}")
        for violation in tally.failed[seed]:
            _say(f"  {violation.invariant}, at {violation.at}: {violation.said}")
    if len(tally.failed) > SHOWN:
        _say(f"\n{len(tally.failed)} seeds fail: {sorted(tally.failed)}")
    idle = missing(tally)
    if idle:
        _say(f"\nnever put to the test: {', '.join(idle)}")
    return 1 if tally.failed or idle else 0


def _table(title: str, counts: Counter[str]) -> None:
    _say(f"\n{title}:")
    _lines(f"{name} {counts[name]}" for name in sorted(counts))


def _lines(words: Iterable[str]) -> None:
    line = " "
    for word in words:
        if len(line) + len(word) > 115:
            _say(line)
            line = " "
        line += f" {word} ·"
    _say(line.removesuffix("·"))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
