"""Facts as lines: the log of a run that nobody watches, or that is read afterwards. Each thing is told once."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from orchestrator.domain.decisions import CauseKind
from orchestrator.domain.durations import spoken
from orchestrator.domain.facts import (
    UNREAD,
    DecisionAnswered,
    DecisionAsked,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    OrderTaken,
    RollbackBegan,
    RunBegan,
    RunEnded,
    RunParked,
    RunResumed,
    StageBegan,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.plan import Plan, Role, Stage
from orchestrator.domain.results import HOOKS, RUN, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.service import State
from orchestrator.domain.timeline import Timeline
from orchestrator.domain.way_back import in_words
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.decision_words import answered, command, in_time, listed, said, who_may
from orchestrator.interfaces.theme import plural, stage_name, unit_name


def lines_of(fact: Fact, timeline: Timeline, *, own: bool) -> Iterator[str]:
    """The lines that a fact is worth: mostly one, sometimes none. *timeline* has taken it in already.

    *own*: it ended one of its unit's own steps.
    """
    match fact:
        case RunBegan():
            yield _beginning_of_run(fact)
        case StageBegan(stage=stage):
            yield _beginning_of_stage(stage, timeline)
        case StepIntended(step=step):
            yield from _beginning(step, timeline)
        case StepEnded(result=result):
            yield from _ending(result, timeline, own=own)
        case Strayed():
            yield _strayed(fact)
        case RunEnded(verdict=verdict, exit_code=exit_code, said=why):
            yield f"run ends: {clean(verdict)}, exit code {exit_code}" + (f": {clean(why)}" if why else "")
        case _:
            yield from _aside(fact, timeline)


def _aside(
    fact: OrderTaken
    | DecisionAsked
    | DecisionGrew
    | DecisionAnswered
    | DecisionWithdrawn
    | RollbackBegan
    | RunParked
    | RunResumed,
    timeline: Timeline,
) -> Iterator[str]:
    match fact:
        case OrderTaken():
            yield _ordered(fact)
        case DecisionAsked():
            yield from _asked(fact, timeline)
        case DecisionGrew(decision=number, units=units):
            yield f"decision {number}: {plural(len(units), 'unit')} more for the same reason: {_named(units)}"
        case DecisionAnswered(decision=number) | DecisionWithdrawn(decision=number):
            question = timeline.decisions.all.get(number)
            yield f"decision {number}: {answered(question)}" if question else f"decision {number} is closed"
        case RollbackBegan():
            yield from _going_back(fact)
        case RunParked():
            yield f"the run is parked and keeps its locks: {_parked(timeline)}"
        case RunResumed():
            yield from _resumed(fact, timeline)
        case _:
            assert_never(fact)


def _beginning_of_run(fact: RunBegan) -> str:
    of = f", of {clean(fact.of)}" if fact.of else ""
    asked = f"asked for by {clean(fact.requester)} on {clean(fact.controller)}"
    return f"run {fact.run} begins: {fact.plan.action} {clean(fact.plan.name)}{of}, {_size(fact.plan)}, {asked}"


def _beginning_of_stage(number: int, timeline: Timeline) -> str:
    """`stage 2 of 2 begins: start`; those of the way back are counted apart."""
    first = timeline.back_from or 0
    back = "the way back, " if timeline.back_from is not None else ""
    name = stage_name(timeline.stages[number].stage)
    return f"{back}stage {number + 1 - first} of {len(timeline.going)} begins: {name}"


def _ordered(fact: OrderTaken) -> str:
    by = f" by {clean(fact.by)}" if fact.by else ""
    if fact.order == "cancel":
        return f"cancel was ordered{by}: nothing new is begun, what is under way settles"
    if fact.order == "park":
        return f"nobody is waited for here{by}: when nothing but answers is left, the run parks"
    if fact.order == "window closed":
        return f"the window has closed{by}: nothing more is stopped, starts go on"
    return f"{clean(fact.order)}{by}"


def _asked(fact: DecisionAsked, timeline: Timeline) -> Iterator[str]:
    question, began = timeline.decisions.all.get(fact.decision), timeline.began
    if question is None or began is None:
        return
    approval = began.plan.policy.approval
    told = fact.cause.kind is CauseKind.FAILURE  # by the line of its last step
    why = f": {text}" if not told and (text := said(question)) else ""
    goes_on = "nothing new begins until it is answered" if fact.pauses else "what does not need them goes on"
    if timeline.halted and not fact.pauses:
        goes_on = f"nothing new begins: {clean(timeline.halted)}"
    if not fact.waits:
        yield f"decision {fact.decision}: {clean(question.headline)}{why}"  # the next line says what was decided
        return
    yield f"DECISION {fact.decision} WAITS: {clean(question.headline)}{why}"
    late = f"; {words}" if (words := in_time(question, approval)) else ""
    yield (
        f"decision {fact.decision}: {goes_on}; {who_may(approval, began.requester)}{late}; "
        f"{command(timeline, fact.decision)}, where CHOICE is {listed(fact.choices)}"
    )


def _going_back(fact: RollbackBegan) -> Iterator[str]:
    size = _acting(fact.stages)
    expected_s = sum(stage.expected_s for stage in fact.stages)
    what = f"{plural(size, 'unit')}, about {spoken(expected_s)}" if size else "nothing has to be put back"
    yield f"ROLLBACK begins: {what}"
    for changed in fact.changed_since:
        yield f"{clean(changed.unit)}  not put back: {clean(in_words(changed))}"


def _parked(timeline: Timeline) -> str:
    waiting = [f"decision {question.number}" for question in timeline.decisions.open]
    if not waiting:
        return f"orch resume {timeline.run} goes on"
    return f"{', '.join(waiting)} {'waits' if len(waiting) == 1 else 'wait'}; {command(timeline)}"


def _resumed(fact: RunResumed, timeline: Timeline) -> Iterator[str]:
    drift = ", accepting what others changed" if fact.accept_drift else ""
    yield f"the run goes on: resumed by {clean(fact.requester)} on {clean(fact.controller)}{drift}"
    lost = timeline.resumes[-1].lost
    if lost:
        yield f"{plural(len(lost), 'step')} under way when the process before was lost, due again: {_named(lost)}"


def _strayed(fact: Strayed) -> str:
    why = f": {clean(fact.why)}" if fact.why else ""
    if fact.found == UNREAD:
        return f"{clean(fact.unit)}  NOT READ at the end: left {fact.left or 'unread'}{why}"
    return f"{clean(fact.unit)}  STRAYED: left {fact.left or 'unread'}, found {fact.found}{why}"


def _named(units: Iterable[str]) -> str:
    return ", ".join(map(clean, units))


def _acting(stages: Iterable[Stage]) -> int:
    return len({node.unit.id for stage in stages for node in stage.nodes if node.role is Role.ACT})


def _size(plan: Plan) -> str:
    expected_s = sum(stage.expected_s for stage in plan.stages)
    return f"{plural(_acting(plan.stages), 'unit')}, about {spoken(expected_s)} by the plan"


def _beginning(step: Step, timeline: Timeline) -> Iterator[str]:
    """Only what acts is worth a line when it begins: it names what hangs, should it."""
    if step.phase in _TOLD_FIRST:
        what = timeline.words(step)
        pid = timeline.process(step) if step.phase is Phase.KILL else ""
        what += f" of PID {clean(pid)}" if pid else ""
        track = None if step.unit == RUN else timeline.stages[step.stage].tracks.get(step.unit)
        tries = step.attempt if track is None else track.tries(step)
        again = f", attempt {tries}" if tries > 1 else ""
        again += f", after {spoken(step.delay_s)}" if step.delay_s > 0 else ""
        yield f"{unit_name(step.unit)}  {clean(what)} begins{again}"


def _ending(result: Result, timeline: Timeline, *, own: bool) -> Iterator[str]:
    """What stands beside a unit's own steps is worth a line only where it fails, but for what acts."""
    step = result.step
    if step.phase is Phase.READ and step.hook and result.outcome is Outcome.OK:
        stage = timeline.stages[step.stage].stage
        if result.after == (State.STOPPED if stage.rolling else stage.goal):
            yield f"{clean(step.unit)}  is {result.after} already: what has to be done before that is left out"
    elif own or result.outcome is not Outcome.OK or step.phase in _TOLD_FIRST or step.phase in _ASIDE:
        yield f"{unit_name(step.unit)}  {clean(timeline.words(step))} {_outcome(result)}"


_ACTS = (Phase.START, Phase.STOP)
_OF_RUN = (Phase.ON_BEGIN, Phase.ON_END, Phase.ON_FAILURE)
_TOLD_FIRST = (*_ACTS, Phase.KILL, Phase.UNDO, *HOOKS, *_OF_RUN)
_ASIDE = (Phase.RELEASE, Phase.COUNT)
_STATES = (*_ACTS, Phase.READ, Phase.LOOK)
"""Steps whose result is a state; the others say a sentence."""


def _sentence(result: Result) -> str:
    """What the step said, without its unit and its hook, which the line names already."""
    said, hook = clean(result.said), clean(result.step.hook)
    for known in (clean(result.step.unit), f"the undo of {hook}" if hook else "", hook):
        if known and said.startswith((known + ":", known + " ")):
            said = said.removeprefix(known).removeprefix(":").strip()
    return said


def _outcome(result: Result) -> str:
    """`ok: Running -> Stopped, 12 s`, or `FAILED: StopPending, 90 s: the error as the host gave it`."""
    moved = result.before != result.after and result.before and result.after
    state = f"{result.before} -> {result.after}" if moved else result.after
    if result.outcome is Outcome.OK:
        there = " already" if result.acted is Acted.NO and result.step.phase in _ACTS else ""
        what = f"{state}{there}" if result.step.phase in _STATES else _sentence(result)
        return f"ok: {what}, {spoken(result.took_s)}" if what else f"ok, {spoken(result.took_s)}"
    problem = result.problem
    text = _sentence(result)
    if problem and clean(problem.text) not in clean(result.said):
        text = ": ".join(filter(None, (text, clean(problem.text))))
    code = "" if problem is None or problem.code is None else f" (error {problem.code})"
    code = "" if code.strip() in text else code
    perhaps = ", perhaps acted" if result.acted is Acted.MAYBE else ""
    state = (state or "state not read") if result.step.phase in _STATES else state
    head = f"{result.outcome.upper()}: " + ", ".join(
        filter(None, (f"{state}{perhaps}".removeprefix(", "), spoken(result.took_s)))
    )
    return f"{head}: {text}{code}"
