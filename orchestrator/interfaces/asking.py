"""Questions that may come at any time: a decision, or the password for hosts that rejected the one that we had.

They are put while a picture may be on the terminal and while the event loop goes on, so nothing here blocks.
"""

import asyncio
import os
import sys
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
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
    """The terminal of the person who typed the command: one question at a time, in the place of the picture."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []
        self._restore: Callable[[], None] | None = None
        self._typed: asyncio.Future[bytes] | None = None
        self._prompt = ""
        self._hidden = False
        self._turn = asyncio.Lock()
        self._withdrawn = False

    @property
    def ask(self) -> AskPassword | None:
        """How to ask for a password; None where there is no terminal to ask in."""
        return self._ask if interactive() else None

    @contextmanager
    def over(self, picture: Picture) -> Iterator[None]:
        """While *picture* is on the terminal, a question takes its place."""
        self._pictures.append(picture)
        try:
            yield
        finally:
            self._pictures.remove(picture)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The terminal is this question's until the block ends; others wait, and pictures make room."""
        async with self._turn:
            pictures = [*self._pictures]
            for picture in pictures:
                picture.pause()
            try:
                yield
            finally:
                for picture in pictures:
                    if picture in self._pictures:
                        picture.resume()

    def withdraw(self) -> None:
        """Wait for no password any more, and ask for none: as if Enter alone had been typed."""
        self._withdrawn = True
        if self._hidden and self._typed is not None and not self._typed.done():
            self._typed.set_result(b"\n")

    def again(self) -> None:
        """Something was said below the prompt: it is shown once more. What was typed of an answer still counts."""
        if self._typed is not None and not self._typed.done():
            _prompt(self._prompt)

    def leave(self) -> None:
        """The process ends at once: give the terminal back as it was."""
        if self._restore is not None:
            self._restore()

    async def line(self, prompt: str, *, hidden: bool = False, first: bool = True) -> str | None:
        """What is typed up to Enter, unseen if *hidden*; None at the end of input. May be cancelled.

        What was typed before the *first* question is dropped: it was meant for nobody.
        """
        terminal = sys.stdin.fileno()
        loop = asyncio.get_running_loop()
        typed = self._typed = loop.create_future()
        self._prompt, self._hidden = prompt, hidden

        def read() -> None:
            if not typed.done():
                try:
                    typed.set_result(os.read(terminal, 4096))
                except OSError:  # the terminal is gone
                    typed.set_result(b"")

        with self._by_lines(terminal, hidden=hidden, first=first):
            _prompt(prompt)
            loop.add_reader(terminal, read)
            answered = False
            try:
                line = await typed
                answered = bool(line) and not hidden
            finally:
                self._typed = None
                loop.remove_reader(terminal)
                if not answered:  # what is typed unseen has no line feed of its own
                    say("")
        return line.decode(sys.stdin.encoding or "utf-8", "surrogateescape").rstrip("\r\n") if line else None

    async def _ask(self, question: PasswordQuestion) -> str | None:
        async with self.turn():
            if self._withdrawn:
                return None
            say(in_words(question))
            return await self.line(f"password of {question.user} (Enter alone: go on without): ", hidden=True) or None

    @contextmanager
    def _by_lines(self, terminal: int, *, hidden: bool, first: bool) -> Iterator[None]:
        """Lines, shown as they are typed or not. Ctrl-C stays Ctrl-C."""
        before = termios.tcgetattr(terminal)
        ours = [*before]
        ours[_LFLAGS] &= ~termios.ECHO
        ours[_LFLAGS] |= termios.ICANON | termios.ISIG | (0 if hidden else termios.ECHO)

        def restore() -> None:
            with suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)

        termios.tcsetattr(terminal, termios.TCSAFLUSH if first else termios.TCSADRAIN, ours)
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
        sys.stderr.write(f"{clean(text)} ")
        sys.stderr.flush()
