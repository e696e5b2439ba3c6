"""What is no service: pools, sites, tasks and own commands, from the playbook to the programs that move them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_jobs import run_it, world
from test_playbook_mistakes import INVENTORY, told
from virtual_time import in_virtual_time
from working import GOALS, Bench

from orchestrator.adapters.documents.yaml_nodes import parse
from orchestrator.adapters.memory.fleet import Fault, HostFault, MemoryFleet, MemoryService
from orchestrator.adapters.memory.objects import OWN, PROGRAMS, MemoryObject, add
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain import kinds
from orchestrator.domain.checkup import Checkup
from orchestrator.domain.commands import Commands, Program
from orchestrator.domain.draft import Draft
from orchestrator.domain.drafting.drafting import draft
from orchestrator.domain.drift import drift
from orchestrator.domain.drift import questions as drift_questions
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.fact_codec import packed, unpacked
from orchestrator.domain.facts import StepEnded
from orchestrator.domain.plan import Action, Node, Plan, Role, Unit
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.observed import observed
from orchestrator.domain.planning.refusals import PlanRefused
from orchestrator.domain.playbook.reading import read_playbook
from orchestrator.domain.results import Acted, Outcome, Phase
from orchestrator.domain.service import Asked, Control, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.undo import by_hand
from orchestrator.engine.jobs.surveying import check, survey
from orchestrator.engine.ports import CommandOutput, Order

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent.parent / "data" / "kind_mistakes.yaml").read_text(encoding="utf-8")
)
BY = Commands(
    read=Program(exe=OWN, args=("status", "spool")),
    start=Program(exe=OWN, args=("start", "spool")),
    stop=Program(exe=OWN, args=("stop", "spool")),
    stopped=(3,),
)
NAMES = {
    "app_pool": "Shop",
    "site": "Shop Web",
    "task": "\\Shop\\Nightly",
    "command": "spool",
    "cluster_role": "SQL Server (SHOP)",
}
ASKED = {kind: Asked(kinds.full(kind, name), by=BY if kind == "command" else None) for kind, name in NAMES.items()}
EVERY = sorted(NAMES)
MOVES = [(kind, phase) for kind in EVERY for phase in (Phase.START, Phase.STOP)]
PLAYBOOK = """
services:
  sql: { service: MSSQLSERVER, hosts: db-01 }
  pool: { app_pool: "{{ vars.pool }}", hosts: app-01, depends_on: [sql], ready: [ { service: Running } ] }
  site:
    site: Shop Web
    hosts: app-01
    depends_on: [pool]
    stopped: [ { service: { state: Running, name: W3SVC } } ]
  role: { cluster_role: SQL Server (SHOP), hosts: "db-01:db-02", depends_on: [sql] }
  nightly: { task: 'Nightly', hosts: app-01, depends_on: [sql] }
  spool:
    hosts: app-01
    depends_on: [sql]
    command:
      read: { exe: spoolctl.exe, args: [status, "{{ service.key }}"], stopped: 3 }
      start: { exe: spoolctl.exe, args: [start, spool] }
      stop: { exe: spoolctl.exe, args: [stop, spool], exit_code: 0 }
vars: { pool: Shop }
"""


def drafted(text: str = PLAYBOOK) -> Draft:
    return draft(read_playbook(parse(text.encode(), "p.yaml")), INVENTORY, Renderer(), lambda name: name)


def bench(kind: str, phase: Phase, *, timeout_s: float = 90.0, **of_object: Any) -> tuple[Bench, MemoryObject]:
    """A bench with one such thing on app-01, to be started or stopped."""
    name = f"{kind}@app-01"
    unit = Unit(id=name, service=kind, host="app-01", scm_name=ASKED[kind].name, instance=name, by=ASKED[kind].by)
    one = Bench(GOALS[phase], [Node(unit=unit, role=Role.ACT, timeout_s=timeout_s)])
    one.fleet.add("app-01")
    thing = MemoryObject(kind, NAMES[kind], **{"up": phase is Phase.STOP, **of_object})
    return one, add(one.fleet, "app-01", thing)


@pytest.mark.parametrize(("kind", "phase"), MOVES)
@in_virtual_time
async def test_it_is_moved_once_and_read_back(kind: str, phase: Phase) -> None:
    one, thing = bench(kind, phase, move_s=3.0)
    before = await one.run(Phase.READ)
    assert (before.outcome, before.after) == (Outcome.OK, "Running" if phase is Phase.STOP else "Stopped")
    result = await one.run(phase)
    assert (result.outcome, result.acted, result.after) == (Outcome.OK, Acted.YES, str(GOALS[phase])), result.said
    moved = [asked for asked in one.fleet.asked if asked.startswith("run ")]
    again = await one.run(phase, attempt=2)
    assert (again.outcome, again.acted) == (Outcome.OK, Acted.NO)
    assert len([asked for asked in one.fleet.asked if asked.startswith("run ")]) == len(moved) + 1
    assert thing.up is (phase is Phase.START)


@pytest.mark.parametrize(("kind", "phase"), MOVES)
@in_virtual_time
async def test_programs_that_refuse_are_a_failure_in_their_own_words(kind: str, phase: Phase) -> None:
    one, _ = bench(kind, phase, fails=True)
    result = await one.run(phase)
    assert (result.outcome, result.problem and result.problem.kind) == (Outcome.FAILED, ProblemKind.REMOTE)
    assert result.after == ("Running" if phase is Phase.STOP else "Stopped")
    said = {"task": "Zugriff", "command": "it would not"}
    assert said.get(kind, "Access is denied") in result.said
    assert result.problem is not None
    assert result.acted is (Acted.MAYBE if kind == "command" else Acted.NO)
    assert (result.problem.code == 5) is (kind in ("app_pool", "site"))


@pytest.mark.parametrize("kind", EVERY)
@in_virtual_time
async def test_garbage_is_no_state(kind: str) -> None:
    one, _ = bench(kind, Phase.STOP, garbage="Gestartet", timeout_s=20.0)
    read, stop = await one.run(Phase.LOOK), await one.run(Phase.STOP)
    assert (read.outcome, stop.outcome, stop.acted) == (Outcome.UNKNOWN, Outcome.UNKNOWN, Acted.NO)
    assert "Gestartet" in stop.said


@pytest.mark.parametrize("kind", EVERY)
@in_virtual_time
async def test_a_read_that_hangs_is_no_answer(kind: str) -> None:
    one, _ = bench(kind, Phase.STOP, timeout_s=30.0)
    one.fleet.hosts["app-01"].faults.append(HostFault(Fault.SILENT, times=None))
    one.fleet.hosts["app-01"].silence_s = 3600.0
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted) == (Outcome.UNKNOWN, Acted.NO)
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.UNREACHABLE
    assert result.took_s < 60.0


@pytest.mark.parametrize("kind", EVERY)
@in_virtual_time
async def test_a_move_that_hangs_is_not_asked_again(kind: str) -> None:
    one, thing = bench(kind, Phase.STOP, timeout_s=30.0)
    host = one.fleet.hosts["app-01"]
    host.silence_s = 3600.0
    exe = kinds.means(ASKED[kind]).read.exe.lower()

    def first(args: Sequence[str]) -> CommandOutput:
        """The read is answered; what is run next, which is the stop, is not."""
        del host.commands[exe]
        host.faults.append(HostFault(Fault.SILENT, times=1))
        return PROGRAMS[exe](one.fleet, host, args)

    host.commands[exe] = first
    result = await one.run(Phase.STOP)
    assert (result.outcome, result.acted, result.after) == (Outcome.FAILED, Acted.MAYBE, "Running")
    assert "was not asked again" in result.said or "was not undone and may still finish" in result.said
    assert thing.up


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_mistake_is_told_at_its_place(case: dict[str, Any]) -> None:
    assert told(case["playbook"]) == case["mistakes"]


def fleet(*, but: Sequence[str] = ()) -> MemoryFleet:
    made = MemoryFleet()
    made.add("db-01", MemoryService(name="MSSQLSERVER", state=State.RUNNING))
    made.add("app-01", MemoryService(name="W3SVC", state=State.RUNNING))
    for kind, name in {**NAMES, "task": "\\Nightly"}.items():
        if kind not in but and kind != "cluster_role":
            add(made, "app-01", MemoryObject(kind, name))
    made.add("db-02")
    role = MemoryObject("cluster_role", NAMES["cluster_role"])
    for node in ("db-01", "db-02"):
        add(made, node, role)
    return made


async def planned(of: Draft, action: Action, there: MemoryFleet, **options: Any) -> Plan:
    live = await survey(questions(of, Choice(), action), world(there).hosts)
    return build(of, Choice(), action, live, **options)


@in_virtual_time
async def test_a_playbook_with_every_kind_goes_down_and_up_again() -> None:
    there, of = fleet(), drafted()
    before, _ = observed(of, await survey(questions(of, Choice(), Action.STOP), world(there).hosts))
    heard = await run_it(of, Action.STOP, there, asyncio.Queue[Order]())
    ended = [one.fact for one in heard if isinstance(one.fact, StepEnded)]
    assert [fact.result.said for fact in ended if fact.result.outcome is not Outcome.OK] == []
    moved = [fact.result.step.unit for fact in ended if fact.result.step.phase is Phase.STOP]
    assert moved.index("site@app-01") < moved.index("pool@app-01") < moved.index("sql@db-01")
    assert not any(one.up for host in there.hosts.values() for one in host.objects.values())
    assert moved.count("role@db-01") == 1
    there.hosts["app-01"].objects["site", "shop web"].up = True
    back = await planned(of, Action.RESTORE, there, before=before)
    assert [unit.id for unit in acting(back)] == EVERYBODY
    await run_it(of, Action.START, there, asyncio.Queue[Order]())
    assert all(one.up for one in there.hosts["app-01"].objects.values())


EVERYBODY = ["sql@db-01", "pool@app-01", "site@app-01", "role@db-01", "nightly@app-01", "spool@app-01"]


def acting(plan: Plan) -> list[Unit]:
    return [node.unit for stage in plan.stages for node in stage.nodes if node.role is Role.ACT]


@in_virtual_time
async def test_what_is_frozen_is_asked_again_by_the_same_programs() -> None:
    there, of = fleet(), drafted()
    plan = await planned(of, Action.STOP, there)
    kept = unpacked(Plan, packed(plan))
    assert kept == plan
    add(there, "app-01", MemoryObject("app_pool", "Shop", up=False))
    del there.hosts["app-01"].objects["site", "shop web"]
    there.hosts["app-01"].objects["command", "spool"].garbage = "?"
    found: Survey = await survey(drift_questions(kept), world(there).hosts)
    assert {str(one).partition(",")[0]: one.now.partition(":")[0] for one in drift(kept, found)} == {
        "site@app-01 was Running": "is gone",
        "spool@app-01 was Running": "can't be read",
    }


@in_virtual_time
async def test_what_is_not_there_is_named_as_what_it_is() -> None:
    with pytest.raises(PlanRefused) as refused:
        await planned(drafted(), Action.STOP, fleet(but=["app_pool", "task"]))
    said = str(refused.value)
    assert "the application pool Shop is not on app-01" in said
    assert "correct `app_pool:` or `hosts:` of pool" in said
    assert "the scheduled task \\Nightly on app-01 can't be read: schtasks.exe ended with 1: FEHLER" in said


@in_virtual_time
async def test_a_check_reads_it_and_says_nothing_of_rights() -> None:
    of = drafted()
    found: Checkup = await check(of, questions(of, Choice(), Action.STATUS), world(fleet()))
    rows = {row.unit: row for row in found.units}
    assert found.problems == 0
    assert (rows["pool@app-01"].state, rows["pool@app-01"].may_stop) == ("Running", None)


@pytest.mark.parametrize(
    "printed", ["", "Started\nStarted", "<Task><Enabled>false</Enabled></Task>", "\x00", "Stopped?"]
)
@pytest.mark.parametrize("kind", ["app_pool", "cluster_role", "site", "task"])
def test_only_what_is_whole_is_a_state(kind: str, printed: str) -> None:
    told_by = kinds.means(ASKED[kind]).told
    assert isinstance(told_by(0, printed), Problem)


def test_what_is_typed_by_hand_is_the_programs_themselves() -> None:
    assert kinds.typed(Asked("site/d'Été"), Control.STOP) == (
        "& 'C:\\Windows\\System32\\inetsrv\\appcmd.exe' 'stop' 'site' "
        "('/site.name:d''{0}t{1}' -f [char]0xC9, [char]0xE9)"
    )
    assert kinds.typed(ASKED["command"], Control.START) == "& 'spoolctl.exe' 'start' 'spool'"


@in_virtual_time
async def test_what_is_not_back_is_typed_as_its_kind_wants_it() -> None:
    plan = await planned(drafted(), Action.STOP, fleet())
    now = {unit.id: "Stopped" for unit in acting(plan)}
    hands = {hand.unit: hand for hand in by_hand(plan, now, {"app-01": "10.0.0.7"}, {})}
    assert hands["pool@app-01"].local.endswith("appcmd.exe' 'start' 'apppool' '/apppool.name:Shop'")
    assert hands["nightly@app-01"].local == "& 'schtasks.exe' '/change' '/tn' '\\Nightly' '/enable'"
    assert hands["role@db-01"].local == (
        "Get-ClusterGroup | Where-Object Name -eq 'SQL Server (SHOP)' | Start-ClusterGroup"
    )
    assert hands["spool@app-01"].command == (
        "Invoke-Command -ComputerName '10.0.0.7' -ScriptBlock { & 'spoolctl.exe' 'start' 'spool' }"
    )
    assert hands["sql@db-01"].local == "Start-Service -Name 'MSSQLSERVER'"
