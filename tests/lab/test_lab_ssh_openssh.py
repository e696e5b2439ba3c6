"""OpenSSH's own client against the lab: an oracle that nobody here wrote."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from virtual_ssh import KEY, ssh_lab
from virtual_windows import USER, host

from orchestrator.lab.client import LabProcess

pytestmark = pytest.mark.needs("ssh")

WEB = {"name": "Web", "start_s": 0.05, "stop_s": 0.05}


class Ssh:
    """Runs `ssh` on one lab."""

    def __init__(
        self, process: LabProcess, hosts: list[dict[str, Any]], folder: Path, key: asyncssh.SSHKey = KEY
    ) -> None:
        self.process = process
        self.hosts = hosts
        self._key = folder / "key"
        key.write_private_key(self._key)
        self._key.chmod(0o600)
        self._config = folder / "config"
        lines = [
            f"UserKnownHostsFile {process.known_hosts}", "GlobalKnownHostsFile none", "StrictHostKeyChecking yes",
            "BatchMode yes", f"IdentityFile {self._key}", "IdentitiesOnly yes", "IdentityAgent none", f"User {USER}",
            "ConnectTimeout 10", "ControlPath none",
        ]  # fmt: skip
        for each in hosts:
            lines += [f"Host {each['name']}", f"  HostName {each['address']}", f"  Port {each.get('ssh_port', 22)}"]
        self._config.write_text("\n".join(lines) + "\n")

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        command = ["ssh", "-F", str(self._config), *arguments]
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    hosts = [host("db-01", WEB, banner="Hello.\r\n"), host("web-01", WEB, ssh_port=2200, language="de")]
    with ssh_lab(tmp_path_factory.mktemp("lab"), *hosts) as process:
        yield Ssh(process, hosts, tmp_path_factory.mktemp("ssh"))


def test_it_checks_the_host_key_shows_the_banner_and_runs_a_line(ssh: Ssh) -> None:
    done = ssh("db-01", "sc.exe query Web & echo a^&b")
    assert (done.returncode, done.stderr) == (0, b"Hello.\r\n")
    assert done.stdout.startswith(b"\r\nSERVICE_NAME: Web \r\n")
    assert done.stdout.endswith(b"a&b\r\n")


def test_it_sees_the_exit_status_and_the_errors(ssh: Ssh) -> None:
    done = ssh("web-01", "nosuch")
    assert done.returncode == 1
    assert b'Der Befehl "nosuch" ist entweder' in done.stderr
    assert ssh("web-01", "sc.exe stop nobody").returncode == 1060 & 0xFF


def test_it_jumps_over_one_host_to_another(ssh: Ssh) -> None:
    done = ssh("-J", "db-01", "web-01", "hostname")
    assert (done.returncode, done.stdout) == (0, b"web-01\r\n")
    assert ssh.process.log(kind="forward", host="db-01", port=2200, ok=True)


def test_it_is_refused_with_another_key_and_without_a_line(ssh: Ssh, tmp_path: Path) -> None:
    other = Ssh(ssh.process, ssh.hosts, tmp_path, asyncssh.generate_private_key("ssh-ed25519"))
    refused = other("db-01", "hostname")
    assert (refused.returncode, refused.stdout) == (255, b"")
    assert b"Permission denied (publickey" in refused.stderr
    assert ssh("-T", "db-01").returncode == 255
