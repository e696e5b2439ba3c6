"""An SSH server that hands what it is asked on to a host of a lab, and spoils the answers on the way back.

So a shell with a banner, a noisy profile, other line ends or a masked exit status stands in front of a real one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncssh

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


@dataclass(frozen=True, kw_only=True)
class Spoils:
    """What becomes of commands, and of answers: of each line with whether it is the first one, of the rest when a
    program ended, of the exit status."""

    command: Callable[[str], str] = lambda command: command
    line: Callable[[bytes, bool], bytes] = lambda line, first: line
    last: bytes = b""
    status: Callable[[int], int] = lambda status: status


@contextlib.asynccontextmanager
async def relaying(address: str, *, to: asyncssh.SSHClientConnection, spoils: Spoils) -> AsyncIterator[int]:
    """The port on *address* of a server that lets everybody in and runs what it is asked on *to*."""

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        far = await to.create_process(spoils.command(process.command or ""), encoding=None)
        feeding = asyncio.create_task(_feed(process, far))
        first = True
        with contextlib.suppress(BrokenPipeError):  # whoever asked needs no more
            while line := await far.stdout.readline():
                process.stdout.write(spoils.line(line, first))
                first = False
            process.stdout.write(spoils.last)
            process.stderr.write(await far.stderr.read())
            await far.wait_closed()
            process.exit(spoils.status(far.returncode or 0))
        feeding.cancel()
        far.close()

    server = await asyncssh.listen(
        address,
        0,
        server_factory=_Anybody,
        server_host_keys=[HOST_KEY],
        process_factory=handle,
        encoding=None,
        line_editor=False,
        config=None,
        gss_host=None,
    )
    try:
        yield server.get_port()
    finally:
        server.close()
        await server.wait_closed()


class _Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


async def _feed(process: asyncssh.SSHServerProcess[bytes], far: asyncssh.SSHClientProcess[bytes]) -> None:
    with contextlib.suppress(asyncssh.BreakReceived, BrokenPipeError):
        while data := await process.stdin.read(4096):
            far.stdin.write(data)
        far.stdin.write_eof()
