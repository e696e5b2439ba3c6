"""orch against OpenSSH's own sshd with a POSIX shell: `cmd.exe` and `powershell` there hand on to a host of a lab."""

import contextlib
import getpass
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from virtual_ssh import KEY, ssh_lab
from virtual_windows import USER, fresh_address, host

from orchestrator.lab.client import LabProcess

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.needs("ssh")]
LIMIT_S = 60.0
PLAYBOOK = """
name: behind-sshd
inventory: hosts.yaml
defaults: { timeout: 20s }
poll: 200ms
services:
  sql: { service: MSSQL$INST, hosts: db-01 }
  web: { service: Web, hosts: db-01, depends_on: [sql] }
"""
INVENTORY = """
all:
  hosts:
    db-01:
      ansible_connection: ssh
      ansible_host: {address}
      ansible_port: {port}
      ansible_user: {user}
      ansible_ssh_private_key_file: {key}
      ansible_ssh_common_args: -F none -o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes
      orch_control: {control}
"""
SSHD = """
ListenAddress {address}
Port {port}
HostKey {host_key}
AuthorizedKeysFile {authorized}
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxSessions 10
SetEnv PATH={programs}:/usr/bin:/bin
"""
CMD = """#!/bin/sh
exec {ssh} "cmd.exe $1 $2 $3 \\"$4\\""
"""
POWERSHELL = """#!/bin/sh
exec {ssh} "powershell $*"
"""


@dataclass(frozen=True)
class Place:
    """An sshd that runs, and the host of the lab behind its programs."""

    folder: Path
    address: str
    port: int
    lab: LabProcess
    environment: dict[str, str]

    def orch(self, control: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        (self.folder / "playbook.yaml").write_text(PLAYBOOK)
        inventory = INVENTORY.format(
            address=self.address,
            port=self.port,
            user=getpass.getuser(),
            key=self.folder / "key",
            known=self.folder / "known_hosts",
            control=control,
        )
        (self.folder / "hosts.yaml").write_text(inventory)
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words, "--plan", str(self.folder / "playbook.yaml")],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def states(self) -> dict[str, str]:
        """What the lab itself says."""
        (shown,) = self.lab.order(op="ps")["hosts"]
        return {one["name"]: one["state"] for one in shown["services"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("sshd")
    there = host("DB-01", *({"name": name, "state": "Running", "stop_s": 0.3} for name in ("MSSQL$INST", "Web")))
    KEY.write_private_key(folder / "key")
    (folder / "key").chmod(0o600)
    (folder / "authorized_keys").write_text(KEY.export_public_key().decode())
    with ssh_lab(folder / "lab", there) as lab:
        hand_on = [
            "ssh", "-T", "-F", "none", "-i", str(folder / "key"), "-o", f"UserKnownHostsFile={lab.known_hosts}",
            "-o", "KexAlgorithms=curve25519-sha256", f"{USER}@{there['address']}",
        ]  # fmt: skip
        programs = folder / "programs"
        programs.mkdir()
        for name, text in (("cmd.exe", CMD), ("powershell", POWERSHELL)):
            (programs / name).write_text(text.format(ssh=shlex.join(hand_on)))
            (programs / name).chmod(0o755)
        with sshd(folder, programs) as (address, port):
            mine = {"ORCH_STATE_DIR": str(folder / "state"), "COLUMNS": "", "HOME": str(folder)}
            yield Place(folder, address, port, lab, {**os.environ, **mine})


@contextlib.contextmanager
def sshd(folder: Path, programs: Path) -> Iterator[tuple[str, int]]:
    """OpenSSH's server for the person who runs the tests, with a key of its own; where it listens."""
    address = fresh_address()
    with socket.create_server((address, 0)) as probe:
        port: int = probe.getsockname()[1]
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    host_key.write_private_key(folder / "host_key")
    (folder / "host_key").chmod(0o600)
    (folder / "known_hosts").write_text(f"[{address}]:{port} {host_key.export_public_key().decode()}")
    settings = folder / "sshd_config"
    settings.write_text(
        SSHD.format(
            address=address,
            port=port,
            host_key=folder / "host_key",
            authorized=folder / "authorized_keys",
            programs=programs,
        )
    )
    if os.geteuid() == 0:  # what Debian's own service does before it starts sshd
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(settings)], stdin=subprocess.DEVNULL, stderr=log)
        try:
            _until_it_listens(process, address, port, folder / "sshd.log")
            yield address, port
        finally:
            process.terminate()
            process.wait(10)


def _until_it_listens(process: "subprocess.Popen[bytes]", address: str, port: int, log: Path) -> None:
    ends_at = time.monotonic() + 20
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < ends_at, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return


@pytest.mark.parametrize("control", ["powershell", "sc"])
def test_services_are_stopped_and_started_through_openssh(place: Place, control: str) -> None:
    assert place.states() == {"MSSQL$INST": "Running", "Web": "Running"}
    status = place.orch(control, "status", "--json")
    assert status.returncode == 0, status.stdout + status.stderr
    stopped = place.orch(control, "stop", "--yes", "--json")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert place.states() == {"MSSQL$INST": "Stopped", "Web": "Stopped"}
    started = place.orch(control, "start", "--yes", "--json")
    assert started.returncode == 0, started.stdout + started.stderr
    assert place.states() == {"MSSQL$INST": "Running", "Web": "Running"}
    for ended, evidence in ((stopped, "pid_before"), (started, "pid_after")):
        facts = [json.loads(line) for line in ended.stdout.splitlines()]
        results = [fact["result"] for fact in facts if fact["kind"] == "step_ended"]
        acted = [result for result in results if result["acted"] == "yes"]
        assert len(acted) == 2
        assert all(result["outcome"] == "ok" for result in results)
        assert all(int(result["evidence"][evidence]) > 0 for result in acted)


def test_a_host_key_that_is_another_is_refused(place: Place) -> None:
    known = place.folder / "known_hosts"
    right = known.read_text()
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known.write_text(f"[{place.address}]:{place.port} {other}")
    try:
        status = place.orch("sc", "status")
    finally:
        known.write_text(right)
    assert status.returncode != 0
    assert "key has changed" in " ".join(f"{status.stdout} {status.stderr}".split())
