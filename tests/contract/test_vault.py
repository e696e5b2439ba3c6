"""Ansible Vault: passwords of every kind, what is said without the right one, and that no plaintext shows anywhere."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from asking_ansible import encrypted

from orchestrator.adapters.documents.inventory_files import load
from orchestrator.adapters.secrets import SecretStore
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.adapters.vault import ENVIRONMENT, Vault
from orchestrator.domain.errors import Mistakes, SecretError
from orchestrator.domain.inventory.reach import Reach
from orchestrator.domain.secrets import Secret, VaultPassword, shown

RIGHT, OTHER = "correct horse", "battery staple"
PLAIN = "Tr0ub4dor-geheim"


@pytest.fixture(autouse=True)
def _no_password_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.chdir(tmp_path)


def inline(text: str, label: str = "default") -> str:
    """A `!vault` value of YAML, at four columns."""
    return "!vault |\n" + textwrap.indent(encrypted(text, RIGHT, label), "    ")


def typed(password: str, label: str = "default") -> VaultPassword:
    return VaultPassword(label=label, typed=Secret(password))


def written(name: str, text: str, *, mode: int = 0o644) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def revealed(vault: Vault, label: str = "default") -> str:
    """What an encrypted value is with *vault*."""
    path = written("hosts.yml", f"web:\n  hosts: {{ a: }}\n  vars:\n   pw: {inline(PLAIN, label)}\n")
    text = str(load(path, vault).hosts["a"].variables["pw"])
    assert shown(text) == "<secret vault:hosts.yml:4:8>"
    return SecretStore(vault=vault.reveal).reveal(text)


def test_a_file_holds_the_password() -> None:
    written("pw", RIGHT + "\n")
    assert revealed(Vault([VaultPassword(file="pw")])) == PLAIN


def test_a_program_prints_the_password() -> None:
    written("pw.sh", f"#!/bin/sh\necho '{RIGHT}'\n", mode=0o755)
    assert revealed(Vault([VaultPassword(file="pw.sh")])) == PLAIN


def test_a_client_program_is_told_the_vault_id() -> None:
    written("pw-client", f'#!/bin/sh\n[ "$*" = "--vault-id prod" ] && echo "{RIGHT}"\n', mode=0o755)
    assert revealed(Vault([VaultPassword(file="pw-client", label="prod")]), "prod") == PLAIN


def test_the_environment_names_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(written("pw", RIGHT)))
    assert revealed(Vault()) == PLAIN


def test_of_several_passwords_the_right_one_is_found() -> None:
    assert revealed(Vault([typed(OTHER), typed(RIGHT, "x")])) == PLAIN


def test_a_password_file_may_be_encrypted_with_an_earlier_password() -> None:
    written("pw", encrypted(RIGHT, OTHER))
    assert revealed(Vault([typed(OTHER), VaultPassword(file="pw")])) == PLAIN


@pytest.mark.parametrize(
    ("vault", "label", "said"),
    [
        (Vault(), "default", "hosts.yml:4:8 is encrypted with ansible-vault, and there is no password"),
        (
            Vault([typed(OTHER)]),
            "default",
            "hosts.yml:4:8 can't be decrypted: none of the vault passwords fits (default)",
        ),
        (Vault([typed(OTHER, "dev")]), "prod", "fits (dev); it was encrypted for the vault id 'prod'"),
        (Vault([VaultPassword(file="lost")]), "default", "no vault password from lost: The vault password file"),
        (Vault([VaultPassword(file="/dev/null")]), "default", "no vault password from /dev/null: "),
    ],
)
def test_without_the_right_password_the_place_and_the_way_out_are_told(vault: Vault, label: str, said: str) -> None:
    with pytest.raises(SecretError) as caught:
        revealed(vault, label)
    assert said in str(caught.value)
    assert caught.value.hint


def test_what_is_damaged_is_told() -> None:
    path = written("hosts.yml", "web:\n  hosts: { a: { pw: !vault '$ANSIBLE_VAULT;1.1;AES256 6162' } }\n")
    vault = Vault([typed(RIGHT)])
    text = str(load(path, vault).hosts["a"].variables["pw"])
    with pytest.raises(SecretError, match=r"hosts.yml:2:21: this is no text of ansible-vault, or it is damaged"):
        SecretStore(vault=vault.reveal).reveal(text)


def test_without_ansible_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ansible"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ansible", None)
    path = written("hosts", encrypted_before)
    with pytest.raises(Mistakes, match=r"ansible is not installed\n    pip install 'orchestrator\[vault\]'"):
        load(path, Vault([typed(RIGHT)]))


encrypted_before = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"


def test_encrypted_files_without_a_password_are_all_told_at_once() -> None:
    hosts = written("hosts.ini", "[web]\na\n")
    written("group_vars/all/vault.yml", encrypted("x: 1\n", RIGHT))
    written("host_vars/a.yml", encrypted("x: 1\n", RIGHT))
    with pytest.raises(Mistakes) as caught:
        load(hosts, Vault())
    assert [one.mark.file for one in caught.value.mistakes] == ["group_vars/all/vault.yml", "host_vars/a.yml"]
    assert "give --vault-password-file FILE" in str(caught.value)


def test_mistakes_in_an_encrypted_file_do_not_tell_its_words() -> None:
    hosts = written("hosts.ini", "[web]\na\n")
    texts = {
        "group_vars/all.yml": f"a: 1\n{PLAIN}\n",
        "group_vars/web.yml": f"a: '{PLAIN}\n",
        "host_vars/a/1.yml": f"- {PLAIN}\n",
        "host_vars/a/2.yml": f"pw: 'x{{{{ {PLAIN} }}}}'\n",
        "host_vars/a/3.yml": f"pw: !!int {PLAIN}\n",
        "host_vars/a/4.yml": f"{PLAIN}: 1\n{PLAIN}: 2\n",
    }
    for name, text in texts.items():
        written(name, encrypted(text, RIGHT))
    more = written("more.ini", encrypted(f"web-1 pw {PLAIN}\n[x y {PLAIN}]\n[all:vars]\n{PLAIN}\n", RIGHT))
    with pytest.raises(Mistakes) as caught:
        load([hosts, more], Vault([typed(RIGHT)]))
    said = [str(one).replace("\n    ", " | ") for one in caught.value.mistakes]
    assert sorted({line.partition(":")[0] for line in said}) == sorted([*texts, "more.ini"])
    assert PLAIN not in "\n".join(said)
    assert (
        "more.ini:2:1: the decrypted text is wrong here; its words are not shown | ansible-vault edit more.ini" in said
    )
    assert PLAIN not in repr(caught.value.__context__)


def test_numbers_and_templates_of_an_encrypted_file_stay() -> None:
    hosts = written("hosts.yml", "web: { hosts: { a: } }\n")
    text = "port: 5986\non: true\nlist: [1, two]\nuser: '{{ name }}'\nempty: ''\nnothing:\n"
    written("group_vars/web.yml", encrypted(text, RIGHT))
    variables = dict(load(hosts, Vault([typed(RIGHT)])).hosts["a"].variables)
    assert shown(str(variables.pop("list"))) == "[1, '\\ue000vault:group_vars/web.yml:3:11\\ue001']"
    assert variables == {"port": 5986, "on": True, "user": "{{ name }}", "empty": "", "nothing": None}


def test_users_and_addresses_may_be_encrypted_and_passwords_stay_references() -> None:
    hosts = written("hosts.yml", "web: { hosts: { a: , b: { ansible_host: 10.0.0.2 } } }\n")
    text = (
        "vault_user: CORP\\svc\nansible_password: " + PLAIN + "\nansible_port: '5986'\nansible_host: a.example\n"
        "ansible_psrp_operation_timeout: 15s\nansible_psrp_auth: ntlm\n"
    )
    written("group_vars/all/vault.yml", encrypted(text, RIGHT))
    written("group_vars/all/plain.yml", "ansible_user: '{{ vault_user }}'\n")
    vault = Vault([typed(RIGHT)])
    store = SecretStore(vault=vault.reveal)
    reach = Reach(load(hosts, vault), Renderer(), reveal=store.reveal)
    (way,), (other,) = reach.all().values()
    assert (way.user, way.address, way.port, way.operation_timeout_s) == ("CORP\\svc", "a.example", 5986, 15)
    assert other.address == "10.0.0.2"
    assert way.password is not None
    assert PLAIN not in repr(way)
    assert way.password.named == "{vault:group_vars/all/vault.yml:2:19}"
    assert store.reveal(way.password.text) == PLAIN


@pytest.mark.parametrize(
    "name",
    [
        "ansible_port",
        "ansible_host",
        "ansible_psrp_auth",
        "ansible_psrp_read_timeout",
        "ansible_psrp_negotiate_delegate",
    ],
)
def test_a_value_that_is_wrong_is_not_told_if_it_was_encrypted(name: str) -> None:
    hosts = written("hosts.yml", "web: { hosts: { a: } }\n")
    written("group_vars/all.yml", encrypted(f"{name}: {PLAIN} !\n", RIGHT))
    vault = Vault([typed(RIGHT)])
    reach = Reach(load(hosts, vault), Renderer(), reveal=SecretStore(vault=vault.reveal).reveal)
    with pytest.raises(Mistakes) as caught:
        reach.all()
    assert PLAIN.lower() not in str(caught.value).lower()
    assert f"<secret vault:group_vars/all.yml:1:{len(name) + 3}>" in str(caught.value)


@pytest.mark.parametrize("said", ["-J '{} !'", "-o {}=1", "-o StrictHostKeyChecking={}", "-o {}", "--{} 1", "'{}"])
def test_arguments_that_are_wrong_are_not_told_if_they_were_encrypted(said: str) -> None:
    hosts = written("hosts.yml", "web: { hosts: { a: { ansible_connection: ssh } } }\n")
    arguments = json.dumps(said.format(PLAIN))
    written("group_vars/all.yml", encrypted(f"ansible_ssh_common_args: {arguments}\n", RIGHT))
    vault = Vault([typed(RIGHT)])
    reach = Reach(load(hosts, vault), Renderer(), reveal=SecretStore(vault=vault.reveal).reveal)
    with pytest.raises(Mistakes) as caught:
        reach.all()
    assert PLAIN not in str(caught.value)
    assert "ansible_ssh_common_args: <secret vault:group_vars/all.yml:1:26> can't be used" in str(caught.value)


def orch(*words: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != ENVIRONMENT}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**environment, "ORCH_STATE_DIR": "state"},
    )


def test_orch_inventory_shows_names_and_no_secret() -> None:
    written("pw", RIGHT)
    written("hosts.ini", encrypted("[web]\nweb-1\n", RIGHT))
    written("group_vars/all.yml", f"ansible_user: {inline('CORP/svc')}ansible_password: {inline(PLAIN)}")
    drawn = orch("inventory", "-i", "hosts.ini", "--vault-id", "default@pw")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert "CORP/svc" in drawn.stdout
    told = orch("inventory", "-i", "hosts.ini", "--vault-password-file", "pw", "--json")
    (row,) = json.loads(told.stdout)["hosts"]
    assert row["host"] == "web-1"
    assert PLAIN not in drawn.stdout + told.stdout
    without = orch("inventory", "-i", "hosts.ini")
    assert without.returncode == 2
    assert "hosts.ini:1:1: hosts.ini is encrypted with ansible-vault, and there is no password" in without.stderr
    assert "give --vault-password-file FILE" in without.stderr
    asked = orch("inventory", "-i", "hosts.ini", "--ask-vault-pass")
    assert asked.returncode == 2
    assert "--ask-vault-pass asks for a password, and there is no terminal to ask in" in asked.stderr
    nameless = orch("inventory", "-i", "hosts.ini", "--vault-id", "prod@")
    assert (nameless.returncode, nameless.stderr.splitlines()[0]) == (2, "error: --vault-id prod@ names no file")
