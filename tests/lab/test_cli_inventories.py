"""A run over inventories of several forms, the password in a vault: what people have for Ansible, used as it is."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking_ansible import encrypted
from cli_lab import PAIR, PAIR_GROUPS, PASSWORD, Site, finish, interrupt, site

VAULT_PASSWORD = "correct horse"


def as_for_ansible(made: Site, folder: Path) -> list[str]:
    """The site's hosts in an INI file, the others in a program, secrets in a vault; the options that name them."""
    (folder / "group_vars" / "all").mkdir(parents=True)
    hosts = [f"{name} ansible_host={made.addresses[name]}" for name in PAIR_GROUPS["db"]]
    settings = "ansible_psrp_protocol=http\nansible_port=5985\nansible_psrp_auth=ntlm\n"
    (folder / "hosts.ini").write_text("[db]\n" + "\n".join(hosts) + "\n[all:vars]\n" + settings)
    listed = {
        "app": {"hosts": PAIR_GROUPS["app"]},
        "_meta": {"hostvars": {name: {"ansible_host": made.addresses[name]} for name in PAIR_GROUPS["app"]}},
    }
    program = folder / "apps.sh"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(listed)}\nEND\n")
    program.chmod(0o755)
    secrets = f"vault_user: admin\nvault_password: {PASSWORD}\n"
    (folder / "group_vars" / "all" / "vault.yml").write_text(encrypted(secrets, VAULT_PASSWORD))
    (folder / "group_vars" / "all" / "vars.yml").write_text(
        "ansible_user: '{{ vault_user }}'\nansible_password: '{{ vault_password }}'\n"
    )
    (folder / "vault-password").write_text(VAULT_PASSWORD)
    inventories = ["--inventory", str(folder / "hosts.ini"), "--inventory", str(program)]
    return [*inventories, "--vault-password-file", str(folder / "vault-password")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("pair"), PAIR) as made:
        yield made


def test_a_run_signs_in_with_what_the_vault_holds_and_tells_it_nowhere(shared: Site, tmp_path: Path) -> None:
    shared.reset(tmp_path / "state")
    options = as_for_ansible(shared, tmp_path / "inventory")
    ended = shared.orch("stop", "--yes", "--json", *options)
    assert ended.code == 0, ended.said
    assert set(shared.states().values()) == {"Stopped"}
    shown = shared.orch("inventory", *options)
    assert "{vault:" in shown.out
    left = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert left
    for told in (ended.out, ended.err, shown.out, shown.err, left.decode("utf-8", "replace")):
        assert PASSWORD not in told


def test_a_playbook_may_name_several_inventories(shared: Site, tmp_path: Path) -> None:
    shared.reset(tmp_path / "state")
    options = as_for_ansible(shared, tmp_path / "inventory")
    plan = tmp_path / "playbook.yaml"
    plan.write_text(PAIR.replace("hosts.yaml", "[ inventory/hosts.ini, inventory/apps.sh ]"))
    ended = shared.orch("status", "--expect", "running", *options[-2:], plan=plan)
    assert ended.code == 0, ended.said


def test_a_wrong_vault_password_ends_before_any_host_is_asked(shared: Site, tmp_path: Path) -> None:
    shared.reset(tmp_path / "state")
    options = as_for_ansible(shared, tmp_path / "inventory")
    (tmp_path / "inventory" / "vault-password").write_text("battery staple")
    ended = shared.orch("stop", "--yes", *options)
    assert ended.code == 2, ended.said
    assert "vault.yml can't be decrypted: none of the vault passwords fits" in ended.said
    assert shared.untouched()
    assert shared.log("command") == []


def test_ctrl_c_ends_a_program_that_does_not_end(shared: Site, tmp_path: Path) -> None:
    shared.reset(tmp_path / "state")
    os.mkfifo(tmp_path / "begun")
    program = tmp_path / "hosts.sh"
    program.write_text(f"#!/bin/sh\nhead -c 200000 /dev/zero\necho $$ > '{tmp_path / 'begun'}'\nexec sleep 300\n")
    program.chmod(0o755)
    process = shared.begin("stop", "--yes", "--inventory", str(program))
    # More than a pipe holds has been read by now: the program is waited for.
    number = int((tmp_path / "begun").read_text())
    interrupt(process)
    ended = finish(process)
    assert ended.code == 130, ended.said
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
