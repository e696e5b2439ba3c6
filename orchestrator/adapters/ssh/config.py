"""Where a connection leads and what it uses there: the inventory's word first, then the user's SSH configuration.

asyncssh reads the configuration. What it can't do in it, or what would not mean the same, is refused by name.
"""

import getpass
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncssh.config import ConfigParseError, SSHClientConfig, SSHConfig

from orchestrator.adapters.ssh.keys import KeyFile
from orchestrator.domain.connection import Connection, Jump
from orchestrator.domain.errors import HostError
from orchestrator.domain.secrets import Secret

DEFAULT_FILE = "~/.ssh/config"
DEFAULT_PORT = 22
NO_FILE = "none"
_UNVERIFIED = ("no", "off")
_FOR_A_SHELL = re.compile(r"""^-|[\s'"`$;&<>|(){}]|[^\x20-\x7e]|\\$""")
"""What must not get into a ProxyCommand from an inventory."""
_INSTEAD = {
    "CanonicalizeHostname": "write the whole name as ansible_host",
    "PKCS11Provider": "load the token into an agent: ssh-add -s PROVIDER",
}
"""What is refused if it is set, and what to do instead."""
OPTIONS = {
    "KexAlgorithms": "kex_algs",
    "Ciphers": "encryption_algs",
    "MACs": "mac_algs",
    "HostKeyAlgorithms": "server_host_key_algs",
    "CASignatureAlgorithms": "signature_algs",
    "PreferredAuthentications": "preferred_auth",
    "PubkeyAuthentication": "public_key_auth",
    "PasswordAuthentication": "password_auth",
    "KbdInteractiveAuthentication": "kbdint_auth",
}
"""What is taken over as it stands, with the name that asyncssh's options have for it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection leads, all said: `alias` is the name under which the host's key is known, if not its address;
    `must` says that each of `keys` must be usable; `jumps` and `proxy` (a command) lead there; `options` are those of
    OPTIONS that are set."""

    address: str
    port: int
    user: str
    alias: str
    verify: bool
    known_hosts: tuple[str, ...]
    keys: tuple[KeyFile, ...]
    must: bool
    agent: str
    alone: bool
    jumps: tuple[Jump, ...]
    proxy: str
    options: tuple[tuple[str, Any], ...]


class _File(SSHClientConfig):
    """asyncssh's reader, with what it leaves out."""

    def _match(self, option: str, args: list[str]) -> None:
        """`Match exec` runs a program, with tokens that asyncssh does not replace: refused where it would count."""
        words = [word.lower().lstrip("!") for word in args]
        if "exec" not in words:
            super()._match(option, args)
            return
        first = words.index("exec") == 0
        if not first:
            super()._match(option, args[: words.index("exec")])
        if first or self._matching:
            self._error("`Match exec` is not supported: write the block as Host or Match host")
        args.clear()

    _handlers = {
        **SSHClientConfig._handlers,
        "match": ("Match", _match),
        "stricthostkeychecking": ("StrictHostKeyChecking", SSHClientConfig._set_string),
    }


class Configurations:
    """The SSH configurations of a process: each is read once for each host. Blocks a moment; safe from any thread."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str, str], SSHConfig] = {}
        self._lock = threading.Lock()

    def reads(self, connection: Connection) -> bool:
        """Whether `target` has to read a file first, and ought to be asked in a thread."""
        named = connection.ssh.config
        return (connection.ssh.config, connection.address, connection.user) not in self._read and (
            named not in ("", NO_FILE) or (not named and Path(DEFAULT_FILE).expanduser().is_file())
        )

    def target(self, connection: Connection, *, behind: str | None = None) -> Target:
        """Where *connection* leads. Its port counts unless it is the usual one, for then the configuration may say
        another. For a jump host, *behind* is the user of the host behind it, who counts there if nobody says another;
        and the configuration's keys count before those of that host. Raises HostError if it can't be used."""
        ssh, file = connection.ssh, self._file(connection)
        port = connection.port if connection.port != DEFAULT_PORT else _number(file.get("Port")) or DEFAULT_PORT
        configured = _texts(file.get("IdentityFile"))
        must = bool(ssh.key_file) and not (configured and behind is not None)
        address, proxy = str(file.get("Hostname", connection.address)), str(file.get("ProxyCommand") or "")
        if proxy and not ssh.jumps:
            _check_words(connection, proxy, (address, connection.address, connection.user))
        certificates = [ssh.certificate_file] if ssh.certificate_file else _texts(file.get("CertificateFile"))
        return Target(
            address=address,
            port=port,
            user=connection.user or str(file.get("User") or behind or _ourselves(connection)),
            alias=str(file.get("HostKeyAlias") or ""),
            verify=connection.verify and str(file.get("StrictHostKeyChecking") or "").lower() not in _UNVERIFIED,
            known_hosts=ssh.known_hosts or _known_hosts(file),
            keys=_keys([ssh.key_file] if must else configured, certificates, ssh.passphrase),
            must=must,
            agent=_agent(file) if ssh.agent else "",
            alone=bool(file.get("IdentitiesOnly")) and not ssh.key_file,
            jumps=ssh.jumps or _jumps(connection, str(file.get("ProxyJump") or "")),
            proxy="" if ssh.jumps else proxy,
            options=tuple((option, value) for option in OPTIONS if (value := file.get(option)) is not None),
        )

    def _file(self, connection: Connection) -> SSHConfig:
        key = connection.ssh.config, connection.address, connection.user
        with self._lock:
            if key not in self._read:
                self._read[key] = _load(connection)
            return self._read[key]


def _load(connection: Connection) -> SSHConfig:
    named = connection.ssh.config
    path = Path(named or DEFAULT_FILE).expanduser()
    paths = [path] if named not in ("", NO_FILE) or (not named and path.is_file()) else []
    user: Any = connection.user or ()
    hint = f"correct it, or give orch one of its own: ansible_ssh_common_args: -F FILE (-F {NO_FILE}: no file at all)"
    try:
        file = _File.load(None, paths, False, False, False, _ourselves(connection), user, connection.address, ())
    except OSError as exc:
        raise HostError(connection.host, f"{named or DEFAULT_FILE} can't be read: {exc.strerror}", hint=hint) from exc
    except (ConfigParseError, ValueError) as exc:
        raise HostError(connection.host, f"the SSH configuration can't be used: {exc}", hint=hint) from exc
    for option, instead in _INSTEAD.items():
        if file.get(option):
            text = f"{option} in {named or DEFAULT_FILE} is not supported"
            raise HostError(connection.host, text, hint=instead)
    return file


def _check_words(connection: Connection, proxy: str, words: Sequence[str]) -> None:
    """An inventory, which a script may have made of anybody's names, puts no command into a *proxy* command."""
    for word in words:
        if word in proxy and _FOR_A_SHELL.search(word):
            text = f"the SSH configuration's ProxyCommand would hand {word!r} to a shell, so it was not run"
            raise HostError(connection.host, text, hint="correct ansible_host or ansible_user")


def _ourselves(connection: Connection) -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as exc:
        raise HostError(connection.host, "no user is set, and this one has no name", hint="set ansible_user") from exc


def _keys(paths: Sequence[str], certificates: Sequence[str], passphrase: Secret | None) -> tuple[KeyFile, ...]:
    """Each key with the certificate at the same place in the list, if there are any."""
    beside = [*certificates, *[""] * len(paths)]
    return tuple(KeyFile(path, passphrase, beside[index]) for index, path in enumerate(paths))


def _known_hosts(file: SSHConfig) -> tuple[str, ...]:
    users, everyones = file.get("UserKnownHostsFile"), file.get("GlobalKnownHostsFile")
    if users is None and everyones is None:
        return ()
    users = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"] if users is None else _texts(users)
    return (*users, *(["/etc/ssh/ssh_known_hosts"] if everyones is None else _texts(everyones))) or ("/dev/null",)


def _agent(file: SSHConfig) -> str:
    said = file.get("IdentityAgent", "SSH_AUTH_SOCK")
    if said is None:
        return ""
    text = str(said)
    if text == "SSH_AUTH_SOCK" or text.startswith("$"):
        return os.environ.get(text.lstrip("$").strip("{}"), "")
    return str(Path(text).expanduser())


def _jumps(connection: Connection, said: str) -> tuple[Jump, ...]:
    return tuple(_jump(connection, text.strip()) for text in said.split(",") if text.strip())


def _jump(connection: Connection, text: str) -> Jump:
    """[ssh://][USER@]HOST[:PORT]"""
    user, _, place = text.removeprefix("ssh://").rstrip("/").rpartition("@")
    address, port = place, ""
    if place.startswith("["):
        address, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    elif place.count(":") == 1:
        address, _, port = place.partition(":")
    if not address or (port and not port.isdecimal()):
        text = f"the SSH configuration can't be used: ProxyJump {text}"
        raise HostError(connection.host, text, hint="write [USER@]HOST[:PORT]")
    return Jump(address=address, port=int(port or 0), user=user)


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
