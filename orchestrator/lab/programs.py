"""The command line programs of a virtual host, by name with arguments: no shell, no remoting protocol."""

import hashlib
import re
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from orchestrator.lab import curl, reg, sc, tasks, things, wevtutil
from orchestrator.lab.console import Captured
from orchestrator.lab.curl import ProgramResult
from orchestrator.lab.host import Host

_NETSTAT = {
    "en": ("Active Connections", "Local Address", "Foreign Address", "State", "LISTENING"),
    "de": ("Aktive Verbindungen", "Lokale Adresse", "Remoteadresse", "Status", "ABHÖREN"),
    "fr": ("Connexions actives", "Adresse locale", "Adresse distante", "État", "LISTENING"),
}
_SYSTEM_PID = 4
"""HTTP.SYS listens for WinRM, in the name of the System process."""
_ADMINISTRATORS = {
    "en": "BUILTIN\\Administrators",
    "de": "VORDEFINIERT\\Administratoren",
    "fr": "BUILTIN\\Administrateurs",
}
_GROUPS = (
    ("Everyone", "Well-known group", "S-1-1-0"),
    ("", "Alias", "S-1-5-32-544"),
    ("NT AUTHORITY\\NETWORK", "Well-known group", "S-1-5-2"),
    ("NT AUTHORITY\\Authenticated Users", "Well-known group", "S-1-5-11"),
    ("Mandatory Label\\High Mandatory Level", "Label", "S-1-16-12288"),
)


@dataclass(frozen=True, slots=True)
class Where:
    """On which host a program runs, and as whom."""

    host: Host
    user: str


async def run(where: Where, name: str, arguments: Sequence[str]) -> ProgramResult | None:
    """Run *name*; None if there is no such program."""
    program = _PROGRAMS.get(_base(name))
    return await program(where, arguments) if program else None


def exists(name: str) -> bool:
    """Whether there is a program of that name."""
    return _base(name) in _PROGRAMS


def _base(name: str) -> str:
    """The name alone: the folder before it is not looked at."""
    return re.split(r"[\\/]", name)[-1].casefold().removesuffix(".exe")


def sids(where: Where) -> tuple[str, tuple[str, ...]]:
    """The SID of the user, and those of the groups in the token."""
    relative = 500 if where.user.lower() == "admin" else 1001
    return f"{_machine_sid(where.host.spec.name)}-{relative}", tuple(sid for _, _, sid in _GROUPS)


async def _sc(where: Where, arguments: Sequence[str]) -> ProgramResult:
    code, lines = sc.run(where.host, arguments)
    return ProgramResult(code, lines)


async def _reg(where: Where, arguments: Sequence[str]) -> ProgramResult:
    host = where.host
    denied = "no-registry" in host.faults
    return ProgramResult(*reg.run(host.registry, host.spec.language, arguments, denied=denied))


async def _tasklist(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(*tasks.tasklist(where.host, arguments))


async def _taskkill(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(*tasks.taskkill(where.host, arguments))


async def _shutdown(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(*tasks.shutdown(where.host, arguments))


async def _wevtutil(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(*wevtutil.run(where.host, arguments))


async def _hostname(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(0, [where.host.spec.name])


async def _curl(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return await curl.run(arguments, where.host.resolve)


async def _netstat(where: Where, arguments: Sequence[str]) -> ProgramResult:
    """netstat.exe -a -n -o: what listens, with its PID."""
    title, local, foreign, state, listening = _NETSTAT[where.host.spec.language]
    spec = where.host.spec
    ports = sorted([*where.host.listening(), (spec.http_port, _SYSTEM_PID), (spec.https_port, _SYSTEM_PID)])
    lines = ["", title, "", f"  Proto  {local:<22} {foreign:<22} {state:<15} PID"]
    for anywhere, far in (("0.0.0.0", "0.0.0.0:0"), ("[::]", "[::]:0")):
        lines += [f"  TCP    {f'{anywhere}:{port}':<22} {far:<22} {listening:<15} {pid}" for port, pid in ports]
    return ProgramResult(0, lines)


async def _whoami(where: Where, arguments: Sequence[str]) -> ProgramResult:
    """whoami.exe /user /groups /fo csv /nh, or alone."""
    host, user = where.host.spec, where.user
    account = f"{host.name}\\{user}".lower()
    given = {argument.casefold() for argument in arguments}
    if not given:
        return ProgramResult(0, [account])
    lines = []
    if "/user" in given:
        lines.append(f'"{account}","{sids(where)[0]}"')
    if "/groups" in given:
        held = "Mandatory group, Enabled by default, Enabled group"
        for name, kind, sid in _GROUPS:
            lines.append(f'"{name or _ADMINISTRATORS[host.language]}","{kind}","{sid}","{held}"')
    return ProgramResult(0, lines)


async def _appcmd(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(*await things.appcmd(where.host.things, arguments))


async def _schtasks(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(*await things.schtasks(where.host.things, where.host.spec.language, arguments))


async def _app(where: Where, arguments: Sequence[str]) -> ProgramResult:
    return ProgramResult(*await things.app(where.host.things, arguments))


async def _powershell(where: Where, arguments: Sequence[str]) -> ProgramResult:
    """powershell.exe with a script, started by something that is no console."""
    from orchestrator.lab.powershell import program  # noqa: PLC0415 - its grammar is loaded when somebody speaks it

    seen = Captured()
    code = await program.run(where, arguments, seen)
    return ProgramResult(code, seen.output.decode("ascii", "replace").splitlines(), [])


async def _exit(where: Where, arguments: Sequence[str]) -> ProgramResult:
    """lab-exit.exe CODE [TEXT]: for gates that look at exit code and output."""
    if not arguments or not arguments[0].lstrip("-").isdigit():
        return ProgramResult(2, [], ["usage: lab-exit.exe CODE [TEXT]"])
    return ProgramResult(int(arguments[0]), list(arguments[1:]))


def _machine_sid(name: str) -> str:
    parts = struct.unpack("<III", hashlib.sha256(name.encode()).digest()[:12])
    return "S-1-5-21-" + "-".join(map(str, parts))


_PROGRAMS: dict[str, Callable[[Where, Sequence[str]], Awaitable[ProgramResult]]] = {
    "sc": _sc,
    "reg": _reg,
    "tasklist": _tasklist,
    "taskkill": _taskkill,
    "shutdown": _shutdown,
    "wevtutil": _wevtutil,
    "hostname": _hostname,
    "netstat": _netstat,
    "whoami": _whoami,
    "curl": _curl,
    "lab-exit": _exit,
    "appcmd": _appcmd,
    "schtasks": _schtasks,
    "lab-app": _app,
    "powershell": _powershell,
}
