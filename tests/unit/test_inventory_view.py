"""What `orch inventory` shows: no password, no markup, the same as data."""

import io
import json

import pytest
from rich.console import Console
from rich.table import Table

from orchestrator.domain.connection import Auth, Connection, ControlBy, Jump, Ssh, Transport
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
    "a": (
        Connection(
            host="a",
            address="fe80::1",
            port=5986,
            user="[red]svc[/red]",
            password=Secret(embed(SecretRef("env", "PW"))),
        ),
    ),
    "b": (Connection(host="b", address="b", port=5985, https=False, auth=Auth.NTLM, password=Secret("hunter2")),),
    "c": (Connection(host="c", address="c", port=5985, https=False, auth=Auth.BASIC, encryption="never"),),
    "d": (
        Connection(
            host="d",
            address="d",
            port=2222,
            transport=Transport.SSH,
            control=ControlBy.SC,
            password=Secret("hunter2"),
            ssh=Ssh(
                key_file="id",
                passphrase=Secret("hunter3"),
                known_hosts=("/known",),
                jumps=(Jump(address="gate", user="me", port=22), Jump(address="fe80::2")),
            ),
        ),
        Connection(host="d", address="d", port=5986),
    ),
}


def drawn(table: Table) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_rows_are_data_without_secrets() -> None:
    shown = inventory_view.rows(INVENTORY, CONNECTIONS)
    assert json.loads(json.dumps(shown)) == shown
    assert "hunter" not in json.dumps(shown)
    ways = [way for row in json.loads(json.dumps(shown)) for way in row["ways"]]
    named = "a password in the inventory"
    assert [way["password"] for way in ways] == ["{env:PW}", named, "none", named, "none"]
    assert [way["protection"] for way in ways] == [
        "TLS, verified", "encrypted messages", "IN CLEAR", "host key, verified by /known", "TLS, verified"
    ]  # fmt: skip
    assert (ways[0]["transport"], ways[0]["protocol"], ways[0]["address"]) == ("psrp", "https", "[fe80::1]")
    assert ways[3] == {
        "transport": "ssh",
        "protocol": "ssh",
        "address": "d",
        "port": 2222,
        "through": ["me@gate:22", "[fe80::2]"],
        "control": "sc",
        "auth": "key id, agent, password",
        "user": "",
        "password": named,
        "protection": "host key, verified by /known",
    }
    assert [row["host"] for row in inventory_view.rows(INVENTORY, CONNECTIONS, ["c", "a"])] == ["c", "a"]


@pytest.mark.parametrize(
    ("ssh", "verify", "said"),
    [
        (Ssh(), True, ("agent", "host key, verified")),
        (Ssh(agent=False), False, ("keys of ~/.ssh", "host key NOT verified")),
        (Ssh(key_file="id", certificate_file="c", agent=False), True, ("certificate, key id", "host key, verified")),
    ],
)
def test_what_ssh_offers_and_what_it_trusts(ssh: Ssh, verify: bool, said: tuple[str, str]) -> None:
    way = Connection(host="a", address="a", port=22, transport=Transport.SSH, verify=verify, ssh=ssh)
    (row,) = inventory_view.rows(INVENTORY, {"a": (way,)}, ["a"])
    (shown,) = json.loads(json.dumps(row["ways"]))
    assert (shown["auth"], shown["protection"]) == said


def test_tables_take_no_markup() -> None:
    text = drawn(inventory_view.table(inventory_view.rows(INVENTORY, CONNECTIONS)))
    assert "[red]svc[/red]" in text
    assert "psrp https [fe80::1]:5986" in text
    assert "hunter2" not in text


def test_each_way_has_a_line_and_its_host_is_named_once() -> None:
    lines = drawn(inventory_view.table(inventory_view.rows(INVENTORY, CONNECTIONS, ["d"]))).splitlines()
    (first,) = [line for line in lines if "ssh d:2222" in line]
    (second,) = [line for line in lines if "psrp https d:5986" in line]
    assert first.startswith(" d ")
    assert second.startswith("   ")


def test_groups() -> None:
    shown = inventory_view.groups(INVENTORY)
    assert shown[1] == {"group": "web", "children": [], "hosts": list(HOSTS)}
    assert "web" in drawn(inventory_view.group_table(shown))


def test_nothing_of_an_inventory_moves_the_cursor() -> None:
    user = "a\x9b31m\u202e\x1b]0;title\x07b"
    ways = {"a": (Connection(host="a", address="a", port=5986, user=user),)}
    shown = drawn(inventory_view.table(inventory_view.rows(INVENTORY, ways, ["a"])))
    assert "a\\u202eb" in shown
    assert not {"\x9b", "\x1b", "\u202e", "\x07"} & set(shown)
