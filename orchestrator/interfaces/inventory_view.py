"""What `orch inventory` shows: hosts, their groups, and how each would be reached; as data, and drawn."""

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from orchestrator.domain.connection import Auth, Connection, Jump, Transport
from orchestrator.domain.inventory.model import Inventory
from orchestrator.interfaces.theme import safe

Row = dict[str, object]

_HEADS = {
    "host": "HOST",
    "groups": "GROUPS",
    "reached": "REACHED BY",
    "control": "CONTROL",
    "auth": "AUTH",
    "user": "USER",
    "password": "PASSWORD",
    "protection": "PROTECTION",
}


def rows(
    inventory: Inventory, connections: Mapping[str, Sequence[Connection]], hosts: Iterable[str] | None = None
) -> list[Row]:
    """One JSON-able row for each of *hosts* (None: all), in their order, with its ways in the order in which they are
    tried. Passwords are named, never shown."""
    chosen = inventory.hosts if hosts is None else hosts
    return [
        {"host": name, "groups": list(inventory.hosts[name].groups), "ways": [_way(way) for way in connections[name]]}
        for name in chosen
    ]


def groups(inventory: Inventory) -> list[Row]:
    """One JSON-able row for each group: its children, and all hosts in it and below."""
    return [
        {"group": group.name, "children": list(group.children), "hosts": list(group.hosts)}
        for group in inventory.groups.values()
    ]


def table(shown: Sequence[Row]) -> Table:
    """The rows of `rows`, drawn. Text of the inventory is made harmless, and never taken as markup."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key, head in _HEADS.items():
        drawn.add_column(head, no_wrap=key == "host", overflow="fold")
    for row in shown:
        first: Row = {"host": row["host"], "groups": ", ".join(_texts(row["groups"]))}
        ways = row["ways"]
        assert isinstance(ways, list)
        for way in ways:
            cells = {"host": "", "groups": "", **first, **way, "reached": _reached(way)}
            drawn.add_row(*(safe(str(cells[key])) for key in _HEADS))
            first = {}
    return drawn


def group_table(shown: Sequence[Row]) -> Table:
    """The rows of `groups`, drawn."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("GROUP", "HOSTS", "CHILDREN"):
        drawn.add_column(head, overflow="fold", justify="right" if head == "HOSTS" else "left")
    for row in shown:
        count = len(_texts(row["hosts"]))
        drawn.add_row(safe(str(row["group"])), Text(str(count)), safe(", ".join(_texts(row["children"]))))
    return drawn


def _way(way: Connection) -> Row:
    ssh = way.transport is Transport.SSH
    return {
        "transport": way.transport.value,
        "protocol": "ssh" if ssh else "https" if way.https else "http",
        "address": _bracketed(way.address),
        "port": way.port,
        "through": [_through(jump) for jump in way.ssh.jumps],
        "control": way.control.value,
        "auth": _ssh_auth(way) if ssh else way.auth.value,
        "user": way.user,
        "password": way.password.named if way.password else "none",
        "protection": _host_key(way) if ssh else _protection(way),
    }


def _reached(way: Mapping[str, object]) -> str:
    """`psrp https db-01:5986`, `ssh db-01:22 through gate`."""
    words = dict.fromkeys((str(way["transport"]), str(way["protocol"]), f"{way['address']}:{way['port']}"))
    through = ", ".join(_texts(way["through"]))
    return " ".join(words) + (f" through {through}" if through else "")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _through(jump: Jump) -> str:
    user = f"{jump.user}@" if jump.user else ""
    return f"{user}{_bracketed(jump.address)}" + (f":{jump.port}" if jump.port else "")


def _ssh_auth(way: Connection) -> str:
    """What is offered, in the order tried."""
    ssh = way.ssh
    kinds = {
        "certificate": bool(ssh.certificate_file),
        f"key {ssh.key_file}": bool(ssh.key_file),
        "agent": ssh.agent,
        "password": way.password is not None,
    }
    return ", ".join(kind for kind, offered in kinds.items() if offered) or "keys of ~/.ssh"


def _host_key(way: Connection) -> str:
    if not way.verify:
        return "host key NOT verified"
    known = ", ".join(way.ssh.known_hosts)
    return f"host key, verified by {known}" if known else "host key, verified"


def _protection(connection: Connection) -> str:
    """What keeps others from reading along or from posing as the host."""
    if connection.https and not connection.verify:
        return "TLS, certificate NOT verified"
    if connection.https:
        return f"TLS, verified by {connection.ca}" if connection.ca else "TLS, verified"
    if connection.encryption == "never" or connection.auth in (Auth.BASIC, Auth.CERTIFICATE):
        return "IN CLEAR"
    return "encrypted messages"


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
