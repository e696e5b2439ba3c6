"""HostServices made of HostCommand: one object that is no service, read and moved by the programs of its kind."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from orchestrator.domain import kinds
from orchestrator.domain.errors import TRANSIENT, AuthRejected, HostError, Problem, ProblemKind, Refused, Unreachable
from orchestrator.domain.processes import Process
from orchestrator.domain.secrets import shown
from orchestrator.domain.service import Asked, Control, Reading, ServiceStatus, State
from orchestrator.engine.ports import CommandOutput, ControlAnswer, HostCommand, HostFacts

READ_S = 20.0
"""How long one look may take: PowerShell's start among it."""
TAKEN_S = 1.0
"""How long a control is waited for before it counts as taken: most have ended by then, and their errors are exact."""
TOGETHER = 4
"""How many objects of one host are looked at side by side."""

Others = Callable[[str], Awaitable[Reading]]


class ByCommand:
    """Implements `engine.ports.HostServices` for the one object *asked* on *host*.

    *others* reads services of the host, which gates may name beside it; *control_s* is how long a program that moves it
    may take. It has no process, no descriptor, and no dependents.
    """

    def __init__(
        self,
        host: str,
        command_of: Callable[[str], HostCommand],
        asked: Asked,
        *,
        others: Others,
        control_s: float,
        booted_at: Callable[[], float | None],
    ) -> None:
        self._host = host
        self._reads = ways_in(host, asked, command_of, reads=True)
        self._command = ways_in(host, asked, command_of, reads=False)
        self._asked = asked
        self._means = kinds.means(asked)
        self._others = others
        self._control_s = control_s
        self._start = booted_at
        self._control: asyncio.Task[Problem | None] | None = None

    async def read(self, asked: Sequence[Asked]) -> Sequence[Reading]:
        """See HostServices: a program for the object itself; services of the host as *others* tells them."""
        return [
            await (self._look() if question.name == self._asked.name else self._others(question.name))
            for question in asked
        ]

    async def _look(self) -> Reading:
        return await look(self._host, self._reads, self._asked)

    async def request(self, name: str, control: Control) -> None:
        """See HostServices. One that was asked before and runs on is not listened to any more."""
        await self.aclose()
        self._control = asyncio.create_task(self._move(control))
        self._control.add_done_callback(_retrieve)
        ended, _ = await asyncio.wait([self._control], timeout=TAKEN_S)
        if ended and (error := self._control.exception()) is not None:
            self._control = None
            raise error

    async def answer(self, name: str) -> ControlAnswer:
        """See HostServices. Programs may be done before the object is: as long as they went well, it may be on its
        way, and only its state tells more."""
        if self._control is None or not self._control.done():
            return ControlAnswer(ended=self._control is None)
        try:
            problem = self._control.result()
        except Refused as error:
            problem = error.problem
        except HostError as error:
            problem = Problem(ProblemKind.UNREACHABLE, error.text)
        if problem is None:
            return ControlAnswer(ended=False)
        self._control = None
        return ControlAnswer(ended=True, problem=problem)

    async def _move(self, control: Control) -> Problem | None:
        """What went wrong, as the programs say it. Raises HostError and its kin; `sent` is whether any began."""
        began = False
        for program in self._means.moves(control):
            try:
                ran = await self._command.run(program.exe, program.args, timeout_s=self._control_s)
            except HostError as error:
                error.sent = error.sent or began
                raise
            began = True
            if program.exit_codes and ran.exit_code is not None and ran.exit_code not in program.exit_codes:
                return kinds.failure(ran.exit_code, ran.output, program.exe)
        return None

    async def security(self, names: Sequence[str]) -> Sequence[str | Problem]:
        """See HostServices: only services have descriptors."""
        return [Problem(ProblemKind.MISSING, f"{kinds.called(name)} has no security descriptor") for name in names]

    async def processes(self, pids: Sequence[int]) -> Sequence[Process]:
        """See HostServices: it has none."""
        return []

    async def facts(self) -> HostFacts:
        """See HostServices."""
        return HostFacts(transport="")

    def booted_at(self) -> float | None:
        """See HostServices."""
        return self._start()

    async def aclose(self) -> None:
        """See HostServices."""
        if self._control is not None:
            self._control.cancel()
            self._control = None


class WaysIn:
    """Implements `engine.ports.HostCommand` over several hosts that lead to one cluster: the one that answers is kept.

    *reads*: what is run changes nothing, so that the next host may be asked whatever became of the request, and where
    a program ends with `kinds.NO_CLUSTER`. Else only one that was certainly not asked is passed over.
    """

    def __init__(self, commands: Sequence[HostCommand], *, reads: bool) -> None:
        self._commands = list(commands)
        self._reads = reads

    async def run(self, exe: str, args: Sequence[str], *, timeout_s: float) -> CommandOutput:
        """See HostCommand."""
        failed: HostError | None = None
        ran: CommandOutput | None = None
        for command in list(self._commands):
            try:
                ran = await command.run(exe, args, timeout_s=timeout_s)
            except (AuthRejected, Refused):
                raise
            except HostError as error:
                failed = failed or error
                if error.sent and not self._reads:
                    raise
                continue
            if ran.exit_code != kinds.NO_CLUSTER:
                self._commands.remove(command)
                self._commands.insert(0, command)
                return ran
        if ran is not None:
            return ran
        assert failed is not None, "there is a way in"
        raise failed


def ways_in(host: str, asked: Asked, command_of: Callable[[str], HostCommand], *, reads: bool) -> HostCommand:
    """What leads to the object of *asked* on *host*: its own host alone, or all that lead to it."""
    if not asked.ways:
        return command_of(host)
    return WaysIn([command_of(one) for one in (host, *asked.ways)], reads=reads)


async def look(host: str, command: HostCommand, asked: Asked) -> Reading:
    """The state of one object that is no service now: one program. Raises HostError and its kin where the host gave no
    answer; a program that does not end counts as that."""
    way = kinds.means(asked)
    try:
        ran = await command.run(way.read.exe, way.read.args, timeout_s=READ_S)
    except (AuthRejected, *TRANSIENT):
        raise
    except Refused as error:
        text = f"{shown(way.read.exe)} can't be run there: {error.text}"
        return Reading(asked, problem=Problem(ProblemKind.REFUSED, text, hint=error.problem.hint))
    except HostError as error:
        raise Unreachable(host, error.text, sent=error.sent) from error
    return _reading(asked, way.told, ran)


async def looks(host: str, command_of: Callable[[str], HostCommand], asked: Sequence[Asked]) -> list[Reading]:
    """The states of several, in the order asked, a few at a time. Raises as `look` does."""
    turn = asyncio.Semaphore(TOGETHER)

    async def one(question: Asked) -> Reading:
        async with turn:
            return await look(host, ways_in(host, question, command_of, reads=True), question)

    tasks = [asyncio.create_task(one(question)) for question in asked]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _reading(asked: Asked, told: kinds.Told, ran: CommandOutput) -> Reading:
    found = told(ran.exit_code, ran.output)
    if isinstance(found, State):
        return Reading(asked, (ServiceStatus(name=asked.name, state=found, display_name=kinds.bare(asked.name)),))
    return Reading(asked, problem=found)


def _retrieve(task: "asyncio.Task[Problem | None]") -> None:
    if not task.cancelled():
        task.exception()  # `request` or `answer` tells it; nobody may be left
