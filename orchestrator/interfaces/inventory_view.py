"""What `orch inventory` shows: hosts, their groups, and how each would be reached; as data, and drawn."""

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from orchestrator.domain.connection import Auth, Connection, Transport
from orchestrator.domain.inventory.model import Inventory

Row = dict[str, object]

_HEADS = {
    "host": "HOST",
    "groups": "GROUPS",
    "reached": "REACHED BY",
    "auth": "AUTH",
    "user": "USER",
    "password": "PASSWORD",
    "protection": "PROTECTION",
}


def rows(inventory: Inventory, connections: Mapping[str, Connection], hosts: Iterable[str] | None = None) -> list[Row]:
    """One JSON-able row for each of *hosts* (None: all), in their order. Passwords are named, never shown."""
    chosen = inventory.hosts if hosts is None else hosts
    return [_row(inventory, connections[name]) for name in chosen]


def groups(inventory: Inventory) -> list[Row]:
    """One JSON-able row for each group: its children, and all hosts in it and below."""
    return [
        {"group": group.name, "children": list(group.children), "hosts": list(group.hosts)}
        for group in inventory.groups.values()
    ]


def table(shown: Sequence[Row]) -> Table:
    """The rows of `rows`, drawn. Text of the inventory is never taken as markup."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key, head in _HEADS.items():
        drawn.add_column(head, no_wrap=key == "host", overflow="fold")
    for row in shown:
        cells = {
            **row,
            "groups": ", ".join(_texts(row["groups"])),
            "reached": " ".join(
                dict.fromkeys((str(row["transport"]), str(row["protocol"]), f"{row['address']}:{row['port']}"))
            ),
        }
        drawn.add_row(*(Text(str(cells[key])) for key in _HEADS))
    return drawn


def group_table(shown: Sequence[Row]) -> Table:
    """The rows of `groups`, drawn."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("GROUP", "HOSTS", "CHILDREN"):
        drawn.add_column(head, overflow="fold", justify="right" if head == "HOSTS" else "left")
    for row in shown:
        count = len(_texts(row["hosts"]))
        drawn.add_row(Text(str(row["group"])), Text(str(count)), Text(", ".join(_texts(row["children"]))))
    return drawn


def _row(inventory: Inventory, connection: Connection) -> Row:
    ssh = connection.transport is Transport.SSH
    return {
        "host": connection.host,
        "groups": list(inventory.hosts[connection.host].groups),
        "transport": connection.transport.value,
        "protocol": "ssh" if ssh else "https" if connection.https else "http",
        "address": f"[{connection.address}]" if ":" in connection.address else connection.address,
        "port": connection.port,
        "auth": "" if ssh else connection.auth.value,
        "user": connection.user,
        "password": connection.password.named if connection.password else "none",
        "protection": "host key" if ssh else _protection(connection),
    }


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
