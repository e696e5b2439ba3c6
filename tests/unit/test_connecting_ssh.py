"""How a host is reached by SSH, and by several ways: every variable, every argument, every refusal."""

from collections.abc import Mapping

import pytest

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.connection import Auth, Connection, ControlBy, Jump, Ssh, Transport
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.inventory.connecting import connect
from orchestrator.domain.inventory.connection_variables import IGNORED, REFUSED, SSH, SSH_ARGUMENTS
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.inventory.rendering import Rendered
from orchestrator.domain.inventory.ssh_arguments import INSTEAD, OPTIONS, WITHOUT_EFFECT
from orchestrator.domain.secrets import Secret, SecretRef, embed


def ways(variables: str) -> tuple[Connection, ...]:
    """The ways to one host, with *variables* in flow style, in line 2."""
    text = f"all: {{ hosts: {{ app-01: {{\n{variables}\n}} }} }}\n"
    hosts = merge(declare(yaml_nodes.parse(text.encode(), "inv/lab.yaml")), {}, {}).hosts
    return connect(Rendered(hosts["app-01"], Renderer()))


def by_ssh(variables: str) -> Connection:
    (made,) = ways(f"ansible_connection: ssh, {variables}")
    return made


def arguments(text: str, variable: str = "ansible_ssh_common_args") -> Connection:
    return by_ssh(f"{variable}: '{text}'")


def wrong(variables: str) -> str:
    """The one mistake."""
    with pytest.raises(Mistakes) as caught:
        ways(variables)
    (mistake,) = caught.value.mistakes
    return str(mistake).replace("\n    ", " | ")


def test_nothing_said_is_port_22_with_host_keys_checked_and_an_agent_asked() -> None:
    made = by_ssh("")
    assert made == Connection(host="app-01", address="app-01", port=22, transport=Transport.SSH, ssh=Ssh())
    assert (made.verify, made.ssh.agent, made.ssh.keepalive_s, made.connection_timeout_s) == (True, True, 15.0, 15.0)


SAID: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("ansible_host: a, ansible_ssh_host: b", {"address": "b"}),
    ("ansible_host: 'fe80::1'", {"address": "fe80::1"}),
    ("ansible_port: 2222", {"port": 2222}),
    ("ansible_port: 2222, ansible_ssh_port: '2223'", {"port": 2223}),
    ("ansible_psrp_port: 5985", {"port": 22}),
    ("ansible_user: a", {"user": "a"}),
    ("ansible_user: a, ansible_ssh_user: 'CORP\\b'", {"user": "CORP\\b"}),
    ("ansible_password: x", {"password": Secret("x")}),
    ("ansible_password: x, ansible_ssh_pass: y", {"password": Secret("y")}),
    ("ansible_ssh_pass: y, ansible_ssh_password: z", {"password": Secret("z")}),
    ("ansible_winrm_password: z", {"password": None}),
    ("ansible_host_key_checking: false", {"verify": False}),
    ("ansible_ssh_host_key_checking: 'no'", {"verify": False}),
    ("ansible_ssh_timeout: 5", {"connection_timeout_s": 5.0}),
    ("orch_control: sc", {"control": ControlBy.SC}),
    ("orch_control: powershell", {"control": ControlBy.POWERSHELL}),
)


@pytest.mark.parametrize(("variables", "expected"), SAID, ids=[variables for variables, _ in SAID])
def test_what_the_variables_say(variables: str, expected: Mapping[str, object]) -> None:
    made = by_ssh(variables)
    assert {name: getattr(made, name) for name in expected} == expected


KEYS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("ansible_ssh_private_key_file: id", {"key_file": "inv/id"}),
    ("ansible_private_key_file: ~/.ssh/id", {"key_file": "~/.ssh/id"}),
    ("ansible_private_key_file: /a, ansible_ssh_private_key_file: /b", {"key_file": "/b"}),
    ("ansible_ssh_private_key_passphrase: x", {"passphrase": Secret("x")}),
    (
        "ansible_private_key_passphrase: \"{{ secret('env:K') }}\"",
        {"passphrase": Secret(embed(SecretRef("env", "K")))},
    ),
)


@pytest.mark.parametrize(("variables", "expected"), KEYS, ids=[variables for variables, _ in KEYS])
def test_keys(variables: str, expected: Mapping[str, object]) -> None:
    made = by_ssh(variables).ssh
    assert {name: getattr(made, name) for name in expected} == expected


ARGUMENTS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("-J gate", {"jumps": (Jump(address="gate"),)}),
    ("-Jme@gate:2222", {"jumps": (Jump(address="gate", port=2222, user="me"),)}),
    (
        "-o ProxyJump=a@b@one,[fe80::1]:22",
        {"jumps": (Jump(address="one", user="a@b"), Jump(address="fe80::1", port=22))},
    ),
    ('-o "proxyjump ssh://u@one:22"', {"jumps": (Jump(address="one", user="u", port=22),)}),
    ("-o ProxyJump=none", {"jumps": ()}),
    ("-J first -o ProxyJump=second", {"jumps": (Jump(address="first"),)}),
    ("-i id", {"key_file": "inv/id"}),
    ("-oIdentityFile=/id", {"key_file": "/id"}),
    ("-o CertificateFile=~/id-cert.pub", {"certificate_file": "~/id-cert.pub"}),
    ("-o UserKnownHostsFile=hosts", {"known_hosts": ("inv/hosts",)}),
    ('-o "UserKnownHostsFile=/a ~/b"', {"known_hosts": ("/a", "~/b")}),
    ("-o UserKnownHostsFile=/dev/null", {"known_hosts": ("/dev/null",)}),
    ("-F none", {"config": "none"}),
    ("-F ssh.config", {"config": "inv/ssh.config"}),
    ("-o IdentitiesOnly=yes", {"agent": False}),
    ("-o IdentitiesOnly=no", {"agent": True}),
    ("-o IdentityAgent=none", {"agent": False}),
    ("-o IdentityAgent=SSH_AUTH_SOCK", {"agent": True}),
    ("-o ServerAliveInterval=30", {"keepalive_s": 30.0}),
    ("-o ServerAliveInterval=1m", {"keepalive_s": 60.0}),
    ("-o ServerAliveInterval=0", {"keepalive_s": 0.0}),
    ("-C -q -T -o ControlMaster=auto -o ControlPersist=60s -o loglevel=ERROR", {"jumps": ()}),
    ("", {"jumps": ()}),
)


@pytest.mark.parametrize(("text", "expected"), ARGUMENTS, ids=[text for text, _ in ARGUMENTS])
def test_what_the_arguments_say(text: str, expected: Mapping[str, object]) -> None:
    made = arguments(text).ssh
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-o StrictHostKeyChecking=no", {"verify": False}),
        ("-o StrictHostKeyChecking=off", {"verify": False}),
        ("-o StrictHostKeyChecking=ask", {"verify": True}),
        ("-o StrictHostKeyChecking=yes", {"verify": True}),
        ("-o ConnectTimeout=3", {"connection_timeout_s": 3.0}),
    ],
)
def test_arguments_beside_the_ssh_settings(text: str, expected: Mapping[str, object]) -> None:
    made = arguments(text)
    assert {name: getattr(made, name) for name in expected} == expected


def test_every_argument_is_tried_above() -> None:
    tried = " ".join(text for text, _ in ARGUMENTS).lower() + " stricthostkeychecking connecttimeout"
    assert [name for name in OPTIONS if name.lower() not in tried] == []


@pytest.mark.parametrize("variable", SSH_ARGUMENTS)
def test_all_variables_that_hold_arguments_are_read(variable: str) -> None:
    assert arguments("-J gate", variable).ssh.jumps == (Jump(address="gate"),)


def test_what_is_said_first_counts_and_a_variable_before_any_argument() -> None:
    made = by_ssh(
        "ansible_ssh_args: '-o ServerAliveInterval=1', ansible_ssh_extra_args: '-o ServerAliveInterval=3 -J gate',"
        " ansible_ssh_common_args: '-o ServerAliveInterval=2 -o ConnectTimeout=9 -o StrictHostKeyChecking=no',"
        " ansible_ssh_timeout: 4, ansible_host_key_checking: true"
    )
    assert (made.ssh.keepalive_s, made.connection_timeout_s, made.verify) == (1.0, 4.0, True)
    assert made.ssh.jumps == (Jump(address="gate"),)


@pytest.mark.parametrize("option", WITHOUT_EFFECT)
def test_options_that_are_accepted_without_effect(option: str) -> None:
    assert arguments(f"-o {option}=x") == by_ssh("")


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_variables_that_are_accepted_without_effect(name: str) -> None:
    if name != "ansible_connection":
        assert by_ssh(f"{name}: x") == by_ssh("")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_variables_that_are_refused(name: str) -> None:
    assert f"{name} is not supported | {REFUSED[name]}" in wrong(f"ansible_connection: ssh, {name}: x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-o ProxyCommand=x", "ProxyCommand is not supported | write ProxyJump: orch starts no program in between"),
        ("-o Port=1", "Port is not supported | write ansible_port"),
        ("-p 22", "-p is not supported | write ansible_port"),
        ("-l me", "-l is not supported | write ansible_user"),
        ("-L 80:a:80 more", "-L is not supported | known: CertificateFile, ConnectTimeout"),
        ("-o ProxyJmp=x", "ProxyJmp is not supported | the nearest known one is ProxyJump"),
        ("-o ProxyJump", "ProxyJump says nothing | write ProxyJump=VALUE"),
        ("-J", "-J says nothing | write -J and a value"),
        ("-J 'a b'", "is no jump host | write [USER@]HOST[:PORT]"),
        ("-J a..b", "'a..b' is no jump host"),
        ("-J a:99999", "'a:99999' is no jump host"),
        ("-J a,", "'' is no jump host"),
        ("-o StrictHostKeyChecking=accept-new", "'accept-new' is not known | orch writes no known_hosts"),
        ("-o IdentitiesOnly=maybe", "'maybe' is not known | known: yes, no"),
        ("-o IdentityAgent=/run/x", "'/run/x' is not known | known: none, ssh_auth_sock"),
        ("-o ServerAliveInterval=soon", "'soon' is no duration"),
        ("-i %d/id", "tokens are not replaced | write the path out"),
        ("-o UserKnownHostsFile=none", "'none' is no file | leave it out, or write /dev/null"),
        ("-o 'IdentityFile=a", "a quote is not closed"),
        ("-i a -o IdentityFile=b", "IdentityFile: a and b: more than one | name one; an agent may hold more"),
    ],
)
def test_arguments_that_are_refused(text: str, said: str) -> None:
    doubled = text.replace("'", "''")
    message = wrong(f"ansible_connection: ssh, ansible_ssh_common_args: '{doubled}'")
    assert said in message
    assert message.startswith("inv/lab.yaml:2:")
    assert "ansible_ssh_common_args" in message


def test_every_other_way_to_write_it_is_told() -> None:
    for option, right in INSTEAD.items():
        text = f"{option} x" if option.startswith("-") else f"-o {option}=x"
        assert right in wrong(f"ansible_connection: ssh, ansible_ssh_extra_args: '{text}'")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            "ansible_ssh_common_args: -i a, ansible_ssh_private_key_file: b",
            "IdentityFile: inv/a and inv/b: more than one",
        ),
        ("ansible_ssh_user: \"{{ secret('env:X') }}\"", "ansible_ssh_user can't hold a secret"),
        ("ansible_ssh_private_key_passphrase: 123", "is not text for YAML"),
        ("ansible_ssh_timeout: 0", "is too short"),
        ("ansible_ssh_port: x", "ansible_ssh_port: 'x' is no port"),
        ("ansible_ssh_host_key_checking: maybe", "neither true nor false"),
        ("ansible_ssh_prot: 22", "ansible_ssh_prot is not supported | the nearest known one is ansible_ssh_port"),
        ("orch_control: scm", "'scm' is not known | the nearest known one is sc"),
        ("orch_transport: ssh", "orch_transport is not supported | the nearest known one is orch_transports"),
        ("orch_transports: [ssh, ftp]", "'ftp' is not known | known: psrp, winrm, ssh"),
        ("orch_transports: [ssh, psrp, ssh]", "names a transport twice | each once; winrm is psrp"),
        ("orch_transports: [winrm, psrp]", "names a transport twice"),
        ("orch_transports: []", "names no transport | psrp, ssh, or both in the order in which they are tried"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(variables: str, said: str) -> None:
    message = wrong(f"ansible_connection: ssh, {variables}")
    assert said in message
    assert message.startswith("inv/lab.yaml:2:")


def test_every_name_of_the_table_is_tried_above() -> None:
    tried = " ".join(variables for variables, _ in (*SAID, *KEYS))
    assert [name for names in SSH for name in names if name not in tried] == []


def told(variables: str) -> list[tuple[str, int]]:
    return [(str(way.transport), way.port) for way in ways(variables)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("orch_transports: ssh", [("ssh", 22)]),
        ("orch_transports: [psrp, ssh]", [("psrp", 5986), ("ssh", 22)]),
        ("orch_transports: 'ssh, psrp'", [("ssh", 22), ("psrp", 5986)]),
        ("orch_transports: [psrp, ssh], ansible_port: 5985", [("psrp", 5985), ("ssh", 22)]),
        ("orch_transports: [ssh, psrp], ansible_port: 2222", [("ssh", 2222), ("psrp", 5986)]),
        ("orch_transports: [ssh, psrp], ansible_port: 5985, ansible_connection: psrp", [("ssh", 22), ("psrp", 5985)]),
        ("orch_transports: [psrp, ssh], ansible_psrp_port: 1, ansible_ssh_port: 2", [("psrp", 1), ("ssh", 2)]),
        ("orch_transports: psrp, ansible_connection: ssh, ansible_port: 2222", [("psrp", 5986)]),
    ],
)
def test_the_port_belongs_to_the_way_that_ansible_connection_names(
    variables: str, expected: list[tuple[str, int]]
) -> None:
    assert told(variables) == expected


def test_of_two_ways_each_has_its_own_names_and_shares_the_others() -> None:
    psrp, ssh = ways(
        "orch_transports: [psrp, ssh], orch_control: sc, ansible_host: h, ansible_user: u, ansible_password: p,"
        " ansible_ssh_host: s, ansible_ssh_user: v, ansible_ssh_pass: q, ansible_psrp_auth: ntlm"
    )
    assert (psrp.address, psrp.user, psrp.password, psrp.auth) == ("h", "u", Secret("p"), Auth.NTLM)
    assert (ssh.address, ssh.user, ssh.password, ssh.control) == ("s", "v", Secret("q"), ControlBy.SC)
    assert psrp.control is ControlBy.SC


@pytest.mark.parametrize("words", ["[winrm, ssh]", "[psrp, ssh]"])
def test_the_words_of_winrm_count_for_its_way(words: str) -> None:
    remoting, _ = ways(f"orch_transports: {words}, ansible_winrm_scheme: http, ansible_winrm_transport: ntlm")
    assert (remoting.https, remoting.auth, remoting.port) == (False, Auth.NTLM, 5985)


def test_arguments_of_ssh_are_nobodys_business_under_another_transport() -> None:
    assert ways("ansible_ssh_args: --frobnicate, ansible_ssh_port: x") == ways("")
