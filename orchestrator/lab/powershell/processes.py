"""Programs that a script starts: their command line as PowerShell 5.1 writes it, and what they print, decoded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.lab import codepages, programs
from orchestrator.lab.cmd import run as shell
from orchestrator.lab.cmd.launch import Screen
from orchestrator.lab.console import Captured
from orchestrator.lab.programs import Where

_SHELLS = frozenset({"cmd", "powershell"})


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ran: its exit code and what it wrote."""

    exit_code: int
    output: str
    errors: str


def command_line(words: Sequence[str]) -> str:
    """Quotes stand around what has a blank in it, nothing is escaped, and empty words vanish: so 5.1 does it."""
    return " ".join(
        f'"{word}"' if re.search(r"\s", word) and not word.startswith('"') else word for word in words if word
    )


def exists(name: str) -> bool:
    """Whether the host has a program of that name, with or without a path and `.exe`."""
    base = re.split(r"[\\/]", name)[-1].casefold().removesuffix(".exe")
    return base in _SHELLS or programs.exists(base)


async def start(where: Where, name: str, tail: str, code_page: int) -> Ended | None:
    """Run *name* with *tail* behind it to its end; None if there is no such program."""
    if not exists(name):
        return None
    capture = Captured()
    screen = Screen(code_page)
    code = await shell.launch(where, re.split(r"[\\/]", name)[-1], tail, capture, screen)
    if code is None:
        return None
    return Ended(code, codepages.decode(capture.output, code_page), codepages.decode(capture.errors, code_page))
