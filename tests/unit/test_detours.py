"""Hosts that are not reached by the first of their ways are told of everywhere, and alike."""

import io
import json
from dataclasses import replace

import pytest
from drafts import draft, entry, survey
from fake_run import BEGAN_AT, SMALL, facts, fleet
from rich.console import Console, RenderableType
from virtual_time import in_virtual_time
from working import Bench, node

from orchestrator.adapters.either import EitherHosts, reaching
from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.probes import MemoryLocal, MemoryProbe
from orchestrator.domain.connection import Connection, Transport
from orchestrator.domain.facts import Stamped, StepEnded
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.build import build
from orchestrator.domain.planning.choice import Choice, questions
from orchestrator.domain.planning.status import expectations
from orchestrator.domain.preview import preview
from orchestrator.domain.results import REACHED_BY, Outcome, Phase, Result, Step
from orchestrator.domain.service import State
from orchestrator.domain.survey import HostSurvey, Survey
from orchestrator.domain.timeline import Timeline
from orchestrator.engine.jobs import surveying
from orchestrator.engine.jobs.world import World
from orchestrator.interfaces import preview_view
from orchestrator.interfaces.frame import Canvas, frame
from orchestrator.interfaces.plain import PlainView
from orchestrator.interfaces.report import report
from orchestrator.interfaces.runs_view import show_json
from orchestrator.interfaces.status_view import checkup_tables, status_table
from orchestrator.interfaces.theme import UNICODE_MARKS

HOW = "ssh; psrp failed: connection refused"
SHOP = draft(entry("web", "app-01 app-02"))


def drawn(picture: RenderableType) -> str:
    paper = io.StringIO()
    Console(file=paper, width=200, color_system=None, force_terminal=False).print(picture)
    return paper.getvalue()


def shut() -> EitherHosts:
    """app-01 by its second way, for the first is shut; app-02 by its first."""
    open_, closed = MemoryFleet(), MemoryFleet()
    for host in ("app-01", "app-02"):
        open_.add(host, MemoryService(name="web", state=State.RUNNING))
        closed.add(host)
    closed.fault("app-01", Fault.UNREACHABLE, times=None)
    first, second = MemoryHosts(open_), MemoryHosts(closed)
    return EitherHosts({"app-01": [("psrp", second), ("ssh", first)], "app-02": [("psrp", first), ("ssh", second)]})


@in_virtual_time
async def test_a_survey_tells_who_was_reached_by_another_way() -> None:
    found = await surveying.survey(questions(SHOP, Choice(), Action.STOP), shut())
    assert found.detours == {"app-01": HOW}
    assert found.unreachable == ()


@in_virtual_time
async def test_a_checkup_tells_it_and_takes_it_for_no_problem() -> None:
    world = World(hosts=shut(), probe=MemoryProbe(MemoryFleet()), local=MemoryLocal())
    found = await surveying.check(SHOP, questions(SHOP, Choice(), Action.STATUS), world)
    assert [(host.host, host.detour) for host in found.hosts] == [("app-01", HOW), ("app-02", "")]
    assert all(host.ok for host in found.hosts)
    assert drawn(checkup_tables(found)).count(f"reached by {HOW}") == 1


@in_virtual_time
async def test_a_result_has_it_for_evidence() -> None:
    bench = Bench(State.STOPPED, [node("web"), node("web", "app-02")], hosts=shut())
    result = await bench.run(Phase.STOP)
    assert result.outcome is Outcome.OK, result.said
    assert result.evidence[REACHED_BY] == HOW
    assert REACHED_BY not in (await bench.run(Phase.STOP, "web@app-02")).evidence


@in_virtual_time
async def test_a_preview_names_the_hosts_together(capsys: pytest.CaptureFixture[str]) -> None:
    found = await surveying.survey(questions(SHOP, Choice(), Action.STOP), shut())
    plan = build(SHOP, Choice(), Action.STOP, found)
    both = Survey({host: HostSurvey(host=host, detour=HOW) for host in ("app-01", "app-02")})
    text = drawn(preview_view.render(preview(plan), both, Console(width=200)))
    assert f"! app-01, app-02: reached by {HOW}" in text
    preview_view.show(preview(plan), found, json=True)
    assert json.loads(capsys.readouterr().out)["detours"] == {"app-01": HOW}


def detoured(*hosts: str) -> list[Stamped]:
    """A run in which all steps on *hosts* went by the second way."""
    told = facts(fleet(SMALL))
    for stamped in told:
        if isinstance(stamped.fact, StepEnded) and stamped.fact.result.step.unit.endswith(hosts):
            stamped.fact.result.evidence[REACHED_BY] = HOW
    return told


def test_the_report_and_show_name_them_together_and_the_picture_counts_them() -> None:
    timeline = Timeline()
    told = detoured("web-01", "sql-01")
    for stamped in told:
        timeline.fact(stamped)
    assert timeline.detours == {"web-01": HOW, "sql-01": HOW}
    text = drawn(report(timeline))
    assert text.count("and 1 more  reached by ssh\n      psrp failed: connection refused\n") == 1
    assert json.loads(show_json(told))["detours"] == timeline.detours
    assert "2 hosts not by the first way" in drawn(frame(timeline, 0.0, Canvas(120, 40, UNICODE_MARKS)))
    plain = Timeline()
    for stamped in facts(fleet(SMALL)):
        plain.fact(stamped)
    assert "reached by" not in drawn(report(plain))


def test_lines_tell_it_once_a_host_until_it_changes() -> None:
    stream = io.StringIO()
    view = PlainView(stream)
    for stamped in detoured("web-01"):
        view.fact(stamped)
    again = Result(
        step=Step(0, "web@web-01", Phase.READ, 9), outcome=Outcome.OK, evidence={REACHED_BY: "psrp, at last"}
    )
    view.fact(Stamped(99, BEGAN_AT, 0.0, StepEnded(again)))
    view.close()
    lines = [line for line in stream.getvalue().splitlines() if "is reached by" in line]
    assert [line.partition("  ")[2] for line in lines] == [
        f"web-01  is reached by {HOW}",
        "web-01  is reached by psrp, at last",
    ]


def test_a_wire_is_made_for_its_own_hosts_if_it_has_any() -> None:
    made: dict[Transport, list[str]] = {}

    def wire(transport: Transport, connections: object) -> MemoryHosts:
        assert isinstance(connections, dict)
        made[transport] = list(connections)
        hosts = MemoryFleet()
        for host in connections:
            hosts.add(host)
        return MemoryHosts(hosts)

    def way(host: str, transport: Transport) -> Connection:
        return Connection(host=host, address=host, port=1, transport=transport)

    wires = {
        Transport.PSRP: lambda connections: wire(Transport.PSRP, connections),
        Transport.SSH: lambda connections: wire(Transport.SSH, connections),
    }
    psrp, ssh = Transport.PSRP, Transport.SSH
    reaching({"a": [way("a", psrp)]}, wires)
    assert made == {psrp: ["a"]}
    reaching({"a": [way("a", ssh), way("a", psrp)], "b": [way("b", ssh)]}, wires)
    assert made == {psrp: ["a"], ssh: ["a", "b"]}


def test_status_tells_of_a_host_once_however_many_units_it_has() -> None:
    of = draft(entry("sql", "db-01"), entry("broker", "db-01"), entry("web", "app-01"))
    seen = survey(of, silent=["db-01"])
    seen = Survey({**seen.hosts, "app-01": replace(seen.hosts["app-01"], detour=HOW)})
    told = drawn(status_table(expectations(of, Choice(), seen), seen))
    assert told.count("no usable answer (see below)") == 2
    assert told.count("! db-01 gave no usable answer: no answer within 15 s") == 1
    assert told.count("no answer within") == 1
    assert told.count(f"! app-01: reached by {HOW}") == 1
