"""The other side of a lab: start one, order it about, read its log. Synchronous; stdlib only."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_LIMIT_S = 60.0
_END_LIMIT_S = 10.0


class LabError(RuntimeError):
    """The lab did not come up, is not there, or refused an order; the text says which."""


class NoLab(LabError):
    """There is no lab to give the order to."""


@dataclass(frozen=True, slots=True)
class LabProcess:
    """A running lab."""

    process: "subprocess.Popen[bytes]"
    control: Path
    ca: Path
    dir: Path

    @property
    def known_hosts(self) -> Path:
        """The host keys, for SSH clients; there if the fleet has the transport `ssh`."""
        return self.dir / "known_hosts"

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def wait(self) -> int:
        """Wait until the lab has ended by itself, as after the order `down`; its exit code."""
        return self.process.wait()

    def order(self, **message: Any) -> dict[str, Any]:
        """One order, e.g. `order(op="fault", host="db-01", service="X", kind="refuses")`. Raises LabError."""
        return order(self.control, message)

    def log(self, **wanted: Any) -> list[dict[str, Any]]:
        """The lab's log so far, oldest first; only lines whose fields are as *wanted*."""
        return [
            line for line in read_log(self.dir / "log.jsonl") if all(line.get(key) == wanted[key] for key in wanted)
        ]

    def until(self, limit_s: float = 10.0, **wanted: Any) -> dict[str, Any]:
        """Wait for the first line of the log as *wanted*. Raises LabError after *limit_s*."""
        ends_at = time.monotonic() + limit_s
        while not (lines := self.log(**wanted)):
            if time.monotonic() > ends_at:
                raise LabError(f"the lab's log has no line like {wanted} after {limit_s:g} s")
            time.sleep(0.02)
        return lines[0]


def order(control: str | Path, message: Mapping[str, Any], *, limit_s: float = 10.0) -> dict[str, Any]:
    """Send one order to a lab and return its answer. Raises LabError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(limit_s)
            connection.connect(str(control))
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except OSError as exc:
        raise NoLab(f"no lab answers at {control}: {exc.strerror or exc}") from exc
    if not line:
        raise NoLab(f"the lab at {control} closed the connection without an answer")
    answer: dict[str, Any] = json.loads(line)
    if not answer.get("ok"):
        raise LabError(str(answer.get("error")))
    return answer


def public_key(key_file: str) -> str:
    """The line of KEY.pub, for the lab's `authorized_keys`. Raises LabError if it can't be read."""
    path = Path(key_file + ".pub").expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as exc:
        write = f"ssh-keygen -y -f {key_file} > {path}"
        raise LabError(f"{path} can't be read: the lab lets in whom it knows; `{write}` makes it") from exc


def order_at(folder: Path, message: Mapping[str, Any]) -> dict[str, Any]:
    """Send one order to the lab whose `dir` is *folder*. Raises LabError, also if none runs there."""
    try:
        about = json.loads((folder / "lab.json").read_text(encoding="utf-8"))
    except OSError:
        raise NoLab(f"no lab runs in {folder}") from None
    return order(about["control"], message)


def _alive(folder: Path) -> bool:
    """Whether a lab answers there; one that was killed leaves its files behind."""
    try:
        return bool(order_at(folder, {"op": "ps"}))
    except LabError:
        return False


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a lab's log."""
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


@contextlib.contextmanager
def start(fleet: Mapping[str, Any], *, limit_s: float = START_LIMIT_S) -> Iterator[LabProcess]:
    """Run a lab for the length of a `with`. *fleet* is the description as JSON would hold it; its `dir` is made.

    Raises: LabError when one runs there already, or it is not ready after *limit_s*, with what it said on stderr.
    """
    folder = Path(fleet["dir"])
    if _alive(folder):
        raise LabError(f"a lab runs in {folder} already; `orch lab down` ends it")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    description = folder / "fleet.json"
    description.touch(mode=0o600)
    description.write_text(json.dumps(fleet), encoding="utf-8")
    with (folder / "stderr.txt").open("w+b") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "orchestrator.lab", str(description), "--while-stdin"],
            stdout=subprocess.PIPE,
            stderr=complaints,
            stdin=subprocess.PIPE,  # ends with this process, however it ends, and the lab with it
            start_new_session=True,  # a Ctrl-C at the terminal is for whoever started the lab
        )
        try:
            ready = _ready_line(process, limit_s)
            if not ready:
                complaints.seek(0)
                said = complaints.read().decode("utf-8", "replace").strip()
                raise LabError(f"the lab did not come up: {said or f'nothing said within {limit_s:g} s'}")
            facts = json.loads(ready)
            yield LabProcess(process, Path(facts["control"]), Path(facts["ca"]), folder)
        finally:
            _end(process)


def _ready_line(process: "subprocess.Popen[bytes]", limit_s: float) -> bytes:
    if process.stdout is None:
        return b""
    ends_at, line = time.monotonic() + limit_s, b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, ends_at - time.monotonic()))
        part = os.read(process.stdout.fileno(), 4096) if readable else b""
        if not part:
            return b""
        line += part
    return line


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_END_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stdin):
        if pipe:
            pipe.close()
