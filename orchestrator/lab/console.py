"""What a program on a virtual host reads and writes: the three streams of a console, as bytes."""

from typing import Protocol

Ran = tuple[int, list[str], list[str]]
"""What came of a program that only prints: exit code, lines, and lines on standard error."""


class Console(Protocol):
    """Standard input, output and error of one program; a remoting transport stands behind them.

    Bytes, for what a code page makes of text is the program's and the host's affair.
    """

    async def line(self) -> bytes | None:
        """The next line of standard input without its end; None after the last one."""

    def write(self, data: bytes) -> None:
        """To standard output."""

    def write_error(self, data: bytes) -> None:
        """To standard error."""


class Captured:
    """A console whose streams are read afterwards; its input is empty."""

    def __init__(self) -> None:
        self.output = b""
        self.errors = b""

    async def line(self) -> bytes | None:
        """There is none."""
        return None

    def write(self, data: bytes) -> None:
        """To standard output."""
        self.output += data

    def write_error(self, data: bytes) -> None:
        """To standard error."""
        self.errors += data
