"""The line to one host: commands, long-lived programs, limits, and what is left after something broke."""

import asyncio
import functools
import socket
from pathlib import Path

import pytest
from ssh_server import PASSWORD, Site, Tried, fails, lines_to, loopback, run, serving, until

from orchestrator.adapters.ssh import channel as channels
from orchestrator.domain.errors import HostError, ProtocolError, QuotaExceeded, Unreachable

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def test_a_command_tells_both_outputs_and_all_of_its_status() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            both = await line.run("both", limit_s=LIMIT_S)
            assert (both.stdout, both.stderr, both.status) == (b"out", b"err", 0)
            assert (await line.run("status 1060", limit_s=LIMIT_S)).status == 1060
            assert (await line.run("status 3221225786", limit_s=LIMIT_S)).status == 0xC000013A
            assert (await line.run("nothing", limit_s=LIMIT_S)).status is None
            assert (await line.run("cat", limit_s=LIMIT_S, stdin=b"fed")).stdout == b"fed"
            assert site.connections == 1

    run(main())


def heard(site: Site, piece: bytes) -> bool:
    """Whether *piece* is what the program was told last."""
    return site.inputs["repeat"].endswith(piece)


def test_a_program_is_fed_and_read_piece_by_piece() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            program = await line.open("repeat")
            program.write(b"one;two;thr")
            assert await program.read_until(b";", limit_s=LIMIT_S) == b"one;"
            assert await program.read_until(b";", limit_s=LIMIT_S) == b"two;"
            reading = asyncio.create_task(program.read_until(b"=end=", limit_s=LIMIT_S))
            for piece in (b"ee=", b"e", b"nd", b"=rest"):
                program.write(piece)
                await until(functools.partial(heard, site, piece))
            assert await reading == b"three=end="
            await until(lambda: program.said == b"rest")
            assert line.generation == program.generation != 0
            program.close()
            assert program.closed
            await until(lambda: site.open_sessions == 0)
            with pytest.raises(Unreachable) as raised:
                program.write(b"more")
            assert not raised.value.sent

    run(main())


def test_commands_run_beside_each_other_and_beside_one_that_hangs() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            hanging = asyncio.create_task(line.run("hang", limit_s=LIMIT_S))
            answers = await asyncio.gather(*(line.run(f"echo {number}", limit_s=LIMIT_S) for number in range(8)))
            assert [answer.stdout for answer in answers] == [str(number).encode() for number in range(8)]
            assert site.connections == 1
            hanging.cancel()
            await asyncio.wait([hanging])
            await until(lambda: site.open_sessions == 0)
            assert line.generation == 1

    run(main())


def test_a_command_past_its_limit_was_sent_and_the_connection_stays() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            with pytest.raises(Unreachable, match=r"h: no answer within 0.1 s") as raised:
                await line.run("hang", limit_s=0.1)
            assert raised.value.sent
            assert (await line.run("echo on", limit_s=LIMIT_S)).stdout == b"on"
            assert site.connections == 1
            await until(lambda: site.open_sessions == 0)

    run(main())


def test_a_mute_connection_is_dropped_and_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.adapters.ssh.line.DOUBT_S", 0.1)

    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            await line.run("echo", limit_s=LIMIT_S)
            first = site.live[0]
            first._transport.pause_reading()  # type: ignore[union-attr]  # the host hears nothing from now on
            with pytest.raises(Unreachable) as raised:
                await line.run("echo", limit_s=0.1)
            assert not raised.value.sent
            assert (await line.run("echo on", limit_s=LIMIT_S)).stdout == b"on"
            assert (site.connections, line.generation) == (2, 2)
            first.abort()

    run(main())


def test_a_connection_cut_in_the_middle_of_a_command_is_made_anew() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            program = await line.open("repeat")
            with pytest.raises(Unreachable, match="the connection broke") as raised:
                await line.run("half", limit_s=LIMIT_S)
            assert raised.value.sent
            assert program.closed
            assert isinstance(program.lost, Unreachable)
            with pytest.raises(Unreachable):
                await program.read_until(b"x", limit_s=LIMIT_S)
            assert line.generation == 0
            assert (await line.run("echo on", limit_s=LIMIT_S)).stdout == b"on"
            assert line.generation == 2 != program.generation

    run(main())


def test_a_channel_that_the_host_does_not_open_is_a_quota_and_was_not_sent() -> None:
    async def main() -> None:
        async with serving(most_sessions=1) as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            program = await line.open("hang")
            with pytest.raises(QuotaExceeded, match="open failed") as raised:
                await line.run("echo", limit_s=LIMIT_S)
            assert not raised.value.sent
            assert "MaxSessions" in raised.value.hint
            program.close()
            await until(lambda: site.open_sessions == 0)
            assert (await line.run("echo on", limit_s=LIMIT_S)).stdout == b"on"
            assert site.commands == ["hang", "echo on"]

    run(main())


def test_a_host_that_runs_no_commands_says_so() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            with pytest.raises(HostError, match="refuses to run commands") as raised:
                await lines.line("h").run("refuse", limit_s=LIMIT_S)
            assert not raised.value.sent
            await until(lambda: site.open_sessions == 0)

    run(main())


def test_a_noisy_program_is_not_listened_to_for_ever() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            with pytest.raises(ProtocolError, match="more than 1 MiB"):
                await line.run(f"flood {channels.MOST * 4}", limit_s=LIMIT_S)
            program = await line.open(f"flood {channels.MOST * 4}")
            with pytest.raises(ProtocolError, match="more than 1 MiB"):
                await program.read_until(b"never", limit_s=LIMIT_S)
            assert len(program.said) < channels.MOST * 1.5
            await until(lambda: site.open_sessions == 0)
            fine = await line.run("much 900000", limit_s=LIMIT_S)
            assert len(fine.stdout) == 900_000

    run(main())


def test_cancelled_at_any_moment_a_line_stays_usable() -> None:
    """Each round lets the loop go a few steps further before it cancels: every await of the way is hit by some."""

    async def main() -> None:
        async with serving() as site:
            for steps in [*range(40), *range(40, 400, 12)]:
                async with lines_to(site.way(password=PASSWORD)) as lines:
                    line = lines.line("h")
                    task = asyncio.create_task(line.run("hang", limit_s=LIMIT_S))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    assert (await line.run("echo on", limit_s=LIMIT_S)).stdout == b"on"
            await until(lambda: site.open_sessions == 0 and not site.live)

    run(main())


def test_a_channel_that_opens_too_late_is_closed_again() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            await line.run("echo", limit_s=LIMIT_S)
            for steps in range(12):
                task = asyncio.create_task(line.run("hang", limit_s=LIMIT_S))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await line.run("echo", limit_s=LIMIT_S)
            await until(lambda: site.open_sessions == 0)
            assert site.connections == 1

    run(main())


def test_closing_is_quick_and_may_be_repeated() -> None:
    async def main() -> None:
        async with serving() as site, lines_to(site.way(password=PASSWORD)) as lines:
            line = lines.line("h")
            program = await line.open("hang")
            waiting = asyncio.create_task(program.read_until(b"x", limit_s=LIMIT_S))
            await asyncio.sleep(0)
            await line.aclose()
            await line.aclose()
            with pytest.raises(Unreachable):
                await waiting
            assert line.generation == 0
            await until(lambda: not site.live)

    run(main())


def nowhere() -> Site:
    site = Site(address=loopback())
    with socket.socket() as free:
        free.bind((site.address, 0))
        site.port = free.getsockname()[1]
    return site


def test_a_closed_port_is_unreachable() -> None:
    async def main() -> None:
        site = nowhere()
        async with lines_to(site.way(password=PASSWORD)) as lines:
            error = await fails(lines)
            assert isinstance(error, Unreachable)
            assert f"{site.address}:{site.port}: connection refused" in str(error)
            assert "sshd" in error.hint

    run(main())


@pytest.mark.parametrize(
    ("says", "kind", "text"),
    [
        (b"", Unreachable, "did not finish the SSH handshake"),
        (b"SSH-2.0-slow\r\n", Unreachable, "did not finish the SSH handshake"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 20_000, ProtocolError, "Banner"),
        (b"SSH-1.5-old\r\n", ProtocolError, "Unsupported SSH version"),
        (b"SSH-2.0-bad\r\n" + b"\xff" * 64, HostError, ""),
    ],
    ids=["silence", "stops after its version", "a web server", "SSH 1", "garbage"],
)
def test_what_answers_and_is_no_ssh_server(says: bytes, kind: type[HostError], text: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        await reader.read()
        writer.close()

    async def main() -> None:
        site = Site(address=loopback())
        server = await asyncio.start_server(answer, site.address, 0)
        site.port = server.sockets[0].getsockname()[1]
        credentials = Tried()
        way = site.way(password=PASSWORD, connection_timeout_s=2.0)
        async with server, lines_to(way, credentials=credentials) as lines:
            error = await fails(lines)
            assert isinstance(error, kind), error
            assert text in str(error)
            assert credentials.asked == 0

    run(main())


def test_who_waits_for_a_connection_shares_what_became_of_it() -> None:
    async def main() -> None:
        accepted = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(writer)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(answer, loopback(), 0)
        address, port = server.sockets[0].getsockname()
        way = Site(address=address, port=port).way(password=PASSWORD, connection_timeout_s=2.0)
        async with server, lines_to(way) as lines:
            line = lines.line("h")
            tasks = [asyncio.create_task(line.run("echo", limit_s=LIMIT_S)) for _ in range(5)]
            await until(lambda: accepted)
            tasks[0].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert all(isinstance(one, Unreachable) and not one.sent for one in results[1:])
            assert len(accepted) == 1
            late = asyncio.create_task(line.run("echo", limit_s=LIMIT_S))
            await until(lambda: len(accepted) == 2)
            await line.aclose()
            with pytest.raises(Unreachable):
                await late

    run(main())


def test_lines_before_the_version_are_read_over() -> None:
    async def main() -> None:
        async with serving() as site:

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                there, back = await asyncio.open_connection(site.address, site.port)
                writer.write(b"Authorised use only.\r\n" * 20)

                async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                    while data := await source.read(65536):
                        sink.write(data)
                    sink.close()

                await asyncio.gather(copy(reader, back), copy(there, writer))

            server = await asyncio.start_server(relay, loopback(), 0)
            address, port = server.sockets[0].getsockname()
            async with server:
                async with lines_to(site.way(password=PASSWORD, address=address, port=port)) as lines:
                    assert (await lines.line("h").run("echo on", limit_s=LIMIT_S)).stdout == b"on"
                await until(lambda: not site.live)

    run(main())


def test_silent_hosts_do_not_hold_up_others() -> None:
    """More silent hosts than there are places for handshakes; each gives its place back after a moment."""

    async def main() -> None:
        async with serving() as site:
            mute = socket.socket()
            mute.bind((loopback(), 0))
            mute.listen(200)
            address, port = mute.getsockname()
            silent = [site.way(host=f"s{n}", address=address, port=port, password=PASSWORD) for n in range(150)]
            good = [site.way(host=f"g{n}", password=PASSWORD) for n in range(10)]
            async with lines_to(*silent, *good) as lines:
                stuck = [asyncio.create_task(lines.line(way.host).run("echo", limit_s=LIMIT_S)) for way in silent]
                await asyncio.sleep(0)
                answers = await asyncio.gather(*(lines.line(way.host).run("echo on", limit_s=LIMIT_S) for way in good))
                assert {answer.stdout for answer in answers} == {b"on"}
                assert not any(task.done() for task in stuck)
                for task in stuck:
                    task.cancel()
                await asyncio.wait(stuck)
            mute.close()

    run(main())


def test_the_addresses_that_a_name_was_resolved_to_are_tried_in_order() -> None:
    async def main() -> None:
        async with serving() as site:
            way = site.way(password=PASSWORD, resolved=(loopback(), site.address))
            async with lines_to(way) as lines:
                assert (await lines.line("h").run("echo on", limit_s=LIMIT_S)).stdout == b"on"

    run(main())
