"""Each fault of the lab, set over the control socket, as a client sees it."""

import http.client
import socket
import time
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

import pytest
import requests
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.powershell import RunspacePool
from virtual_windows import command, host, lab, program, run, session, states, wsman

from orchestrator.lab.client import LabError, LabProcess

WEB = {
    "name": "Web",
    "start_s": 0.05,
    "stop_s": 0.05,
    "ports": [{"port": 7080, "speaks": "http", "path": "/health", "body": '{"status":"ok"}'}, {"port": 7443}],
}
BROKEN = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)


class World:
    """A lab of one host, whose faults are cleared before each test."""

    def __init__(self, process: LabProcess, address: str) -> None:
        self.process = process
        self.address = address

    def fault(self, kind: str, value: Any = None, service: str | None = None) -> None:
        self.process.order(op="fault", host="web-01", service=service, kind=kind, value=value)

    def clear(self, service: str | None = None) -> None:
        self.process.order(op="clear", host="web-01", service=service)

    def state(self, wanted: str) -> None:
        self.process.order(op="set", host="web-01", service="Web", state=wanted)

    def now(self) -> str:
        (seen,) = self.process.order(op="ps")["hosts"]
        return str(seen["services"][0]["state"])

    def wait(self, wanted: str) -> None:
        ends_at = time.monotonic() + 10
        while self.now() != wanted:
            assert time.monotonic() < ends_at, f"still {self.now()}, not {wanted}"

    def health(self) -> int:
        connection = http.client.HTTPConnection(self.address, 7080, timeout=5)
        connection.request("GET", "/health")
        status = connection.getresponse().status
        connection.close()
        return status

    def knock(self, port: int) -> bool:
        with socket.socket() as knocking:
            knocking.settimeout(5)
            return knocking.connect_ex((self.address, port)) == 0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    one = host("web-01", WEB)
    with lab(tmp_path_factory.mktemp("lab"), one) as process:
        yield World(process, one["address"])


@pytest.fixture
def world(shared: World) -> World:
    shared.clear()
    shared.state("Running")
    return shared


def control(world: World, name: str) -> list[str]:
    with session(world.address) as pool:
        return [str(error.fq_error).partition(",")[0] for error in run(pool, name, Name="Web").streams.error]


def test_fails_to_start_falls_back_and_says_so_after_a_slice(world: World) -> None:
    world.state("Stopped")
    world.fault("fails-to-start", service="Web")
    assert control(world, "Start-Service") == ["StartServiceFailed"]
    with session(world.address) as pool:
        code, lines = program(pool, "sc.exe", "queryex", "Web")
    assert (code, [line.split()[-2:] for line in lines if "WIN32_EXIT_CODE" in line]) == (0, [["1067", "(0x42b)"]])


@pytest.mark.parametrize("number", [1053, 1069])
def test_some_starts_are_refused_at_once(world: World, number: int) -> None:
    world.state("Stopped")
    world.fault("fails-to-start", number, service="Web")
    assert control(world, "Start-Service") == ["CouldNotStartService"]


@pytest.mark.parametrize(
    ("kind", "before", "verb", "stuck", "after"),
    [
        ("hangs-on-stop", "Running", "stop", "StopPending", "Stopped"),
        ("hangs-on-start", "Stopped", "start", "StartPending", "Running"),
    ],
)
def test_hanging_services_hang_until_cleared(
    world: World, kind: str, before: str, verb: str, stuck: str, after: str
) -> None:
    world.state(before)
    world.fault(kind, service="Web")
    with session(world.address) as pool:
        assert program(pool, "sc.exe", verb, "Web")[0] == 0
        assert states(run(pool, "Get-Service", Name="Web")) == {"Web": stuck}
        assert program(pool, "sc.exe", "stop", "Web")[0] == 1061
    world.clear("Web")
    world.wait(after)


def test_a_crash_closes_the_ports(world: World) -> None:
    assert world.knock(7443)
    world.fault("crashes-after", 0.05, service="Web")
    world.wait("Stopped")
    assert not world.knock(7443)
    assert world.process.log(kind="state", service="Web", why="crashed")


def test_never_healthy_keeps_tcp_shut_and_http_sick(world: World) -> None:
    assert (world.health(), world.knock(7443)) == (200, True)
    world.fault("never-healthy", service="Web")
    assert (world.health(), world.knock(7443)) == (503, False)
    world.clear("Web")
    assert (world.health(), world.knock(7443)) == (200, True)


def test_refusing_services_deny_access(world: World) -> None:
    world.fault("refuses", service="Web")
    assert control(world, "Stop-Service") == ["CouldNotStopService"]
    with session(world.address) as pool:
        code, lines = program(pool, "sc.exe", "stop", "Web")
        assert (code, lines[0]) == (5, "[SC] OpenService FAILED 5:")
        assert "RPWP" not in program(pool, "sc.exe", "sdshow", "Web")[1][1]
        assert states(run(pool, "Get-Service", Name="Web")) == {"Web": "Running"}


def test_missing_services_are_not_there(world: World) -> None:
    world.fault("missing", service="Web")
    assert control(world, "Get-Service") == ["NoServiceFoundForGivenName"]
    with session(world.address) as pool:
        assert program(pool, "sc.exe", "queryex", "Web")[0] == 1060


def test_a_host_that_is_down_refuses_connections_and_drops_the_open_ones(world: World) -> None:
    with wsman(world.address) as connection:
        pool = RunspacePool(connection)
        pool.open()
        shell = command(pool, "Start-Service", Name="Web")
        world.fault("down")
        with pytest.raises(BROKEN):
            shell.invoke()
    assert not world.knock(5985)
    assert not world.knock(7443)
    world.clear()
    with session(world.address) as again:
        assert states(run(again, "Get-Service", Name="Web")) == {"Web": "Running"}
    assert world.knock(7443)


def test_a_slow_host_answers_late(world: World) -> None:
    with session(world.address) as pool:
        world.fault("slow", 0.3)
        began = time.monotonic()
        run(pool, "Get-Service", Name="Web")
        assert time.monotonic() - began > 0.6, "two answers"
        world.clear()


@pytest.mark.parametrize(("when", "acted"), [("before", False), ("during", True), ("after", True)])
def test_a_dropped_connection_before_during_and_after_the_act(world: World, when: str, acted: bool) -> None:
    world.fault("drops", {"when": when, "count": 1, "verb": "Stop-Service"})
    with wsman(world.address) as connection:
        pool = RunspacePool(connection)
        pool.open()
        run(pool, "Get-Service", Name="Web")
        with pytest.raises(BROKEN):
            command(pool, "Stop-Service", Name="Web").begin_invoke()
    with session(world.address) as pool:
        if acted:
            world.wait("Stopped")
        assert states(run(pool, "Get-Service", Name="Web")) == {"Web": "Stopped" if acted else "Running"}
        run(pool, "Stop-Service", Name="Web")
    assert world.process.log(kind="cut", when=when)


def test_a_drop_can_hit_an_action_of_the_wire(world: World) -> None:
    world.fault("drops", {"when": "before", "count": 1, "verb": "create"})
    with wsman(world.address) as connection, pytest.raises(BROKEN):
        RunspacePool(connection).open()
    with session(world.address):
        pass


def test_a_silent_host_stops_in_mid_answer(world: World) -> None:
    with wsman(world.address, read_timeout=5) as connection:
        pool = RunspacePool(connection)
        pool.open()
        world.fault("silent", {"verb": "Command", "count": 1})
        with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
            command(pool, "Get-Service", Name="Web").begin_invoke()


def test_rejected_credentials_are_rejected_until_cleared(world: World) -> None:
    world.fault("rejects-credentials")
    for auth in ("basic", "ntlm"):
        with wsman(world.address, auth=auth) as connection, pytest.raises(AuthenticationError):
            RunspacePool(connection).open()
    assert world.process.order(op="ps")["hosts"][0]["auth_failures"] == 2
    world.clear()
    with session(world.address, auth="ntlm"):
        pass


def test_garbage_is_no_soap_or_half_a_message(world: World) -> None:
    world.fault("garbage")
    with wsman(world.address) as connection, pytest.raises(ParseError):
        RunspacePool(connection).open()
    world.clear()
    with wsman(world.address) as connection:
        pool = RunspacePool(connection)
        pool.open()
        world.fault("garbage", "clixml")
        shell = command(pool, "Get-Service", Name="Web")
        with pytest.raises(AttributeError):  # pypsrp takes the half state message for a text
            shell.invoke()
        assert isinstance(shell.output[0] if shell.output else "", str)


def test_a_quota_fault_has_windows_own_number(world: World) -> None:
    world.fault("quota")
    with wsman(world.address) as connection, pytest.raises(WSManFaultError) as fault:
        RunspacePool(connection).open()
    assert fault.value.code == 2150859173


def test_a_shell_may_have_so_many_commands_in_its_life(world: World) -> None:
    world.fault("quota", 2)
    with session(world.address) as pool:
        for _ in range(2):
            with command(pool, "Get-Service", Name="Web") as shell:
                shell.invoke()
        with pytest.raises(WSManFaultError, match="maximum number of concurrent commands per shell") as fault:
            run(pool, "Get-Service", Name="Web")
        assert fault.value.code == "w:InternalError", "this fault has no number"
    with session(world.address) as pool:
        assert states(run(pool, "Get-Service", Name="Web")) == {"Web": "Running"}


ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"op": "fly"}, "unknown op 'fly'; known: clear, down, fault, kill, ps, reboot, set, trigger"),
    ({"op": "fault", "host": "nowhere", "kind": "down"}, "unknown host 'nowhere'; known: web-01"),
    ({"op": "fault", "host": "web-01", "kind": "sulks"}, "unknown kind 'sulks' for a host; known: down, drops"),
    ({"op": "fault", "host": "web-01", "service": "Web", "kind": "down"}, "unknown kind 'down' for a service"),
    ({"op": "fault", "host": "web-01", "service": "X", "kind": "refuses"}, "unknown service 'X' on web-01; known: Web"),
    ({"op": "fault", "host": "web-01", "kind": "drops", "value": "sideways"}, "'sideways' is not one of before"),
    ({"op": "fault", "host": "web-01", "kind": "slow", "value": "very"}, "slow: expected a number, got 'very'"),
    ({"op": "set", "host": "web-01", "service": "Web", "state": "up"}, "unknown state 'up'; known: Stopped"),
    ({"op": "clear", "service": "Web"}, "name its host too"),
    ({"op": "set", "host": "web-01", "service": "X", "state": "Running"}, "unknown service 'X'"),
]


@pytest.mark.parametrize(("order", "said"), ORDERS, ids=[said for _, said in ORDERS])
def test_a_wrong_order_is_answered_with_what_is_known(world: World, order: dict[str, Any], said: str) -> None:
    with pytest.raises(LabError) as refused:
        world.process.order(**order)
    assert said in str(refused.value)


def test_faults_and_states_are_shown(world: World) -> None:
    world.fault("drops", {"when": "after", "count": 2, "verb": "Stop-Service"})
    world.fault("refuses", service="Web")
    (shown,) = world.process.order(op="ps")["hosts"]
    assert shown["faults"] == {"drops": {"how": "after", "verb": "Stop-Service", "left": 2}}
    assert shown["services"][0] | {"pid": 0} == {
        "name": "Web", "state": "Running", "start_type": "Automatic", "pid": 0, "faults": {"refuses": True},
        "left": [], "children": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01", b"POST\r\n\r\n", b"POST /wsman HTTP/1.1\r\nContent-Length: -5\r\n\r\n"]
)
def test_who_does_not_speak_http_is_turned_away(world: World, junk: bytes) -> None:
    with socket.create_connection((world.address, 5985), timeout=5) as connection:
        connection.sendall(junk)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_what_is_not_wsman_is_not_found(world: World) -> None:
    with wsman(world.address, path="other") as connection, pytest.raises(WinRMTransportError) as refused:
        RunspacePool(connection).open()
    assert refused.value.code == 404
