"""The live state as it was read before a plan was frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain.connection import Transport
from orchestrator.domain.errors import Problem
from orchestrator.domain.keep_down import Record
from orchestrator.domain.service import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSurvey:
    """What one host said: a reading for each question asked of it, or the problem that kept it from answering.

    `detour` says how the host was reached and why, if not by the first of its ways; `transport` is the wire (None:
    several, or not known). `clustered` has the services that a failover cluster owns, by SCM name in lower case, and as
    what; `roles` which of its roles they belong to, as far as that is known; `cluster_unread` says why a node does not
    tell that. `booted_at` is when the host started, by its own clock.
    `dependents` are the services that need those of `readings` and are not among them, where that was asked.
    """

    host: str
    readings: tuple[Reading, ...] = ()
    problem: Problem | None = None
    detour: str = ""
    transport: Transport | None = None
    clustered: Mapping[str, str] = field(default_factory=dict)
    cluster_unread: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    kept_down: Mapping[str, Record] = field(default_factory=dict)
    booted_at: float | None = None
    dependents: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """All hosts that were asked, by inventory name."""

    hosts: Mapping[str, HostSurvey] = field(default_factory=dict)

    @property
    def unreachable(self) -> tuple[HostSurvey, ...]:
        """The hosts that gave no answer, in the order asked."""
        return tuple(found for found in self.hosts.values() if found.problem is not None)

    @property
    def reached(self) -> "Survey":
        """The hosts that gave an answer alone."""
        return Survey({host: found for host, found in self.hosts.items() if found.problem is None})

    @property
    def clusters_unread(self) -> dict[str, str]:
        """The hosts that do not tell what a failover cluster owns there, and why."""
        return {found.host: found.cluster_unread for found in self.hosts.values() if found.cluster_unread}

    @property
    def detours(self) -> dict[str, str]:
        """The hosts that were not reached by the first of their ways, and how and why."""
        return {found.host: found.detour for found in self.hosts.values() if found.detour}
