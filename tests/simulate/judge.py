"""A seed played and judged, and what many of them add up to."""

import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from checker import Violation, check
from night import Broken, played
from seeds import Script, script
from store import RUN
from witness import Entry

SAME_END = "same end"
"""The invariant that takes two nights: killed and resumed, a run ends like the one that nothing befell."""
LEFT_BEHIND = "rollback incomplete"
"""After that a unit stands where it stood: who had begun by the time of the answer depends on when that was."""


@dataclass(slots=True)
class Tally:
    """What some seeds add up to. `failed` has the first violations of each seed that has any."""

    seeds: int = 0
    exercised: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    choices: Counter[str] = field(default_factory=Counter)
    failed: dict[int, list[Violation]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Take another's seeds in."""
        self.seeds += other.seeds
        self.exercised += other.exercised
        self.faults += other.faults
        self.verdicts += other.verdicts
        self.choices += other.choices
        self.failed.update(other.failed)


def judged(seeds: Iterable[int]) -> Tally:
    """Play and judge *seeds*. A seed that raises has failed: a bug of the product or of the simulation."""
    tally = Tally()
    for seed in seeds:
        try:
            violations = _judge(seed, tally)
        except Broken as broken:
            violations = [Violation("no bug", len(broken.entries), str(broken))]
        except Exception:  # noqa: BLE001 - whatever it is, it is told with the seed that shows it
            violations = [Violation("no bug", 0, traceback.format_exc(limit=-5))]
        tally.seeds += 1
        if violations:
            tally.failed[seed] = violations[:10]
    return tally


def _judge(seed: int, tally: Tally) -> list[Violation]:
    made = script(seed)
    entries = played(made)
    verdict = check(entries)
    violations = verdict.violations
    if made.profile == "killed":
        mine, other = end_of(made, entries), end_of(made, played(made.without_blows()))
        tally.exercised[SAME_END] += 1
        if mine != other and not mine[0] == other[0] == LEFT_BEHIND:
            violations = [*violations, Violation(SAME_END, len(entries), f"killed: {mine}; not killed: {other}")]
    tally.exercised += verdict.exercised
    _count(entries, tally)
    tally.faults.update(kind for kind in made.faults if kind not in _COUNTED and not kind.startswith("fault "))
    return violations


_COUNTED = (
    *("crash", "flap", "revive", "hand stop", "hand start", "hand pause", "vanish", "reboot"),
    *("kill before", "kill after", "freeze before", "freeze after", "disk full"),
)
"""What is counted when it strikes; the rest is there from the beginning."""


def end_of(made: Script, entries: Iterable[Entry]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The verdict of the night's run, and where its services stand at the end."""
    verdict = "open"
    states = {f"{service.name}@{host}": str(service.state) for host, service in made.services}
    for entry in entries:
        if entry["what"] == "state":
            states[f"{entry['service']}@{entry['host']}"] = entry["state"]
        elif entry["what"] == "fact" and entry["run"] == RUN and entry["fact"]["kind"] == "run_ended":
            verdict = entry["fact"]["verdict"]
    return verdict, tuple(sorted(states.items()))


def _count(entries: Iterable[Entry], tally: Tally) -> None:
    for entry in entries:
        what = entry["what"]
        if what == "fact":
            fact = entry["fact"]
            if fact["kind"] == "run_ended":
                tally.verdicts[fact["verdict"]] += 1
            elif fact["kind"] == "decision_answered":
                answer = fact["answer"]
                tally.choices[f"{answer['choice']} by {answer['source']}"] += 1
        elif what == "event":
            tally.faults[f"fault {entry['fault']}" if entry.get("fault") else entry["kind"]] += 1
        elif what == "process" and entry["did"] in ("killed", "frozen", "woken"):
            tally.faults[f"controller {entry['did']}"] += 1
