"""PowerShell behind the lab's SSH: as a program, as the default shell, and as a session that reads line by line."""

import asyncio
import base64
from collections.abc import Iterator

import pytest
from virtual_ssh import Connection, World, ssh_lab
from virtual_windows import host

WEB = {"name": "Web", "start_s": 0.05, "stop_s": 0.05}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    hosts = [
        host("cmd-01", WEB),
        host("ps-01", WEB, default_shell="powershell"),
        host("sh-01", WEB, default_shell="sh"),
    ]
    with ssh_lab(tmp_path_factory.mktemp("lab"), *hosts) as process:
        yield World(process, hosts)


def test_a_long_lived_powershell_answers_line_by_line(world: World) -> None:
    async def talk(connection: Connection) -> list[bytes]:
        line = "powershell -NoLogo -NoProfile -NonInteractive -Command -"
        async with connection.create_process(line, encoding=None) as process:
            answers = []
            for asked in (b"(Get-Service Web).Name\n", b"sc.exe queryex Web\n"):
                process.stdin.write(asked)
                answers.append(await asyncio.wait_for(process.stdout.readuntil(b"Web"), 10))
            process.stdin.write_eof()
            await asyncio.wait_for(process.wait(), 10)
            return answers

    first, second = world.ask(talk)
    assert first == b"Web"
    assert second.endswith(b"SERVICE_NAME: Web")


def test_powershell_is_a_program_and_a_default_shell(world: World) -> None:
    assert world.said('powershell -NoProfile -Command "exit 5"')[0] == 5
    encoded = base64.b64encode("exit 6".encode("utf-16-le")).decode()
    assert world.said(f"powershell.exe -EncodedCommand {encoded}", "sh-01")[0] == 6
    assert world.said('cmd.exe /c "powershell -Command (Get-Service Web).Name"') == (0, b"Web\r\n", b"")
    assert world.said('(Get-Service "Web").Name', "ps-01") == (0, b"Web\r\n", b"")


def test_faults_strike_a_line_of_a_session_by_what_it_asks(world: World) -> None:
    world.process.order(
        op="fault", host="cmd-01", kind="drops", value={"when": "after", "verb": "Stop-Service", "count": 1}
    )
    mark = world.mark()

    async def talk(connection: Connection) -> bytes:
        process = await connection.create_process("powershell -Command -", encoding=None)
        process.stdin.write(b"(Get-Service Web).Status\n")
        first: bytes = await asyncio.wait_for(process.stdout.readuntil(b"\n"), 10)
        process.stdin.write(b"Stop-Service Web; (Get-Service Web).Status\n")
        await asyncio.wait_for(connection.wait_closed(), 10)
        return first

    assert world.ask(talk) == b"Running\r\n"
    line = world.until(mark, kind="cut")
    assert (line["action"], line["when"]) == ("line", "after")
    world.until(mark, kind="state", service="Web", to="Stopped")


def test_a_session_has_its_lines_and_its_commands_in_the_log(world: World) -> None:
    mark = world.mark()
    encoded = base64.b64encode("(Get-Service Web).Name".encode("utf-16-le")).decode()
    assert world.said(f"powershell -EncodedCommand {encoded}")[1] == b"Web\r\n"
    names = [line["name"] for line in world.since(mark, kind="command")]
    assert names == ["powershell", "Get-Service"]
