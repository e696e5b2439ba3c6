"""Gates on virtual time: when they are probed, when they hold, and what is said when they don't."""

from collections.abc import Sequence
from typing import Any

import pytest
from virtual_time import in_virtual_time
from working import Bench, about, node

from orchestrator.adapters.memory.fleet import Fault, MemoryPort, MemoryService
from orchestrator.adapters.memory.probes import MemoryLocal
from orchestrator.domain.errors import HostError, ProblemKind
from orchestrator.domain.gates import (
    Check,
    CommandCheck,
    Gate,
    HttpCheck,
    Origin,
    PortClosedCheck,
    ServiceCheck,
    TcpCheck,
)
from orchestrator.domain.results import Outcome, Phase
from orchestrator.domain.service import State
from orchestrator.engine.ports import CommandOutput

TCP = TcpCheck(host="app-01", port=8080)
HTTP = HttpCheck(url="http://app-01:8080/health")
PING = CommandCheck(exe="ping.sh", text="pong")
CLOSED = PortClosedCheck(port=8080)


def gate(check: Check = TCP, origin: Origin = Origin.CONTROLLER, **timing: Any) -> Gate:
    return Gate(check=check, origin=origin, **timing)


def gated(*gates: Gate, warmup_s: float = 0.0, status: int = 200, body: str = "pong") -> Bench:
    """A running service on app-01 that opens port 8080 *warmup_s* from now."""
    local = MemoryLocal({"ping.sh": CommandOutput(0, body)})
    one = Bench(State.RUNNING, [node("orders", gates=gates)], local=local)
    port = MemoryPort(port=8080, warmup_s=warmup_s, status=status, body=body)
    host = one.fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING, ports=(port,)))
    host.commands["ping.sh"] = CommandOutput(0, body)
    return one


HOLDING = [
    gate(TCP),
    gate(HTTP),
    gate(PING),
    gate(ServiceCheck(state=State.RUNNING), Origin.HOST),
    gate(ServiceCheck(state=State.RUNNING, name="ORDERS"), Origin.HOST),
    gate(TCP, Origin.HOST),
    gate(HTTP, Origin.HOST),
    gate(PING, Origin.HOST),
    gate(PortClosedCheck(port=8081), Origin.HOST),
]


@pytest.mark.parametrize("one", HOLDING, ids=lambda one: one.words)
@in_virtual_time
async def test_each_kind_of_gate_that_holds_holds_at_once(one: Gate) -> None:
    result = await gated(one).run(Phase.GATE)
    assert (result.outcome, result.took_s, result.acted) == (Outcome.OK, 0, "no"), result.said
    assert result.evidence["gate 1"].endswith("(1 probe)")


FAILING: Sequence[tuple[Gate, str]] = [
    (gate(TcpCheck(host="app-01", port=1)), "connection refused"),
    (gate(HttpCheck(url="http://app-01:8080/", status=(204,))), "status 200"),
    (gate(HttpCheck(url="http://app-01:8080/", text="no such thing")), "status 200"),
    (gate(CommandCheck(exe="ping.sh", exit_codes=(3, 4))), "exit code 0, wanted 3 or 4"),
    (gate(CommandCheck(exe="nobody.sh")), "can't be run: [Errno 2] no such program: 'nobody.sh'"),
    (gate(ServiceCheck(state=State.STOPPED), Origin.HOST), "orders is Running"),
    (gate(TcpCheck(host="app-01", port=1), Origin.HOST), "no connection"),
    (gate(HttpCheck(url="http://app-01:8080/", status=(204,)), Origin.HOST), "status 200, wanted 204"),
    (gate(CommandCheck(exe="ping.sh", regex="^no"), Origin.HOST), "its output is not the wanted one: nothing in it"),
    (gate(CLOSED, Origin.HOST), "port 8080 is open"),
]


@pytest.mark.parametrize(("one", "saw"), FAILING, ids=[f"{one.words}: {saw[:20]}" for one, saw in FAILING])
@in_virtual_time
async def test_each_kind_of_gate_that_does_not_hold_fails_at_its_deadline(one: Gate, saw: str) -> None:
    result = await gated(one).run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.FAILED, about(120)), result.said
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.GATE
    assert saw in result.said
    assert "(61 probes)" in result.said
    assert result.evidence["gate 1"].startswith(one.words)


ARITHMETIC = [
    # timing, warm-up -> took, probes
    ({}, 0.0, 0.0, 1),
    ({"initial_delay_s": 7}, 0.0, 7.0, 1),
    ({"success_threshold": 3}, 0.0, 4.0, 3),
    ({"success_threshold": 3, "period_s": 10, "initial_delay_s": 1}, 0.0, 21.0, 3),
    ({"period_s": 1}, 9.5, 10.0, 11),
    ({"period_s": 1, "success_threshold": 2}, 9.5, 11.0, 12),
    ({"period_s": 30, "deadline_s": 60}, 60.0, 60.0, 3),
    ({"period_s": 0.25}, 1.0, 1.0, 5),
]


@pytest.mark.parametrize(("timing", "warmup_s", "took_s", "probes"), ARITHMETIC)
@in_virtual_time
async def test_a_gate_holds_to_the_second(timing: dict[str, Any], warmup_s: float, took_s: float, probes: int) -> None:
    one = gated(gate(**timing), warmup_s=warmup_s)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s, len(one.probe.asked)) == (Outcome.OK, about(took_s), probes)


@in_virtual_time
async def test_successes_count_in_a_row() -> None:
    one = gated(gate(CommandCheck(exe="flicker.exe"), Origin.HOST, period_s=1, success_threshold=3))
    answers = iter([True, True, False, True, False, True, True, True])

    def flicker(_args: Sequence[str]) -> CommandOutput:
        return CommandOutput(0 if next(answers) else 1, "")

    one.fleet.hosts["app-01"].commands["flicker.exe"] = flicker
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s, result.exchanges) == (Outcome.OK, about(7), 8)


@in_virtual_time
async def test_a_probe_that_takes_longer_than_the_period_is_followed_at_once() -> None:
    one = gated(gate(ServiceCheck(state=State.STOPPED), Origin.HOST, period_s=2, deadline_s=10))
    one.fleet.hosts["app-01"].latency_s = 3.0
    result = await one.run(Phase.GATE)
    # Two exchanges more, side by side, look it up in the event logs.
    assert (result.outcome, result.exchanges, result.took_s) == (Outcome.FAILED, 4 + 2, about(12 + 3))


@in_virtual_time
async def test_gates_are_probed_side_by_side_and_all_must_hold() -> None:
    one = gated(gate(initial_delay_s=30), gate(HTTP, initial_delay_s=20), gate(PING, initial_delay_s=10))
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.OK, about(30))
    assert sorted(result.evidence) == ["gate 1", "gate 2", "gate 3"]


@in_virtual_time
async def test_the_first_gate_that_can_t_hold_ends_the_step() -> None:
    slow = gate(TcpCheck(host="app-01", port=1), deadline_s=3600)
    result = await gated(slow, gate(HttpCheck(url="http://app-01:1/"), deadline_s=10)).run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.FAILED, about(10))
    assert "http GET http://app-01:1/ from controller: connection refused" in result.said


@pytest.mark.parametrize("check", [CLOSED, TCP, PING, ServiceCheck(state=State.RUNNING)], ids=str)
@pytest.mark.parametrize("kind", [Fault.UNREACHABLE, Fault.GARBAGE])
@in_virtual_time
async def test_a_gate_that_nobody_could_probe_is_unknown_never_closed(check: Check, kind: Fault) -> None:
    one = gated(gate(check, Origin.HOST))
    one.fleet.fault("app-01", kind, times=None)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.UNKNOWN, about(120))
    assert result.problem is not None
    assert result.problem.kind in (ProblemKind.UNREACHABLE, ProblemKind.PROTOCOL)
    assert "nobody could tell" in result.said


@in_virtual_time
async def test_a_gate_that_saw_a_no_before_its_host_vanished_has_failed() -> None:
    one = gated(gate(CLOSED, Origin.HOST))

    def netstat(_args: Sequence[str]) -> CommandOutput:
        one.fleet.fault("app-01", Fault.UNREACHABLE, times=None)
        return CommandOutput(0, "  TCP  0.0.0.0:8080  0.0.0.0:0  ABHÖREN  4\r\n")

    one.fleet.hosts["app-01"].commands["netstat.exe"] = netstat
    assert (await one.run(Phase.GATE)).outcome is Outcome.FAILED


@in_virtual_time
async def test_a_host_that_comes_back_before_the_deadline_is_probed_again() -> None:
    one = gated(gate(PortClosedCheck(port=1), Origin.HOST))
    one.fleet.fault("app-01", Fault.UNREACHABLE, times=20, on=("run",))
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s) == (Outcome.OK, about(40))


@in_virtual_time
async def test_rejected_credentials_end_a_gate_at_once() -> None:
    one = gated(gate(CLOSED, Origin.HOST))
    one.fleet.fault("app-01", Fault.AUTH)
    result = await one.run(Phase.GATE)
    assert (result.outcome, result.took_s, result.exchanges) == (Outcome.FAILED, 0, 1)
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.AUTH


@in_virtual_time
async def test_an_exit_code_that_the_wire_does_not_tell_is_unknown() -> None:
    one = gated(gate(PING, Origin.HOST))
    one.fleet.hosts["app-01"].commands["ping.sh"] = CommandOutput(None, "pong")
    assert (await one.run(Phase.GATE)).outcome is Outcome.UNKNOWN
    by_output = gated(gate(CommandCheck(exe="ping.sh", exit_codes=(), text="pong"), Origin.HOST))
    by_output.fleet.hosts["app-01"].commands["ping.sh"] = CommandOutput(None, "pong")
    assert (await by_output.run(Phase.GATE)).outcome is Outcome.OK


@pytest.mark.parametrize("answer", [CommandOutput(9009, "'curl.exe' n'est pas reconnu"), None])
@in_virtual_time
async def test_a_host_without_curl_is_told_to_be_probed_from_here(answer: CommandOutput | None) -> None:
    one = gated(gate(TCP, Origin.HOST))

    def missing(_args: Sequence[str]) -> CommandOutput:
        if answer is None:
            raise HostError("app-01", "curl.exe: no such program", sent=True)
        return answer

    one.fleet.hosts["app-01"].commands["curl.exe"] = missing
    result = await one.run(Phase.GATE)
    assert result.outcome is Outcome.UNKNOWN
    assert "curl.exe could not be run on the host" in result.said
    assert "write `from: controller`" in result.said


@in_virtual_time
async def test_a_unit_without_gates_is_ready() -> None:
    result = await gated().run(Phase.GATE)
    assert (result.outcome, result.said) == (Outcome.OK, "orders@app-01: it has no gates")


@in_virtual_time
async def test_an_external_entry_is_gated_from_the_controller() -> None:
    one = gated()
    external = Bench(State.RUNNING, [node("directory", None, gates=(gate(),))], one.fleet)
    assert (await external.run(Phase.GATE)).outcome is Outcome.OK
