"""A run's state as JSON values, and back.

Room: domain. What follows from the plan is not dumped; equal states dump equally.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.domain.decisions import Answer, Cause, CauseKind, Choice, Source
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.fact_codec import decode, encode
from orchestrator.domain.facts import RollbackBegan, RunEnded, Strayed
from orchestrator.domain.failing import Failures
from orchestrator.domain.findings import Final, Findings
from orchestrator.domain.folded import Folded
from orchestrator.domain.judging import Failure
from orchestrator.domain.open_questions import Asked, Questions
from orchestrator.domain.parts import Part
from orchestrator.domain.results import Acted, Outcome, Phase, Step
from orchestrator.domain.service import State
from orchestrator.domain.stage_run import Again, GivenUp, StageRun

FLAGS = (
    "run",
    "stage",
    "cancelled",
    "window_closed",
    "approved",
    "accept_drift",
    "going_back",
    "looked_back",
    "ending",
    "called_off",
    "closing",
)


def dump(folded: Folded) -> dict[str, Any]:
    """See `RunState.dump`."""
    return {
        **{flag: getattr(folded, flag) for flag in FLAGS},
        "orders": list(folded.orders),
        "ended": folded.ended and asdict(folded.ended),
        "back": encode(folded.back) if folded.back else None,
        "lost": _steps(folded.lost),
        "spent_s": dict(folded.spent_s),
        "runs": [_run(folded.runs[number]) for number in sorted(folded.runs)],
        "findings": _findings(folded.findings),
        "failures": _failures(folded.failures),
        "errands": folded.errands.dump(),
        "questions": _questions(folded.questions),
    }


def restore(folded: Folded, dumped: Mapping[str, Any]) -> None:
    """Bring *folded*, a state of which nothing has happened yet, to where *dumped* was. Cost: O(nodes + edges)."""
    if dumped["back"]:
        back = decode(dumped["back"])
        assert isinstance(back, RollbackBegan)
        folded.back = back
        folded.stages = (*folded.plan.stages, *back.stages)
    for one in dumped["runs"]:
        number = one["number"]
        folded.now = folded.runs[number] = folded.stage_run(number)
        folded.findings.begin_stage(folded.stages[number])
        _restore_run(folded.now, one)
    for flag in FLAGS:
        setattr(folded, flag, dumped[flag])
    folded.orders = list(dumped["orders"])
    folded.ended = RunEnded(**dumped["ended"]) if dumped["ended"] else None
    folded.lost = _steps_again(dumped["lost"])
    folded.spent_s = dict(dumped["spent_s"])
    folded.errands.restore(dumped["errands"])
    _restore_findings(folded.findings, dumped["findings"])
    _restore_failures(folded.failures, dumped["failures"])
    _restore_questions(folded.questions, dumped["questions"])


def _steps(steps: Iterable[Step]) -> list[list[Any]]:
    return [[step.stage, step.unit, step.phase, step.attempt, step.delay_s, step.hook] for step in steps]


def _steps_again(dumped: Iterable[list[Any]]) -> list[Step]:
    return [Step(stage, unit, Phase(phase), *rest) for stage, unit, phase, *rest in dumped]


def _parts(parts: Iterable[Part]) -> list[list[Any]]:
    return [[part.phase, part.hook, part.undoes] for part in parts]


def _parts_again(dumped: Iterable[list[Any]]) -> tuple[Part, ...]:
    return tuple(Part(Phase(phase), hook, undoes) for phase, hook, undoes in dumped)


def _run(run: StageRun) -> dict[str, Any]:
    schedule = run.schedule
    return {
        "number": run.number,
        "outcomes": list(schedule.outcomes),
        "spared": sorted(schedule.spared),
        "never": [place for place, never in enumerate(schedule.never) if never],
        "under_way": _steps(run.under_way[place] for place in sorted(run.under_way)),
        "due": _steps(run.due[place] for place in sorted(run.due)),
        "suspended": [[place, run.suspended[place]] for place in sorted(run.suspended)],
        "again": [[place, *_again(run.again[place])] for place in sorted(run.again)],
        "attempts": [[place, run.attempts[place]] for place in sorted(run.attempts)],
        "goes_on_at": [[place, *_parts([run.goes_on_at[place]])] for place in sorted(run.goes_on_at)],
        "at_goal": sorted(run.at_goal),
        "carried": [[place, _parts(run.carried[place])] for place in sorted(run.carried)],
        "marred": [[place, run.marred[place]] for place in sorted(run.marred)],
        "given_up": [[place, one.outcome, _parts(one.left)] for place, one in sorted(run.given_up.items())],
        "watching": _steps(run.watching[place] for place in sorted(run.watching)),
        "to_watch": sorted(run.to_watch),
        "asking": sorted(run.asking),
        "granted": sorted(run.granted),
    }


def _again(again: Again) -> list[Any]:
    return [again.attempt, again.outcome, again.delay_s]


def _restore_run(run: StageRun, dumped: Mapping[str, Any]) -> None:
    """Whoever began has begun before anybody is settled, for what is settled may mean that others never begin."""
    schedule = run.schedule
    settled = {
        place: Outcome(outcome)
        for place, outcome in enumerate(dumped["outcomes"])
        if outcome is not None and schedule.lives[place]
    }
    run.suspended = {place: Outcome(outcome) for place, outcome in dumped["suspended"]}
    run.again = {place: Again(attempt, Outcome(was), delay_s) for place, attempt, was, delay_s in dumped["again"]}
    run.attempts = {place: attempt for place, attempt in dumped["attempts"]}
    run.under_way = {run.places[step.unit]: step for step in _steps_again(dumped["under_way"])}
    run.counting = {place: step for place, step in run.under_way.items() if step.phase is Phase.COUNT}
    run.due = {run.places[step.unit]: step for step in _steps_again(dumped["due"])}
    run.goes_on_at = {place: _parts_again([part])[0] for place, part in dumped["goes_on_at"]}
    run.at_goal = dict.fromkeys(dumped["at_goal"])
    run.carried = {place: _parts_again(done) for place, done in dumped["carried"]}
    run.marred = {place: Outcome(outcome) for place, outcome in dumped["marred"]}
    for place, outcome, left in dumped["given_up"]:
        run.given_up[place] = GivenUp(None if outcome is None else Outcome(outcome), _parts_again(left))
    run.watching = {run.places[step.unit]: step for step in _steps_again(dumped["watching"])}
    run.to_watch = dict.fromkeys(dumped["to_watch"])
    run.granted = dict.fromkeys(dumped["granted"])
    for place in dumped["asking"]:
        run.ask(place)
    for place in sorted({*settled, *run.suspended, *run.again, *run.under_way, *run.due, *run.given_up}):
        schedule.begin(place)
    for place in sorted({*settled, *run.suspended, *run.again, *run.given_up}):
        schedule.suspend(place)
        schedule.begun[place] = place not in run.given_up or run.given_up[place].outcome is not None
    for place, outcome in settled.items():
        schedule.settle(place, outcome)
    for place, again in run.again.items():
        schedule.again(place, last=again.delay_s > 0)
    for place in dumped["never"]:
        schedule.bar(place)
    schedule.spared = set(dumped["spared"])


def _strays(strays: Iterable[Strayed]) -> list[list[str]]:
    return [[one.unit, one.left, one.found, one.why] for one in strays]


def _by_unit(dumped: Iterable[list[str]]) -> dict[str, Strayed]:
    return {fields[0]: Strayed(*fields) for fields in dumped}


def _findings(found: Findings) -> dict[str, Any]:
    return {
        "left": dict(found.left),
        "home": dict(found.home),
        "touched": dict(found.touched),
        "coming": dict(found.coming),
        "owed": [[unit, dict(owed)] for unit, owed in found.owed.items()],
        "not_undone": [[*key, said] for key, said in found.not_undone.items()],
        "spent": [[unit, dict(names)] for unit, names in found.spent.items()],
        "orphans": list(found.orphans),
        "done_once": [[unit, list(names)] for unit, names in found.done_once.items()],
        "stepped": list(found.stepped),
        "live": dict(found.live),
        "lately": dict(found.lately),
        "todo": list(found.todo),
        "looking": _steps(found.looking.values()),
        "changed": _strays(found.changed.values()),
        "told": dict(found.told),
        "finals": [[unit, final and [final.found, final.said]] for unit, final in found.finals.items()],
        "reading": _steps(found.reading.values()),
        "strays_due": _strays(found.strays_due.values()),
        "strayed": _strays(found.strayed),
        "attempts": [[unit, phase, count] for (unit, phase), count in found.attempts.items()],
    }


def _restore_findings(found: Findings, dumped: Mapping[str, Any]) -> None:
    found.left = dict(dumped["left"])
    found.home = dict(dumped["home"])
    found.touched = {unit: Acted(acted) for unit, acted in dumped["touched"].items()}
    found.coming = dict(dumped["coming"])
    found.owed.clear()  # stages hold on to it
    for unit, owed in dumped["owed"]:
        found.owed[unit] = {name: State(goal) for name, goal in owed.items()}
    found.not_undone = {(unit, hook): said for unit, hook, said in dumped["not_undone"]}
    found.spent.clear()  # as they do to this
    for unit, names in dumped["spent"]:
        found.spent[unit] = dict(names)
    found.orphans = dict.fromkeys(dumped["orphans"])
    found.done_once.clear()
    for unit, names in dumped["done_once"]:
        found.done_once[unit] = dict.fromkeys(names)
    found.stepped = dict.fromkeys(dumped["stepped"])
    found.live = dict(dumped["live"])
    found.lately = dict(dumped["lately"])
    found.todo = dict.fromkeys(dumped["todo"])
    found.looking = {step.unit: step for step in _steps_again(dumped["looking"])}
    found.changed = _by_unit(dumped["changed"])
    found.told = dict(dumped["told"])
    found.finals = {unit: final and Final(*final) for unit, final in dumped["finals"]}
    found.reading = {step.unit: step for step in _steps_again(dumped["reading"])}
    found.strays_due = _by_unit(dumped["strays_due"])
    found.strayed = [Strayed(*fields) for fields in dumped["strayed"]]
    found.attempts = {(unit, Phase(phase)): count for unit, phase, count in dumped["attempts"]}


def _failures(failures: Failures) -> dict[str, Any]:
    return {
        "known": [[unit, one.kind, one.said, one.again, one.kill, one.once] for unit, one in failures.known.items()],
        "unjudged": list(failures.unjudged),
        "used": [[rule, failures.used[rule]] for rule in sorted(failures.used)],
        "failed": dict(failures.tally.failed),
        "gone": list(failures.reach.gone),
        "excluded": list(failures.excluded),
    }


def _restore_failures(failures: Failures, dumped: Mapping[str, Any]) -> None:
    for unit, kind, *rest in dumped["known"]:
        failures.known[unit] = Failure(None if kind is None else ProblemKind(kind), *rest)
    failures.unjudged = dict.fromkeys(dumped["unjudged"])
    failures.used.update({rule: count for rule, count in dumped["used"]})
    for unit, service in dumped["failed"].items():
        failures.tally.add(unit, service)
    for host in dumped["excluded"]:
        failures.exclude(host)
    for host in dumped["gone"]:
        failures.reach.lost(host)


def _questions(questions: Questions) -> dict[str, Any]:
    return {
        "last": questions.last,
        "open": [[number, *_asked(asked)] for number, asked in questions.open.items()],
        "held": [[number, *_asked(asked)] for number, asked in questions.held.items()],
        "on_hold": list(questions.on_hold),
        "late": [[number, asdict(answer), *_asked(asked)] for number, (asked, answer) in questions.late.items()],
    }


def _asked(asked: Asked) -> list[Any]:
    cause = asked.cause
    units, may = list(asked.units), list(asked.choices)
    return [cause.kind, cause.said, cause.problem, cause.service, units, may, asked.pauses, asked.held]


def _restore_questions(questions: Questions, dumped: Mapping[str, Any]) -> None:
    questions.last = dumped["last"]
    questions.open = {number: _asked_again(*fields) for number, *fields in dumped["open"]}
    questions.held = {number: _asked_again(*fields) for number, *fields in dumped["held"]}
    questions.on_hold = dict.fromkeys(dumped["on_hold"])
    for number, answer, *fields in dumped["late"]:
        questions.late[number] = (_asked_again(*fields), _answer(answer))


def _asked_again(
    kind: str,
    said: str,
    problem: str | None,
    service: str,
    units: list[str],
    choices: list[str],
    pauses: bool,
    held: bool,
) -> Asked:
    cause = Cause(
        kind=CauseKind(kind), said=said, problem=None if problem is None else ProblemKind(problem), service=service
    )
    return Asked(cause, dict.fromkeys(units), tuple(map(Choice, choices)), pauses, held)


def _answer(dumped: Mapping[str, Any]) -> Answer:
    fields = {
        **dumped,
        "choice": Choice(dumped["choice"]),
        "source": Source(dumped["source"]),
        "approvals": tuple(dumped["approvals"]),
    }
    return Answer(**fields)
