"""One PowerShell per host that lives on and answers line by line, for reading."""

import asyncio
import re
import secrets
from collections.abc import Callable

from orchestrator.adapters.ssh import answers, powershell
from orchestrator.adapters.ssh.channel import Channel
from orchestrator.adapters.ssh.line import SshLine
from orchestrator.domain.errors import HostError, ProtocolError, Unreachable

_SAID_MOST = 300


class Reader:
    """Asks the PowerShell of the host that *line* leads to.

    Where the login shell is a PowerShell itself, it takes the lines that are meant for ours: then each question is a
    command of its own, which costs the host a start of PowerShell. Which shell it is, is asked once.
    """

    def __init__(self, host: str, line: SshLine, limit_s: float) -> None:
        self._host = host
        self._line = line
        self._limit_s = limit_s
        self._turn = asyncio.Lock()
        self._channel: Channel | None = None
        self._fed: bool | None = None

    async def ask(self, say: Callable[[str], str]) -> list[answers.Row]:
        """The rows that answer the line which *say* makes with a nonce; one exchange. Raises HostError and its kin.

        Whatever goes wrong, cancelling too, ends this PowerShell: what it still says answers no other question.
        """
        async with self._turn:
            if self._fed is None:
                self._fed = await self._takes_lines()
            nonce = secrets.token_hex(8)
            try:
                said = await (self._alone if self._fed is False else self._fed_with)(say(nonce), nonce)
                rows = answers.framed(said, nonce)
            except BaseException as exc:
                self.close()
                if isinstance(exc, answers.Garbled):
                    raise ProtocolError(self._host, f"PowerShell gave {exc}", sent=True) from exc
                raise
        if rows is None:
            raise ProtocolError(self._host, "PowerShell ended in mid-answer", sent=True)
        return rows

    def close(self) -> None:
        """End this PowerShell, if there is one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def _takes_lines(self) -> bool | None:
        """Whether the login shell leaves its input to what it runs; None if it did not say."""
        nonce = secrets.token_hex(8)
        ran = await self._line.run(powershell.shell_probe(nonce), limit_s=self._limit_s)
        shown = re.search(f"{nonce}(.*)-{nonce}", ran.stdout.decode("ascii", "replace"))
        return None if shown is None else shown[1] in ("", powershell.HOME)

    async def _fed_with(self, line: str, nonce: str) -> bytes:
        channel = self._channel
        if channel is None or channel.closed:
            line = f"{powershell.DEFINE}\n{line}"
            channel = self._channel = await self._line.open(powershell.READER)
        channel.write(f"{line}\n".encode("ascii"))
        try:
            return await channel.read_until(f":{nonce}".encode(), limit_s=self._limit_s)
        except Unreachable as exc:
            if channel.lost is None and channel.closed:
                raise ended(self._host, "PowerShell", channel.errors, channel.status, spoke=channel.spoke) from exc
            self._line.distrust(channel)
            raise

    async def _alone(self, line: str, nonce: str) -> bytes:
        ran = await self._line.run(powershell.alone(line), limit_s=self._limit_s)
        return ran.stdout


def ended(host: str, what: str, errors: bytes, status: int | None, *, spoke: bool) -> HostError:
    """Why a program that ended by itself gave no answer; it *spoke* if it ever wrote to its output.

    All that we run says so before it asks anything of a service. Where that is missing, and the host fails with words
    on its error output, nothing was asked: it has no such program, or does not let us run it. A failure without a
    word tells nothing: a program that is killed, or that a host short of memory can't begin, ends so too.
    """
    lines = errors.decode("utf-8", "replace").splitlines()
    said = next((line.strip() for line in lines if line.strip()), "")[:_SAID_MOST]
    if said and status and not spoke:
        return HostError(host, f"{what} can't be run: {said}")
    why = said or (f"exit status {status}" if status else "")
    return ProtocolError(host, f"{what} ended before it answered" + (f": {why}" if why else ""), sent=True)
