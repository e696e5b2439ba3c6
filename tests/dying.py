"""Commands of orch as processes of their own that meet their fate at a commit: killed, frozen, or out of disk.

Run as a program this is a server: it has imported orch, and forks a process for each order. So a night of a hundred
processes pays for the imports once; each is still a process with its own number, which SIGKILL ends like any other.
The product knows nothing of it: the connections that it opens are made by a factory which counts commits.
"""

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_S = 60.0
Fate = tuple[str, int, str]
"""`before` or `after`, which commit of the process (from 1), and what happens then: a key of FATES."""


@dataclass(frozen=True, slots=True)
class Died:
    """How a process ended: *code* as `subprocess` has it, -9 if it was killed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams, on one line."""
        return " ".join((self.out + " " + self.err).split())


class Mortal:
    """A process that was begun. Its streams go to files, for nobody may be there to read a pipe."""

    def __init__(self, server: "Mortals", pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._server = server
        self._out = out
        self._err = err

    def said(self) -> str:
        """What it has written up to now."""
        return self._out.read_text(encoding="utf-8") + self._err.read_text(encoding="utf-8")

    def until_frozen(self) -> None:
        """Wait until it has been stopped by SIGSTOP."""
        self._server.until_frozen(self.pid)

    def wake(self) -> None:
        """Let it go on from there."""
        os.kill(self.pid, signal.SIGCONT)

    def finish(self) -> Died:
        """Wait for the end."""
        code = self._server.code_of(self.pid)
        return Died(code, self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8"))


class Mortals:
    """The server, seen from a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun = 0
        self._unread = b""
        self._codes: dict[int, int] = {}
        self._frozen: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def begin(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        *,
        fate: Fate | None = None,
        clock: Path | None = None,
    ) -> Mortal:
        """Type `orch` *words*. *clock* is a file with the seconds that this machine's clock is ahead, read anew at each
        look at the clock."""
        self._begun += 1
        out, err = (self._folder / f"{self._begun}.{name}" for name in ("out", "err"))
        order = {
            "words": [*words],
            "environment": dict(environment),
            "fate": fate,
            "clock": str(clock) if clock else None,
            "out": str(out),
            "err": str(err),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return Mortal(self, self._told("begun"), out, err)

    def code_of(self, pid: int) -> int:
        """Wait for the end of a process."""
        while pid not in self._codes:
            self._told("")
        return self._codes.pop(pid)

    def until_frozen(self, pid: int) -> None:
        """Wait until a process has been stopped by SIGSTOP."""
        while pid not in self._frozen:
            assert pid not in self._codes, f"it ended with {self._codes[pid]} instead"
            self._told("")

    def _told(self, kind: str) -> int:
        """Read until something of *kind* is said, or one line if it is empty."""
        while True:
            line = json.loads(self._line())
            if "code" in line:
                self._codes[line["pid"]] = line["code"]
            if "frozen" in line:
                self._frozen.add(line["pid"])
            if not kind or kind in line:
                return int(line["pid"])

    def _line(self) -> bytes:
        # The pipe is read by hand: of two lines at once a file object keeps the second where select sees none.
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self._process.stdout], [], [], LIMIT_S)
            assert readable, f"nothing ended within {LIMIT_S:g} s"
            part = os.read(self._process.stdout.fileno(), 65536)
            assert part, "the server of processes has ended"
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def close(self) -> None:
        """End the server, and what is left of its processes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(LIMIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def mortals(folder: Path) -> Iterator[Mortals]:
    """A server, for as long as the block lasts."""
    folder.mkdir()
    made = Mortals(folder)
    try:
        yield made
    finally:
        made.close()


# --- the other side ------------------------------------------------------------------------------------------------


def _killed(_: sqlite3.Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _frozen(_: sqlite3.Connection) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _out_of_disk(connection: sqlite3.Connection) -> None:
    """No file can grow beyond what the journal's log has now. Python ignores the signal: a write just fails."""
    [(_, _, path)] = connection.execute("PRAGMA database_list")
    size = Path(f"{path}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


FATES: Mapping[str, Callable[[sqlite3.Connection], None]] = {
    "killed": _killed,
    "frozen": _frozen,
    "out of disk": _out_of_disk,
}


def _doom(fate: Fate) -> None:
    """Have *fate* meet this process: its connections count commits from now on."""
    moment, number, what = fate
    commits = 0

    def met(connection: sqlite3.Connection, now: str) -> None:
        if (now, commits) == (moment, number):
            FATES[what](connection)

    class Doomed(sqlite3.Connection):
        def execute(self, statement: str, *given: Any) -> sqlite3.Cursor:
            nonlocal commits
            if statement != "COMMIT":
                return super().execute(statement, *given)
            commits += 1
            met(self, "before")
            done = super().execute(statement, *given)
            met(self, "after")
            return done

    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **named: connect(*given, factory=Doomed, **named)  # type: ignore[assignment]  # the point


def _shift(clock: str) -> None:
    """Let this process's wall clock be ahead by what the file *clock* says."""
    from orchestrator.adapters.journal.sqlite import SqliteJournal  # noqa: PLC0415 - the server has it loaded

    real, path = time.time, Path(clock)

    def shifted() -> float:
        return real() + float(path.read_text(encoding="ascii"))

    time.time = shifted
    defaults = SqliteJournal.__init__.__kwdefaults__
    assert defaults is not None
    defaults["wall"] = shifted


def _live(order: Mapping[str, Any]) -> None:
    """Be the process that was ordered; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, path in ((1, order["out"]), (2, order["err"])):
            os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["orch", *order["words"]]
        if order["clock"]:
            _shift(order["clock"])
        if order["fate"]:
            _doom(tuple(order["fate"]))
        code = _called()
    except BaseException:  # noqa: BLE001 - a process of its own: nobody above it is to see what it raised
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _called() -> int:
    from orchestrator.interfaces.cli import main  # noqa: PLC0415 - the server has it loaded

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _load() -> None:
    """Import what commands import when they are called: here once, for all."""
    import importlib  # noqa: PLC0415
    import pkgutil  # noqa: PLC0415

    import orchestrator  # noqa: PLC0415

    for found in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        if not found.name.startswith("orchestrator.lab") and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    gc.freeze()  # what is shared with all children is not looked through, and so not copied, by each


def _serve() -> None:
    """Fork a process for each line of stdin, tell when one ends or freezes, until stdin ends; then end what is left."""
    _load()
    waker, woken = socket.socketpair()
    for end in (waker, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    alive: set[int] = set()
    orders = b""
    while True:
        readable, _, _ = select.select([0, woken.fileno()], [], [])
        if woken.fileno() in readable:
            woken.recv(4096)
            _tell_of_changes(alive)
        if 0 in readable:
            part = os.read(0, 65536)
            if not part:
                break
            *whole, orders = (orders + part).split(b"\n")
            alive.update(map(_born, whole))
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _born(line: bytes) -> int:
    """A process for what *line* orders; its number."""
    pid = os.fork()
    if not pid:
        _live(json.loads(line))
    _tell({"begun": True, "pid": pid})
    return pid


def _tell_of_changes(alive: set[int]) -> None:
    for pid in [*alive]:
        ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if ended and os.WIFSTOPPED(status):
            _tell({"pid": pid, "frozen": True})
        elif ended:
            alive.discard(pid)
            _tell({"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _tell(what: Mapping[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    _serve()
