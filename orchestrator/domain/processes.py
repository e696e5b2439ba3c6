"""Processes of a host: what a service left behind, who owns a port, whom a kill would hit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process that runs now. `started_at` is UTC, seconds since 1970, by the host's own clock: with it, a PID that
    was given out again is told from the one before. None, like an unknown parent, where the host does not tell."""

    pid: int
    name: str = ""
    parent: int | None = None
    started_at: float | None = None
