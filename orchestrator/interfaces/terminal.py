"""The two streams: results on stdout, everything said to a person on stderr. Markup is never taken from text."""

import getpass
import sys

from rich.console import Console

PIPED_WIDTH = 160
"""Columns where there is no terminal to ask."""


def out() -> Console:
    """The console for results."""
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def err() -> Console:
    """The console for what is said to the person who typed."""
    return Console(stderr=True, markup=False, highlight=False)


def say(text: str) -> None:
    """One line to the person, plain."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def interactive() -> bool:
    """Whether a person can be asked: both the question and the answer have a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask on stderr; only `y` or `yes` is yes. The end of input is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def ask_password(wanted: bool) -> dict[str, str]:
    """The answers of `--ask-pass`: the password under the name that connections without one refer to."""
    return {"password": getpass.getpass("password of the hosts: ")} if wanted else {}
