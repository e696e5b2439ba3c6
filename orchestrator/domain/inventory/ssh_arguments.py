"""The arguments of OpenSSH's client that an inventory may hold: those that mean something to orch, and no others."""

import re
import shlex
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

from orchestrator.domain import durations
from orchestrator.domain.inventory.connection_values import Reader
from orchestrator.domain.inventory.connection_variables import SSH_ARGUMENTS

ValueT = TypeVar("ValueT")

OPTIONS = (
    "CertificateFile", "ConnectTimeout", "IdentitiesOnly", "IdentityAgent", "IdentityFile", "ProxyJump",
    "ServerAliveInterval", "StrictHostKeyChecking", "UserKnownHostsFile",
)  # fmt: skip
"""What `-o` may say."""
LETTERS = {"-J": "ProxyJump", "-i": "IdentityFile", "-F": "-F"}
"""What has a letter of its own."""
WITHOUT_EFFECT = (
    "BatchMode", "Compression", "ControlMaster", "ControlPath", "ControlPersist", "LogLevel", "ServerAliveCountMax",
    "TCPKeepAlive",
)  # fmt: skip
"""Options of OpenSSH's client that orch, which keeps one connection and never asks in the middle, has no use for."""
LETTERS_WITHOUT_EFFECT = ("-C", "-q", "-T", "-v")
INSTEAD = {
    "hostname": "write ansible_host",
    "globalknownhostsfile": "write UserKnownHostsFile; it may name several files",
    "port": "write ansible_port",
    "-p": "write ansible_port",
    "user": "write ansible_user",
    "-l": "write ansible_user",
    "proxycommand": "write ProxyJump: orch starts no program in between",
}
"""What to write in the place of others."""

_ONE = ("CertificateFile", "IdentityFile")
"""Options of which OpenSSH would use all that are said, and orch uses one."""
_OPTION = {name.lower(): name for name in OPTIONS}
_USELESS = {name.lower() for name in WITHOUT_EFFECT}


class _Said(NamedTuple):
    variable: str
    option: str
    value: str


class Arguments:
    """What the arguments of one host say, by option in lower case. Of an option said twice the first counts.

    Reads `SSH_ARGUMENTS` of *reader* and notes what is wrong there.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._said: dict[str, _Said] = {}
        for variable in SSH_ARGUMENTS:
            for said in self._read(variable):
                first = self._said.setdefault(said.option.lower(), said)
                if said.option in _ONE and first.value != said.value:
                    more = f"{first.value} and {said.value}: more than one"
                    self.wrong(said.option.lower(), more, "name one; an agent may hold more")

    def wrong(self, option: str, wrong: str, right: str = "") -> None:
        """Note a mistake in what *option* says."""
        said = self._said[option]
        self._wrong(said.variable, f"{said.option}: {wrong}", right)

    def _wrong(self, variable: str, wrong: str, right: str = "") -> None:
        """Note a mistake in *variable*; without the words of a value that was encrypted."""
        hidden = self._reader.hidden(variable)
        told = f"{hidden} can't be used as arguments of ssh; its words are not shown" if hidden else wrong
        self._reader.wrong(variable, f"{variable}: {told}", "" if hidden else right)

    def text(self, option: str) -> str:
        """What *option* says; "" if it is not there."""
        said = self._said.get(option)
        return said.value if said else ""

    def word(self, option: str, offered: Mapping[str, ValueT], *, default: ValueT) -> ValueT:
        """One of *offered*."""
        text = self.text(option)
        if text and text.lower() not in offered:
            right = f"known: {', '.join(offered)}"
            if text.lower() == "accept-new":
                right = "orch writes no known_hosts: connect once by ssh, or collect the keys with ssh-keyscan"
            self.wrong(option, f"{text!r} is not known", right)
        return offered.get(text.lower(), default) if text else default

    def seconds(self, option: str, default: float) -> float:
        """A duration."""
        text = self.text(option)
        try:
            return durations.seconds(text.lower()) if text else default
        except ValueError as error:
            self.wrong(option, str(error))
            return default

    def path(self, option: str) -> str:
        """One path; "" if none is said. `none` stays as it is."""
        return next(iter(self.paths(option, most=1)), "")

    def paths(self, option: str, *, most: int = 100) -> tuple[str, ...]:
        """Paths, blanks between them. A relative one starts at the folder of the file that it stands in."""
        said = self._said.get(option)
        if said is None:
            return ()
        try:
            paths = shlex.split(said.value) if most > 1 else [said.value]
        except ValueError:
            self.wrong(option, "a quote is not closed")
            return ()
        for path in paths:
            if path == "none" and option != "-f":
                self.wrong(option, "'none' is no file", "leave it out, or write /dev/null")
            if "%" in path or "${" in path:
                self.wrong(option, f"{path!r}: tokens are not replaced", "write the path out; ~ is the home folder")
        return tuple(path if path == "none" else self._reader.beside(said.variable, path) for path in paths)

    def _read(self, variable: str) -> Iterator[_Said]:
        try:
            words = shlex.split(self._reader.text((variable,)))
        except ValueError:
            self._wrong(variable, "a quote is not closed")
            return
        while words:
            word = words.pop(0)
            if word in LETTERS_WITHOUT_EFFECT:
                continue
            letter, value = word[:2], word[2:]
            if letter not in ("-o", *LETTERS):
                self._refuse(variable, word)
                while words and not words[0].startswith("-"):
                    words.pop(0)  # what belongs to an unknown argument is no mistake of its own
                continue
            if not value and not words:
                self._wrong(variable, f"{letter} says nothing", f"write {letter} and a value")
                continue
            value = value or words.pop(0)
            said = self._option(variable, value) if letter == "-o" else _Said(variable, LETTERS[letter], value)
            if said is not None:
                yield said

    def _option(self, variable: str, text: str) -> _Said | None:
        name, _, value = re.sub(r"\s*=\s*|\s+", "=", text.strip(), count=1).partition("=")
        if name.lower() in _USELESS:
            return None
        if name.lower() not in _OPTION:
            self._refuse(variable, name)
            return None
        if not value:
            self._wrong(variable, f"{name} says nothing", f"write {name}=VALUE")
            return None
        return _Said(variable, _OPTION[name.lower()], value)

    def _refuse(self, variable: str, what: str) -> None:
        right = INSTEAD.get(what[:2] if what.startswith("-") else what.lower())
        if right is None:
            near = [] if what.startswith("-") else get_close_matches(what.lower(), sorted(_OPTION), n=1)
            known = ", ".join((*OPTIONS, *LETTERS))
            right = f"the nearest known one is {_OPTION[near[0]]}" if near else f"known: {known}"
        self._wrong(variable, f"{what} is not supported", right)
