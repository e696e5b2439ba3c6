"""What the engine asks of the world. A port promises errors, cancellation and concurrency, not just types.

Every port ships with an in-memory twin that keeps state, and one contract suite that runs against both. An
adapter's method never raises anything but what is named here, and `asyncio.CancelledError`.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from orchestrator.domain.connection import Connection, Transport
from orchestrator.domain.decisions import Answer
from orchestrator.domain.errors import Problem
from orchestrator.domain.facts import Fact, OrderTaken
from orchestrator.domain.gates import HttpCheck
from orchestrator.domain.policy import Notice
from orchestrator.domain.processes import Process
from orchestrator.domain.results import Note, Result, Step
from orchestrator.domain.service import Asked, Control, Reading


@dataclass(frozen=True, slots=True)
class ControlAnswer:
    """What the host has said about a control so far. `ended` False: it still waits, as Stop-Service does for ever."""

    ended: bool
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What `orch check` wants to know of a host. `clock_skew_s` is host minus controller; None: it can't be read."""

    transport: str
    computer_name: str = ""
    version: str = ""
    clock_skew_s: float | None = None
    sids: tuple[str, ...] = ()
    """The SIDs of the account that we act as and of its groups; empty when they can't be read."""


class HostServices(Protocol):
    """One host's services, whatever wire leads to it.

    Raises: only HostError and its kin. `HostError.sent` False promises that the host was not asked.
    Cancellation: allowed at every await; what was sent is not undone. Concurrency: one `read` at a time; `request` and
    `answer` may run beside it, for different services. The session is opened by the first call, dropped after any
    transport error, and opened anew by the next call. The same secret is never tried again after AuthRejected.
    """

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        """The states now, never cached: all questions in one exchange, answered in the order asked."""

    async def request(self, name: str, control: Control) -> None:
        """Hand one control over. Returns once the host took it, not once it is done; its errors come by `answer`."""

    async def answer(self, name: str) -> ControlAnswer:
        """What the host said to the last control of *name*, without waiting for it.

        After `ended` the control is forgotten. A control whose session was lost answers `ended` with a problem of
        kind unreachable: read the state.
        """

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        """The security descriptor of each service in SDDL, or why it can't be read. Read-only; one exchange."""

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        """Those of *pids* that run now, never cached, in the order asked; one exchange, read-only. May run beside
        `read`. What can't be told of a process (by `sc` control its start and parent) is None; its being there never
        is."""

    async def facts(self) -> HostFacts:
        """Who and what answers. Read-only."""

    def booted_at(self) -> float | None:
        """When the host started, by its own clock (UTC, seconds since 1970, a second more or less), as a read before
        this told; None: it does not say. O(1)."""

    async def aclose(self) -> None:
        """Free what is held on the host. Never raises; bounded in time; safe to call twice."""


OUTPUT_MOST = 64 * 1024
"""Bytes of a program's output that are handed over at most."""


def may_be_cut(output: str) -> bool:
    """Whether a program may have printed more than *output*. A cut may have dropped the bytes of half a character."""
    return len(output.encode()) > OUTPUT_MOST - 4


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What a program printed (stdout, then stderr, decoded, at most OUTPUT_MOST bytes) and how it ended.

    `exit_code` is None when it is not known.
    """

    exit_code: int | None
    output: str


class HostCommand(Protocol):
    """Run one program on one host: `exe` and `args`, never a shell line. Raises and cancels as HostServices does."""

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """Run and wait at most *timeout_s*; past it HostError with `sent` True. `exe` and `args` may hold secret
        references."""


class LocalCommand(Protocol):
    """Run one program on the controller: `exe` and `args`, never a shell line.

    Raises: OSError when it can't be run, TimeoutError past the time (the program is then ended).
    """

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """Run and wait at most *timeout_s*. Arguments may hold secret references."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One probe's verdict: whether it held, and what it saw, in a few words without secrets.

    `lost`: the request may have arrived, and nothing tells what became of it; only HTTP tells that. `answered`: an
    answer came, and it was not the wanted one: HTTP's with its `status`, or a connection that was refused, for TCP
    asks no more than that. Only where it did not hold.
    """

    held: bool
    saw: str
    lost: bool = False
    answered: bool = False
    status: int | None = None


class Probe(Protocol):
    """Probes from the controller, each bounded by *timeout_s*. Never raises: what goes wrong is what was seen."""

    async def tcp(self, host: str, port: int, *, timeout_s: float) -> Seen:
        """Whether a TCP connection is accepted."""

    async def http(self, check: HttpCheck, *, timeout_s: float) -> Seen:
        """Whether a request answers as wanted. Redirects are not followed; proxies of the environment are not used."""


class SignIn(Protocol):
    """One try of one secret on one host. Whoever was given it ends it: the first end counts, further ones don't."""

    secret: str | None
    """The secret itself, resolved; None where none is used (a ticket, a key without a passphrase)."""

    def end(self, *, accepted: bool | None) -> None:
        """It was accepted or rejected, or something else went wrong (None). Safe to call from the event loop only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordQuestion:
    """A secret was rejected, and so was what its source gives now. `source` names it and never holds it.

    `rejected_by` are hosts, by name; `waiting` is how many hosts want a secret that serves them.
    """

    user: str
    source: str
    rejected_by: tuple[str, ...]
    waiting: int


AskPassword = Callable[[PasswordQuestion], Awaitable[str | None]]
"""Ask a person for the right password; None or "": there is none. May be cancelled: the question is withdrawn."""


class Credentials(Protocol):
    """Which secrets may be tried where, so that a wrong one locks no account. One for all hosts and wires.

    After two rejections with no acceptance since, a secret is used nowhere any more: it is resolved anew, once, and
    then one question is asked for all who wait. Hosts that accepted it may go on with it until one of them rejects it.
    A host that rejected a secret gets another or none, whoever asks for it and how often.
    """

    async def check(self, connection: Connection) -> None:
        """What `sign_in` would raise now, before anything is connected. Waits for a source or a person, not for a turn;
        takes no turn."""

    async def sign_in(self, connection: Connection) -> SignIn:
        """Wait until the secret of *connection* may be tried on its host. May wait for a person; may be cancelled.

        Raises: AuthRejected if it must not be tried there (nothing was sent, and it stays so until something changes);
        HostError if its reference leads nowhere.
        """


class Hosts(Protocol):
    """Everything that leads to hosts, by inventory name. The same object per host for the life of the process."""

    def transport(self, host: str) -> Transport | None:
        """The wire by which *host* is reached; None if its ways lead over several. O(1)."""

    def detour(self, host: str) -> str:
        """In words how *host* is reached and why, if not by the first of its ways: `ssh; psrp failed: ...`.

        "" as long as the first way holds. O(1).
        """

    def services(self, host: str) -> HostServices:
        """The host's services."""

    def command(self, host: str) -> HostCommand:
        """The host's programs."""

    async def aclose(self) -> None:
        """Close every session, side by side, within a few seconds. Never raises."""


class Order(StrEnum):
    """What may come in from outside while a run goes on. PARK: nobody can be asked here any more."""

    CANCEL = "cancel"
    WINDOW_CLOSED = "window closed"
    PARK = "park"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductorPorts:
    """All that the conductor can reach.

    `run` carries out one step and never raises; `append` returns once the facts are on disk, and is called by one
    task at a time; `orders` returns the next order from outside and may wait for ever; it is cancelled at the end.
    `ask` returns the answer to an open decision, a timeout's included, and may wait for ever; it is cancelled when the
    decision is withdrawn. `patient`: an open decision is waited for; else the conductor returns when nothing but
    answers is left to wait for (an order PARK has the same effect from then on).
    """

    run: Callable[[Step], Coroutine[Any, Any, Result]]
    append: Callable[[Sequence[Fact]], Awaitable[None]]
    orders: Callable[[], Awaitable[OrderTaken]]
    ask: Callable[[int], Coroutine[Any, Any, Answer]]
    patient: bool = True


NoteTaker = Callable[[Note], None]
"""Takes notes for the eyes. Must return at once and never raise."""


class Notifier(Protocol):
    """Tells people. Never raises and never holds anything up: what goes wrong is returned as words."""

    async def send(self, notice: Notice, event: Mapping[str, Any]) -> str:
        """Render and send; "" if it was handed over, else why not. *event* is what templates see."""
