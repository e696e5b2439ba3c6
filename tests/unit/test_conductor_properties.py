"""What the conductor promises for any plan, any order and kind of outcomes, and a cancel at any moment."""

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from run_judge import Judge
from scripted_work import ScriptedWork, all_answered, scripts
from stages import plan, stages
from virtual_time import run_virtual

from orchestrator.domain.facts import StepIntended
from orchestrator.domain.plan import Plan, Role
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import State
from orchestrator.engine.conductor.conduct import conduct

PLANS = st.builds(plan, stages()) | st.builds(plan, stages(goal=State.STOPPED), stages())
CANCELS = st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 61.0])


def _run(any_plan: Plan, work: ScriptedWork) -> RunState:
    return run_virtual(conduct(any_plan, RunState.begin(any_plan), work.ports))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), any_plan=PLANS, cancel_at_s=CANCELS)
def test_any_run_keeps_its_promises(data: st.DataObject, any_plan: Plan, cancel_at_s: float | None) -> None:
    work = ScriptedWork(data.draw(scripts(any_plan)), cancel_at_s=cancel_at_s)
    state = _run(any_plan, work)
    judge = Judge(any_plan)
    judge.watch(work.facts)

    assert work.asked == [fact.step for fact in work.journal if isinstance(fact, StepIntended)]
    assert all_answered(work)
    assert not state.under_way
    assert state.decide() == []
    _none_is_lost(any_plan, state, judge)


def _none_is_lost(any_plan: Plan, state: RunState, judge: Judge) -> None:
    last = any_plan.stages[max(state.stage, 0)]
    acted = [node.unit.id for node in last.nodes if node.role is Role.ACT]
    if state.stage >= 0:
        assert sorted(judge.reads) == sorted(acted), "every unit of the last stage is read once more"
    told = [u for u in acted if state.standing(u) in ("failed", "unknown")] if state.stage >= 0 else []
    strays = [
        unit
        for unit, found in judge.reads.items()
        if (found != judge.left[unit] if found else judge.left[unit] or unit not in told)
    ]
    assert sorted(judge.strayed) == sorted(strays)
    standings = Counter(state.standing(unit) for unit in acted) if state.stage >= 0 else Counter()
    assert set(standings) <= {"ok", "failed", "unknown", "untouched"}
    ended = state.verdict()
    counted = sum(ended.counts[word] for word in ("ok", "failed", "unknown", "untouched"))
    everybody = {n.unit.id for s in any_plan.stages[: max(state.stage, 0) + 1] for n in s.nodes if n.role is Role.ACT}
    assert counted >= len(everybody)
    assert (ended.verdict == "done") == (not judge.halted and not judge.strayed)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), any_plan=PLANS, cancel_at_s=CANCELS)
def test_facts_fold_to_the_live_state_and_so_does_its_json(
    data: st.DataObject, any_plan: Plan, cancel_at_s: float | None
) -> None:
    work = ScriptedWork(data.draw(scripts(any_plan)), cancel_at_s=cancel_at_s, append_takes_s=0.25)
    live = _run(any_plan, work)
    assert all_answered(work)
    folded = RunState.begin(any_plan)
    for fact in work.journal:
        folded.apply(fact)
        loaded = RunState.load(any_plan, json.loads(json.dumps(folded.dump())))
        assert loaded.dump() == folded.dump()
    assert folded.dump() == live.dump()
    assert folded.verdict() == live.verdict()
