"""The use cases on virtual time and the in-memory fleet: survey, a whole run, the checkup."""

import asyncio
from collections.abc import Sequence

import pytest
from bookkeeping import Told, books
from drafts import READY, draft, entry
from virtual_time import in_virtual_time

from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryPort, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts, MemoryLink
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.adapters.memory_journal import MemoryJournal
from orchestrator.domain.draft import Draft
from orchestrator.domain.errors import Problem, ProblemKind, Refused
from orchestrator.domain.facts import RunBegan, RunEnded, RunParked, Stamped, StepEnded
from orchestrator.domain.gates import CommandCheck, Gate, Origin, PortClosedCheck
from orchestrator.domain.life import Life
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.service import Asked, Reading, StartType, State
from orchestrator.engine.jobs.asking import People
from orchestrator.engine.jobs.running import run
from orchestrator.engine.jobs.surveying import check, survey
from orchestrator.engine.jobs.world import Header, World
from orchestrator.engine.ports import CommandOutput, Order

SHOP = draft(entry("sql", "db-01"), entry("orders", "app-01 app-02", "sql"))
EVERYWHERE = Choice()
HEADER = Header(run="r1", requester="anna", controller="desk", command="orch stop")


def shop_fleet(**of_orders: object) -> MemoryFleet:
    fleet = MemoryFleet()
    fleet.add("db-01", MemoryService(name="sql", state=State.RUNNING, stop_s=1.0))
    for host in ("app-01", "app-02"):
        fleet.add(host, MemoryService(name="orders", state=State.RUNNING, stop_s=1.0, **of_orders))  # type: ignore[arg-type]
    return fleet


def world(fleet: MemoryFleet) -> World:
    return World(hosts=MemoryHosts(fleet), probe=MemoryProbe(fleet), local=MemoryLocal())


async def run_it(of: Draft, action: Action, fleet: MemoryFleet, orders: asyncio.Queue[Order]) -> list[Stamped]:
    """Survey, plan and run; every fact that the journal took, as the watcher heard of it."""
    there, journal, heard = world(fleet), MemoryJournal(), list[Stamped]()
    live = await survey(questions(of, EVERYWHERE, action), there.hosts)
    plan = build(of, EVERYWHERE, action, live)
    ending = await run(
        plan,
        there,
        books(journal),
        header=HEADER,
        people=People(orders=orders.get),
        watch=heard.append,
        note=lambda _: None,
        notifier=Told(),
    )
    assert list(await journal.read("r1")) == heard
    assert heard[-1].fact == (ending.ended or RunParked(decisions=ending.waiting))
    assert heard[-1].head == ending.head
    assert len(await journal.holdings()) == (ending.ended is None)
    return heard


@in_virtual_time
async def test_a_survey_asks_every_host_once_and_side_by_side() -> None:
    fleet = shop_fleet()
    for host in fleet.hosts.values():
        host.latency_s = 3.0
    told: list[str] = []
    began_s = asyncio.get_running_loop().time()
    asked = questions(SHOP, EVERYWHERE, Action.STOP)
    found = await survey(asked, world(fleet).hosts, answered=lambda said: told.append(said.host))
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(3.0)
    assert sorted(told) == ["app-01", "app-02", "db-01"]
    assert dict(fleet.exchanges) == {(host, "read"): 1 for host in fleet.hosts}
    assert [said.readings[0].found[0].state for said in found.hosts.values()] == [State.RUNNING] * 3
    assert {said.booted_at for said in found.hosts.values()} == {fleet.hosts["db-01"].booted_at}
    units = [node.unit for node in build(SHOP, EVERYWHERE, Action.STOP, found).stages[0].nodes]
    assert {unit.booted_at for unit in units} == {fleet.hosts["db-01"].booted_at}


@in_virtual_time
async def test_a_survey_tries_a_host_that_refuses_soon_again_but_not_a_silent_one() -> None:
    fleet = shop_fleet()
    fleet.fault("db-01", Fault.UNREACHABLE, times=2)
    fleet.fault("app-01", Fault.SILENT, times=None)
    fleet.fault("app-02", Fault.AUTH, times=None)
    found = await survey(questions(SHOP, EVERYWHERE, Action.STOP), world(fleet).hosts)
    assert found.hosts["db-01"].problem is None
    kinds = {said.host: said.problem.kind for said in found.unreachable if said.problem}
    assert kinds == {"app-01": ProblemKind.UNREACHABLE, "app-02": ProblemKind.AUTH}
    assert fleet.exchanges["db-01", "read"] == 3
    assert fleet.exchanges["app-01", "read"] == 1
    assert fleet.exchanges["app-02", "read"] == 1


@in_virtual_time
async def test_a_stop_ends_with_everything_down_in_order_and_says_so() -> None:
    fleet = shop_fleet()
    facts = await run_it(SHOP, Action.STOP, fleet, asyncio.Queue())
    assert isinstance(facts[0].fact, RunBegan)
    assert isinstance(facts[-1].fact, RunEnded)
    assert (facts[-1].fact.verdict, facts[-1].fact.exit_code) == ("done", 0)
    assert sorted(fleet.asked[:2]) == ["stop orders@app-01", "stop orders@app-02"]
    assert fleet.asked[2:] == ["stop sql@db-01"]
    down = {change.service: change.at_s for change in fleet.changes if change.state is State.STOPPED}
    began_s = next(change.at_s for change in fleet.changes if change.service == "sql")
    assert began_s >= down["orders"]


@in_virtual_time
async def test_a_restart_starts_what_was_running_and_nothing_else() -> None:
    fleet = shop_fleet()
    fleet.service("orders", "app-02").state = State.STOPPED
    facts = await run_it(SHOP, Action.RESTART, fleet, asyncio.Queue())
    assert isinstance(facts[-1].fact, RunEnded)
    assert facts[-1].fact.exit_code == 0
    assert fleet.asked == ["stop orders@app-01", "stop sql@db-01", "start sql@db-01", "start orders@app-01"]


@in_virtual_time
async def test_a_cancel_settles_what_runs_and_begins_nothing_more() -> None:
    fleet, orders = shop_fleet(), asyncio.Queue[Order]()
    orders.put_nowait(Order.CANCEL)
    facts = await run_it(SHOP, Action.STOP, fleet, orders)
    assert isinstance(facts[-1].fact, RunParked)  # whether to keep or to roll back is for somebody else to say
    assert "stop sql@db-01" not in fleet.asked
    assert fleet.service("sql", "db-01").state is State.RUNNING
    outcomes = {stamped.fact.result.outcome for stamped in facts if isinstance(stamped.fact, StepEnded)}
    assert {str(outcome) for outcome in outcomes} == {"ok"}


@in_virtual_time
async def test_a_checkup_finds_what_would_hurt_the_night_and_changes_nothing() -> None:
    port = MemoryPort(port=1433)
    closed = Gate(check=PortClosedCheck(port=1433), origin=Origin.HOST)
    local = Gate(check=CommandCheck(exe="nowhere"), origin=Origin.CONTROLLER)
    before = Life(prechecks=(closed,), drained=(closed,))
    of_sql = {"ready": (READY,), "stopped": (closed,), "stop_life": before}
    of = draft(
        entry("sql", "127.0.0.1", of_instance=of_sql, ready_all=(READY,)),
        entry("orders", "app-01 app-02", "sql", of_instance={"ready": (local,)}),
        entry("cache", "app-03"),
        entry("gone", "app-04"),
    )
    fleet = MemoryFleet()
    fleet.add("127.0.0.1", MemoryService(name="sql", state=State.RUNNING, ports=(port,)))
    fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING, security="D:(D;;RPWP;;;WD)"))
    fleet.add("app-02", MemoryService(name="orders", start_type=StartType.DISABLED))
    fleet.add("app-03", MemoryService(name="cache"))
    fleet.add("app-04")
    fleet.fault("app-03", Fault.UNREACHABLE, times=None)
    found = await check(of, questions(of, EVERYWHERE, Action.STATUS), world(fleet))
    hosts = {row.host: row.ok for row in found.hosts}
    assert hosts == {"127.0.0.1": True, "app-01": True, "app-02": True, "app-03": False, "app-04": True}
    units = {row.unit: (row.ok, row.said) for row in found.units}
    assert units["sql@127.0.0.1"] == (True, "")
    assert units["orders@app-02"] == (False, "Disabled: it can't be started (1058)")
    assert not units["gone@app-04"][0]
    gates = {(row.unit, row.gate.partition(":")[0]): (row.held, row.ok) for row in found.gates}
    assert gates["sql@127.0.0.1", "ready"] == (True, True)
    assert gates["sql@127.0.0.1", "stopped"] == (False, True)
    assert gates["sql@127.0.0.1", "prechecks"] == (False, False), "it runs, and could not be stopped"
    assert gates["sql@127.0.0.1", "drained"] == (False, True)
    assert gates["sql", "ready_all"] == (True, True)
    assert gates["orders@app-01", "ready"] == (False, False)
    assert gates["orders@app-02", "ready"] == (False, True)
    assert found.problems == sum(not ok for ok in hosts.values()) + 2 + 2
    assert [asked for asked in fleet.asked if asked.split()[0] in ("start", "stop", "resume")] == []
    assert fleet.changes == []


@in_virtual_time
async def test_a_checkup_tells_rights_that_are_missing_when_the_host_tells_who_we_are() -> None:
    of = draft(entry("orders", "app-01"))
    fleet = MemoryFleet()
    host = fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING, security="D:(A;;CCRP;;;WD)"))
    host.facts = type(host.facts)(transport="memory", sids=("S-1-5-21-1-2-3-1001", "S-1-1-0"), clock_skew_s=-900.0)
    found = await check(of, questions(of, EVERYWHERE, Action.STATUS), world(fleet))
    assert [(row.may_start, row.may_stop, row.said) for row in found.units] == [
        (True, False, "this account may not stop it")
    ]
    assert found.hosts[0].said == "its clock is 900 s behind: Kerberos will refuse it"
    assert found.problems == 2


NODE = """
HKEY_LOCAL_MACHINE\\Cluster\\Resources\\1
    Type    REG_SZ    Generic Service
    Name    REG_SZ    The orders

HKEY_LOCAL_MACHINE\\Cluster\\Resources\\1\\Parameters
    ServiceName    REG_SZ    orders
"""


@in_virtual_time
async def test_a_node_is_asked_what_its_cluster_owns_and_in_which_role() -> None:
    fleet = shop_fleet()
    fleet.add("app-01", MemoryService(name="orders"), MemoryService(name="clussvc", state=State.RUNNING))
    fleet.add("app-02", MemoryService(name="orders"), MemoryService(name="ClusSvc", state=State.STOPPED))
    fleet.hosts["app-01"].commands["reg.exe"] = CommandOutput(0, NODE)
    found = await survey(questions(SHOP, EVERYWHERE, Action.STOP), world(fleet).hosts)
    assert [dict(one.clustered) for one in found.hosts.values()] == [{}, {"orders": "The orders"}, {}]
    assert [line for line in fleet.asked if "reg" in line] == ["run reg.exe@app-01"] * 2
    assert not found.clusters_unread


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (CommandOutput(1, "FEHLER: Zugriff\nverweigert"), "reg.exe ended with 1: FEHLER: Zugriff verweigert"),
        (CommandOutput(0, NODE.ljust(64 * 1024)), "the cluster has more resources than are read"),
        (None, "connection refused"),
    ],
)
@in_virtual_time
async def test_a_node_that_does_not_tell_is_named(answer: CommandOutput | None, why: str) -> None:
    fleet = shop_fleet()
    fleet.add("app-01", MemoryService(name="orders"), MemoryService(name="ClusSvc", state=State.RUNNING))
    if answer is not None:
        fleet.hosts["app-01"].commands["reg.exe"] = answer
    else:
        fleet.fault("app-01", Fault.UNREACHABLE, times=None, on=("run",))
    found = await survey(questions(SHOP, EVERYWHERE, Action.STOP), world(fleet).hosts)
    assert found.clusters_unread == {"app-01": why}
    assert found.hosts["app-01"].problem is None


class Narrow(MemoryHosts):
    """Endpoints that let nobody ask for other services than the playbook's."""

    def services(self, host: str) -> MemoryLink:
        link = super().services(host)
        read = MemoryLink.read

        async def narrow(asked: Sequence[Asked]) -> Sequence[Reading]:
            if any(question.name == "ClusSvc" for question in asked):
                raise Refused(host, Problem(ProblemKind.REMOTE, "the argument does not belong to the set"))
            return await read(link, asked)

        link.read = narrow  # type: ignore[method-assign] # this host alone
        return link


@in_virtual_time
async def test_an_endpoint_that_refuses_to_tell_of_the_cluster_is_asked_without() -> None:
    found = await survey(questions(SHOP, EVERYWHERE, Action.STOP), Narrow(shop_fleet()))
    assert not found.unreachable
    assert set(found.clusters_unread.values()) == {"the endpoint refuses to tell of ClusSvc"}
    assert [reading.asked.name for reading in found.hosts["app-01"].readings] == ["orders"]
