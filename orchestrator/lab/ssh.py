"""SSH of one host, as sshd on Windows serves it: listener, sign-in, channels, forwarding, and shells behind them."""

import asyncio
import hmac
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import cast

import asyncssh

from orchestrator.lab.fleet import BadFleet, Fleet
from orchestrator.lab.host import Host
from orchestrator.lab.listen import Listener
from orchestrator.lab.ssh_session import Session

VERSION = "OpenSSH_for_Windows_9.5"
_NOISE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


class House:
    """What all hosts of a lab share: one host key made in memory, who may come in, and asyncssh's options.

    Raises BadFleet for a line of `authorized_keys` that is none.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.users = fleet.users
        self.addresses = frozenset(spec.address for spec in fleet.hosts)
        key = asyncssh.generate_private_key("ssh-ed25519")
        self._public = key.export_public_key("openssh").decode().split()[:2]
        for number, line in enumerate(fleet.authorized_keys):
            try:
                asyncssh.import_authorized_keys(line)
            except ValueError as exc:
                raise BadFleet(f"fleet.authorized_keys[{number}]: is no line as sshd reads it: {exc}") from exc
        keys = asyncssh.import_authorized_keys("\n".join(fleet.authorized_keys)) if fleet.authorized_keys else None
        self.options = asyncssh.SSHServerConnectionOptions(
            server_factory=_Door,
            server_host_keys=[key],
            server_version=VERSION,
            authorized_client_keys=keys,
            config=None,
            gss_host=None,
            allow_pty=False,
            agent_forwarding=False,
            line_editor=False,
            encoding=None,
        )
        self._hosts = fleet.hosts

    def write_known_hosts(self, path: Path) -> None:
        """The key of each host by its name and its address, as `ssh` and orch look them up."""
        lines = []
        for spec in self._hosts:
            names = (spec.name, spec.address) if spec.name != spec.address else (spec.address,)
            said = names if spec.ssh_port == 22 else [f"[{name}]:{spec.ssh_port}" for name in names]
            lines.append(f"{','.join(said)} {' '.join(self._public)}\n")
        path.write_text("".join(lines), encoding="utf-8")


class Ssh:
    """One host's sshd."""

    def __init__(self, host: Host, house: House) -> None:
        self.host = host
        self.house = house
        self.connections: set[Connection] = set()
        self._listener: Listener | None = None
        self._count = 0
        host.transports["ssh"] = self._switch

    def _switch(self, on: bool) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if on:
            self._listener = Listener(self.host.spec.address, self.host.spec.ssh_port, self._connection)
            return
        for connection in list(self.connections):
            connection.abort()

    def _connection(self) -> "Connection":
        self._count += 1
        return Connection(self, self._count)


class Connection(asyncssh.SSHServerConnection):
    """One connection to a host. With `silent` it neither hears nor answers any more."""

    def __init__(self, sshd: Ssh, number: int) -> None:
        super().__init__(asyncio.get_running_loop(), sshd.house.options)
        self.sshd = sshd
        self.number = number
        self.user = ""
        self.silent = False
        self.sessions = 0
        """How many session channels it has had."""
        self.open_sessions: set[Session] = set()

    def log(self, kind: str, **fields: object) -> None:
        """A line of the lab's log about this connection."""
        self.sshd.host.log(kind, wire="ssh", connection=self.number, **fields)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there. Faults that aim at `connect` strike here."""
        self.sshd.connections.add(self)
        peer = transport.get_extra_info("peername")
        self.log("connect", peer=peer[0] if peer else None)
        self.silent = bool(self._struck("silent"))
        if self._struck("garbage") and isinstance(transport, asyncio.WriteTransport):
            transport.write(_NOISE)
            self.silent = True
            transport.close()
        super().connection_made(transport)
        if self._struck("drops"):
            self.log("cut", action="connect", when="before")
            self.abort()

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Bytes of the client."""
        if not self.silent:
            super().data_received(data, datatype)

    def send_packet(self, pkttype: int, *args: bytes, handler: asyncssh.packet.SSHPacketLogger | None = None) -> None:
        """A packet to the client."""
        if not self.silent:
            super().send_packet(pkttype, *args, handler=handler)

    async def reload_config(self) -> None:
        """There is no configuration that could differ by user: asyncssh's own takes a thread's time to find that."""

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """A key or certificate that is offered (without *signature*) or used."""
        known = await super().validate_public_key(username, key_data, msg, signature)
        fine = known and not self._rejects()
        if msg or not fine:
            self._tried("publickey", username, fine)
        return fine

    async def validate_password(self, username: str, password: str) -> bool:
        """A password."""
        fine = self._matches(username, password)
        self._tried("password", username, fine)
        return fine

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        """A password in answer to a question."""
        fine = len(responses) == 1 and self._matches(username, responses[0])
        self._tried("keyboard-interactive", username, fine)
        return fine

    def _matches(self, username: str, password: str) -> bool:
        known = self.sshd.house.users.get(username)
        return known is not None and hmac.compare_digest(known.encode(), password.encode()) and not self._rejects()

    def _rejects(self) -> bool:
        return "rejects-credentials" in self.sshd.host.faults

    def _tried(self, method: str, user: str, fine: bool) -> None:
        self.sshd.host.auth_failures += not fine
        self.user = user if fine else self.user
        self.log("auth", ok=fine, user=user or None, method=method)

    def _struck(self, kind: str) -> str:
        aim = self.sshd.host.faults.get(kind)
        aimed = getattr(aim, "verb", "").casefold() == "connect"
        return self.sshd.host.struck(kind, "connect", "") if aimed else ""


class _Door(asyncssh.SSHServer):
    """What asyncssh asks about one connection."""

    _connection: Connection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, Connection)
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.sshd.connections.discard(self._connection)
        self._connection.log("disconnect")

    async def begin_auth(self, username: str) -> bool:
        host = self._connection.sshd.host
        if "slow" in host.faults:
            await asyncio.sleep(host.faults["slow"])
        if host.spec.banner:
            self._connection.send_auth_banner(host.spec.banner)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def session_requested(self) -> Session:
        connection = self._connection
        host = connection.sshd.host
        quota = host.faults.get("quota")
        if quota is True or (quota is not None and connection.sessions >= quota):
            connection.log("channel", ok=False)
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "open failed")
        if len(connection.open_sessions) >= host.spec.max_sessions:
            connection.log("channel", ok=False)
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        connection.sessions += 1
        connection.log("channel", ok=True, channel=connection.sessions)
        return Session(connection, connection.sessions)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Awaitable[asyncssh.SSHTCPSession[bytes]]:
        """As a jump host: on to hosts of this lab, and nowhere else."""
        connection = self._connection
        address = connection.sshd.host.resolve(dest_host)
        inside = address in connection.sshd.house.addresses
        connection.log("forward", to=dest_host, port=dest_port, ok=inside)
        if address is None or not inside:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        # asyncssh's own default does this cast too: its forwarder is a session by its methods alone.
        return cast(Awaitable[asyncssh.SSHTCPSession[bytes]], connection.forward_connection(address, dest_port))
