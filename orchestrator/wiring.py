"""Who answers a port, and what a command line's files become: the one place that knows the adapters. No decisions.

An adapter is imported by the function that chooses it: `orch validate` pays for no wire and no journal.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

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
    from orchestrator.engine.jobs.world import World
    from orchestrator.engine.ports import AskPassword, Hosts, Notifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """An inventory, and the ways to hosts of it, by name."""

    inventory: Inventory
    connections: Mapping[str, Sequence[Connection]]
    secrets: SecretStore

    def select(self, typed: Sequence[str] | None) -> frozenset[str] | None:
        """The hosts of all patterns together; None if there is none. Raises BadInput."""
        return frozenset(host for one in typed for host in patterns.select(self.inventory, one)) if typed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(Ways):
    """A playbook and its inventory, loaded without a mistake; `connections` has each host that the playbook names."""

    draft: Draft


def load(
    plan: Path, inventory: Sequence[Path] | None, *, answers: Mapping[str, str], vault: Sequence[VaultPassword] = ()
) -> Project:
    """Read playbook and inventory. *answers* are what was typed for `ask` secrets. Raises Mistakes: all of them."""
    safe = Vault(vault)
    secrets, render = SecretStore(answers, safe.reveal), Renderer()
    playbook, hosts = load_both(plan, inventory, safe)
    reach = Reach(hosts, render, ask="password" in answers, reveal=secrets.reveal)
    gathered = Gathered()
    made = gathered.value(lambda: draft(playbook, hosts, render, reach.address_of, notifies_by=_notifies_by))
    gathered.value(reach.check)
    gathered.check()
    assert made is not None
    return Project(draft=made, inventory=hosts, connections=reach.made, secrets=secrets)


def load_hosts(
    plan: Path | None,
    inventory: Sequence[Path] | None,
    chosen: Callable[[Inventory], Iterable[str]],
    *,
    answers: Mapping[str, str],
    vault: Sequence[VaultPassword] = (),
) -> Ways:
    """The inventory alone, which *plan* may name, and the ways to its *chosen* hosts. Raises Mistakes, BadInput."""
    safe = Vault(vault)
    hosts, secrets = load_inventory(plan, inventory, safe), SecretStore(answers, safe.reveal)
    reach = Reach(hosts, Renderer(), ask="password" in answers, reveal=secrets.reveal)
    return Ways(inventory=hosts, connections=reach.all(chosen(hosts)), secrets=secrets)


@asynccontextmanager
async def world(project: Ways, asked: Iterable[str], *, ask: "AskPassword | None" = None) -> "AsyncIterator[World]":
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


def notifier(ways: Ways) -> "Notifier":
    """Who tells people of decisions and ends."""
    from orchestrator.adapters.notify import AppriseNotifier

    return AppriseNotifier(Renderer(), ways.secrets.reveal)


def _notifies_by(scheme: str) -> bool:
    from orchestrator.adapters.notify import notifies_by

    return notifies_by(scheme)


def shipped(name: str) -> Path:
    """A file that comes with orch: from the checkout, or from inside the installed package."""
    inside = Path(__file__).parent
    return next(path for path in (inside.parent / name, inside / "shipped" / name) if path.exists())
