"""Answers: the contract of Decisions, on SQLite and on the twin in memory; then two processes at once."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import state_folders
from state_folders import BOUND_S, Drive, StateFolder, asked, begin, owner

from orchestrator.adapters.journal.processes import exists
from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.domain.decisions import Answer, Choice, Source
from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import (
    DecisionAnswered,
    DecisionGrew,
    DecisionWithdrawn,
    Fact,
    RunEnded,
    RunParked,
    StageBegan,
)
from orchestrator.domain.policy import Approval
from orchestrator.engine.book_ports import Lease, Vote
from orchestrator.engine.ports import Order

drive = state_folders.drive

TWO = Approval(min_approvals=2)


def says(by: str, choice: Choice = Choice.ROLLBACK, reason: str = "disk full") -> Vote:
    return Vote(choice=choice, by=by, reason=reason, shown="puts back 3 units")


async def asking(folder: StateFolder, *, approval: Approval | None = None) -> Lease:
    lease = await begin(folder.store, "r-1", "a@h", approval=approval)
    await folder.store.append("r-1", [StageBegan(0), asked(1)], lease=lease)
    return lease


def test_the_first_answer_counts_and_everybody_else_is_told_by_whom_what_when_and_why(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        await asking(folder)
        assert await folder.store.settled("r-1", 1) is None
        tally = await folder.another().vote("r-1", 1, says("bob"), Approval(), "ada")
        assert (tally.choice, tally.missing, tally.votes) == (Choice.ROLLBACK, 0, (says("bob"),))
        counts = Answer(
            choice=Choice.ROLLBACK,
            source=Source.PERSON,
            by="bob",
            reason="disk full",
            approvals=("bob",),
            shown="puts back 3 units",
        )
        assert await folder.store.settled("r-1", 1) == counts
        for by, choice in (
            ("eve", Choice.RETRY),
            ("eve", Choice.ROLLBACK),
            ("eve", Choice.HOLD),
            ("BOB", Choice.ABORT),
        ):
            with pytest.raises(
                BadInput,
                match=r"decision 1 of run r-1 was answered at 20.*[+-]\d\d:\d\d: rollback, by bob, because: disk",
            ) as caught:
                await folder.another().vote("r-1", 1, says(by, choice), Approval(), "ada")
            assert ("that was you" in str(caught.value)) is (by == "BOB")
        assert await folder.store.settled("r-1", 1) == counts

    drive(body)


@pytest.mark.parametrize("end", ["answered", "withdrawn", "ended"])
def test_an_answer_that_comes_too_late_is_told_what_became_of_the_question(drive: Drive, end: str) -> None:
    policy = Answer(choice=Choice.RETRY, source=Source.POLICY, by="rule 2 of on_failure")
    facts: dict[str, tuple[Fact, str]] = {
        "answered": (DecisionAnswered(decision=1, answer=policy), "was answered at .*: retry, by rule 2 of on_failure"),
        "withdrawn": (DecisionWithdrawn(decision=1, why="states changed"), "was withdrawn at .*: states changed"),
        "ended": (RunEnded(verdict="cancelled", exit_code=5), r"needs no answer: the run ended at .* \(cancelled\)"),
    }

    async def body(folder: StateFolder) -> None:
        lease = await asking(folder)
        fact, said = facts[end]
        await folder.store.append("r-1", [fact], lease=lease)
        assert list(await folder.store.open()) == []
        with pytest.raises(BadInput, match=said):
            await folder.another().vote("r-1", 1, says("bob"), Approval(), "ada")
        await folder.store.settle_by_timeout("r-1", 1, Choice.HOLD)  # the clock comes too late as well
        assert await folder.store.settled("r-1", 1) is None
        assert (await folder.store.runs(1))[0].asks == ()

    drive(body)


def test_an_answer_to_what_is_not_asked_is_refused(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        with pytest.raises(BadInput, match="run r-1 has asked no decision 1; it waits for none"):
            await folder.store.vote("r-1", 1, says("bob"), Approval(), "ada")
        lease = await asking(folder)
        with pytest.raises(BadInput, match="has asked no decision 2; it waits for 1"):
            await folder.store.vote("r-1", 2, says("bob"), Approval(), "ada")
        await folder.store.append("r-1", [asked(2, choices=(Choice.CONTINUE, Choice.HOLD))], lease=lease)
        with pytest.raises(BadInput, match="can't be answered with rollback; it may be: continue, hold"):
            await folder.store.vote("r-1", 2, says("bob"), Approval(), "ada")
        assert [one.votes for one in await folder.store.open()] == [(), ()]

    drive(body)


def test_two_people_have_to_say_the_same(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        await asking(folder, approval=TWO)
        vote = folder.another().vote
        assert (await vote("r-1", 1, says("bob"), TWO, "ada")).missing == 1
        with pytest.raises(BadInput, match=r"Bob said rollback to decision 1 of run r-1 already, .*1 more person"):
            await vote("r-1", 1, says("Bob"), TWO, "ada")
        tally = await vote("r-1", 1, says("eve", Choice.RETRY), TWO, "ada")
        assert (tally.choice, tally.missing) == (None, 1)
        assert await folder.store.settled("r-1", 1) is None
        [waiting] = await folder.store.open()
        assert (waiting.votes, waiting.approval) == ((says("bob"), says("eve", Choice.RETRY)), TWO)
        tally = await vote("r-1", 1, says("kim", reason=""), TWO, "ada")
        assert (tally.choice, len(tally.votes)) == (Choice.ROLLBACK, 3)
        answer = await folder.store.settled("r-1", 1)
        assert answer is not None
        assert (answer.by, answer.approvals) == ("kim", ("bob", "kim"))
        with pytest.raises(BadInput, match=r"rollback, by kim \(with bob\); that was you"):
            await vote("r-1", 1, says("bob"), TWO, "ada")

    drive(body)


def test_two_who_disagree_may_change_what_they_said_and_the_newest_word_of_each_counts(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        pair = Approval(approvers=("bob", "eve"), min_approvals=2)
        await asking(folder, approval=pair)
        vote = folder.another().vote
        said = (says("bob"), says("eve", Choice.RETRY), says("BOB", Choice.SKIP), says("bob", Choice.RETRY, "so be it"))
        for one in said[:2]:
            assert (await vote("r-1", 1, one, pair, "ada")).missing == 1
        with pytest.raises(
            BadInput, match=r"eve said retry to decision 1 of run r-1 already, .*1 more person"
        ) as caught:
            await vote("r-1", 1, said[1], pair, "ada")
        assert "you may say something else" in caught.value.hint
        assert (await vote("r-1", 1, said[2], pair, "ada")).missing == 1
        with pytest.raises(BadInput, match="bob said skip .* already"):
            await vote("r-1", 1, says("bob", Choice.SKIP), pair, "ada")
        assert await folder.store.settled("r-1", 1) is None
        tally = await vote("r-1", 1, said[3], pair, "ada")
        assert (tally.choice, tally.missing, tally.votes) == (Choice.RETRY, 0, said)
        answer = await folder.store.settled("r-1", 1)
        assert answer is not None
        assert (answer.by, answer.reason, answer.approvals) == ("bob", "so be it", ("eve", "bob"))
        [waiting] = await folder.store.open()
        assert waiting.votes == said
        with pytest.raises(BadInput, match=r"was answered at .*: retry, by bob \(with eve\)"):
            await vote("r-1", 1, says("eve"), pair, "ada")

    drive(body)


def test_a_word_that_was_changed_counts_no_more(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        await asking(folder, approval=TWO)
        vote = folder.another().vote
        await vote("r-1", 1, says("bob"), TWO, "ada")
        await vote("r-1", 1, says("bob", Choice.RETRY), TWO, "ada")
        tally = await vote("r-1", 1, says("eve"), TWO, "ada")
        assert (tally.choice, tally.missing) == (None, 1)
        assert (await vote("r-1", 1, says("bob"), TWO, "ada")).choice is Choice.ROLLBACK  # and back again
        answer = await folder.store.settled("r-1", 1)
        assert answer is not None
        assert answer.approvals == ("eve", "bob")

    drive(body)


@pytest.mark.parametrize("choice", [Choice.ABORT, Choice.HOLD])
def test_one_person_is_enough_to_leave_all_as_it_is_whatever_was_said_before(drive: Drive, choice: Choice) -> None:
    async def body(folder: StateFolder) -> None:
        approval = Approval(min_approvals=2, not_requester=True)
        await asking(folder, approval=approval)
        await folder.store.vote("r-1", 1, says("bob"), approval, "Ada")
        with pytest.raises(BadInput, match=r"ada began run r-1, .* somebody else to say rollback \(not_requester\)"):
            await folder.store.vote("r-1", 1, says("ada"), approval, "Ada")
        by = {Choice.HOLD: "bob", Choice.ABORT: "ada"}[choice]
        assert (await folder.store.vote("r-1", 1, says(by, choice), approval, "Ada")).choice is choice

    drive(body)


def test_only_approvers_answer_however_they_are_spelled(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        approval = Approval(approvers=("Bob@OPS", "kim@ops"))
        await asking(folder, approval=approval)
        for choice in (Choice.ROLLBACK, Choice.HOLD):
            with pytest.raises(BadInput, match="eve may not answer.*the playbook's approvers are Bob@OPS, kim@ops"):
                await folder.store.vote("r-1", 1, says("eve", choice), approval, "ada")
        assert (await folder.store.vote("r-1", 1, says("bob@ops"), approval, "ada")).choice is Choice.ROLLBACK

    drive(body)


def test_a_timeout_settles_what_nobody_has_and_else_changes_nothing(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        lease = await asking(folder)
        await folder.store.append("r-1", [asked(2)], lease=lease)
        late = await folder.store.settle_by_timeout("r-1", 1, Choice.HOLD)
        assert (late.choice, late.source) == (Choice.HOLD, Source.TIMEOUT)
        assert await folder.another().settled("r-1", 1) == late
        with pytest.raises(BadInput, match=r"was answered at .*: hold, by timeout, because: nobody answered in time"):
            await folder.another().vote("r-1", 1, says("bob"), Approval(), "ada")
        await folder.another().vote("r-1", 2, says("bob"), Approval(), "ada")
        first = await folder.store.settle_by_timeout("r-1", 2, Choice.HOLD)
        assert (first.choice, first.source, first.by) == (Choice.ROLLBACK, Source.PERSON, "bob")

    drive(body)


def test_what_waits_is_listed_oldest_first_with_what_joined_it_and_what_was_said(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        lease = await asking(folder)
        await folder.later(60)
        other = await begin(folder.store, "r-2", "b@h", by=owner("kim", pid=2))
        await folder.store.append("r-2", [asked(1, "b@h")], lease=other)
        more = DecisionGrew(decision=1, units=("orders@app-02",), pauses=True)
        await folder.store.append("r-1", [more], lease=lease)
        await folder.store.append("r-1", [asked(2), RunParked(decisions=(1, 2))], lease=lease)
        await folder.another().vote("r-1", 2, says("bob"), Approval(), "ada")
        waiting = await folder.another().open()
        assert [(one.run, one.asked.decision) for one in waiting] == [("r-1", 1), ("r-2", 1), ("r-1", 2)]
        assert (waiting[0].asked.cause.units, waiting[0].asked.pauses) == (("orders@app-01", "orders@app-02"), True)
        assert waiting[1].asked_at - waiting[0].asked_at == pytest.approx(60)
        assert (waiting[0].plan, waiting[0].requester) == ("shop", "ada")
        assert [one.settled is not None for one in waiting] == [False, False, True]
        assert {one.run: one.asks for one in await folder.store.runs(9)} == {"r-1": (1,), "r-2": (1,)}

    drive(body)


def test_orders_are_left_for_whoever_holds_the_run(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        with pytest.raises(BadInput):
            await folder.store.order("r-1", Order.CANCEL, "bob")
        lease = await asking(folder)
        await folder.another().order("r-1", Order.CANCEL, "bob\ud800")
        await folder.another().order("r-1", Order.PARK, "eve")
        assert list(await folder.store.orders("r-1")) == [(Order.CANCEL, "bob\ud800"), (Order.PARK, "eve")]
        assert list(await folder.store.orders("r-2")) == []
        await folder.store.append("r-1", [RunEnded(verdict="done", exit_code=0)], lease=lease)
        with pytest.raises(BadInput, match=r"it ended at .* \(done\)") as caught:
            await folder.store.order("r-1", Order.CANCEL, "bob")
        assert caught.value.hint == "`orch show r-1` tells what it did; `orch rollback r-1` puts it back"

    drive(body)


def test_who_waits_for_a_change_is_woken_by_it_and_after_a_while_in_any_case(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        await folder.store.changed("r-1")
        await asking(folder)
        waiting = asyncio.create_task(folder.store.changed("r-1"))
        await asyncio.sleep(0)
        await folder.another().vote("r-1", 1, says("bob"), Approval(), "ada")
        await waiting
        waiting = asyncio.create_task(folder.store.changed("r-1"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    drive(body)


def test_words_from_outside_are_kept_as_they_are(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        await asking(folder)
        odd = says("b\ud800b'; DROP TABLE votes; --", reason="\x1b[31m\x00\udcff é")
        await folder.another().vote("r-1", 1, odd, Approval(), "ada")
        answer = await folder.store.settled("r-1", 1)
        assert answer is not None
        assert (answer.by, answer.reason) == (odd.by, odd.reason)

    drive(body)


# --- two processes --------------------------------------------------------------------------------------------------

VOTER = """
import asyncio, json, sys
from pathlib import Path
from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import BadInput
from orchestrator.domain.policy import Approval
from orchestrator.engine.book_ports import Vote

async def main(folder, by, choice, count):
    journal = SqliteJournal(Path(folder))
    await journal.prepare()
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(1, count + 1):
        vote = Vote(choice=Choice(choice), by=by, reason="at once")
        try:
            tally = await journal.vote("r-1", number, vote, Approval(), "ada")
        except BadInput as error:
            print(json.dumps([number, "lost", str(error)]), flush=True)
        else:
            print(json.dumps([number, tally.choice, by]), flush=True)
    await journal.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
"""


def voter(folder: Path, by: str, choice: Choice, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", VOTER, str(folder), by, choice, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_that_answer_at_once_exactly_one_wins_each_time(tmp_path: Path) -> None:
    count = 12

    async def ask() -> None:
        journal = SqliteJournal(tmp_path)
        lease = await begin(journal, "r-1", "a@h")
        await journal.append("r-1", [asked(number) for number in range(1, count + 1)], lease=lease)
        await journal.aclose()

    asyncio.run(ask())
    voters = [voter(tmp_path, "bob", Choice.ROLLBACK, count), voter(tmp_path, "eve", Choice.RETRY, count)]
    for process in voters:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in voters:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [json.loads(line) for process in voters for line in process.communicate(timeout=BOUND_S)[0].splitlines()]
    assert [process.returncode for process in voters] == [0, 0]

    async def settled(number: int) -> Answer:
        answer = await SqliteJournal(tmp_path).settled("r-1", number)
        assert answer is not None
        return answer

    won = {number: choice for number, choice, _ in said if choice != "lost"}
    assert Counter(choice == "lost" for _, choice, _ in said) == {True: count, False: count}
    assert sorted(won) == list(range(1, count + 1))
    for number, choice, text in said:
        answer = asyncio.run(settled(number))
        assert answer.choice == won[number]
        if choice == "lost":
            assert f"was answered at 20{text.partition('at 20')[2][:2]}" in text
            assert f"{answer.choice}, by {answer.by}, because: at once" in text


@pytest.mark.skipif(sys.platform == "win32", reason="tells nothing of processes")
def test_lease_votes_and_chain_survive_the_process_being_killed(tmp_path: Path) -> None:
    killed = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from state_folders import asked, begin
from test_decisions import says
from orchestrator.adapters.journal.processes import this_process
from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.domain.policy import Approval

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    lease = await begin(journal, "r-1", "a@h", by=this_process("ada"))
    await journal.append("r-1", [asked(1)], lease=lease)
    await journal.vote("r-1", 1, says("bob"), Approval(), "ada")
    print("done", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""
    tests = Path(__file__).parents[1]
    paths = [str(tmp_path), f"{tests}"]
    code = f"import sys; sys.path.insert(0, {str(tests / 'contract')!r})" + killed
    with subprocess.Popen([sys.executable, "-c", code, *paths], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL

    async def look() -> None:
        journal = SqliteJournal(tmp_path, process=exists)
        [held] = await journal.holdings()
        assert held.alive is False
        assert held.units == ("a@h",)
        answer = await journal.settled("r-1", 1)
        assert answer is not None
        assert answer.by == "bob"
        [verified] = await journal.verify()
        assert (verified.facts, verified.wrong) == (2, "")
        assert (await journal.take_over("r-1", owner("bob"))).epoch == 2
        await journal.aclose()

    asyncio.run(look())


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits to borrow")
def test_an_answer_that_a_full_disk_refuses_counts_for_nothing(tmp_path: Path) -> None:
    async def ask() -> None:
        journal = SqliteJournal(tmp_path)
        lease = await begin(journal, "r-1", "a@h")
        await journal.append("r-1", [asked(1)], lease=lease)
        await journal.aclose()

    asyncio.run(ask())
    full = """
import asyncio, resource, sys
from pathlib import Path
from orchestrator.adapters.journal.sqlite import SqliteJournal
from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import OrchError
from orchestrator.domain.policy import Approval
from orchestrator.engine.book_ports import Vote

resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    for by, reason in (("bob", "x" * 200_000), ("eve", "short")):
        try:
            await journal.vote("r-1", 1, Vote(choice=Choice.RETRY, by=by, reason=reason), Approval(), "ada")
        except OrchError as error:
            print(error, "|", (await journal.settled("r-1", 1)))
    await journal.aclose()

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", full, str(tmp_path)], capture_output=True, text=True, timeout=BOUND_S, check=True
    )
    assert "can't be written" in done.stdout
    assert done.stdout.strip().endswith("; nothing was changed | None")
    answer = asyncio.run(SqliteJournal(tmp_path).settled("r-1", 1))
    assert answer is not None
    assert answer.by == "eve"
