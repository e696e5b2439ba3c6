"""Where a script stands: the session with its streams, scopes with their variables, and the way to run a node.

What each kind of node does is in `evaluate`, `statements` and `pipelines`; here they find each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.lab import codepages
from orchestrator.lab.console import Console
from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.formatting import Writer
from orchestrator.lab.powershell.source import Node
from orchestrator.lab.powershell.values import (
    NOTHING,
    Block,
    Custom,
    Enum,
    ErrorRecord,
    Failed,
    NetList,
    Table,
    failure,
    unsupported,
)
from orchestrator.lab.programs import Where

Sink = Callable[[Any], Awaitable[None]]
"""Takes what is put out, one object at a time."""
Expression = Callable[["Frame", Node], Awaitable[Any]]
Quick = Callable[["Frame", Node], Any]
Statement = Callable[["Frame", Node, Sink], Awaitable[None]]

BUDGET = 1_000_000
"""Nodes that one script or one line of a session may evaluate: an endless loop ends with an error, not with a stuck
lab."""
_TURN = 500
"""After so many nodes the other hosts of the lab get their turn."""
_DEEPEST = 60
"""Calls within calls; Windows allows more, Python's own stack does not."""
_ERRORS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Language:
    """What the kinds of nodes do: `quick` ones never wait, `expressions` may, `statements` put out."""

    quick: Mapping[str, Quick]
    expressions: Mapping[str, Expression]
    statements: Mapping[str, Statement]


@dataclass(slots=True, eq=False)
class ErrorStream:
    """Where error records go: to the console, nowhere, or (`merged`) among the output."""

    dropped: bool = False
    merged: bool = False
    waiting: list[ErrorRecord] = field(default_factory=list)


class Session:
    """One powershell.exe: what lives as long as its process."""

    def __init__(self, where: Where, console: Console, language: Language) -> None:
        self.where = where
        self.language = language
        self.writer = Writer(console, where.host.spec.language)
        self.errors: NetList = NetList()
        self.last_exit_code: Any = None
        self.ok = True
        self.tries = 0
        """How many try statements the code stands in: an error goes to the innermost."""
        self.depth = 0
        self.error_stream = ErrorStream()
        self.environment = _environment(where)
        self.static: dict[str, Any] = {}
        """Static properties that were assigned, by full name in lower case."""
        self.statement: Node | None = None
        """The statement that runs, for who asks where an error came from."""
        self.steps = 0

    @property
    def oem(self) -> int:
        """The code page in which this host's consoles begin."""
        return codepages.oem(self.where.host.spec.language)

    def version(self, text: str) -> Custom:
        """A System.Version."""
        return version(text)

    def refill(self) -> None:
        """A new line of the session: it may take as many steps as one may."""
        self.steps = 0

    async def turn(self) -> None:
        """Let others run. Raises Failed when the script took too many steps."""
        await asyncio.sleep(0)
        if self.steps > BUDGET:
            raise Failed(failure("The lab's PowerShell stops a script that never ends.").record, fatal=True)

    def put_error(self, record: ErrorRecord) -> None:
        """An error that ends nothing: into $Error, and to where the error stream leads."""
        self.ok = False
        self.errors.insert(0, record)
        del self.errors[_ERRORS_KEPT:]
        if not record.at and self.statement is not None:
            record.at = self.statement.text
        if self.error_stream.merged:
            self.error_stream.waiting.append(record)
        elif not self.error_stream.dropped:
            self.writer.error(record)


def _environment(where: Where) -> Table:
    name = where.host.spec.name.upper()
    return Table(
        {
            "COMPUTERNAME": name,
            "USERNAME": where.user,
            "USERDOMAIN": name,
            "USERPROFILE": f"C:\\Users\\{where.user}",
            "SystemRoot": "C:\\Windows",
            "windir": "C:\\Windows",
            "SystemDrive": "C:",
            "TEMP": f"C:\\Users\\{where.user}\\AppData\\Local\\Temp",
            "ComSpec": "C:\\Windows\\system32\\cmd.exe",
            "OS": "Windows_NT",
            "PROCESSOR_ARCHITECTURE": "AMD64",
            "Path": "C:\\Windows\\system32;C:\\Windows;C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\",
        }.items()
    )


class Frame:
    """A scope of variables and functions; what is not in it is looked for in its parent's."""

    __slots__ = ("functions", "parent", "session", "types", "variables")

    def __init__(self, session: Session, parent: "Frame | None" = None) -> None:
        self.session = session
        self.parent = parent
        self.variables: dict[str, Any] = {}
        self.types: dict[str, str] = {}
        """Types that variables were declared with: what is assigned later is converted."""
        self.functions: dict[str, Block] = {}

    @property
    def top(self) -> "Frame":
        """The global scope."""
        frame = self
        while frame.parent is not None:
            frame = frame.parent
        return frame

    def get(self, name: str) -> Any:
        """The variable *name*, null if there is none; `env:` and `global:` are understood."""
        drive, colon, rest = name.partition(":")
        if colon:
            return self._of_drive(drive.casefold(), rest)
        key = name.casefold()
        if key in _AUTOMATIC:
            return _AUTOMATIC[key](self)
        frame: Frame | None = self
        while frame is not None:
            if key in frame.variables:
                return frame.variables[key]
            frame = frame.parent
        return None

    def _of_drive(self, drive: str, name: str) -> Any:
        if drive == "env":
            return self.session.environment[name]
        if drive in ("global", "script"):
            return self.top.get(name)
        if drive in ("local", "private", "variable"):
            return self.get(name)
        raise unsupported(f"the drive '{drive}:' of a variable")

    def set(self, name: str, value: Any) -> None:
        """Assign in this scope. Raises Failed for what can't be written."""
        drive, colon, rest = name.partition(":")
        if colon and drive.casefold() == "env":
            self.session.environment[rest] = convert.text(value)
            return
        if colon and drive.casefold() in ("global", "script"):
            self.top.set(rest, value)
            return
        if colon and drive.casefold() not in ("local", "private", "variable"):
            raise unsupported(f"the drive '{drive}:' of a variable")
        key = (rest if colon else name).casefold()
        if key == "lastexitcode":
            self.session.last_exit_code = value
        elif key in _AUTOMATIC:
            if key != "null":
                said = f"Cannot overwrite variable {name} because it is read-only or constant."
                raise failure(said, "VariableNotWritable", category=(19, "WriteError"))
        else:
            self.variables[key] = convert.cast(value, self.types[key]) if key in self.types else value

    def function(self, name: str) -> Block | None:
        """The function of that name, of this scope or one around it."""
        key, frame = name.casefold(), self
        while True:
            if key in frame.functions:
                return frame.functions[key]
            if frame.parent is None:
                return None
            frame = frame.parent

    def child(self) -> "Frame":
        """A new scope within this one. Raises Failed when calls are too deep."""
        return Frame(self.session, self)

    async def value(self, node: Node) -> Any:
        """What the expression *node* gives. Raises Failed."""
        self.session.steps += 1
        if self.session.steps % _TURN == 0:
            await self.session.turn()
        language = self.session.language
        if quick := language.quick.get(node.kind):
            return quick(self, node)
        if expression := language.expressions.get(node.kind):
            return await expression(self, node)
        if node.kind in language.statements:
            return convert.single(await self.collect(node))
        raise unsupported(f"'{node.text[:60]}' ({node.kind.replace('_', ' ')})")

    async def plain(self, node: Node) -> Any:
        """What the expression *node* gives, null for nothing."""
        value = await self.value(node)
        return None if value is NOTHING else value

    async def run(self, node: Node, sink: Sink) -> None:
        """Run the statement *node*. Raises Failed, Leave, Return, Exit."""
        self.session.steps += 1
        if self.session.steps % _TURN == 0:
            await self.session.turn()
        if statement := self.session.language.statements.get(node.kind):
            await statement(self, node, sink)
            return
        raise unsupported(f"'{node.text[:60]}' ({node.kind.replace('_', ' ')})")

    async def collect(self, node: Node) -> list[Any]:
        """All that the statement *node* puts out."""
        found: list[Any] = []

        async def keep(value: Any) -> None:
            found.append(value)

        await self.run(node, keep)
        return found

    def enter(self) -> None:
        """One call deeper. Raises Failed."""
        if self.session.depth >= _DEEPEST:
            said = "The script failed due to call depth overflow."
            raise Failed(failure(said, "CallDepthOverflow").record, fatal=True)
        self.session.depth += 1

    def leave(self) -> None:
        """Back from a call."""
        self.session.depth -= 1


_VERSION = "5.1.17763.5830"


def version(text: str) -> Custom:
    """A System.Version."""
    parts = Table(ordered=True)
    for name, number in zip(("Major", "Minor", "Build", "Revision"), text.split("."), strict=False):
        parts[name] = int(number)
    return Version(parts, "System.Version")


class Version(Custom):
    """A System.Version: written with dots."""

    def shown(self) -> str:
        """Its ToString."""
        return ".".join(convert.text(part) for part in self.members.values())


def _versions(frame: Frame) -> Table:
    return Table(
        [
            ("PSVersion", version(_VERSION)),
            ("PSEdition", "Desktop"),
            ("BuildVersion", version("10.0.17763.5830")),
            ("CLRVersion", version("4.0.30319.42000")),
            ("WSManStackVersion", version("3.0")),
        ]
    )


_AUTOMATIC: dict[str, Callable[[Frame], Any]] = {
    "null": lambda frame: None,
    "true": lambda frame: True,
    "false": lambda frame: False,
    "?": lambda frame: frame.session.ok,
    "error": lambda frame: frame.session.errors,
    "lastexitcode": lambda frame: frame.session.last_exit_code,
    "psversiontable": _versions,
    "pid": lambda frame: 4242,
    "pshome": lambda frame: "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
    "home": lambda frame: frame.session.environment["USERPROFILE"],
}
DEFAULTS: dict[str, Any] = {
    "erroractionpreference": Enum("System.Management.Automation.ActionPreference", "Continue", 2),
    "warningpreference": Enum("System.Management.Automation.ActionPreference", "Continue", 2),
    "progresspreference": Enum("System.Management.Automation.ActionPreference", "Continue", 2),
    "verbosepreference": Enum("System.Management.Automation.ActionPreference", "SilentlyContinue", 0),
    "debugpreference": Enum("System.Management.Automation.ActionPreference", "SilentlyContinue", 0),
    "informationpreference": Enum("System.Management.Automation.ActionPreference", "SilentlyContinue", 0),
    "confirmpreference": "High",
    "ofs": None,
}
"""Variables that every session begins with."""
