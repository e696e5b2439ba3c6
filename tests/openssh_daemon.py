"""OpenSSH's own server on loopback, for the account that runs the tests, with a host key and a way in of its own."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import asyncssh
from virtual_ssh import KEY

LIMIT_S = 60.0
SETTINGS = """
ListenAddress {address}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PrintMotd no
PrintLastLog no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxSessions 10
"""


class Daemon:
    """One sshd; *more* are further lines of its settings. `key` lets in, `known_hosts` knows it."""

    def __init__(self, folder: Path, address: str, *more: str, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.address = address
        self.port = port or _free_port(address)
        self.key = folder / "key"
        self.known_hosts = folder / "known_hosts"
        self._log = folder / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        host_key.write_private_key(folder / "host_key")
        (folder / "host_key").chmod(0o600)
        self.known_hosts.write_text(f"[{address}]:{self.port} {host_key.export_public_key().decode()}")
        KEY.write_private_key(self.key)
        self.key.chmod(0o600)
        (folder / "authorized_keys").write_text(KEY.export_public_key().decode())
        text = SETTINGS.format(address=address, port=self.port, folder=folder)
        (folder / "sshd_config").write_text("\n".join([text, *more, ""]))

    def variables(self) -> dict[str, object]:
        """What an inventory says of a host behind it."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={self.known_hosts} -o StrictHostKeyChecking=yes",
        }

    def start(self) -> None:
        """Run it, and wait until it listens."""
        if os.geteuid() == 0:  # what Debian's own service does before it starts sshd
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        with self._log.open("ab") as log:
            command = [program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        ends_at = time.monotonic() + LIMIT_S
        while True:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < ends_at, self._log.read_text()
            with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1):
                return

    def stop(self) -> None:
        """End it and the connections that it carries: nothing is said to those who hold them."""
        if self._process is None:
            return
        ours = _descendants(self._process.pid)
        self._process.kill()
        self._process.wait(LIMIT_S)
        self._process = None
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _descendants(pid: int) -> Sequence[int]:
    """The processes below *pid*, as /proc tells now."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, above in parents.items() if above == parent]
    return found[1:]
