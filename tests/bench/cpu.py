"""What a host costs: CPU of the client, exchanges on the wire, memory of a thousand."""

import sys
from collections.abc import Iterator

import children
from fleet import Fleet, fleet
from table import WIRE_NAMES, Row, Scale

SIZES = {"winrm": (40, 200), "ssh": (100, 500)}
REFERENCES = {"winrm": ("winrm_by_hand.py", "raw pypsrp"), "ssh": ("ssh_by_hand.py", "raw asyncssh")}
CPU_GOALS = {"winrm": 1.25, "ssh": 1.6}
REQUESTS_MOST = 14
MEMORY_MB = 250.0


def cpu(wire: str, scale: Scale) -> Iterator[Row]:
    """CPU of a host: the slope between two fleet sizes, the least of several rounds taken in turns."""
    script, called = REFERENCES[wire]
    small, large = scale.slope(*SIZES[wire])
    least: dict[tuple[str, int], float] = {("orch", 0): 0.0, ("reference", 0): 0.0}
    counted: dict[str, set[float]] = {"orch": set(), "reference": set()}
    for _ in range(scale.rounds):
        for size in filter(None, (small, large)):
            for who, run in (("orch", _stop), ("reference", lambda made: children.by_hand(script, made.facts))):
                with fleet(wire, size) as made:
                    cost = run(made).cpu_s
                    counted[who].add(made.exchanges())
                least[who, size] = min(cost, least.get((who, size), cost))
    slopes = {who: (least[who, large] - least[who, small]) / (large - small) for who in ("orch", "reference")}
    ratio = slopes["orch"] / slopes["reference"]
    equal = len(counted["orch"] | counted["reference"]) == 1
    told = [" or ".join(f"{count:g}" for count in sorted(counted[who])) for who in ("orch", "reference")]
    kind = "HTTP requests" if wire == "winrm" else "channels"
    yield Row(
        name=f"{WIRE_NAMES[wire]}: CPU of a host in a whole `orch stop`",
        measured=f"{slopes['orch'] * 1000:.1f} ms, {ratio:.2f} x",
        reference=f"{called}: {slopes['reference'] * 1000:.1f} ms",
        goal=f"<= {CPU_GOALS[wire]} x",
        met=equal and ratio <= CPU_GOALS[wire],
        note=f"{told[0]} and {told[1]} {kind} a host; slope from {small} to {large} hosts",
    )


def _stop(made: Fleet) -> children.Ran:
    return children.orch("stop", "--yes", "--plan", str(made.plan), state=made.folder / "state")


def requests(scale: Scale) -> Iterator[Row]:
    """HTTP requests of one stop on a connection of its own, and of a whole run."""
    with fleet("winrm", 1) as made:
        children.run([sys.executable, str(children.HERE / "one_stop.py"), str(made.facts)])
        alone = made.exchanges()
    with fleet("winrm", 1) as made:
        _stop(made)
        whole = made.exchanges()
    yield Row(
        name="HTTP requests of one stop on a fresh WinRM connection",
        measured=f"{alone:g}",
        goal=f"<= {REQUESTS_MOST}",
        met=alone <= REQUESTS_MOST,
        note=f"with the process that is gone; a whole `orch stop` has {whole:g}: it surveys before, reads all after",
    )


def memory(wire: str, scale: Scale) -> Iterator[Row]:
    """The peak of a whole run."""
    hosts = scale.hosts(1000)
    with fleet(wire, hosts) as made:
        peak_mb = _stop(made).peak_mb
    yield Row(
        name=f"{WIRE_NAMES[wire]}: {hosts} hosts, peak memory",
        measured=f"{peak_mb:.0f} MB",
        goal=f"<= {MEMORY_MB:g} MB",
        met=peak_mb <= MEMORY_MB,
    )
