"""A fleet description for the lab, made from a draft: every host of the playbook, its services, and the ports that
the playbook's gates look for.

The lab is another program: what crosses to it is this plain JSON, and nothing else is shared.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

from orchestrator.domain.connection import Connection, Transport
from orchestrator.domain.draft import Draft, Instance
from orchestrator.domain.errors import BadInput
from orchestrator.domain.gates import Gate, HttpCheck, Origin, PortClosedCheck, TcpCheck
from orchestrator.domain.kinds import bare, is_service, kind_of
from orchestrator.domain.service import Asked

MOVE_S = 0.4
"""How long a lab service takes to start or to stop."""
WARM_UP_S = 0.3
"""How long after Running a lab service opens its port."""
SSH_PORT = 2222
"""Where SSH is served, at the earliest, on a host that the inventory reaches by WinRM alone."""
LAB_APP = "lab-app.exe"
"""The lab's program for what a playbook moves by commands: `lab-app.exe status|start|stop NAME`."""
ITSELF = ("localhost", "127.0.0.1")
"""How a host calls itself, in gates that are probed from it."""


@dataclass
class _Host:
    """A lab host in the making: SCM name in lower case -> service; what is no service; ports that no service of the
    playbook owns."""

    services: dict[str, dict[str, object]] = field(default_factory=dict)
    things: list[dict[str, object]] = field(default_factory=list)
    extra_ports: dict[int, dict[str, object]] = field(default_factory=dict)


def lab_fleet(
    draft: Draft,
    connections: Mapping[str, Sequence[Connection]],
    reveal: Callable[[str], str],
    public_key: Callable[[str], str],
    *,
    folder: str,
) -> dict[str, object]:
    """The lab's JSON for every host of *connections*, each served by all its ways. Raises BadInput if their addresses
    differ.

    *reveal* gives the password for a text with references, *public_key* the public line for a private key's file.

    A gate's port belongs to the first service of the instance that has the gate when the gate points at the
    instance's own host; a port that only others ask for is opened by a service of its own, which always runs.
    """
    every = [way for ways in connections.values() for way in ways]
    by_address = {way.address: way.host for way in every}
    hosts = {name: _Host() for name in connections}
    for entry in draft.entries:
        for instance in entry.instances:
            _add(instance, hosts, by_address)
    ssh = [way for way in every if way.transport is Transport.SSH]
    keys = dict.fromkeys(way.ssh.key_file for way in ssh if way.ssh.key_file)
    return {
        "name": draft.name,
        "dir": folder,
        "users": {way.user or "admin": reveal(way.password.text) for way in every if way.password is not None},
        "authorized_keys": [public_key(key_file) for key_file in keys],
        "transports": ["http", "https", *(["ssh"] if ssh else [])],
        "hosts": [_described(ways, hosts[name], ssh=bool(ssh)) for name, ways in connections.items()],
    }


def lab_units(draft: Draft) -> dict[str, list[str]]:
    """The SCM names that the lab has for each instance of the draft, by instance id, and `KIND/NAME` of what is no
    service; external ones have none."""
    return {
        instance.id: [name for asked in instance.asked for name in _called(asked)]
        for entry in draft.entries
        if not entry.external
        for instance in entry.instances
    }


def _described(ways: Sequence[Connection], host: _Host, *, ssh: bool) -> dict[str, object]:
    if len({way.address for way in ways}) > 1:
        told = " and ".join(way.address for way in ways)
        hint = "write one ansible_host in place of ansible_psrp_host and ansible_ssh_host"
        raise BadInput(f"{ways[0].host} has the addresses {told}, and a host of the lab has one", hint=hint)
    services = list(host.services.values())
    for port, described in host.extra_ports.items():
        services.append({**_service(f"LabPort{port}"), "ports": [described]})
    ports = {_port_name(way): way.port for way in ways}
    if ssh and "ssh_port" not in ports:
        # The lab serves each wire on all hosts or on none, and 22 is root's alone.
        taken = {*ports.values(), *(port["port"] for service in services for port in service["ports"])}  # type: ignore[attr-defined] # a list, see _service
        ports["ssh_port"] = next(port for port in count(SSH_PORT) if port not in taken)
    return {"name": ways[0].host, "address": ways[0].address, **ports, "services": services, "things": host.things}


def _port_name(way: Connection) -> str:
    return "ssh_port" if way.transport is Transport.SSH else "https_port" if way.https else "http_port"


def _service(name: str) -> dict[str, object]:
    return {
        "name": name,
        "display_name": f"{name} (lab)",
        "state": "Running",
        "start_type": "Automatic",
        "start_s": MOVE_S,
        "stop_s": MOVE_S,
        "ports": [],
    }


def _add(instance: Instance, hosts: dict[str, _Host], by_address: Mapping[str, str]) -> None:
    host = hosts.get(instance.host) if instance.host else None
    if host is not None:
        made = list(filter(None, map(_thing, instance.asked)))
        for one in (host, *(hosts[way] for asked in instance.asked for way in asked.ways if way in hosts)):
            one.things += made
        for asked in filter(lambda asked: is_service(asked.name), instance.asked):
            for name in _names(asked):
                host.services.setdefault(name.lower(), _service(name))
    for gate in (*instance.ready, *instance.stopped):
        target, described = _port(gate, instance.host, by_address)
        if target in hosts:
            own = target == instance.host and any(is_service(asked.name) for asked in instance.asked)
            _add_port(hosts[target], _names(instance.asked[0])[0].lower() if own else "", described)


def _thing(asked: Asked) -> dict[str, object] | None:
    """What is no service, as the lab has it; None for a service, and for programs that the lab has not."""
    if asked.by is not None:
        exe, args = asked.by.read.exe, asked.by.read.args
        return {"kind": "app", "name": args[-1], "move_s": MOVE_S} if exe.lower() == LAB_APP and args else None
    kind = kind_of(asked.name)
    return {"kind": kind, "name": bare(asked.name), "move_s": MOVE_S} if kind else None


def _add_port(host: _Host, service: str, described: dict[str, object]) -> None:
    """Open the port with the host's *service*, or by itself if that is empty; it has one owner, the first."""
    owners = _owners(host, described["port"])
    own = host.services.get(service)
    if own is not None and (own in owners or not owners):
        _open(own, described)
    elif not owners:
        host.extra_ports[int(str(described["port"]))] = described


def _open(service: dict[str, object], described: dict[str, object]) -> None:
    ports = service["ports"]
    assert isinstance(ports, list)
    if all(port["port"] != described["port"] for port in ports):
        ports.append(described)
    elif described["speaks"] == "http":
        ports[:] = [described if port["port"] == described["port"] else port for port in ports]


def _owners(host: _Host, number: object) -> list[dict[str, object]]:
    """The service that opens the port, if one does: of two that are gated by the same port, the first."""
    return [
        service
        for service in host.services.values()
        if any(port["port"] == number for port in service["ports"])  # type: ignore[attr-defined] # a list, see _service
    ]


def _called(asked: Asked) -> list[str]:
    if is_service(asked.name):
        return _names(asked)
    thing = _thing(asked)
    return [f"{thing['kind']}/{thing['name']}"] if thing is not None else []


def _names(asked: Asked) -> list[str]:
    """The SCM names that a lab host has for one question; a pattern gets two that match it."""
    if not asked.pattern:
        return [asked.name]
    return [re.sub(r"\*", word, asked.name).replace("?", "1") for word in ("Api", "Worker")]


def _port(gate: Gate, own: str | None, by_address: Mapping[str, str]) -> tuple[str | None, dict[str, object]]:
    """The lab host that a gate looks at, and the port that it would find there."""
    match gate.check:
        case TcpCheck(host=address, port=port):
            return _named(gate, address, own, by_address), {"port": port, "speaks": "tcp", "warmup_s": WARM_UP_S}
        case PortClosedCheck(port=port):
            return own, {"port": port, "speaks": "tcp", "warmup_s": WARM_UP_S}
        case HttpCheck() as check:
            url = urlsplit(check.url)
            return _named(gate, url.hostname or "", own, by_address), {
                "port": url.port or 80,
                "speaks": "http",
                "path": url.path or "/",
                "status": check.status[0],
                "body": _body(check),
                "warmup_s": WARM_UP_S,
            }
        case _:
            return None, {}


def _named(gate: Gate, address: str, own: str | None, by_address: Mapping[str, str]) -> str | None:
    if gate.origin is Origin.HOST and address in ITSELF:
        return own
    return by_address.get(address, address)


def _body(check: HttpCheck) -> str:
    """A body that satisfies what the gate looks for; a regular expression is met only by the plain words in it."""
    if check.json:
        return _json_text(check.json)
    return check.text or re.sub(r"[\^$.*+?()\[\]{}|\\]", "", check.regex) or "ok"


def _json_text(wanted: tuple[tuple[str, str | int | float | bool | None], ...]) -> str:
    tree: dict[str, object] = {}
    for path, value in wanted:
        node = tree
        *parents, last = path.split(".")
        for part in parents:
            child = node.setdefault(part, {})
            assert isinstance(child, dict)
            node = child
        node[last] = value
    return json.dumps(tree)
