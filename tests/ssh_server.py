"""An SSH server inside the test: what it lets in, what it counts, and commands that behave as badly as told."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import UInt32

from orchestrator.adapters.ssh.lines import SshLines
from orchestrator.domain.connection import Connection, Ssh, Transport
from orchestrator.domain.errors import AuthRejected, HostError
from orchestrator.domain.secrets import Secret

PASSWORD = "right"
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
SILENT = 1e6


def run(test: Coroutine[object, object, None]) -> None:
    """Run *test* to its end, within a minute."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def loopback() -> str:
    """An address that no other test has."""
    return ".".join(map(str, (127, *(random.randrange(2, 250) for _ in range(3)))))


@dataclass(kw_only=True)
class Site:
    """One server. The first fields say what it does; the last ones what was done to it."""

    address: str
    password: str | None = PASSWORD
    keys: Sequence[asyncssh.SSHKey] = ()
    authority: asyncssh.SSHKey | None = None
    prompts: Sequence[tuple[str, bool]] = ()
    patience_s: float = 0.0
    most_sessions: int = 100
    forwards: bool = True
    wait_for: asyncio.Event | None = None

    port: int = 0
    connections: int = 0
    open_sessions: int = 0
    answered: bool = False
    live: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    forwarded: list[tuple[str, int]] = field(default_factory=list)
    inputs: dict[str, bytes] = field(default_factory=dict)

    def way(self, *, host: str = "h", password: str | None = None, ssh: Ssh | None = None, **given: Any) -> Connection:
        """How it is reached: with *password*, trusting any key unless told otherwise, and no file of anybody."""
        settings: dict[str, Any] = {
            "address": self.address,
            "port": self.port,
            "transport": Transport.SSH,
            "user": "admin",
            "verify": False,
            "connection_timeout_s": 20.0,
            "read_timeout_s": 20.0,
        }
        secret = None if password is None else Secret(password)
        return Connection(
            host=host, password=secret, ssh=ssh or Ssh(config="none", agent=False), **{**settings, **given}
        )

    def cut(self) -> None:
        """Break all connections, without a goodbye."""
        for connection in self.live:
            connection.abort()


class _Server(asyncssh.SSHServer):
    def __init__(self, site: Site) -> None:
        self._site = site

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._site.connections += 1
        self._site.live.append(conn)
        self._conn = conn

    def connection_lost(self, exc: Exception | None) -> None:
        self._site.live.remove(self._conn)

    def begin_auth(self, username: str) -> bool:
        self._site.users.append(username)
        return True

    def public_key_auth_supported(self) -> bool:
        return bool(self._site.keys) or self._site.authority is not None

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data in [known.public_data for known in self._site.keys]

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._site.authority is not None and key.public_data == self._site.authority.public_data

    def password_auth_supported(self) -> bool:
        return self._site.password is not None and not self._site.prompts

    async def validate_password(self, username: str, password: str) -> bool:
        self._site.passwords.append(password)
        if password == "old":
            raise asyncssh.PasswordChangeRequired("Your password has expired")
        return password == self._site.password

    def kbdint_auth_supported(self) -> bool:
        return bool(self._site.prompts)

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", list(self._site.prompts)

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        self._site.passwords += responses
        return list(responses) == [self._site.password]

    def session_requested(self) -> "_Session":
        if self._site.open_sessions >= self._site.most_sessions:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        return _Session(self._site)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self._site.forwarded.append((dest_host, dest_port))
        if not self._site.forwards:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        return True


class _Session(asyncssh.SSHServerSession[bytes]):
    """Runs one of a few commands; see `exec_requested`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._site.open_sessions += 1
        self._name = ""
        self._end: Callable[[], None] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def connection_lost(self, exc: Exception | None) -> None:
        self._site.open_sessions -= 1

    def exec_requested(self, command: str) -> bool:
        self._site.commands.append(command)
        self._name, _, self._rest = command.partition(" ")
        if self._name == "vanish":
            self._chan.abort()
        return self._name != "refuse"

    def session_started(self) -> None:
        match self._name:
            case "echo":
                self._chan.write(self._rest.encode())
                self._exit(0)
            case "both":
                self._chan.write(b"out")
                self._chan.write_stderr(b"err" * int(self._rest or 1))
                self._exit(0)
            case "status":
                self._exit(int(self._rest))
            case "nothing":
                self._chan.close()
            case "flood":
                self._chan.write(b"x" * int(self._rest))
            case "much":
                self._chan.write(b"x" * int(self._rest))
                self._exit(0)
            case "half":
                self._chan.write(b"half of")
                asyncio.get_running_loop().call_soon(self._site.cut)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._site.inputs[self._name] = self._site.inputs.get(self._name, b"") + data
        if self._name == "repeat":
            self._chan.write(data)
        if self._name == "powershell":
            self._answer_once(data.split()[-1].strip(b"'"))

    def eof_received(self) -> bool:
        if self._name == "cat":
            self._chan.write(self._site.inputs.get("cat", b""))
            self._exit(0)
        return self._name in ("hang", "repeat")

    def _answer_once(self, nonce: bytes) -> None:
        """As a PowerShell that is ended over its second question."""
        if self._site.answered:
            self._site.answered = False
            self._chan.write_stderr(b"gone\r\n")
            self._exit(1)
        else:
            self._site.answered = True
            self._chan.write(nonce + b":e30=:" + nonce + b"\r\n")

    def _exit(self, status: int) -> None:
        """As Windows' sshd: all 32 bits."""
        self._chan._send_request(b"exit-status", UInt32(status))
        self._chan.close()


class _ByPassword:
    """Implements SignIn, and remembers how it ended."""

    def __init__(self, secret: str, ends: list[bool | None]) -> None:
        self.secret: str | None = secret
        self._ends = ends
        self._ended = False

    def end(self, *, accepted: bool | None) -> None:
        if not self._ended:
            self._ended = True
            self._ends.append(accepted)


@dataclass
class Tried:
    """Implements Credentials: what stands in the connection, until a host rejected it. `allowed` holds tries back."""

    ends: list[bool | None] = field(default_factory=list)
    asked: int = 0
    allowed: asyncio.Event | None = None
    then: str | None = None

    async def check(self, connection: Connection) -> None:
        if False in self.ends and self.then is None:
            raise AuthRejected(connection.host, "the same secret is not tried there again")

    async def sign_in(self, connection: Connection) -> _ByPassword:
        self.asked += 1
        if self.allowed is not None:
            await self.allowed.wait()
        await self.check(connection)
        assert connection.password is not None
        secret, self.then = (
            (self.then, None) if False in self.ends and self.then else (connection.password.text, self.then)
        )
        return _ByPassword(secret or "", self.ends)


@contextlib.asynccontextmanager
async def serving(*, host_key: Any = HOST_KEY, **given: Any) -> AsyncIterator[Site]:
    """A server with these fields of Site, on an address of its own."""
    site = Site(address=given.pop("address", loopback()), **given)
    server = await asyncssh.listen(
        site.address,
        0,
        server_factory=lambda: _Server(site),
        server_host_keys=[host_key],
        encoding=None,
        login_timeout=0,
        config=None,
        gss_host=None,
    )
    site.port = server.get_port()
    try:
        yield site
    finally:
        site.cut()
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def lines_to(
    *connections: Connection, credentials: Any = None, reveal: Callable[[str], str] = lambda text: text
) -> AsyncIterator[SshLines]:
    """The lines to *connections*, closed at the end."""
    lines = SshLines({each.host: each for each in connections}, credentials or Tried(), reveal)
    try:
        yield lines
    finally:
        await lines.aclose()


async def until(holds: Callable[[], object]) -> None:
    """Wait until *holds* does. The test's own limit bounds it."""
    while not holds():  # noqa: ASYNC110  what is waited for happens in another's objects
        await asyncio.sleep(0.005)


async def answers(lines: SshLines, host: str = "h") -> None:
    """The host runs a command."""
    assert (await lines.line(host).run("echo on", limit_s=20)).stdout == b"on"


async def fails(lines: SshLines, host: str = "h") -> HostError:
    """What an exchange raises; nothing of it can have been sent."""
    with pytest.raises(HostError) as raised:
        await lines.line(host).run("echo", limit_s=20)
    assert not raised.value.sent
    return raised.value
