"""Who answers a port, and what a command line's files become: the one place that knows the adapters. No decisions.

An adapter is imported by the function that chooses it: `orch validate` pays for no wire and no journal.
"""

import os
import shlex
import socket
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_state_path

from orchestrator.adapters.documents.project_files import load_both, load_inventory
from orchestrator.adapters.secrets import SecretStore
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.adapters.vault import Vault
from orchestrator.domain.connection import Connection, Transport
from orchestrator.domain.draft import Draft
from orchestrator.domain.drafting.drafting import draft
from orchestrator.domain.errors import Gathered
from orchestrator.domain.inventory import patterns
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.reach import Reach
from orchestrator.domain.secrets import VaultPassword

if TYPE_CHECKING:
    from orchestrator.adapters.journal.sqlite import SqliteJournal
    from orchestrator.engine.jobs.world import Header, World
    from orchestrator.engine.ports import AskPassword, Hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A playbook and its inventory, loaded without a mistake; `connections` has the ways to each host that it names."""

    draft: Draft
    inventory: Inventory
    connections: Mapping[str, Sequence[Connection]]
    secrets: SecretStore

    def select(self, typed: Sequence[str] | None) -> frozenset[str] | None:
        """The hosts of all patterns together; None if there is none. Raises BadInput."""
        return frozenset(host for one in typed for host in patterns.select(self.inventory, one)) if typed else None


def state_folder(typed: Path | None) -> Path:
    """Where runs are recorded: as typed (or ORCH_STATE_DIR), or the platform's state folder."""
    return typed or Path(os.environ.get("ORCH_STATE_DIR") or user_state_path("orch", appauthor=False))


def load(
    plan: Path, inventory: Sequence[Path] | None, *, answers: Mapping[str, str], vault: Sequence[VaultPassword] = ()
) -> Project:
    """Read playbook and inventory. *answers* are what was typed for `ask` secrets. Raises Mistakes: all of them."""
    safe = Vault(vault)
    secrets, render = SecretStore(answers, safe.reveal), Renderer()
    playbook, hosts = load_both(plan, inventory, safe)
    reach = Reach(hosts, render, ask="password" in answers, reveal=secrets.reveal)
    gathered = Gathered()
    made = gathered.value(lambda: draft(playbook, hosts, render, reach.address_of))
    gathered.value(reach.check)
    gathered.check()
    assert made is not None
    return Project(draft=made, inventory=hosts, connections=reach.made, secrets=secrets)


def load_hosts(
    plan: Path | None, inventory: Sequence[Path] | None, pattern: str, *, vault: Sequence[VaultPassword] = ()
) -> tuple[Inventory, Mapping[str, Sequence[Connection]]]:
    """The inventory alone, and the ways to the hosts of *pattern*. Raises Mistakes, BadInput."""
    safe = Vault(vault)
    hosts = load_inventory(plan, inventory, safe)
    reach = Reach(hosts, Renderer(), reveal=SecretStore(vault=safe.reveal).reveal)
    return hosts, reach.all(patterns.select(hosts, pattern))


@asynccontextmanager
async def world(project: Project, asked: Iterable[str], *, ask: "AskPassword | None" = None) -> "AsyncIterator[World]":
    """The real hosts, probes and programs, closed at the end. *asked* are the hosts that will be; *ask* asks a person.

    Raises SecretError: the way to a password of theirs is a dead end.
    """
    from orchestrator.adapters.addresses import ourselves, resolved
    from orchestrator.adapters.credentials import SharedCredentials, fetching
    from orchestrator.adapters.either import reaching
    from orchestrator.adapters.local_command import ControllerCommand
    from orchestrator.adapters.probe import ControllerProbe
    from orchestrator.engine.jobs.world import World

    fetch = fetching(project.secrets.reveal, project.secrets.forget)
    expected = chain.from_iterable(project.connections[host] for host in asked)
    credentials = SharedCredentials(fetch, expected, ask)
    await credentials.prepare()
    ways = await resolved(project.connections)

    def by_winrm(connections: Mapping[str, Connection]) -> "Hosts":
        from orchestrator.adapters.winrm.hosts import WinrmHosts

        return WinrmHosts(connections, credentials, project.secrets.reveal)

    def by_ssh(connections: Mapping[str, Connection]) -> "Hosts":
        from orchestrator.adapters.ssh.hosts import SshHosts

        return SshHosts(connections, credentials, project.secrets.reveal)

    hosts = reaching(ways, {Transport.PSRP: by_winrm, Transport.SSH: by_ssh})
    probe = ControllerProbe(project.secrets.reveal)
    try:
        local = ControllerCommand(project.secrets.reveal)
        yield World(hosts=hosts, probe=probe, local=local, controller=ourselves(ways))
    finally:
        await credentials.aclose()
        await hosts.aclose()
        await probe.aclose()


def journal(state: Path) -> "SqliteJournal":
    """The journal of the state folder."""
    from orchestrator.adapters.journal.sqlite import SqliteJournal

    return SqliteJournal(state)


def header(arguments: Sequence[str]) -> "Header":
    """Who begins a run now, and with which words: no option takes a secret."""
    from orchestrator.adapters.requester import requester
    from orchestrator.adapters.run_id import new_run_id
    from orchestrator.engine.jobs.world import Header

    typed = shlex.join(["orch", *arguments])
    return Header(run=new_run_id(), requester=requester(), controller=socket.gethostname(), command=typed)


def shipped(name: str) -> Path:
    """A file that comes with orch: from the checkout, or from inside the installed package."""
    inside = Path(__file__).parent
    return next(path for path in (inside.parent / name, inside / "shipped" / name) if path.exists())
