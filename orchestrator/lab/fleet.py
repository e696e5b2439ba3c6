"""The fleet description: plain JSON in, frozen values out.

Others write this file, so every mistake is named with the place where it stands. All durations are seconds.
"""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.lab.things import FAULTS as THING_FAULTS
from orchestrator.lab.things import KINDS as THINGS
from orchestrator.lab.things import ThingSpec

START_TYPES = ("Automatic", "AutomaticDelayed", "Manual", "Disabled", "Boot", "System")
STATES = ("Stopped", "StartPending", "StopPending", "Running", "ContinuePending", "PausePending", "Paused")
LANGUAGES = ("en", "de", "fr")
TRANSPORTS = ("http", "https", "ssh")
DEFAULT_SHELLS = ("cmd", "powershell", "sh")
CLUSTER_SERVICE = "ClusSvc"
DEFAULT_SDDL = (
    "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)"
)
RECOVERY_ACTIONS = ("", "restart", "reboot", "run")
TRIGGERS = {
    "start/device": ("DEVICE INTERFACE ARRIVAL", "", "INTERFACE CLASS GUID"),
    "start/custom": ("CUSTOM", "", "ETW PROVIDER UUID"),
    "stop/custom": ("CUSTOM", "", "ETW PROVIDER UUID"),
    "start/strcustom": ("CUSTOM", "", "ETW PROVIDER UUID"),
    "stop/strcustom": ("CUSTOM", "", "ETW PROVIDER UUID"),
    "start/networkon": (
        "IP ADDRESS AVAILABILITY",
        "4f27f2de-14e2-430b-a549-7cd48cbc8245",
        "FIRST IP ADDRESS AVAILABLE",
    ),
    "stop/networkoff": ("IP ADDRESS AVAILABILITY", "cc4ba62a-162e-4648-847a-b6bdf993e335", "NO IP ADDRESS AVAILABLE"),
    "start/domainjoin": ("DOMAIN JOINED STATUS", "1ce20aba-9851-4421-9430-1ddeb766e809", "DOMAIN JOINED"),
    "stop/domainleave": ("DOMAIN JOINED STATUS", "ddaf516e-58c2-4866-9574-c3b615d42ea1", "NOT DOMAIN JOINED"),
    "start/portopen": ("FIREWALL PORT EVENT", "b7569e07-8421-4ee0-ad10-86915afdad09", "PORT OPEN"),
    "stop/portclose": ("FIREWALL PORT EVENT", "a144ed38-8e12-4de4-9d96-e64740b1a524", "PORT CLOSE"),
    "start/machinepolicy": ("GROUP POLICY", "659fcae6-5bdb-4da9-b1ff-ca2a178d46e0", "MACHINE POLICY PRESENT"),
    "start/userpolicy": ("GROUP POLICY", "54fb46c8-f089-464c-b1fd-59d1b62c3b50", "USER POLICY PRESENT"),
    "start/rpcinterface": ("NETWORK EVENT", "bc90d167-9470-4139-a9ba-be0bbbf5b74d", "RPC INTERFACE EVENT"),
    "start/namedpipe": ("NETWORK EVENT", "1f81d131-3fac-4537-9e0c-7e7b0c2f4b55", "NAMED PIPE EVENT"),
}
"""How sc.exe writes a kind of trigger, and how it shows one: its label, its UUID (empty: the first of its data), and
what that means. Behind the kind stand its data, with slashes between them."""
_UNIX_PATH_LIMIT = 107
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


class BadFleet(ValueError):
    """The description can't be used; the text says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """A TCP port of a running service. `speaks` is tcp (accepts) or http (answers `path` with `status` and `body`)."""

    port: int
    speaks: str = "tcp"
    path: str = "/"
    status: int = 200
    body: str = ""
    warmup_s: float = 0.0
    by_child: bool = False
    """A child of the service's process listens, and not that itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What Windows does when a service dies, as `sc.exe failure` has it: what at the first time, the second, and from
    the last one on, each with its delay in milliseconds. `reset_s` None: never forgotten."""

    reset_s: int | None = 0
    actions: tuple[tuple[str, int], ...] = ()
    command: str = ""
    reboot_message: str = ""
    flag: bool = False
    """A stop with an error counts as a failure too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One SCM service as the fleet file describes it."""

    name: str
    display_name: str
    state: str = "Running"
    start_type: str = "Automatic"
    start_s: float = 0.3
    stop_s: float = 0.3
    checkpoints: int = 3
    wait_hint_s: float = 5.0
    can_stop: bool = True
    can_pause: bool = False
    requires: tuple[str, ...] = ()
    ports: tuple[PortSpec, ...] = ()
    sddl: str = DEFAULT_SDDL
    cluster_role: str = ""
    """The role of the failover cluster that this service is a resource of; empty if it is none."""
    image: str = ""
    """The name of its process; empty: that of the service, or svchost.exe for one that shares."""
    process: str = ""
    """Services with the same word here share one process; empty: it has its own."""
    children: int = 0
    """Processes that its own one begins."""
    recovery: Recovery = Recovery()
    triggers: tuple[str, ...] = ()
    """In the words of `sc.exe triggerinfo`: `start/networkon`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """One virtual Windows host.

    `max_shells` is WinRM's MaxShellsPerUser, `max_sessions` sshd's MaxSessions: channels on one connection.
    `default_shell` gets what an SSH client wants executed; `banner` is shown before sign-in. `boot_s`: how long it is
    away when it restarts; `delayed_start_s`: how long after that services with a delayed start wait.
    """

    name: str
    address: str
    http_port: int = 5985
    https_port: int = 5986
    ssh_port: int = 22
    default_shell: str = "cmd"
    banner: str = ""
    max_sessions: int = 10
    language: str = "en"
    clock_skew_s: float = 0.0
    max_shells: int = 30
    boot_s: float = 5.0
    delayed_start_s: float = 2.0
    services: tuple[ServiceSpec, ...] = ()
    things: tuple[ThingSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All of one lab. `authorized_keys` are lines as sshd reads them, certificate authorities among them."""

    name: str
    dir: Path
    users: Mapping[str, str] = field(repr=False)
    transports: tuple[str, ...]
    hosts: tuple[HostSpec, ...]
    authorized_keys: tuple[str, ...] = ()


def load(path: Path) -> Fleet:
    """Read and check a fleet file.

    Raises: BadFleet.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise BadFleet(f"{path}: can't be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise BadFleet(f"{path}: is no JSON: {exc}") from exc
    try:
        return parse(raw)
    except BadFleet as exc:
        raise BadFleet(f"{path}: {exc}") from exc


def parse(raw: object) -> Fleet:
    """Check a decoded description. Raises BadFleet."""
    fields = _Fields(raw, "fleet")
    name = fields.text("name", "lab")
    folder = fields.text("dir")
    users = fields.take("users", {"admin": "lab"}, dict, "a mapping of user to password")
    if not all(isinstance(k, str) and isinstance(v, str) and k and ":" not in k for k, v in users.items()):
        raise BadFleet("fleet.users: expected a mapping of user (without a colon) to password")
    keys = fields.texts("authorized_keys", ())
    if not (users or keys):
        raise BadFleet("fleet.users: expected at least one user, or one of authorized_keys: else nobody is let in")
    transports = fields.texts("transports", ("http",))
    for transport in transports:
        _one_of(transport, TRANSPORTS, "fleet.transports")
    ssh = "ssh" in transports
    hosts = tuple(_host(item, f"hosts[{n}]", ssh=ssh) for n, item in enumerate(fields.items("hosts")))
    fields.finish()
    if not hosts:
        raise BadFleet("fleet.hosts: expected at least one host")
    _distinct((host.name.casefold() for host in hosts), "hosts: two hosts are named")
    _distinct((host.address for host in hosts), "hosts: two hosts have the address")
    return Fleet(name=name, dir=Path(folder), users=users, transports=transports, hosts=hosts, authorized_keys=keys)


def fits_unix_socket(path: Path) -> bool:
    """Whether the kernel takes *path* as a unix socket address (107 bytes)."""
    return len(str(path).encode()) <= _UNIX_PATH_LIMIT


def _host(raw: object, where: str, *, ssh: bool) -> HostSpec:
    fields = _Fields(raw, where)
    spec = HostSpec(
        name=fields.text("name"),
        address=_loopback(fields.text("address"), f"{where}.address"),
        http_port=fields.port("http_port", 5985),
        https_port=fields.port("https_port", 5986),
        ssh_port=fields.port("ssh_port", 22),
        default_shell=_one_of(fields.text("default_shell", "cmd"), DEFAULT_SHELLS, f"{where}.default_shell"),
        banner=fields.text("banner", ""),
        max_sessions=fields.whole("max_sessions", 10),
        language=_one_of(fields.text("language", "en"), LANGUAGES, f"{where}.language"),
        clock_skew_s=fields.number("clock_skew_s", 0.0, least=None),
        max_shells=fields.whole("max_shells", 30),
        boot_s=fields.number("boot_s", 5.0),
        delayed_start_s=fields.number("delayed_start_s", 2.0),
        services=tuple(_service(item, f"{where}.services[{n}]") for n, item in enumerate(fields.items("services"))),
        things=tuple(_thing(item, f"{where}.things[{n}]") for n, item in enumerate(fields.items("things"))),
    )
    fields.finish()
    names = {service.name.casefold() for service in spec.services}
    _distinct((service.name.casefold() for service in spec.services), f"{where}.services: two services are named")
    taken = [str(port.port) for service in spec.services for port in service.ports]
    ours = [spec.http_port, spec.https_port, *([spec.ssh_port] if ssh else [])]
    _distinct([*taken, *map(str, ours)], f"{where}: two listeners want port")
    for service in spec.services:
        for required in service.requires:
            if required.casefold() not in names:
                raise BadFleet(f"{where}: service {service.name} requires {required!r}, which is not on this host")
        if service.cluster_role and CLUSTER_SERVICE.casefold() not in names:
            raise BadFleet(f"{where}: service {service.name} has a cluster_role, but there is no {CLUSTER_SERVICE}")
    _no_circle(spec.services, where)
    return spec


def _thing(raw: object, where: str) -> ThingSpec:
    fields = _Fields(raw, where)
    spec = ThingSpec(
        kind=_one_of(fields.text("kind"), THINGS, f"{where}.kind"),
        name=fields.text("name"),
        running=fields.take("running", True, bool, "true or false"),
        move_s=fields.number("move_s", 0.3),
        fault=_one_of(fields.text("fault", ""), THING_FAULTS, f"{where}.fault"),
    )
    fields.finish()
    return spec


def _service(raw: object, where: str) -> ServiceSpec:
    fields = _Fields(raw, where)
    name = fields.text("name")
    if not name or len(name) > 256 or "/" in name or "\\" in name:
        raise BadFleet(f"{where}.name: {name!r} is no service name (1 to 256 characters, no slash or backslash)")
    spec = ServiceSpec(
        name=name,
        display_name=fields.text("display_name", name),
        state=_one_of(fields.text("state", "Running"), STATES, f"{where}.state"),
        start_type=_one_of(fields.text("start_type", "Automatic"), START_TYPES, f"{where}.start_type"),
        start_s=fields.number("start_s", 0.3),
        stop_s=fields.number("stop_s", 0.3),
        checkpoints=fields.whole("checkpoints", 3),
        wait_hint_s=fields.number("wait_hint_s", 5.0),
        can_stop=fields.take("can_stop", True, bool, "true or false"),
        can_pause=fields.take("can_pause", False, bool, "true or false"),
        requires=fields.texts("requires", ()),
        ports=tuple(_port(item, f"{where}.ports[{n}]") for n, item in enumerate(fields.items("ports"))),
        sddl=fields.text("sddl", DEFAULT_SDDL),
        cluster_role=fields.text("cluster_role", ""),
        image=fields.text("image", ""),
        process=fields.text("process", ""),
        children=fields.whole("children", 0),
        recovery=_recovery(fields.take("recovery", {}, dict, "an object"), f"{where}.recovery"),
        triggers=tuple(_trigger(text, f"{where}.triggers") for text in fields.texts("triggers", ())),
    )
    fields.finish()
    for port in spec.ports:
        if port.by_child and not spec.children:
            raise BadFleet(f"{where}: port {port.port} is of a child, but the service has no children")
    return spec


def _recovery(raw: object, where: str) -> Recovery:
    if not raw:
        return _NO_RECOVERY
    fields = _Fields(raw, where)
    recovery = Recovery(
        reset_s=fields.whole("reset_s", 0),
        actions=tuple(_action(item, f"{where}.actions[{n}]") for n, item in enumerate(fields.items("actions"))),
        command=fields.text("command", ""),
        reboot_message=fields.text("reboot_message", ""),
        flag=fields.take("flag", False, bool, "true or false"),
    )
    fields.finish()
    return recovery


_NO_RECOVERY = Recovery()


def _action(raw: object, where: str) -> tuple[str, int]:
    fields = _Fields(raw, where)
    action = _one_of(fields.text("do"), RECOVERY_ACTIONS, f"{where}.do"), int(fields.number("after_s", 0.0) * 1000)
    fields.finish()
    return action


def _trigger(text: str, where: str) -> str:
    kind = "/".join(text.casefold().split("/")[:2])
    return text if _one_of(kind, tuple(TRIGGERS), where) else ""


def _port(raw: object, where: str) -> PortSpec:
    fields = _Fields(raw, where)
    spec = PortSpec(
        port=fields.port("port", None),
        speaks=_one_of(fields.text("speaks", "tcp"), ("tcp", "http"), f"{where}.speaks"),
        path=fields.text("path", "/"),
        status=fields.whole("status", 200),
        body=fields.text("body", ""),
        warmup_s=fields.number("warmup_s", 0.0),
        by_child=fields.take("by_child", False, bool, "true or false"),
    )
    fields.finish()
    return spec


class _Fields:
    """One JSON object that is emptied field by field, so that what is left over is a mistake."""

    def __init__(self, raw: object, where: str) -> None:
        if not isinstance(raw, dict):
            raise BadFleet(f"{where}: expected an object, got {type(raw).__name__}")
        self._left: dict[str, Any] = dict(raw)
        self._where = where

    def take(self, name: str, default: Any, kind: type | tuple[type, ...], expected: str) -> Any:
        value = self._left.pop(name, default)
        if value is None:
            raise BadFleet(f"{self._where}.{name}: is missing")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BadFleet(f"{self._where}.{name}: expected {expected}, got {value!r}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        return str(self.take(name, default, str, "text"))

    def texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        values = self.take(name, default, (list, tuple), "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise BadFleet(f"{self._where}.{name}: expected a list of texts")
        return tuple(values)

    def items(self, name: str) -> list[object]:
        return list(self.take(name, [], list, "a list"))

    def number(self, name: str, default: float, least: float | None = 0.0) -> float:
        value = float(self.take(name, default, (int, float), "seconds"))
        if least is not None and not least <= value < float("inf"):
            raise BadFleet(f"{self._where}.{name}: expected seconds from {least:g} up, got {value!r}")
        return value

    def whole(self, name: str, default: int | None) -> int:
        value = int(self.take(name, default, int, "a whole number"))
        if value < 0:
            raise BadFleet(f"{self._where}.{name}: must not be negative")
        return value

    def port(self, name: str, default: int | None) -> int:
        value = self.whole(name, default)
        if not 0 < value < 65536:
            raise BadFleet(f"{self._where}.{name}: {value} is no TCP port (1 to 65535)")
        return value

    def finish(self) -> None:
        if self._left:
            raise BadFleet(f"{self._where}: unknown field {', '.join(sorted(map(repr, self._left)))}")


def _one_of(value: str, known: tuple[str, ...], where: str) -> str:
    if value not in known:
        raise BadFleet(f"{where}: {value!r} is not one of {', '.join(known)}")
    return value


def _loopback(address: str, where: str) -> str:
    try:
        inside = ipaddress.ip_address(address) in _LOOPBACK
    except ValueError:
        inside = False
    if not inside:
        raise BadFleet(f"{where}: {address!r} is not an address of 127.0.0.0/8; the lab serves loopback only")
    return address


def _distinct(values: Any, complaint: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise BadFleet(f"{complaint} {value}")
        seen.add(value)


def _no_circle(services: tuple[ServiceSpec, ...], where: str) -> None:
    requires = {service.name.casefold(): [name.casefold() for name in service.requires] for service in services}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise BadFleet(f"{where}: services require each other in a circle: {' -> '.join((*above, name))}")
        if name not in done:
            for required in requires[name]:
                visit(required, (*above, name))
            done.add(name)

    for name in requires:
        visit(name, ())
