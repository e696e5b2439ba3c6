"""One session channel: the host's default shell behind it, and the faults of the wire in between."""

import asyncio
import base64
import itertools
import re
import shlex
import struct
import subprocess
from typing import TYPE_CHECKING

import asyncssh

from orchestrator.lab import codepages
from orchestrator.lab.cmd import run as cmd
from orchestrator.lab.cmd.launch import Screen, powershell
from orchestrator.lab.programs import Where

if TYPE_CHECKING:
    from orchestrator.lab.ssh import Connection

_CMDLET = re.compile(r"\b[A-Za-z]+-[A-Za-z]+\b")
_PROGRAM = re.compile(r"\b([\w-]+)\.exe\b", re.IGNORECASE)
_SC = re.compile(r"\bsc(?:\.exe)?\"?[ \t]+(\w+)", re.IGNORECASE)
_FIRST = re.compile(r"(?:^|[&|(;])[ \t@]*([\w-]+)")
_ENCODED = re.compile(r"-e[a-z]*[ \t]+([A-Za-z0-9+/]{8,}=*)", re.IGNORECASE)
_NOISE = b"\xff\xfe\x00 kernel: this is no answer at all \xc3\r\n"


class Session(asyncssh.SSHServerSession[bytes]):
    """A channel on which one command line is executed."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self._connection = connection
        self._number = number
        self._line = ""
        self._input = _Input()
        self._task: asyncio.Task[None] | None = None
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        self._connection.open_sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever closes a channel ends what runs there; what a service was asked stays asked."""
        self._connection.open_sessions.discard(self)
        if self._task is not None:
            self._task.cancel()

    def exec_requested(self, command: str) -> bool:
        self._line = command
        self._connection.log("exec", channel=self._number, line=command)
        return True

    def session_started(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._serve())
        self._task.add_done_callback(self._ended)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._input.feed(data)

    def eof_received(self) -> bool:
        self._input.end()
        return True  # what runs may still answer

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A mistake of ours must not look like a host that fell silent."""
        if not task.cancelled() and (bug := task.exception()):
            self._connection.abort()
            asyncio.get_running_loop().call_exception_handler({"message": "a channel broke", "exception": bug})

    async def _serve(self) -> None:
        channel = self._channel
        assert channel is not None
        wire = _Wire(self._connection, channel, self._number, self._input)
        code: int | None = None
        try:
            await wire.begin("exec", self._line)
            ended = await self._execute(wire)
            await wire.end()
            code = ended
            # asyncssh's own exit() keeps the low 8 bits; Windows' sshd sends all 32.
            channel._send_request(b"exit-status", struct.pack(">I", code & 0xFFFFFFFF))
        finally:
            self._connection.log("exit", channel=self._number, code=code)
            channel.close()

    async def _execute(self, wire: "_Wire") -> int:
        host = self._connection.sshd.host
        where = Where(host, self._connection.user)
        screen = Screen(codepages.oem(host.spec.language))
        if host.spec.default_shell == "powershell":
            host.log("command", name="powershell.exe", parameters={}, arguments=["-c", self._line])
            return await powershell(where, ["-c", self._line], wire)
        if host.spec.default_shell == "cmd":
            return await cmd.execute(where, self._line, wire, screen)
        return await self._posix(self._line, where, wire, screen)

    async def _posix(self, line: str, where: Where, wire: "_Wire", screen: Screen) -> int:
        """A shell as of Cygwin: words and quotes, and one program, which may be such a shell."""
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError as exc:
            wire.write_error(f"sh: syntax error: {exc}\n".encode())
            return 2
        if operators := [word for word in words if set(word) <= set("();<>|&")]:
            wire.write_error(f"sh: this shell is a lab's and has no {operators[0]}\n".encode())
            return 2
        if not words:
            return 0
        name, *arguments = words
        if name == "sh" and len(arguments) == 2 and arguments[0] == "-c":
            return await self._posix(arguments[1], where, wire, screen)
        code = await cmd.launch(where, name, subprocess.list2cmdline(arguments), wire, screen)
        if code is None:
            wire.write_error(f"sh: {name}: command not found\n".encode())
            return 127
        return code


class _Input:
    """Standard input, by line."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._rest = b""
        self._ended = False

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line.removesuffix(b"\r"))

    def end(self) -> None:
        if self._rest:
            self._lines.put_nowait(self._rest)
        self._lines.put_nowait(None)

    async def line(self) -> bytes | None:
        if self._ended:
            return None
        line = await self._lines.get()
        self._ended = line is None
        return line


class _Wire:
    """The console of what runs on a channel.

    What is asked by one command line, or by one line of standard input, is an exchange, and ends when the next is
    waited for; faults strike exchanges. While one does, its output is held back to its end. Else what is written in
    one go leaves in one packet, as through a pipe.
    """

    def __init__(
        self, connection: "Connection", channel: asyncssh.SSHServerChannel[bytes], number: int, lines: _Input
    ) -> None:
        self._connection = connection
        self._host = connection.sshd.host
        self._channel = channel
        self._number = number
        self._input = lines
        self._action = ""
        self._strikes: dict[str, str] = {}
        self._written: list[tuple[bytes, int | None]] = []
        self._holds = False

    async def line(self) -> bytes | None:
        """The next line of standard input: with it the exchange before has ended."""
        await self.end(over=False)
        line = await self._input.line()
        if line is not None:
            text = line.decode("utf-8", "replace")
            self._connection.log("line", channel=self._number, line=text)
            await self.begin("line", text)
        return line

    def write(self, data: bytes) -> None:
        self._write(data, None)

    def write_error(self, data: bytes) -> None:
        self._write(data, asyncssh.EXTENDED_DATA_STDERR)

    async def begin(self, action: str, line: str) -> None:
        """Something was asked. It goes no further if the connection drops before it is carried out."""
        commands = asked(line)
        self._action = action
        self._strikes = {
            kind: how for kind in ("drops", "garbage", "silent") if (how := self._host.struck(kind, action, commands))
        }
        if self._strikes.get("drops") == "before":
            await self._cut("before")
        self._holds = bool(self._strikes) or "slow" in self._host.faults

    async def end(self, *, over: bool = True) -> None:
        """The exchange has ended: what was held back goes out, as far as the faults let it.

        With *over* there is an exit status yet to come, which is an answer even where nothing was written.
        """
        held, self._holds = self._holds, False
        strikes, self._strikes = self._strikes, {}
        if not held:
            self._flush()
            return
        if "slow" in self._host.faults and (over or self._written):
            await asyncio.sleep(self._host.faults["slow"])
        written, self._written = self._written, []
        drops = strikes.get("drops")
        if drops == "after":
            await self._cut(drops)
        if drops or "silent" in strikes:
            self._send(_first_half(written))
            await self._cut(drops or "silent")
        self._send(_spoilt(written, strikes.get("garbage", "")))

    def _write(self, data: bytes, kind: int | None) -> None:
        if not self._written and not self._holds:
            asyncio.get_running_loop().call_soon(self._flush)
        self._written.append((data, kind))

    def _flush(self) -> None:
        if not self._holds:
            written, self._written = self._written, []
            self._send(written)

    def _send(self, parts: list[tuple[bytes, int | None]]) -> None:
        for kind, same in itertools.groupby(parts, key=lambda part: part[1]):
            data = b"".join(data for data, _ in same)
            if data and not self._channel.is_closing():
                self._channel.write(data, kind)

    async def _cut(self, when: str) -> None:
        """End the connection, or let it go silent; does not return, for the session ends with its connection."""
        self._connection.log("cut", channel=self._number, action=self._action, when=when)
        if when == "silent":
            self._connection.silent = True
        else:
            self._connection.abort()
        await asyncio.get_running_loop().create_future()


def asked(line: str) -> str:
    """The names of the programs, `sc.exe` verbs and cmdlets in *line*, a line each; faults are aimed by them."""
    for encoded in _ENCODED.findall(line):
        padded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        line += "\n" + padded.decode("utf-16-le", "replace")
    programs = {*_PROGRAM.findall(line), *_FIRST.findall(line)}
    names = {*_CMDLET.findall(line), *_SC.findall(line), *programs}
    return "\n".join(sorted({*names, *(f"{program}.exe" for program in programs)}))


def _first_half(parts: list[tuple[bytes, int | None]]) -> list[tuple[bytes, int | None]]:
    """The first half of all that was written; a letter of several bytes that stands there is cut in two."""
    left = _middle(b"".join(data for data, _ in parts))
    half = []
    for data, kind in parts:
        half.append((data[:left], kind))
        left = max(0, left - len(data))
    return half


def _middle(data: bytes) -> int:
    middle = len(data) // 2
    for at in itertools.chain(range(middle, len(data)), range(middle)):
        if at + 1 < len(data) and data[at] >= 0xC2 and 0x80 <= data[at + 1] < 0xC0:
            return at + 1
    return middle


def _spoilt(parts: list[tuple[bytes, int | None]], garbage: str) -> list[tuple[bytes, int | None]]:
    if not garbage:
        return parts
    if garbage == "clixml":
        return _first_half(parts)
    whole = b"".join(data for data, kind in parts if kind is None)
    return [(_NOISE, None), (whole[len(whole) // 2 :], None), *((data, kind) for data, kind in parts if kind)]
