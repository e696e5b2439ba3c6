"""Hooks on virtual time: done once, checked before and after, and never called done or undone by a guess."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from virtual_time import in_virtual_time
from working import Bench, about, node

from orchestrator.adapters.memory.fleet import Fault, MemoryPort, MemoryService
from orchestrator.adapters.memory.probes import MemoryLocal
from orchestrator.domain.errors import ProblemKind
from orchestrator.domain.gates import CommandCheck, Gate, HttpCheck, Origin, TcpCheck
from orchestrator.domain.life import Hook, Life, RunHooks
from orchestrator.domain.results import RUN, Acted, Outcome, Phase, Result
from orchestrator.domain.secrets import SecretRef, embed
from orchestrator.domain.service import State
from orchestrator.engine.ports import CommandOutput, Seen

OUT, BACK, IS_OUT = (f"http://lb/{word}" for word in ("out", "in", "is-out"))
DRAIN = Hook(
    name="pre_stop.1",
    do=HttpCheck(url=OUT, method="POST"),
    undo=HttpCheck(url=BACK, method="POST"),
    check=HttpCheck(url=IS_OUT),
    origin=Origin.CONTROLLER,
)
BLIND = replace(DRAIN, check=None)
NO_HOOKS = RunHooks()


@dataclass
class Balancer:
    """A load balancer with one member. `loses` answers: "before" it acted on a request, "after", or none ("")."""

    out: bool = False
    loses: str = ""
    refuses: bool = False
    mute: bool = False
    asked: list[str] = field(default_factory=list)

    def answers(self) -> dict[str, Callable[[HttpCheck], Seen]]:
        return {OUT: lambda _: self._move(True), BACK: lambda _: self._move(False), IS_OUT: lambda _: self._tell()}

    def _move(self, out: bool) -> Seen:
        self.asked.append("out" if out else "in")
        if self.refuses:
            return Seen(False, "connection refused")
        if self.loses != "before":
            self.out = out
        return Seen(False, "no whole answer within 30 s", lost=True) if self.loses else Seen(True, "status 200")

    def _tell(self) -> Seen:
        if self.mute:
            return Seen(False, "status 500", answered=True)
        return Seen(self.out, "status 200" if self.out else "status 404", answered=not self.out)


def drained(hook: Hook, balancer: Balancer, *, hooks: RunHooks = NO_HOOKS) -> Bench:
    one = Bench(State.STOPPED, [node("orders", life=Life(before=(hook,)))], hooks=hooks)
    one.fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING))
    one.probe.answers = balancer.answers()
    return one


def outcome(result: Result) -> tuple[Outcome, Acted]:
    assert (result.problem is None) is (result.outcome is Outcome.OK)
    return result.outcome, result.acted


@in_virtual_time
async def test_a_hook_is_done_once_and_what_is_done_already_is_not_done_again() -> None:
    balancer = Balancer()
    one = drained(DRAIN, balancer)
    assert outcome(await one.run(Phase.PRE_STOP, hook="pre_stop.1")) == (Outcome.OK, Acted.YES)
    again = await one.run(Phase.PRE_STOP, hook="pre_stop.1", attempt=2)
    assert outcome(again) == (Outcome.OK, Acted.NO)
    assert "done already" in again.said
    assert outcome(await one.run(Phase.UNDO, hook="pre_stop.1")) == (Outcome.OK, Acted.YES)
    assert outcome(await one.run(Phase.UNDO, hook="pre_stop.1", attempt=2)) == (Outcome.OK, Acted.NO)
    assert (balancer.asked, balancer.out) == (["out", "in"], False)


@in_virtual_time
async def test_a_mirrored_hook_carries_out_its_undo() -> None:
    balancer = Balancer(out=True)
    one = drained(replace(DRAIN, undoes=True), balancer)
    assert outcome(await one.run(Phase.POST_START, hook="pre_stop.1")) == (Outcome.OK, Acted.YES)
    assert balancer.asked == ["in"]


LOST = [
    # hook, what the balancer loses -> outcome, acted
    (DRAIN, "after", Outcome.OK, Acted.YES),
    (DRAIN, "before", Outcome.FAILED, Acted.MAYBE),
    (BLIND, "after", Outcome.UNKNOWN, Acted.MAYBE),
    (BLIND, "before", Outcome.UNKNOWN, Acted.MAYBE),
]


@pytest.mark.parametrize("phase", [Phase.PRE_STOP, Phase.UNDO])
@pytest.mark.parametrize(("hook", "loses", "ends", "acted"), LOST)
@in_virtual_time
async def test_a_lost_answer_is_judged_by_the_check_or_by_nobody(
    phase: Phase, hook: Hook, loses: str, ends: Outcome, acted: Acted
) -> None:
    balancer = Balancer(out=phase is Phase.UNDO, loses=loses)
    result = await drained(hook, balancer).run(phase, hook="pre_stop.1")
    assert outcome(result) == (ends, acted)
    assert len(balancer.asked) == 1


@in_virtual_time
async def test_a_connection_that_is_refused_did_nothing_and_an_answer_that_is_not_the_wanted_one_may_have() -> None:
    balancer = Balancer(refuses=True)
    assert outcome(await drained(DRAIN, balancer).run(Phase.PRE_STOP, hook="pre_stop.1")) == (Outcome.FAILED, Acted.NO)
    one = drained(BLIND, balancer)
    one.probe.answers[OUT] = lambda _: Seen(False, "status 500, wanted 200", answered=True)
    assert outcome(await one.run(Phase.PRE_STOP, hook="pre_stop.1")) == (Outcome.FAILED, Acted.MAYBE)


@pytest.mark.parametrize("idempotent", [False, True])
@in_virtual_time
async def test_a_check_that_nobody_can_make_keeps_what_must_not_be_done_twice_from_being_done(idempotent: bool) -> None:
    balancer = Balancer()
    check = CommandCheck(exe="is-out.exe", exit_codes=(0,))
    one = drained(replace(DRAIN, origin=Origin.HOST, check=check, idempotent=idempotent), balancer)
    one.fleet.hosts["app-01"].commands["is-out.exe"] = CommandOutput(None, "")
    one.fleet.hosts["app-01"].commands["curl.exe"] = CommandOutput(0, "HTTP/1.1 200 OK\r\n\r\n")
    result = await one.run(Phase.PRE_STOP, hook="pre_stop.1")
    assert outcome(result) == ((Outcome.OK, Acted.YES) if idempotent else (Outcome.UNKNOWN, Acted.NO))


@pytest.mark.parametrize(("phase", "acts"), [(Phase.PRE_STOP, ["out"]), (Phase.UNDO, ["in"])])
@pytest.mark.parametrize("idempotent", [False, True])
@in_virtual_time
async def test_a_check_that_is_not_answered_says_neither_done_nor_undone(
    phase: Phase, acts: list[str], idempotent: bool
) -> None:
    balancer = Balancer(out=True)
    one = drained(replace(DRAIN, idempotent=idempotent), balancer)
    one.probe.answers[IS_OUT] = lambda _: Seen(False, "connection refused")
    result = await one.run(phase, hook="pre_stop.1")
    assert outcome(result) == ((Outcome.OK, Acted.YES) if idempotent else (Outcome.UNKNOWN, Acted.NO))
    assert balancer.asked == (acts if idempotent else [])


@pytest.mark.parametrize("phase", [Phase.PRE_STOP, Phase.UNDO])
@pytest.mark.parametrize("origin", [Origin.CONTROLLER, Origin.HOST])
@pytest.mark.parametrize("refused", [False, True], ids=["silent", "refused"])
@in_virtual_time
async def test_a_port_that_refuses_says_no_and_one_that_is_silent_says_nothing(
    refused: bool, origin: Origin, phase: Phase
) -> None:
    balancer = Balancer(out=True)
    one = drained(replace(DRAIN, check=TcpCheck(host="lb", port=9000), origin=origin), balancer)
    one.fleet.add("lb", address="lb")
    if not refused:
        one.fleet.fault("lb", Fault.SILENT, times=None)
    one.fleet.hosts["app-01"].commands["curl.exe"] = lambda args: (
        CommandOutput(0, "HTTP/1.1 200 OK\r\n\r\n")
        if "telnet:" not in args[-1]
        else CommandOutput(7 if refused else 28, "0.000000")
    )
    result = await one.run(phase, hook="pre_stop.1")
    done = Acted.YES if phase is Phase.PRE_STOP else Acted.NO
    assert outcome(result) == ((Outcome.OK, done) if refused else (Outcome.UNKNOWN, Acted.NO))


@pytest.mark.parametrize("origin", [Origin.CONTROLLER, Origin.HOST])
@pytest.mark.parametrize("status", [404, 401, 503])
@in_virtual_time
async def test_an_undo_is_not_called_done_by_an_error_of_who_was_asked(status: int, origin: Origin) -> None:
    """A balancer that answers 503, or that does not know us, has said nothing of the pool."""
    balancer = Balancer(out=True)
    one = drained(replace(DRAIN, origin=origin), balancer)
    one.probe.answers[IS_OUT] = lambda _: Seen(False, f"status {status}", answered=True, status=status)
    one.fleet.hosts["app-01"].commands["curl.exe"] = CommandOutput(0, f"HTTP/1.1 {status} x\r\n\r\n")
    result = await one.run(Phase.UNDO, hook="pre_stop.1")
    assert outcome(result) == ((Outcome.OK if status == 404 else Outcome.UNKNOWN), Acted.NO)


@pytest.mark.parametrize("phase", [Phase.PRE_STOP, Phase.UNDO])
@pytest.mark.parametrize("ran", [None, 600.0], ids=["no such program", "does not end"])
@in_virtual_time
async def test_a_check_that_does_not_run_says_neither_done_nor_undone(ran: float | None, phase: Phase) -> None:
    balancer = Balancer(out=True)
    one = drained(replace(DRAIN, check=CommandCheck(exe="is-out", exit_codes=(0,))), balancer)
    one.local.commands = {} if ran is None else {"is-out": ran}
    result = await one.run(phase, hook="pre_stop.1")
    assert (outcome(result), balancer.asked) == ((Outcome.UNKNOWN, Acted.NO), [])


PROGRAMS: Sequence[tuple[Origin, Any, Outcome, Acted]] = [
    (Origin.CONTROLLER, CommandOutput(0, ""), Outcome.OK, Acted.YES),
    (Origin.CONTROLLER, CommandOutput(3, ""), Outcome.FAILED, Acted.MAYBE),
    (Origin.CONTROLLER, 600.0, Outcome.UNKNOWN, Acted.MAYBE),
    (Origin.CONTROLLER, None, Outcome.FAILED, Acted.NO),
    (Origin.HOST, CommandOutput(0, ""), Outcome.OK, Acted.YES),
    (Origin.HOST, CommandOutput(3, ""), Outcome.FAILED, Acted.MAYBE),
    (Origin.HOST, CommandOutput(None, ""), Outcome.UNKNOWN, Acted.MAYBE),
    (Origin.HOST, CommandOutput(9009, "'drain.exe' wurde nicht gefunden"), Outcome.FAILED, Acted.NO),
    (Origin.HOST, None, Outcome.FAILED, Acted.NO),
]


@pytest.mark.parametrize(("origin", "ran", "ends", "acted"), PROGRAMS)
@in_virtual_time
async def test_a_program_is_judged_by_how_it_ended(origin: Origin, ran: Any, ends: Outcome, acted: Acted) -> None:
    hook = Hook(name="h", do=CommandCheck(exe="drain.exe"), origin=origin, timeout_s=20)
    one = Bench(State.STOPPED, [node("orders", life=Life(before=(hook,)))])
    one.local.commands = {"drain.exe": ran} if ran is not None and origin is Origin.CONTROLLER else {}
    host = one.fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING))
    if ran is not None:
        host.commands["drain.exe"] = ran
    result = await one.run(Phase.PRE_STOP, hook="h")
    assert outcome(result) == (ends, acted), result.said
    if ran == 600.0:
        assert (result.took_s, result.problem and result.problem.kind) == (about(20), ProblemKind.TIMEOUT)


WIRES = [
    (Fault.UNREACHABLE, 2, Outcome.OK, Acted.YES),
    (Fault.UNREACHABLE, None, Outcome.FAILED, Acted.NO),
    (Fault.CUT_AFTER, 1, Outcome.UNKNOWN, Acted.MAYBE),
    (Fault.SILENT, 1, Outcome.UNKNOWN, Acted.MAYBE),
    (Fault.AUTH, 1, Outcome.FAILED, Acted.NO),
]


@pytest.mark.parametrize(("fault", "times", "ends", "acted"), WIRES)
@in_virtual_time
async def test_what_was_not_sent_is_sent_again_and_what_may_have_arrived_is_not(
    fault: Fault, times: int | None, ends: Outcome, acted: Acted
) -> None:
    hook = Hook(name="h", do=CommandCheck(exe="drain.exe"), origin=Origin.HOST, timeout_s=20)
    one = Bench(State.STOPPED, [node("orders", life=Life(before=(hook,)))])
    host = one.fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING))
    ran: list[int] = []

    def drain(_args: Sequence[str]) -> CommandOutput:
        ran.append(1)
        return CommandOutput(0, "")

    host.commands["drain.exe"] = drain
    one.fleet.fault("app-01", fault, times=times)
    result = await one.run(Phase.PRE_STOP, hook="h")
    assert outcome(result) == (ends, acted), result.said
    assert len(ran) <= 1


CURL = [
    (CommandOutput(0, "HTTP/1.1 200 OK\r\n\r\n"), Outcome.OK, Acted.YES),
    (CommandOutput(0, "HTTP/1.1 503 no\r\n\r\n"), Outcome.FAILED, Acted.MAYBE),
    (CommandOutput(7, "curl: (7) Failed to connect"), Outcome.FAILED, Acted.NO),
    (CommandOutput(None, "curl: (7) Failed to connect"), Outcome.FAILED, Acted.NO),
    (CommandOutput(6, ""), Outcome.FAILED, Acted.NO),
    (CommandOutput(52, "curl: (52) Empty reply from server"), Outcome.UNKNOWN, Acted.MAYBE),
    (CommandOutput(28, "curl: (28) Operation timed out"), Outcome.UNKNOWN, Acted.MAYBE),
]


@pytest.mark.parametrize(("ran", "ends", "acted"), CURL)
@in_virtual_time
async def test_a_request_from_the_host_is_judged_by_curls_numbers(
    ran: CommandOutput, ends: Outcome, acted: Acted
) -> None:
    one = drained(replace(BLIND, origin=Origin.HOST), Balancer())
    one.fleet.hosts["app-01"].commands["curl.exe"] = ran
    assert outcome(await one.run(Phase.PRE_STOP, hook="pre_stop.1")) == (ends, acted)


@in_virtual_time
async def test_hooks_of_the_run_are_carried_out_here_and_undone_by_name() -> None:
    silence = Hook(
        name="on_begin.1",
        do=CommandCheck(exe="silence", args=("on",)),
        undo=CommandCheck(exe="speak"),
        origin=Origin.CONTROLLER,
    )
    ticket = Hook(name="on_end.1", do=CommandCheck(exe="ticket"), origin=Origin.CONTROLLER)
    one = drained(DRAIN, Balancer(), hooks=RunHooks(begin=(silence,), end=(ticket,)))
    one.local.commands = {
        "silence": CommandOutput(0, ""),
        "speak": CommandOutput(0, ""),
        "ticket": CommandOutput(1, ""),
    }
    assert outcome(await one.run(Phase.ON_BEGIN, RUN, hook="on_begin.1")) == (Outcome.OK, Acted.YES)
    assert outcome(await one.run(Phase.UNDO, RUN, hook="on_begin.1")) == (Outcome.OK, Acted.YES)
    result = await one.run(Phase.ON_END, RUN, hook="on_end.1")
    assert outcome(result) == (Outcome.FAILED, Acted.MAYBE)
    assert result.said == "run: on_end.1: command ticket: exit code 1, wanted 0"
    assert (one.local.asked, one.fleet.exchanges.total()) == (["silence", "speak", "ticket"], 0)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("KB500",), "exit code 5, wanted 0; it printed: 3 of 4 done / Update KB500 failed: 0x80070005"),
        ((embed(SecretRef("env", "PW")),), "exit code 5, wanted 0"),
    ],
    ids=["the last lines", "nothing where it was handed a secret"],
)
@in_virtual_time
async def test_what_a_program_printed_of_its_failure_is_told(args: tuple[str, ...], said: str) -> None:
    ticket = Hook(name="on_end.1", do=CommandCheck(exe="patch", args=args), origin=Origin.CONTROLLER)
    one = drained(DRAIN, Balancer(), hooks=RunHooks(end=(ticket,)))
    one.local.commands = {"patch": CommandOutput(5, "\r\n3 of 4 done\r\n\r\nUpdate KB500 failed: 0x80070005\r\n")}
    result = await one.run(Phase.ON_END, RUN, hook="on_end.1")
    assert result.said.endswith(said), result.said


@in_virtual_time
async def test_a_hook_that_has_no_undo_is_not_undone() -> None:
    balancer = Balancer(out=True)
    result = await drained(replace(DRAIN, undo=None), balancer).run(Phase.UNDO, hook="pre_stop.1")
    assert (outcome(result), balancer.asked) == ((Outcome.OK, Acted.NO), [])


@in_virtual_time
async def test_prechecks_and_drained_gates_are_held_like_gates() -> None:
    open_, other = (Gate(check=HttpCheck(url=f"http://app-01:{port}/"), origin=Origin.CONTROLLER) for port in (80, 81))
    life = Life(prechecks=(open_,), drained=(replace(other, deadline_s=10),))
    one = Bench(State.STOPPED, [node("orders", life=life)], local=MemoryLocal())
    ports = (MemoryPort(port=80, status=200),)
    one.fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING, ports=ports))
    assert (await one.run(Phase.PRECHECK)).outcome is Outcome.OK
    result = await one.run(Phase.DRAINED)
    assert (result.outcome, result.took_s) == (Outcome.FAILED, about(10))
    assert result.problem is not None
    assert result.problem.kind is ProblemKind.GATE
