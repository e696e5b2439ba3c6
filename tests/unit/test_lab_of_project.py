"""The lab's fleet as it is made of a project: every host by all its ways, and who is let in."""

from dataclasses import replace
from typing import Any

import pytest
from drafts import draft, entry

from orchestrator.domain.connection import Connection, Ssh, Transport
from orchestrator.domain.errors import BadInput
from orchestrator.domain.gates import Gate, Origin, TcpCheck
from orchestrator.domain.lab_fleet import lab_fleet
from orchestrator.domain.secrets import Secret
from orchestrator.lab.fleet import parse

SSH, PSRP = Transport.SSH, Transport.PSRP
GATE = Gate(check=TcpCheck(host="127.1.0.1", port=2222), origin=Origin.CONTROLLER)
SHOP = draft(entry("sql", "db-01", of_instance={"ready": (GATE,)}), entry("web", "app-01"))


def way(host: str, transport: Transport = PSRP, port: int = 5986, **more: Any) -> Connection:
    address = {"db-01": "127.1.0.1", "app-01": "127.1.0.2"}[host]
    return Connection(host=host, address=address, port=port, transport=transport, **more)


def made(connections: dict[str, tuple[Connection, ...]]) -> dict[str, Any]:
    fleet: dict[str, Any] = lab_fleet(SHOP, connections, str.upper, lambda key: f"ssh-ed25519 {key}", folder="/lab")
    return fleet


def test_without_ssh_there_is_none() -> None:
    fleet = made({"db-01": (way("db-01", password=Secret("pw")),), "app-01": (way("app-01", port=5985, https=False),)})
    assert (fleet["transports"], fleet["users"], fleet["authorized_keys"]) == (["http", "https"], {"admin": "PW"}, [])
    assert [{name: host[name] for name in host if name.endswith("_port")} for host in fleet["hosts"]] == [
        {"https_port": 5986},
        {"http_port": 5985},
    ]
    parse(fleet)


def test_hosts_are_served_by_all_their_ways_and_keys_are_let_in_once() -> None:
    key = {"ssh": Ssh(key_file="~/id"), "user": "svc"}
    fleet = made(
        {
            "db-01": (way("db-01", password=Secret("pw"), user="me"),),
            "app-01": (way("app-01", SSH, 2022, **key), way("app-01", PSRP, 15986, user="you", password=Secret("q"))),
        }
    )
    assert fleet["transports"] == ["http", "https", "ssh"]
    assert fleet["users"] == {"me": "PW", "you": "Q"}
    assert fleet["authorized_keys"] == ["ssh-ed25519 ~/id"]
    db, app = fleet["hosts"]
    assert (db["https_port"], db["ssh_port"]) == (5986, 2223)  # 2222 is a gate's
    assert (app["https_port"], app["ssh_port"]) == (15986, 2022)
    parse({**fleet, "authorized_keys": []})


def test_a_host_has_one_address() -> None:
    elsewhere = replace(way("db-01", SSH, 2022), address="127.1.0.9")
    with pytest.raises(BadInput, match=r"db-01 has the addresses 127\.1\.0\.1 and 127\.1\.0\.9") as caught:
        made({"db-01": (way("db-01"), elsewhere)})
    assert "ansible_host" in caught.value.hint


def test_keys_alone_let_in_too() -> None:
    fleet = made({name: (way(name, SSH, 2022, ssh=Ssh(key_file="id")),) for name in ("db-01", "app-01")})
    assert fleet["users"] == {}
    assert parse({**fleet, "authorized_keys": ["ssh-ed25519 AAAA"]}).users == {}
