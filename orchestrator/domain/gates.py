"""A gate: a health condition with a deadline that must hold before dependents go on.

Typed and rendered, as plans hold it.

Text fields may hold embedded secret references (`domain.secrets`); the adapter that uses them resolves them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from json import dumps

from orchestrator.domain.durations import spoken
from orchestrator.domain.numerous import numerous
from orchestrator.domain.secrets import shown
from orchestrator.domain.service import State

_SIGN_IN = re.compile(r"(?<=://)[^/?#]*@")


class Origin(StrEnum):
    """Where a probe is run from."""

    CONTROLLER = "controller"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCheck:
    """The SCM says *state* of the service (the unit's own when *name* is empty). Always read on the host."""

    state: State
    name: str = ""


@numerous(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """*host*:*port* accepts a TCP connection."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PortClosedCheck:
    """Nothing listens on TCP *port*, as the host's own listener table has it: from afar, filtered looks closed."""

    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """A request answers as wanted. Empty or None means: not looked at.

    `text` must occur in the body, `regex` must match somewhere in it, and every dotted path of `json` must hold its
    value. `status` lists what is accepted. `verify` False accepts any certificate; `ca` names a PEM file. `body` is
    sent as it is, if there is one; what it is, `headers` say.
    """

    url: str
    method: str = "GET"
    status: tuple[int, ...] = (200,)
    text: str = ""
    regex: str = ""
    json: tuple[tuple[str, str | int | float | bool | None], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    verify: bool = True
    ca: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCheck:
    """*exe* with *args* (no shell) ends with one of `exit_codes`, and its output holds `text` and matches `regex`."""

    exe: str
    args: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = (0,)
    text: str = ""
    regex: str = ""


Check = ServiceCheck | TcpCheck | PortClosedCheck | HttpCheck | CommandCheck


@numerous(frozen=True, slots=True, kw_only=True)
class Gate:
    """A check and its timing, in Kubernetes' words; all durations are seconds.

    The gate holds when `success_threshold` probes in a row held; it fails when `deadline_s` has passed. A `bound` one
    holds only while what listens on its port is the unit's own process or a child of it.
    """

    check: Check
    origin: Origin
    initial_delay_s: float = 0.0
    period_s: float = 2.0
    timeout_s: float = 5.0
    success_threshold: int = 1
    deadline_s: float = 120.0
    bound: bool = False

    @property
    def words(self) -> str:
        """The gate in a few words, without secrets: `tcp 10.0.0.4:1433 from controller`."""
        return f"{describe(self.check)} from {self.origin}"

    @property
    def in_full(self) -> str:
        """The gate with all that it wants, for who has to judge it beforehand: no secrets, no headers."""
        check, wants = self.check, ", ".join((*_wanted(self.check), *self._patience()))
        typed = "".join(f" {shown(word)}" for word in check.args) if isinstance(check, CommandCheck) else ""
        return f"{describe(check)}{typed} from {self.origin}: {wants}"

    def _patience(self) -> Iterator[str]:
        if self.bound:
            yield "by its own process"
        if self.success_threshold > 1:
            yield f"{self.success_threshold} times in a row"
        yield f"within {spoken(self.deadline_s)}"


def _wanted(check: Check) -> Iterator[str]:
    """What an answer has to be, piece by piece; nothing where the check says it all."""
    if isinstance(check, HttpCheck) and check.status:
        yield f"status {' or '.join(map(str, check.status))}"
    if isinstance(check, CommandCheck) and check.exit_codes:
        yield f"exit code {' or '.join(map(str, check.exit_codes))}"
    if isinstance(check, HttpCheck | CommandCheck):
        if check.text:
            yield f'"{shown(check.text)}" in it'
        if check.regex:
            yield f"/{shown(check.regex)}/ in it"
    for path, value in check.json if isinstance(check, HttpCheck) else ():
        yield f"{path} is {shown(value) if isinstance(value, str) else dumps(value)}"


def describe(check: Check) -> str:
    """A check in a few words, safe to show: headers, bodies and a sign-in in a URL are left out."""
    match check:
        case ServiceCheck(state=state, name=name):
            return f"service {name + ' ' if name else ''}{state}"
        case TcpCheck(host=host, port=port):
            return f"tcp {shown(host)}:{port}"
        case PortClosedCheck(port=port):
            return f"port {port} closed"
        case HttpCheck(method=method, url=url):
            return f"http {method} {_SIGN_IN.sub('', shown(url))}"
        case CommandCheck(exe=exe):
            return f"command {shown(exe)}"
