"""A connection on asyncssh: signed in, with channels on it. Imports the library, so it is loaded when needed."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NoReturn, cast

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.packet import SSHPacket, String

from orchestrator.adapters.ssh.channel import Channel
from orchestrator.adapters.ssh.errors import in_our_words
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import HostError, Unreachable
from orchestrator.engine.ports import Credentials, SignIn

_WINDOW = 256 << 10
_PACKET = 32 << 10


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

    def _process_exit_status_request(self, packet: SSHPacket) -> bool:
        """asyncssh keeps 8 bits; Windows' errors have 32."""
        status = packet.get_uint32()
        packet.check_end()
        self._exit_status = status
        if self._session is not None:
            self._session.exit_status_received(status)
        return True


class Client(asyncssh.SSHClient):
    """What asyncssh asks while it signs in. The password is given once, in whichever way the host asks for it first.

    `deadline` stands still while we wait until the password may be tried.
    """

    def __init__(self, connection: Connection, credentials: Credentials) -> None:
        self._connection = connection
        self._credentials = credentials
        self._sign_in: SignIn | None = None
        self._given = connection.password is None
        self.deadline: asyncio.Timeout | None = None
        self.refused: HostError | None = None

    def end(self) -> None:
        """Signing in is over, one way or the other."""
        if self._sign_in is not None:
            self._sign_in.end(accepted=None)

    def auth_completed(self) -> None:
        """We are let in."""
        if self._sign_in is not None:
            self._sign_in.end(accepted=True)

    async def password_auth_requested(self) -> str | None:
        """The password, once. Waits until it may be tried on this host."""
        if self._given:
            return None
        self._given = True
        if self.deadline is not None:
            self.deadline.reschedule(None)
        self._sign_in = await self._credentials.sign_in(self._connection)
        if self.deadline is not None:
            loop = asyncio.get_running_loop()
            self.deadline.reschedule(loop.time() + self._connection.connection_timeout_s)
        return self._sign_in.secret

    def kbdint_auth_requested(self) -> str | None:
        """Whether a password could be typed for the host's prompt."""
        return None if self._given else ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        """An answer to a single prompt that hides what is typed; anything else is not for a password."""
        if not prompts:
            return []
        if len(prompts) > 1 or prompts[0][1]:
            return None
        password = await self.password_auth_requested()
        return None if password is None else [password]


class Peer(asyncssh.SSHClientConnection):
    """The host of *connection*, once `begin` returned."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: asyncssh.SSHClientConnectionOptions, connection: Connection
    ) -> None:
        super().__init__(loop, options, wait="auth")
        self._connection = connection
        self._running_loop = loop

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
            if made is not None:
                channel.closed = True
                made.abort()
            raise

    def _refused(self) -> NoReturn:
        host = self._connection.host
        if self.is_closed():
            raise Unreachable(host, "the connection broke", sent=True)
        hint = "does sshd have a ForceCommand, or the account no shell?"
        raise HostError(host, "the host refuses to run commands for this user", hint=hint)

    async def drop_if_mute(self, limit_s: float) -> None:
        """Ask for a sign of life, and break the connection if none comes within *limit_s*."""
        try:
            async with asyncio.timeout(limit_s):
                await self._make_keepalive_request()
        except TimeoutError:
            self.abort()

    async def hang_up(self, limit_s: float) -> None:
        """Say goodbye; break the connection if that is not done within *limit_s*. Never raises."""
        self.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.wait_closed()
                return
        self.abort()
