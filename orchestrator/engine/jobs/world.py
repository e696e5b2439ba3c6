"""What use cases are given: the way to the hosts, the books of the state folder, and who is acting."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.domain.facts import MadeFrom
from orchestrator.engine.book_ports import Decisions, Journal, Locks, Owner, Snapshots
from orchestrator.engine.ports import Hosts, LocalCommand, Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports that every use case needs. `controller` are the hosts that are this very machine."""

    hosts: Hosts
    probe: Probe
    local: LocalCommand
    controller: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What is written down and shared by everybody who uses the same state folder; one object may answer all ports.

    `clock` is the one that stamps facts: UTC, seconds since 1970. It may jump; what must not uses the event loop's.
    """

    journal: Journal
    locks: Locks
    decisions: Decisions
    snapshots: Snapshots
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Who begins or resumes a run, where, with which words (without secrets), from which files, of which run or tag.

    `pid`, `pid_started` and `pids` are those of `Owner`; without them only the lease tells others whether this process
    lives.
    """

    run: str
    requester: str
    controller: str
    command: str
    made_from: MadeFrom = MadeFrom()
    of: str = ""
    pid: int = 0
    pid_started: float = 0.0
    pids: str = ""

    @property
    def owner(self) -> Owner:
        """This process, as a holder of locks."""
        return Owner(
            requester=self.requester,
            controller=self.controller,
            pid=self.pid,
            pid_started=self.pid_started,
            pids=self.pids,
        )
