"""A lab that speaks SSH for tests, and asyncssh as its client."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
from virtual_windows import PASSWORD, USER, lab

from orchestrator.lab.client import LabProcess

KEY = asyncssh.generate_private_key("ssh-ed25519")
PUBLIC = KEY.export_public_key().decode()
Connection = asyncssh.SSHClientConnection
Result = TypeVar("Result")


@contextlib.contextmanager
def ssh_lab(folder: Path, *hosts: dict[str, Any], **given: Any) -> Iterator[LabProcess]:
    """A lab of *hosts* that lets in USER by PASSWORD, and everybody by KEY."""
    with lab(folder, *hosts, **{"transports": ("ssh",), "authorized_keys": [PUBLIC], **given}) as process:
        yield process


@contextlib.asynccontextmanager
async def signed_in(process: LabProcess, address: str, **given: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection by KEY whose host key was checked; `password` instead of the key if one is given."""
    keys = None if "password" in given else [KEY]
    settings = {"username": USER, "client_keys": keys, "known_hosts": str(process.known_hosts), **given}
    async with asyncssh.connect(address, config=None, agent_path=None, **settings) as connection:
        yield connection


async def said(connection: asyncssh.SSHClientConnection, line: str) -> tuple[int | None, bytes, bytes]:
    """Exit status (8 bits of it: asyncssh's doing), output and errors of *line*."""
    done = await connection.run(line, encoding=None)
    assert isinstance(done.stdout, bytes)
    assert isinstance(done.stderr, bytes)
    return done.exit_status, done.stdout, done.stderr


class World:
    """A lab, and a connection to one of its hosts for each question."""

    def __init__(self, process: LabProcess, hosts: list[dict[str, Any]]) -> None:
        self.process = process
        self.addresses = {each["name"]: each["address"] for each in hosts}

    def ask(self, act: Callable[[Connection], Awaitable[Result]], name: str = "", **given: Any) -> Result:
        """What *act* makes of a connection to the host *name*, the first if empty."""

        async def there() -> Result:
            async with signed_in(
                self.process, self.addresses[name or next(iter(self.addresses))], **given
            ) as connection:
                return await act(connection)

        return asyncio.run(there())

    def said(self, line: str, name: str = "") -> tuple[int | None, bytes, bytes]:
        """Exit status, output and errors of *line* on the host *name*."""
        return self.ask(lambda connection: said(connection, line), name)

    def since(self, mark: int, **wanted: Any) -> list[dict[str, Any]]:
        """The lines of the log from *mark* on."""
        return [line for line in self.process.log()[mark:] if all(line.get(key) == wanted[key] for key in wanted)]

    def until(self, mark: int, **wanted: Any) -> dict[str, Any]:
        """The first line of the log as *wanted* after *mark*, as soon as it is there."""
        ends_at = time.monotonic() + 10
        while not (lines := self.since(mark, **wanted)):
            assert time.monotonic() < ends_at, f"no line like {wanted}"
        return lines[0]

    def mark(self) -> int:
        """Where the log ends now."""
        return len(self.process.log())


__all__ = ["KEY", "PASSWORD", "PUBLIC", "USER", "World", "said", "signed_in", "ssh_lab"]
