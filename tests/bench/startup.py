"""How long a command takes to begin, and which imports are behind it."""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial

import children
from fleet import Fleet, fleet
from table import Row, Scale

TIMES = 7
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)")
HEAVY_MS = 8.0


def startup(scale: Scale) -> Iterator[Row]:
    """`orch --help`, `orch validate`, and until the first connection of `orch status`, over both wires."""
    bare_s = _least(lambda: children.run([sys.executable, "-c", "pass"]).wall_s)
    with fleet("winrm", scale.hosts(100)) as made:
        for words in (("--help",), ("validate", "--plan", str(made.plan))):
            yield _row(f"orch {words[0]}", _least(partial(_wall_s, made, words)), bare_s, words, made)
    for wire in ("winrm", "ssh"):
        with fleet(wire, 1) as made:
            words = ("status", "--plan", str(made.plan))
            yield _row(
                f"orch status, until it connects ({wire})", _least(partial(_connects_s, made)), bare_s, words, made
            )


def _least(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(TIMES))


def _wall_s(made: Fleet, words: tuple[str, ...]) -> float:
    return children.orch(*words, state=made.folder / "state").wall_s


def _connects_s(made: Fleet) -> float:
    seen = len(made.lab.log(kind="connect"))
    ran = children.orch("status", "--plan", str(made.plan), state=made.folder / "state")
    return float(made.lab.log(kind="connect")[seen]["t"]) - ran.began_s


def _row(name: str, took_s: float, bare_s: float, words: tuple[str, ...], made: Fleet) -> Row:
    told = children.run(
        [sys.executable, "-X", "importtime", "-m", "orchestrator", *words],
        env={"ORCH_STATE_DIR": str(made.folder / "state")},
    ).said
    return Row(
        name=name,
        measured=f"{took_s * 1000:.0f} ms",
        reference=f"python -c pass: {bare_s * 1000:.0f} ms",
        note=f"imports: {heaviest(told)}",
    )


def heaviest(told: str) -> str:
    """The libraries that took the longest to import, by -X importtime's cumulative milliseconds."""
    total: dict[str, float] = {}
    for own_us, _, _, module in _IMPORT.findall(told):
        library = module.partition(".")[0]
        total[library] = total.get(library, 0.0) + int(own_us) / 1000
    most = sorted(total.items(), key=lambda item: -item[1])
    return ", ".join(f"{library} {ms:.0f}" for library, ms in most[:6] if ms >= HEAVY_MS) + " ms"
