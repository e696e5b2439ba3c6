"""Two ways to a host: the first that works is kept, the next is tried visibly, and nothing is asked twice."""

import asyncio
from dataclasses import dataclass

import pytest
from virtual_time import in_virtual_time

from orchestrator.adapters.either import FALLS_OVER, EitherHosts
from orchestrator.adapters.memory.fleet import Fault, MemoryFleet, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts, MemoryLink
from orchestrator.domain.connection import Transport
from orchestrator.domain.errors import (
    AuthRejected,
    HostError,
    ProblemKind,
    ProtocolError,
    QuotaExceeded,
    Unreachable,
    Untrusted,
)
from orchestrator.domain.service import Asked, Control, Reading, State
from orchestrator.engine.ports import HostServices

WEB = [Asked("Web")]
BEFORE_ASKING = (Fault.UNREACHABLE, Fault.CUT_BEFORE, Fault.QUOTA)
AFTER_ASKING = (Fault.CUT_DURING, Fault.CUT_AFTER, Fault.SILENT, Fault.GARBAGE)


@dataclass
class Two:
    """One host, `app-01`, with one service, in two fleets that stand for two wires."""

    psrp: MemoryFleet
    ssh: MemoryFleet
    hosts: EitherHosts

    @property
    def app(self) -> HostServices:
        return self.hosts.services("app-01")

    @property
    def detour(self) -> str:
        return self.hosts.detour("app-01")

    def asked(self) -> tuple[int, int]:
        """How many exchanges each way had."""
        return self.psrp.exchanges.total(), self.ssh.exchanges.total()


def two(**behaviour: float) -> Two:
    psrp, ssh = MemoryFleet(), MemoryFleet()
    host = psrp.add("app-01", MemoryService(name="Web", state=State.RUNNING, **behaviour))  # type: ignore[arg-type] # seconds
    ssh.add("app-01").services = host.services
    psrp.add("db-01", MemoryService(name="Sql"))
    wires = [("psrp", MemoryHosts(psrp)), ("ssh", MemoryHosts(ssh))]
    return Two(psrp, ssh, EitherHosts({"app-01": wires, "db-01": wires[:1]}))


async def state(services: HostServices) -> State:
    (reading,) = await services.read(WEB)
    return reading.found[0].state


@in_virtual_time
async def test_a_host_with_one_way_is_handed_through() -> None:
    both = two()
    assert isinstance(both.hosts.services("db-01"), MemoryLink)
    assert isinstance(both.hosts.command("db-01"), MemoryLink)
    assert both.hosts.detour("db-01") == ""
    with pytest.raises(KeyError):
        both.hosts.services("nobody")


@in_virtual_time
async def test_the_first_way_is_used_as_long_as_it_works() -> None:
    both = two()
    assert both.detour == ""
    assert await state(both.app) is State.RUNNING
    assert both.asked() == (1, 0)
    assert both.detour == ""
    assert both.app is both.hosts.services("app-01")


@pytest.mark.parametrize("fault", BEFORE_ASKING)
@in_virtual_time
async def test_what_fails_before_anything_was_asked_falls_over_and_stays(fault: Fault) -> None:
    both = two()
    both.psrp.fault("app-01", fault)
    assert await state(both.app) is State.RUNNING
    assert both.detour.startswith("ssh; psrp failed: ")
    assert await state(both.app) is State.RUNNING
    assert both.asked() == (1, 2)


@pytest.mark.parametrize("fault", AFTER_ASKING)
@in_virtual_time
async def test_what_may_have_been_asked_is_not_asked_on_another_way(fault: Fault) -> None:
    both = two()
    both.psrp.fault("app-01", fault)
    with pytest.raises(HostError) as caught:
        await both.app.read(WEB)
    assert caught.value.sent
    assert both.asked() == (1, 0)
    assert both.detour == ""


@in_virtual_time
async def test_rejected_credentials_are_not_tried_on_another_way() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.AUTH)
    with pytest.raises(AuthRejected, match=r"^app-01: by psrp: the credentials were rejected$"):
        await both.app.read(WEB)
    assert both.asked() == (1, 0)


@in_virtual_time
async def test_an_error_names_the_way_that_gave_it_and_what_the_one_before_said() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.UNREACHABLE, times=None)
    both.ssh.fault("app-01", Fault.GARBAGE, times=None)
    said = r"^app-01: by ssh: .+ \(psrp failed: connection refused\)$"
    for _ in range(2):  # found anew, and kept
        with pytest.raises(ProtocolError, match=said) as caught:
            await both.app.read(WEB)
        assert caught.value.sent
    assert both.asked() == (1, 2)


@in_virtual_time
async def test_several_ways_lead_over_no_single_wire() -> None:
    both = two()
    assert both.hosts.transport("db-01") is Transport.PSRP
    assert both.hosts.transport("app-01") is None


@in_virtual_time
async def test_all_ways_that_fail_are_named_with_their_reason() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.UNREACHABLE)
    both.ssh.fault("app-01", Fault.QUOTA)
    with pytest.raises(Unreachable, match=r"^app-01: psrp: connection refused; ssh: too many shells$") as caught:
        await both.app.read(WEB)
    assert (caught.value.sent, caught.value.problem.kind) == (False, ProblemKind.UNREACHABLE)
    assert both.detour == ""


@in_virtual_time
async def test_a_second_way_that_rejects_the_credentials_ends_it() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.UNREACHABLE, times=None)
    both.ssh.fault("app-01", Fault.AUTH)
    with pytest.raises(AuthRejected, match="psrp: connection refused; ssh: the credentials were rejected"):
        await both.app.read(WEB)


class _Failing(MemoryLink):
    """Fails every read with what it is given."""

    def __init__(self, error: HostError) -> None:
        fleet = MemoryFleet()
        super().__init__(fleet, fleet.add("app-01"))
        self.error = error

    async def read(self, asked: object) -> list[Reading]:
        raise self.error


class _FailingHosts(MemoryHosts):
    def __init__(self, error: HostError) -> None:
        super().__init__(MemoryFleet())
        self._links["app-01"] = _Failing(error)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (Untrusted("app-01", "x", hint="a"), Unreachable("app-01", "y", hint="b"), Unreachable),
        (Untrusted("app-01", "x", hint="a"), Untrusted("app-01", "y", hint="b"), Untrusted),
        (QuotaExceeded("app-01", "x", hint="a"), Untrusted("app-01", "y", hint="b"), QuotaExceeded),
        (ProtocolError("app-01", "x", hint="a"), HostError("app-01", "y", hint="b"), HostError),
        (Unreachable("app-01", "x", hint="a"), AuthRejected("app-01", "y", hint="b"), AuthRejected),
    ],
)
@in_virtual_time
async def test_the_error_of_all_ways_may_be_tried_again_if_one_of_theirs_may(
    first: HostError, second: HostError, kind: type[HostError]
) -> None:
    hosts = EitherHosts({"app-01": [("one", _FailingHosts(first)), ("two", _FailingHosts(second))]})
    with pytest.raises(HostError) as caught:
        await hosts.services("app-01").read(WEB)
    assert (type(caught.value), str(caught.value), caught.value.hint) == (kind, "app-01: one: x; two: y", "a; b")


@pytest.mark.parametrize("kind", [HostError, AuthRejected])
@in_virtual_time
async def test_what_does_not_fall_over_keeps_its_kind_and_its_hint(kind: type[HostError]) -> None:
    assert kind not in FALLS_OVER
    error = kind("app-01", "x", hint="a")
    both = two()
    hosts = EitherHosts({"app-01": [("one", _FailingHosts(error)), ("two", MemoryHosts(both.ssh))]})
    with pytest.raises(kind) as caught:
        await hosts.services("app-01").read(WEB)
    assert (type(caught.value), str(caught.value), caught.value.hint) == (kind, "app-01: by one: x", "a")


@in_virtual_time
async def test_a_kept_way_that_breaks_hands_over_to_the_others_again() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.UNREACHABLE)
    await both.app.read(WEB)
    assert both.detour == "ssh; psrp failed: connection refused"
    both.ssh.fault("app-01", Fault.CUT_BEFORE)
    await both.app.read(WEB)
    assert both.detour == ""
    assert both.asked() == (2, 2)
    both.psrp.fault("app-01", Fault.CUT_BEFORE)
    await both.app.read(WEB)
    assert both.detour == "ssh; psrp failed: the connection broke before the request was sent"


@in_virtual_time
async def test_a_second_way_that_may_have_asked_is_the_one_that_is_kept() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.UNREACHABLE)
    both.ssh.fault("app-01", Fault.CUT_AFTER)
    with pytest.raises(Unreachable, match="the connection broke"):
        await both.app.read(WEB)
    assert both.detour == "ssh; psrp failed: connection refused"


@in_virtual_time
async def test_a_control_falls_over_only_if_it_was_not_sent() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.CUT_BEFORE, on=("stop",))
    await both.app.request("Web", Control.STOP)
    assert (both.psrp.asked, both.ssh.asked) == (["stop Web@app-01"], ["stop Web@app-01"])
    assert (await both.app.answer("WEB")).ended
    assert await state(both.app) is State.STOPPED


@in_virtual_time
async def test_a_control_whose_answer_was_lost_is_never_repeated() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.CUT_AFTER, on=("stop",))
    with pytest.raises(Unreachable) as caught:
        await both.app.request("Web", Control.STOP)
    assert caught.value.sent
    assert both.ssh.asked == []
    assert await state(both.app) is State.STOPPED


@in_virtual_time
async def test_the_answer_comes_by_the_way_that_took_the_control() -> None:
    both = two(stop_s=60.0)
    await both.app.request("Web", Control.STOP)
    both.psrp.fault("app-01", Fault.QUOTA, on=("read",))  # which leaves the session as it is
    assert await state(both.app) is State.STOP_PENDING
    assert both.detour
    assert not (await both.app.answer("Web")).ended
    await asyncio.sleep(61)
    assert (await both.app.answer("Web")).ended
    assert both.psrp.exchanges["app-01", "answer"] == 2
    assert both.ssh.exchanges["app-01", "answer"] == 0


@in_virtual_time
async def test_a_session_that_took_a_control_and_was_lost_says_so() -> None:
    both = two(stop_s=60.0)
    await both.app.request("Web", Control.STOP)
    both.psrp.fault("app-01", Fault.UNREACHABLE, on=("read",))
    await both.app.read(WEB)
    both.psrp.fault("app-01", Fault.CUT_BEFORE, on=("answer",))
    answer = await both.app.answer("Web")
    assert answer.ended
    assert answer.problem is not None
    assert answer.problem.kind is ProblemKind.UNREACHABLE


@in_virtual_time
async def test_a_control_that_no_way_took_leaves_the_one_before_to_its_answer() -> None:
    both = two(stop_s=60.0)
    await both.app.request("Web", Control.STOP)
    for fleet in (both.psrp, both.ssh):
        fleet.fault("app-01", Fault.QUOTA, on=("start",))
    with pytest.raises(QuotaExceeded):
        await both.app.request("Web", Control.START)
    assert not (await both.app.answer("Web")).ended
    assert both.psrp.exchanges["app-01", "answer"] == 1


@in_virtual_time
async def test_a_control_that_is_cancelled_has_its_answer_where_it_was_sent() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.UNREACHABLE)
    await both.app.read(WEB)
    both.ssh.hosts["app-01"].latency_s = 5.0
    asking = asyncio.create_task(both.app.request("Web", Control.STOP))
    await asyncio.sleep(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    both.psrp.fault("app-01", Fault.UNREACHABLE, times=None)
    assert (await both.app.answer("Web")).ended
    assert both.asked()[0] == 1
    assert await state(both.app) is State.RUNNING


@in_virtual_time
async def test_a_search_that_is_cancelled_keeps_nothing() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.SILENT)
    looking = asyncio.create_task(both.app.read(WEB))
    await asyncio.sleep(1)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert both.detour == ""
    assert await state(both.app) is State.RUNNING
    assert both.ssh.exchanges.total() == 0


@in_virtual_time
async def test_reads_and_controls_beside_each_other_agree_on_a_way() -> None:
    both = two()
    both.psrp.fault("app-01", Fault.UNREACHABLE, times=None)
    await asyncio.gather(both.app.read(WEB), both.app.request("Web", Control.STOP))
    assert both.ssh.asked == ["stop Web@app-01"]
    assert both.detour == "ssh; psrp failed: connection refused"


@in_virtual_time
async def test_everything_else_falls_over_too() -> None:
    for exchange in ("facts", "security", "run"):
        both = two()
        both.psrp.fault("app-01", Fault.UNREACHABLE, on=(exchange,))
        command = both.hosts.command("app-01")
        if exchange == "facts":
            assert (await both.app.facts()).transport == "memory"
        elif exchange == "security":
            assert await both.app.security(["Web"])
        else:
            assert "LISTENING" in (await command.run("netstat.exe", (), timeout_s=5)).output
        assert both.detour == "ssh; psrp failed: connection refused"


@in_virtual_time
async def test_closing_closes_every_way_once() -> None:
    both = two(stop_s=60.0)
    await both.app.request("Web", Control.STOP)
    await both.app.aclose()
    assert (await both.app.answer("Web")).ended
    await both.hosts.aclose()
    await both.hosts.aclose()
