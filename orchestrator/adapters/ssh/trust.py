"""Which host keys are trusted: known_hosts files, read once and indexed.

asyncssh parses keys and patterns; the index is ours, because parsing thousands of lines for every connection, or
computing thousands of hashes for each, costs more than the connection itself.
"""

import base64
import binascii
import ipaddress
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

import asyncssh
from asyncssh.pattern import HostPatternList

from orchestrator.domain.errors import HostError, Untrusted

DEFAULT_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")
DEFAULT_PORT = 22
_HASHED = "|1|"
_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_PATTERN_SIGNS = frozenset("*?!/")
_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_REVOKED, _AUTHORITY = "@revoked", "@cert-authority"


class Line(NamedTuple):
    """One line of a file, without the names of its hosts: its key is parsed when it is needed."""

    file: str
    number: int
    marker: str
    data: str

    @property
    def place(self) -> str:
        """Where to look."""
        return f"{self.file}:{self.number}"


class _Hash(NamedTuple):
    """A line whose names are an HMAC-SHA1 (RFC 2104). Its key's two blocks are kept, and the rest done with two SHA-1:
    that takes half as long as `hmac.digest`, and there may be thousands of lines for each of hundreds of hosts."""

    inner: bytes
    outer: bytes
    digest: bytes
    line: Line

    @classmethod
    def of(cls, salt: bytes, digest: bytes, line: Line) -> "_Hash":
        """The hash of a line with *salt* as its key."""
        block = salt.ljust(_BLOCK, b"\0")
        return cls(block.translate(_INNER), block.translate(_OUTER), digest, line)

    def is_of(self, name: bytes) -> bool:
        """Whether it is the hash of *name*."""
        inner = sha1(self.inner + name, usedforsecurity=False).digest()
        return sha1(self.outer + inner, usedforsecurity=False).digest() == self.digest


@dataclass(frozen=True, slots=True)
class Known:
    """What the files say of one host. `keys`, `authorities` and `revoked` are keys with the lines that have them."""

    names: tuple[str, ...]
    files: tuple[str, ...]
    keys: Sequence[tuple[asyncssh.SSHKey, Line]] = ()
    authorities: Sequence[tuple[asyncssh.SSHKey, Line]] = ()
    revoked: Sequence[tuple[asyncssh.SSHKey, Line]] = ()

    def for_asyncssh(self) -> tuple[list[asyncssh.SSHKey], ...]:
        """The form in which asyncssh takes it: trusted keys, authorities, revoked ones, and nothing of X.509."""
        groups = [[key for key, _ in found] for found in (self.keys, self.authorities, self.revoked)]
        return (*groups, [], [], [], [])


@dataclass(slots=True)
class _Riddles:
    """Hashed lines whose names are not known yet."""

    lines: list[_Hash] = field(default_factory=list)
    tested: set[str] = field(default_factory=set)

    def solved(self, name: str) -> list[Line]:
        """Those that speak of *name*, the first time that it is asked for. They are no riddles any more."""
        if not self.lines or name in self.tested:
            return []
        self.tested.add(name)
        text = name.encode()
        found = [one for one in self.lines if one.is_of(text)]
        if found:
            self.lines = [one for one in self.lines if one not in found]
        return [one.line for one in found]


@dataclass(slots=True)
class _Index:
    """The lines of some files, by the names of hosts."""

    files: tuple[str, ...]
    exact: dict[str, list[Line]] = field(default_factory=dict)
    patterns: list[tuple[HostPatternList, Line]] = field(default_factory=list)
    hashed: _Riddles = field(default_factory=_Riddles)
    revoked: _Riddles = field(default_factory=_Riddles)

    def add(self, file: str, number: int, text: str) -> None:
        """One line as it stands in the file. What can't be read is left out, as OpenSSH does."""
        words = text.split(None, 2 if text.startswith("@") else 1)
        marker = words.pop(0) if text.startswith("@") else ""
        if len(words) < 2 or marker not in ("", _REVOKED, _AUTHORITY):
            return
        names, line = (
            words[0].lower() if not words[0].startswith("|") else words[0],
            Line(file, number, marker, words[1]),
        )
        if names.startswith(_HASHED):
            self._add_hash(names, line)
        elif _PATTERN_SIGNS.isdisjoint(names):
            for name in names.split(","):
                self.exact.setdefault(name, []).append(line)
        else:
            self.patterns.append((HostPatternList(names), line))

    def _add_hash(self, names: str, line: Line) -> None:
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in names[len(_HASHED) :].split("|"))
        except (ValueError, binascii.Error):
            return
        if len(salt) <= _BLOCK:
            (self.revoked if line.marker == _REVOKED else self.hashed).lines.append(_Hash.of(salt, digest, line))

    def lines(self, names: Sequence[str], ip: _Ip | None) -> list[Line]:
        """All lines that speak of one of *names*, or of *ip*.

        The first time a name is asked for costs a hash for each hashed line; a line that was found is no riddle any
        more, and is not hashed again.
        """
        known = False
        for name in names:
            self._keep(name, self.revoked.solved(name))
            if not known:  # once a key is known by the first name, a hash of the other is not worth the search
                self._keep(name, self.hashed.solved(name))
            known = known or not all(line.marker for line in self.exact.get(name, ()))
        found = [line for name in names for line in self.exact.get(name, ())]
        if self.patterns:
            host, address = names[0], names[-1] if len(names) > 1 else ""
            found += [line for pattern, line in self.patterns if pattern.matches(host, address, ip)]
        return found

    def _keep(self, name: str, lines: list[Line]) -> None:
        if lines:
            self.exact.setdefault(name, []).extend(lines)


class TrustStore:
    """The known_hosts files of a process. Blocks while it reads and hashes, so ask it in a thread; safe from any."""

    def __init__(self) -> None:
        self._indexes: dict[tuple[str, ...], _Index] = {}
        self._known: dict[tuple[object, ...], Known] = {}
        self._keys: dict[str, asyncssh.SSHKey | None] = {}
        self._lock = threading.Lock()

    def known(self, files: Sequence[str], host: str, address: str, port: int) -> Known:
        """What *files* (the defaults of OpenSSH if empty) say of *host*, which has the IP *address* ("" if that is not
        known). They are read once; one that is not there, or can't be read, says nothing."""
        key = (tuple(files) or DEFAULT_FILES, host.lower(), address, port)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._look_up(*key)
            return self._known[key]

    def at_once(self, files: Sequence[str], host: str, address: str, port: int) -> Known | None:
        """As `known`, but None if that would read a file or compute hashes."""
        key = (tuple(files) or DEFAULT_FILES, host.lower(), address, port)
        if not self._lock.acquire(blocking=False):
            return None
        try:
            index = self._indexes.get(key[0])
            if key not in self._known and index is not None and not index.hashed.lines and not index.revoked.lines:
                self._known[key] = self._look_up(*key)
            return self._known.get(key)
        finally:
            self._lock.release()

    def _look_up(self, files: tuple[str, ...], host: str, address: str, port: int) -> Known:
        if files not in self._indexes:
            self._indexes[files] = _read(files)
        index = self._indexes[files]
        plain = tuple(dict.fromkeys(name for name in (host, address) if name))
        names = plain if port == DEFAULT_PORT else tuple(f"[{name}]:{port}" for name in plain)
        ip = _ip(address or host)
        known = self._parsed(names, ip, index)
        if names == plain:
            return known
        without_port = self._parsed(plain, ip, index)
        revoked = [*known.revoked, *without_port.revoked]  # a bad key is bad on any port
        if known.keys or known.authorities or not (without_port.keys or without_port.authorities):
            return replace(known, revoked=revoked)
        return replace(without_port, revoked=revoked)

    def _parsed(self, names: tuple[str, ...], ip: _Ip | None, index: _Index) -> Known:
        groups: dict[str, list[tuple[asyncssh.SSHKey, Line]]] = {"": [], _AUTHORITY: [], _REVOKED: []}
        for line in dict.fromkeys(index.lines(names, ip)):
            if line.data not in self._keys:
                self._keys[line.data] = _key(line.data)
            key = self._keys[line.data]
            if key is not None:
                groups[line.marker].append((key, line))
        return Known(names, index.files, groups[""], groups[_AUTHORITY], groups[_REVOKED])


def _read(files: Iterable[str]) -> _Index:
    index = _Index(tuple(files))
    for file in index.files:
        try:
            text = Path(file).expanduser().read_text(encoding="utf-8", errors="replace")
        except (OSError, RuntimeError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                index.add(file, number, line.strip())
    return index


def _key(data: str) -> asyncssh.SSHKey | None:
    try:
        return asyncssh.import_public_key(data)
    except asyncssh.KeyImportError:
        return None


def _ip(text: str) -> _Ip | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def refusal(host: str, known: Known, shown: bytes, said: str) -> HostError:
    """Why the key or certificate that *host* has *shown* did not pass; *said* is what asyncssh says of it."""
    try:
        key = asyncssh.import_public_key(_text(shown))
    except asyncssh.KeyImportError:
        hint = f"what ought to sign it stands in a line of {_AUTHORITY} in {known.files[0]}"
        return Untrusted(host, f"the host's certificate did not pass: {said}", hint=hint)
    has = _named(key)
    revoked = next((line for bad, line in known.revoked if bad == key), None)
    if revoked is not None:
        hint = "do not connect to it; the host needs a new key, made on the host"
        return Untrusted(host, f"the host's key {has} is revoked by {revoked.place}", hint=hint)
    if known.keys:
        places = ", ".join(f"{line.place} has {_named(old)}" for old, line in known.keys)
        file, name = known.keys[0][1].file, known.names[0]
        hint = (
            f"either the host was set up anew, or somebody else answers in its place: compare the fingerprint with the"
            f" host's own; then `ssh-keygen -R '{name}' -f {file}` and {_scan(known, key)}"
        )
        return Untrusted(host, f"the host's key has changed: it shows {has}, but {places}", hint=hint)
    own = "the host's own (`ssh-keygen -lf` of its key file there)"
    hint = f"compare the fingerprint with {own}, then {_scan(known, key)}"
    return Untrusted(host, f"the host's key {has} is not known: {_nowhere(known)}", hint=hint)


def _nowhere(known: Known) -> str:
    return f"{' or '.join(known.names)} is not in {' or '.join(known.files)}"


def _scan(known: Known, key: asyncssh.SSHKey) -> str:
    name, _, port = known.names[0].removeprefix("[").partition("]:")
    kind = key.get_algorithm().removeprefix("ssh-").partition("-")[0]
    return f"`ssh-keyscan {f'-p {port} ' if port else ''}-t {kind} {name} >> {known.files[0]}`"


def _named(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def _text(data: bytes) -> bytes:
    """A key's data of the wire as a line."""
    length = int.from_bytes(data[:4], "big")
    return data[4 : 4 + length] + b" " + base64.b64encode(data)
