"""The reference for SSH: raw asyncssh, 64 hosts side by side, the same exchanges as one `orch stop` of one service."""

import asyncio
import json
import sys
from pathlib import Path

import asyncssh

FIRST, STATE = 'cmd.exe /c "sc.exe queryex Bench & sc.exe qc Bench"', 'cmd.exe /c "sc.exe queryex Bench"'
STOP, PROCESSES = 'cmd.exe /c "sc.exe stop Bench"', "tasklist.exe /fo csv /nh"
PLAN = (
    (FIRST, b" 4  RUNNING"),
    (STATE, b" 4  RUNNING"),
    (STOP, b""),
    (STATE, b" 1  STOPPED"),
    (PROCESSES, b"services.exe"),
)
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
    """Survey, look, stop, look, see that its process is gone, and look once more at the end."""
    async with places, asyncssh.connect(address, options=options) as host:
        for line, wanted in (*PLAN, (STATE, b" 1  STOPPED")):
            said = await host.run(line, encoding=None)
            assert isinstance(said.stdout, bytes)
            assert wanted in said.stdout


async def main() -> None:
    """All hosts."""
    places = asyncio.Semaphore(64)
    await asyncio.gather(*(stop(address, places) for address in told["addresses"]))


asyncio.run(main())
