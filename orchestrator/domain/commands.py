"""Programs that read, start and stop what the service control manager knows nothing of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """*exe* with *args* (no shell), done if it ends with one of `exit_codes`; empty: however it ends.

    Both may hold embedded secret references; whoever runs them resolves these.
    """

    exe: str
    args: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Three programs that stand for one object: `read` tells by its exit code where that is, one of `running` or of
    `stopped`; any other tells nothing."""

    read: Program
    start: Program
    stop: Program
    running: tuple[int, ...] = (0,)
    stopped: tuple[int, ...] = (1,)
