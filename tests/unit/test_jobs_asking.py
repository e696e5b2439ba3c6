"""How an open decision gets its answer: the terminal, somebody elsewhere, the clock; one wins, the others are told."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from bookkeeping import BEGAN_AT, books
from virtual_time import in_virtual_time

from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.decisions import Cause, CauseKind, Choice, Source
from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.facts import DecisionAsked, Fact, RunBegan
from orchestrator.domain.plan import Action, Plan
from orchestrator.domain.policy import Approval, OnTimeout, Policy
from orchestrator.domain.runstate import RunState
from orchestrator.engine.book_ports import Owner, Tally, Vote
from orchestrator.engine.jobs.answering import decide
from orchestrator.engine.jobs.asking import Asking, People, Query
from orchestrator.engine.ports import Order

ANNA = Owner(requester="anna", controller="desk", pid=1, pid_started=1.0)
FAILURE = (Choice.ROLLBACK, Choice.RETRY, Choice.SKIP, Choice.EXCLUDE, Choice.HOLD, Choice.ABORT)


async def never() -> Order:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return] # it never has a result


class Typist:
    """A terminal with somebody in front of it, who types these after so many seconds each; then nothing more."""

    def __init__(self, *typed: tuple[float, Choice], by: str = "anna") -> None:
        self._typed = list(typed)
        self._by = by
        self.queries: list[tuple[int, str]] = []

    async def ask(self, query: Query) -> Vote | None:
        self.queries.append((query.decision, query.said))
        if not self._typed:
            return None
        after_s, choice = self._typed.pop(0)
        await asyncio.sleep(after_s)
        return Vote(choice=choice, by=self._by)


class Scene:
    """A run of *anna* that has asked its decisions, and the port that waits for their answers."""

    def __init__(self, approval: Approval, typist: Typist | None = None) -> None:
        self.approval = approval
        self.store = MemoryJournal(began_at=BEGAN_AT)
        self.slept_s = 0.0
        of_the_loop = books(self.store)
        self.books = replace(of_the_loop, clock=lambda: of_the_loop.clock() + self.slept_s)
        plan = Plan(name="shop", action=Action.STOP, stages=(), policy=Policy(approval=approval))
        self.began = RunBegan(run="r1", plan=plan, requester="anna", controller="desk")
        self.state = RunState.begin(plan)
        self.state.apply(self.began)
        people = People(orders=never, ask=typist.ask if typist else None, patient=True)
        self.asking = Asking(self.state, approval, "anna", self.books, people)
        self.failed: list[OrchError] = []
        self.asking.fail = self.failed.append

    async def open(self, *numbers: int, choices: Sequence[Choice] = FAILURE) -> "Scene":
        lease = await self.store.take("r1", ["orders@app-01"], ANNA)
        facts: list[Fact] = [self.began, *(asked(number, choices) for number in numbers)]
        for stamped in await self.store.append("r1", facts, lease=lease):
            self.asking.hear(stamped)
        return self

    async def elsewhere(self, after_s: float, choice: Choice, by: str, decision: int | None = 1) -> Tally:
        await asyncio.sleep(after_s)
        return await decide("r1", decision, Vote(choice=choice, by=by, reason="the pager"), self.books)


def asked(number: int, choices: Sequence[Choice] = FAILURE) -> DecisionAsked:
    cause = Cause(kind=CauseKind.FAILURE, said=f"orders@app-0{number} hangs", units=(f"orders@app-0{number}",))
    return DecisionAsked(decision=number, cause=cause, choices=tuple(choices))


@in_virtual_time
async def test_the_terminal_answers_through_the_store_like_everybody() -> None:
    scene = await Scene(Approval(), Typist((90.0, Choice.SKIP))).open(1)
    answer = await scene.asking.ask(1)
    assert (answer.choice, answer.source, answer.by, answer.waited_s) == (Choice.SKIP, Source.PERSON, "anna", 90.0)
    with pytest.raises(BadInput, match="anna"):
        await scene.elsewhere(0.0, Choice.ROLLBACK, "ben")


@in_virtual_time
async def test_an_answer_from_elsewhere_is_taken_within_a_second_and_the_terminal_is_asked_no_more() -> None:
    typist = Typist((3600.0, Choice.SKIP))
    scene = await Scene(Approval(), typist).open(1)
    told = asyncio.create_task(scene.elsewhere(600.0, Choice.ROLLBACK, "ben", None))
    answer = await scene.asking.ask(1)
    assert (answer.choice, answer.by, answer.reason) == (Choice.ROLLBACK, "ben", "the pager")
    assert 600.0 <= answer.waited_s <= 601.0
    assert (await told).choice is Choice.ROLLBACK
    assert len(typist.queries) == 1


@in_virtual_time
async def test_of_two_answers_at_once_one_wins_and_the_other_is_told_by_whom_and_what() -> None:
    scene = await Scene(Approval(), Typist((60.0, Choice.SKIP))).open(1)
    others = [asyncio.create_task(scene.elsewhere(60.0, Choice.ROLLBACK, by)) for by in ("ben", "cleo")]
    answer = await scene.asking.ask(1)
    said = await asyncio.gather(*others, return_exceptions=True)
    winners = [one for one in said if isinstance(one, Tally)]
    losers = [str(one) for one in said if isinstance(one, BadInput)]
    assert len(winners) + len(losers) == 2
    assert len(winners) == (answer.by != "anna")
    assert all(answer.by in loser and answer.choice in loser for loser in losers)


@in_virtual_time
async def test_where_two_must_agree_the_terminal_is_told_what_is_missing() -> None:
    typist = Typist((10.0, Choice.ROLLBACK))
    scene = await Scene(Approval(min_approvals=2), typist).open(1)
    second = asyncio.create_task(scene.elsewhere(50.0, Choice.ROLLBACK, "ben"))
    answer = await scene.asking.ask(1)
    assert sorted(answer.approvals) == ["anna", "ben"]
    assert typist.queries == [(1, ""), (1, "noted; 1 more person has to say rollback before it counts")]
    assert (await second).missing == 0


@in_virtual_time
async def test_a_refused_answer_is_shown_where_it_was_typed_and_asked_again() -> None:
    typist = Typist((10.0, Choice.ROLLBACK), (10.0, Choice.HOLD))
    scene = await Scene(Approval(not_requester=True), typist).open(1)
    answer = await scene.asking.ask(1)
    assert (answer.choice, answer.waited_s) == (Choice.HOLD, 20.0)
    assert [decision for decision, _ in typist.queries] == [1, 1]
    assert "anna" in typist.queries[1][1]


@in_virtual_time
async def test_two_questions_are_asked_one_after_the_other() -> None:
    typist = Typist((10.0, Choice.SKIP), (10.0, Choice.RETRY))
    scene = await Scene(Approval(), typist).open(1, 2)
    first, second = await asyncio.gather(scene.asking.ask(1), scene.asking.ask(2))
    assert (first.choice, first.waited_s, second.choice, second.waited_s) == (Choice.SKIP, 10.0, Choice.RETRY, 20.0)
    with pytest.raises(BadInput, match="anna"):
        await scene.elsewhere(0.0, Choice.ABORT, "ben", None)


@in_virtual_time
async def test_who_names_no_decision_is_shown_those_that_wait() -> None:
    scene = await Scene(Approval()).open(1, 2)
    with pytest.raises(BadInput, match="1: orders@app-01 hangs\n  2: orders@app-02 hangs") as told:
        await scene.elsewhere(0.0, Choice.ABORT, "ben", None)
    assert "--decision 1" in told.value.hint
    with pytest.raises(BadInput, match="no run r2"):
        await decide("r2", None, Vote(choice=Choice.ABORT, by="ben"), scene.books)


@pytest.mark.parametrize(
    ("wish", "choices", "becomes"),
    [
        (OnTimeout.ROLLBACK, FAILURE, Choice.ROLLBACK),
        (OnTimeout.ABORT, FAILURE, Choice.ABORT),
        (OnTimeout.HOLD, FAILURE, Choice.HOLD),
        (OnTimeout.ROLLBACK, (Choice.CONTINUE, Choice.HOLD, Choice.ABORT), Choice.HOLD),
    ],
)
@in_virtual_time
async def test_nobody_answers_in_time(wish: OnTimeout, choices: Sequence[Choice], becomes: Choice) -> None:
    scene = await Scene(Approval(timeout_s=900.0, on_timeout=wish)).open(1, choices=choices)
    answer = await scene.asking.ask(1)
    assert (answer.choice, answer.source, answer.waited_s) == (becomes, Source.TIMEOUT, 900.0)
    with pytest.raises(BadInput, match="time"):
        await scene.elsewhere(0.0, Choice.RETRY, "ben")


@in_virtual_time
async def test_an_answer_at_the_very_end_of_the_time_counts_or_is_refused() -> None:
    scene = await Scene(Approval(timeout_s=900.0)).open(1)
    late = asyncio.create_task(scene.elsewhere(900.0, Choice.RETRY, "ben"))
    answer = await scene.asking.ask(1)
    said = (await asyncio.gather(late, return_exceptions=True))[0]
    assert isinstance(said, Tally) == (answer.source is Source.PERSON)
    assert isinstance(said, BadInput) == (answer.source is Source.TIMEOUT)


@in_virtual_time
async def test_what_another_process_asked_has_waited_since_then() -> None:
    scene = await Scene(Approval(timeout_s=900.0)).open(1)
    await asyncio.sleep(800.0)
    later = Asking(scene.state, scene.approval, "anna", scene.books, People(orders=never))
    later.recall(await scene.store.read("r1"), scene.books.clock())
    assert not await later.due([1])
    answer = await later.ask(1)
    assert (answer.source, answer.waited_s) == (Source.TIMEOUT, 900.0)
    assert await later.due([1])


@in_virtual_time
async def test_an_answer_after_a_closed_lid_is_late_although_the_loop_stood_still() -> None:
    scene = await Scene(Approval(), Typist((10.0, Choice.RETRY))).open(1)
    scene.slept_s = 8 * 3600.0
    answer = await scene.asking.ask(1)
    assert answer.waited_s == pytest.approx(8 * 3600.0 + 10.0)


@in_virtual_time
async def test_the_time_to_answer_goes_on_behind_a_closed_lid() -> None:
    scene = await Scene(Approval(timeout_s=900.0)).open(1)
    going = asyncio.create_task(scene.asking.ask(1))
    await asyncio.sleep(100.0)
    scene.slept_s = 8 * 3600.0
    async with asyncio.timeout(60.0):
        assert (await going).source is Source.TIMEOUT


@in_virtual_time
async def test_a_clock_that_is_set_back_takes_no_time_away() -> None:
    scene = await Scene(Approval(timeout_s=900.0), Typist((90.0, Choice.SKIP))).open(1)
    scene.slept_s = -8 * 3600.0
    assert (await scene.asking.ask(1)).waited_s == 90.0


@in_virtual_time
async def test_a_timeout_that_nobody_saw_counts_before_whoever_comes_after_it() -> None:
    scene = await Scene(Approval(timeout_s=900.0, on_timeout=OnTimeout.ABORT)).open(1)
    with pytest.raises(BadInput, match="time"):
        await scene.elsewhere(1000.0, Choice.ROLLBACK, "ben", None)
    settled = await scene.store.settled("r1", 1)
    assert settled is not None
    assert settled.choice is Choice.ABORT


@in_virtual_time
async def test_a_number_that_was_never_asked_answers_nothing() -> None:
    scene = await Scene(Approval()).open(1)
    for number in (0, 2):
        with pytest.raises(BadInput, match=f"no decision {number}; it waits for 1"):
            await scene.elsewhere(0.0, Choice.ABORT, "ben", number)


@in_virtual_time
async def test_who_comes_after_the_time_of_all_decisions_is_not_told_that_they_wait() -> None:
    scene = await Scene(Approval(timeout_s=900.0, on_timeout=OnTimeout.ABORT)).open(1, 2)
    with pytest.raises(BadInput, match="nobody answered in time"):
        await scene.elsewhere(1000.0, Choice.ROLLBACK, "ben", None)


class BadDisk(MemoryJournal):
    """A store that can't be read any more."""

    async def settled(self, run: str, decision: int) -> None:
        raise OrchError("the disk gives errors")


@in_virtual_time
async def test_a_store_that_fails_is_told_and_no_answer_is_made_up() -> None:
    scene = Scene(Approval())
    scene.store = BadDisk(began_at=BEGAN_AT)
    asking = Asking(scene.state, Approval(), "anna", books(scene.store), People(orders=never))
    asking.fail = scene.failed.append
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60.0):
            await asking.ask(1)
    assert [str(error) for error in scene.failed] == ["the disk gives errors"]
