"""Hosts with Wine's service control manager: a prefix is a host, OpenSSH's sshd is its door.

All lies in the folder that is given, Wine's own sockets too, and nothing runs on when `fleet` has ended.
"""

import contextlib
import fcntl
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import loopback
from openssh_daemon import Daemon

LIMIT_S = 300.0
"""A bound for what takes seconds: the machine may be busy with other tests."""
SOURCES = Path(__file__).parent
COMPILER = "x86_64-w64-mingw32-gcc"
SYSTEM = ("sc", "tasklist", "taskkill")
"""Programs that stand in for Wine's own."""
PROGRAMS = (*SYSTEM, "labsvc", "launch", "watch")
IDLE = ("Eventlog", "MountMgr", "NDIS", "nsiproxy", "PlugPlay", "winebus")
"""Wine's own services that no test needs: without them a host boots in half the time."""
PORT = 22022
BESIDE = 4
"""Hosts that are worked on side by side."""
DLLS = ("wine/x86_64-windows/*", "*/wine/x86_64-windows/*")
SERVICE = r"""
[System\\CurrentControlSet\\Services\\{name}] 1700000000
"DisplayName"="{name} of the lab"
"ErrorControl"=dword:00000001
"ImagePath"="C:\\lab\\labsvc.exe {name}"
"ObjectName"="LocalSystem"
"Start"=dword:{start:08x}
"Type"=dword:00000010
"""
DOOR = """#!/bin/sh
export {exports}
exec {wine} 'C:\\lab\\launch.exe'
"""


@dataclass(frozen=True)
class Moment:
    """A change of a service, as it told it itself."""

    at: float
    unit: str
    state: str
    pid: int


class Host:
    """One host: its prefix under *folder*, its services by SCM name, each with what C:\\lab\\NAME.txt may say."""

    def __init__(self, name: str, folder: Path, address: str, services: Mapping[str, Mapping[str, int]]) -> None:
        self.name = name
        self.prefix = folder / "prefix"
        self.lab = self.prefix / "drive_c" / "lab"
        self.services = services
        self._environment = _environment(folder, self.prefix)
        self._door = folder / "door.sh"
        self._watch: subprocess.Popen[bytes] | None = None
        self.daemon = Daemon(folder / "sshd", address, f"ForceCommand {self._door}", port=PORT)

    def install(self, template: Path) -> None:
        """Make its prefix from *template*, mostly by hard links."""
        shutil.copytree(
            template, self.prefix, symlinks=True, copy_function=_linked, ignore=shutil.ignore_patterns("wineserver")
        )
        registry = self.prefix / "system.reg"
        with registry.open("a", encoding="latin-1") as file:
            for name, settings in self.services.items():
                file.write(SERVICE.format(name=name, start=settings.get("start", 2)))
        (self.lab / "address.txt").write_text(self.daemon.address)
        for name, settings in self.services.items():
            self.tell(name, **settings)
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._environment.items())
        self._door.write_text(DOOR.format(exports=exports, wine=program("wine64")))
        self._door.chmod(0o755)

    def boot(self) -> None:
        """Switch it on. It is in the net as soon as its service control manager answers."""
        booted = self.lab / "booted.txt"
        booted.unlink(missing_ok=True)
        _run([program("wineserver64"), "-p"], self._environment)
        # The first program brings the services up, and they inherit what it writes to: nobody may wait for its end.
        self._watch = _begin([program("wine64"), str(self.lab / "watch.exe")], self._environment)
        until(lambda: booted.exists() or self._watch_ended(), f"{self.name} has booted")
        assert not self._watch_ended(), f"{self.name} does not boot"
        self.daemon.start()

    def switch_off(self) -> None:
        """Without a word to anybody: connections break, processes are gone."""
        self.daemon.stop()
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            _run([program("wineserver64"), "-k"], self._environment)
        with contextlib.suppress(TimeoutError):
            until(lambda: not self._processes(), "its processes have gone", limit_s=LIMIT_S / 10)
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._watch is not None:
            self._watch.wait(LIMIT_S)

    def _watch_ended(self) -> bool:
        return self._watch is not None and self._watch.poll() is not None

    def tell(self, service: str, **settings: int) -> None:
        """How *service* behaves from its next start or stop on: see labsvc.c."""
        text = "".join(f"{key} {value}\n" for key, value in settings.items())
        (self.lab / "new").write_text(text)
        (self.lab / "new").replace(self.lab / f"{service}.txt")

    def run(self, *words: str) -> str:
        """What a program prints, called on the host itself, as by an operator at its console."""
        command = [program("wine64"), *words]
        ended = subprocess.run(
            command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=LIMIT_S
        )
        return ended.stdout.decode("ascii").replace("\r\n", "\n")

    def states(self) -> dict[str, str]:
        """What the service control manager says of each of its services: `RUNNING`."""
        said = self.run("sc.exe", "queryex", "type=", "service", "state=", "all")
        found = re.findall(r"SERVICE_NAME: (\S+).*?STATE +: \d+ +(\w+)", said, re.DOTALL)
        return {name: state for name, state in found if name in self.services}

    def pids(self) -> dict[int, str]:
        """The processes of its services that run now."""
        rows = re.findall(r'"([^"]*)","(\d+)"', self.run("tasklist.exe", "/fo", "csv", "/nh"))
        return {int(pid): name for name, pid in rows if name == "labsvc.exe"}

    def history(self) -> list[Moment]:
        """All changes of its services since it was installed, first to last."""
        lines = [(log.stem, line.split()) for log in self.lab.glob("*.log") for line in log.read_text().splitlines()]
        told = [Moment(float(at), f"{name}@{self.name}", state, int(pid)) for name, (at, state, pid) in lines]
        return sorted(told, key=lambda moment: moment.at)

    def last(self, service: str) -> str:
        """The state that *service* came to last, as it says."""
        mine = [moment.state for moment in self.history() if moment.unit == f"{service}@{self.name}"]
        return mine[-1] if mine else ""

    def _processes(self) -> list[int]:
        """Those that live in its prefix."""
        mark = f"WINEPREFIX={self.prefix}\0".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in environ.read_bytes() + b"\0":
                    found.append(int(environ.parent.name))
        return found


class Fleet:
    """Hosts that run, by name."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self.hosts = hosts

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def inventory(self) -> str:
        """Where they are, for orch."""
        hosts = {name: {**host.daemon.variables(), "orch_control": "sc"} for name, host in self.hosts.items()}
        return json.dumps({"all": {"hosts": hosts}}, indent=1)

    def history(self) -> list[Moment]:
        """All changes on all hosts, first to last: they share a clock."""
        return sorted(chain.from_iterable(host.history() for host in self.hosts.values()), key=lambda one: one.at)

    def states(self) -> dict[str, str]:
        """What all service control managers say, by `Service@host`."""
        with ThreadPoolExecutor(BESIDE) as pool:
            told = pool.map(lambda host: (host.name, host.states()), self.hosts.values())
        return {f"{name}@{host}": state for host, states in told for name, state in states.items()}


@contextlib.contextmanager
def fleet(folder: Path, template: Path, described: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Iterator[Fleet]:
    """Hosts that have booted: name, SCM names of its services, how each behaves. `start` is its start type (2)."""
    hosts = {
        name: Host(name, folder / name, address, services)
        for address, (name, services) in zip(loopback.addresses(len(described)), described.items(), strict=True)
    }
    with ThreadPoolExecutor(BESIDE) as pool:
        try:
            list(pool.map(lambda host: host.install(template), hosts.values()))
            list(pool.map(Host.boot, hosts.values()))
            yield Fleet(hosts)
        finally:
            list(pool.map(Host.switch_off, hosts.values()))


def template(folder: Path) -> Path:
    """A prefix in *folder* that hosts are made from, with our programs in it. Made once, whoever asks first."""
    made = folder / "template"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _compile(folder / "programs")
            _make(folder, folder / "unfinished")
            (folder / "unfinished").rename(made)
    return made


def program(name: str) -> str:
    """Where a program of Wine lies. Raises AssertionError."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/lib/wine")
    assert found, f"{name} is not installed"
    return found


def until(holds: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait for a condition. Raises TimeoutError."""
    ends_at = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not within {limit_s:g} s: {what}")
        select.select([], [], [], 0.05)


def _make(folder: Path, prefix: Path) -> None:
    mine = _environment(folder, prefix)
    _run([program("wine64"), "wineboot.exe", "--init"], mine)
    _run([program("wineserver64"), "--wait"], mine)
    system = prefix / "drive_c" / "windows" / "system32"
    _slim(prefix)
    (prefix / "drive_c" / "lab").mkdir()
    for name in PROGRAMS:
        target = system if name in SYSTEM else prefix / "drive_c" / "lab"
        (target / f"{name}.exe").unlink(missing_ok=True)
        shutil.copy(folder / "programs" / f"{name}.exe", target)
    registry = prefix / "system.reg"
    text = registry.read_text(encoding="latin-1")
    for name in IDLE:
        key = rf"(\n\[System\\\\CurrentControlSet\\\\Services\\\\{name}\][^\[]*\"Start\"=dword:)[0-9a-f]+"
        text = re.sub(key, r"\g<1>00000004", text)
    registry.write_text(text, encoding="latin-1")


def _slim(prefix: Path) -> None:
    """Let links stand for Wine's own programs and libraries, which it copies into each prefix: 0.7 GB."""
    own = {path.name: path for room in DLLS for path in Path("/usr/lib").glob(room)}
    for file in (prefix / "drive_c").rglob("*"):
        original = own.get(file.name)
        if original and file.is_file() and not file.is_symlink() and original.stat().st_size == file.stat().st_size:
            file.unlink()
            file.symlink_to(original)


def _compile(folder: Path) -> None:
    """Our programs for Windows."""
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        words = [
            "-O1",
            "-s",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            str(folder / f"{name}.exe"),
            str(SOURCES / f"{name}.c"),
        ]
        subprocess.run([COMPILER, *words, "-ladvapi32", "-lpsapi", "-lws2_32"], check=True, timeout=LIMIT_S)


def _environment(folder: Path, prefix: Path) -> dict[str, str]:
    """What Wine gets to know: no display, no home of anybody, no folder but *folder*."""
    rooms = {name: folder / name.lower() for name in ("HOME", "TMPDIR")}
    for room in rooms.values():
        room.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": "/usr/bin:/bin",
        **{name: str(room) for name, room in rooms.items()},
        "WINEPREFIX": str(prefix),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": f"mscoree,mshtml=;{','.join(f'{name}.exe' for name in SYSTEM)}=n;winemenubuilder.exe=",
    }


def _begin(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Run a program, with nothing to read and nowhere to write to."""
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """The same, to its end. Raises AssertionError."""
    process = _begin(command, environment)
    try:
        code = process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()
    assert code == 0, f"{command} ended with {code}"


def _linked(source: str, target: str) -> None:
    """A hard link; what a host writes to is a copy of its own."""
    (shutil.copy2 if source.endswith(".reg") else os.link)(source, target)
