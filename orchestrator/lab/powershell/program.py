"""powershell.exe of a virtual host: its switches, a script that runs once, and the session that reads line by line."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.lab import codepages
from orchestrator.lab.console import Console
from orchestrator.lab.powershell import assignments, evaluate, pipelines, statements
from orchestrator.lab.powershell.formatting import Shown
from orchestrator.lab.powershell.frame import DEFAULTS, Frame, Language, Session
from orchestrator.lab.powershell.source import BadSyntax, parse
from orchestrator.lab.powershell.values import Enough, ErrorRecord, Exit, Failed, Leave, Return, failure
from orchestrator.lab.programs import Where

_LANGUAGE = Language(
    evaluate.QUICK,
    {**evaluate.EXPRESSIONS, **assignments.EXPRESSIONS},
    {**statements.STATEMENTS, **pipelines.STATEMENTS},
)
_WITH_VALUE = ("executionpolicy", "outputformat", "inputformat", "windowstyle", "version")
_SHORTEST = {
    "nologo": 3,
    "noprofile": 3,
    "noninteractive": 4,
    "noexit": 3,
    "sta": 1,
    "mta": 3,
    "executionpolicy": 2,
    "outputformat": 1,
    "inputformat": 2,
    "windowstyle": 1,
    "version": 1,
    "command": 1,
    "encodedcommand": 1,
    "file": 1,
}
_ALSO = {
    "ep": "executionpolicy",
    "ec": "encodedcommand",
    "o": "outputformat",
    "of": "outputformat",
    "if": "inputformat",
}
_USAGE = """
PowerShell[.exe] [-PSConsoleFile <file> | -Version <version>]
    [-NoLogo] [-NoExit] [-Sta] [-Mta] [-NoProfile] [-NonInteractive]
    [-InputFormat {Text | XML}] [-OutputFormat {Text | XML}]
    [-WindowStyle <style>] [-EncodedCommand <Base64EncodedCommand>]
    [-ConfigurationName <string>]
    [-File <filePath> <args>] [-ExecutionPolicy <ExecutionPolicy>]
    [-Command { - | <script-block> [-args <arg-array>]
                  | <string> [<CommandParameters>] } ]

PowerShell[.exe] -Help | -? | /?
"""
_BAD_ARGUMENTS = -196608 & 0xFFFFFFFF
_LONGEST = 1_000_000


class _Usage(Exception):
    """The arguments can't be understood."""


@dataclass(slots=True)
class _Asked:
    """What the arguments ask for: a script, or (None) to read standard input."""

    script: str | None = None
    encoded: bool = False
    format_given: bool = False


async def run(where: Where, arguments: Sequence[str], console: Console) -> int:
    """powershell.exe with *arguments*; its exit code. Cancelling it undoes nothing that it asked of services."""
    session = Session(where, console, _LANGUAGE)
    try:
        asked = _read(arguments)
    except _Usage as exc:
        for line in [str(exc), *_USAGE.splitlines()] if str(exc) else _USAGE.splitlines():
            session.writer.error_text(line)
        return _BAD_ARGUMENTS
    frame = Frame(session)
    frame.variables.update(DEFAULTS, args=[])
    session.writer.errors_as_xml = asked.encoded and not asked.format_given
    try:
        if asked.script is None:
            return await _session(frame, console)
        await _execute(frame, asked.script)
    except Exit as exc:
        return exc.code & 0xFFFFFFFF
    return 0 if session.ok else 1


def _read(arguments: Sequence[str]) -> _Asked:
    asked = _Asked()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name = _meaning(word)
        if name == "command" or name is None:
            words = rest if name else [word, *rest]
            return _command(asked, words)
        if name == "encodedcommand":
            if not rest:
                raise _Usage("Cannot process the command because of a missing parameter.")
            asked.script, asked.encoded = _decoded(rest.pop(0)), True
        elif name in _WITH_VALUE:
            if not rest:
                raise _Usage(f"Cannot process the command because of a missing parameter. {word}")
            asked.format_given = asked.format_given or name == "outputformat"
            rest.pop(0)
        elif name == "file":
            raise _Usage("The lab has no script files: -File can't be run.")
    return asked


def _meaning(word: str) -> str | None:
    """The switch that *word* means, or None: it begins the command."""
    if not word.startswith(("-", "/", "\u2013", "\u2014")) or word in ("-", "/"):
        return None
    given = word[1:].lower()
    if given in _ALSO:
        return _ALSO[given]
    for name, shortest in _SHORTEST.items():
        if len(given) >= shortest and name.startswith(given):
            return name
    raise _Usage(f"{word} is not recognized as the name of a switch.")


def _command(asked: _Asked, words: Sequence[str]) -> _Asked:
    if not words:
        raise _Usage("Cannot process the command because of a missing parameter. A command must follow -Command.")
    if words[0] == "-":
        if len(words) > 1:
            raise _Usage("'-' was specified with the -Command parameter; no other arguments are permitted.")
        return asked
    asked.script = " ".join(words)
    return asked


def _decoded(written: str) -> str:
    try:
        return base64.b64decode(written, validate=True).decode("utf-16-le")
    except (binascii.Error, ValueError):
        said = "Cannot process the command because the value specified with -EncodedCommand is not properly encoded."
        raise _Usage(f"{said} The value must be Base64 encoded.") from None


async def _session(frame: Frame, console: Console) -> int:
    """Standard input, line by line: what is complete runs at once; what is not waits for more, and for an empty
    line. What waits when the input ends is not run."""
    waiting: list[str] = []
    size = 0
    while (raw := await console.line()) is not None:
        line = codepages.decode(raw.removesuffix(b"\r"), codepages.oem(frame.session.where.host.spec.language))
        if waiting:
            if line.strip():
                size += len(line)
                if size > _LONGEST:
                    waiting = []
                waiting.append(line)
                continue
            text, waiting = "\n".join(waiting), []
        elif not line.strip():
            continue
        else:
            text = line
            if _is_incomplete(text):
                waiting, size = [text], len(text)
                continue
        await _execute(frame, text)
    return 0 if frame.session.ok else 1


def _is_incomplete(text: str) -> bool:
    try:
        parse(text)
    except BadSyntax as exc:
        return exc.incomplete
    return False


async def _execute(frame: Frame, text: str) -> None:
    """One script, its output shown, its error told. Raises Exit."""
    session = frame.session
    session.refill()
    if not text.strip():
        return
    shown = Shown(session.writer)
    try:
        await frame.run(parse(text), shown.put)
    except BadSyntax as exc:
        shown.flush()
        session.put_error(_syntax_error(exc, text))
    except Failed as exc:
        shown.flush()
        exc.record.at = exc.record.at or text
        session.put_error(exc.record)
    except RecursionError:
        shown.flush()
        session.put_error(failure("The script failed due to call depth overflow.", "CallDepthOverflow").record)
    except (Return, Leave, Enough):
        pass
    finally:
        shown.flush()
        session.tries = session.depth = 0


def _syntax_error(exc: BadSyntax, text: str) -> ErrorRecord:
    near = exc.at.strip().splitlines()
    said = "Missing closing or end of the text." if exc.incomplete else f"Unexpected token '{near[0] if near else ''}'."
    kind = "System.Management.Automation.ParseException"
    id = "IncompleteParse" if exc.incomplete else "UnexpectedToken"
    record = failure(said, id, exception=kind, category=(17, "ParserError")).record
    record.at = text
    return record
