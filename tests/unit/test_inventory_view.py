"""What `orch inventory` shows: no password, no markup, the same as data."""

import io
import json

from rich.console import Console
from rich.table import Table

from orchestrator.domain.connection import Auth, Connection, Transport
from orchestrator.domain.inventory.model import Inventory, InventoryGroup, InventoryHost, Values
from orchestrator.domain.secrets import Secret, SecretRef, embed
from orchestrator.interfaces import inventory_view

HOSTS = ("a", "b", "c", "d")
INVENTORY = Inventory(
    "inv.yaml",
    {name: InventoryHost(name, Values({}, {}), ("web",)) for name in HOSTS},
    {"all": InventoryGroup("all", ("web",), (), HOSTS), "web": InventoryGroup("web", (), HOSTS, HOSTS)},
    HOSTS,
)
CONNECTIONS = {
    "a": Connection(
        host="a", address="fe80::1", port=5986, user="[red]svc[/red]", password=Secret(embed(SecretRef("env", "PW")))
    ),
    "b": Connection(host="b", address="b", port=5985, https=False, auth=Auth.NTLM, password=Secret("hunter2")),
    "c": Connection(host="c", address="c", port=5985, https=False, auth=Auth.BASIC, encryption="never"),
    "d": Connection(host="d", address="d", port=22, transport=Transport.SSH),
}


def drawn(table: Table) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_rows_are_data_without_secrets() -> None:
    shown = inventory_view.rows(INVENTORY, CONNECTIONS)
    assert json.loads(json.dumps(shown)) == shown
    assert "hunter2" not in json.dumps(shown)
    assert [row["password"] for row in shown] == ["{env:PW}", "a password in the inventory", "none", "none"]
    assert [row["protection"] for row in shown] == ["TLS, verified", "encrypted messages", "IN CLEAR", "host key"]
    assert (shown[0]["transport"], shown[0]["protocol"], shown[0]["address"]) == ("psrp", "https", "[fe80::1]")
    assert [row["host"] for row in inventory_view.rows(INVENTORY, CONNECTIONS, ["c", "a"])] == ["c", "a"]


def test_tables_take_no_markup() -> None:
    text = drawn(inventory_view.table(inventory_view.rows(INVENTORY, CONNECTIONS)))
    assert "[red]svc[/red]" in text
    assert "psrp https [fe80::1]:5986" in text
    assert "hunter2" not in text


def test_groups() -> None:
    shown = inventory_view.groups(INVENTORY)
    assert shown[1] == {"group": "web", "children": [], "hosts": list(HOSTS)}
    assert "web" in drawn(inventory_view.group_table(shown))
