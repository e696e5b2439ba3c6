"""Pipelines: commands found by name, their streams led where redirections say, objects handed on one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.lab import texts
from orchestrator.lab.powershell import convert, dotnet, processes
from orchestrator.lab.powershell.binding import (
    Argument,
    Declared,
    Parameters,
    Redirections,
    bind,
    declared,
    no_place,
    read,
)
from orchestrator.lab.powershell.cmdlets import ABSENT, ALIASES, CMDLETS
from orchestrator.lab.powershell.evaluate import block_of, named_type, text_value
from orchestrator.lab.powershell.frame import ErrorStream, Frame, Session, Sink, Statement
from orchestrator.lab.powershell.invocation import CmdletStage
from orchestrator.lab.powershell.source import Node
from orchestrator.lab.powershell.values import (
    Block,
    Enough,
    ErrorRecord,
    Failed,
    NetException,
    Return,
    failure,
    unsupported,
)


class Stage(Protocol):
    """One command of a pipeline."""

    async def put(self, value: Any) -> None:
        """One object from the command before it."""

    async def end(self) -> None:
        """No more objects come; or there is no command before it."""


async def _nowhere(value: Any) -> None:
    return


class Redirected:
    """A command whose streams lead elsewhere. What stands behind it in the pipeline is not touched."""

    def __init__(self, session: Session, redirections: Redirections, sink: Sink) -> None:
        self._session = session
        self._sink: Sink = _nowhere if redirections.streams.get("1") == "null" else sink
        goal = redirections.streams.get("2")
        self._errors = ErrorStream(dropped=goal == "null", merged=goal == "1") if goal else None
        self._quiet = redirections.streams.get("3") == "null"
        self._silent = redirections.streams.get("6") == "null"
        self.inner: Stage | None = None

    async def out(self, value: Any) -> None:
        """What the command puts out, errors that came before it first."""
        await self._flush()
        held = self._enter(None)
        try:
            await self._sink(value)
        finally:
            self._leave(held)

    async def put(self, value: Any) -> None:
        """One object from the command before it."""
        if self.inner is not None:
            await self._within(self.inner.put(value))

    async def end(self) -> None:
        """No more objects come."""
        if self.inner is not None:
            await self._within(self.inner.end())

    async def _within(self, work: Any) -> None:
        self._outer = self._session.error_stream
        held = self._enter(self._errors or self._outer)
        writer = self._session.writer
        quiet, silent = writer.quiet, writer.silent
        writer.quiet, writer.silent = quiet or self._quiet, silent or self._silent
        try:
            await work
        finally:
            writer.quiet, writer.silent = quiet, silent
            self._leave(held)
            await self._flush()

    def _enter(self, stream: ErrorStream | None) -> ErrorStream:
        held = self._session.error_stream
        self._session.error_stream = stream or self._outer
        return held

    def _leave(self, held: ErrorStream) -> None:
        self._session.error_stream = held

    async def _flush(self) -> None:
        while self._errors is not None and self._errors.waiting:
            await self._sink(self._errors.waiting.pop(0))


class BlockStage:
    """A function or script block: once at the end, or for each object if it has a process block."""

    def __init__(self, frame: Frame, block: Block, arguments: Sequence[Argument], sink: Sink, *, dotted: bool) -> None:
        self._block = block
        self._outer = frame
        self._frame = frame if dotted else frame.child()
        self._arguments = arguments
        self._sink = sink
        self._input: list[Any] = []
        self._declared = declared(block)
        self._parts = _parts(block)
        self._begun = False
        self._piped = False

    async def put(self, value: Any) -> None:
        """One object from the command before it."""
        self._piped = True
        await self._begin()
        if "process" in self._parts:
            await self._process(value)
        else:
            self._input.append(value)

    async def end(self) -> None:
        """No more objects come."""
        await self._begin()
        if "process" in self._parts and not self._piped:
            await self._process(None)
        self._frame.variables["input"] = self._input
        await self._run("end")

    async def _process(self, value: Any) -> None:
        self._frame.variables["_"] = value
        for parameter in self._declared:
            if parameter.from_pipeline and self._piped:
                self._frame.variables[parameter.name.casefold()] = _converted(self._frame, parameter, value)
        await self._run("process")

    async def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        await _bind_function(self._outer, self._frame, self._block, self._declared, self._arguments)
        await self._run("begin")

    async def _run(self, part: str) -> None:
        body = self._parts.get(part)
        if body is None:
            return
        self._frame.enter()
        try:
            await self._frame.run(body, self._sink)
        except Return:
            return
        finally:
            self._frame.leave()


def _parts(block: Block) -> dict[str, Node]:
    """The body by begin, process and end; a plain body is the end, a filter's is its process."""
    if block.body is None:
        return {}
    named = block.body.kid("named_block_list")
    if named is None:
        return {"process" if block.is_filter else "end": block.body}
    parts: dict[str, Node] = {}
    for each in named.all("named_block"):
        word, body = each.kid("block_name"), each.kid("statement_block")
        if word is None or body is None or word.text.strip().lower() == "dynamicparam":
            raise unsupported("dynamicparam")
        parts[word.text.strip().lower()] = body
    return parts


async def _bind_function(
    outer: Frame, frame: Frame, block: Block, parameters: Sequence[Declared], arguments: Sequence[Argument]
) -> None:
    names = tuple(each.name for each in parameters if not each.is_switch)
    takes = Parameters(names, tuple(each.name for each in parameters if each.is_switch), names)
    language = frame.session.where.host.spec.language
    advanced = any(each.is_advanced for each in parameters)
    if not parameters:
        frame.variables["args"] = _loose(arguments)
        return
    bound, loose = bind(takes, _known_only(arguments, takes, advanced), language, (block.name, block.name))
    if loose and advanced:
        raise no_place(loose[0], block.name, block.name)
    frame.variables["args"] = loose
    if "ErrorAction" in bound:
        frame.variables["erroractionpreference"] = bound["ErrorAction"]
    _check_mandatory(block, parameters, bound)
    for each in parameters:
        key = each.name.casefold()
        if each.name in bound:
            frame.variables[key] = _converted(frame, each, bound[each.name])
        elif each.default is not None:
            frame.variables[key] = _converted(frame, each, await frame.plain(each.default))
        else:
            frame.variables[key] = _converted(frame, each, None) if each.types else None
        if each.types:
            frame.types[key] = named_type(each.types[-1])


def _check_mandatory(block: Block, parameters: Sequence[Declared], bound: Mapping[str, Any]) -> None:
    missing = [each.name for each in parameters if each.mandatory and each.name not in bound and not each.from_pipeline]
    if missing:
        said = "Cannot process command because of one or more missing mandatory parameters: " + " ".join(missing) + "."
        error = "System.Management.Automation.ParameterBindingException"
        raise failure(said, f"MissingMandatoryParameter,{block.name}", exception=error, category=(5, "InvalidArgument"))


def _loose(arguments: Sequence[Argument]) -> list[Any]:
    found: list[Any] = []
    for argument in arguments:
        if argument.name is not None:
            found.append(f"-{argument.name}{':' if argument.tied else ''}")
        if argument.name is None or argument.tied:
            found.append(argument.value)
    return found


def _known_only(arguments: Sequence[Argument], takes: Parameters, advanced: bool) -> list[Argument]:
    """A simple function takes a parameter that it does not know as an argument like any other."""
    known = [each.casefold() for each in (*takes.values, *takes.switches)]
    return [
        Argument(None, f"-{argument.name}")
        if argument.name is not None
        and not advanced
        and not any(each.startswith(argument.name.casefold()) for each in known)
        else argument
        for argument in arguments
    ]


def _converted(frame: Frame, parameter: Declared, value: Any) -> Any:
    for kind in reversed(parameter.types):
        value = dotnet.cast(frame.session, value, named_type(kind))
    return value


class ProgramStage:
    """A program: its lines are its output, its exit code is $LASTEXITCODE."""

    def __init__(self, frame: Frame, name: str, arguments: Sequence[Argument], sink: Sink) -> None:
        self._frame = frame
        self._name = name
        self._words = _words(arguments)
        self._sink = sink

    async def put(self, value: Any) -> None:
        """No program of the lab reads what is piped to it."""

    async def end(self) -> None:
        """Run it."""
        session = self._frame.session
        line = processes.command_line(self._words)
        ended = await processes.start(session.where, self._name, line, session.writer.code_page)
        if ended is None:
            raise no_command(session, self._name)
        session.last_exit_code = ended.exit_code - 2**32 if ended.exit_code >= 2**31 else ended.exit_code
        for said in _lines(ended.output):
            await self._sink(said)
        for number, said in enumerate(_lines(ended.errors)):
            self._complain(said, first=number == 0)
        session.ok = ended.exit_code == 0

    def _complain(self, line: str, *, first: bool) -> None:
        """Standard error: plain text on the console; error records where it is redirected."""
        session = self._frame.session
        if not session.error_stream.merged:
            if not session.error_stream.dropped:
                session.writer.error_text(line)
            return
        kind = "NativeCommandError" if first else "NativeCommandErrorMessage"
        exception = NetException("System.Management.Automation.RemoteException", line)
        record = ErrorRecord(exception, kind, (0, "NotSpecified"), self._name, line, line, "String")
        if convert.text(self._frame.get("erroractionpreference")).lower() == "stop":
            raise Failed(record, fatal=True)
        session.put_error(record)


def _words(arguments: Sequence[Argument]) -> list[str]:
    words: list[str] = []
    for argument in arguments:
        values = convert.strings(convert.items(argument.value)) if argument.value is not None else []
        if argument.name is None:
            words += [argument.raw] if argument.raw else values
        elif argument.tied:
            words.append(argument.raw + " ".join(values))
        else:
            words.append(argument.raw)
    return words


def _lines(output: str) -> list[str]:
    return output.replace("\r\n", "\n").removesuffix("\n").split("\n") if output else []


def no_command(session: Session, name: str) -> Failed:
    """The error for a name that means nothing."""
    return failure(
        texts.say("no command", session.where.host.spec.language, name),
        "CommandNotFoundException",
        exception="System.Management.Automation.CommandNotFoundException",
        category=(13, "ObjectNotFound"),
        target=name,
        target_type="String",
        activity=name,
    )


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A command with its arguments evaluated: what it means is looked up when it is put into the pipeline."""

    target: Any
    arguments: list[Argument]
    redirections: Redirections
    dotted: bool

    def stage(self, frame: Frame, sink: Sink) -> Stage:
        """The command at work, putting out into *sink*. Raises Failed."""
        if not self.redirections.streams:
            return _find(frame, self.target, self.arguments, sink, dotted=self.dotted)
        redirected = Redirected(frame.session, self.redirections, sink)
        redirected.inner = _find(frame, self.target, self.arguments, redirected.out, dotted=self.dotted)
        return redirected


async def _prepare(frame: Frame, node: Node) -> _Prepared:
    operator = node.kid("command_invokation_operator")
    name_node = node.fields["command_name"]
    target = await _command_target(frame, name_node)
    elements = node.kid("command_elements")
    arguments, redirections = await read(frame, elements.kids if elements else ())
    dotted = operator is not None and operator.text.strip() == "."
    return _Prepared(target, arguments, redirections, dotted)


_NAMES = frozenset({"command_name", "command_name_expr", "path_command_name", "path_command_name_token"})


async def _command_target(frame: Frame, node: Node) -> Any:
    while node.kind in _NAMES and len(node.kids) == 1:
        node = node.kids[0]
    if node.kind == "script_block_expression":
        return block_of(node)
    if node.kind in _NAMES:
        return await text_value(frame, node) if node.kids else node.text
    return await frame.plain(node)


def _find(frame: Frame, target: Any, arguments: list[Argument], sink: Sink, *, dotted: bool) -> Stage:
    if isinstance(target, Block):
        return BlockStage(frame, target, arguments, sink, dotted=dotted)
    name = convert.text(target)
    if not name.strip():
        said = "The expression after '&' in a pipeline element produced an object that was not valid. It must result"
        raise failure(f"{said} in a command name, a script block, or a CommandInfo object.", "BadExpression")
    name = ALIASES.get(name.casefold(), name)
    if function := frame.function(name):
        return BlockStage(frame, function, arguments, sink, dotted=dotted)
    if cmdlet := CMDLETS.get(name.casefold()):
        return CmdletStage(frame, cmdlet, arguments, sink)
    if name.casefold() in ABSENT:
        raise unsupported(f"the cmdlet {name}")
    if not processes.exists(name):
        raise no_command(frame.session, name)
    return ProgramStage(frame, name, arguments, sink)


async def _chain(frame: Frame, node: Node, sink: Sink) -> None:
    """Several elements with bars between them, or one with redirections."""
    kids = [kid for kid in node.kids if kid.kind != "|"]
    if node.kids and node.kids[0].kind == "pipeline_chain":
        raise unsupported("the separator " + node.text)
    first, redirections = kids[0], next((kid for kid in kids if kid.kind == "redirections"), None)
    commands = [kid for kid in kids if kid.kind == "command"]
    others = [kid for kid in kids[1:] if kid.kind not in ("command", "redirections")]
    if others:
        raise unsupported(f"'{others[0].text[:60]}' in a pipeline")
    if first.kind == "command":
        await _run(frame, commands, None, sink)
        return
    if redirections is not None and not commands:
        _, given = await read(frame, redirections.kids)
        for value in convert.items(await frame.value(first)):
            if given.streams.get("1") != "null":
                await sink(value)
        return
    await _run(frame, commands, first, sink)


async def _one(frame: Frame, node: Node, sink: Sink) -> None:
    await _run(frame, [node], None, sink)


async def _run(frame: Frame, commands: Sequence[Node], source: Node | None, sink: Sink) -> None:
    session = frame.session
    values = None if source is None else convert.items(await frame.value(source))
    session.ok = True
    stages: list[Stage] = []
    for prepared in reversed([await _prepare(frame, command) for command in commands]):
        stages.insert(0, prepared.stage(frame, stages[0].put if stages else sink))
    try:
        for value in values or ():
            await stages[0].put(value)
        for stage in stages:
            await stage.end()
    except Enough as exc:
        if exc.stage not in [getattr(stage, "inner", stage) for stage in stages]:
            raise
        after = [getattr(stage, "inner", stage) for stage in stages].index(exc.stage) + 1
        for stage in stages[after:]:
            await stage.end()
    if isinstance(stages[-1], BlockStage):
        session.ok = True


STATEMENTS: dict[str, Statement] = {"pipeline_chain": _chain, "command": _one}
