"""The command line programs of a virtual host, by name with arguments: no shell, no remoting protocol."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from orchestrator.lab import sc
from orchestrator.lab.host import Host


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What a program printed, by line, and how it ended."""

    exit_code: int
    output: Sequence[str] = ()
    errors: Sequence[str] = ()


async def run(host: Host, name: str, arguments: Sequence[str]) -> ProgramResult | None:
    """Run *name* on *host*; None if there is no such program."""
    program = _PROGRAMS.get(name.casefold().removesuffix(".exe"))
    return await program(host, arguments) if program else None


async def _sc(host: Host, arguments: Sequence[str]) -> ProgramResult:
    code, lines = sc.run(host, arguments)
    return ProgramResult(code, lines)


async def _hostname(host: Host, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(0, [host.spec.name])


async def _exit(host: Host, arguments: Sequence[str]) -> ProgramResult:
    """lab-exit.exe CODE [TEXT]: for gates that look at exit code and output."""
    return ProgramResult(int(arguments[0]), arguments[1:])


_PROGRAMS: dict[str, Callable[[Host, Sequence[str]], Awaitable[ProgramResult]]] = {
    "sc": _sc,
    "hostname": _hostname,
    "lab-exit": _exit,
}
