"""A connection on asyncssh: the handshake's questions, and channels. Imports the library, so it is loaded when needed.

Where asyncssh's public functions do more than is needed (they read files and parse options for every connection) or
less (they cut exit statuses to eight bits), its classes are derived from. What is used of their insides stands here.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NoReturn, cast

import asyncssh
from asyncssh.agent import SSHAgentKeyPair
from asyncssh.channel import SSHClientChannel
from asyncssh.packet import SSHPacket, String
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

from orchestrator.adapters.ssh.channel import Channel
from orchestrator.adapters.ssh.errors import in_our_words
from orchestrator.adapters.ssh.leave import Leave
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import HostError, Unreachable

_WINDOW = 256 << 10
_PACKET = 32 << 10


class Client(asyncssh.SSHClient):
    """What asyncssh asks while it signs in. The password is given once, in whichever way the host asks for it first.

    `deadline` stands still while we wait until the password may be tried.
    """

    def __init__(self, connection: Connection, leave: Leave) -> None:
        self._limit_s = connection.connection_timeout_s
        self._leave = leave
        self.deadline: asyncio.Timeout | None = None
        self.expired = False

    def auth_completed(self) -> None:
        """We are let in."""
        if self._leave.given:
            self._leave.end(accepted=True)

    async def password_auth_requested(self) -> str | None:
        """The password, once. Waits until it may be tried on this host."""
        if self._leave.given:
            return None
        self._limit(None)
        try:
            return await self._leave.secret()
        finally:
            self._limit(asyncio.get_running_loop().time() + self._limit_s)

    def password_change_requested(self, prompt: str, lang: str) -> Any:
        """The password was right, and is too old: nobody is there to think of another."""
        self.expired = True
        return NotImplemented

    def kbdint_auth_requested(self) -> str | None:
        """Whether a password could be typed for the host's prompt."""
        return None if self._leave.given else ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        """An answer to a single prompt for a password; to nothing else."""
        if not prompts:
            return []
        if len(prompts) > 1 or prompts[0][1] or "password" not in prompts[0][0].lower():
            return None
        password = await self.password_auth_requested()
        return None if password is None else [password]

    def _limit(self, when: float | None) -> None:
        if self.deadline is not None and not self.deadline.expired():
            with contextlib.suppress(RuntimeError):  # signing in is over, one way or the other
                self.deadline.reschedule(when)


class _Exec(SSHClientChannel[bytes]):
    """A channel for one command. Keeps all 32 bits of the exit status, and leaves nothing open behind a cancel."""

    def __init__(self, peer: "Peer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(peer, loop, "strict", None, "strict", _WINDOW, _PACKET)

    async def start(self, session: Channel, command: str) -> bool:
        """Open, hand *command* over, listen; False if the host does not take it."""
        (await self._open(b"session")).check_end()
        self._session = cast(Any, session)
        session.connection_made(self)
        taken = await self._make_request(b"exec", String(command))
        if taken:
            session.session_started()
            self.resume_reading()
        return bool(taken)

    def process_open_confirmation(self, send_chan: int, send_window: int, send_pktsize: int, packet: SSHPacket) -> None:
        """The host opened the channel; if nobody waits for it any longer, it is closed again."""
        waited = self._open_waiter is not None and not self._open_waiter.cancelled()
        super().process_open_confirmation(send_chan, send_window, send_pktsize, packet)
        if not waited:
            self.abort()

    def _cleanup(self, exc: Exception | None = None) -> None:
        """A host that closes the channel instead of saying whether it took the command has not said no."""
        mute = asyncssh.ConnectionLost("the host closed the channel without a word") if self._request_waiters else None
        super()._cleanup(exc or mute)

    def _process_exit_status_request(self, packet: SSHPacket) -> bool:
        """asyncssh keeps 8 bits; Windows' errors have 32."""
        status = packet.get_uint32()
        packet.check_end()
        self._exit_status = status
        if self._session is not None:
            self._session.exit_status_received(status)
        return True


class Peer(asyncssh.SSHClientConnection):
    """The host of *connection*. `shown` is its key (or certificate) if that did not pass; `tried` are the keys that
    were offered to it, and `offered` the ways to sign in that it left us last."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHClientConnectionOptions, connection: Connection
    ) -> None:
        super().__init__(loop, options, wait="auth")
        self._connection = connection
        self._running_loop = loop
        self.name = connection.address
        self.shown = b""
        self.tried: list[str] = []
        self.offered: list[str] = []

    async def start(self, channel: Channel, command: str) -> None:
        """Run *command* on a channel of its own. Raises HostError and its kin; nothing stays open on any error."""
        made: _Exec | None = None
        try:
            with in_our_words(self._connection, lambda: channel.opened, self.is_closed):
                made = _Exec(self, self._running_loop)
                taken = await made.start(channel, command)
                if not taken:
                    self._refused()
        except BaseException:
            channel.closed = True
            if made is not None and not made.is_closing():  # the host opened it
                made.abort()
            raise

    async def drop_if_mute(self, limit_s: float) -> None:
        """Ask for a sign of life, and break the connection if none comes within *limit_s*."""
        try:
            async with asyncio.timeout(limit_s):
                await self._make_keepalive_request()
        except TimeoutError:
            self.abort()

    async def hang_up(self, limit_s: float) -> None:
        """Say goodbye; break the connection if that is not done within *limit_s*. Never raises."""
        program: Any = self._tunnel
        self.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.wait_closed()
                if program is not None:
                    await program.wait_closed()
                return
        self.abort()

    def validate_server_host_key(self, key_data: bytes) -> asyncssh.SSHKey:
        """Keeps what was shown, so that the error can tell."""
        try:
            return super().validate_server_host_key(key_data)
        except asyncssh.HostKeyNotVerifiable:
            self.shown = key_data
            raise

    async def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        """Keeps which keys were offered."""
        pair = await super().public_key_auth_requested()
        if pair is not None:
            name = f"{pair.get_algorithm()} {pair.get_comment()}".strip()
            self.tried.append(f"{name} of the agent" if isinstance(pair, SSHAgentKeyPair) else name)
        return pair

    def try_next_auth(self, *, next_method: bool = False) -> None:
        """Keeps which ways the host leaves us."""
        if not next_method:
            self.offered = [method.decode("ascii", "replace") for method in self._auth_methods]
        super().try_next_auth(next_method=next_method)

    def _connection_made(self) -> None:
        """asyncssh asks a known host for keys of the known kinds alone. Others are taken last, and then refused in
        words that tell more than that no kind is common."""
        super()._connection_made()
        chosen = self._server_host_key_algs or ()
        if not self._options.config.get("HostKeyAlgorithms"):
            others = [*get_default_certificate_algs(), *get_default_public_key_algs()]
            self._server_host_key_algs = list(dict.fromkeys([*chosen, *others]))

    def _cleanup(self, exc: Exception | None) -> None:
        """A channel that ends with its connection did not end by itself, however polite the goodbye."""
        super()._cleanup(exc or asyncssh.ConnectionLost("the connection was closed"))

    def _refused(self) -> NoReturn:
        host = self._connection.host
        if self.is_closed():
            raise Unreachable(host, "the connection broke", sent=True)
        hint = "does sshd have a ForceCommand, or the account no shell?"
        raise HostError(host, "the host refuses to run commands for this user", hint=hint)
