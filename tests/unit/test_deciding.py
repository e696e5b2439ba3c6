"""The question in the run's own terminal: what it shows, what is understood, and what becomes of it."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, ParamSpec

import pytest
from fake_run import CHOICES
from nights import Night, failing
from rich.console import Console

from orchestrator.domain.consequences import Consequence
from orchestrator.domain.decision_log import DecisionLog
from orchestrator.domain.decisions import CauseKind, Choice, Source
from orchestrator.domain.facts import DecisionAsked, DecisionGrew, DecisionWithdrawn, StepEnded
from orchestrator.domain.policy import Approval
from orchestrator.domain.results import Outcome
from orchestrator.domain.runstate import RunState
from orchestrator.engine.book_ports import Vote
from orchestrator.engine.jobs.asking import Query
from orchestrator.interfaces.asking import Asker
from orchestrator.interfaces.deciding import Decider
from orchestrator.interfaces.question_view import Asked, in_short, question, understood

P = ParamSpec("P")
ME, OTHER = "ada@ops", "bob@ops"
NEVER = "never typed"


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """On a loop that has threads, which the one in virtual time has not."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


class Typing(Asker):
    """A terminal in which *lines* are typed one after the other; None is the end of input."""

    def __init__(self, *lines: str | None) -> None:
        super().__init__()
        self.lines = list(lines)
        self.prompts: list[str] = []
        self.meanwhile: list[Callable[[], None]] = []
        self.repeated = 0
        self.waiting = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        yield

    async def line(self, prompt: str, *, hidden: bool = False, first: bool = True) -> str | None:
        self.prompts.append(prompt)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        typed = self.lines.pop(0)
        if typed == NEVER:
            self.waiting.set()
            await asyncio.get_running_loop().create_future()
        return typed

    def again(self) -> None:
        self.repeated += 1


@dataclass
class Table:
    """Somebody who types, before a run."""

    lines: tuple[str | None, ...]
    night: Night = field(default_factory=failing)
    gone: int = 0

    def __post_init__(self) -> None:
        self.typing = Typing(*self.lines)
        self.decider = Decider(self.typing, ME, gone=self._leave)
        for stamped in self.night.facts:
            self.decider.hear(stamped)
        self.state = RunState.begin(self.night.plan)
        for stamped in self.night.facts:
            self.state.apply(stamped.fact)

    def _leave(self) -> None:
        self.gone += 1

    def hears(self) -> None:
        """The newest fact comes in."""
        self.decider.hear(self.night.facts[-1])

    async def ask(self, said: str = "") -> Vote | None:
        return await self.decider.ask(Query(decision=1, state=self.state, said=said))


@pytest.mark.parametrize(
    ("typed", "choice"),
    [
        ("r", Choice.ROLLBACK),
        ("t", Choice.RETRY),
        ("rol", Choice.ROLLBACK),
        (" Retry ", Choice.RETRY),
        ("ABORT", Choice.ABORT),
        ("re", Choice.RETRY),
        ("c", None),
        ("continue", None),
        ("", None),
        ("yes", None),
    ],
)
def test_a_letter_a_word_or_a_beginning_is_understood_if_it_is_offered(typed: str, choice: Choice | None) -> None:
    assert understood(typed, CHOICES) is choice


@in_a_loop
async def test_an_answer_goes_out_with_its_reason_and_what_was_shown(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(("frobnicate", "", "t", "the disk is back"))
    vote = await table.ask()
    assert vote is not None
    assert (vote.choice, vote.by, vote.reason) == (Choice.RETRY, ME, "the disk is back")
    assert vote.shown
    said = " ".join(capsys.readouterr().err.split())
    assert "'frobnicate' is none of rollback, retry, skip, exclude, hold or abort" in said
    assert said.count("DECISION 1 web@web-02 failed (timeout)") == 2, "Enter alone shows it again"
    assert "web@web-02 was StopPending for 90 s" in said
    assert "The service did not respond." in said
    assert table.typing.prompts[0] == "decision 1, your answer [r/t/s/e/h/a; Enter: show it again]: "


@pytest.mark.parametrize("word", ["rollback", "exclude"])
@in_a_loop
async def test_what_moves_or_leaves_out_much_is_asked_for_once_more(word: str) -> None:
    table = Table((word, "because", "n", word, "", "y"))
    vote = await table.ask()
    assert vote is not None
    assert (vote.choice.value, vote.reason) == (word, "")
    assert [prompt for prompt in table.typing.prompts if "[y/N]" in prompt] == 2 * [table.typing.prompts[2]]


@in_a_loop
async def test_the_end_of_input_is_no_answer_and_no_terminal_any_more(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table((None,))
    assert await table.ask() is None
    assert table.gone == 1
    assert "orch decide 20261121-0213-k7q2 CHOICE answers" in capsys.readouterr().err
    assert await table.ask() is None
    assert len(table.typing.prompts) == 1, "nobody is asked a second time"


@in_a_loop
async def test_what_somebody_else_answers_takes_the_question_away_and_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table((NEVER,))
    asked = asyncio.create_task(table.ask())
    await table.typing.waiting.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    table.night.answer(1, Choice.SKIP, by=OTHER, reason="it is being replaced")
    table.hears()
    said = capsys.readouterr().err
    assert "decision 1: skip by bob@ops after 2 min 05 s: it is being replaced" in said


@in_a_loop
async def test_what_happens_while_it_is_asked_is_said_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table((NEVER,))
    asked = asyncio.create_task(table.ask(said="noted; 1 more person has to say rollback before it counts"))
    await table.typing.waiting.wait()
    table.night.tell(DecisionGrew(decision=1, units=("web@web-01",)))
    table.hears()
    table.night.ask(2, kind=CauseKind.BUDGET, pauses=True)
    table.hears()
    said = capsys.readouterr().err
    assert said.startswith("noted; 1 more person")
    assert "DECISION 1" not in said, "it was shown before"
    assert "1 unit more for the same reason: web@web-01" in said
    assert "decision 2 waits too: more units failed than max_failures allows" in said
    assert table.typing.repeated == 2
    table.night.ask(3, "web@web-01", waits=False)
    table.hears()
    table.night.answer(3, Choice.RETRY, by="rule 1", source=Source.POLICY)
    table.hears()
    assert capsys.readouterr().err == "", "nobody has to think of what the policy answers"
    asked.cancel()


@pytest.mark.parametrize(("typed", "refreshed"), [("skip", True), ("abort", False)])
@in_a_loop
async def test_who_answers_what_others_have_joined_since_is_shown_it_first(
    typed: str, refreshed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table((typed, typed, ""))

    def joins() -> None:
        table.night.tell(DecisionGrew(decision=1, units=(f"web@web-1{len(table.typing.prompts)}",)))
        table.hears()

    table.typing.meanwhile = [joins, joins]
    vote = await table.ask()
    said = " ".join(capsys.readouterr().err.split())
    assert (vote and vote.choice.value) == typed
    assert ("nothing was answered: it is about 2 units by now" in said) is refreshed
    assert said.count("DECISION 1") == 1 + refreshed


@in_a_loop
async def test_after_a_hold_nothing_more_is_asked_here(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(("h", "", NEVER))
    vote = await table.ask()
    assert vote is not None
    assert vote.choice is Choice.HOLD
    table.night.ask(2, "sql@db-01")
    table.hears()
    table.state.apply(table.night.facts[-1].fact)
    second = asyncio.create_task(table.decider.ask(Query(decision=2, state=table.state)))
    table.night.answer(1, Choice.HOLD, by=ME)
    table.state.apply(table.night.facts[-1].fact)
    table.state.decide()
    capsys.readouterr()
    table.hears()
    assert await second is None
    assert capsys.readouterr().err == ""


@in_a_loop
async def test_one_that_was_never_shown_here_goes_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(())
    table.night.tell(DecisionWithdrawn(decision=1, why="the run goes back"))
    table.hears()
    assert capsys.readouterr().err == ""


def test_the_question_shows_cause_evidence_and_what_follows_from_each_answer() -> None:
    night, log = failing(), DecisionLog()
    ends = {}
    for stamped in night.facts:
        if isinstance(stamped.fact, DecisionAsked):
            log.asked(stamped.fact, stamped.at, stamped.elapsed_s)
        elif isinstance(stamped.fact, StepEnded) and stamped.fact.result.outcome is not Outcome.OK:
            ends[stamped.fact.result.step.unit] = stamped.fact.result
    back = Consequence(
        choice=Choice.ROLLBACK,
        said="puts back 9 units",
        units=tuple(f"web@web-{number:02}" for number in range(1, 10)),
        expected_s=64.0,
        warning="this STOPS 399 running units",
    )
    leave = Consequence(choice=Choice.ABORT, said="ends the run as it is", stays_down=("web@web-01", "web@web-02"))
    asked = Asked(
        question=log.all[1],
        foreseen=(back, leave),
        ends=ends,
        approval=Approval(approvers=("ada", "bob"), min_approvals=2),
        requester=ME,
        behind=1,
        run="r-1",
    )
    paper = io.StringIO()
    Console(file=paper, width=110, color_system=None).print(question(asked))
    text = "\n".join(line.rstrip() for line in paper.getvalue().splitlines())
    assert " DECISION 1   web@web-02 failed (timeout)  (1 more decision behind it)" in text
    assert "web@web-02: The service did not respond." in text
    assert "run r-1: what does not need them goes on meanwhile; 2 of ada, bob must agree" in text
    assert "r  rollback  puts back 9 units\n" in text
    assert "             9 units, about 1 min 04 s: web@web-01, web@web-02, web@web-03, web@web-04" in text
    assert "this STOPS 399 running units" in text
    assert "a  abort     ends the run as it is\n             stays down: web@web-01, web@web-02" in text
    assert "t  retry     do the failed steps again" in text, "what is not foreseen is said in general"
    paper.truncate(0)
    Console(file=paper, width=110, color_system=None).print(question(replace(asked, halted="cancel was ordered")))
    assert "run r-1: nothing new begins: cancel was ordered; 2 of ada, bob must agree" in paper.getvalue()
    assert in_short(leave, Choice.ABORT) == "ends the run as it is; stays down: web@web-01, web@web-02"
