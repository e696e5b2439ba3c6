"""All hosts that are reached over WinRM: the way in for `wiring`."""

import asyncio
import resource
from collections.abc import Callable, Mapping

from orchestrator.adapters.winrm.services import WinrmServices
from orchestrator.adapters.winrm.threads import WinrmThreads
from orchestrator.domain.connection import Connection, Transport
from orchestrator.engine.ports import Credentials


class WinrmHosts:
    """Implements Hosts for *connections*, by inventory name. *credentials* say with which secret; *reveal* resolves the
    references in the words of a program, and is called in a thread.

    Costs nothing until a host is asked something. To be used from one event loop.
    """

    def __init__(
        self, connections: Mapping[str, Connection], credentials: Credentials, reveal: Callable[[str], str]
    ) -> None:
        self._connections = connections
        self._reveal = reveal
        self._threads = WinrmThreads()
        self._credentials = credentials
        self._hosts: dict[str, WinrmServices] = {}
        _allow_many_files()

    def services(self, host: str) -> WinrmServices:
        """The host's services; KeyError if there is no such host."""
        if host not in self._hosts:
            connection = self._connections[host]
            self._hosts[host] = WinrmServices(connection, self._credentials, self._reveal, self._threads)
        return self._hosts[host]

    def command(self, host: str) -> WinrmServices:
        """The host's programs."""
        return self.services(host)

    def transport(self, host: str) -> Transport:
        """See Hosts."""
        return Transport.PSRP

    def detour(self, host: str) -> str:
        """See Hosts: WinRM is the one way here."""
        return ""

    async def aclose(self) -> None:
        """Delete every shell, side by side. Never raises; what does not answer within four seconds is left to end by
        its idle timeout."""
        await asyncio.gather(*(services.aclose() for services in self._hosts.values()))
        self._threads.close()


def _allow_many_files() -> None:
    """Each host takes an open file: the usual limit of 1,024 is lifted as far as the system lets us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
