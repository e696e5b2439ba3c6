"""What could revive a stopped service is taken away and put back to the byte, whenever it is broken off."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import in_virtual_time
from working import Bench, node

from orchestrator.adapters.memory.fleet import Fault, MemoryEvent, MemoryFleet, MemoryHost, MemoryService, clock
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.registry import PROGRAMS, configure, failure_actions, tree, trigger
from orchestrator.domain import keep_down
from orchestrator.domain.kept_units import BESIDE, KEPT_DOWN, RECORD, REWRITTEN, KeptUnits
from orchestrator.domain.life import Life
from orchestrator.domain.results import Acted, Outcome, Phase
from orchestrator.domain.service import StartType, State
from orchestrator.engine.ports import CommandOutput
from orchestrator.engine.work.keep_down import Keeper
from orchestrator.engine.work.pace import Pace

UNIT = "Orders Api$1@app-01"
KINDS = (StartType.AUTOMATIC, StartType.AUTOMATIC_DELAYED, StartType.DISABLED, StartType.MANUAL)
FAILURES = {
    "none": None,
    "empty": failure_actions(0),
    "restart twice, then nothing": failure_actions(86400, (1, 60000), (1, 120000), (0, 0), pointer=0x5A5A),
    "reboot, never forgotten": failure_actions(0xFFFFFFFF, (2, 60000)),
    "run a program": failure_actions(3600, (3, 0), (4, 1000)),
}


def _bench(start_type: StartType = StartType.AUTOMATIC, failure: str | None = None, *, triggers: int = 0) -> Bench:
    fleet = MemoryFleet()
    host = fleet.add("app-01", MemoryService(name="Orders Api$1", state=State.RUNNING, start_type=start_type))
    if failure is not None:
        configure(host, "Orders Api$1", FailureActions=("REG_BINARY", failure))
    configure(host, "Orders Api$1", FailureCommand=("REG_SZ", "C:\\tools\\page me.exe /p hunter2"))
    for number in range(triggers):
        trigger(host, "Orders Api$1", number)
    kept = replace(node("Orders Api$1"), life=Life(keep_down=True))
    return Bench(State.STOPPED, [kept], fleet=fleet)


def _host(bench: Bench) -> MemoryHost:
    return bench.fleet.hosts["app-01"]


@pytest.mark.parametrize("failure", sorted(FAILURES))
@pytest.mark.parametrize("start_type", KINDS)
@in_virtual_time
async def test_what_was_read_is_what_is_there_after_to_the_byte(start_type: StartType, failure: str) -> None:
    bench = _bench(start_type, FAILURES[failure], triggers=2)
    before = tree(_host(bench))
    kept = await bench.run(Phase.KEEP_DOWN)
    service = bench.fleet.service("Orders Api$1", "app-01")
    assert (kept.outcome, kept.acted, service.start_type) == (Outcome.OK, Acted.YES, StartType.DISABLED)
    assert not keep_down.rewritten(_config(_host(bench)))
    record = json.loads(kept.evidence[RECORD])
    assert (record["failure"], len(record["trigger_rows"])) == (FAILURES[failure], 6)
    assert record["command"] == "C:\\tools\\page me.exe"
    assert not [value for value in kept.evidence.values() if "hunter2" in value], "its arguments are nobody's business"
    back = await bench.run(Phase.RELEASE)
    assert (back.outcome, back.acted, back.evidence[KEPT_DOWN]) == (Outcome.OK, Acted.YES, kept.evidence[KEPT_DOWN])
    assert (tree(_host(bench)), service.start_type) == (before, start_type)
    again = await bench.run(Phase.RELEASE)
    assert (again.outcome, again.acted) == (Outcome.OK, Acted.NO)


def _config(host: MemoryHost) -> keep_down.Config:
    command = host.services["orders api$1"]
    values = tree(host, keep_down.service_key(command.name))[_key(host)]
    rows = "".join(f"    {name}    {kind}    {data}\n" for name, (kind, data) in values.items())
    config = keep_down.read_config(f"{_key(host)}\n{rows}")
    assert config is not None
    return config


def _key(host: MemoryHost) -> str:
    return "HKEY_LOCAL_MACHINE" + keep_down.service_key("Orders Api$1").removeprefix("HKLM")


async def _killed(bench: Bench, phase: Phase, after_s: float) -> None:
    """Begin the step and kill it: what was sent is not undone, and nothing more is."""
    task = asyncio.create_task(bench.run(phase))
    await asyncio.sleep(after_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("cut", range(14), ids="killed in exchange {}".format)
@pytest.mark.parametrize("phase", [Phase.KEEP_DOWN, Phase.RELEASE])
@in_virtual_time
async def test_killed_at_any_instant_it_goes_on_from_what_the_host_says(phase: Phase, cut: int) -> None:
    bench = _bench(StartType.AUTOMATIC_DELAYED, FAILURES["restart twice, then nothing"], triggers=1)
    before = tree(_host(bench))
    _host(bench).latency_s = 1.0
    if phase is Phase.RELEASE:
        assert (await bench.run(Phase.KEEP_DOWN)).outcome is Outcome.OK
    await _killed(bench, phase, cut + 0.5)
    another = Bench(State.STOPPED, bench.nodes, fleet=bench.fleet)
    kept = await another.run(Phase.KEEP_DOWN)
    assert (kept.outcome, keep_down.rewritten(_config(_host(bench)))) == (Outcome.OK, [])
    assert (await another.run(Phase.RELEASE)).outcome is Outcome.OK
    assert tree(_host(bench)) == before


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.GARBAGE])
@pytest.mark.parametrize("at", range(14), ids="exchange {}".format)
@in_virtual_time
async def test_a_broken_wire_is_tried_again_for_each_command_may_be_sent_twice(fault: Fault, at: int) -> None:
    bench = _bench(StartType.AUTOMATIC, FAILURES["run a program"], triggers=1)
    before = tree(_host(bench))
    for phase in (Phase.KEEP_DOWN, Phase.RELEASE):
        task = asyncio.create_task(bench.run(phase))
        _host(bench).latency_s = 1.0
        await asyncio.sleep(at + 0.5)
        bench.fleet.fault("app-01", fault, on=("run",))
        result = await task
        _host(bench).faults.clear()
        assert (result.outcome, result.acted) == (Outcome.OK, Acted.YES)
    assert tree(_host(bench)) == before


@pytest.mark.parametrize("phase", [Phase.KEEP_DOWN, Phase.RELEASE])
@pytest.mark.parametrize("kept", [False, True], ids=["never kept down", "kept down"])
@in_virtual_time
async def test_what_may_not_be_read_is_not_taken_for_absent(kept: bool, phase: Phase) -> None:
    """reg.exe ends with 1 in both cases, and says why in the host's language."""
    bench = _bench(StartType.AUTOMATIC)
    if kept:
        await bench.run(Phase.KEEP_DOWN)
    before = tree(_host(bench))

    def denied(args: Sequence[str]) -> CommandOutput:
        if any(word.upper().startswith("HKLM\\SOFTWARE\\ORCH") for word in args):
            return CommandOutput(1, "FEHLER: Zugriff verweigert\n")
        return PROGRAMS["reg.exe"](bench.fleet, _host(bench), args)

    _host(bench).commands["reg.exe"] = denied
    result = await bench.run(phase)
    if kept:
        assert (result.outcome, result.acted) == (Outcome.FAILED, Acted.NO)
        assert "reg.exe can't read HKLM\\SOFTWARE\\orch" in result.said
        assert "exit code 1: FEHLER: Zugriff verweigert" in result.said
    else:
        assert (result.outcome is Outcome.OK) is (phase is Phase.RELEASE), "SOFTWARE lists no orch"
    assert tree(_host(bench)) == before


@in_virtual_time
async def test_a_record_of_a_run_before_is_kept_and_names_that_run() -> None:
    bench = _bench(StartType.AUTOMATIC)
    first = Keeper(
        host="app-01",
        command=MemoryHosts(bench.fleet).command("app-01"),
        pace=Pace("app-01", 2.0),
        ends_s=60.0,
        note=lambda text: None,
    )
    assert (await first.keep("Orders Api$1", run="20261121-a", at=1_795_287_600.0)).wrong == ()
    kept = await bench.run(Phase.KEEP_DOWN)
    assert (kept.outcome, kept.acted) == (Outcome.OK, Acted.NO)
    assert kept.said.endswith("is kept down, as run 20261121-a had begun to; its start puts back: Automatic")
    (record,) = await first.records()
    assert (record.run, record.at, record.start) == ("20261121-a", 1_795_287_600.0, 2)


@in_virtual_time
async def test_a_last_reading_tells_what_somebody_gave_back_and_who_as_the_log_has_it() -> None:
    bench = _bench(StartType.AUTOMATIC, FAILURES["reboot, never forgotten"])
    service, units = bench.fleet.service("Orders Api$1", "app-01"), KeptUnits()
    before, kept = await bench.run(Phase.READ), await bench.run(Phase.KEEP_DOWN)
    bench.fleet.enter("app-01", service, State.STOPPED)
    quiet = await bench.run(Phase.READ)
    assert (KEPT_DOWN in before.evidence, REWRITTEN in quiet.evidence) == (False, False)
    assert quiet.evidence[KEPT_DOWN].startswith("Automatic; on failure: reboot the host after 1 min 00 s")
    service.start_type = StartType.AUTOMATIC
    bench.fleet.enter("app-01", service, State.RUNNING)
    changed = MemoryEvent(
        log="System",
        provider="Service Control Manager",
        id=7040,
        at=clock(),
        data=("Orders Api$1", "disabled", "auto start", "Orders Api$1"),
        message="The start type of the Orders Api$1 service was changed from disabled to auto start.",
        level=4,
        user="S-1-5-18",
    )
    _host(bench).events.append(changed)
    told = await bench.run(Phase.READ)
    assert told.outcome is Outcome.OK
    assert told.evidence[REWRITTEN] == (
        "it is Running again; its start type is Automatic again; System, Service Control Manager 7040 at "
        "2026-01-02T00:00:00Z by S-1-5-18: The start type of the Orders Api$1 service was changed from disabled to "
        "auto start."
    )
    assert "it was kept down, and somebody changed that: it is Running again" in told.said
    for result in (before, kept, quiet, told):
        units.take(result)
    assert (units.now, units.rewritten) == ({UNIT: kept.evidence[KEPT_DOWN]}, {UNIT: told.evidence[REWRITTEN]})
    units.take(await bench.run(Phase.RELEASE))
    assert (units.now, units.rewritten) == ({}, {})


@in_virtual_time
async def test_who_may_not_write_there_changes_nothing_and_says_so() -> None:
    bench = _bench(StartType.AUTOMATIC)
    before = tree(_host(bench))
    denied = CommandOutput(1, "ERROR: Access is denied.\n")
    _host(bench).commands["reg.exe"] = lambda args: (
        denied if args[0] == "add" else PROGRAMS["reg.exe"](bench.fleet, _host(bench), args)
    )
    kept = await bench.run(Phase.KEEP_DOWN)
    assert (kept.outcome, kept.acted, tree(_host(bench))) == (Outcome.FAILED, Acted.NO, before)
    assert kept.said == "Orders Api$1@app-01: reg.exe add failed: exit code 1: ERROR: Access is denied."


@in_virtual_time
async def test_a_start_type_that_does_not_come_back_is_a_failure_and_the_record_stays() -> None:
    bench = _bench(StartType.AUTOMATIC)
    await bench.run(Phase.KEEP_DOWN)
    _host(bench).commands["sc.exe"] = CommandOutput(5, "[SC] OpenService FEHLER 5:\n\nZugriff verweigert\n")
    back = await bench.run(Phase.RELEASE)
    assert (back.outcome, back.acted) == (Outcome.FAILED, Acted.NO)
    assert "its start type is Disabled, and was Automatic; the record stays on app-01" in back.said
    assert "access denied" in back.evidence[BESIDE]
    del _host(bench).commands["sc.exe"]
    assert (await bench.run(Phase.RELEASE)).outcome is Outcome.OK


@in_virtual_time
async def test_what_is_kept_down_is_not_revived_by_a_recovery_action_or_a_boot() -> None:
    bench = _bench(StartType.AUTOMATIC, FAILURES["restart twice, then nothing"])
    service = bench.fleet.service("Orders Api$1", "app-01")
    service.revives_s = 60.0
    await bench.run(Phase.KEEP_DOWN)
    assert service.pid is not None
    bench.fleet.end("app-01", service.pid)
    await asyncio.sleep(300)
    bench.fleet.reboot("app-01")
    await asyncio.sleep(300)
    down = service.state
    await bench.run(Phase.RELEASE)
    bench.fleet.reboot("app-01")
    await asyncio.sleep(300)
    assert (down, service.state) == (State.STOPPED, State.RUNNING)


def test_a_record_is_words_that_no_shell_touches_and_anything_else_is_none() -> None:
    config = keep_down.Config(
        start=2, delayed=1, failure=FAILURES["run a program"], command='"C:\\Überwachung.exe" /key abc'
    )
    record = keep_down.record_of("Bestellungen für $1", config, run="r", at=1.5)
    actions = "run C:\\Überwachung.exe after 0.0 s, then restart its process after 1.0 s"
    assert record.words == f"Automatic (delayed); on failure: {actions}"
    text = keep_down.written(record)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    printed = f"\nHKEY_LOCAL_MACHINE\\SOFTWARE\\orch\\KeptDown\\x\n    Record    REG_SZ    {text}\n"
    assert keep_down.read_records(printed) == [record]
    for damaged in (text[:-7], "e30", "", text[5:], "bnVsbA"):
        assert keep_down.read_records(printed.replace(text, damaged)) == []


@given(st.binary(max_size=80))
def test_bytes_of_any_kind_have_words_and_commands(failure: bytes) -> None:
    config = keep_down.Config(start=3, failure=failure.hex().upper())
    record = keep_down.record_of("x", config, run="r", at=0.0)
    assert keep_down.not_back(record, config) == []
    assert keep_down.repairs(record, config) == []
    assert bool(keep_down.failure_words(config.failure)) == (len(keep_down.restoring(record)) == 2)
