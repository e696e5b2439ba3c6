"""What a Windows service can be, and the next move for one *seen* in a state and *wanted* in another.

Room: domain. A table plus one rule; nothing here waits. Source of the states: SERVICE_STATUS of the Win32 API.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.commands import Commands
from orchestrator.domain.errors import Problem


class State(StrEnum):
    """The seven states of the service control manager, in .NET's words (`Get-Service` prints them)."""

    STOPPED = "Stopped"
    START_PENDING = "StartPending"
    STOP_PENDING = "StopPending"
    RUNNING = "Running"
    CONTINUE_PENDING = "ContinuePending"
    PAUSE_PENDING = "PausePending"
    PAUSED = "Paused"

    @property
    def pending(self) -> bool:
        """Whether Windows is on the way to another state."""
        return self in PENDING


DOWN = (State.STOPPED, State.STOP_PENDING)
"""The states of a service that does not run: neither up nor on its way up."""
PENDING = (State.START_PENDING, State.STOP_PENDING, State.CONTINUE_PENDING, State.PAUSE_PENDING)
BY_NUMBER = {
    1: State.STOPPED,
    2: State.START_PENDING,
    3: State.STOP_PENDING,
    4: State.RUNNING,
    5: State.CONTINUE_PENDING,
    6: State.PAUSE_PENDING,
    7: State.PAUSED,
}
"""The SCM's numbers: `sc.exe queryex` prints them, and they are never localised."""


class StartType(StrEnum):
    """When Windows starts the service by itself."""

    BOOT = "Boot"
    SYSTEM = "System"
    AUTOMATIC = "Automatic"
    AUTOMATIC_DELAYED = "AutomaticDelayed"
    MANUAL = "Manual"
    DISABLED = "Disabled"


class Control(StrEnum):
    """What can be asked of a service. RESUME is for one found Paused when it is wanted Running."""

    START = "start"
    STOP = "stop"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """What one host said of one service at one moment.

    `name` is spelled as the host spells it. `pid` is None when the host does not say (or no process runs);
    `checkpoint` rises while a pending service makes progress; `wait_hint_s` is what the service asked for.
    `required_by` and `requires` name services of the same host.
    """

    name: str
    state: State
    start_type: StartType | None = None
    display_name: str = ""
    pid: int | None = None
    checkpoint: int = 0
    wait_hint_s: float = 0.0
    win32_exit_code: int = 0
    service_exit_code: int = 0
    can_stop: bool | None = None
    requires: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a read: a service by its SCM name, taken literally, or by a wildcard pattern (`Orders.*`).

    Patterns know `*` and `?` alone and match without case, as the SCM compares. What is no service has a name with a
    slash in it (`domain.kinds`): the SCM is never asked about it. `by` are the programs of one that is known by them
    alone, `ways` further hosts that can be asked about it, if the first can't.
    """

    name: str
    pattern: bool = False
    by: Commands | None = None
    ways: tuple[str, ...] = ()

    def matches(self, name: str) -> bool:
        """Whether it is about the service *name*."""
        if not self.pattern:
            return self.name.lower() == name.lower()
        wanted = "".join({"*": ".*", "?": "."}.get(letter) or re.escape(letter) for letter in self.name)
        return re.fullmatch(wanted, name, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to one question.

    A literal name gives one status or a problem (code 1060 if there is no such service); a pattern gives any number
    in name order. A problem of one name leaves the others' answers whole.
    """

    asked: Asked
    found: tuple[ServiceStatus, ...] = ()
    problem: Problem | None = None


class Move(StrEnum):
    """What to do next for one service."""

    START = "start"
    STOP = "stop"
    RESUME = "resume"
    WAIT = "wait"
    DONE = "done"
    GIVE_UP = "give up"


MOVES: dict[tuple[State, State], Move] = {
    (State.STOPPED, State.RUNNING): Move.START,
    (State.START_PENDING, State.RUNNING): Move.WAIT,
    (State.STOP_PENDING, State.RUNNING): Move.WAIT,
    (State.RUNNING, State.RUNNING): Move.DONE,
    (State.CONTINUE_PENDING, State.RUNNING): Move.WAIT,
    (State.PAUSE_PENDING, State.RUNNING): Move.WAIT,
    (State.PAUSED, State.RUNNING): Move.RESUME,
    (State.STOPPED, State.STOPPED): Move.DONE,
    (State.START_PENDING, State.STOPPED): Move.WAIT,
    (State.STOP_PENDING, State.STOPPED): Move.WAIT,
    (State.RUNNING, State.STOPPED): Move.STOP,
    (State.CONTINUE_PENDING, State.STOPPED): Move.WAIT,
    (State.PAUSE_PENDING, State.STOPPED): Move.WAIT,
    (State.PAUSED, State.STOPPED): Move.STOP,
}
"""Total: seven states by two goals. A pending service is waited out before anything is asked of it."""


def next_move(seen: State, wanted: State, *, asked: bool) -> Move:
    """Decide what to do for a service *seen* in one state and *wanted* in another.

    *asked* says whether this step already sent its control. Back at Stopped after a start was asked means that Windows
    tried and failed: GIVE_UP, for asking again would start a crashing service in a loop. Still Running after a stop was
    asked means that the service has not begun to stop yet: WAIT, until the deadline says otherwise.
    """
    move = MOVES[seen, wanted]
    if not asked or move in (Move.WAIT, Move.DONE):
        return move
    return Move.GIVE_UP if move is Move.START else Move.WAIT
