"""The one place where errors become words and exit codes. Anything that is not on purpose leaves a crash log."""

import os
import platform
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Literal, TextIO

import typer

from orchestrator.domain.errors import Declined, Mistakes, OrchError
from orchestrator.interfaces.clean_text import clean

BUG = 70
INTERRUPTED = 130


@contextmanager
def boundary(state: Path) -> Iterator[None]:
    """Turn whatever the body raises into words on stderr and an exit code.

    OrchError: `error: ...`, `try: ...` and its own code; Ctrl-C where nothing listens for it: 130; a reader of stdout
    that has gone: 141 without a word, as of a program that SIGPIPE ended; anything else: 70, and a log in
    *state*/crash.
    Raises: typer.Exit with the code, and lets typer's own exceptions pass.
    """
    _show_what_can_be_shown()
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError as exc:
        _close_stdout()
        raise typer.Exit(141) from exc
    except KeyboardInterrupt as exc:
        _say("interrupted")
        raise typer.Exit(INTERRUPTED) from exc
    except Exception as exc:  # noqa: BLE001 - the boundary: everything that is left is our bug
        raise typer.Exit(_told(exc, state)) from exc


def _show_what_can_be_shown() -> None:
    """A stream that has not all characters gets the missing ones spelled out, for no output is worth a crash. One that
    was closed before we began reads nothing, or goes nowhere."""
    sys.stdin = sys.stdin or _nowhere(os.O_RDONLY, "r")
    sys.stdout = sys.stdout or _nowhere(os.O_WRONLY, "w")
    sys.stderr = sys.stderr or _nowhere(os.O_WRONLY, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere(flags: int, mode: Literal["r", "w"]) -> TextIO:
    return os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8", closefd=False)


def _told(exc: Exception, state: Path) -> int:
    """Say what went wrong; the exit code. Errors that tasks raised together are said one after the other."""
    leaves = _leaves(exc)
    ours = [leaf for leaf in leaves if isinstance(leaf, OrchError)]
    if len(ours) < len(leaves):
        _say_bug(exc, state)
        return BUG
    for error in ours:
        _say_error(error)
    return max(error.exit_code for error in ours)


def _leaves(exc: BaseException) -> list[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        return [leaf for part in exc.exceptions for leaf in _leaves(part)]
    return [exc]


def _say_error(error: OrchError) -> None:
    if isinstance(error, Mistakes):
        for mistake in error.mistakes:
            _say_lines(f"error: {clean(str(mistake.mark))}: ", mistake.wrong)
            _say_lines("    ", mistake.right)
        _say(error.hint)
        return
    label = "" if isinstance(error, Declined) else "error: "  # a person's no is no error
    _say_lines(label, str(error) or type(error).__name__)
    _say_lines("try: ", error.hint)


def _say_lines(label: str, text: str) -> None:
    """*text*, made harmless line by line, behind *label*; nothing if there is none."""
    for number, line in enumerate(text.splitlines()):
        deeper = " " * (len(line) - len(line.lstrip(" ")))
        _say((label if number == 0 else "    ") + deeper + clean(line))


def _say_bug(exc: Exception, state: Path) -> None:
    """Write the crash log; when that fails too, say it all here."""
    text = crash_text(exc)
    try:
        path = _write(text, state / "crash")
    except OSError as failed:
        _say(text)
        _say(f"error: this is a bug in orch; the log could not be written to {state / 'crash'}: {failed}")
    else:
        _say(f"error: this is a bug in orch ({type(exc).__name__}); the log is {path}")
    _say("try: `orch show last` for what a run did up to now; send the log with your report")


def crash_text(exc: BaseException) -> str:
    """What a report of a bug needs: versions and the traceback; no arguments and no values of variables."""
    facts = f"orch {version('orchestrator')}, Python {platform.python_version()}, {platform.platform()}"
    frames = "".join(traceback.TracebackException.from_exception(exc, capture_locals=False).format())
    return f"{facts}\n{datetime.now(UTC).isoformat(timespec='seconds')}\n\n{frames}"


def _write(text: str, folder: Path) -> Path:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(text)
    return path


def _say(text: str) -> None:
    with suppress(OSError):  # nobody may listen
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _close_stdout() -> None:
    """Keep Python from flushing into the broken pipe at its own end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
