"""Between the stop and the start of a restart: what a playbook says, what is planned and refused, programs and reboots
that are done once, and the ways back."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from conducted import of, run, running
from drafts import draft, entry, survey
from lively import RESUMED, lively
from rich.console import Console
from scripted_work import FAILED, Answer, Decision, ScriptedWork
from stages import barrier, node, plan, stage
from test_drafting import drafted
from virtual_time import in_virtual_time
from working import Bench

from orchestrator.adapters.memory.fleet import Fault, MemoryService
from orchestrator.domain.consequences import Consequence, consequences
from orchestrator.domain.decisions import Choice
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.fact_codec import packed, unpacked
from orchestrator.domain.facts import DecisionAsked, Fact, RunBegan, RunEnded, Stamped, StepEnded, StepIntended
from orchestrator.domain.gates import CommandCheck, Origin
from orchestrator.domain.life import Hook, Life, Reboot, RunHooks
from orchestrator.domain.plan import Action, Node, Plan, Role, Unit
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice as Chosen
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.preview import preview
from orchestrator.domain.results import Acted, Outcome, Phase, Result
from orchestrator.domain.runstate import RunState
from orchestrator.domain.service import Asked, ServiceStatus, StartType, State
from orchestrator.domain.survey import Survey
from orchestrator.engine.ports import CommandOutput
from orchestrator.interfaces.preview_view import question
from orchestrator.interfaces.report import report
from orchestrator.interfaces.runs_view import timeline_of

PATCH = Hook(name="between.1", do=CommandCheck(exe="patch"), origin=Origin.HOST, timeout_s=1800.0)
BOOT = Hook(name="between.2", do=Reboot(timeout_s=1200.0), origin=Origin.HOST, timeout_s=1200.0)
SHOP = draft(entry("sql", "db-01"), entry("orders", "db-01 app-01", "sql"), between=(PATCH, BOOT))
WEB, DB = "#between@web", "#between@db"


def told(of: Survey, *but: str) -> Survey:
    """Every host says when it started, *but* some."""
    return Survey({name: one if name in but else replace(one, booted_at=1e9) for name, one in of.hosts.items()})


def test_a_playbook_says_programs_and_reboots_in_order() -> None:
    text = """
vars: { tool: C:\\Tools\\patch.exe }
services: { sql: { hosts: db } }
restart:
  between:
    - { command: { exe: '{{ vars.tool }}', exit_code: [0, 3010] }, timeout: 1h, name: patch }
    - { reboot: { } }
"""
    first, second = drafted(text).between
    assert (first.name, first.timeout_s, first.origin, first.idempotent) == ("patch", 3600.0, Origin.HOST, False)
    assert first.do == CommandCheck(exe="C:\\Tools\\patch.exe", exit_codes=(0, 3010))
    assert (second.name, second.do, second.timeout_s) == ("between.2", Reboot(timeout_s=1200.0), 1200.0)


def test_each_host_that_acts_stands_once_between_stop_and_start_of_a_restart_alone() -> None:
    seen = told(survey(SHOP, but={"orders@app-01": State.STOPPED}))
    stop, between, start = build(SHOP, Chosen(), Action.RESTART, seen).stages
    assert (stop.between, between.between, start.between) == (False, True, False)
    (one,) = between.nodes
    assert (one.unit.id, one.unit.host, one.role, one.unit.booted_at) == ("#between@db-01", "db-01", Role.PROBE, 1e9)
    assert one.life == Life(before=(PATCH, BOOT))
    assert (one.guessed, between.expected_s) == (True, 3000 / 4)
    for action in (Action.STOP, Action.START):
        assert not any(stage.between for stage in build(SHOP, Chosen(), action, seen).stages)


def test_plans_and_old_plans_are_read_back() -> None:
    made = build(SHOP, Chosen(), Action.RESTART, told(survey(SHOP)))
    assert unpacked(Plan, packed(made)) == made
    old = packed(made)
    for one in old["stages"]:
        del one["between"]
    assert not any(stage.between for stage in unpacked(Plan, old).stages)


def test_a_host_that_does_not_tell_its_start_is_not_rebooted() -> None:
    with pytest.raises(PlanRefused) as untold:
        build(SHOP, Chosen(), Action.RESTART, told(survey(SHOP), "app-01"))
    (reason,) = untold.value.reasons
    assert (reason.about, "orch_control=powershell" in reason.right) == (("app-01",), True)
    pool = draft(entry("pool", "web-01", asked=[Asked("app_pool/Shop")]), between=(BOOT,))
    assert len(build(pool, Chosen(), Action.RESTART, survey(pool)).stages) == 3, "nobody has asked it"
    without = replace(SHOP, between=(PATCH,))
    assert len(build(without, Chosen(), Action.RESTART, survey(SHOP)).stages) == 3


def test_the_preview_names_what_comes_up_with_the_host() -> None:
    made = build(SHOP, Chosen(), Action.RESTART, told(survey(SHOP)))
    nodes = tuple(
        replace(one, unit=replace(one.unit, seen=replace(one.unit.seen, start_type=StartType.AUTOMATIC)))
        for one in made.stages[0].nodes
        if one.unit.seen
    )
    seen = preview(replace(made, stages=(replace(made.stages[0], nodes=nodes), *made.stages[1:])))
    assert [(row.words, row.does) for row in seen.stages[1].between] == [
        ("between hook 1 (patch)", "patch"),
        ("between hook 2 (reboot)", "reboot, back within 20 min 00 s"),
    ]
    assert (seen.totals["between"], len(seen.starts_at_boot)) == (2, 3)
    assert question(seen) == "Restart 3 units on 2 hosts, and reboot the hosts?"


def patched(name: str, *hooks: Hook) -> Node:
    """What is done on the host of the unit *name*."""
    host = name.partition("@")[2]
    unit = Unit(id=name, service="#between", host=host, scm_name=None, instance=name)
    return replace(node(name), unit=unit, role=Role.PROBE, life=Life(before=hooks))


def night(*more: str) -> Plan:
    """app, sql and *more*, restarted, each on a host of its own."""
    also = [lively(name, None) for name in more]
    down = stage([lively("app@web", None), lively("sql@db", None), *also], goal=State.STOPPED)
    between = stage([patched(WEB, PATCH, BOOT), patched(DB, PATCH, BOOT)], goal=State.STOPPED)
    up = stage([lively("app@web", None), lively("sql@db", None), *also])
    return replace(plan(down, replace(between, between=True), up), action=Action.RESTART)


def test_all_is_down_before_and_up_after_and_only_units_are_counted() -> None:
    work = running()
    state = run(night(), work)
    assert of(WEB, work) == ["between:between.1/1", "between:between.2/1"]
    ids = work.ids
    assert max(map(ids.index, ("0/app@web/stop/1", "0/sql@db/stop/1"))) < ids.index(f"1/{WEB}/between:between.1/1")
    assert ids.index(f"1/{DB}/between:between.2/1") < ids.index("2/app@web/start/1")
    assert (state.verdict().verdict, state.verdict().counts["ok"]) == ("done", 2)


def test_a_failure_asks_a_retry_goes_on_there_and_a_rollback_starts_what_ran() -> None:
    script = {f"1/{WEB}/between:between.2/1": FAILED}
    work = running(script, Choice.RETRY)
    assert run(night(), work).verdict().verdict == "done"
    assert of(WEB, work) == ["between:between.1/1", "between:between.2/1", "between:between.2/2"]
    back = running(script, Choice.ROLLBACK)
    state = run(night(), back)
    assert state.verdict().verdict == "rolled back"
    assert {one for one in back.ids if one.startswith("3/") and "/start" in one} == {
        "3/app@web/start/1",
        "3/sql@db/start/1",
    }


@pytest.mark.parametrize(("choice", "starts"), [(Choice.SKIP, ["app@web", "sql@db"]), (Choice.EXCLUDE, ["sql@db"])])
def test_a_host_that_is_given_up_is_started_or_left(choice: Choice, starts: list[str]) -> None:
    work = running({f"1/{WEB}/between:between.1/1": FAILED}, choice)
    state = run(night(), work)
    assert of(WEB, work) == ["between:between.1/1"]
    assert sorted(step.unit for step in work.asked if step.phase is Phase.START) == starts
    assert state.verdict().verdict == "failed"
    lines = " ".join(told_of(work).split())
    rest = "by hand: patch; reboot, back within 20 min 00 s on web: left out between stop and start"
    again = "orch start --plan p.yaml"
    assert (rest in lines, again in lines) == (choice is Choice.SKIP, choice is Choice.EXCLUDE)
    assert ("orch rollback" in lines) is (choice is Choice.EXCLUDE), "after the skip all is as it was"


@pytest.mark.parametrize(("unit", "more"), [(DB, " --with-dependents"), (WEB, "")])
def test_the_restart_that_does_a_list_again_is_one_that_is_not_refused(unit: str, more: str) -> None:
    of = night()
    sql, app = lively("sql@db", None), replace(lively("app@web", None), waits_for=(0,))
    of = replace(of, stages=(*of.stages[:2], stage([sql, app], [barrier(0)])))
    work = running({f"1/{unit}/between:between.1/1": FAILED}, Choice.SKIP)
    run(of, work)
    host = unit.partition("@")[2]
    again = f"`orch restart --plan p.yaml --limit {host}{more}` does their whole list again"
    assert again in " ".join(told_of(work, of).split())


def ran(of: Plan) -> Plan:
    """*of*, with its units seen running."""
    seen = ServiceStatus(name="s", state=State.RUNNING)
    nodes = ([replace(one, unit=replace(one.unit, seen=seen)) for one in each.nodes] for each in of.stages)
    return replace(
        of, stages=tuple(replace(each, nodes=tuple(some)) for each, some in zip(of.stages, nodes, strict=True))
    )


def told_of(work: ScriptedWork, of: Plan | None = None, *, ended: bool = True) -> str:
    """The report of what *work* went through."""
    command = "orch restart --plan p.yaml --limit=all -l db,web --ignore-dependents"
    first = RunBegan(run="r-1", plan=ran(of or night()), requester="ada", controller="ops", command=command)
    facts: list[Fact] = [first, *(fact for fact in work.journal if not isinstance(fact, RunEnded))]
    facts += [RunEnded(verdict="failed", exit_code=1)] * ended
    stamped = [Stamped(number, 0.0, 0.0, fact) for number, fact in enumerate(facts, start=1)]
    paper = io.StringIO()
    Console(file=paper, width=200, color_system=None).print(report(timeline_of(stamped)))
    return paper.getvalue()


def test_a_hook_that_failed_at_the_end_is_done_by_hand_and_nothing_else_again() -> None:
    hook = Hook(name="ticket", do=CommandCheck(exe="/bin/ticket", args=("close",)), origin=Origin.CONTROLLER)
    of = replace(night(), hooks=RunHooks(end=(hook,)))
    work = running({"0/run/on_end:ticket/1": FAILED})
    run(of, work)
    lines = " ".join(told_of(work, of).split())
    assert "by hand: /bin/ticket close from the controller on_end hook ticket did not succeed" in lines
    assert "orch start" not in lines
    assert "orch rollback" not in lines


def test_a_unit_of_two_stages_is_counted_and_listed_once() -> None:
    failed = {"0/app@web/stop/1": FAILED}
    skipped = run(night(), running(failed, Choice.SKIP)).verdict().counts
    assert skipped == {"ok": 1, "failed": 1, "unknown": 0, "untouched": 0}, "its start went well, its stop did not"
    waits = ScriptedWork(failed, decide=lambda _: None, patient=False, before="Running")
    run(night(), waits)
    lines = told_of(waits, ended=False).splitlines()
    assert lines[1] == "· 1 waiting · ✓ 0 ok · ✗ 1 failed"
    assert sum("app@web" in line for line in lines if not line.startswith(" ")) == 1


def test_what_a_skip_between_would_leave_is_said() -> None:
    waits = ScriptedWork(
        {f"1/{WEB}/between:between.1/1": FAILED}, decide=lambda _: None, patient=False, before="Running"
    )
    state = run(night(), waits)
    said = {one.choice: one.said for one in consequences(state, state.asking[0])}[Choice.SKIP]
    assert said == "does nothing more between stop and start on web, and goes on with the rest"


def foreseen(*failed: str) -> dict[Choice, Consequence]:
    """What follows from each answer to the first question of a night on which the stops of *failed* went wrong."""
    state = RunState.begin(night("api@api"))
    asked: list[int] = []
    while True:
        facts = state.decide()
        asked += [fact.decision for fact in facts if isinstance(fact, DecisionAsked)]
        steps = [fact.step for fact in facts if isinstance(fact, StepIntended)]
        if not steps:
            return {one.choice: one for one in consequences(state, asked[0])}
        for step in steps:
            bad = step.unit in failed
            outcome = Outcome.FAILED if bad else Outcome.OK
            problem = Problem(ProblemKind.TIMEOUT, step.unit) if bad else None
            after = "Running" if bad else "Stopped"
            state.apply(StepEnded(Result(step=step, outcome=outcome, before="Running", after=after, problem=problem)))


def test_who_is_given_up_before_it_is_down_is_not_patched_and_that_is_said() -> None:
    told = foreseen("app@web")
    assert told[Choice.SKIP].said.endswith("; what is done between stop and start is left out on web")
    assert "left out" not in told[Choice.RETRY].said


def test_what_waits_for_another_question_is_not_blamed_on_this_answer() -> None:
    told = foreseen("app@web", "sql@db")
    assert told[Choice.RETRY].said.endswith("; as long as decision 2 waits, so do 2 units: app@web, api@api")
    assert told[Choice.SKIP].stays_down == ()
    assert told[Choice.SKIP].said == (
        "leaves app@web and all that waits for that, and goes on with the rest; what is done between stop and start is "
        "left out on web; as long as decision 2 waits, so does 1 unit: api@api"
    )


def test_where_not_all_is_down_nothing_is_done() -> None:
    work = running({"0/sql@db/stop/1": Answer(Outcome.FAILED, 1.0, "Running")}, Choice.SKIP)
    run(night(), work)
    assert (len(of(WEB, work)), of(DB, work)) == (2, [])


@pytest.mark.parametrize(("lost", "asked"), [("between.1", 1), ("between.2", 0)])
def test_a_lost_program_is_asked_about_and_a_lost_reboot_goes_on(lost: str, asked: int) -> None:
    whole = running()
    run(night(), whole)
    cut = [isinstance(fact, StepIntended) and fact.step.hook == lost for fact in whole.journal].index(True)
    before: list[Fact] = [*whole.journal[: cut + 1], RESUMED]
    rest = replace(running(), facts=[(0.0, fact) for fact in before], before="Stopped")
    rest = replace(rest, decide=lambda _: Decision(Choice.RETRY))
    assert run(night(), rest, before).verdict().verdict == "done"
    assert of(WEB, rest)[0] == f"between:{lost}/2"
    assert sum(isinstance(fact, DecisionAsked) for fact in rest.journal) == asked


def rebooting(
    answer: Callable[[Bench, Sequence[str]], CommandOutput], *, hooks: Sequence[Hook] = (BOOT,), booted_at: float = 0.0
) -> Bench:
    """A bench whose shutdown.exe does what *answer* says."""
    one = Bench(State.STOPPED, [patched("#between@app-01", *hooks)])
    if booted_at:
        first = one.nodes[0]
        one = replace(one, nodes=[replace(first, unit=replace(first.unit, booted_at=booted_at))])
    one.fleet.add("app-01", MemoryService(name="orders"))
    one.fleet.hosts["app-01"].commands["shutdown.exe"] = lambda args: answer(one, args)
    return one


def goes_down(one: Bench, args: Sequence[str]) -> CommandOutput:
    assert tuple(args[:3]) == ("/r", "/t", "0")
    one.fleet.reboot("app-01", down_s=60.0)
    return CommandOutput(0, "")


async def reboot(one: Bench, hook: str = "between.2", attempt: int = 1) -> Result:
    return await one.run(Phase.BETWEEN, hook=hook, attempt=attempt)


def asked(one: Bench) -> int:
    return sum(word.startswith("run shutdown.exe") for word in one.fleet.asked)


@in_virtual_time
async def test_a_reboot_ends_when_the_host_is_back_with_a_later_start() -> None:
    one = rebooting(goes_down)
    result = await reboot(one)
    assert (result.outcome, result.acted) == (Outcome.OK, Acted.YES)
    assert 60 <= result.took_s <= 90
    assert asked(one) == 1


@in_virtual_time
async def test_a_lost_answer_is_no_doubt_for_the_start_tells() -> None:
    one = rebooting(goes_down)
    one.fleet.fault("app-01", Fault.CUT_AFTER, on=("run",))
    result = await reboot(one)
    assert (result.outcome, result.acted, asked(one)) == (Outcome.OK, Acted.YES, 1)


@in_virtual_time
async def test_a_host_that_stays_up_or_stays_away_is_told() -> None:
    stays = await reboot(rebooting(lambda *_: CommandOutput(0, "")))
    assert (stays.outcome, stays.acted) == (Outcome.FAILED, Acted.YES)
    assert "has not restarted within 20 min" in stays.said
    refuses = await reboot(rebooting(lambda *_: CommandOutput(1191, "other users are logged on")))
    assert (refuses.outcome, refuses.acted, "1191" in refuses.said) == (Outcome.FAILED, Acted.NO, True)

    def leaves(one: Bench, _: Sequence[str]) -> CommandOutput:
        one.fleet.reboot("app-01", down_s=1300.0)
        return CommandOutput(0, "")

    slow = rebooting(leaves)
    away = await reboot(slow)
    assert (away.outcome, away.acted) == (Outcome.UNKNOWN, Acted.YES)
    back = await reboot(slow, attempt=2)
    assert (back.outcome, asked(slow)) == (Outcome.OK, 1), "a retry finds it back, and does not reboot it again"


@in_virtual_time
async def test_another_process_counts_a_later_start_than_the_plans_as_done_but_not_of_a_second_reboot() -> None:
    again = replace(BOOT, name="between.3")
    for hook, then, outcome in (
        ("between.2", 1.0, Outcome.OK),
        ("between.2", 0.0, Outcome.UNKNOWN),
        ("between.3", 1.0, Outcome.UNKNOWN),
    ):
        one = rebooting(goes_down, hooks=(BOOT, again), booted_at=then)
        assert (await reboot(one, hook, attempt=2)).outcome is outcome
        assert asked(one) == 0
    assert (await reboot(one, "between.3", attempt=3)).outcome is Outcome.OK
    assert asked(one) == 1, "who says retry means it"
    fresh = rebooting(goes_down, hooks=(BOOT,), booted_at=1.0)
    assert ((await reboot(fresh)).outcome, asked(fresh)) == (Outcome.OK, 1), "the host may have restarted before"
