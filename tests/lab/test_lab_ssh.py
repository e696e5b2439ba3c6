"""The lab's SSH as asyncssh's client sees it: sign-in, channels, shells, forwarding, and what the log tells of them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from virtual_ssh import KEY, PASSWORD, PUBLIC, USER, World, said, signed_in, ssh_lab
from virtual_windows import host, session, states
from virtual_windows import run as run_pipeline

from orchestrator.lab.client import LabError, start

WEB = {"name": "Web", "start_s": 0.05, "stop_s": 0.05}
AUTHORITY = asyncssh.generate_private_key("ssh-ed25519")
BANNER = "Authorised use only.\r\nBerechtigte Größen.\r\n"
Connection = asyncssh.SSHClientConnection


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    hosts = [
        host("cmd-01", WEB, language="de", banner=BANNER),
        host("sh-01", WEB, default_shell="sh"),
        host("few-01", WEB, max_sessions=2),
        host("far-01", WEB, ssh_port=2222),
    ]
    authority = f"cert-authority {AUTHORITY.export_public_key().decode()}"
    keys = [PUBLIC, authority]
    with ssh_lab(tmp_path_factory.mktemp("lab"), *hosts, transports=("http", "ssh"), authorized_keys=keys) as process:
        yield World(process, hosts)


async def nothing(connection: Connection) -> str:
    return str(connection.get_extra_info("username"))


def certificate(principal: str) -> tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    return key, AUTHORITY.generate_user_certificate(key, "anybody", principals=[principal])


@pytest.mark.parametrize("way", ["certificate", "key", "password", "question"])
def test_who_is_known_comes_in(world: World, way: str) -> None:
    given: dict[str, dict[str, Any]] = {
        "certificate": {"client_keys": [certificate(USER)]},
        "key": {"client_keys": [KEY]},
        "password": {"password": PASSWORD, "preferred_auth": "password"},
        "question": {"password": PASSWORD, "preferred_auth": "keyboard-interactive"},
    }
    mark = world.mark()
    assert world.ask(nothing, **given[way]) == USER
    (line,) = world.since(mark, kind="auth")
    method = {"password": "password", "question": "keyboard-interactive"}.get(way, "publickey")
    assert (line["host"], line["wire"], line["user"], line["method"], line["ok"]) == (
        "cmd-01", "ssh", USER, method, True
    )  # fmt: skip


STRANGERS: list[dict[str, Any]] = [
    {"password": "wrong", "preferred_auth": "password"},
    {"username": "nobody", "password": PASSWORD, "preferred_auth": "password"},
    {"client_keys": [asyncssh.generate_private_key("ssh-ed25519")]},
    {"client_keys": [certificate("somebody-else")]},
]


@pytest.mark.parametrize("number", range(len(STRANGERS)), ids=["password", "user", "key", "principal"])
def test_who_is_not_known_stays_outside(world: World, number: int) -> None:
    mark = world.mark()
    before = {each["host"]: each["auth_failures"] for each in world.process.order(op="ps")["hosts"]}
    with pytest.raises(asyncssh.PermissionDenied):
        world.ask(nothing, **STRANGERS[number])
    failed = world.since(mark, kind="auth")
    assert failed
    assert {line["ok"] for line in failed} == {False}
    after = {each["host"]: each["auth_failures"] for each in world.process.order(op="ps")["hosts"]}
    assert after["cmd-01"] == before["cmd-01"] + len(failed)


def test_the_host_key_is_the_one_in_known_hosts(world: World) -> None:
    assert world.ask(nothing, "far-01", port=2222) == USER
    assert str(world.process.known_hosts) == str(world.process.dir / "known_hosts")
    announced = json.loads((world.process.dir / "lab.json").read_text())["known_hosts"]
    assert announced == str(world.process.known_hosts)
    lines = (world.process.dir / "known_hosts").read_text().splitlines()
    address = world.addresses["far-01"]
    assert [line.partition(" ssh-ed25519 AAAA")[0] for line in lines][3] == f"[far-01]:2222,[{address}]:2222"
    assert len(lines) == 4
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    wrong = asyncssh.import_known_hosts(f"{world.addresses['cmd-01']} {other}")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        world.ask(nothing, known_hosts=wrong)


def test_a_banner_is_shown_before_the_sign_in(world: World) -> None:
    banners: list[str] = []

    class Client(asyncssh.SSHClient):
        def auth_banner_received(self, msg: str, lang: str) -> None:
            banners.append(msg)

    world.ask(nothing, client_factory=Client)
    world.ask(nothing, "sh-01", client_factory=Client)
    assert banners == [BANNER]


def test_cmd_is_the_default_shell(world: World) -> None:
    mark = world.mark()
    code, out, errors = world.said('sc.exe qc Web & echo "ü" & call echo %^errorlevel%')
    assert (code, out[-9:], errors) == (0, b'"\x81" \r\n0\r\n', b"")
    assert b"[SC] QueryServiceConfig ERFOLG\r\n\r\nSERVICE_NAME: Web\r\n" in out
    (line,) = world.since(mark, kind="exec")
    assert line["line"] == 'sc.exe qc Web & echo "ü" & call echo %^errorlevel%'
    (asked,) = world.since(mark, kind="command")
    assert (asked["name"], asked["arguments"]) == ("sc.exe", ["qc", "Web"])


def test_the_exit_status_has_32_bits_of_which_asyncssh_shows_8(world: World) -> None:
    mark = world.mark()
    assert world.said("sc.exe query nobody")[0] == 1060 & 0xFF
    assert world.said("lab-exit -1")[0] == 0xFF
    assert world.until(mark, kind="exit", code=1060)
    assert world.until(mark, kind="exit", code=-1)


def test_controls_reach_the_same_services_as_over_winrm(world: World) -> None:
    mark = world.mark()
    assert world.said("sc stop Web")[0] == 0
    world.process.until(kind="state", host="cmd-01", service="Web", to="Stopped")
    with session(world.addresses["cmd-01"]) as pool:
        assert states(run_pipeline(pool, "Get-Service", Name="Web")) == {"Web": "Stopped"}
    assert world.said("sc start Web")[0] == 0
    lines = world.since(mark, kind="control")
    assert [(line["control"], line["outcome"], line["by"]) for line in lines] == [
        ("stop", "accepted", "sc.exe"), ("start", "accepted", "sc.exe")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("lab-exit.exe 0 'a b'", b"a b\r\n"),
        ('cmd.exe /c "echo a & echo b"', b"a \r\nb\r\n"),
        ("cmd.exe /c echo 'a b'", b'"a b"\r\n'),
        ('cmd.exe /c "lab-exit 7 & call echo %^errorlevel%"', b"7\r\n"),
    ],
)
def test_a_posix_shell_reads_the_line_first(world: World, line: str, output: bytes) -> None:
    assert world.said(line, "sh-01") == (0, output, b"")


def test_a_posix_shell_has_its_own_complaints(world: World) -> None:
    assert world.said("nosuch a", "sh-01") == (127, b"", b"sh: nosuch: command not found\n")
    assert world.said("echo 'a", "sh-01")[0] == 2
    assert world.said("hostname; hostname", "sh-01") == (2, b"", b"sh: this shell is a lab's and has no ;\n")


def test_many_channels_share_a_connection_up_to_the_hosts_limit(world: World) -> None:
    mark = world.mark()

    async def many(connection: Connection) -> list[int | None]:
        return [code for code, _, _ in await asyncio.gather(*(said(connection, "hostname") for _ in range(10)))]

    assert world.ask(many) == [0] * 10
    assert len(world.since(mark, kind="channel", ok=True)) == 10
    assert len(world.since(mark, kind="connect")) == 1

    async def three(connection: Connection) -> None:
        world.process.order(op="fault", host="few-01", kind="slow", value=60)
        held = [await connection.create_process("hostname") for _ in range(2)]
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process("hostname")
        for process in held:
            process.close()
            await process.wait_closed()
        world.process.order(op="clear", host="few-01")
        assert (await said(connection, "hostname"))[0] == 0

    world.ask(three, "few-01")
    assert world.since(mark, kind="channel", host="few-01", ok=False)


def test_closing_a_channel_ends_what_runs_there_but_not_what_was_asked(world: World) -> None:
    world.process.order(op="set", host="cmd-01", service="Web", state="Running")
    mark = world.mark()

    async def abandon(connection: Connection) -> None:
        world.process.order(op="fault", host="cmd-01", kind="slow", value=60)
        process = await connection.create_process("sc stop Web")
        world.process.until(kind="control", host="cmd-01", control="stop")
        process.close()
        await process.wait_closed()

    world.ask(abandon)
    world.process.order(op="clear", host="cmd-01")
    assert "code" not in world.until(mark, kind="exit")
    world.process.until(kind="state", host="cmd-01", service="Web", to="Stopped")


def test_it_is_a_jump_host_to_its_own_fleet_alone(world: World) -> None:
    mark = world.mark()

    async def hop(connection: Connection) -> tuple[int | None, bytes, bytes]:
        async with signed_in(world.process, world.addresses["far-01"], port=2222, tunnel=connection) as further:
            return await said(further, "hostname")

    assert world.ask(hop) == (0, b"far-01\r\n", b"")

    async def by_name(connection: Connection) -> bytes:
        reader, writer = await connection.open_connection("sh-01", 22, encoding=None)
        line: bytes = await reader.readline()
        writer.close()
        return line

    assert world.ask(by_name) == b"SSH-2.0-OpenSSH_for_Windows_9.5\r\n"

    async def outside(connection: Connection) -> None:
        await connection.open_connection("127.0.0.99", 22)

    with pytest.raises(asyncssh.ChannelOpenError) as refused:
        world.ask(outside)
    assert refused.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
    tried = [(line["to"], line["port"], line["ok"]) for line in world.since(mark, kind="forward", host="cmd-01")]
    assert tried == [(world.addresses["far-01"], 2222, True), ("sh-01", 22, True), ("127.0.0.99", 22, False)]


def test_there_is_no_shell_without_a_line_and_no_sftp(world: World) -> None:
    async def shell(connection: Connection) -> None:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process()
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.start_sftp_client()

    world.ask(shell)


def test_keepalives_are_answered_while_an_answer_is_awaited(world: World) -> None:
    async def long(connection: Connection) -> int | None:
        world.process.order(op="fault", host="cmd-01", kind="slow", value=1)
        code, _, _ = await said(connection, "hostname")
        world.process.order(op="clear", host="cmd-01")
        return code

    assert world.ask(long, keepalive_interval=0.1, keepalive_count_max=5) == 0


def test_without_ssh_there_is_no_known_hosts(tmp_path: Path) -> None:
    one = host("db-01")
    with start({"dir": str(tmp_path), "hosts": [one]}) as process:
        assert not (process.dir / "known_hosts").exists()


def test_a_key_that_is_none_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match=r"fleet.authorized_keys\[1\]: is no line as sshd reads it"),
        ssh_lab(tmp_path, host("db-01"), authorized_keys=[PUBLIC, "ssh-rsa nonsense"]),
    ):
        pass
