"""The Probe port: one suite for the probe that connects and for its twin, and what only real sockets can show."""

import asyncio
import datetime
import functools
import gzip
import ipaddress
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest
from controller_side import LOST, TOKEN, on_a_loop, reveal
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from loopback import fresh_address

from orchestrator.adapters.memory.fleet import MemoryFleet, MemoryPort, MemoryService
from orchestrator.adapters.memory.probes import MemoryProbe
from orchestrator.adapters.probe import ControllerProbe
from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.service import State
from orchestrator.engine.ports import Probe, Seen

BODY = '{"status": "UP"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + BODY.encode()


Speaker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(speak: Speaker, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int]]:
    """A server on a loopback address of its own; each connection is spoken to by *speak* and then closed."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            try:
                await speak(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    host = fresh_address()
    server = await asyncio.start_server(one, host, 0, ssl=tls)
    try:
        yield host, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def answering(answer: bytes, heard: list[bytes] | None = None) -> Speaker:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if heard is not None:
                heard.append(head)
            writer.write(answer)
            await writer.drain()

    return speak


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


class World(Protocol):
    """Somewhere to probe: `up` serves BODY with status 200, nothing listens at `down`."""

    probe: Probe
    up: tuple[str, int]
    down: tuple[str, int]


class RealWorld:
    def __init__(self, up: tuple[str, int]) -> None:
        self.probe: Probe = ControllerProbe(reveal)
        self.up = up
        with socket.socket() as taken:
            taken.bind((fresh_address(), 0))
            self.down: tuple[str, int] = taken.getsockname()


class MemoryWorld:
    up = ("app-01", 8080)
    down = ("app-01", 1)

    def __init__(self) -> None:
        fleet = MemoryFleet()
        port = MemoryPort(port=8080, status=200, body=BODY)
        fleet.add("app-01", MemoryService(name="orders", state=State.RUNNING, ports=(port,)))
        self.probe: Probe = MemoryProbe(fleet)


@asynccontextmanager
async def world(kind: str) -> AsyncIterator[World]:
    if kind == "memory":
        yield MemoryWorld()
        return
    async with serving(answering(OK)) as up:
        made = RealWorld(up)
        yield made
        assert isinstance(made.probe, ControllerProbe)
        await made.probe.aclose()
        await made.probe.aclose()


BOTH = pytest.mark.parametrize("kind", ["memory", "real"])


@BOTH
@on_a_loop
async def test_tcp_tells_open_from_closed(kind: str) -> None:
    async with world(kind) as there:
        assert await there.probe.tcp(*there.up, timeout_s=5) == Seen(True, "connected")
        assert await there.probe.tcp(*there.down, timeout_s=5) == Seen(False, "connection refused", answered=True)


@BOTH
@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ({}, True),
        ({"text": "UP", "regex": '"status": "U'}, True),
        ({"status": (200, 204)}, True),
        ({"status": (204,)}, False),
        ({"text": "DOWN"}, False),
        ({"regex": "^UP$"}, False),
    ],
    ids=str,
)
@on_a_loop
async def test_http_tells_the_wanted_answer_from_others(kind: str, wanted: dict[str, Any], held: bool) -> None:
    async with world(kind) as there:
        seen = await there.probe.http(HttpCheck(url="http://{}:{}/".format(*there.up), **wanted), timeout_s=5)
        assert (seen.held, seen.answered, seen.lost) == (held, not held, False)
        assert seen.saw.startswith("status 200")


@BOTH
@on_a_loop
async def test_http_where_nothing_listens(kind: str) -> None:
    async with world(kind) as there:
        seen = await there.probe.http(HttpCheck(url="http://{}:{}/".format(*there.down)), timeout_s=5)
        assert seen == Seen(False, "connection refused")


@asynccontextmanager
async def probing() -> AsyncIterator[ControllerProbe]:
    probe = ControllerProbe(reveal)
    try:
        yield probe
    finally:
        await probe.aclose()


async def asked(answer: bytes, timeout_s: float = 5.0, **wanted: Any) -> Seen:
    """What an HTTP gate sees of a server that says *answer*."""
    async with probing() as probe, serving(answering(answer)) as (host, port):
        return await probe.http(HttpCheck(url=f"http://{host}:{port}/health", **wanted), timeout_s=timeout_s)


@on_a_loop
async def test_a_filtered_port_is_told_from_a_closed_one() -> None:
    # A listener whose queue is full drops what comes, as a firewall does.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind((fresh_address(), 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(full.getsockname())
        async with probing() as probe:
            seen = await probe.tcp(*full.getsockname(), timeout_s=0.2)
    assert seen == Seen(False, "no answer within 0.2 s (filtered, or the host is down)")


@pytest.mark.parametrize(("host", "port"), [("a" * 64, 80), ("", 0), ("127.0.0.1", 70_000), (LOST, 80)])
@on_a_loop
async def test_what_can_t_be_connected_to_is_seen_not_raised(host: str, port: int) -> None:
    async with probing() as probe:
        seen = await probe.tcp(host, port, timeout_s=5)
    assert not seen.held
    assert seen.saw


@on_a_loop
async def test_http_that_never_answers_is_left_in_time() -> None:
    async with probing() as probe, serving(silent) as (host, port):
        seen = await probe.http(HttpCheck(url=f"http://{host}:{port}/"), timeout_s=0.2)
    assert seen == Seen(False, "no whole answer within 0.2 s", lost=True)


async def broken_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()


@on_a_loop
async def test_an_answer_that_breaks_off_is_lost() -> None:
    async with probing() as probe, serving(broken_off) as (host, port):
        seen = await probe.http(HttpCheck(url=f"http://{host}:{port}/", method="POST"), timeout_s=5)
    assert (seen.held, seen.lost, seen.answered) == (False, True, False), seen.saw


@on_a_loop
async def test_http_whose_body_never_ends_is_left_in_time_or_at_the_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"
    assert await asked(head + b"UP" + b"x" * 100_000, text="UP") == Seen(True, "status 200")

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"UP")
        await reader.read()

    async with probing() as probe, serving(trickle) as (host, port):
        seen = await probe.http(HttpCheck(url=f"http://{host}:{port}/"), timeout_s=0.2)
    assert not seen.held


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nUP",
        b"\0" * 999,
    ],
)
@on_a_loop
async def test_garbage_and_half_answers_are_a_no(answer: bytes) -> None:
    seen = await asked(answer)
    assert not seen.held
    assert seen.saw


@on_a_loop
async def test_redirects_are_answers() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert await asked(moved) == Seen(False, "status 302, wanted 200", answered=True, status=302)
    assert await asked(moved, status=(302,)) == Seen(True, "status 302")


@on_a_loop
async def test_a_compressed_answer_is_not_blown_up() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    assert await asked(head + bomb) == Seen(True, "status 200")


@pytest.mark.parametrize("charset", ["iso-8859-1", "no-such-charset"])
@on_a_loop
async def test_bodies_are_decoded_as_they_say_or_as_utf_8(charset: str) -> None:
    body = "läuft".encode("iso-8859-1" if charset == "iso-8859-1" else "utf-8")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset={charset}\r\nContent-Length: {len(body)}\r\n\r\n"
    assert (await asked(head.encode() + body, text="läuft")).held


@on_a_loop
async def test_secrets_are_used_and_never_seen() -> None:
    heard: list[bytes] = []
    async with probing() as probe, serving(answering(OK, heard)) as (host, port):
        url = f"http://{host}:{port}/?key={TOKEN}"
        check = HttpCheck(url=url, method="POST", headers=(("X-Token", TOKEN),), text=TOKEN)
        seen = await probe.http(check, timeout_s=5)
    assert seen == Seen(False, "status 200, but it does not hold <secret env:TOKEN>", answered=True, status=200)
    assert heard[0].startswith(b"POST /?key=hunter2 HTTP/1.1\r\n")
    assert b"X-Token: hunter2\r\n" in heard[0]


@pytest.mark.parametrize(
    "check",
    [
        HttpCheck(url="http://127.0.0.1:1/", headers=(("X", f"a\r\nb{TOKEN}"),)),
        HttpCheck(url="http://127.0.0.1:1/", headers=(("X", f"☃{TOKEN}"),)),
        HttpCheck(url=f"http://127.0.0.1:{TOKEN}/"),
        HttpCheck(url=f"nothing://{TOKEN}"),
        HttpCheck(url=TOKEN),
        HttpCheck(url=""),
        HttpCheck(url="http://127.0.0.1:1/", headers=(("X", LOST),)),
        HttpCheck(url="https://127.0.0.1:1/", ca="/no/such/file.pem"),
    ],
    ids=str,
)
@on_a_loop
async def test_requests_that_can_t_be_made_are_seen_not_raised_and_tell_no_secret(check: HttpCheck) -> None:
    async with probing() as probe:
        seen = await probe.http(check, timeout_s=5)
    assert not seen.held
    assert seen.saw
    assert "hunter2" not in seen.saw


# TLS


def certificate(folder: Path, host: str) -> Path:
    """A self-signed certificate for *host*, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "self-signed.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@on_a_loop
async def test_a_body_is_sent_as_it_is_with_its_secrets() -> None:
    heard: list[bytes] = []

    async def posted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.extend([head.lower(), await reader.readexactly(len("Grüße hunter2".encode()))])
        writer.write(OK)
        await writer.drain()

    async with probing() as probe, serving(posted) as (host, port):
        check = HttpCheck(url=f"http://{host}:{port}/", method="POST", body=f"Grüße {TOKEN}")
        seen = await probe.http(check, timeout_s=5)
    assert seen.held
    assert heard[0].startswith(b"post / ")
    assert b"content-length: 15\r\n" in heard[0]
    assert b"content-type" not in heard[0]
    assert heard[1].decode() == "Grüße hunter2"


@pytest.mark.parametrize(
    ("trust", "held", "saw"),
    [
        ({}, False, "its certificate is not trusted: self-signed certificate"),
        ({"verify": False}, True, "status 200"),
        ({"ca": "its own"}, True, "status 200"),
    ],
    ids=str,
)
@on_a_loop
async def test_tls_is_verified_unless_told_otherwise(
    tmp_path: Path, trust: dict[str, Any], held: bool, saw: str
) -> None:
    host = "127.0.0.1"
    path = certificate(tmp_path, host)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    if "ca" in trust:
        trust = {"ca": str(path)}
    server = await asyncio.start_server(functools.partial(_speak_and_close, answering(OK)), host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    async with probing() as probe:
        seen = await probe.http(HttpCheck(url=f"https://{host}:{port}/", **trust), timeout_s=5)
        assert (seen.held, seen.lost) == (held, False)
        assert seen.saw.startswith(saw)
        plain = await probe.http(HttpCheck(url=f"http://{host}:{port}/", **trust), timeout_s=5)
        assert not plain.held
    server.close()
    await server.wait_closed()


async def _speak_and_close(speak: Speaker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        await speak(reader, writer)
        writer.close()
        await writer.wait_closed()


def test_httpx_is_not_loaded_before_the_first_http_gate() -> None:
    import subprocess  # noqa: PLC0415 - a fresh interpreter is what this one test needs

    code = "import sys, orchestrator.adapters.probe; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own words
