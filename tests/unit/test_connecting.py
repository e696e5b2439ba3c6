"""How a host is reached: Ansible's defaults, typed values, and what is not supported refused by name."""

from collections.abc import Mapping
from functools import partial

import pytest

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.connection import Auth, Connection, Transport
from orchestrator.domain.errors import Gathered, Mistakes
from orchestrator.domain.inventory.connecting import connect
from orchestrator.domain.inventory.connection_variables import IGNORED, KNOWN, REFUSED
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.inventory.rendering import Rendered
from orchestrator.domain.secrets import Secret, SecretRef, embed


def inventory(variables: str) -> Inventory:
    """One host, `web-01.shop`, with *variables* in flow style, in line 2."""
    text = f"all: {{ hosts: {{ web-01.shop: {{\n{variables}\n}} }} }}\n"
    return merge(declare(yaml_nodes.parse(text.encode(), "inv/lab.yaml")), {}, {})


def ways(variables: str) -> tuple[Connection, ...]:
    return connect(Rendered(inventory(variables).hosts["web-01.shop"], Renderer()))


def reached(variables: str) -> Connection:
    """The one way to a host."""
    (made,) = ways(variables)
    return made


def wrong(variables: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        ways(variables)
    return [str(one).replace("\n    ", " | ") for one in caught.value.mistakes]


def test_nothing_said_is_https_with_negotiate() -> None:
    assert reached("") == Connection(
        host="web-01.shop", address="web-01.shop", port=5986, https=True, auth=Auth.NEGOTIATE, negotiate_service="WSMAN"
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("ansible_port: 5985", {"https": False, "port": 5985}),
        ("ansible_psrp_protocol: http", {"https": False, "port": 5985}),
        ("ansible_psrp_protocol: https, ansible_port: 5985", {"https": True, "port": 5985}),
        ("ansible_port: '15986'", {"https": True, "port": 15986}),
        ("ansible_host: a, ansible_psrp_host: b", {"address": "b"}),
        ("ansible_host: 'fe80::1'", {"address": "fe80::1"}),
        ("ansible_user: a, ansible_psrp_user: b", {"user": "b"}),
        ("ansible_password: x, ansible_winrm_password: y", {"password": Secret("y"), "auth": Auth.NEGOTIATE}),
        ("ansible_psrp_auth: KERBEROS", {"auth": Auth.KERBEROS}),
        ("ansible_psrp_cert_validation: ignore", {"verify": False}),
        ("ansible_psrp_ca_cert: ca.pem", {"ca": "inv/ca.pem"}),
        ("ansible_psrp_ca_cert: /etc/ca.pem", {"ca": "/etc/ca.pem"}),
        ("ansible_psrp_message_encryption: always", {"encryption": "always"}),
        ("ansible_psrp_configuration_name: Jea", {"configuration_name": "Jea"}),
        ("ansible_psrp_path: /wsman/x", {"path": "wsman/x"}),
        ("ansible_psrp_connection_timeout: 5, ansible_psrp_read_timeout: 2m", {"connection_timeout_s": 5.0}),
        ("ansible_psrp_negotiate_delegate: 'yes'", {"negotiate_delegate": True}),
        (
            "ansible_psrp_protocol: http, ansible_psrp_auth: basic, ansible_psrp_message_encryption: never",
            {"auth": Auth.BASIC, "https": False},
        ),
        ("ansible_connection: ssh, ansible_ssh_user: a", {"transport": Transport.SSH, "port": 22, "user": "a"}),
        ("ansible_connection: winrm", {"auth": Auth.BASIC, "https": True, "port": 5986}),
        ("ansible_connection: winrm, ansible_user: a@b", {"auth": Auth.KERBEROS}),
        ("ansible_winrm_transport: ntlm, ansible_port: 5985", {"auth": Auth.NTLM, "https": False}),
        ("ansible_winrm_transport: 'kerberos,ntlm'", {"auth": Auth.NEGOTIATE}),
        (
            "ansible_winrm_transport: [ssl], ansible_winrm_cert_pem: c, ansible_winrm_cert_key_pem: k",
            {"auth": Auth.CERTIFICATE, "certificate_pem": "inv/c", "certificate_key_pem": "inv/k"},
        ),
        ("ansible_winrm_server_cert_validation: ignore", {"verify": False}),
        ("ansible_connection: psrp, ansible_winrm_transport: kerberos", {"auth": Auth.NEGOTIATE}),
        ("ansible_python_interpreter: py, ansible_shell_type: powershell, ansible_psrp_ignore_proxy: true", {}),
    ],
)
def test_what_the_variables_say(variables: str, expected: Mapping[str, object]) -> None:
    made = reached(variables)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            "ansible_port: 70000",
            "inv/lab.yaml:2:15: ansible_port: 70000 is no port | a port is a number from 1 to 65535",
        ),
        ("ansible_port: true", "is no port"),
        ("ansible_psrp_auth: negociate", "'negociate' is not known | the nearest known one is negotiate"),
        ("ansible_connection: local", "'local' is not known | known: psrp, winrm, ssh"),
        ("ansible_psrp_cert_validation: no", "is not known | known: validate, ignore"),
        ("ansible_host: 'web 01'", "'web 01' is no address"),
        ("ansible_host: web..01", "'web..01' is no address | a host name or an IP address"),
        (f"ansible_host: {64 * 'w'}", f"'{57 * 'w'}...' is no address"),
        (f"ansible_host: {61 * 'ü'}", f"'{57 * 'ü'}...' is no address"),
        ("ansible_host: 'web:80'", "'web:80' is no address"),
        ("ansible_user: [a]", "ansible_user is ['a'] | a text"),
        ("ansible_password: 0123", "ansible_password is not text for YAML | put it in quotes"),
        ("ansible_psrp_negotiate_delegate: maybe", "neither true nor false"),
        ("ansible_psrp_read_timeout: soon", "'soon' is no duration"),
        ("ansible_psrp_connection_timeout: 0", "too short"),
        ("ansible_psrp_operation_timeout: 40", "the read timeout (30 s) is not longer than the operation timeout"),
        ("ansible_port: 5985, ansible_psrp_auth: basic", "in clear | write ansible_psrp_protocol: https"),
        ("ansible_connection: winrm, ansible_port: 5985", "in clear | write ansible_winrm_scheme: https"),
        ("ansible_psrp_auth: certificate", "without a certificate and its key"),
        ("ansible_psrp_auth: basic, ansible_psrp_message_encryption: always", "has no message encryption"),
        ("ansible_winrm_transport: [ntlm, basic]", "basic, ntlm: several transports"),
        ("ansible_hots: x", "ansible_hots is not supported | the nearest known one is ansible_host"),
        ("ansible_become: true", "ansible_become is not supported | connect as a user who may control the services"),
        ("ansible_become_user: x", "ansible_become_user is not supported | connect as"),
        ("ansible_winrm_kinit_cmd: x", "ansible_winrm_kinit_cmd is not supported | take a ticket with kinit"),
        ("ansible_psrp_password: x", "ansible_psrp_password is not supported | write `ansible_password`"),
        ("ansible_user: \"{{ secret('env:X') }}\"", "ansible_user can't hold a secret"),
        ("ansible_user: '{{ nope }}'", "'nope' is undefined"),
        ("ansible_user: '{{ a }}', a: '{{ b }}', b: '{{ a }}'", "variables need each other in a circle: a -> b -> a"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(variables: str, said: str) -> None:
    (message,) = wrong(variables)
    assert said in message
    assert message.startswith("inv/lab.yaml:2:")


def test_all_mistakes_of_a_host_at_once() -> None:
    assert len(wrong("ansible_port: x, ansible_become: true, ansible_psrp_auth: y, ansible_host: 'a b'")) == 4


def test_a_mistake_that_hosts_share_is_told_once() -> None:
    text = "web: { hosts: { 'w[1:50]': }, vars: { ansible_port: 0, ansible_user: '{{ no }}' } }\n"
    hosts = merge(declare(yaml_nodes.parse(text.encode(), "i")), {}, {}).hosts
    gathered = Gathered()
    for host in hosts.values():
        gathered.value(partial(connect, Rendered(host, Renderer())))
    with pytest.raises(Mistakes) as caught:
        gathered.check()
    assert len(caught.value.mistakes) == 2


def test_a_thousand_unsupported_variables_are_refused_soon() -> None:
    variables = ", ".join(f"ansible_{number}{'x' * 200}: 1" for number in range(1_000))
    assert len(wrong(variables)) == 50


def test_variables_that_refer_to_others_are_rendered_in_turn() -> None:
    made = reached(
        "ansible_host: '{{ short }}.{{ domain }}', short: '{{ inventory_hostname_short }}',"
        " domain: '{{ tier.name }}.org', tier: { name: '{{ env }}' }, env: prod, broken: '{{ nowhere }}',"
        " ansible_port: '{{ port }}', port: 5985"
    )
    assert (made.address, made.port, made.https) == ("web-01.prod.org", 5985, False)


def test_a_secret_stays_a_reference() -> None:
    made = reached("ansible_password: \"{{ secret('env:PW') }}\", ansible_psrp_auth: ntlm")
    assert made.password == Secret(embed(SecretRef("env", "PW")))
    assert "PW" not in repr(made)


def test_rendered_variables_as_a_mapping() -> None:
    names = Rendered(inventory("a: '{{ b }}', b: [1, '{{ c }}'], c: x").hosts["web-01.shop"], Renderer())
    assert dict(names) == {
        "a": [1, "x"],
        "b": [1, "x"],
        "c": "x",
        "inventory_hostname": "web-01.shop",
        "inventory_hostname_short": "web-01",
        "group_names": ["ungrouped"],
    }
    assert len(names) == 6


def test_no_name_is_both_known_and_refused() -> None:
    assert not KNOWN & IGNORED.keys()
    assert not (KNOWN | IGNORED.keys()) & REFUSED.keys()
