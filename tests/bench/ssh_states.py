"""The reference for SSH: raw asyncssh, 64 hosts side by side, one command that asks for the states of all services."""

import asyncio
import json
import sys
from pathlib import Path

import asyncssh

told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
BOTH = f"(for %s in ({' '.join(told['services'])}) do (sc.exe queryex %s & sc.exe qc %s 8192))"
options = asyncssh.SSHClientConnectionOptions(
    username=told["user"],
    password=told["password"],
    known_hosts=asyncssh.read_known_hosts(told["known_hosts"]),
    client_keys=None,
    config=None,
    agent_path=None,
)


async def look(address: str, places: asyncio.Semaphore) -> None:
    """The SCM's numbers and the configuration of each service."""
    async with places, asyncssh.connect(address, options=options) as host:
        said = await host.run(f'cmd.exe /q /d /c "{BOTH}"', encoding=None)
        assert isinstance(said.stdout, bytes)
        assert said.stdout.count(b" 4  RUNNING") == len(told["services"])


async def main() -> None:
    """All hosts."""
    places = asyncio.Semaphore(64)
    await asyncio.gather(*(look(address, places) for address in told["addresses"]))


asyncio.run(main())
