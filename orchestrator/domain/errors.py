"""Every error that orch raises on purpose, and what each asks of the person who reads it.

    OrchError                  exit 1
      BadInput                 exit 2   the command line, or something it names
        Mistakes               exit 2   playbook and inventory: all mistakes at once, each with its place
        SecretError            exit 2   a reference that leads to no secret
        PlanRefused            exit 2   the live state does not allow it (lives in `domain.planning.refusals`)
      Declined                 exit 5   a person said no before anything was touched
      Locked                   exit 7   another run holds what this one needs, or another process this run
        LeaseLost              exit 7   another process has taken this run over: this one acts no more
      Drifted                  exit 8   the live state is not what was frozen
      HostError                         one exchange with one host did not give an answer that can be used
        Unreachable                     no connection, a cut one, or silence; may be tried again
        Untrusted                       the host's certificate did not pass; the same until somebody changes something
        QuotaExceeded                   the host has no shell or operation left; may be tried again
        ProtocolError                   the answer was garbage or half; may be tried again
        AuthRejected                    never tried again with the same secret
        Refused                         the host understood and said no: a `Problem` says why
      TemplateError                     a Jinja2 text that can't be rendered

Errors carry data; the text is made from it. `hint` is the next thing to type or to look at.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class OrchError(Exception):
    """The base: everything that orch says on purpose. `exit_code` is the process's."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BadInput(OrchError):
    """The command can't be carried out as typed. Nothing was touched."""

    exit_code = 2


class Mark(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Mistake(NamedTuple):
    """One thing that is wrong in a playbook or an inventory, and what would be right."""

    mark: Mark
    wrong: str
    right: str = ""

    def __str__(self) -> str:
        return f"{self.mark}: {self.wrong}" + (f"\n    {self.right}" if self.right else "")


class Mistakes(BadInput):
    """All the mistakes that were found, in file order. Nothing was touched."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        count = len(self.mistakes)
        super().__init__(
            "\n".join(map(str, self.mistakes)), hint=f"{count} mistake{'s' * (count != 1)}; nothing was touched"
        )


class Gathered:
    """Mistakes of several readings, so that all are reported at once."""

    def __init__(self) -> None:
        self._mistakes: list[Mistake] = []

    def value(self, read: Callable[[], T]) -> T | None:
        """What *read* returns; None if it raises Mistakes, which are kept."""
        try:
            return read()
        except Mistakes as found:
            self.add(found.mistakes)
            return None

    def add(self, mistakes: Iterable[Mistake]) -> None:
        """Keep mistakes that were found in another way."""
        self._mistakes += mistakes

    def check(self) -> None:
        """Raise what was kept, if anything was."""
        if self._mistakes:
            raise Mistakes(self._mistakes)


class Declined(OrchError):
    """The person who was asked said no. Nothing was touched."""

    exit_code = 5


class Locked(OrchError):
    """Another run holds units that this one needs, or another process holds this run. Nothing was touched."""

    exit_code = 7


class LeaseLost(Locked):
    """Another process took this run over. Nothing of that call is on disk, and this process acts no more."""


class Drifted(OrchError):
    """The live state is not what was frozen, in ways that matter. Nothing was touched."""

    exit_code = 8


class TemplateError(OrchError):
    """A Jinja2 text that can't be rendered; the message says which name or syntax is wrong."""


class SecretError(BadInput):
    """A secret reference that leads nowhere. Never holds the secret."""


class ProblemKind(StrEnum):
    """What kind of failure it was: the words that policies and reports sort by."""

    UNREACHABLE = "unreachable"
    QUOTA = "quota"
    PROTOCOL = "protocol"
    AUTH = "auth"
    REFUSED = "refused"
    REMOTE = "remote error"
    TIMEOUT = "timeout"
    GATE = "gate"
    MISSING = "missing"
    ORPHAN = "orphan"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure as data.

    `text` is the failure as the host gave it (localised, never markup); `code` is the Win32 error number, if one is
    known from numbers or ids, never guessed from localised words; `hint` is what to do about it, in orch's words.
    """

    kind: ProblemKind
    text: str
    code: int | None = None
    hint: str = ""


class HostError(OrchError):
    """One exchange with one host gave no usable answer.

    `sent` says whether the request may have reached the host: True means that whatever it asked for may have happened,
    so the state must be read before anything is asked again.
    """

    kind = ProblemKind.REMOTE

    def __init__(self, host: str, text: str, *, sent: bool = False, hint: str = "") -> None:
        super().__init__(f"{host}: {text}", hint=hint)
        self.host = host
        self.text = text
        self.sent = sent

    @property
    def problem(self) -> Problem:
        """The failure as data, for results and facts."""
        return Problem(self.kind, self.text, hint=self.hint)


class Unreachable(HostError):
    """No connection, a connection that broke, or a host that went silent."""

    kind = ProblemKind.UNREACHABLE


class Untrusted(HostError):
    """The host's certificate did not pass, so nothing was said to it: no host that we know can be reached there."""

    kind = ProblemKind.UNREACHABLE


class QuotaExceeded(HostError):
    """The host's WinRM or SSH limits allow no further shell or operation now."""

    kind = ProblemKind.QUOTA


class ProtocolError(HostError):
    """The answer was not one: garbage, half of one, or another request's."""

    kind = ProblemKind.PROTOCOL


class AuthRejected(HostError):
    """The host refused the credentials. Trying the same secret again would lock the account."""

    kind = ProblemKind.AUTH


class Refused(HostError):
    """The host answered, and the answer was no."""

    def __init__(self, host: str, problem: Problem) -> None:
        super().__init__(host, problem.text, sent=True)
        self._problem = problem
        self.kind = problem.kind

    @property
    def problem(self) -> Problem:
        return self._problem


TRANSIENT = (Unreachable, QuotaExceeded, ProtocolError)
"""The errors after which the same exchange may be tried again, on a new session (a read at once, a control only if
it was not sent)."""
