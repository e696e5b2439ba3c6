"""Runs an executable inventory as Ansible does: `PATH --list`, and `PATH --host NAME` where that has no `_meta`."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from orchestrator.adapters.documents.composing import LARGEST
from orchestrator.domain.errors import Mark, Mistake, Mistakes

TIMEOUT_S = 30.0
LONGEST_STDERR = 64 << 10
_SHOWN_LINES = 8
_BEGINNINGS = (b"#!", b"\x7fELF")


def is_script(path: Path, head: bytes) -> bool:
    """Whether the file at *path*, which begins with *head*, is a program.

    Ansible tries to run whatever may be executed, and reads it if that fails: on a disk where every file is marked as
    executable these two come to the same.
    """
    return head.startswith(_BEGINNINGS) and os.access(path, os.X_OK)


def needs_chmod(head: bytes) -> bool:
    """Whether a file is a program that nobody may run."""
    return head.startswith(_BEGINNINGS)


def output(path: Path, *arguments: str, shown_as: str) -> bytes:
    """What the program at *path* prints; without a shell, without input, in the folder where orch was started.

    Raises:
        Mistakes: it can't be started, ends with an exit code other than 0, not within TIMEOUT_S, or prints too much.
            Its last words on stderr are told.
    """
    mark = Mark(shown_as, 1, 1)
    command = [str(path.absolute()), *arguments]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        right = "its first line names the interpreter: #!/usr/bin/env python3"
        wrong = f"this inventory can't be started: {error.strerror or error}"
        raise Mistakes([Mistake(mark, wrong, right)]) from None
    late = False
    try:
        printed, said = _Stream(process, process.stdout, LARGEST), _Stream(process, process.stderr, LONGEST_STDERR)
        process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        _kill(process)  # what it started may hold the pipes open
        process.wait()
    printed.join()
    said.join()
    if late:
        wrong = f"this inventory did not end within {TIMEOUT_S:g} s"
    elif printed.too_much:
        wrong = f"this inventory prints more than {LARGEST >> 20} MiB"
    elif process.returncode:
        wrong = f"this inventory ended with exit code {process.returncode}"
    else:
        return bytes(printed.content)
    right = said.last_lines() or f"run it by hand to see what it says: {path} {' '.join(arguments)}"
    raise Mistakes([Mistake(mark, wrong, right)])


class _Stream:
    """Reads a pipe to its end, in a thread. Of too much the beginning is kept; stdout then ends the program."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: IO[bytes] | None, most: int) -> None:
        assert pipe is not None
        self.content = bytearray()
        self.too_much = False
        self._process = process
        self._pipe = pipe
        self._most = most
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), 1 << 16):
                self.content += chunk[: self._most - len(self.content)]
                if len(self.content) >= self._most and not self.too_much:
                    self.too_much = True
                    if self._pipe is self._process.stdout:
                        _kill(self._process)

    def join(self) -> None:
        self._thread.join(5.0)

    def last_lines(self) -> str:
        """The last words, indented as what it said."""
        lines = bytes(self.content).decode("utf-8", "replace").rstrip().splitlines()[-_SHOWN_LINES:]
        return "\n    ".join(["it says:", *(f"  {line}" for line in lines)]) if lines else ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
