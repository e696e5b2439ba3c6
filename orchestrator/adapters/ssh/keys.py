"""Private keys: read once each, with their certificates, and those that an agent holds."""

import asyncio
import contextlib
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.agent import SSHAgentClient
from asyncssh.packet import SSHPacket

from orchestrator.domain.errors import OrchError
from orchestrator.domain.secrets import Secret

DEFAULT_FILES = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
AGENT_S = 5.0
"""How long an agent may take to list its keys: it may ask a person first."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key's file, what opens it, and the certificate for it ("": FILE-cert.pub, if there is one)."""

    path: str
    passphrase: Secret | None = None
    certificate: str = ""


class KeyProblem(Exception):
    """A key can't be used; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class _Agent(SSHAgentClient):
    """An agent that many connections share: one of them that ends in the middle of a question does not take the answer
    to the next one's question."""

    async def _make_request(self, msgtype: int, *args: bytes) -> tuple[int, SSHPacket]:
        return await asyncio.shield(asyncio.ensure_future(super()._make_request(msgtype, *args)))


class KeyRing:
    """The keys of a process, shared by its connections. *reveal* resolves a passphrase; it is called in a thread."""

    def __init__(self, reveal: Callable[[str], str]) -> None:
        self._reveal = reveal
        self._loaded: dict[KeyFile, asyncio.Task[Sequence[asyncssh.SSHKeyPair]]] = {}
        self._agents: dict[str, _Agent] = {}
        self._listed: dict[str, asyncio.Task[Sequence[asyncssh.SSHKeyPair]]] = {}

    async def pairs(
        self, files: Sequence[KeyFile], agent: str, *, alone: bool, must: bool
    ) -> list[asyncssh.SSHKeyPair]:
        """Keys to offer, in this order: those of *files* and then those of the *agent* at that path ("": none);
        *alone*: of the agent only those that *files* name too. Without *files*, the agent's, then the usual ones of
        ~/.ssh that need no passphrase.

        Raises KeyProblem if one of *files* can't be used and all of them *must*; otherwise it is left out. A key that
        was read is not read again.
        """
        held = await self._of_agent(agent) if agent else ()
        if not files:
            usual = [await self._usual(KeyFile(f"~/.ssh/{name}")) for name in DEFAULT_FILES]
            return _own([*held, *(pair for pairs in usual for pair in pairs)])
        named: list[asyncssh.SSHKeyPair] = []
        for file in files:
            named += await self._named(file, held) if must else await self._usual(file)
        public = {pair.key_public_data for pair in named}
        rest = [pair for pair in held if (not alone or pair.key_public_data in public) and pair not in named]
        return _own([*named, *rest])

    async def aclose(self) -> None:
        """Let go of the agents."""
        for agent in self._agents.values():
            agent.close()
            with contextlib.suppress(OSError):
                await agent.wait_closed()

    async def _named(self, file: KeyFile, held: Sequence[asyncssh.SSHKeyPair]) -> Sequence[asyncssh.SSHKeyPair]:
        try:
            return await self._read(file)
        except KeyProblem:
            public = await asyncio.to_thread(_public, file.path)
            matching = [pair for pair in held if pair.key_public_data == public]
            if not matching:
                raise
            return matching

    async def _usual(self, file: KeyFile) -> Sequence[asyncssh.SSHKeyPair]:
        try:
            return await self._read(file)
        except KeyProblem:
            return ()

    async def _read(self, file: KeyFile) -> Sequence[asyncssh.SSHKeyPair]:
        if file not in self._loaded:
            self._loaded[file] = asyncio.create_task(asyncio.to_thread(_load, file, self._reveal))
            self._loaded[file].add_done_callback(_retrieve)
        return await asyncio.shield(self._loaded[file])

    async def _of_agent(self, path: str) -> Sequence[asyncssh.SSHKeyPair]:
        """The keys that the agent holds; none if it does not answer. It is asked once, and again if it had none."""
        listed = self._listed.get(path)
        if listed is None or (listed.done() and not listed.result()):
            listed = self._listed[path] = asyncio.create_task(self._list(path))
        return await asyncio.shield(listed)

    async def _list(self, path: str) -> Sequence[asyncssh.SSHKeyPair]:
        agent = self._agents.setdefault(path, _Agent(path))
        try:
            async with asyncio.timeout(AGENT_S):
                return await agent.get_keys()
        except (OSError, ValueError, TimeoutError):
            return ()


def _own(pairs: Sequence[asyncssh.SSHKeyPair]) -> list[asyncssh.SSHKeyPair]:
    """Copies for one connection: it notes in them which kind of signature its host takes."""
    return [copy.copy(pair) for pair in pairs]


def _load(file: KeyFile, reveal: Callable[[str], str]) -> Sequence[asyncssh.SSHKeyPair]:
    path = Path(file.path).expanduser()
    secret = None
    if file.passphrase is not None:
        try:
            secret = reveal(file.passphrase.text)
        except OrchError as exc:
            raise KeyProblem(f"no passphrase for the key {file.path}: {exc}", exc.hint) from exc
    try:
        key = asyncssh.read_private_key(path, secret)
    except OSError as exc:
        raise KeyProblem(
            f"the key {file.path} can't be read: {exc.strerror}", "see ansible_ssh_private_key_file"
        ) from exc
    except asyncssh.KeyEncryptionError as exc:
        raise KeyProblem(f"the passphrase does not open the key {file.path}", _OPENING) from exc
    except asyncssh.KeyImportError as exc:
        if secret is None and str(exc).startswith("Passphrase"):
            raise KeyProblem(f"the key {file.path} is encrypted, and no passphrase is set", _OPENING) from exc
        raise KeyProblem(f"the key {file.path} can't be read: {exc}", f"try: ssh-keygen -yf {file.path}") from exc
    certificate = _certificate(file, path)
    key.set_comment(file.path)
    return asyncssh.load_keypairs([key if certificate is None else (key, certificate)])


_OPENING = "set ansible_ssh_private_key_passphrase, or: ssh-add FILE"


def _certificate(file: KeyFile, key: Path) -> Any:
    path = Path(file.certificate).expanduser() if file.certificate else key.with_name(key.name + "-cert.pub")
    try:
        return asyncssh.read_certificate(path)
    except OSError as exc:
        if not file.certificate:
            return None
        raise KeyProblem(f"the certificate {file.certificate} can't be read: {exc.strerror}", "") from exc
    except asyncssh.KeyImportError as exc:
        named = file.certificate or f"{file.path}-cert.pub"
        raise KeyProblem(f"the certificate {named} can't be read: {exc}", f"try: ssh-keygen -Lf {named}") from exc


def _public(path: str) -> bytes:
    """The public half of the key at *path*, from the file beside it; b"" if there is none."""
    try:
        return asyncssh.read_public_key(Path(path + ".pub").expanduser()).public_data
    except (OSError, asyncssh.KeyImportError):
        return b""


def _retrieve(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()  # those who wait are told; nobody may be left
