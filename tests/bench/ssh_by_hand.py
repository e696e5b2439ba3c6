"""The reference for SSH: raw asyncssh, 64 hosts side by side, the same exchanges as one `orch stop` of one service."""

import asyncio
import json
import sys
from pathlib import Path

import asyncssh

FIRST, STATE = 'cmd.exe /c "sc.exe queryex Bench & sc.exe qc Bench"', 'cmd.exe /c "sc.exe queryex Bench"'
told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
options = asyncssh.SSHClientConnectionOptions(
    username=told["user"],
    password=told["password"],
    known_hosts=asyncssh.read_known_hosts(told["known_hosts"]),
    client_keys=None,
    config=None,
    agent_path=None,
)


async def stop(address: str, places: asyncio.Semaphore) -> None:
    """Survey, look, stop, look, and look once more at the end."""
    async with places, asyncssh.connect(address, options=options) as host:
        for line, stopped in ((FIRST, False), (STATE, False), (None, False), (STATE, True), (STATE, True)):
            said = await host.run(line or 'cmd.exe /c "sc.exe stop Bench"', encoding=None)
            assert isinstance(said.stdout, bytes)
            assert line is None or (b" 1  STOPPED" in said.stdout) is stopped


async def main() -> None:
    """All hosts."""
    places = asyncio.Semaphore(64)
    await asyncio.gather(*(stop(address, places) for address in told["addresses"]))


asyncio.run(main())
