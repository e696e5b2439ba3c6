"""What it costs to know: the states of many services on each of many hosts, in one exchange a host."""

from collections.abc import Iterator

import children
from fleet import Fleet, fleet
from table import WIRE_NAMES, Row, Scale

SERVICES = 50
SIZES = {"orch": (100, 1000), "reference": (50, 250)}
"""The reference is measured on fewer hosts: raw pypsrp would take minutes for a thousand."""
REFERENCES = {"winrm": ("winrm_states.py", "raw pypsrp"), "ssh": ("ssh_states.py", "raw asyncssh")}


def states(wire: str, scale: Scale) -> Iterator[Row]:
    """`orch status`: CPU of a host as the slope between two fleet sizes, and how often the lab was asked for states."""
    script, called = REFERENCES[wire]
    slopes: dict[str, float] = {}
    exchanges: dict[str, set[float]] = {}
    questions: set[int] = set()
    wall_s = peak_mb = 0.0
    hosts = scale.hosts(SIZES["orch"][1])
    for who, run in (("reference", lambda made: children.by_hand(script, made.facts)), ("orch", _status)):
        small, large = scale.slope(*SIZES[who])
        cpu_s = dict.fromkeys((small, large), 0.0)
        for size in filter(None, cpu_s):
            with fleet(wire, size, services=SERVICES) as made:
                ran = run(made)
                exchanges.setdefault(who, set()).add(made.exchanges())
                questions |= made.questions()
            cpu_s[size], wall_s, peak_mb, hosts = ran.cpu_s, ran.wall_s, ran.peak_mb, size
        slopes[who] = (cpu_s[large] - cpu_s[small]) / (large - small)
    told = [" or ".join(f"{count:g}" for count in sorted(exchanges[who])) for who in ("orch", "reference")]
    kind = "HTTP requests" if wire == "winrm" else "channels"
    yield Row(
        name=f"{WIRE_NAMES[wire]}: states of {SERVICES} services on each of {hosts} hosts (`orch status`)",
        measured=f"{slopes['orch'] * 1000:.1f} ms of CPU a host, {slopes['orch'] / slopes['reference']:.2f} x",
        reference=f"{called}: {slopes['reference'] * 1000:.1f} ms",
        goal="one question a host",
        met=questions == {1} and len(exchanges["orch"] | exchanges["reference"]) == 1,
        note=f"{told[0]} and {told[1]} {kind} a host with sign-in; {wall_s:.1f} s in all, {peak_mb:.0f} MB at the peak",
    )


def _status(made: Fleet) -> children.Ran:
    words = ("status", "--json", "--expect", "running", "--plan", str(made.plan))
    return children.orch(*words, state=made.folder / "state")
