"""What a program on a virtual host reads and writes: the three streams of a console, as bytes."""

from typing import Protocol


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
