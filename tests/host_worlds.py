"""Worlds with the same hosts in them: the in-memory fleet, and a lab that is reached over WinRM and over SSH.

Every test of the contract suite takes a host of its own from a world, so that faults of one don't touch another.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import loopback

from orchestrator.adapters.credentials import SharedCredentials
from orchestrator.adapters.either import EitherHosts
from orchestrator.adapters.memory.fleet import ANYONE_MAY_CONTROL, Fault, MemoryFleet, MemoryPort, MemoryService
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.ssh.hosts import SshHosts
from orchestrator.adapters.winrm.hosts import WinrmHosts
from orchestrator.domain.connection import Auth, Connection, ControlBy, Ssh, Transport
from orchestrator.domain.errors import Problem, ProblemKind
from orchestrator.domain.secrets import Secret
from orchestrator.domain.service import Asked, Control, ServiceStatus, StartType, State
from orchestrator.engine.ports import CommandOutput, ControlAnswer, HostCommand, Hosts, HostServices
from orchestrator.lab import client

QUICK_S, SLOW_S = 0.1, 0.9
PORT, CHILDS_PORT = 18080, 18081
USER, PASSWORD = "admin", "Passw0rd äöü"
HOSTS_PER_LANGUAGE = {"en": 90, "de": 20, "fr": 12}
ODD_NAMES = ("two words", "it's", 'say "hi"', "Grüße-服务", "a[b]c*d?e", "back`tick", "\u2018curly\u2019", "$(x);&|")


def open_credentials(*connections: Connection, reveal: Callable[[str], str] = str) -> SharedCredentials:
    """The gate of *connections*; a secret is what *reveal* makes of its text, each time that it is looked up."""

    async def fetch(text: str, *, anew: bool) -> str:
        return reveal(text)

    return SharedCredentials(fetch, connections)


@dataclass(frozen=True)
class Spec:
    """One service of every host."""

    name: str
    state: State = State.RUNNING
    start_type: StartType = StartType.AUTOMATIC
    seconds: float = QUICK_S
    requires: tuple[str, ...] = ()
    can_stop: bool = True
    ports: tuple[int, ...] = ()
    shares: str = ""
    """Services with the same word run in one process."""
    by_child: bool = False
    """A child of its process has the ports."""


SERVICES = (
    Spec("Web", ports=(PORT,)),
    Spec("Idle", State.STOPPED),
    Spec("Slow", seconds=SLOW_S),
    Spec("Base"),
    Spec("OnTop", requires=("Base",)),
    Spec("Off", State.STOPPED, StartType.DISABLED),
    Spec("Manual", State.STOPPED, StartType.MANUAL),
    Spec("Stubborn", can_stop=False),
    Spec("Orders.Api"),
    Spec("Orders.Worker"),
    Spec("abbc"),
    Spec("Twin.A", shares="twins"),
    Spec("Twin.B", shares="twins"),
    Spec("Nest", ports=(CHILDS_PORT,), by_child=True),
    *(Spec(f"In{state}", state) for state in State),
    *(Spec(name) for name in ODD_NAMES),
)


@dataclass(frozen=True, kw_only=True)
class Says:
    """What a way to talk to a host tells, where ways differ."""

    waits: bool = True
    """The answer to a control comes when the service got there, or can't; else as soon as Windows took the control."""
    details: bool = True
    """Display names."""
    clock: bool = True
    """The host's clock, and a version."""
    start: bool = True
    """When the host started."""
    births: bool = True
    """When a process started, and its parent."""


BY_SC = Says(waits=False, details=False, clock=False, start=False, births=False)
"""sc.exe tells numbers in positions alone."""
BY_SC_OVER_WINRM = Says(waits=False, details=False, start=False, births=False)


class World(Protocol):
    """Where hosts are, and what can be done to them behind the adapter's back."""

    hosts: Hosts

    @property
    def says(self) -> Says:
        """What the way to its hosts tells."""

    def fault(self, host: str, kind: Fault, *, times: int | None = 1, on: str = "") -> None:
        """The next exchanges of *on* (read, start, stop; empty: any) go wrong."""

    def clear(self, host: str) -> None:
        """Everything goes right again."""

    def behave(self, host: str, service: str, fault: str, code: int = 0) -> None:
        """hangs-on-stop, hangs-on-start, fails-to-start, refuses, orphan (for ever), revives (after *code* seconds)."""

    def reboot(self, host: str, away_s: float) -> None:
        """The host goes down, and comes back after *away_s*."""

    def state(self, host: str, service: str) -> State:
        """The truth."""

    def reads(self, host: str) -> int:
        """How many exchanges asked for states."""

    def controls(self, host: str, service: str) -> list[str]:
        """The controls that reached the service control manager for the service, in order."""

    def sign_ins(self, host: str) -> int:
        """How often credentials were tried."""


@dataclass
class Site:
    """One host of a world, for one test."""

    world: World
    name: str

    @property
    def services(self) -> HostServices:
        """What is tested."""
        return self.world.hosts.services(self.name)

    @property
    def command(self) -> HostCommand:
        """What is tested."""
        return self.world.hosts.command(self.name)

    async def status(self, service: str) -> ServiceStatus:
        """One service, read."""
        (reading,) = await self.services.read([Asked(service)])
        assert reading.problem is None
        (found,) = reading.found
        return found

    async def until(self, service: str, state: State, *, limit_s: float = 10.0) -> ServiceStatus:
        """Read until *service* is in *state*."""
        async with asyncio.timeout(limit_s):
            while (seen := await self.status(service)).state is not state:  # noqa: ASYNC110 # a host sends no events
                await asyncio.sleep(0.03)
        return seen

    async def answered(self, service: str, *, limit_s: float = 10.0) -> ControlAnswer:
        """Ask until the last control of *service* ended."""
        async with asyncio.timeout(limit_s):
            while not (answer := await self.services.answer(service)).ended:
                await self.services.read([Asked(service)])
                await asyncio.sleep(0.03)
        return answer

    async def asked(self, service: str, control: Control) -> ControlAnswer:
        """Send *control* and wait for what came of it: no answer but a no is given before the service is there."""
        await self.services.request(service, control)
        answer = await self.answered(service)
        if not self.world.says.waits and answer.problem is None:
            async with asyncio.timeout(10):
                while (await self.status(service)).state.pending:  # noqa: ASYNC110 # a host sends no events
                    await asyncio.sleep(0.03)
        return answer


@dataclass
class MemoryWorld:
    """The in-memory fleet, with the hosts of SERVICES."""

    fleet: MemoryFleet
    hosts: Hosts
    says: Says = Says()

    def fault(self, host: str, kind: Fault, *, times: int | None = 1, on: str = "") -> None:
        self.fleet.fault(host, kind, times=times, on=(on,) if on else ())

    def clear(self, host: str) -> None:
        self.fleet.hosts[host].faults.clear()
        for service in self.fleet.hosts[host].services.values():
            service.refuses.clear()
            service.hangs = frozenset()

    def behave(self, host: str, service: str, fault: str, code: int = 0) -> None:
        it = self.fleet.service(service, host)
        if fault == "refuses":
            denied = Problem(ProblemKind.REFUSED, "Access is denied.", 5)
            it.refuses = {Control.START: denied, Control.STOP: denied}
        elif fault == "fails-to-start":
            it.fails_to_start = code
        elif fault == "orphan":
            it.lingers_s = math.inf
        elif fault == "revives":
            it.revives_s = float(code)
        else:
            it.hangs |= {Control.START if fault == "hangs-on-start" else Control.STOP}

    def reboot(self, host: str, away_s: float) -> None:
        self.fleet.reboot(host, down_s=away_s)

    def state(self, host: str, service: str) -> State:
        return self.fleet.service(service, host).state

    def reads(self, host: str) -> int:
        return self.fleet.exchanges[host, "read"]

    def controls(self, host: str, service: str) -> list[str]:
        return [change.state.value for change in self.fleet.changes if (change.host, change.service) == (host, service)]

    def sign_ins(self, host: str) -> int:
        return sum(count for (name, _), count in self.fleet.exchanges.items() if name == host)


Enter = Callable[..., contextlib.AbstractAsyncContextManager[Site]]
"""Opens a host of one of the worlds, in a language, for the length of an `async with`."""


@contextlib.asynccontextmanager
async def memory_site(language: str) -> AsyncIterator[Site]:
    """A host in memory. It speaks English: there are no texts to localise."""
    fleet = MemoryFleet()
    services = [
        MemoryService(
            name=spec.name,
            state=spec.state,
            start_type=spec.start_type,
            start_s=spec.seconds,
            stop_s=spec.seconds,
            checkpoint_s=spec.seconds / 4,
            wait_hint_s=5.0,
            requires=spec.requires,
            can_stop=spec.can_stop,
            ports=tuple(MemoryPort(port=port, by_child=spec.by_child) for port in spec.ports),
            shares=spec.shares,
        )
        for spec in SERVICES
    ]
    host = fleet.add("here", *services)
    host.silence_s = 0.2
    host.commands["lab-exit.exe"] = lambda args: CommandOutput(int(args[0]), " ".join(args[1:]))
    hosts = MemoryHosts(fleet)
    yield Site(MemoryWorld(fleet, hosts), "here")
    await hosts.aclose()


@contextlib.asynccontextmanager
async def second_way_site(language: str) -> AsyncIterator[Site]:
    """A host in memory whose first way is dead for good; the second one has been found."""
    dead = MemoryFleet()
    dead.add("here")
    dead.fault("here", Fault.UNREACHABLE, times=None)
    async with memory_site(language) as site:
        assert isinstance(site.world, MemoryWorld)
        hosts = EitherHosts({"here": [("dead", MemoryHosts(dead)), ("memory", site.world.hosts)]})
        await hosts.services("here").read([])
        site.world.fleet.exchanges.clear()
        yield Site(MemoryWorld(site.world.fleet, hosts), "here")
        await hosts.aclose()


_MEANS: dict[Fault, tuple[str, dict[str, object]]] = {
    Fault.UNREACHABLE: ("down", {}),
    Fault.SILENT: ("silent", {}),
    Fault.CUT_BEFORE: ("drops", {"when": "before"}),
    Fault.CUT_DURING: ("drops", {"when": "during"}),
    Fault.CUT_AFTER: ("drops", {"when": "after"}),
    Fault.GARBAGE: ("garbage", {"what": "text"}),
    Fault.QUOTA: ("quota", {}),
    Fault.AUTH: ("rejects-credentials", {}),
}
_SC_VERBS = {"read": "queryex", "start": "start", "stop": "stop"}
_CMDLETS = {"read": "Get-Service", "start": "Start-Service", "stop": "Stop-Service"}


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A way to reach the hosts of the lab. `verbs`: by what the lab tells one kind of exchange from another."""

    transport: Transport = Transport.PSRP
    control: ControlBy = ControlBy.POWERSHELL
    says: Says = Says()
    verbs: Mapping[str, str] = field(default_factory=lambda: _CMDLETS)


WIRES = {
    "winrm": Wire(),
    "winrm-sc": Wire(control=ControlBy.SC, says=BY_SC_OVER_WINRM, verbs=_SC_VERBS),
    "ssh-powershell": Wire(transport=Transport.SSH, verbs={**_CMDLETS, "read": "OrchRead"}),
    "ssh-sc": Wire(
        transport=Transport.SSH,
        control=ControlBy.SC,
        says=BY_SC,
        verbs=_SC_VERBS,
    ),
}


@dataclass
class LabWorld:
    """A lab in a process of its own, judged by its log."""

    lab: client.LabProcess
    hosts: Hosts
    wire: Wire = WIRES["winrm"]

    @property
    def says(self) -> Says:
        """See World."""
        return self.wire.says

    def fault(self, host: str, kind: Fault, *, times: int | None = 1, on: str = "") -> None:
        name, value = _MEANS[kind]
        if name in ("drops", "silent", "garbage"):
            value = {**value, "verb": self.wire.verbs[on]} if on else dict(value)
            if times is not None:
                value["count"] = times
        self.lab.order(op="fault", host=host, kind=name, value=value or None)

    def clear(self, host: str) -> None:
        self.lab.order(op="clear", host=host)

    def behave(self, host: str, service: str, fault: str, code: int = 0) -> None:
        self.lab.order(op="fault", host=host, service=service, kind=fault, value=code or None)

    def reboot(self, host: str, away_s: float) -> None:
        self.lab.order(op="reboot", host=host, away_s=away_s)

    def state(self, host: str, service: str) -> State:
        pictures = self.lab.order(op="ps")["hosts"]
        (shown,) = [one for one in pictures if one["host"] == host]
        (state,) = [one["state"] for one in shown["services"] if one["name"] == service]
        return State(state)

    def reads(self, host: str) -> int:
        if self.wire.transport is Transport.PSRP:
            asked = self.lab.log(kind="command", host=host)
            reads = {
                line["pipeline"]
                for line in asked
                if self.wire.verbs["read"] in (line["name"], *line.get("arguments", ()))
            }
            return len(reads)
        lines = [entry["line"] for kind in ("exec", "line") for entry in self.lab.log(kind=kind, host=host)]
        return sum(self.wire.verbs["read"] in line and "function" not in line for line in lines)

    def controls(self, host: str, service: str) -> list[str]:
        return [line["control"] for line in self.lab.log(kind="control", host=host, service=service)]

    def sign_ins(self, host: str) -> int:
        return len(self.lab.log(kind="auth", host=host))

    def shells_left(self, host: str) -> int:
        """Shells that were made and not deleted; over SSH connections that were made and not ended."""
        if self.wire.transport is Transport.SSH:
            return len(self.lab.log(kind="connect", host=host)) - len(self.lab.log(kind="disconnect", host=host))
        made, deleted = (len(self.lab.log(kind="http", host=host, action=word)) for word in ("Create", "Delete"))
        return made - deleted


@dataclass
class LabSource:
    """A running lab, the names of its unused hosts by language, and each host's address."""

    lab: client.LabProcess
    unused: dict[str, Iterator[str]]
    addresses: dict[str, str]

    def connection(self, host: str, auth: Auth = Auth.NTLM, *, https: bool = False, **changed: object) -> Connection:
        """How *host* is reached, with short timeouts."""
        settings: dict[str, object] = {
            "host": host,
            "address": self.addresses[host],
            "port": 5986 if https else 5985,
            "user": USER,
            "password": Secret(PASSWORD),
            "https": https,
            "auth": auth,
            "encryption": "never" if auth is Auth.BASIC else "auto",
            "connection_timeout_s": 5.0,
            "operation_timeout_s": 4.0,
            "read_timeout_s": 6.0,
            **({"ca": str(self.lab.ca)} if https else {}),
            **changed,
        }
        return Connection(**settings)  # type: ignore[arg-type] # the fields are named where they are set

    def by(self, wire: Wire, host: str, **changed: object) -> Connection:
        """How *host* is reached by *wire*."""
        if wire.transport is Transport.PSRP:
            return self.connection(host, control=wire.control, **changed)  # type: ignore[arg-type] # see there
        ssh = Ssh(known_hosts=(str(self.lab.known_hosts),), config="none", agent=False)
        settings = {"port": 22, "transport": wire.transport, "control": wire.control, "ssh": ssh, **changed}
        return self.connection(host, **settings)  # type: ignore[arg-type] # see there


@contextlib.contextmanager
def running_lab(folder: Path, *, wires: int = 1, **given: object) -> Iterator[LabSource]:
    """A lab on addresses of its own, with hosts enough for so many wires; *given* are more fields of each host."""
    names = [f"{word}-{number:02}" for word, count in HOSTS_PER_LANGUAGE.items() for number in range(count * wires)]
    addresses = dict(zip(names, loopback.addresses(len(names)), strict=True))
    fleet = {
        "name": "contract",
        "dir": str(folder),
        "users": {USER: PASSWORD},
        "transports": ["http", "https", "ssh"],
        "hosts": [
            {"name": name, "address": addresses[name], "language": name[:2], "services": _described(), **given}
            for name in names
        ],
    }
    unused = {word: iter([name for name in names if name[:2] == word]) for word in HOSTS_PER_LANGUAGE}
    with client.start(fleet) as lab:
        yield LabSource(lab, unused, addresses)


def _described() -> list[dict[str, object]]:
    return [
        {
            "name": spec.name,
            "display_name": f"The {spec.name} service",
            "state": spec.state.value,
            "start_type": spec.start_type.value,
            "start_s": spec.seconds,
            "stop_s": spec.seconds,
            "requires": list(spec.requires),
            "can_stop": spec.can_stop,
            "can_pause": True,
            "sddl": ANYONE_MAY_CONTROL,
            "ports": [{"port": port, "by_child": spec.by_child} for port in spec.ports],
            "process": spec.shares,
            "children": int(spec.by_child),
        }
        for spec in SERVICES
    ]


@contextlib.asynccontextmanager
async def lab_site(
    source: LabSource, language: str, auth: Auth = Auth.NTLM, *, wire: Wire = WIRES["winrm"], **changed: object
) -> AsyncIterator[Site]:
    """A host of the lab that no test has used, reached by *wire* (and *auth*, over WinRM)."""
    name = next(source.unused[language])
    connection = source.by(wire, name, auth=auth, **changed)
    hosts_of = WinrmHosts if wire.transport is Transport.PSRP else SshHosts
    hosts = hosts_of({name: connection}, open_credentials(connection), str)
    try:
        yield Site(LabWorld(source.lab, hosts, wire), name)
    finally:
        await hosts.aclose()
