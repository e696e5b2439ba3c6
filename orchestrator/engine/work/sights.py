"""One probe of one check, whatever its kind and wherever it is made from.

A sight has three values: it held, it did not, or nobody could tell. What can't be read is never taken for closed,
stopped or healthy.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.errors import TRANSIENT, AuthRejected, HostError, Problem, ProblemKind, Untrusted
from orchestrator.domain.gates import (
    Check,
    CommandCheck,
    Gate,
    HttpCheck,
    Origin,
    PortClosedCheck,
    ServiceCheck,
    TcpCheck,
)
from orchestrator.domain.http_verdict import verdict, wrong_match
from orchestrator.domain.secrets import has_secret, shown
from orchestrator.engine.ports import CommandOutput, HostCommand, LocalCommand, Probe, Seen
from orchestrator.engine.work import curl, listeners
from orchestrator.engine.work.bound import Owner, port_of
from orchestrator.engine.work.reader import Reader

NOT_FOUND = 9009
"""What cmd.exe ends with when there is no such program."""
LAST_LINES = 3
PRINTED_MOST = 300
"""Lines, and characters of them, of what a program printed that are told of its failure."""
ANSWER_S = 10.0
"""How much longer than the probe itself the exchange around it may take: a slow sign-in is not a bad probe."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One probe's verdict. `held` None: nobody could tell, and `problem` says why. `saw` holds no secret. `silent`:
    nobody answered, or a program did not end; where a connection alone is asked for, who refuses it has answered. A
    gate takes that for a no; of what was done or not it says nothing. `status`: that of an HTTP answer that was not the
    wanted one."""

    held: bool | None
    saw: str
    problem: Problem | None = None
    silent: bool = False
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What one unit's gates are seen with. `reader` and `command` are None where the unit has no host."""

    scm_name: str | None
    reader: Reader | None
    command: HostCommand | None
    probe: Probe
    local: LocalCommand

    async def look(self, gate: Gate) -> Sight:
        """Probe once. Never raises but for cancellation; takes at most the probe's timeout and `ANSWER_S`."""
        try:
            async with asyncio.timeout(gate.timeout_s + ANSWER_S):
                if isinstance(gate.check, ServiceCheck):
                    return await self._service(gate.check)
                if gate.origin is Origin.CONTROLLER and not isinstance(gate.check, PortClosedCheck):
                    return await self._from_controller(gate.check, gate.timeout_s)
                return await self._from_host(gate.check, gate.timeout_s)
        except TimeoutError:
            return _untold(ProblemKind.UNREACHABLE, f"no answer for {gate.timeout_s + ANSWER_S:g} s")
        except HostError as error:
            return Sight(None, f"could not be probed: {error.text}", error.problem)

    async def owner(self, gate: Gate) -> tuple[Sight, int]:
        """Whether the unit's own process, or a child of it, listens on the port of *gate*, and the exchanges that this
        took. Never raises but for cancellation; takes at most the probe's timeout and `ANSWER_S`."""
        port = port_of(gate)
        if self.reader is None or self.command is None or not self.scm_name or port is None:
            return _untold(ProblemKind.INTERNAL, "the gate is bound, and has no port or no service to be bound to"), 0
        owner = Owner(self.reader, self.command, self.scm_name)
        try:
            async with asyncio.timeout(gate.timeout_s + ANSWER_S):
                held, saw = await owner.look(port, timeout_s=gate.timeout_s + ANSWER_S / 2)
        except TimeoutError:
            text = f"no answer for {gate.timeout_s + ANSWER_S:g} s"
            return _untold(ProblemKind.UNREACHABLE, text), owner.exchanges
        except HostError as error:
            text = f"who listens on port {port} can't be told: {error.text}"
            return Sight(None, text, error.problem), owner.exchanges
        return (_untold(ProblemKind.REMOTE, saw) if held is None else Sight(held, saw)), owner.exchanges

    async def _service(self, check: ServiceCheck) -> Sight:
        name = check.name or self.scm_name
        if self.reader is None or not name:
            return _untold(ProblemKind.INTERNAL, "the gate is a service's state, and the unit has no service")
        reading = await self.reader.read(name)
        if reading.problem is not None:
            return Sight(None, f"{name} can't be read: {reading.problem.text}", reading.problem)
        if not reading.found:
            return _untold(ProblemKind.PROTOCOL, f"the host said nothing of {name}")
        state = reading.found[0].state
        return Sight(state is check.state, f"{name} is {state}")

    async def _from_controller(self, check: TcpCheck | HttpCheck | CommandCheck, timeout_s: float) -> Sight:
        match check:
            case TcpCheck(host=host, port=port):
                return _of_probe(await self.probe.tcp(host, port, timeout_s=timeout_s))
            case HttpCheck():
                return _of_probe(await self.probe.http(check, timeout_s=timeout_s))
            case CommandCheck(exe=exe, args=args):
                try:
                    return of_command(check, await self.local.run(exe, args, timeout_s=timeout_s))
                except TimeoutError:
                    return Sight(False, f"did not end within {timeout_s:g} s, and was ended", silent=True)
                except OSError as error:
                    return Sight(False, f"can't be run: {error}", silent=True)

    async def _from_host(self, check: Check, timeout_s: float) -> Sight:
        match check:
            case TcpCheck():
                ran = await self._run(curl.EXE, curl.tcp_args(check, timeout_s), timeout_s)
                return ran if isinstance(ran, Sight) else _of_tcp(ran)
            case HttpCheck():
                ran = await self._run(curl.EXE, curl.http_args(check, timeout_s), timeout_s)
                return ran if isinstance(ran, Sight) else _of_http(check, ran)
            case PortClosedCheck(port=port):
                ran = await self._run("netstat.exe", listeners.ARGS, timeout_s)
                return ran if isinstance(ran, Sight) else _of_listeners(port, ran)
            case CommandCheck(exe=exe, args=args):
                ran = await self._run(exe, args, timeout_s)
                return ran if isinstance(ran, Sight) else of_command(check, ran)
            case ServiceCheck():
                return await self._service(check)

    async def _run(self, exe: str, args: Sequence[str], timeout_s: float) -> CommandOutput | Sight:
        if self.command is None:
            return _untold(ProblemKind.INTERNAL, f"{exe} should run on the unit's host, and the unit has none")
        try:
            ran = await self.command.run(exe, args, timeout_s=timeout_s + ANSWER_S / 2)
        except (AuthRejected, Untrusted, *TRANSIENT):
            raise
        except HostError as error:
            return _not_run(exe, error.problem)
        if ran.exit_code == NOT_FOUND:
            return _not_run(exe, Problem(ProblemKind.MISSING, ran.output.strip()))
        return ran


def _untold(kind: ProblemKind, text: str) -> Sight:
    return Sight(None, text, Problem(kind, text))


def _not_run(exe: str, problem: Problem) -> Sight:
    advice = "; if it is not there, write `from: controller`" if exe == curl.EXE else ""
    return Sight(None, f"{shown(exe)} could not be run on the host: {problem.text}{advice}", problem)


def _of_probe(seen: Seen) -> Sight:
    return Sight(seen.held, seen.saw, silent=not (seen.held or seen.answered), status=seen.status)


def _of_tcp(ran: CommandOutput) -> Sight:
    held = curl.connected(ran.output)
    if held is None:
        return _untold(ProblemKind.REMOTE, f"curl.exe did not say whether it connected: {_first_line(ran.output)}")
    if held:
        return Sight(True, "connected")
    refused = ran.exit_code == curl.REFUSED
    return Sight(
        False, "no connection" if refused else f"no connection (exit code {ran.exit_code})", silent=not refused
    )


def _of_http(check: HttpCheck, ran: CommandOutput) -> Sight:
    failed = curl.failure(ran.output)
    if failed and ran.exit_code != 0:
        return Sight(False, failed, silent=True)
    answer = curl.answer(ran.output)
    if answer is None:
        ended = "" if ran.exit_code is None else f" (exit code {ran.exit_code})"
        return _untold(ProblemKind.REMOTE, f"curl.exe gave no HTTP answer{ended}: {_first_line(ran.output)}")
    held, saw = verdict(check, *answer)
    return Sight(held, saw, status=None if held else answer[0])


def _of_listeners(port: int, ran: CommandOutput) -> Sight:
    held = listeners.listens(ran.output, port)
    if held is None:
        return _untold(ProblemKind.REMOTE, "netstat.exe gave no listener table, or one too long to be whole")
    return Sight(not held, f"port {port} is {'open' if held else 'closed'}")


def of_command(check: CommandCheck, ran: CommandOutput) -> Sight:
    if check.exit_codes and ran.exit_code is None:
        return _untold(ProblemKind.REMOTE, "how it ended is not known over this connection; ask for its output instead")
    if check.exit_codes and ran.exit_code not in check.exit_codes:
        wanted = " or ".join(map(str, check.exit_codes))
        return Sight(False, f"exit code {ran.exit_code}, wanted {wanted}{_printed(check, ran.output)}")
    if check.text and check.text not in ran.output:
        return Sight(False, f"its output does not hold {shown(check.text)[:80]}{_printed(check, ran.output)}")
    if wrong := wrong_match(check.regex, ran.output):
        return Sight(False, f"its output is not the wanted one: {wrong}{_printed(check, ran.output)}")
    return Sight(True, "ended" if ran.exit_code is None else f"exit code {ran.exit_code}")


def _printed(check: CommandCheck, output: str) -> str:
    """What a program said of its failure: its last lines; nothing of one that was handed a secret: it may echo it."""
    secret = any(map(has_secret, (check.exe, *check.args, check.text, check.regex)))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if secret or not lines:
        return ""
    said = " / ".join(lines[-LAST_LINES:])
    return f"; it printed: {said if len(said) <= PRINTED_MOST else '...' + said[-PRINTED_MOST:]}"


def _first_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[0][:120] if lines else "it printed nothing"
