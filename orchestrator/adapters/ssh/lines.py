"""All hosts that are reached over SSH: the way in for `wiring`."""

import asyncio
import importlib
import resource
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from orchestrator.adapters.ssh.line import SshLine
from orchestrator.domain.connection import Connection
from orchestrator.engine.ports import Credentials

if TYPE_CHECKING:
    from orchestrator.adapters.ssh.dialer import Dialer
    from orchestrator.adapters.ssh.peer import Peer


class SshLines:
    """The lines to the hosts of *connections*, by inventory name. Costs nothing until one is used.

    *credentials* says which password may be tried where; *reveal* resolves the references in a passphrase, in a
    thread. To be used from one event loop.
    """

    def __init__(
        self, connections: Mapping[str, Connection], credentials: Credentials, reveal: Callable[[str], str]
    ) -> None:
        self._connections = connections
        self._credentials = credentials
        self._reveal = reveal
        self._lines: dict[str, SshLine] = {}
        self._dialer: asyncio.Task[Dialer] | None = None
        _allow_many_files()

    def line(self, host: str) -> SshLine:
        """The line to *host*; KeyError if there is no such host."""
        if host not in self._lines:
            self._lines[host] = SshLine(self._connections[host], self._dial)
        return self._lines[host]

    async def aclose(self) -> None:
        """Close every line, side by side. Never raises."""
        await asyncio.gather(*(line.aclose() for line in self._lines.values()))
        if self._dialer is not None and self._dialer.done():
            await self._dialer.result().aclose()

    async def _dial(self, connection: Connection) -> "Peer":
        if self._dialer is None:
            self._dialer = asyncio.create_task(self._loaded())
        dialer = await asyncio.shield(self._dialer)
        return await dialer.dial(connection)

    async def _loaded(self) -> "Dialer":
        """The library takes a sixth of a second to load: once, when needed, beside the event loop."""
        module = await asyncio.to_thread(importlib.import_module, "orchestrator.adapters.ssh.dialer")
        made: Dialer = module.Dialer(self._credentials, self._reveal)
        return made


def _allow_many_files() -> None:
    """Each host takes an open file: the usual limit of 1,024 is lifted as far as the system lets us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
