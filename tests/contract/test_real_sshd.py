"""orch against OpenSSH's own sshd with a POSIX shell: `cmd.exe` and `powershell` there hand on to a host of a lab."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from loopback import fresh_address
from openssh_daemon import Daemon
from virtual_ssh import ssh_lab
from virtual_windows import USER, host

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
    daemon: Daemon
    lab: LabProcess
    environment: dict[str, str]

    def orch(self, control: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        (self.folder / "playbook.yaml").write_text(PLAYBOOK)
        variables = {**self.daemon.variables(), "orch_control": control}
        (self.folder / "hosts.yaml").write_text(json.dumps({"all": {"hosts": {"db-01": variables}}}))
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
    programs = folder / "programs"
    daemon = Daemon(folder, fresh_address(), f"SetEnv PATH={programs}:/usr/bin:/bin")
    with ssh_lab(folder / "lab", there) as lab:
        hand_on = [
            "ssh", "-T", "-F", "none", "-i", str(daemon.key), "-o", f"UserKnownHostsFile={lab.known_hosts}",
            "-o", "KexAlgorithms=curve25519-sha256", f"{USER}@{there['address']}",
        ]  # fmt: skip
        programs.mkdir()
        for name, text in (("cmd.exe", CMD), ("powershell", POWERSHELL)):
            (programs / name).write_text(text.format(ssh=shlex.join(hand_on)))
            (programs / name).chmod(0o755)
        daemon.start()
        try:
            mine = {"ORCH_STATE_DIR": str(folder / "state"), "COLUMNS": "", "HOME": str(folder)}
            yield Place(folder, daemon, lab, {**os.environ, **mine})
        finally:
            daemon.stop()


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
    known = place.daemon.known_hosts
    right = known.read_text()
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known.write_text(f"[{place.daemon.address}]:{place.daemon.port} {other}")
    try:
        status = place.orch("sc", "status")
    finally:
        known.write_text(right)
    assert status.returncode != 0
    assert "key has changed" in " ".join(f"{status.stdout} {status.stderr}".split())
