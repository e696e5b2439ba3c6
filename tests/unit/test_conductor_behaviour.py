"""What the conductor does, one situation at a time, on virtual time."""

import asyncio
from collections.abc import Sequence

import pytest
from scripted_work import FAILED, UNKNOWN, Answer, ScriptedWork, all_answered
from stages import barrier, node, plan, stage
from virtual_time import in_virtual_time

from orchestrator.domain.errors import OrchError
from orchestrator.domain.facts import Fact, OrderTaken, StageBegan, StepEnded, StepIntended, Strayed
from orchestrator.domain.plan import Limits, Plan, Role
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import RunState, Verdict
from orchestrator.domain.service import State
from orchestrator.engine.conductor.conduct import conduct
from orchestrator.engine.conductor.under_way import ABANDON_S
from orchestrator.engine.ports import ConductorPorts

SQL_APP = plan(stage([node("sql@db", gated=True), node("app@web", waits_for=(0,))], [barrier(0)]))


async def _conduct(any_plan: Plan, work: ScriptedWork) -> RunState:
    return await conduct(any_plan, RunState.begin(any_plan), work.ports)


@in_virtual_time
async def test_a_dependent_begins_when_the_gates_hold_and_all_are_read_at_the_end() -> None:
    work = ScriptedWork({"0/sql@db/gate/1": Answer(took_s=600)})
    state = await _conduct(SQL_APP, work)
    assert work.ids == [
        "0/sql@db/start/1",
        "0/sql@db/gate/1",
        "0/app@web/start/1",
        "0/sql@db/read/1",
        "0/app@web/read/1",
    ]
    times = {fact.step.id: at for at, fact in work.facts if isinstance(fact, StepIntended)}
    assert times["0/app@web/start/1"] == 601
    ended = state.verdict()
    assert (ended.verdict, ended.exit_code) == ("done", 0)
    assert ended.counts == {"ok": 2, "failed": 0, "unknown": 0, "untouched": 0}


@in_virtual_time
async def test_all_facts_of_a_turn_are_one_append() -> None:
    work = ScriptedWork()
    await _conduct(plan(stage([node("a@h"), node("b@h"), node("c@h", waits_for=(0,))], [barrier(0, 1)])), work)
    assert work.appends == [3, 5, 4, 3]  # who ended ok is watched while c comes up
    kinds = [type(fact) for fact in work.journal[:6]]
    assert kinds == [StageBegan, StepIntended, StepIntended, StepEnded, StepEnded, StepIntended]


@in_virtual_time
async def test_an_intent_is_on_disk_before_its_step_is_issued_however_slow_the_disk() -> None:
    work = ScriptedWork(append_takes_s=2)
    await _conduct(SQL_APP, work)
    assert all_answered(work)
    written = {fact.step.id: at for at, fact in work.facts if isinstance(fact, StepIntended)}
    assert written["0/sql@db/start/1"] == 2
    assert written["0/sql@db/gate/1"] == 5


@pytest.mark.parametrize(("answer", "word"), [(FAILED, "failed"), (UNKNOWN, "unknown")])
@in_virtual_time
async def test_after_a_failure_nothing_begins_and_what_is_under_way_settles_with_its_gates(
    answer: Answer, word: str
) -> None:
    fleet = plan(
        stage(
            [node("a@1"), node("b@2", gated=True), node("c@3", waits_for=(0,)), node("d@4", waits_for=(1,))],
            [barrier(0), barrier(1)],
        )
    )
    work = ScriptedWork({"0/a@1/start/1": answer, "0/b@2/start/1": Answer(took_s=30)})
    state = await _conduct(fleet, work)
    assert [step for step in work.ids if "/read/" not in step] == ["0/a@1/start/1", "0/b@2/start/1", "0/b@2/gate/1"]
    assert [state.standing(unit) for unit in ("a@1", "b@2", "c@3", "d@4")] == [word, "ok", "untouched", "untouched"]
    ended = state.verdict()
    assert (ended.verdict, ended.exit_code, ended.counts["untouched"]) == ("failed", 1, 2)
    assert sorted(step for step in work.ids if "/read/" in step) == [
        f"0/{u}/read/1" for u in ("a@1", "b@2", "c@3", "d@4")
    ]


@in_virtual_time
async def test_a_failed_gate_fails_its_unit() -> None:
    work = ScriptedWork({"0/sql@db/gate/1": FAILED})
    state = await _conduct(SQL_APP, work)
    assert (state.standing("sql@db"), state.standing("app@web")) == ("failed", "untouched")


@in_virtual_time
async def test_a_cancel_lets_what_is_under_way_settle() -> None:
    work = ScriptedWork({"0/sql@db/start/1": Answer(took_s=60)}, cancel_at_s=5)
    state = await _conduct(SQL_APP, work)
    assert [step for step in work.ids if "/read/" not in step] == ["0/sql@db/start/1", "0/sql@db/gate/1"]
    assert (5, OrderTaken("cancel")) in work.facts
    ended = state.verdict()
    assert (ended.verdict, ended.exit_code) == ("cancelled", 5)


@in_virtual_time
async def test_a_cancel_during_the_last_reads_comes_too_late_to_matter() -> None:
    work = ScriptedWork(cancel_at_s=3.5)
    state = await _conduct(SQL_APP, work)
    assert state.orders == ["cancel"]
    assert state.verdict().verdict == "done"


@in_virtual_time
async def test_a_cancel_after_a_failure_leaves_it_a_failure() -> None:
    work = ScriptedWork({"0/sql@db/start/1": FAILED}, cancel_at_s=1.5)
    assert (await _conduct(SQL_APP, work)).verdict().verdict == "failed"


def _restart() -> Plan:
    down = stage([node("sql@db", waits_for=(0,)), node("app@web")], [barrier(1)], goal=State.STOPPED)
    up = stage([node("sql@db", gated=True), node("app@web", waits_for=(0,))], [barrier(0)])
    return plan(down, up)


@in_virtual_time
async def test_a_restart_stops_everything_before_it_starts_anything() -> None:
    work = ScriptedWork()
    state = await _conduct(_restart(), work)
    assert [step for step in work.ids if "/read/" not in step] == [
        "0/app@web/stop/1",
        "0/sql@db/stop/1",
        "1/sql@db/start/1",
        "1/sql@db/gate/1",
        "1/app@web/start/1",
    ]
    assert state.verdict().counts == {"ok": 2, "failed": 0, "unknown": 0, "untouched": 0}


@in_virtual_time
async def test_a_restart_whose_stop_failed_starts_nothing() -> None:
    work = ScriptedWork({"0/app@web/stop/1": FAILED})
    state = await _conduct(_restart(), work)
    assert StageBegan(1) not in work.journal
    assert state.verdict().counts == {"ok": 0, "failed": 1, "unknown": 0, "untouched": 1}


@in_virtual_time
async def test_units_outside_the_choice_are_probed_and_their_order_is_handed_on() -> None:
    fleet = plan(
        stage(
            [
                node("dc", role=Role.PROBE, gated=True),  # external: nothing to read
                node("sql@db", role=Role.PROBE, gated=True, waits_for=(0,)),
                node("mq@q", role=Role.PASS, waits_for=(1,)),
                node("app@web", waits_for=(2,)),
            ],
            [barrier(0), barrier(1), barrier(2)],
        )
    )
    work = ScriptedWork()
    state = await _conduct(fleet, work)
    assert work.ids == [
        "0/dc/gate/1",
        "0/sql@db/read/1",
        "0/sql@db/gate/1",
        "0/app@web/start/1",
        "0/app@web/read/1",
    ]
    assert state.verdict().counts == {"ok": 1, "failed": 0, "unknown": 0, "untouched": 0}


@in_virtual_time
async def test_a_probe_that_fails_is_counted_and_stops_the_run() -> None:
    fleet = plan(stage([node("dc", role=Role.PROBE, gated=True), node("app@web", waits_for=(0,))], [barrier(0)]))
    state = await _conduct(fleet, ScriptedWork({"0/dc/gate/1": FAILED}))
    assert state.verdict().counts == {"ok": 0, "failed": 1, "unknown": 0, "untouched": 1}


@pytest.mark.parametrize(("need", "verdict"), [(1, "done"), (2, "failed")])
@in_virtual_time
async def test_a_probe_may_fail_where_others_are_enough(need: int, verdict: str) -> None:
    """Two domain controllers, one of them down; or a standby broker outside the choice."""
    controllers = [node("dc@1", role=Role.PROBE, gated=True), node("dc@2", role=Role.PROBE, gated=True)]
    fleet = plan(stage([*controllers, node("app@web", waits_for=(0,))], [barrier(0, 1, need=need)]))
    state = await _conduct(fleet, ScriptedWork({"0/dc@2/read/1": FAILED}))
    ended = state.verdict()
    assert ended.verdict == verdict
    assert ended.counts["failed"] == (verdict == "failed")
    assert RunState.load(fleet, state.dump()).verdict() == ended


@in_virtual_time
async def test_who_is_not_where_the_run_left_it_is_named() -> None:
    fleet = plan(stage([node("a@1"), node("b@2"), node("c@3")]))
    work = ScriptedWork(
        {
            "0/a@1/read/1": Answer(after="Stopped"),
            "0/b@2/read/1": Answer(Outcome.UNKNOWN, after=""),
        }
    )
    state = await _conduct(fleet, work)
    assert [fact for fact in work.journal if isinstance(fact, Strayed)] == [
        Strayed("a@1", "Running", "Stopped"),
        Strayed("b@2", "Running", "unknown"),
    ]
    ended = state.verdict()
    assert (ended.verdict, ended.exit_code, ended.counts["strayed"]) == ("failed", 1, 2)


@in_virtual_time
async def test_a_unit_whose_answer_was_lost_is_named_with_what_the_last_read_found() -> None:
    work = ScriptedWork({"0/a@1/start/1": UNKNOWN, "0/a@1/read/1": Answer(after="StartPending")})
    state = await _conduct(plan(stage([node("a@1")])), work)
    assert state.strayed == [Strayed("a@1", "unknown", "StartPending", "the last step could not read the state")]


@in_virtual_time
async def test_a_unit_blocked_by_one_limit_blocks_nobody_and_hands_the_free_slot_on() -> None:
    """web may run once: web@1 is first by rank, but its host is taken, so web@2 gets the slot."""
    nodes = [
        node("long@1", rank_s=100),
        node("web@1", rank_s=90),
        node("web@2", rank_s=80),
        node("web@3", rank_s=70),
        node("mq@2", rank_s=60),
    ]
    fleet = plan(stage(nodes, limits=Limits(host=1, services=(("web", 1),))))
    work = ScriptedWork({"0/long@1/start/1": Answer(took_s=1.5)})
    await _conduct(fleet, work)
    began = [(at, fact.step.unit) for at, fact in work.facts if isinstance(fact, StepIntended)][:5]
    assert began == [(0, "long@1"), (0, "web@2"), (1, "web@3"), (1, "mq@2"), (2, "web@1")]


@in_virtual_time
async def test_the_nodes_of_an_instance_share_its_slots_until_the_last_gate_held() -> None:
    nodes = [node("web:A@1", gated=True), node("web:B@1"), node("web:A@2"), node("web:B@2")]
    work = ScriptedWork({"0/web:A@1/gate/1": Answer(took_s=9)})
    await _conduct(plan(stage(nodes, limits=Limits(run=1))), work)
    began = {fact.step.id: at for at, fact in work.facts if isinstance(fact, StepIntended)}
    starts = [began[f"0/web:{n}/start/1"] for n in ("A@1", "B@1", "A@2", "B@2")]
    assert starts == [0, 0, 10, 10]


@in_virtual_time
async def test_services_in_order_begin_in_order_whatever_their_rank() -> None:
    nodes = [node("q@1", begins_after=1, rank_s=9), node("q@2", begins_after=2, rank_s=9), node("q@3", rank_s=1)]
    work = ScriptedWork()
    await _conduct(plan(stage(nodes, limits=Limits(services=(("q", 2),)))), work)
    assert work.ids[:3] == ["0/q@3/start/1", "0/q@2/start/1", "0/q@1/start/1"]


class _FullDisk(ScriptedWork):
    """The disk is full from the second append on."""

    async def append(self, facts: Sequence[Fact]) -> None:
        if self.appends:
            raise OrchError("the disk is full")
        await super().append(facts)


@in_virtual_time
async def test_when_facts_cannot_be_written_nothing_more_is_issued_and_what_runs_settles() -> None:
    nodes = [node("a@1"), node("b@2"), node("c@3", waits_for=(0,))]
    work = _FullDisk({"0/b@2/start/1": Answer(took_s=300)})
    with pytest.raises(OrchError, match="the disk is full"):
        await _conduct(plan(stage(nodes, [barrier(0)])), work)
    assert work.ids == ["0/a@1/start/1", "0/b@2/start/1"]
    assert len(work.answered) == 2
    assert asyncio.get_running_loop().time() == 300


@in_virtual_time
async def test_a_port_that_breaks_its_promise_ends_as_unknown() -> None:
    work = ScriptedWork()

    async def run(step: Step) -> Result:
        if step.unit == "a@1":
            raise ZeroDivisionError("oops")
        if step.unit == "b@2":
            return await work.run(Step(0, "c@3", Phase.START))
        raise asyncio.CancelledError

    fleet = plan(stage([node("a@1"), node("b@2"), node("c@3")]))
    state = await conduct(
        fleet, RunState.begin(fleet), ConductorPorts(run=run, append=work.append, orders=work.orders, ask=work.ask)
    )
    results = [fact.result for fact in work.journal if isinstance(fact, StepEnded)][:3]
    assert [(r.outcome, r.acted) for r in results] == [(Outcome.UNKNOWN, Acted.MAYBE)] * 3
    assert "ZeroDivisionError: oops" in results[0].said + results[1].said + results[2].said
    assert state.verdict().counts["unknown"] == 3


@in_virtual_time
async def test_a_cancelled_conductor_cancels_its_steps_and_waits_for_them() -> None:
    ended: list[str] = []

    async def run(step: Step) -> Result:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            ended.append(step.unit)
        raise AssertionError("not reached")

    work = ScriptedWork()
    ports = ConductorPorts(run=run, append=work.append, orders=work.orders, ask=work.ask)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await conduct(SQL_APP, RunState.begin(SQL_APP), ports)
    assert ended == ["sql@db"]
    assert asyncio.get_running_loop().time() == 11


@in_virtual_time
async def test_steps_that_ignore_a_cancel_are_waited_for_in_bounds() -> None:
    release = asyncio.Event()

    async def run(step: Step) -> Result:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Result(step=step, outcome=Outcome.OK)

    work = ScriptedWork()
    ports = ConductorPorts(run=run, append=work.append, orders=work.orders, ask=work.ask)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await conduct(SQL_APP, RunState.begin(SQL_APP), ports)
    assert asyncio.get_running_loop().time() == 10 + ABANDON_S
    release.set()
    await asyncio.sleep(0)


@in_virtual_time
async def test_no_task_is_left_when_the_run_is_over() -> None:
    await _conduct(SQL_APP, ScriptedWork())
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_a_plan_with_nothing_to_do_is_done() -> None:
    for empty in (plan(stage([])), plan(stage([node("a@1", role=Role.PASS)]))):
        assert (await _conduct(empty, ScriptedWork())).verdict().verdict == Verdict.DONE


@in_virtual_time
async def test_it_refuses_a_state_with_unanswered_steps() -> None:
    state = RunState.begin(SQL_APP)
    state.decide()
    with pytest.raises(ValueError, match="0/sql@db/start/1"):
        await conduct(SQL_APP, state, ScriptedWork().ports)


@in_virtual_time
async def test_killed_after_every_fact_it_goes_on_and_never_asks_a_finished_step_again() -> None:
    whole = ScriptedWork({"0/q@1/start/1": Answer(took_s=2)})
    nodes = [*_restart().stages[0].nodes, node("q@1", gated=True), node("q@2", begins_after=2, gated=True)]
    fleet = plan(stage(nodes, [barrier(1)], Limits(run=2), goal=State.STOPPED), _restart().stages[1])
    await _conduct(fleet, whole)
    assert len(whole.facts) >= 24
    for cut in range(len(whole.facts) + 1):
        state = RunState.begin(fleet)
        for fact in whole.journal[:cut]:
            state.apply(fact)
        finished = {fact.result.step for fact in whole.journal[:cut] if isinstance(fact, StepEnded)}
        intended = [fact.step for fact in whole.journal[:cut] if isinstance(fact, StepIntended)]
        asked = {step for step in intended if step.phase is not Phase.WATCH}
        assert set(state.under_way) == asked - finished
        for step in state.under_way:  # how these are found out is the business of resume
            state.apply(StepEnded(Result(step=step, outcome=Outcome.OK, after=state.left[step.unit])))
        rest = ScriptedWork(states=dict(whole.states))
        ended = await conduct(fleet, state, rest.ports)
        assert not asked & set(rest.asked)
        assert asked | set(rest.asked) == set(whole.asked)
        assert sum(ended.verdict().counts[word] for word in ("ok", "failed", "unknown", "untouched")) == 4
