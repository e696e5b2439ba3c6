"""Fleet descriptions: defaults, and every mistake named with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab.fleet import BadFleet, fits_unix_socket, load, parse


def fleet(**host: Any) -> dict[str, Any]:
    return {"dir": "/tmp/x", "hosts": [{"name": "db-01", "address": "127.7.0.1", **host}]}


def test_only_names_addresses_and_services_are_needed() -> None:
    parsed = parse(fleet(services=[{"name": "A", "ports": [{"port": 80, "speaks": "http"}]}]))
    (host,) = parsed.hosts
    (service,) = host.services
    assert (parsed.transports, host.http_port, host.https_port, host.max_shells) == (("http",), 5985, 5986, 30)
    assert (service.state, service.start_type, service.display_name, service.can_stop) == (
        "Running", "Automatic", "A", True
    )  # fmt: skip
    assert (service.ports[0].path, service.ports[0].status) == ("/", 200)


def test_ssh_takes_its_own_fields_and_its_port_only_where_it_is_spoken() -> None:
    assert parse({**fleet(), "users": {}, "authorized_keys": ["x"]}).authorized_keys == ("x",)
    (host,) = parse(fleet(services=[{"name": "A", "ports": [{"port": 22}]}])).hosts
    assert (host.ssh_port, host.default_shell, host.banner, host.max_sessions) == (22, "cmd", "", 10)
    with pytest.raises(BadFleet, match="two listeners want port 22"):
        parse({**fleet(services=[{"name": "A", "ports": [{"port": 22}]}]), "transports": ["ssh"]})


MISTAKES = [
    ([], "fleet: expected an object"),
    ({"hosts": []}, "fleet.dir: is missing"),
    ({"dir": "/tmp/x"}, "fleet.hosts: expected at least one host"),
    ({"dir": "/tmp/x", "hosts": 3}, "fleet.hosts: expected a list"),
    ({**fleet(), "hots": 1}, "fleet: unknown field 'hots'"),
    ({**fleet(), "users": {"a:b": "x"}}, "fleet.users: expected a mapping"),
    ({**fleet(), "users": {}}, "fleet.users: "),
    ({**fleet(), "authorized_keys": "ssh-ed25519 AAAA"}, "fleet.authorized_keys: expected a list of texts"),
    ({**fleet(), "transports": ["rsh"]}, "'rsh' is not one of http, https, ssh"),
    (fleet(address="10.0.0.1"), "'10.0.0.1' is not an address of 127.0.0.0/8"),
    (fleet(address="nonsense"), "hosts[0].address"),
    (fleet(http_port=0), "hosts[0].http_port: 0 is no TCP port"),
    (fleet(http_port=5986), "two listeners want port 5986"),
    (fleet(language="es"), "hosts[0].language: 'es' is not one of en, de, fr"),
    (fleet(services=[{"name": "A"}, {"name": "a"}]), "two services are named a"),
    (fleet(services=[{"name": "a/b"}]), "is no service name"),
    (fleet(services=[{"name": "A", "start_s": -1}]), "hosts[0].services[0].start_s: expected seconds"),
    (fleet(services=[{"name": "A", "can_stop": 1}]), "hosts[0].services[0].can_stop: expected true or false"),
    (fleet(services=[{"name": "A", "state": "running"}]), "hosts[0].services[0].state: 'running' is not one of"),
    (fleet(services=[{"name": "A", "requires": ["B"]}]), "requires 'B', which is not on this host"),
    (
        fleet(services=[{"name": "A", "requires": ["B"]}, {"name": "B", "requires": ["A"]}]),
        "in a circle: a -> b -> a",
    ),
    (fleet(services=[{"name": "A", "ports": [{"port": 1}, {"port": 1}]}]), "two listeners want port 1"),
    (fleet(services=[{"name": "A", "ports": [{}]}]), "hosts[0].services[0].ports[0].port"),
    (fleet(ssh_port=70000), "hosts[0].ssh_port: 70000 is no TCP port"),
    ({**fleet(ssh_port=5985), "transports": ["ssh"]}, "hosts[0]: two listeners want port 5985"),
    (fleet(default_shell="bash"), "hosts[0].default_shell: 'bash' is not one of cmd, powershell, sh"),
    (fleet(banner=3), "hosts[0].banner: expected text"),
    (fleet(max_sessions=-1), "hosts[0].max_sessions: must not be negative"),
    (fleet(services=[{"name": "A", "cluster_role": "Sales"}]), "service A has a cluster_role, but there is no ClusSvc"),
    (fleet(services=[{"name": "A", "triggers": ["start/fullmoon"]}]), "services[0].triggers: 'start/fullmoon' is not"),
    (
        fleet(services=[{"name": "A", "recovery": {"actions": [{"do": "weep"}]}}]),
        "services[0].recovery.actions[0].do: 'weep' is not one of",
    ),
    (fleet(services=[{"name": "A", "recovery": {"reset": 1}}]), "services[0].recovery: unknown field 'reset'"),
    (
        fleet(services=[{"name": "A", "ports": [{"port": 99, "by_child": True}]}]),
        "port 99 is of a child, but the service has no children",
    ),
]


@pytest.mark.parametrize(("raw", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_is_named_with_its_place(raw: object, said: str) -> None:
    with pytest.raises(BadFleet) as caught:
        parse(raw)
    assert said in str(caught.value)


def test_two_hosts_can_not_share_an_address_or_a_name() -> None:
    twice = {"dir": "/x", "hosts": [{"name": "a", "address": "127.1.1.1"}, {"name": "b", "address": "127.1.1.1"}]}
    with pytest.raises(BadFleet, match=r"two hosts have the address 127\.1\.1\.1"):
        parse(twice)


@pytest.mark.parametrize("text", ["{", "\x00", '{"a": '])
def test_a_file_that_is_no_json_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text)
    with pytest.raises(BadFleet, match=r"fleet\.json: is no JSON"):
        load(path)


def test_a_file_that_is_not_there_and_one_that_is_fine(tmp_path: Path) -> None:
    with pytest.raises(BadFleet, match="can't be read"):
        load(tmp_path / "nothing.json")
    (tmp_path / "fleet.json").write_text(json.dumps(fleet()))
    assert load(tmp_path / "fleet.json").hosts[0].name == "db-01"


def test_unix_socket_paths_are_short() -> None:
    assert fits_unix_socket(Path("/" + "a" * 106))
    assert not fits_unix_socket(Path("/" + "a" * 107))
