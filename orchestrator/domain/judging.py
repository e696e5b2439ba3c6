"""What a failure is taken for: its cause, what the policy says to it, and when there are too many of them.

Room: domain. Pure: `runstate` keeps what these count, and writes down what follows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from orchestrator.domain.decisions import Cause, CauseKind, Choice
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.plan import Unit
from orchestrator.domain.policy import Do, Policy

WIDE = (ProblemKind.UNREACHABLE, ProblemKind.AUTH)
"""Failures that are one cause for a whole run: a network that is gone, an account that is locked."""
TRANSIENT = (ProblemKind.UNREACHABLE, ProblemKind.QUOTA, ProblemKind.PROTOCOL)
"""Failures that may be gone when the same is tried later; what is tried reads the state before it acts."""
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
ACTS = {
    Do.ROLLBACK: Choice.ROLLBACK,
    Do.HOLD: Choice.HOLD,
    Do.CONTINUE: Choice.SKIP,
    Do.RETRY: Choice.RETRY,
}
"""What a policy's word answers; ASK answers nothing."""
_OF_FAILURES = (Choice.ROLLBACK, Choice.RETRY, Choice.KILL, Choice.SKIP, Choice.EXCLUDE, Choice.HOLD, Choice.ABORT)
_GOING_ON = (Choice.CONTINUE, Choice.ROLLBACK, Choice.HOLD, Choice.ABORT)
_CHOICES = {
    CauseKind.FAILURE: _OF_FAILURES,
    CauseKind.VANISHED: _OF_FAILURES,
    CauseKind.BUDGET: _GOING_ON,
    CauseKind.CANCELLED: _GOING_ON,
    CauseKind.CHANGED: (Choice.CONTINUE, Choice.RETRY, Choice.ROLLBACK, Choice.HOLD, Choice.ABORT),
    CauseKind.WINDOW: (Choice.ROLLBACK, Choice.HOLD, Choice.ABORT),
    CauseKind.APPROVAL: (Choice.CONTINUE, Choice.HOLD, Choice.ABORT),
    CauseKind.HOOK: (Choice.RETRY, Choice.CONTINUE, Choice.HOLD, Choice.ABORT),
    CauseKind.PAUSE: _GOING_ON,
}
PAUSING = tuple(kind for kind in CauseKind if kind not in (CauseKind.FAILURE, CauseKind.PAUSE))
"""As long as one of these is open, nothing new begins."""
_RULE = "rule "


@dataclass(frozen=True, slots=True)
class Failure:
    """What became of one unit: `kind` None if nobody can say what kind of failure it was. `again`: it was asked about
    before and not decided, so that a person is asked now. `kill`: its process may be ended if a person says so. `once`:
    a hook that must not be carried out twice may have run, so that no policy tries it again."""

    kind: ProblemKind | None
    said: str
    again: bool = False
    kill: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done, and which line of the policy says so: `rule 2`, or `on_failure`."""

    do: Do
    by: str


def choices(
    kind: CauseKind, *, way_back: bool, begun: bool = True, kill: bool = False, on_hosts: bool = True
) -> tuple[Choice, ...]:
    """What may be answered. Without a *way_back* nobody can choose it; before anything has *begun* nothing is done
    again, but a hook of the run. *kill*: the units are stuck, and their processes may be ended. *on_hosts*: one of them
    is on a host that can be done without."""
    again = begun or kind is CauseKind.HOOK
    without = {Choice.ROLLBACK: not way_back, Choice.RETRY: not again, Choice.KILL: not kill}
    without[Choice.EXCLUDE] = not on_hosts
    return tuple(choice for choice in _CHOICES[kind] if not without.get(choice))


def of_failure(failure: Failure, service: str) -> Cause:
    """The cause of a failure of *service*, without its units: equal for failures that are asked about as one."""
    return Cause(
        kind=CauseKind.FAILURE,
        said="",
        problem=failure.kind,
        service="" if failure.kind in WIDE else service,
    )


def judge(policy: Policy, used: Mapping[int, int], failure: Failure, unit: Unit) -> Judgement:
    """The first rule that fits and is not used up, else `on_failure`. *used*: rule, counted from 1 -> failures that it
    decided. Cost: O(rules)."""
    for number, rule in enumerate(policy.rules, start=1):
        fits = (
            (not rule.kinds or failure.kind in rule.kinds)
            and (not rule.services or unit.service in rule.services)
            and (not rule.hosts or unit.host in rule.hosts)
        )
        if fits and (rule.count is None or used.get(number, 0) < rule.count):
            return Judgement(rule.do, f"{_RULE}{number}")
    return Judgement(policy.on_failure, "on_failure")


def rule_number(by: str) -> int | None:
    """The rule that `Judgement.by` names; None for `on_failure`."""
    return int(by.removeprefix(_RULE)) if by.startswith(_RULE) else None


def pause_s(step: str, attempt: int) -> float:
    """How long to wait before *attempt* (from 2) of a step: doubling up to a minute, and spread by a hash of the step's
    id, so that hosts that vanished together are not all asked at once."""
    whole_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt - 2, 10))
    share: float = int.from_bytes(sha256(step.encode()).digest()[:4], "big") / 2**32
    return round(whole_s * (0.5 + share / 2), 3)


class Reach:
    """Which of the hosts that a run acts on can't be reached, in all and by zone. Cost of every change: O(zones of the
    host)."""

    def __init__(self, hosts: Iterable[str], zones: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        self.gone: dict[str, None] = {}
        self._groups: dict[str, list[str]] = {host: [""] for host in hosts}
        for zone, members in zones:
            for host in members:
                if host in self._groups:
                    self._groups[host].append(zone)
        self._size = Counter(group for groups in self._groups.values() for group in groups)
        self._gone: Counter[str] = Counter()

    def lost(self, host: str | None) -> None:
        """*host* did not answer."""
        if host in self._groups and host not in self.gone:
            self.gone[host] = None
            self._gone.update(self._groups[host])

    def met(self, host: str | None) -> None:
        """*host* answered, or what to do about its silence was decided."""
        if host in self.gone:
            del self.gone[host]
            self._gone.subtract(self._groups[host])

    def without(self, host: str) -> None:
        """*host* is no longer acted on."""
        self.met(host)
        self._size.subtract(self._groups.pop(host, ()))

    def vanished(self) -> str:
        """In words, if more than half of the hosts, or of a zone's, and at least two of them, are gone; else ""."""
        for group, count in sorted(self._gone.items()):
            if count >= 2 and count > self._size[group] / 2:
                of = f"hosts of the zone {group}" if group else "hosts"
                return f"{count} of {self._size[group]} {of} can't be reached any more"
        return ""


class Tally:
    """The units that failed since this was last begun anew, against `max_failures`. Cost: O(1) a unit."""

    def __init__(self, policy: Policy) -> None:
        self.failed: dict[str, str] = {}
        self._most = policy.max_failures
        self._most_of = dict(policy.max_failures_of)
        self._of: Counter[str] = Counter()

    def add(self, unit: str, service: str) -> None:
        """*unit* failed."""
        if unit not in self.failed:
            self.failed[unit] = service
            self._of[service] += 1

    def drop(self, unit: str) -> None:
        """*unit* did not fail after all, or is tried again by the policy's leave."""
        service = self.failed.pop(unit, None)
        if service is not None:
            self._of[service] -= 1

    def begin_anew(self) -> None:
        """What failed so far is allowed."""
        self.failed.clear()
        self._of.clear()

    def exceeded(self) -> Cause | None:
        """The cause to ask about if more failed than may, and the units. Cost: O(services), and O(units) if so."""
        if not self.failed:
            return None
        if self._most is not None and len(self.failed) > self._most:
            said = f"{len(self.failed)} units failed, and max_failures is {self._most}"
            return Cause(kind=CauseKind.BUDGET, said=said, units=tuple(self.failed))
        for service, most in self._most_of.items():
            if self._of[service] > most:
                units = tuple(unit for unit, of in self.failed.items() if of == service)
                said = f"{len(units)} units of {service} failed, and its max_failures is {most}"
                return Cause(kind=CauseKind.BUDGET, said=said, service=service, units=units)
        return None
