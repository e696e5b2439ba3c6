"""The fleets that are measured: a lab in a process of its own, and the files that lead orch and others to it."""

import contextlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loopback

from orchestrator.lab import client

USER, PASSWORD = "admin", "Bench-Passw0rd"
SERVICE = "Bench"
POLL_S = 2.0
WIRES = ("winrm", "ssh")
_VARIABLES: dict[str, dict[str, object]] = {
    "winrm": {"ansible_connection": "psrp", "ansible_port": 5985, "ansible_psrp_auth": "ntlm"},
    "ssh": {"ansible_connection": "ssh", "orch_control": "sc"},
}
_EXCHANGES = {"winrm": "http", "ssh": "channel"}
_QUESTIONS: dict[str, dict[str, str]] = {"winrm": {"kind": "http", "action": "Command"}, "ssh": {"kind": "exec"}}


@dataclass(frozen=True, slots=True)
class Fleet:
    """A running lab of one wire, with the same services on each host."""

    wire: str
    folder: Path
    lab: client.LabProcess
    addresses: tuple[str, ...]

    @property
    def plan(self) -> Path:
        """The playbook."""
        return self.folder / "playbook.yaml"

    @property
    def facts(self) -> Path:
        """What a reference is given."""
        return self.folder / "reference.json"

    def exchanges(self) -> float:
        """Exchanges that the lab counted for each host: HTTP requests, or SSH channels."""
        return len(self.lab.log(kind=_EXCHANGES[self.wire])) / len(self.addresses)

    def questions(self) -> set[int]:
        """How often hosts were asked anything once somebody was signed in: pipelines, or commands."""
        asked = Counter(line["host"] for line in self.lab.log(**_QUESTIONS[self.wire]))
        return {*asked.values()} | ({0} if len(asked) < len(self.addresses) else set())

    def stopped_at_s(self) -> dict[str, float]:
        """When the lab's services came to Stopped, by host, on the monotonic clock."""
        return {line["host"]: line["t"] for line in self.lab.log(kind="state", to="Stopped")}


@contextlib.contextmanager
def fleet(wire: str, hosts: int, *, services: int = 1, stop_s: float = 0.0, key: Path | None = None) -> Iterator[Fleet]:
    """*hosts* hosts whose services take *stop_s* to stop, for the length of a `with`. Who has *key* is let in."""
    folder = Path(tempfile.mkdtemp(prefix="orch-bench-"))
    names = [f"h{number:04}" for number in range(hosts)]
    addresses = dict(zip(names, loopback.addresses(hosts), strict=True))
    called = [SERVICE] if services == 1 else [f"{SERVICE}{number:02}" for number in range(services)]
    running = [{"name": name, "display_name": name, "state": "Running", "stop_s": stop_s} for name in called]
    described: dict[str, Any] = {
        "name": "bench",
        "dir": str(folder / "lab"),
        "users": {USER: PASSWORD},
        "transports": ["http" if wire == "winrm" else "ssh"],
        "hosts": [{"name": name, "address": addresses[name], "services": running} for name in names],
    }
    if key:  # for tools that need a shell as Unix has it
        described["authorized_keys"] = [key.with_suffix(".pub").read_text(encoding="ascii").strip()]
        described["hosts"] = [{**host, "default_shell": "sh"} for host in described["hosts"]]
    try:
        with client.start(described) as lab:
            _write(folder, wire, addresses, called, key)
            yield Fleet(wire, folder, lab, tuple(addresses.values()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, wire: str, addresses: dict[str, str], called: list[str], key: Path | None) -> None:
    known_hosts = str(folder / "lab" / "known_hosts")
    variables: dict[str, object] = {"ansible_user": USER, "ansible_password": PASSWORD, **_VARIABLES[wire]}
    if len(called) > 1:  # one process with one core plays all hosts, and has as much to tell as hundreds of machines
        variables["ansible_psrp_read_timeout" if wire == "winrm" else "ansible_ssh_timeout"] = 600
    if wire == "ssh":
        variables["ansible_ssh_common_args"] = f"-F none -o UserKnownHostsFile={known_hosts} -o IdentityAgent=none"
    if key:
        del variables["ansible_password"]
        variables["ansible_ssh_private_key_file"] = str(key)
    inventory = {"all": {"vars": variables, "hosts": {name: {"ansible_host": at} for name, at in addresses.items()}}}
    (folder / "inventory.yaml").write_text(json.dumps(inventory), encoding="utf-8")
    entries = (f"  {name.lower()}: {{ service: {name}, hosts: all, stop: {{ timeout: 90s }} }}\n" for name in called)
    (folder / "playbook.yaml").write_text(
        f"name: bench\ninventory: inventory.yaml\npoll: {POLL_S:g}s\nservices:\n{''.join(entries)}", encoding="utf-8"
    )
    told = {
        "addresses": [*addresses.values()],
        "services": called,
        "user": USER,
        "password": PASSWORD,
        "known_hosts": known_hosts,
        "playbook": str(folder / "playbook.yaml"),
    }
    (folder / "reference.json").write_text(json.dumps(told), encoding="utf-8")
