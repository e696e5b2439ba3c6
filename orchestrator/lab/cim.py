"""Windows' management service of a virtual host: two classes, and filters of WQL."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.lab.host import Host
from orchestrator.lab.processes import Process

_TERM = re.compile(r"\s*(\w+)\s*(=|<>|!=|<=|>=|<|>)\s*(?:(\d+)|'([^']*)'|\"([^\"]*)\")\s*")
_JOIN = re.compile(r"(?i)\bor\b")
_ALSO = re.compile(r"(?i)\band\b")
_PROPERTIES: Mapping[str, Callable[[Process], int | str]] = {
    "processid": lambda process: process.pid,
    "parentprocessid": lambda process: process.parent,
    "name": lambda process: process.name.casefold(),
    "handle": lambda process: str(process.pid),
}


class NoSuchClass(ValueError):
    """There is no class of that name."""


class NoAnswer(OSError):
    """The management service is broken."""


class BadQuery(ValueError):
    """The filter can't be read."""


@dataclass(frozen=True, slots=True)
class System:
    """Win32_OperatingSystem: when it started, by its own clock."""

    booted_at: float


def instances(host: Host, name: str, wanted: str) -> list[System] | list[Process]:
    """What *host* has of the class *name*; of Win32_Process, those for which *wanted* holds. Raises NoSuchClass,
    BadQuery, NoAnswer."""
    if "no-cim" in host.faults:
        raise NoAnswer
    if name.casefold() == "win32_operatingsystem":
        return [System(host.booted_at)]
    if name.casefold() != "win32_process":
        raise NoSuchClass(name)
    alternatives = (
        [[_term(part) for part in _ALSO.split(one)] for one in _JOIN.split(wanted)] if wanted.strip() else [[]]
    )
    return [one for one in host.scm.processes if any(all(test(one) for test in tests) for tests in alternatives)]


def _term(text: str) -> Callable[[Process], bool]:
    match = _TERM.fullmatch(text)
    name = match[1].casefold() if match else ""
    if match is None or name not in _PROPERTIES:
        raise BadQuery(text)
    operator, number = match[2], match[3]
    value: int | str = int(number) if number is not None else (match[4] or match[5] or "").casefold()

    def test(process: Process) -> bool:
        held = _PROPERTIES[name](process)
        if isinstance(held, int) != isinstance(value, int):
            held, other = str(held), str(value)
            return _compare(operator, held, other)
        return _compare(operator, held, value)

    return test


def _compare(operator: str, held: int | str, value: int | str) -> bool:
    if operator == "=":
        return held == value
    if operator in ("<>", "!="):
        return held != value
    below, above = str(held) < str(value), str(held) > str(value)
    if isinstance(held, int) and isinstance(value, int):
        below, above = held < value, held > value
    return {"<": below, ">": above, "<=": not above, ">=": not below}[operator]
