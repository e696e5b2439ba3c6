"""Services and programs of all hosts that are reached over SSH: the way in for `wiring`."""

import asyncio
from collections.abc import Callable, Mapping

from orchestrator.adapters.ssh.lines import SshLines
from orchestrator.adapters.ssh.services import SshServices
from orchestrator.domain.connection import Connection, Transport
from orchestrator.engine.ports import Credentials


class SshHosts:
    """Implements Hosts for *connections*, by inventory name. *credentials* say with which password; *reveal* resolves
    the references in a passphrase and in the words of a program, and is called in a thread.

    Costs nothing until a host is asked something. To be used from one event loop.
    """

    def __init__(
        self, connections: Mapping[str, Connection], credentials: Credentials, reveal: Callable[[str], str]
    ) -> None:
        self._connections = connections
        self._reveal = reveal
        self._lines = SshLines(connections, credentials, reveal)
        self._hosts: dict[str, SshServices] = {}

    def services(self, host: str) -> SshServices:
        """The host's services; KeyError if there is no such host."""
        if host not in self._hosts:
            self._hosts[host] = SshServices(self._connections[host], self._lines.line(host), self._reveal)
        return self._hosts[host]

    def command(self, host: str) -> SshServices:
        """The host's programs."""
        return self.services(host)

    def transport(self, host: str) -> Transport:
        """See Hosts."""
        return Transport.SSH

    def detour(self, host: str) -> str:
        """See Hosts: SSH is the one way here."""
        return ""

    async def aclose(self) -> None:
        """End every connection, side by side. Never raises; takes a few seconds at most."""
        await asyncio.gather(*(services.aclose() for services in self._hosts.values()))
        await self._lines.aclose()
