"""What use cases are given: the way to the hosts, and who is acting."""

from dataclasses import dataclass

from orchestrator.domain.facts import MadeFrom
from orchestrator.engine.ports import Hosts, LocalCommand, Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports that every use case needs. `controller` are the hosts that are this very machine."""

    hosts: Hosts
    probe: Probe
    local: LocalCommand
    controller: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Who began a run, where, with which words (without secrets), from which files, and of which run or tag."""

    run: str
    requester: str
    controller: str
    command: str
    made_from: MadeFrom = MadeFrom()
    of: str = ""
