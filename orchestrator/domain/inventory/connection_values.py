"""Reads connection variables one kind of value at a time, and collects what is wrong with them."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar

from orchestrator.domain import durations
from orchestrator.domain.errors import Mark, Mistake, SecretError
from orchestrator.domain.inventory import ranges
from orchestrator.domain.inventory.connection_variables import OURS
from orchestrator.domain.inventory.rendering import Rendered, VariableError
from orchestrator.domain.secrets import OPEN, Secret, shown

ValueT = TypeVar("ValueT")

_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "1", "y", "t"), True),
    **dict.fromkeys(("false", "no", "off", "0", "n", "f"), False),
}
_ADDRESS = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?")
"""Its parts may have 63 characters: the system's look-up fails on others in ways of its own."""


def is_plain_address(text: str) -> bool:
    """Whether *text* can be taken for a host name or an IPv4 address as it is."""
    if _ADDRESS.fullmatch(text) is None:
        return False
    try:
        return text.isascii() or bool(text.encode("idna"))
    except UnicodeError:
        return False


class Reader:
    """The connection variables of one host. Of several *names* for one thing, the last one that is set counts.

    `names` are those that the host has. A value that is wrong is noted in `mistakes`, and the default is handed out in
    its place.
    """

    def __init__(self, variables: Rendered) -> None:
        self.mistakes: list[Mistake] = []
        self._variables = variables
        self._encrypted: dict[str, str] = {}
        self.names = frozenset(name for name in variables if name.startswith(OURS))

    def wrong(self, name: str, wrong: str, right: str = "") -> None:
        """Note a mistake at the variable *name*, or at whatever else the host has to show."""
        if name in self._variables:
            mark = self._variables.mark(name)
        else:
            marks = [self._variables.mark(one) for one in self.names]
            mark = min(marks) if marks else self._variables.mark(name)
        self.mistakes.append(Mistake(mark, wrong, right))

    def given(self, names: Sequence[str]) -> str | None:
        """Which of *names* counts; None if none is set."""
        for name in reversed(names):
            if name in self.names:
                return name
        return None

    def _raw(self, names: Sequence[str]) -> tuple[str, object]:
        name = self.given(names)
        if name is None:
            return "", None
        try:
            return name, self._variables[name]
        except VariableError as error:
            self.mistakes.append(Mistake(error.mark, str(error)))
            return name, None

    def _found(self, names: Sequence[str]) -> tuple[str, object]:
        """As `_raw`, with what ansible-vault has encrypted in plain: all but passwords is shown anyway."""
        name, value = self._raw(names)
        if not isinstance(value, str) or OPEN not in value:
            return name, value
        try:
            plain = self._variables.opened(value)
        except SecretError as error:
            self.wrong(name, f"{name}: {error}", error.hint)
            return name, None
        if plain != value:
            self._encrypted[name] = shown(value)
        return name, plain

    def _told(self, name: str, value: object) -> str:
        """*value* of *name* for a mistake: what was encrypted is not spelled out there."""
        return self._encrypted.get(name) or _told(value)

    def hidden(self, name: str) -> str:
        """What to show instead of the value of *name*; "" if ansible-vault has not encrypted it."""
        return self._encrypted.get(name, "")

    def text(self, names: Sequence[str], default: str = "") -> str:
        """A text; a number is taken as it is written."""
        name, value = self._found(names)
        if value is None:
            return default
        if isinstance(value, bool | dict | list):
            self.wrong(name, f"{name} is {self._told(name, value)}", "a text")
            return default
        text = str(value)
        if OPEN in text:
            self.wrong(name, f"{name} can't hold a secret", "secrets are for passwords and passphrases")
            return default
        return text

    def secret(self, names: Sequence[str]) -> Secret | None:
        """A password, references included; None if there is none."""
        name, value = self._raw(names)
        if value is None or isinstance(value, str):
            return Secret(value) if value else None
        # 0123 and 1e3 have lost their looks by now, so a number can't be taken for what was meant.
        wrong = f"{name} is not text for YAML"
        self.wrong(name, wrong, "put it in quotes; better: \"{{ secret('env:NAME') }}\"")
        return None

    def address(self, names: Sequence[str], default: str) -> str:
        """A host name or an IP address."""
        text = self.text(names, default)
        if is_plain_address(text) or ranges.is_ipv6(text.strip("[]")):
            return text.strip("[]")
        name = self.given(names) or names[0]
        self.wrong(name, f"{self._told(name, text)} is no address", "a host name or an IP address, without port")
        return default

    def port(self, names: Sequence[str]) -> int | None:
        """A port; None if none is given."""
        name, value = self._found(names)
        if value is None:
            return None
        text = str(value).strip()
        if not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535:
            return int(text)
        self.wrong(name, f"{name}: {self._told(name, value)} is no port", "a port is a number from 1 to 65535")
        return None

    def seconds(self, names: Sequence[str], default: float) -> float:
        """A duration of more than nothing, in seconds."""
        name, value = self._found(names)
        if value is None:
            return default
        try:
            seconds = durations.seconds(value) if isinstance(value, int | float | str) else 0.0
        except ValueError as error:
            self.wrong(name, f"{name}: {self._encrypted.get(name) or error}", "a number of seconds, 15s, 2m")
            return default
        if seconds <= 0:
            self.wrong(name, f"{name}: {self._told(name, value)} is too short", "a number of seconds above 0")
            return default
        return seconds

    def flag(self, names: Sequence[str], *, default: bool) -> bool:
        """Yes or no."""
        name, value = self._found(names)
        if value is None:
            return default
        if str(value).lower() in _FLAGS:
            return _FLAGS[str(value).lower()]
        self.wrong(name, f"{name}: {self._told(name, value)} is neither true nor false", "true or false")
        return default

    def choice(self, names: Sequence[str], offered: Mapping[str, ValueT], default: ValueT) -> ValueT:
        """One of *offered*, by its word."""
        chosen = self.choices(names, offered)
        if len(chosen) > 1:
            self.wrong(self.given(names) or names[0], f"{', '.join(sorted(chosen))}: more than one", "name one")
        return offered[min(chosen)] if chosen else default

    def choices(self, names: Sequence[str], offered: Mapping[str, object]) -> set[str]:
        """Words of *offered*: a list, or a text with commas. Empty if none is set."""
        return set(self.ordered(names, offered))

    def ordered(self, names: Sequence[str], offered: Mapping[str, object]) -> list[str]:
        """As `choices`, in the order in which they are written."""
        name, value = self._found(names)
        if value is None:
            return []
        words = value if isinstance(value, list) else str(value).split(",")
        chosen = [text for word in words if (text := str(word).strip().lower())]
        for word in sorted(set(chosen) - set(offered)):
            near = get_close_matches(word, list(offered), n=1)
            right = f"the nearest known one is {near[0]}" if near else f"known: {', '.join(offered)}"
            self.wrong(name, f"{name}: {self._told(name, word)} is not known", right)
        return [word for word in chosen if word in offered]

    def path(self, names: Sequence[str]) -> str:
        """A path; a relative one starts at the folder of the file that it stands in."""
        text = self.text(names)
        name = self.given(names)
        return self.beside(name, text) if name and text else text

    def beside(self, name: str, path: str) -> str:
        """*path*, which stands in the variable *name*; a relative one starts at the folder of the variable's file."""
        return _beside(self._variables.mark(name), path)


def _beside(mark: Mark, path: str) -> str:
    folder = max(mark.file.rpartition("/")[0], mark.file.rpartition("\\")[0], key=len)
    absolute = path.startswith(("/", "\\", "~")) or path[1:2] == ":"
    return path if absolute or not folder else f"{folder}/{path}"


def _told(value: object) -> str:
    text = shown(value if isinstance(value, str) else str(value))
    text = text if len(text) <= 60 else text[:57] + "..."
    return repr(text) if isinstance(value, str) else text
