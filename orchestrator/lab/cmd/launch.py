"""Programs as a shell of a virtual host starts them, with a console before them."""

import re
from dataclasses import dataclass

from orchestrator.lab import codepages, programs
from orchestrator.lab.console import Console
from orchestrator.lab.programs import Where

_SWITCH = re.compile(r"[ \t]*/([a-zA-Z])(?::\w+)?")
_SPECIAL = re.compile(r"[&<>()@^|]")


@dataclass(slots=True)
class Screen:
    """What all programs of one console share: the code page in which text reaches it."""

    code_page: int


async def powershell(where: Where, arguments: list[str], console: Console) -> int:
    """powershell.exe with *arguments*; its exit code."""
    from orchestrator.lab.powershell import program  # noqa: PLC0415 - its grammar is loaded when somebody speaks it

    return await program.run(where, arguments, console)


def command_line(tail: str) -> str | None:
    """What `cmd.exe` is to carry out, of the text behind its name; None without /c.

    Quotes stay only if there are exactly two, around the name of a program with blanks in it; `/s` never keeps them.
    """
    at, keeps = 0, True
    while switch := _SWITCH.match(tail, at):
        at = switch.end()
        if switch[1] in "sS":
            keeps = False
        if switch[1] in "cC":
            return _unquoted(tail[at:].lstrip(" \t"), keeps=keeps)
    return None


def is_quiet(tail: str) -> bool:
    """Whether `/q` turns echo off, in the text behind the name of `cmd.exe`."""
    at = 0
    while (switch := _SWITCH.match(tail, at)) and switch[1] not in "cC":
        if switch[1] in "qQ":
            return True
        at = switch.end()
    return False


async def program(where: Where, name: str, arguments: list[str], console: Console, screen: Screen) -> int | None:
    """Any other program of the lab; None if there is none called *name*."""
    result = await programs.run(where, name, arguments)
    if result is None:
        return None
    for line in result.output:
        console.write(codepages.encode(f"{line}\r\n", screen.code_page))
    for line in result.errors:
        console.write_error(codepages.encode(f"{line}\r\n", screen.code_page))
    return result.exit_code


def _unquoted(line: str, *, keeps: bool) -> str:
    if not line.startswith('"'):
        return line
    end = line.rfind('"')
    inside = line[1 : line.find('"', 1)] if end else ""
    plain = line.count('"') == 2 and " " in inside and inside.casefold().endswith(".exe") and not _SPECIAL.search(line)
    if (keeps and plain) or end == 0:
        return line if end else line[1:]
    return line[1:end] + line[end + 1 :]
