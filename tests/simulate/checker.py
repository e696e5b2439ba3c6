"""Judges the log of one night: invariants over plain JSON, each counted as often as it was put to the test.

Imports neither domain nor engine (a test holds that): what the product believes of itself is no evidence here.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from course import Course
from rule import Rule
from rules_acts import Acts
from rules_batches import Batches
from rules_decisions import Decisions
from rules_ends import Ends
from rules_hooks import Hooks
from rules_lives import Lives
from rules_locks import Locks
from rules_order import Order
from rules_rolling import Rolling
from staging import Json

RULES = (Order, Acts, Locks, Decisions, Hooks, Lives, Batches, Rolling, Ends)


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold, at an entry of the log."""

    invariant: str
    at: int
    said: str


@dataclass(slots=True)
class Verdict:
    """What the checker has to say: what was violated, and how often each invariant was put to the test."""

    violations: list[Violation] = field(default_factory=list)
    exercised: Counter[str] = field(default_factory=Counter)

    def test(self, invariant: str, holds: Any, at: int, said: str = "") -> None:
        """Count a test of *invariant*, and note it if it does not hold."""
        self.exercised[invariant] += 1
        if not holds:
            self.violations.append(Violation(invariant, at, said))


def check(entries: Sequence[Json]) -> Verdict:
    """Judge a whole night."""
    verdict = Verdict()
    courses: dict[str, Course] = {}
    rules = [rule(verdict.test, courses) for rule in RULES]
    before = [rule.before for rule in rules if type(rule).before is not Rule.before]
    after = [rule.after for rule in rules if type(rule).after is not Rule.after]
    see = [rule.see for rule in rules if type(rule).see is not Rule.see]
    for entry in entries:
        if entry["what"] == "fact":
            fact = entry["fact"]
            if fact["kind"] == "run_began":
                courses[entry["run"]] = Course(fact, entry["by"])
            course = courses[entry["run"]]
            for hear in before:
                hear(course, fact, entry)
            course.see(fact, entry["by"], entry["n"])
            for hear in after:
                hear(course, fact, entry)
        else:
            for look in see:
                look(entry)
    for rule in rules:
        rule.close(entries)
    return verdict


INVARIANTS: tuple[str, ...] = tuple(dict.fromkeys(name for rule in RULES for name in rule.NAMES))


def unexercised(counted: Iterable[str]) -> list[str]:
    """The invariants that nothing put to the test."""
    known = set(counted)
    return [name for name in INVARIANTS if name not in known]
