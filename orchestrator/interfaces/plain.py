"""Runs without a terminal: a line per event that is worth one, or a fact a line as JSON. Each is flushed at once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import TextIO, assert_never

from rich.console import Console

from orchestrator.domain.durations import spoken
from orchestrator.domain.fact_codec import encode
from orchestrator.domain.facts import (
    OrderTaken,
    RunBegan,
    RunEnded,
    StageBegan,
    Stamped,
    StepEnded,
    StepIntended,
    Strayed,
)
from orchestrator.domain.plan import Plan, Role
from orchestrator.domain.results import REACHED_BY, Acted, Note, Outcome, Phase, Result, Step
from orchestrator.domain.timeline import Timeline
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.report import report
from orchestrator.interfaces.theme import ASCII_MARKS, UNICODE_MARKS, moment, plural

REPORT_WIDTH = 120


class _Lines:
    """Writes lines and flushes each. Once the reader has gone it says nothing more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = stream.encoding or "utf-8"
        self._gone = False

    @property
    def ascii_only(self) -> bool:
        return not self._encoding.lower().startswith("utf")

    def write(self, line: str) -> None:
        if self._gone:
            return
        try:
            self._stream.write(line.encode(self._encoding, "backslashreplace").decode(self._encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._gone = True


class JsonView:
    """Implements `views.View`: `{"number", "at", "elapsed_s", "kind", ...}` a line, `at` in ISO 8601, UTC."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = _Lines(stream)

    def fact(self, stamped: Stamped) -> None:
        """See `View.fact`."""
        self._lines.write(fact_json(stamped))

    def note(self, note: Note) -> None:
        """Notes are for eyes: a machine gets facts alone."""

    def pause(self) -> None:
        """See `View.pause`: lines stay where they are."""

    def resume(self) -> None:
        """See `View.resume`."""

    def leave(self) -> None:
        """See `View.leave`: every line is out already."""

    def close(self) -> None:
        """See `View.close`: there is nothing to give back."""


def fact_json(stamped: Stamped) -> str:
    """A fact with its number and times as one line of JSON."""
    at = datetime.fromtimestamp(stamped.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f'{{"number":{stamped.number},"at":"{at}","elapsed_s":{round(stamped.elapsed_s, 6)},'
    return head + encode(stamped.fact).removeprefix("{")


class PlainView:
    """Implements `views.View` with lines: local time with its offset, unit, what, state, how long it took."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = _Lines(stream)
        self._timeline = Timeline()
        self._told: dict[str, str] = {}
        self._closed = False

    def fact(self, stamped: Stamped) -> None:
        """See `View.fact`."""
        own = isinstance(stamped.fact, StepEnded) and self._timeline.owns(stamped.fact.result.step)
        self._timeline.fact(stamped)
        if isinstance(stamped.fact, StepEnded):
            self._by_another_way(stamped.fact.result, stamped.at)
        for line in _said(stamped, own=own):
            self._lines.write(f"{moment(stamped.at)}  {line}")

    def _by_another_way(self, result: Result, at: float) -> None:
        """A line when a host is reached by another way than the lines have said so far."""
        host, how = result.step.unit.rpartition("@")[2], result.evidence.get(REACHED_BY)
        if how is not None and self._told.get(host) != how:
            self._told[host] = how
            self._lines.write(f"{moment(at)}  {clean(host)}  is reached by {clean(how)}")

    def note(self, note: Note) -> None:
        """Notes are for a picture that changes: lines stay."""
        self._timeline.note(note)

    def pause(self) -> None:
        """See `View.pause`: lines stay where they are."""

    def resume(self) -> None:
        """See `View.resume`."""

    def leave(self) -> None:
        """See `View.leave`: every line is out already."""

    def close(self) -> None:
        """See `View.close`."""
        if self._closed or self._timeline.began is None:
            return
        self._closed = True
        paper = StringIO()
        console = Console(file=paper, width=REPORT_WIDTH, no_color=True, color_system=None, force_terminal=False)
        console.print(report(self._timeline, ASCII_MARKS if self._lines.ascii_only else UNICODE_MARKS))
        self._lines.write("")
        for line in paper.getvalue().splitlines():
            self._lines.write(line.rstrip())


def _said(stamped: Stamped, *, own: bool) -> Iterator[str]:
    """The lines that a fact is worth: mostly one, sometimes none."""
    fact = stamped.fact
    match fact:
        case RunBegan(run=run, plan=plan, requester=requester, controller=controller):
            asked = f"asked for by {clean(requester)} on {clean(controller)}"
            yield f"run {run} begins: {plan.action} {clean(plan.name)}, {_size(plan)}, {asked}"
        case StageBegan(stage=stage):
            yield f"stage {stage + 1} begins"
        case StepIntended(step=step):
            yield from _beginning(step)
        case StepEnded(result=result):
            yield from _ending(result, own=own)
        case OrderTaken(order=order):
            yield f"{clean(order)} was ordered: nothing new is begun, what is under way settles"
        case Strayed(unit=unit, left=left, found=found, why=why):
            yield f"{clean(unit)}  STRAYED: left {left or 'unread'}, found {found}" + (f": {clean(why)}" if why else "")
        case RunEnded(verdict=verdict, exit_code=exit_code):
            yield f"run ends: {verdict}, exit code {exit_code}"
        case _:
            assert_never(fact)


def _size(plan: Plan) -> str:
    units = {node.unit.id for stage in plan.stages for node in stage.nodes if node.role is Role.ACT}
    expected_s = sum(stage.expected_s for stage in plan.stages)
    return f"{plural(len(units), 'unit')}, about {spoken(expected_s)} by the plan"


def _beginning(step: Step) -> Iterator[str]:
    """Only acts are worth a line when they begin: it names what hangs, should they."""
    if step.phase in (Phase.START, Phase.STOP):
        again = f", attempt {step.attempt}" if step.attempt > 1 else ""
        yield f"{clean(step.unit)}  {step.phase} begins{again}"


def _ending(result: Result, *, own: bool) -> Iterator[str]:
    """The look at everybody at the end is worth a line only where it fails."""
    if own or result.outcome is not Outcome.OK:
        yield f"{clean(result.step.unit)}  {result.step.phase} {_outcome(result)}"


def _sentence(result: Result) -> str:
    """What the step said, without its unit, which the line names already."""
    unit = clean(result.step.unit)
    return clean(result.said).removeprefix(unit).removeprefix(":").strip()


def _outcome(result: Result) -> str:
    """`ok: Running -> Stopped, 12 s`, or `FAILED: StopPending, 90 s: the error as the host gave it`."""
    moved = result.before != result.after and result.before and result.after
    state = f"{result.before} -> {result.after}" if moved else result.after
    if result.outcome is Outcome.OK:
        there = " already" if result.acted is Acted.NO and result.step.phase in (Phase.START, Phase.STOP) else ""
        what = _sentence(result) if result.step.phase is Phase.GATE else f"{state}{there}"
        return f"ok: {what}, {spoken(result.took_s)}" if what else f"ok, {spoken(result.took_s)}"
    problem = result.problem
    text = _sentence(result)
    if problem and clean(problem.text) not in clean(result.said):
        text = ": ".join(filter(None, (text, clean(problem.text))))
    code = f" (error {problem.code})" if problem and problem.code is not None else ""
    perhaps = ", perhaps acted" if result.acted is Acted.MAYBE else ""
    return f"{result.outcome.upper()}: {state or 'state not read'}{perhaps}, {spoken(result.took_s)}: {text}{code}"
