"""The two streams: results on stdout, everything said to a person on stderr. Markup is never taken from text."""

import getpass
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

from rich.console import Console

from orchestrator.domain.errors import BadInput
from orchestrator.interfaces.clean_text import clean

PIPED_WIDTH = 160
"""Columns where there is no terminal to ask, and COLUMNS says nothing."""


class _Trimmed:
    """Lines on their way to *stream* lose the blanks at their ends, which rich fills tables with."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        return self._stream.encoding

    def write(self, text: str) -> int:
        self._stream.write(re.sub(r" +(?=\n)", "", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False


def out() -> Console:
    """The console for results."""
    if sys.stdout.isatty():
        return Console(markup=False, highlight=False)
    return Console(markup=False, highlight=False, width=_piped_width(), file=cast(TextIO, _Trimmed(sys.stdout)))


def _piped_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else PIPED_WIDTH


def print_json(text: str) -> None:
    """The JSON *text*, indented, on stdout. All but ASCII is escaped, as some of it would steer a terminal."""
    if sys.stdout.isatty():
        out().print_json(text, ensure_ascii=True)
        return
    sys.stdout.write(json.dumps(json.loads(text), indent=2) + "\n")  # rich takes 40 us and 5 KB for each line of it
    sys.stdout.flush()


def err() -> Console:
    """The console for what is said to the person who typed."""
    if sys.stderr.isatty():
        return Console(stderr=True, markup=False, highlight=False)
    return Console(markup=False, highlight=False, width=_piped_width(), file=cast(TextIO, _Trimmed(sys.stderr)))


def say(text: str) -> None:
    """Lines to the person, plain and made harmless: what a host said may be in them. Never raises: who does not listen
    misses it, and a run goes on."""
    lines = (" " * (len(line) - len(line.lstrip(" "))) + clean(line) for line in text.split("\n"))
    with suppress(OSError, ValueError):
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()


def interactive() -> bool:
    """Whether a person can be asked: both the question and the answer have a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask on stderr; only `y` or `yes` is yes. The end of input and Ctrl-C are no."""
    try:
        with _interruptible():
            sys.stderr.write(f"{question} [y/N] ")
            sys.stderr.flush()
            return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        say("")
        return False


def ask_password(wanted: bool) -> dict[str, str]:
    """The answers of `--ask-pass`: the password under the name that connections without one refer to.

    Raises: BadInput when there is nobody to answer.
    """
    if not wanted:
        return {}
    hint = "give the inventory `ansible_password: \"{{ secret('env:NAME') }}\"`, or file:, keyring: or command:"
    return {"password": asked("--ask-pass", "password of the hosts: ", hint)}


def asked(option: str, question: str, hint: str) -> str:
    """What a person types, unseen, because *option* was given. Raises: BadInput when there is nobody to answer."""
    if not interactive():
        raise BadInput(f"{option} asks for a password, and there is no terminal to ask in", hint=hint)
    try:
        with _interruptible():
            return getpass.getpass(question)
    except EOFError:
        raise BadInput(f"{option}: the input ended without a password; nothing was touched") from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the wait for a person. A running event loop only marks its task as cancelled, and a read that blocks
    never hears of that."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or before is None:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
