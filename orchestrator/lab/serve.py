"""A whole lab from its description to its end: folder, listeners, control socket, the ready line."""

import asyncio
import contextlib
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from orchestrator.lab import auth
from orchestrator.lab.control import Client, Control
from orchestrator.lab.fleet import Fleet, fits_unix_socket
from orchestrator.lab.host import Host
from orchestrator.lab.record import Record
from orchestrator.lab.tls import Authority
from orchestrator.lab.winrm import WinRm


class CannotServe(RuntimeError):
    """The lab can't come up; the text says why."""


async def serve(fleet: Fleet, *, while_stdin: bool = False) -> None:
    """Serve *fleet* until SIGTERM, SIGINT, the order `down`, or (*while_stdin*) stdin's end. Raises CannotServe."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if while_stdin:
        loop.add_reader(sys.stdin.fileno(), _end_with_stdin, ended)
    _allow_many_files()
    try:
        fleet.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = Record(fleet.dir / "log.jsonl")
    except OSError as exc:
        raise CannotServe(f"{fleet.dir}: can't be used: {exc.strerror}") from exc
    with contextlib.ExitStack() as stack:
        stack.callback(record.close)
        control_path = stack.enter_context(_control_path(fleet.dir))
        authority = Authority()
        authority.write(fleet.dir / "ca.pem")
        auth.write_users(fleet.dir / "ntlm-users", fleet.users)
        os.environ["NTLM_USER_FILE"] = str(fleet.dir / "ntlm-users")  # where pyspnego's NTLM server looks
        hosts = _hosts(fleet, record, authority)
        known_hosts = _serve_ssh(fleet, hosts) if "ssh" in fleet.transports else None
        stack.callback(_close, hosts)
        control = Control({host.spec.name.casefold(): host for host in hosts}, record, ended.set)
        async with _control_socket(control_path, control):
            _open(hosts)
            # What exists now lives to the end: the collector need not walk it again and again.
            gc.collect()
            gc.freeze()
            stack.enter_context(_announced(fleet, control_path, known_hosts))
            await ended.wait()
        record.write("down")


def _hosts(fleet: Fleet, record: Record, authority: Authority) -> list[Host]:
    hosts: list[Host] = []
    addresses = {spec.name.casefold(): spec.address for spec in fleet.hosts}
    for spec in fleet.hosts:
        host = Host(spec, record, addresses)
        secure = partial(authority.context, spec) if "https" in fleet.transports else None
        WinRm(host, fleet.users, plain="http" in fleet.transports, secure=secure)
        for other in hosts:
            host.things.share(other.things)
        hosts.append(host)
    return hosts


def _serve_ssh(fleet: Fleet, hosts: list[Host]) -> Path:
    """Add SSH to *hosts*; the file with their host keys. Raises BadFleet."""
    from orchestrator.lab.ssh import House, Ssh  # noqa: PLC0415 - asyncssh is loaded where somebody asks for it

    house = House(fleet)
    for host in hosts:
        Ssh(host, house)
    known_hosts = fleet.dir / "known_hosts"
    house.write_known_hosts(known_hosts)
    return known_hosts


def _open(hosts: list[Host]) -> None:
    for host in hosts:
        try:
            host.open()
        except OSError as exc:
            raise CannotServe(f"{host.spec.name}: can't listen on {host.spec.address}: {exc.strerror}") from exc


def _close(hosts: list[Host]) -> None:
    for host in hosts:
        host.close()


@contextlib.contextmanager
def _control_path(folder: Path) -> Iterator[Path]:
    """Where the control socket stands: in the folder, or in a short one of its own when the path is too long."""
    path = folder / "control.sock"
    if fits_unix_socket(path):
        path.unlink(missing_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
        return
    short = Path(tempfile.mkdtemp(prefix="orch-lab-"))
    try:
        yield short / "control.sock"
    finally:
        shutil.rmtree(short, ignore_errors=True)


@contextlib.asynccontextmanager
async def _control_socket(path: Path, control: Control) -> AsyncIterator[None]:
    try:
        server = await asyncio.get_running_loop().create_unix_server(lambda: Client(control), path)
    except OSError as exc:
        raise CannotServe(f"{path}: can't be the control socket: {exc.strerror}") from exc
    try:
        yield
    finally:
        server.close()


@contextlib.contextmanager
def _announced(fleet: Fleet, control_path: Path, known_hosts: Path | None) -> Iterator[None]:
    facts = {"hosts": len(fleet.hosts), "control": str(control_path), "ca": str(fleet.dir / "ca.pem")}
    if known_hosts is not None:
        facts["known_hosts"] = str(known_hosts)
    control_path.chmod(0o600)
    state = fleet.dir / "lab.json"
    written = state.with_suffix(".new")
    written.write_text(json.dumps({"pid": os.getpid(), "name": fleet.name, **facts}), encoding="utf-8")
    written.replace(state)
    try:
        sys.stdout.write(json.dumps({"ready": True, **facts}) + "\n")
        sys.stdout.flush()
        yield
    finally:
        state.unlink(missing_ok=True)


def _end_with_stdin(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        ended.set()


def _allow_many_files() -> None:
    """A host takes a socket for each transport and each open service port, and one for each connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
