"""A cmdlet at work within a pipeline: what it declares, its bound parameters, its input, its streams."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.lab.powershell import convert
from orchestrator.lab.powershell.binding import Argument, Parameters, bind, no_place
from orchestrator.lab.powershell.frame import Frame, Sink
from orchestrator.lab.powershell.values import Enum, ErrorRecord, Failed

_QUIET = frozenset({"silentlycontinue", "ignore", "0", "4"})
_STOP = frozenset({"stop", "1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmdlet:
    """A cmdlet by its name. `each` sees every object that is piped to it as it comes; without it they are gathered
    for `end`. `acts` says that it asks something of the host: those calls are logged."""

    name: str
    end: "Callable[[Invocation], Awaitable[None]] | None" = None
    each: "Callable[[Invocation, Any], Awaitable[None]] | None" = None
    parameters: Parameters = field(default_factory=Parameters)
    acts: bool = False
    space: str = "Microsoft.PowerShell.Commands"

    @property
    def class_name(self) -> str:
        """Its .NET class, as it stands in error ids."""
        return f"{self.space}.{self.name.replace('-', '')}Command"


@dataclass(slots=True, eq=False)
class Invocation:
    """One call of a cmdlet."""

    frame: Frame
    cmdlet: Cmdlet
    bound: Mapping[str, Any]
    out: Sink
    items: list[Any] = field(default_factory=list)
    """What was piped to it."""
    is_piped: bool = False
    state: dict[str, Any] = field(default_factory=dict)
    """What it remembers from one object to the next."""
    stage: object = None

    @property
    def language(self) -> str:
        """The host's language."""
        return self.frame.session.where.host.spec.language

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a parameter."""
        return self.bound.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        """The value of a parameter as text."""
        return convert.text(self.bound[name]) if name in self.bound else default

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return convert.truth(self.bound.get(name))

    def whole(self, name: str, default: int) -> int:
        """The value of a parameter as a whole number. Raises Failed."""
        return int(convert.cast(self.bound[name], "System.Int32")) if name in self.bound else default

    def preference(self, parameter: str, variable: str) -> str:
        """A preference of this call, else of the scope, in lower case."""
        value = self.bound.get(parameter, self.frame.get(variable))
        return (value.name if isinstance(value, Enum) else convert.text(value)).lower()

    @property
    def stops(self) -> bool:
        """Whether an error ends the script."""
        return self.preference("ErrorAction", "erroractionpreference") in _STOP

    def error(self, record: ErrorRecord) -> None:
        """A non-terminating error, as -ErrorAction wants it. Raises Failed if that is Stop."""
        action = self.preference("ErrorAction", "erroractionpreference")
        if variable := self.text("ErrorVariable"):
            self.frame.set(variable.lstrip("+"), [record])
        if action in _STOP:
            raise Failed(record, fatal=True)
        session = self.frame.session
        if action in _QUIET:
            session.ok = False
            if action not in ("ignore", "4"):
                session.errors.insert(0, record)
        else:
            session.put_error(record)

    def warning(self, message: str) -> None:
        """A warning, as -WarningAction wants it."""
        if self.preference("WarningAction", "warningpreference") not in _QUIET:
            self.frame.session.writer.warning(message)


class CmdletStage:
    """A cmdlet as a stage of a pipeline."""

    def __init__(self, frame: Frame, cmdlet: Cmdlet, arguments: Sequence[Argument], sink: Sink) -> None:
        session = frame.session
        who = (cmdlet.name, cmdlet.class_name)
        bound, loose = bind(cmdlet.parameters, arguments, session.where.host.spec.language, who)
        if loose:
            raise no_place(loose[0], *who)
        if cmdlet.acts:
            plain = {name: _plain(value) for name, value in bound.items()}
            session.where.host.log("command", name=cmdlet.name, parameters=plain)
        self._call = Invocation(frame, cmdlet, bound, sink, stage=self)

    async def put(self, value: Any) -> None:
        """One object from the command before it."""
        call = self._call
        call.is_piped = True
        if call.cmdlet.each is None:
            call.items.append(value)
            return
        await call.cmdlet.each(call, value)

    async def end(self) -> None:
        """No more objects come."""
        call = self._call
        if call.cmdlet.end is not None:
            await call.cmdlet.end(call)


def _plain(value: Any) -> Any:
    """A parameter as the log holds it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return convert.text(value)
