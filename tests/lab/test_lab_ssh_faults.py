"""The faults of a host as an SSH client sees them."""

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest
from virtual_ssh import Connection, World, said, signed_in, ssh_lab
from virtual_windows import host

SERVICES: list[dict[str, Any]] = [
    {"name": "Web", "start_s": 0.05, "stop_s": 0.05},
    {"name": "Größe", "display_name": "Ä Ö Ü"},
]
BROKEN = (asyncssh.DisconnectError, asyncssh.ChannelOpenError, OSError)
LIMIT_S = 10


class Faulty(World):
    """A lab of one host."""

    def fault(self, kind: str, value: Any = None, service: str | None = None) -> None:
        self.process.order(op="fault", host="web-01", service=service, kind=kind, value=value)

    def clear(self) -> None:
        self.process.order(op="clear")
        self.process.order(op="set", host="web-01", service="Web", state="Running")

    def state(self) -> str:
        (seen,) = self.process.order(op="ps")["hosts"]
        return str(next(each["state"] for each in seen["services"] if each["name"] == "Web"))

    def settled(self) -> str:
        """The state of the service once it is no pending one."""
        ends_at = time.monotonic() + LIMIT_S
        while (state := self.state()).endswith("Pending"):
            assert time.monotonic() < ends_at, state
        return state


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    hosts = [host("web-01", *SERVICES, language="de")]
    with ssh_lab(tmp_path_factory.mktemp("lab"), *hosts) as process:
        yield Faulty(process, hosts)


@pytest.fixture
def world(shared: Faulty) -> Faulty:
    shared.clear()
    return shared


async def heard(connection: Connection, line: str) -> tuple[int | None, bytes]:
    """Exit status and output until the channel or the connection ends, whichever comes first."""
    async with asyncio.timeout(LIMIT_S):
        process = await connection.create_process(line, encoding=None)
        out = b""
        try:
            while part := await process.stdout.read(4096):
                out += part
        except BROKEN:
            pass
        return process.exit_status, out


def test_a_host_that_is_down_refuses_connections_and_drops_the_open_ones(world: Faulty) -> None:
    async def fall(connection: Connection) -> None:
        assert (await said(connection, "hostname"))[0] == 0
        world.fault("down")
        await asyncio.wait_for(connection.wait_closed(), LIMIT_S)

    world.ask(fall)
    with socket.socket() as knocking:
        assert knocking.connect_ex((world.addresses["web-01"], 22)) != 0
    world.clear()
    assert world.said("hostname")[0] == 0


def test_a_slow_host_is_slow_to_let_in_and_to_answer(world: Faulty) -> None:
    world.fault("slow", 0.3)
    began = time.monotonic()
    assert world.said("hostname")[1] == b"web-01\r\n"
    assert time.monotonic() - began > 0.6


@pytest.mark.parametrize(("when", "state"), [("before", "Running"), ("during", "Stopped"), ("after", "Stopped")])
def test_a_connection_drops_before_during_or_after_the_act(world: Faulty, when: str, state: str) -> None:
    world.fault("drops", {"when": when, "count": 1, "verb": "stop"})
    mark = world.mark()

    async def stop(connection: Connection) -> tuple[int | None, bytes]:
        assert (await said(connection, "sc queryex Web & sc config Web start= auto"))[0] == 0, "other verbs are spared"
        return await heard(connection, "sc stop Web")

    code, out = world.ask(stop)
    assert code is None
    assert bool(out) == (when == "during")
    assert b"SERVICE_EXITCODE" not in out, "cut before its end"
    assert world.settled() == state
    line = world.until(mark, kind="cut")
    assert (line["when"], line["action"], line["wire"]) == (when, "exec", "ssh")
    assert world.said("sc query Web")[0] == 0, "the count is used up"


def test_a_drop_cuts_a_letter_of_several_bytes_in_two(world: Faulty) -> None:
    world.fault("drops", {"when": "during", "count": 1, "verb": "sc.exe"})
    code, out = world.ask(lambda connection: heard(connection, "chcp 65001 >nul & sc.exe queryex state= all"))
    assert code is None
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        out.decode()


def test_a_silent_host_stops_in_mid_answer_and_says_nothing_any_more(world: Faulty) -> None:
    world.fault("silent", {"verb": "queryex", "count": 1})

    async def ask(connection: Connection) -> None:
        process = await connection.create_process("sc queryex Web", encoding=None)
        out = await asyncio.wait_for(process.stdout.read(4096), LIMIT_S)
        assert b"SERVICE_NAME: Web" in out
        assert b"MARKIERUNGEN" not in out
        await asyncio.wait_for(connection.wait_closed(), LIMIT_S)

    mark = world.mark()
    began = time.monotonic()
    world.ask(ask, keepalive_interval=0.2, keepalive_count_max=2)
    assert time.monotonic() - began > 0.4, "it was keepalive that found out"
    assert world.until(mark, kind="cut")["when"] == "silent"
    assert world.said("sc queryex Web")[0] == 0


def test_a_host_may_be_silent_from_the_first_word(world: Faulty) -> None:
    world.fault("silent", {"verb": "connect"})
    with pytest.raises(asyncssh.ConnectionLost, match="Login timeout expired"):
        world.ask(lambda connection: said(connection, "hostname"), login_timeout=1)


def test_a_connection_may_drop_or_speak_no_ssh_before_anybody_signs_in(world: Faulty) -> None:
    for kind in ("drops", "garbage"):
        world.fault(kind, {"verb": "connect", "count": 1})
        mark = world.mark()
        with pytest.raises((asyncssh.DisconnectError, OSError)):
            world.said("hostname")
        assert world.until(mark, kind="disconnect")
        assert not world.since(mark, kind="auth")
    assert world.said("hostname")[0] == 0


def test_rejected_credentials_are_rejected_until_cleared(world: Faulty) -> None:
    before = world.process.order(op="ps")["hosts"][0]["auth_failures"]
    world.fault("rejects-credentials")
    with pytest.raises(asyncssh.PermissionDenied):
        world.said("hostname")
    assert world.process.order(op="ps")["hosts"][0]["auth_failures"] > before
    world.clear()
    assert world.said("hostname")[0] == 0


def test_garbage_is_noise_in_the_answer_or_half_of_it(world: Faulty) -> None:
    clean = world.said("sc query Web")[1]
    world.fault("garbage", {"verb": "sc", "count": 1})
    noisy = world.said("sc query Web")[1]
    assert noisy.endswith(clean[-40:])
    assert b"this is no answer" in noisy
    assert clean[:40] not in noisy
    world.fault("garbage", {"what": "clixml", "count": 1})
    half = world.said("sc query Web")[1]
    assert clean.startswith(half)
    assert 0 < len(half) < len(clean)
    assert world.said("sc query Web")[1] == clean


def test_a_quota_refuses_further_channels(world: Faulty) -> None:
    world.fault("quota", 2)

    async def three(connection: Connection) -> None:
        for _ in range(2):
            assert (await said(connection, "hostname"))[0] == 0
        with pytest.raises(asyncssh.ChannelOpenError) as refused:
            await said(connection, "hostname")
        assert (refused.value.code, refused.value.reason) == (asyncssh.OPEN_RESOURCE_SHORTAGE, "open failed")

    world.ask(three)
    world.ask(three)
    world.fault("quota")
    with pytest.raises(asyncssh.ChannelOpenError):
        world.said("hostname")


def test_a_service_s_own_faults_come_with_it(world: Faulty) -> None:
    world.fault("refuses", service="Web")
    assert world.said("sc stop Web & call echo %^errorlevel%")[1].endswith(b"Zugriff verweigert.\r\n\r\n5\r\n")
    world.clear()
    world.fault("hangs-on-stop", service="Web")
    assert b": 3  STOP_PENDING" in world.said("sc stop Web")[1]
    assert world.said("sc stop Web")[0] == 1061 & 0xFF
    world.process.order(op="clear")
    assert world.settled() == "Stopped"
    world.fault("fails-to-start", service="Web")
    assert world.said("sc start Web")[0] == 0
    assert world.settled() == "Stopped"
    assert b": 1067  (0x42b)" in world.said("sc queryex Web")[1]


def test_both_ends_of_a_dropped_connection_are_in_the_log(world: Faulty) -> None:
    mark = world.mark()
    world.ask(lambda connection: said(connection, "hostname"))
    world.until(mark, kind="disconnect")
    story = [line["kind"] for line in world.since(mark)]
    assert story == ["connect", "auth", "channel", "exec", "command", "exit", "disconnect"]
    assert {line["connection"] for line in world.since(mark) if "connection" in line} == {
        world.since(mark)[0]["connection"]
    }


def test_a_client_that_leaves_in_mid_handshake_is_forgotten(world: Faulty) -> None:
    mark = world.mark()
    with socket.create_connection((world.addresses["web-01"], 22), timeout=5) as knocking:
        assert knocking.recv(100).startswith(b"SSH-2.0-")
        knocking.sendall(b"GET / HTTP/1.1\r\n\r\n")
    world.until(mark, kind="disconnect")

    async def again() -> None:
        async with signed_in(world.process, world.addresses["web-01"]):
            pass

    asyncio.run(again())
