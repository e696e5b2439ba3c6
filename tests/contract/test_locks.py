"""Which run may act on which units: the contract of Locks, on SQLite and on the twin in memory."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import state_folders
from state_folders import Drive, StateFolder, asked, began, begin, owner

from orchestrator.adapters.journal import processes
from orchestrator.adapters.journal.processes import exists, started, this_process
from orchestrator.domain.errors import BadInput, LeaseLost, Locked, OrchError
from orchestrator.domain.facts import RunEnded, RunParked, RunResumed, StageBegan
from orchestrator.engine.book_ports import LEASE_S, Lease, Standing

drive = state_folders.drive

ENDED = RunEnded(verdict="failed", exit_code=1, said="closed by bob: enough")


def test_units_are_taken_all_or_none_and_the_refusal_says_whose_they_are(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        await begin(folder.store, "r-1", *(f"orders@app-{number}" for number in range(1, 6)))
        await folder.later(720)
        await folder.store.renew(Lease("r-1", 1))
        other = folder.another()
        with pytest.raises(Locked) as caught:
            await other.take("r-2", ["web@web-1", *(f"orders@app-{number}" for number in range(1, 6))], owner("bob"))
        assert caught.value.exit_code == 7
        said = str(caught.value)
        for part in (
            "run r-1 of ada on ctl-01 holds the services orders on app-1, orders on app-2, "
            "orders on app-3 and 2 more since 2026-",
            "(12 min 00 s): it runs",
            "nothing was touched",
        ):
            assert part in said
        assert "`orch cancel r-1`" in caught.value.hint
        assert (await other.take("r-3", ["web@web-1", "web@web-1"], owner("bob"))).epoch == 1
        assert [(one.run, one.units) for one in await other.holdings()] == [
            ("r-1", tuple(f"orders@app-{number}" for number in range(1, 6))),
            ("r-3", ("web@web-1",)),
        ]
        assert await other.read("r-2") == ()

    drive(body)


def test_every_run_in_the_way_is_named_with_what_it_does_and_what_to_type(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        parked = await begin(folder.store, "r-1", "a@h", by=owner(pid=1))
        await folder.store.append("r-1", [asked(2), RunParked(decisions=(2,))], lease=parked)
        await begin(folder.store, "r-2", "b@h", by=owner("bob", pid=2))
        await begin(folder.store, "r-3", "c@h", by=owner("eve", pid=3, controller="ctl-02"))
        folder.gone.add(2)
        with pytest.raises(Locked) as caught:
            await folder.store.take("r-4", ["a@h", "b@h", "c@h"], owner(pid=4))
        first, second, third, _ = str(caught.value).splitlines()
        assert "run r-1 of ada on ctl-01 holds the service a on h since" in first
        assert "it is parked and waits for decision 2" in first
        assert "run r-2 of bob" in second
        assert "its process is gone" in second
        assert "run r-3 of eve on ctl-02" in third
        assert "it runs" in third
        for command in ("`orch decide r-1 CHOICE --resume`", "`orch resume r-2`", "`orch close r-2 --reason WHY`"):
            assert command in caught.value.hint

    drive(body)


def test_a_run_stands_where_its_process_and_its_facts_say(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        async def standing() -> Standing:
            [summary] = await folder.another().runs(1)
            return summary.standing

        store = folder.store
        lease = await begin(store, "r-1", "a@h", by=owner(pid=1))
        assert await standing() is Standing.RUNNING
        folder.gone.add(1)
        assert await standing() is Standing.CRASHED
        lease = await store.take_over("r-1", owner(pid=2))
        assert await standing() is Standing.RUNNING
        await folder.later(LEASE_S + 1)  # frozen
        assert await standing() is Standing.CRASHED
        await store.renew(lease)
        assert await standing() is Standing.RUNNING
        [parked] = await store.append("r-1", [RunParked()], lease=lease)
        assert await standing() is Standing.PARKED
        lease = await store.take_over("r-1", owner(pid=3))
        assert await standing() is Standing.RUNNING
        await store.park(lease)
        assert await standing() is Standing.PARKED
        [ended] = await store.append("r-1", [ENDED], lease=lease)
        assert await standing() is Standing.ENDED
        [summary] = await store.runs(1)
        assert (ended.number, summary.head) == (parked.number + 1, ended.head)

    drive(body)


@pytest.mark.parametrize("why", ["its process is gone", "frozen past its lease", "parked", "on another machine"])
def test_a_run_without_a_living_process_is_taken_over_and_its_old_lease_is_worth_nothing(
    drive: Drive, why: str
) -> None:
    async def body(folder: StateFolder) -> None:
        controller = "ctl-02" if why == "on another machine" else "ctl-01"
        old = await begin(folder.store, "r-1", "a@h", by=owner(pid=1, controller=controller))
        with pytest.raises(Locked, match="its process lives"):
            await folder.another().take_over("r-1", owner("bob", pid=2))
        if why == "its process is gone":
            folder.gone.add(1)
        elif why == "parked":
            await folder.store.park(old)
        else:
            await folder.later(LEASE_S - 1)
            with pytest.raises(Locked, match="its process lives"):
                await folder.another().take_over("r-1", owner("bob", pid=2))
            await folder.later(1)
        new = await folder.another().take_over("r-1", owner("bob", pid=2))
        assert new == Lease("r-1", 2)
        resumed = RunResumed(requester="bob", controller="ctl-01", epoch=2)
        await folder.another().append("r-1", [resumed], lease=new)
        for act in (
            lambda: folder.store.append("r-1", [StageBegan(0)], lease=old),
            lambda: folder.store.renew(old),
            lambda: folder.store.park(old),
        ):
            with pytest.raises(LeaseLost, match=r"run r-1 was taken over at 20.*[+-]\d\d:\d\d by bob on ctl-01"):
                await act()
        await folder.store.release(old)
        assert [one.fact for one in await folder.store.read("r-1")] == [began("r-1"), resumed]
        [held] = await folder.store.holdings()
        assert (held.epoch, held.owner, held.alive, held.units) == (2, owner("bob", pid=2), True, ("a@h",))
        with pytest.raises(Locked):
            await folder.store.take("r-2", ["a@h"], owner(pid=3))

    drive(body)


def test_of_two_who_take_over_at_once_one_does(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        await begin(folder.store, "r-1", "a@h", by=owner(pid=1))
        folder.gone.add(1)
        stores = [folder.another() for _ in range(4)]
        outcomes = await asyncio.gather(
            *(store.take_over("r-1", owner("bob", pid=10 + number)) for number, store in enumerate(stores)),
            return_exceptions=True,
        )
        assert [one for one in outcomes if isinstance(one, Lease)] == [Lease("r-1", 2)]
        assert [type(one) for one in outcomes].count(Locked) == 3

    drive(body)


def test_the_end_frees_the_units_in_the_same_moment_and_nothing_follows_it(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        lease = await begin(folder.store, "r-1", "a@h")
        await folder.store.append("r-1", [asked(1), ENDED], lease=lease)
        assert list(await folder.store.holdings()) == []
        await folder.store.renew(lease)  # a heartbeat that was under way breaks nothing
        await folder.store.release(lease)
        await folder.store.release(lease)
        with pytest.raises(LeaseLost, match="holds its units no more"):
            await folder.store.append("r-1", [StageBegan(0)], lease=lease)
        with pytest.raises(BadInput, match=r"it ended at .*closed by bob: enough"):
            await folder.store.take_over("r-1", owner(pid=2))
        with pytest.raises(OrchError, match="is there already"):
            await folder.store.take("r-1", ["b@h"], owner(pid=2))
        await folder.another().take("r-2", ["a@h"], owner(pid=2))

    drive(body)


def test_a_run_that_was_closed_by_others_says_so_to_its_frozen_process(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        old = await begin(folder.store, "r-1", "a@h", by=owner(pid=1))
        await folder.later(LEASE_S)
        new = await folder.another().take_over("r-1", owner("bob", pid=2))
        await folder.another().append("r-1", [ENDED], lease=new)
        with pytest.raises(LeaseLost, match=r"by bob on ctl-01, and it ended at .*closed by bob: enough") as caught:
            await folder.store.append("r-1", [StageBegan(0)], lease=old)
        assert "orch show r-1" in caught.value.hint
        assert caught.value.exit_code == 7

    drive(body)


def test_a_claim_of_a_run_that_never_began_ends_with_its_process(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        lost = await folder.store.take("r-1", ["a@h"], owner(pid=1))
        with pytest.raises(Locked, match="it runs"):
            await folder.another().take("r-2", ["a@h"], owner(pid=2))
        folder.gone.add(1)
        assert list(await folder.store.holdings()) == []
        taken = await folder.another().take("r-2", ["a@h"], owner(pid=2))
        with pytest.raises(LeaseLost, match="r-1 holds its units no more"):
            await folder.store.append("r-1", [began("r-1")], lease=lost)
        await folder.another().release(taken)
        await folder.another().take("r-3", ["a@h"], owner(pid=3))
        assert [one.run for one in await folder.store.runs(9)] == []

    drive(body)


def test_a_lost_lease_spoils_no_other_append_of_the_same_commit(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        lease = await begin(folder.store, "r-1", "a@h")
        calls = [Lease("r-1", 7) if number % 3 == 1 else lease for number in range(9)]
        outcomes = await asyncio.gather(
            *(folder.store.append("r-1", [StageBegan(number)], lease=one) for number, one in enumerate(calls)),
            return_exceptions=True,
        )
        assert [isinstance(one, LeaseLost) for one in outcomes] == [one != lease for one in calls]
        facts = [one.fact for one in await folder.store.read("r-1")]
        assert facts == [began("r-1"), *(StageBegan(number) for number, one in enumerate(calls) if one == lease)]

    drive(body)


def test_names_of_units_may_hold_anything(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        odd = ["'; DROP TABLE locks; --@h", "\ud800@h", 'é"@h', "a@h\n"]
        await begin(folder.store, "r-1", *odd)
        for unit in odd:
            with pytest.raises(Locked):
                await folder.another().take("r-2", [unit], owner(pid=2))
        await folder.another().take("r-3", ["b@h"], owner(pid=2))

    drive(body)


@pytest.mark.skipif(sys.platform == "win32", reason="tells nothing of processes")
def test_a_process_is_known_by_its_start_and_is_gone_once_it_was_killed() -> None:
    here = this_process("ada")
    assert (here.pid, here.pid_started) == (os.getpid(), started(os.getpid()))
    assert exists(here) is True
    again = replace(here, pid_started=here.pid_started + 1.0)
    assert exists(again) is False  # its number was given out again
    assert exists(replace(again, controller="another-machine")) is None
    assert exists(replace(again, pids="of a container")) is None  # which has the name of its machine
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        began_s = started(child.pid)
        assert began_s
        assert began_s >= here.pid_started
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert started(child.pid) is None  # its parent has not asked for it yet
    assert started(child.pid) is None


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="no ps")
def test_where_there_is_no_proc_ps_tells_the_same() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        began_s = processes._ps(child.pid)
        assert began_s
        assert processes._ps(child.pid) == began_s
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes._ps(child.pid) is None
