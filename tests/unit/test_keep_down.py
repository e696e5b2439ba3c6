"""What could revive a stopped service is taken away and put back to the byte, whenever it is broken off."""

import json
from dataclasses import replace

import pytest
from virtual_time import in_virtual_time
from working import Bench, node

from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryHost, MemoryService
from orchestrator.adapters.memory.registry import configure, failure_actions, tree, trigger
from orchestrator.domain import keep_down
from orchestrator.domain.life import Life
from orchestrator.domain.results import Acted, Outcome, Phase, Result
from orchestrator.domain.service import Control, StartType, State
from orchestrator.engine.work.keep_down import BESIDE, KEPT_DOWN, RECORD, REWRITTEN

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
    configure(host, "Orders Api$1", FailureCommand=("REG_SZ", "C:\\tools\\page me.exe"))
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
    assert keep_down.neutral(_config(_host(bench)))
    record = json.loads(kept.evidence[RECORD])
    assert (record["failure"], len(record["trigger_rows"])) == (FAILURES[failure], 6)
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
