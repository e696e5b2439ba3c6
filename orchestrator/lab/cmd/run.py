"""cmd.exe: carries out a command line on a virtual host.

What it has: `&`, `&&`, `||`, parentheses, carets, %VARIABLES%, redirections between handles and to nul, `@`, and the
commands below. What the real one has beyond that is refused by name, not done wrongly.
"""

import re
from collections.abc import Awaitable, Callable, Sequence

from orchestrator.lab import codepages
from orchestrator.lab.cmd import argv, expand, texts
from orchestrator.lab.cmd.launch import Screen, command_line, is_quiet, powershell, program
from orchestrator.lab.cmd.parse import (
    DELIMITERS,
    Block,
    For,
    Joined,
    Node,
    NotBuilt,
    Redirection,
    Simple,
    Unexpected,
    parse,
)
from orchestrator.lab.console import Console
from orchestrator.lab.programs import Where

LONGEST = 8191
"""A longer line is refused, before its variables are filled in and after."""
NOT_FOUND = 9009
_ABSENT = frozenset(
    {
        *("assoc", "break", "cd", "chdir", "cls", "color", "copy", "date", "del", "dir", "endlocal", "erase", "ftype"),
        *("goto", "if", "md", "mkdir", "mklink", "move", "path", "pause", "popd", "prompt", "pushd", "rd", "ren"),
        *("rename", "rmdir", "set", "setlocal", "shift", "start", "time", "title", "type", "ver", "verify", "vol"),
    }
)
_ECHO = re.compile(r"echo(?=$|[ \t,;=./\\:(\[\]+])", re.IGNORECASE)


async def launch(where: Where, name: str, tail: str, console: Console, screen: Screen) -> int | None:
    """Run *name* with *tail* behind it; its exit code, or None if there is no such program."""
    arguments = argv.split(tail)
    where.host.log("command", name=name, parameters={}, arguments=arguments or None)
    base = re.split(r"[\\/]", name)[-1].casefold().removesuffix(".exe")
    if base == "powershell":
        return await powershell(where, arguments, console)
    if base != "cmd":
        return await program(where, base, arguments, console, screen)
    line = command_line(tail)
    if line is None:
        return complain(where, console, screen, "not built", "cmd.exe without /c")
    return await execute(where, line, console, screen, echo=not is_quiet(tail))


async def execute(where: Where, line: str, console: Console, screen: Screen, *, echo: bool = True) -> int:
    """`cmd.exe /c LINE`; its exit code. All that it says goes to *console*."""
    shell = _Shell(where, screen, echo=echo)
    try:
        return await shell.line(line, console)
    except _Exit as exc:
        return exc.code


def complain(where: Where, console: Console, screen: Screen, key: str, *values: object) -> int:
    """Say why a line isn't carried out; cmd's exit code for it."""
    text = texts.say(key, where.host.spec.language, *values).replace("\n", "\r\n")
    console.write_error(codepages.encode(text + "\r\n", screen.code_page))
    return 1


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class _Redirected:
    """A console some of whose handles lead elsewhere."""

    def __init__(self, console: Console, redirections: Sequence[Redirection]) -> None:
        self._console = console
        self._has_input = True
        sinks: dict[int, Callable[[bytes], None]] = {1: console.write, 2: console.write_error}
        for each in redirections:
            if isinstance(each.target, str):
                if each.target.casefold().rstrip(":") != "nul":
                    raise NotBuilt(f"redirection to {each.target}")
                if each.handle == 0:
                    self._has_input = False
                sinks[each.handle] = _nowhere
            elif each.target in sinks and each.handle in sinks:
                sinks[each.handle] = sinks[each.target]
            else:
                raise NotBuilt(f"redirection {each.handle}>&{each.target}")
        self._sinks = sinks

    async def line(self) -> bytes | None:
        return await self._console.line() if self._has_input else None

    def write(self, data: bytes) -> None:
        self._sinks[1](data)

    def write_error(self, data: bytes) -> None:
        self._sinks[2](data)


def _nowhere(data: bytes) -> None:
    """nul."""


class _Shell:
    def __init__(self, where: Where, screen: Screen, *, echo: bool) -> None:
        self._where = where
        self._screen = screen
        self._error_level = 0
        self._echo = echo
        self._loops: list[tuple[str, str]] = []
        self._home = f"C:\\Users\\{where.user}"
        self._variables = {
            "computername": where.host.spec.name.upper(),
            "comspec": "C:\\Windows\\system32\\cmd.exe",
            "os": "Windows_NT",
            "systemroot": "C:\\Windows",
            "username": where.user,
            "userprofile": self._home,
            "windir": "C:\\Windows",
        }
        self._commands: dict[str, Callable[[str, Console], Awaitable[int]]] = {
            "call": self._call,
            "chcp": self._chcp,
            "chcp.com": self._chcp,
            "exit": self._exit,
        }

    async def line(self, text: str, console: Console) -> int:
        try:
            filled = expand.variables(text, self._value_of) if len(text) <= LONGEST else text
            if len(filled) > LONGEST:
                return self._complain(console, "too long")
            tree = parse(filled)
            return await self._run(tree, console) if tree is not None else 0
        except Unexpected as exc:
            return self._complain(console, "unexpected", exc) if str(exc) else self._complain(console, "syntax")
        except NotBuilt as exc:
            return self._complain(console, "not built", exc)

    def _complain(self, console: Console, key: str, *values: object) -> int:
        return complain(self._where, console, self._screen, key, *values)

    def _say(self, console: Console, text: str) -> None:
        console.write(codepages.encode(text, self._screen.code_page))

    def _value_of(self, name: str) -> str | None:
        folded = name.casefold()
        if folded == "errorlevel":
            return str(self._error_level)
        return self._home if folded == "cd" else self._variables.get(folded)

    async def _run(self, node: Node, console: Console) -> int:
        match node:
            case Joined(left, operator, right):
                code = await self._run(left, console)
                if operator == "&" or (operator == "&&") == (code == 0):
                    code = await self._run(right, console)
                return code
            case Block(body, redirections, _):
                return await self._run(body, _Redirected(console, redirections))
            case For():
                return await self._for(node, console)
            case Simple(text, redirections, _):
                for name, value in self._loops:
                    text = expand.loop_variable(text, name, value)
                return await self._simple(text, _Redirected(console, redirections) if redirections else console)

    async def _for(self, node: For, console: Console) -> int:
        text = node.elements
        for name, value in self._loops:
            text = expand.loop_variable(text, name, value)
        code = 0
        for element in expand.numbers(text) if node.counts else expand.elements(text):
            if "*" in element or "?" in element:
                continue  # there are no files here
            self._loops.append((node.name, element))
            try:
                if self._echo and not _quiet(node.body):
                    self._say(console, f"\r\n{self._home}>{self._shown(node.body)} \r\n")
                code = await self._run(node.body, console)
            finally:
                self._loops.pop()
        return code

    def _shown(self, node: Node) -> str:
        match node:
            case Joined(left, operator, right):
                return f"{self._shown(left)} {operator} {self._shown(right)}"
            case Block(body, _, _):
                return f"({self._shown(body)} )"
            case For(name, elements, body):
                return f"FOR %{name} IN ({elements}) DO {self._shown(body)}"
            case Simple(text, _, _):
                for name, value in self._loops:
                    text = expand.loop_variable(text, name, value)
                return text.rstrip()

    async def _simple(self, text: str, console: Console) -> int:
        text = text.lstrip(DELIMITERS)
        if _ECHO.match(text):
            return self._say_it(text[4:], console)
        name, tail = _name(text)
        folded = name.casefold()
        if not name or folded == "rem":
            return 0
        if command := self._commands.get(folded):
            return await command(tail, console)
        if folded in _ABSENT:
            raise NotBuilt(name)
        code = await launch(self._where, name, tail, console, self._screen)
        if code is None:
            self._error_level = NOT_FOUND
            return self._complain(console, "unknown", name)
        self._error_level = (code + 2**31) % 2**32 - 2**31  # a number with a sign, whatever the program meant
        return code

    def _say_it(self, text: str, console: Console) -> int:
        """echo: all behind the one letter that parts it from its name."""
        word = text.strip().casefold()
        if word in ("on", "off"):
            self._echo = word == "on"
        elif not word:
            key = "echo on" if self._echo else "echo off"
            self._say(console, texts.say(key, self._where.host.spec.language) + "\r\n")
        else:
            self._say(console, text[1:] + "\r\n")
        return 0

    async def _call(self, tail: str, console: Console) -> int:
        text = expand.called(tail, self._value_of)
        if text.lstrip().startswith(":"):
            raise NotBuilt("call to a label")
        return await self._simple(text, console)

    async def _chcp(self, tail: str, console: Console) -> int:
        word = tail.strip()
        if word and not (word.isdigit() and codepages.known(int(word))):
            self._say(console, texts.say("bad code page", self._where.host.spec.language) + "\r\n")
            self._error_level = 1
            return 1
        if word:
            self._screen.code_page = int(word)
        self._say(console, texts.say("code page", self._where.host.spec.language, self._screen.code_page) + "\r\n")
        self._error_level = 0
        return 0

    async def _exit(self, tail: str, console: Console) -> int:
        """Outside of a batch file `exit /b` ends cmd.exe too."""
        words = [word for word in tail.split() if word.casefold() != "/b"]
        number = re.match(r"-?\d+", words[0]) if words else None
        raise _Exit(int(number[0]) if number else self._error_level)


def _name(text: str) -> tuple[str, str]:
    """The name of a command and the text behind it."""
    found = re.match(r'(?:"[^"]*"?|[^ \t,;="/])+', text) if not text.startswith("/") else None
    if found is None:
        return "", ""
    return found[0].replace('"', ""), text[found.end() :]


def _quiet(node: Node) -> bool:
    while isinstance(node, Joined):
        node = node.left
    return node.quiet
