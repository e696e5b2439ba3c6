"""The one question that may come at any time: the password for hosts that rejected the one that we had.

It is put while a picture may be on the terminal and while the event loop goes on, so nothing here blocks.
"""

import asyncio
import os
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from orchestrator.engine.ports import AskPassword, PasswordQuestion
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.terminal import interactive, say
from orchestrator.interfaces.theme import plural

_LFLAGS = 3


class Picture(Protocol):
    """Something that is drawn again and again, and can make room for a question."""

    def pause(self) -> None:
        """Take it off the terminal."""

    def resume(self) -> None:
        """Draw it again."""


class Asker:
    """Asks for passwords on the terminal of the person who typed the command; once each, one at a time."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []
        self._restore: Callable[[], None] | None = None
        self._typed: asyncio.Future[bytes] | None = None
        self._withdrawn = False

    @property
    def ask(self) -> AskPassword | None:
        """How to ask; None where there is no terminal to ask in."""
        return self._ask if interactive() else None

    @contextmanager
    def over(self, picture: Picture) -> Iterator[None]:
        """While *picture* is on the terminal, a question takes its place."""
        self._pictures.append(picture)
        try:
            yield
        finally:
            self._pictures.remove(picture)

    def withdraw(self) -> None:
        """Wait for no answer any more, and ask nothing further: as if Enter alone had been typed."""
        self._withdrawn = True
        if self._typed is not None and not self._typed.done():
            self._typed.set_result(b"")

    def leave(self) -> None:
        """The process ends at once: give the terminal back as it was."""
        if self._restore is not None:
            self._restore()

    async def _ask(self, question: PasswordQuestion) -> str | None:
        if self._withdrawn:
            return None
        pictures = [*self._pictures]
        for picture in pictures:
            picture.pause()
        try:
            return await self._hidden_line(question)
        finally:
            for picture in pictures:
                if picture in self._pictures:
                    picture.resume()

    async def _hidden_line(self, question: PasswordQuestion) -> str | None:
        """What is typed up to Enter, unseen; None for nothing, and for the end of input."""
        terminal = sys.stdin.fileno()
        loop = asyncio.get_running_loop()
        typed = self._typed = loop.create_future()

        def read() -> None:
            if not typed.done():
                try:
                    typed.set_result(os.read(terminal, 4096))
                except OSError:  # the terminal is gone
                    typed.set_result(b"")

        with self._hidden(terminal):
            say(in_words(question))
            _prompt(f"password of {question.user} (Enter alone: go on without): ")
            loop.add_reader(terminal, read)
            try:
                line = await typed
            finally:
                self._typed = None
                loop.remove_reader(terminal)
                say("")
        return line.decode(sys.stdin.encoding or "utf-8", "surrogateescape").rstrip("\r\n") or None

    @contextmanager
    def _hidden(self, terminal: int) -> Iterator[None]:
        """What is typed is not shown. Ctrl-C stays Ctrl-C."""
        before = termios.tcgetattr(terminal)
        quiet = [*before]
        quiet[_LFLAGS] &= ~termios.ECHO
        quiet[_LFLAGS] |= termios.ICANON | termios.ISIG

        def restore() -> None:
            with suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)

        termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
        self._restore = restore
        try:
            yield
        finally:
            self._restore = None
            restore()


def in_words(question: PasswordQuestion) -> str:
    """Who was rejected where, with what, and who waits."""
    rejected = " and ".join(question.rejected_by)
    return (
        f"{rejected} rejected {question.user} with {question.source}, which is what it gives now too; "
        f"{plural(question.waiting, 'host')} {'waits' if question.waiting == 1 else 'wait'}"
    )


def _prompt(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(clean(text))
        sys.stderr.flush()
