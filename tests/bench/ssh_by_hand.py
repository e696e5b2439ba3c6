"""The reference for SSH: raw asyncssh, 64 hosts side by side, the same exchanges as one `orch stop` of one service."""

import asyncio
import json
import sys
from pathlib import Path

import asyncssh

FIRST = 'cmd.exe /c "sc.exe queryex Bench & sc.exe qc Bench"'
STATE = 'cmd.exe /c "sc.exe queryex Bench"'
told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
known_hosts = asyncssh.read_known_hosts(told["known_hosts"])


async def stop(address: str, places: asyncio.Semaphore) -> None:
    """Survey, look, stop, look, and look once more at the end."""
    user, password = told["user"], told["password"]
    async with (
        places,
        asyncssh.connect(
            address,
            username=user,
            password=password,
            known_hosts=known_hosts,
            client_keys=None,
            config=None,
            agent_path=None,
        ) as host,
    ):

        async def stopped(line: str = STATE) -> bool:
            said = (await host.run(line, encoding=None)).stdout
            return b" 1  STOPPED" in (said if isinstance(said, bytes) else b"")

        assert not await stopped(FIRST)
        assert not await stopped()
        await host.run('cmd.exe /c "sc.exe stop Bench"', encoding=None)
        assert await stopped()
        assert await stopped()


async def main() -> None:
    """All hosts."""
    places = asyncio.Semaphore(64)
    await asyncio.gather(*(stop(address, places) for address in told["addresses"]))


asyncio.run(main())
