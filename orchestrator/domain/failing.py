"""The failures of a run, until somebody has decided about them.

Room: domain. A fold; what follows from a failure is judged by `judging` and written down by `runstate`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.facts import DecisionAnswered, DecisionAsked, DecisionGrew, Fact
from orchestrator.domain.judging import (
    ACTS,
    Failure,
    Judgement,
    Reach,
    Tally,
    choices,
    judge,
    of_failure,
    rule_number,
)
from orchestrator.domain.open_questions import Questions
from orchestrator.domain.plan import Plan, Role, Unit
from orchestrator.domain.policy import Do

_KILL = "kill"
"""Why it is asked, where the playbook wants a person to say whether a process is ended."""


class Failures:
    """What failed and is suspended. *units* are the run's, by id; *order* their places in plan order; *way_back* says
    whether there is one."""

    def __init__(self, plan: Plan, units: Mapping[str, Unit], order: Mapping[str, int], *, way_back: bool) -> None:
        acting = [node.unit.host for stage in plan.stages for node in stage.nodes if node.role is Role.ACT]
        self._policy = plan.policy
        self.way_back = way_back
        self._units = units
        self._order = order
        self.known: dict[str, Failure] = {}
        """Every suspended unit, and why."""
        self.unjudged: dict[str, None] = {}
        self.used: Counter[int] = Counter()
        """How many failures each rule of the policy has decided."""
        self.tally = Tally(plan.policy)
        self.reach = Reach([host for host in acting if host is not None], plan.policy.zones)
        self.excluded: dict[str, None] = {}
        """Hosts that the run does without."""

    def add(self, unit: str, failure: Failure) -> None:
        """*unit* failed, and nobody has said what becomes of it."""
        self.known[unit] = failure
        self.unjudged[unit] = None
        self.tally.add(unit, self._units[unit].service)
        if failure.kind is ProblemKind.UNREACHABLE:
            self.reach.lost(self._units[unit].host)

    def ask_again(self, units: Iterable[str]) -> None:
        """What was asked about *units* was not decided: a person is asked anew."""
        for unit in units:
            if unit in self.known:
                self.known[unit] = replace(self.known[unit], again=True)
                self.unjudged[unit] = None

    def asked(self, units: Iterable[str]) -> None:
        """A decision about *units* is open."""
        for unit in units:
            self.unjudged.pop(unit, None)

    def decided(self, units: Iterable[str], kind: CauseKind, answer: Answer) -> None:
        """What becomes of *units* is decided, and done. Most hosts are gone until somebody has said what then."""
        rule = rule_number(answer.by) if answer.source is Source.POLICY else None
        for unit in units:
            if kind is CauseKind.VANISHED:
                self.reach.met(self._units[unit].host)
            if rule is not None:
                self.used[rule] += 1
            if answer.source is Source.POLICY and answer.choice is Choice.RETRY:
                self.tally.drop(unit)
            self.forget(unit)

    def forget(self, unit: str) -> None:
        """*unit* is suspended no more."""
        self.known.pop(unit, None)
        self.unjudged.pop(unit, None)

    def answered(self, unit: str, *, whole: bool) -> None:
        """A step of *unit* ended ok, so its host is there; *whole*: its last one, so that it did not fail after all."""
        self.reach.met(self._units[unit].host)
        if whole:
            self.tally.drop(unit)

    def exclude(self, host: str) -> None:
        """The run does without *host*."""
        self.excluded[host] = None
        self.reach.without(host)

    def next_facts(self, questions: Questions) -> list[Fact]:
        """What follows for the first failure in plan order that is not judged, and all others that are judged alike."""
        if not self.unjudged:
            return []
        units = sorted(self.unjudged, key=self._order.__getitem__)
        vanished = self.reach.vanished()
        counts: Counter[int] = Counter(self.used)
        alike: list[str] = []
        wanted: tuple[Judgement, Cause] | None = None
        for unit in units:
            judged = self._judged(unit, counts, vanished, questions)
            if wanted is None:
                wanted = judged
            if judged == wanted:
                alike.append(unit)
                counts[rule_number(judged[0].by) or 0] += 1
        assert wanted is not None
        return self._facts(wanted[0], wanted[1], tuple(alike), questions)

    def _judged(
        self, unit: str, used: Mapping[int, int], vanished: str, questions: Questions
    ) -> tuple[Judgement, Cause]:
        failure = self.known[unit]
        cause = of_failure(failure, self._units[unit].service)
        if vanished and failure.kind is ProblemKind.UNREACHABLE:
            return Judgement(Do.ASK, ""), replace(cause, kind=CauseKind.VANISHED, said=vanished)
        judgement = judge(self._policy, used, failure, self._units[unit])
        ask = Judgement(Do.ASK, _KILL if failure.kill else "")
        if failure.kill and rule_number(judgement.by) is None:
            return ask, cause  # its playbook wants it asked; a rule of the policy goes first
        if failure.again or judgement.do is Do.ASK or (judgement.do is Do.RETRY and failure.once):
            return ask, cause
        if judgement.do is Do.ROLLBACK and not self.way_back:
            return ask, cause
        held = questions.alike(cause, kill=failure.kill) if judgement.do is Do.HOLD else None
        if held is not None and questions.open[held].held:
            return ask, cause  # once held for a reason, a person is asked
        return judgement, cause

    def _facts(self, judgement: Judgement, cause: Cause, units: tuple[str, ...], questions: Questions) -> list[Fact]:
        pauses = cause.kind is CauseKind.VANISHED
        kill = judgement.by == _KILL
        number = questions.alike(cause, kill=kill) if judgement.do is Do.ASK else None
        if number is not None:
            return [DecisionGrew(decision=number, units=units, pauses=pauses)]
        number = questions.last + 1
        whole = replace(cause, said=cause.said or self.known[units[0]].said, units=units)
        on_hosts = any(self._units[unit].host is not None for unit in units)
        may = choices(cause.kind, way_back=self.way_back, kill=kill, on_hosts=on_hosts)
        waits = judgement.do is Do.ASK
        asked = DecisionAsked(decision=number, cause=whole, choices=may, pauses=pauses, waits=waits)
        if waits:
            return [asked]
        answer = Answer(choice=ACTS[judgement.do], source=Source.POLICY, by=judgement.by)
        return [asked, DecisionAnswered(decision=number, answer=answer)]
