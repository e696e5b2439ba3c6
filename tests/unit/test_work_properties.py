"""START and STOP against a host that may do anything at all."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual
from working import GOALS, Bench, node

from orchestrator.domain.connection import Transport
from orchestrator.domain.errors import (
    AuthRejected,
    HostError,
    Problem,
    ProblemKind,
    ProtocolError,
    QuotaExceeded,
    Refused,
    Unreachable,
)
from orchestrator.domain.processes import Process
from orchestrator.domain.results import Acted, Outcome, Phase, Result
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus, State
from orchestrator.engine.ports import CommandOutput, ControlAnswer, HostFacts
from orchestrator.engine.work.looks import FINISH_S

TIMEOUT_S = 30.0
NO = [Problem(ProblemKind.REFUSED, "nein", code) for code in (None, 5, 1051, 1053, 1056, 1061, 1062)]
NOT_SENT = [Unreachable("h", "refused"), QuotaExceeded("h", "shells"), ProtocolError("h", "?"), HostError("h", "odd")]
LOST = [Unreachable("h", "cut", sent=True), ProtocolError("h", "half", sent=True), AuthRejected("h", "no", sent=True)]

Said = State | HostError | Problem | None
"""None: silence."""
SAID = st.sampled_from([*State]) | st.sampled_from([*State, *NOT_SENT, AuthRejected("h", "no"), *NO, None])
TOOK = st.none() | st.sampled_from([None, *NOT_SENT, *LOST, *(Refused("h", problem) for problem in NO)])
ANSWERS = st.sampled_from(
    [ControlAnswer(ended=False), ControlAnswer(ended=True), *(ControlAnswer(ended=True, problem=no) for no in NO)]
    + [ControlAnswer(ended=True, problem=Problem(ProblemKind.UNREACHABLE, "lost")), *NOT_SENT]
)


@dataclass
class Anything:
    """Hosts, HostServices and HostCommand at once: says what it is told to, then what it said last, for ever."""

    states: Iterator[Said]
    takes: Iterator[HostError | None]
    answers: Iterator[ControlAnswer | HostError]
    log: list[tuple[str, object]] = field(default_factory=list)

    def services(self, host: str) -> "Anything":
        return self

    def command(self, host: str) -> "Anything":
        return self

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        said = next(self.states)
        self.log.append(("read", said))
        if said is None:
            await asyncio.sleep(10_000)
        if isinstance(said, HostError):
            raise said
        if isinstance(said, Problem):
            return [Reading(question, problem=said) for question in asked]
        assert isinstance(said, State)
        return [Reading(question, (ServiceStatus(name=question.name, state=said),)) for question in asked]

    async def request(self, name: str, control: Control) -> None:
        error = next(self.takes)
        self.log.append(("control", error))
        if error is not None:
            raise error

    async def answer(self, name: str) -> ControlAnswer:
        said = next(self.answers)
        self.log.append(("answer", said))
        if isinstance(said, HostError):
            raise said
        return said

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        raise AssertionError("never asked")

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        return []

    async def facts(self) -> HostFacts:
        raise AssertionError("never asked")

    def booted_at(self) -> float | None:
        return None

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        assert exe == "wevtutil.exe"
        raise Unreachable("h", "what failed is looked up at best")

    def transport(self, host: str) -> Transport:
        return Transport.PSRP

    def detour(self, host: str) -> str:
        return ""

    async def aclose(self) -> None:
        """Nothing is held."""


def for_ever(items: Sequence[object]) -> Iterator[object]:
    yield from items
    while True:
        yield items[-1]


def driven(phase: Phase, states: object, takes: object, answers: object) -> tuple[Result, list[tuple[str, object]]]:
    world = Anything(for_ever(states), for_ever(takes), for_ever(answers))  # type: ignore[arg-type] # lists of theirs
    bench = Bench(GOALS[phase], [node("orders", timeout_s=TIMEOUT_S)], hosts=world)
    return run_virtual(bench.run(phase)), world.log


def some(items: "st.SearchStrategy[object]") -> "st.SearchStrategy[list[object]]":
    return st.lists(items, min_size=1, max_size=12)


def said_no(entry: tuple[str, object]) -> bool:
    """Whether the host refused for the moment, by this event."""
    what = entry[1]
    problem = what.problem if isinstance(what, Refused | ControlAnswer) else None
    return problem is not None and problem.code == 1061


@pytest.mark.parametrize("phase", [Phase.START, Phase.STOP])
@given(states=some(SAID), takes=some(TOOK), answers=some(ANSWERS))
def test_whatever_the_host_does(phase: Phase, states: list[object], takes: list[object], answers: list[object]) -> None:
    result, log = driven(phase, states, takes, answers)
    goal = GOALS[phase]
    controls = [index for index, (what, _) in enumerate(log) if what == "control"]

    assert result.problem is None or result.problem.kind is not ProblemKind.INTERNAL, result.said
    assert (result.problem is None) is (result.outcome is Outcome.OK)
    assert result.took_s <= TIMEOUT_S + 2 * FINISH_S

    # OK only on a state read back, after everything that was asked.
    if result.outcome is Outcome.OK:
        assert log[-1] == ("read", goal)
        assert result.after == goal

    # Asked again only after a control that was not sent, or that Windows refused for the moment.
    for sooner, later in zip(controls, controls[1:], strict=False):
        error = log[sooner][1]
        unsent = isinstance(error, HostError) and not error.sent
        assert unsent or any(map(said_no, log[sooner:later])), log

    # Whoever may have acted says so; and without a state after that, nobody claims to know.
    maybe = [index for index in controls if not isinstance(log[index][1], HostError) or log[index][1] in LOST]
    unrefused = [index for index in maybe if not any(isinstance(problem_of(entry), Problem) for entry in log[index:])]
    if unrefused:
        assert result.acted is not Acted.NO, log
        if not isinstance(last_read(log), State):
            assert result.outcome is Outcome.UNKNOWN
    if not controls:
        assert result.acted is Acted.NO


def problem_of(entry: tuple[str, object]) -> Problem | None:
    what = entry[1]
    return what.problem if isinstance(what, ControlAnswer) else None


def last_read(log: Sequence[tuple[str, object]]) -> object:
    return next(said for what, said in reversed(log) if what == "read")
