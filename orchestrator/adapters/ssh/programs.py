"""HostCommand over SSH."""

import asyncio
import math
import re
import secrets
from collections.abc import Callable, Sequence

from orchestrator.adapters.ssh import answers, powershell, sc
from orchestrator.adapters.ssh.channel import Channel
from orchestrator.adapters.ssh.line import SshLine
from orchestrator.adapters.ssh.reader import ended
from orchestrator.domain.errors import HostError, Problem, ProblemKind, ProtocolError, Refused, SecretError, Unreachable
from orchestrator.domain.secrets import OPEN, shown
from orchestrator.engine.ports import OUTPUT_MOST, CommandOutput

_NO_SUCH_FILE, _NOT_FOUND = 2, 9009
_BATCH = (".bat", ".cmd")


class Programs:
    """Runs programs on the host that *line* leads to.

    Plain words go through cmd.exe. Anything else travels in a command for PowerShell, which starts the program without
    a shell; it, secrets among it, stands in the host's list of processes, in base64 and in clear, as long as the
    program runs, and in what the host logs of new processes.
    """

    def __init__(self, host: str, line: SshLine, reveal: Callable[[str], str], limit_s: float) -> None:
        self._host = host
        self._line = line
        self._reveal = reveal
        self._limit_s = limit_s

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See HostCommand. Past the time it is listened to no longer; whether it ends then is the host's affair."""
        ends_s = asyncio.get_running_loop().time() + timeout_s
        named, (exe, *args) = shown(exe), await self._revealed([exe, *args])
        nonce = secrets.token_hex(8)
        plain = sc.plain_program(exe, args)
        if not plain and exe.lower().rstrip(" .").endswith(_BATCH) and not all(map(sc.plain, args)):
            text = f"{named} is a batch file: it would read its arguments as commands, so only plain words may be there"
            raise Refused(self._host, Problem(ProblemKind.REFUSED, text))
        command = (sc if plain else powershell).program(nonce, exe, args)
        if len(command) > sc.LINE_MOST:
            raise HostError(self._host, f"the arguments of {named} are too long to be sent over SSH")
        channel = await self._line.open(command, limit_s=min(self._limit_s, timeout_s))
        try:
            channel.feed(b"")
            async with asyncio.timeout_at(ends_s):
                code, output = await (_by_cmd if plain else _by_powershell)(channel, nonce)
        except TimeoutError:
            raise HostError(self._host, f"{named} did not end within {timeout_s:g} s", sent=True) from None
        except answers.Garbled as exc:
            raise ProtocolError(self._host, f"{named} gave {exc}", sent=True) from exc
        except Unreachable as exc:
            if channel.lost is not None:
                raise
            raise ended(self._host, named, channel.errors, channel.status, spoke=channel.spoke) from exc
        finally:
            channel.close()
        if code is None:
            problem = Problem(ProblemKind.REFUSED, f"the host has no program {named}", _NO_SUCH_FILE)
            raise Refused(self._host, problem)
        return CommandOutput(code, output.encode()[:OUTPUT_MOST].decode(errors="ignore"))

    async def _revealed(self, words: list[str]) -> list[str]:
        """The words with their references resolved."""
        if not any(OPEN in word for word in words):
            return words
        try:
            return await asyncio.to_thread(lambda: [self._reveal(word) for word in words])
        except SecretError as exc:
            raise HostError(self._host, f"{shown(words[0])} was not run: {exc}", hint=exc.hint) from None


async def _by_cmd(channel: Channel, nonce: str) -> tuple[int | None, str]:
    """The exit code, None if there is no such program, and the output, in a code page that is not known."""
    began, ended = f"{nonce} began".encode(), f"{nonce} ended ".encode()
    said = await channel.read_until(ended, limit_s=math.inf)
    number = await channel.read_until(b"\n", limit_s=math.inf)
    if began not in said:
        raise answers.Garbled("an answer without a beginning")
    try:
        code = int(number)
    except ValueError as exc:
        raise answers.Garbled("an exit code that is none") from exc
    _, _, printed = _text(said[said.index(began) : -len(ended)]).partition("\n")
    return None if code == _NOT_FOUND else code, printed + _text(channel.errors)


async def _by_powershell(channel: Channel, nonce: str) -> tuple[int | None, str]:
    rows = answers.framed(await channel.read_until(f":{nonce}".encode(), limit_s=math.inf), nonce)
    row = rows[0] if rows else {}
    if "out" in row:
        return answers.program_output(row)
    problem = answers.failure(row).problem
    if problem is not None and problem.code == _NO_SUCH_FILE:
        return None, ""
    raise Refused(channel.host, problem or Problem(ProblemKind.REFUSED, "it could not be run"))


def _text(data: bytes) -> str:
    return re.sub("\r+\n", "\n", data.decode("utf-8", "replace"))
