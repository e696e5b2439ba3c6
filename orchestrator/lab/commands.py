"""Which command a pipeline means: a cmdlet with its parameters bound, a program, or nothing that there is."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from orchestrator.lab import clixml, programs, texts
from orchestrator.lab.cmd import argv
from orchestrator.lab.cmdlets import CMDLETS, Remote
from orchestrator.lab.errors import Error
from orchestrator.lab.host import Host
from orchestrator.lab.powershell.processes import command_line
from orchestrator.lab.programs import Where
from orchestrator.lab.psrp import Pipeline, PipelineFailed, Runspace
from orchestrator.lab.service_cmdlets import ALIASES, Call, Stopped

_MANAGEMENT = "System.Management.Automation"
_INVALID_ARGUMENT, _NOT_FOUND = (5, "InvalidArgument"), (13, "ObjectNotFound")
_SILENT, _STOP = frozenset({"0", "silentlycontinue", "4", "ignore"}), frozenset({"1", "stop"})


def executor(host: Host, user: str) -> Callable[[Pipeline, Runspace, Sequence[Sequence[Any]]], Awaitable[None]]:
    """What runs *user*'s pipelines on *host*: one statement after the other, each a single command."""

    where = Where(host, user)

    async def execute(pipeline: Pipeline, runspace: Runspace, statements: Sequence[Sequence[Any]]) -> None:
        for statement in statements:
            for command in statement:
                parameters = [(None if key is None else str(key), _plain(value)) for key, value in command.parameters]
                host.log(
                    "command",
                    name=str(command.command_text),
                    parameters={key: value for key, value in parameters if key is not None},
                    arguments=[value for key, value in parameters if key is None] or None,
                    pipeline=str(pipeline.id),
                )
                if command.is_script or len(statement) > 1:
                    raise PipelineFailed(
                        _refusal(host, "no script", "ScriptsNotAllowed", "ParseException", (17, "ParserError"))
                    )
                await _run(where, pipeline, runspace, str(command.command_text), parameters)

    return execute


async def _run(
    where: Where, pipeline: Pipeline, runspace: Runspace, name: str, parameters: Sequence[tuple[str | None, Any]]
) -> None:
    host = where.host
    if known := CMDLETS.get(name.casefold()):
        cmdlet, run, accepted = known
        bound = _bind(host, cmdlet, accepted, parameters)
        action = str(bound.get("erroraction", "")).casefold()
        remote = Remote(pipeline, runspace)
        call = Call(host, remote, cmdlet, bound, silent=action in _SILENT, stops=action in _STOP)
        try:
            await run(call, remote)
        except Stopped as exc:
            raise PipelineFailed(exc.record) from exc
        return
    # As Windows PowerShell 5.1 does it: one line of text, which the program takes apart.
    line = command_line([str(value) for _, value in parameters])
    result = await programs.run(where, name, argv.split(line))
    if result is None:
        failure = _refusal(host, "no command", "CommandNotFoundException", "CommandNotFoundException", _NOT_FOUND, name)
        raise PipelineFailed(failure)
    for line in result.output:
        pipeline.output(clixml.string(line))
    for number, line in enumerate(result.errors):
        id = "NativeCommandErrorMessage" if number else "NativeCommandError"
        exception = f"{_MANAGEMENT}.RemoteException"
        pipeline.error(
            Error(
                text=line, id=id, exception=exception, category=(0, "NotSpecified"), target=line, target_type="String"
            )
        )
    runspace.last_exit_code = result.exit_code


def _bind(
    host: Host, cmdlet: str, accepted: frozenset[str], parameters: Sequence[tuple[str | None, Any]]
) -> dict[str, Any]:
    bound: dict[str, Any] = {}
    for given, value in parameters:
        name = "name" if given is None else given.lstrip("-").rstrip(":").casefold()
        name = ALIASES.get(name, name)
        if name not in accepted:
            id = f"NamedParameterNotFound,Microsoft.PowerShell.Commands.{cmdlet.replace('-', '')}Command"
            exception = "ParameterBindingException"
            raise PipelineFailed(_refusal(host, "no parameter", id, exception, _INVALID_ARGUMENT, given or ""))
        bound[name] = value
    return bound


def _refusal(host: Host, key: str, id: str, exception: str, category: tuple[int, str], subject: str = "") -> Error:
    return Error(
        text=texts.say(key, host.spec.language, subject),
        id=id,
        exception=f"{_MANAGEMENT}.{exception}",
        category=category,
        target=subject,
        target_type="String" if subject else "",
        bases=(f"{_MANAGEMENT}.RuntimeException", "System.SystemException", "System.Exception", "System.Object"),
    )


def _plain(value: Any) -> Any:
    """A deserialised value as JSON may hold it; an enum by its name."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, int):
        return int(value)
    return str(value)
