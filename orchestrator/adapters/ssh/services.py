"""HostServices and HostCommand of one host over SSH."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from orchestrator.adapters.ssh.answers import Garbled, Outcome
from orchestrator.adapters.ssh.by_powershell import ByPowershell
from orchestrator.adapters.ssh.by_sc import BySc
from orchestrator.adapters.ssh.channel import Channel
from orchestrator.adapters.ssh.line import SshLine
from orchestrator.adapters.ssh.programs import Programs
from orchestrator.adapters.ssh.reader import ended
from orchestrator.adapters.ssh.talk import Sentence, Talk
from orchestrator.domain.connection import Connection, ControlBy
from orchestrator.domain.errors import HostError, Problem, ProblemKind, QuotaExceeded, Unreachable
from orchestrator.domain.powershell_words import told_by_state
from orchestrator.domain.processes import Process
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus
from orchestrator.engine.ports import CommandOutput, ControlAnswer, HostFacts

WAITING_MOST = 7
"""Controls that may wait on a host beside each other: sshd allows 10 channels on a connection (MaxSessions), and one
is for reading, one for a program, one to spare."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A control that was handed over. `before` is the last reading before it."""

    wanted: Control
    sentence: Sentence
    channel: Channel
    before: ServiceStatus | None


class SshServices:
    """The services and programs of the host of *connection*, by way of its *line*.

    References to secrets in the words of a program are resolved by *reveal*, in a thread.
    """

    def __init__(self, connection: Connection, line: SshLine, reveal: Callable[[str], str]) -> None:
        self._host = connection.host
        self._line = line
        self._limit_s = connection.read_timeout_s
        by = BySc if connection.control is ControlBy.SC else ByPowershell
        self._talk: Talk = by(self._host, line, self._limit_s)
        self._programs = Programs(self._host, line, reveal, self._limit_s)
        self._controls: dict[str, _Waiting] = {}
        self._last: dict[str, ServiceStatus] = {}

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        """See HostServices."""
        if not asked:
            return []
        readings = await self._talk.read(asked)
        self._last |= {status.name.lower(): status for reading in readings for status in reading.found}
        return readings

    async def request(self, name: str, control: Control) -> None:
        """See HostServices. The control goes on a channel of its own, and the host has taken it when the command says
        that it begins.

        `sent` False: the connection, the channel or the command never came about. True: the command was handed to the
        host, and no word came back, so the service may have been asked.
        """
        if sum(not one.channel.closed for one in self._controls.values()) >= WAITING_MOST:
            raise QuotaExceeded(self._host, f"{WAITING_MOST} controls still wait on this host")
        nonce = secrets.token_hex(8)
        sentence = self._talk.control(nonce, name, control)
        before = self._last.get(name.lower())
        channel = await self._line.open(sentence.command)
        try:
            channel.feed(b"")
            await channel.read_until(f"{nonce} began".encode(), limit_s=self._limit_s)
        except Unreachable as exc:
            if channel.closed and channel.lost is None:
                raise ended(self._host, f"the {control}", channel.errors, channel.status, spoke=channel.spoke) from exc
            self._line.distrust(channel)
            channel.close()
            raise
        except BaseException:
            channel.close()
            raise
        self._forget(name)
        self._controls[name.lower()] = _Waiting(control, sentence, channel, before)

    async def answer(self, name: str) -> ControlAnswer:
        """See HostServices. Costs nothing, for what the host says is listened to all the time.

        A refusal without a Win32 number, as of a service that dies while Start-Service waits for it, takes one more
        reading, which may tell it.
        """
        control = self._controls.get(name.lower())
        if control is None:
            return ControlAnswer(ended=True)
        try:
            outcome = control.sentence.outcome(control.channel.said)
        except Garbled:
            return self._lost(name)
        if outcome is None:
            lost = control.channel.closed or control.channel.lost is not None
            return self._lost(name) if lost else ControlAnswer(ended=False)
        self._forget(name)
        return ControlAnswer(ended=True, problem=await self._complete(name, control, outcome))

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        """See HostServices."""
        return await self._talk.security(names) if names else []

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        """See HostServices."""
        return await self._talk.processes(pids) if pids else []

    async def facts(self) -> HostFacts:
        """See HostServices."""
        return await self._talk.facts()

    def booted_at(self) -> float | None:
        """See HostServices."""
        return self._talk.booted_at()

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See HostCommand and Programs."""
        return await self._programs.run(exe, args, timeout_s=timeout_s)

    async def aclose(self) -> None:
        """See HostServices."""
        for name in list(self._controls):
            self._forget(name)
        self._talk.close()
        await self._line.aclose()

    def _forget(self, name: str) -> None:
        control = self._controls.pop(name.lower(), None)
        if control is not None:
            control.channel.close()

    def _lost(self, name: str) -> ControlAnswer:
        self._forget(name)
        text = f"the connection to {self._host} was lost before it said what came of the control"
        return ControlAnswer(ended=True, problem=Problem(ProblemKind.UNREACHABLE, text))

    async def _complete(self, name: str, control: _Waiting, outcome: Outcome) -> Problem | None:
        problem = outcome.problem
        if problem is None or problem.code is not None:
            return problem
        try:
            reading = (await self.read([Asked(name)]))[0]
        except HostError:
            return problem
        if not reading.found:
            return problem
        return replace(problem, code=told_by_state(control.wanted, outcome.id, control.before, reading.found[0]))
