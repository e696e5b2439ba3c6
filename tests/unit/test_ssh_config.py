"""Where a connection leads, by the inventory and by the user's SSH configuration."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ssh.config import Configurations, Target
from orchestrator.adapters.ssh.keys import KeyFile
from orchestrator.domain.connection import Connection, Jump, Ssh, Transport
from orchestrator.domain.errors import HostError
from orchestrator.domain.secrets import Secret


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "me")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    return tmp_path


def target(home: Path, text: str, *, ssh: Ssh | None = None, **given: Any) -> Target:
    (home / ".ssh" / "config").write_text(text)
    settings = {"host": "h", "address": "web", "port": 22, "transport": Transport.SSH, **given}
    return Configurations().target(Connection(ssh=ssh or Ssh(), **settings))


def test_without_a_word_all_is_as_openssh_has_it(home: Path) -> None:
    found = target(home, "")
    assert (found.address, found.port, found.user, found.alias) == ("web", 22, "me", "")
    assert (found.verify, found.known_hosts, found.keys, found.jumps, found.proxy) == (True, (), (), (), "")
    assert found.agent == "/run/agent"


def test_a_configuration_is_read_for_the_name_that_is_written(home: Path) -> None:
    text = "Host web\n HostName 10.0.0.1\n Port 2222\n User svc\nHost 10.0.0.1\n User other\n"
    found = target(home, text)
    assert (found.address, found.port, found.user) == ("10.0.0.1", 2222, "svc")


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"port": 2022}, (2022, "svc")), ({"user": "inventory"}, (2222, "inventory")), ({}, (2222, "svc"))],
)
def test_the_inventory_counts_first(home: Path, given: dict[str, Any], expected: tuple[int, str]) -> None:
    found = target(home, "Host web\n Port 2222\n User svc\n", **given)
    assert (found.port, found.user) == expected


def test_one_of_its_own_or_none_may_be_named(home: Path) -> None:
    (home / "own").write_text("Host *\n User own\n")
    usual = "Host *\n User usual\n"
    assert target(home, usual).user == "usual"
    assert target(home, usual, ssh=Ssh(config=str(home / "own"))).user == "own"
    assert target(home, usual, ssh=Ssh(config="none")).user == "me"


def test_keys_come_with_their_certificates(home: Path) -> None:
    text = "Host web\n IdentityFile %d/a\n IdentityFile ~/b\n CertificateFile ~/a-cert\n"
    assert target(home, text).keys == (KeyFile(f"{home}/a", None, "~/a-cert"), KeyFile("~/b"))
    named = Ssh(key_file="k", passphrase=Secret("p"), certificate_file="c")
    assert target(home, text, ssh=named).keys == (KeyFile("k", Secret("p"), "c"),)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("", "/run/agent"),
        ("IdentityAgent none", ""),
        ("IdentityAgent SSH_AUTH_SOCK", "/run/agent"),
        ("IdentityAgent /other", "/other"),
        ("IdentityAgent $OTHER_AGENT", "/third"),
    ],
)
def test_the_agent(home: Path, monkeypatch: pytest.MonkeyPatch, said: str, path: str) -> None:
    monkeypatch.setenv("OTHER_AGENT", "/third")
    assert target(home, f"Host *\n {said}\n").agent == path
    assert target(home, f"Host *\n {said}\n", ssh=Ssh(agent=False)).agent == ""


@pytest.mark.parametrize(
    ("said", "jumps"),
    [
        ("none", ()),
        ("gate", (Jump(address="gate"),)),
        ("me@gate:2222", (Jump(address="gate", port=2222, user="me"),)),
        ("a,CORP\\\\b@c", (Jump(address="a"), Jump(address="c", user="CORP\\b"))),
        ("ssh://me@[fe80::1]:22/", (Jump(address="fe80::1", port=22, user="me"),)),
        ("fe80::1", (Jump(address="fe80::1"),)),
    ],
)
def test_jump_hosts(home: Path, said: str, jumps: tuple[Jump, ...]) -> None:
    assert target(home, f"Host *\n ProxyJump {said}\n").jumps == jumps
    own = (Jump(address="own"),)
    found = target(home, f"Host *\n ProxyJump {said}\n ProxyCommand nc %h %p\n", ssh=Ssh(jumps=own))
    assert (found.jumps, found.proxy) == (own, "")


@pytest.mark.parametrize(
    ("said", "files"),
    [
        ("", ()),
        ("UserKnownHostsFile a b", ("a", "b", "/etc/ssh/ssh_known_hosts")),
        ("UserKnownHostsFile none\n GlobalKnownHostsFile g", ("g",)),
        ("UserKnownHostsFile none\n GlobalKnownHostsFile none", ("/dev/null",)),
        ("GlobalKnownHostsFile g", ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "g")),
    ],
)
def test_known_hosts(home: Path, said: str, files: tuple[str, ...]) -> None:
    assert target(home, f"Host *\n {said}\n").known_hosts == files
    assert target(home, f"Host *\n {said}\n", ssh=Ssh(known_hosts=("mine",))).known_hosts == ("mine",)


@pytest.mark.parametrize(
    ("said", "verify"), [("yes", True), ("ask", True), ("accept-new", True), ("no", False), ("OFF", False)]
)
def test_whether_keys_are_checked(home: Path, said: str, verify: bool) -> None:
    assert target(home, f"Host *\n StrictHostKeyChecking {said}\n").verify is verify
    assert target(home, f"Host *\n StrictHostKeyChecking {said}\n", verify=False).verify is False


@pytest.mark.parametrize(
    ("address", "user"), [("h;touch x", ""), ("$(touch x)", ""), ("-oProxyCommand=x", ""), ("h", "a`b`"), ("h\nx", "")]
)
def test_an_inventory_puts_no_command_into_a_proxy_command(home: Path, address: str, user: str) -> None:
    text = "Host *\n Hostname %h\n ProxyCommand gate %h %r\n"
    with pytest.raises(HostError, match="ProxyCommand would hand") as raised:
        target(home, text, address=address, user=user)
    assert "ansible_host" in raised.value.hint
    assert target(home, text, address=address, user=user, ssh=Ssh(jumps=(Jump(address="own"),))).proxy == ""


def test_a_proxy_command_gets_a_windows_user_and_any_address(home: Path) -> None:
    text = "Host *\n ProxyCommand gate %h %p\n"
    assert target(home, text, address="fe80::1%eth0", user="CORP\\svc$").proxy == "gate fe80::1%eth0 22"


def test_a_file_is_read_once_for_each_host(home: Path) -> None:
    config = home / ".ssh" / "config"
    config.write_text("Host *\n User first\n")
    connection = Connection(host="h", address="web", port=22, transport=Transport.SSH)
    configurations = Configurations()
    assert configurations.reads(connection)
    assert configurations.target(connection).user == "first"
    config.write_text("Host *\n User second\n")
    assert not configurations.reads(connection)
    assert configurations.target(connection).user == "first"


def test_what_cannot_be_used_is_an_error_with_its_line(home: Path) -> None:
    with pytest.raises(HostError, match=r"config line 2: Invalid Port") as raised:
        target(home, "Host web\n Port x\n")
    assert "-F" in raised.value.hint
    assert not raised.value.sent
