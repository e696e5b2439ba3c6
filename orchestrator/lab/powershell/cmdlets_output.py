"""The cmdlets that write: to the pipeline, the console, the error stream; and JSON."""

from typing import Any

from orchestrator.lab.powershell import convert, tojson
from orchestrator.lab.powershell.binding import Parameters
from orchestrator.lab.powershell.formatting import Shown, Writer, local_text
from orchestrator.lab.powershell.invocation import Cmdlet, Invocation
from orchestrator.lab.powershell.values import ErrorRecord, NetException, failure, unsupported

_DEPTH = 2
_DEEPEST = 100
_SPACE = "Microsoft.PowerShell.Commands"


async def _write_output(call: Invocation) -> None:
    values = call.items if call.is_piped else convert.items(call.get("InputObject"))
    if call.on("NoEnumerate") and not call.is_piped:
        await call.out(call.get("InputObject"))
        return
    for value in values:
        for item in convert.items(value) if not call.is_piped else [value]:
            await call.out(item)


async def _write_host(call: Invocation) -> None:
    values = call.items if call.is_piped else convert.items(call.get("Object", ""))
    between = call.text("Separator", " ")
    shown = between.join(local_text(value, call.language) for value in values)
    call.frame.session.writer.host(shown + ("" if call.on("NoNewline") else "\r\n"))


async def _write_error(call: Invocation) -> None:
    record = call.get("ErrorRecord")
    if not isinstance(record, ErrorRecord):
        exception = call.get("Exception")
        said = call.text("Message") or "\n".join(convert.strings(call.items))
        kind = f"{_SPACE}.WriteErrorException"
        if not isinstance(exception, NetException):
            exception = NetException(kind, said)
        id = call.text("ErrorId") or kind
        record = ErrorRecord(exception, id, (0, "NotSpecified"), "Write-Error", call.get("TargetObject"))
    call.error(record)


async def _write_warning(call: Invocation) -> None:
    for value in call.items if call.is_piped else [call.get("Message")]:
        call.warning(convert.text(value))


async def _silent(call: Invocation) -> None:
    """Write-Verbose, Write-Debug, Write-Progress: nothing shows by default."""
    if call.on("Verbose") or call.on("Debug"):
        raise unsupported(f"{call.cmdlet.name} with its switch on")


async def _nothing(call: Invocation, value: Any) -> None:
    return


class _Buffer:
    """A console that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    async def line(self) -> bytes | None:
        """There is none."""
        return None

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.data += data

    def write_error(self, data: bytes) -> None:
        """Keep it."""
        self.data += data


async def _rendered(call: Invocation, values: list[Any]) -> str:
    buffer = _Buffer()
    writer = Writer(buffer, call.language)
    writer.code_page = 65001
    shown = Shown(writer)
    for value in values:
        await shown.put(value)
    shown.flush()
    return buffer.data.decode()


async def _out_string(call: Invocation) -> None:
    text = await _rendered(call, call.items or convert.items(call.get("InputObject")))
    if not call.on("Stream"):
        await call.out(text)
        return
    for line in text.removesuffix("\r\n").split("\r\n"):
        await call.out(line)


async def _out_host(call: Invocation) -> None:
    call.frame.session.writer.host(await _rendered(call, call.items))


async def _to_json(call: Invocation) -> None:
    depth = call.whole("Depth", _DEPTH)
    if not 1 <= depth <= _DEEPEST:
        said = f"Cannot validate argument on parameter 'Depth'. The {depth} argument is out of range."
        raise failure(said, f"ParameterArgumentValidationError,{call.cmdlet.class_name}", activity="ConvertTo-Json")
    value = call.get("InputObject")
    if call.is_piped:
        value = call.items[0] if len(call.items) == 1 else call.items
    elif "InputObject" not in call.bound:
        return
    await call.out(tojson.write(value, depth, compress=call.on("Compress")))


async def _from_json(call: Invocation) -> None:
    text = "\n".join(convert.strings(call.items)) if call.is_piped else call.text("InputObject")
    await call.out(tojson.read(text))


CMDLETS = (
    Cmdlet(
        name="Write-Output",
        end=_write_output,
        parameters=Parameters(("InputObject",), ("NoEnumerate",), ("InputObject",), takes_rest=True),
    ),
    Cmdlet(
        name="Write-Host",
        end=_write_host,
        parameters=Parameters(
            ("Object", "Separator", "ForegroundColor", "BackgroundColor"), ("NoNewline",), ("Object",), takes_rest=True
        ),
    ),
    Cmdlet(
        name="Write-Error",
        end=_write_error,
        parameters=Parameters(
            ("Message", "Exception", "ErrorRecord", "Category", "ErrorId", "TargetObject"),
            places=("Message",),
            aliases={"msg": "Message"},
        ),
    ),
    Cmdlet(name="Write-Warning", end=_write_warning, parameters=Parameters(("Message",), places=("Message",))),
    *(
        Cmdlet(name=name, end=_silent, parameters=Parameters(("Message",), places=("Message",)))
        for name in ("Write-Verbose", "Write-Debug")
    ),
    Cmdlet(
        name="Write-Progress",
        end=_silent,
        parameters=Parameters(
            ("Activity", "Status", "Id", "PercentComplete"), ("Completed",), ("Activity", "Status", "Id")
        ),
    ),
    Cmdlet(name="Out-Null", each=_nothing, parameters=Parameters(("InputObject",), places=("InputObject",))),
    Cmdlet(
        name="Out-String",
        end=_out_string,
        parameters=Parameters(("InputObject", "Width"), ("Stream",)),
    ),
    *(
        Cmdlet(name=name, end=_out_host, parameters=Parameters(("InputObject",), ("Paging",)))
        for name in ("Out-Host", "Out-Default")
    ),
    Cmdlet(
        name="ConvertTo-Json",
        end=_to_json,
        parameters=Parameters(("InputObject", "Depth"), ("Compress",), ("InputObject",)),
    ),
    Cmdlet(
        name="ConvertFrom-Json",
        end=_from_json,
        parameters=Parameters(("InputObject",), places=("InputObject",)),
    ),
)
