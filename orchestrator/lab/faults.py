"""How the lab misbehaves on request: the kinds, what their values may be, and which request a fault hits.

Everything here is deterministic: a fault holds from the moment it is set until it is cleared or its count is used up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNIT_KINDS = {
    "fails-to-start": "the error number (1067: starts and falls back; 1053, 1069: refused at once)",
    "hangs-on-stop": "StopPending until cleared; a number: until then its checkpoint rises so far",
    "hangs-on-start": "StartPending until cleared",
    "crashes-after": "seconds after Running (1)",
    "never-healthy": "its ports stay shut, http ones answer 503",
    "refuses": "access denied to controls",
    "missing": "not installed",
    "orphan": "seconds for which its process outlives a stop, ports and all; for ever without",
    "unkillable": "nobody may end its process",
    "revives": "seconds after which a recovery action starts it when it died (1)",
    "triggered": "seconds after each stop at which a trigger starts it (1)",
}
THING_KINDS = {
    "fails": "access denied to who would start or stop it",
    "hangs": "its programs never end",
    "hangs-on-move": "the programs that would start or stop it never end",
    "garbage": "what is read of it makes no sense",
}
"""Of what is no service."""
HOST_KINDS = {
    "down": "refuses connections and drops the open ones; winrm or ssh: of this wire alone",
    "slow": "seconds before each answer (1)",
    "drops": 'cuts the connection: "before" (default), "during", "after", or {"when", "count", "verb"}',
    "silent": 'stops in mid-answer: nothing, or {"count", "verb"}',
    "rejects-credentials": "lets nobody in",
    "no-cim": "Windows' management service is broken: Get-CimInstance fails",
    "no-registry": "access denied to reg.exe at HKLM\\SOFTWARE\\orch and below it",
    "garbage": 'answers nonsense: "text" (default) or "clixml" (half of each message), or {"what", "count", "verb"}',
    "quota": "no further shell; a number: so many commands in the life of each shell (SSH: channels of a connection)",
}

_AIMS = {
    "drops": ("when", ("before", "during", "after")),
    "garbage": ("what", ("text", "clixml")),
    "silent": ("when", ("during",)),
}
_NUMBERS: dict[str, tuple[float | None, type[int] | type[float]]] = {
    "fails-to-start": (1067, int),
    "crashes-after": (1.0, float),
    "slow": (1.0, float),
    "revives": (1.0, float),
    "triggered": (1.0, float),
    "hangs-on-stop": (None, int),
    "orphan": (None, float),
    "quota": (None, int),
}
"""What a fault's number is if none is given, None for no number, and its form."""
WIRES = ("winrm", "ssh")
"""What may be down by itself."""


class BadFault(ValueError):
    """The fault can't be set; the text says what is known."""


@dataclass(slots=True)
class Aim:
    """Which requests a wire fault hits. `verb`: a WSMan action or a command's name, any case; empty hits all.

    Over SSH a request is a command line (`exec`) or a line of standard input (`line`), and its commands are the
    programs, the verbs of `sc.exe` and the cmdlets in it. What aims at `connect` hits connections as they are made.
    `left` counts down with each hit; None never runs out.
    """

    how: str
    verb: str = ""
    left: int | None = None

    def hits(self, action: str, commands: str) -> bool:
        """Whether the fault strikes now; each True uses up one of its count."""
        if self.left == 0 or not self._wanted(action, commands):
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def _wanted(self, action: str, commands: str) -> bool:
        verb = self.verb.casefold()
        return not verb or verb == action.casefold() or verb in commands.casefold().split("\n")


def check_thing(kind: str, value: Any) -> str:
    """The fault of what is no service. Raises BadFault."""
    if kind not in THING_KINDS:
        raise _unknown(kind, "what is no service", THING_KINDS)
    if value not in (None, True):
        raise BadFault(f"{kind}: it has no value, got {value!r}")
    return kind


def _unknown(kind: str, whose: str, known: Mapping[str, str]) -> BadFault:
    return BadFault(f"unknown kind {kind!r} for {whose}; known: {', '.join(sorted(known))}")


def check(kind: str, value: Any, *, of_service: bool) -> Any:
    """The value in the form in which it is kept. Raises BadFault for an unknown kind or a wrong value."""
    known = UNIT_KINDS if of_service else HOST_KINDS
    if kind not in known:
        raise _unknown(kind, "a service" if of_service else "a host", known)
    if kind in _NUMBERS:
        default, form = _NUMBERS[kind]
        return True if default is None and value in (None, True) else _number(kind, value, default or 0, form)
    if kind in _AIMS:
        return _aim(kind, value, *_AIMS[kind])
    if kind == "down" and value not in (None, True):
        if value not in WIRES:
            raise BadFault(f"down: {value!r} is not one of {', '.join(WIRES)}")
        return value
    return True


def shown(value: Any) -> Any:
    """A kept value as JSON may hold it."""
    if isinstance(value, Aim):
        return {"how": value.how, "verb": value.verb, "left": value.left}
    return value


def _number(kind: str, value: Any, default: float, form: type[int] | type[float]) -> float:
    if value is None or value is True:
        return form(default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise BadFault(f"{kind}: expected a number, got {value!r}")
    return form(value)


def _aim(kind: str, value: Any, key: str, ways: tuple[str, ...]) -> Aim:
    if value is None or value is True:
        value = {}
    if isinstance(value, str):
        value = {key: value}
    if not isinstance(value, Mapping) or not set(value) <= {key, "count", "verb"}:
        raise BadFault(f"{kind}: expected one of {', '.join(ways)} or an object of {key}, count, verb; got {value!r}")
    how, verb, count = value.get(key, ways[0]), value.get("verb", ""), value.get("count")
    if how not in ways:
        raise BadFault(f"{kind}: {how!r} is not one of {', '.join(ways)}")
    if not isinstance(verb, str) or not (count is None or (isinstance(count, int) and count > 0)):
        raise BadFault(f"{kind}: verb is a text and count a positive number")
    return Aim(how, verb, count)
