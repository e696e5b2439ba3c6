"""Other tools on the same SSH fleet: one `sc.exe stop` on each host. Installs them into a folder of their own."""

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import children
from fleet import USER, Fleet, fleet
from table import Row, Scale

SIZES = (25, 125)
TOOLS = ("pyinfra", "ansible-core", "parallel-ssh")
WIDTH = 50
ORCH = "orch stop"
_DOES = {ORCH: "a whole run: five commands, of which four read the state"}
COMMAND = "sc.exe stop Bench"
_PSSH = """
import sys
from pssh.clients import ParallelSSHClient
user, key, *hosts = sys.argv[1:]
client = ParallelSSHClient(hosts, user=user, pkey=key, pool_size=50, num_retries=1)
assert all(out.exception is None and list(out.stdout) for out in client.run_command("sc.exe stop Bench"))
"""
_RAW = """
import asyncio, sys, asyncssh
user, key, known, *hosts = sys.argv[1:]
async def stop(host, places, keys, known_hosts):
    options = {"known_hosts": known_hosts, "client_keys": keys, "config": None, "agent_path": None, "username": user}
    async with places, asyncssh.connect(host, **options) as connection:
        assert (await connection.run("sc.exe stop Bench", encoding=None)).stdout
async def main():
    keys, known_hosts = [asyncssh.read_private_key(key)], asyncssh.read_known_hosts(known)
    places = asyncio.Semaphore(50)
    await asyncio.gather(*(stop(host, places, keys, known_hosts) for host in hosts))
asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class _Way:
    """How one tool does it: its words, its environment."""

    name: str
    words: list[str]
    env: dict[str, str]


def peers(scale: Scale) -> Iterator[Row]:
    """CPU of a host, as the slope between two fleet sizes, beside a script on raw asyncssh that sends the same."""
    with tempfile.TemporaryDirectory(prefix="orch-bench-peers-") as folder:
        home = Path(folder)
        bin_folder, versions = _installed(home)
        key = home / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        small, large = (scale.hosts(size) for size in SIZES)
        large = max(large, small + 3)
        least: dict[tuple[str, int], float] = {}
        for _ in range(scale.rounds):
            for size in (small, large):
                for number in range(len(TOOLS) + 2):
                    with fleet("ssh", size, key=key) as made:
                        way = _ways(made, key, bin_folder)[number]
                        cost = children.run(way.words, env=way.env).cpu_s
                        stopped = len(made.lab.log(kind="control", outcome="accepted"))
                        if stopped != size:
                            raise children.Failed(f"{way.name} stopped {stopped} of {size} services")
                    least[way.name, size] = min(cost, least.get((way.name, size), cost))
        slopes = {name: (least[name, large] - least[name, small]) / (large - small) for name, _ in least}
        raw_s = slopes.pop("raw asyncssh")
        for name, slope_s in slopes.items():
            yield Row(
                name=f"{name} {versions.get(name, '')}: CPU of a host over SSH",
                measured=f"{slope_s * 1000:.1f} ms, {slope_s / raw_s:.1f} x",
                reference=f"raw asyncssh, one command: {raw_s * 1000:.1f} ms",
                note=f"slope from {small} to {large} hosts; {_DOES.get(name, 'one command, nothing is read back')}",
            )


def _installed(home: Path) -> tuple[Path, dict[str, str]]:
    sys.stderr.write(f"installing {', '.join(TOOLS)} into {home}\n")
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    bin_folder = home / "venv" / "bin"
    pip = [str(bin_folder / "pip"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *TOOLS], check=True)
    listed = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout.splitlines()
    versions = dict(line.lower().replace("_", "-").split("==") for line in listed if "==" in line)
    return bin_folder, {tool: versions[tool] for tool in TOOLS}


def _ways(made: Fleet, key: Path, bin_folder: Path) -> list[_Way]:
    folder, hosts = made.folder, list(made.addresses)
    known = str(folder / "lab" / "known_hosts")
    (folder / "pyinfra_hosts.py").write_text(
        f"hosts = {hosts!r}, {{'ssh_user': {USER!r}, 'ssh_key': {str(key)!r}, 'ssh_known_hosts_file': {known!r}}}\n",
        encoding="utf-8",
    )
    (folder / "hosts.ini").write_text("\n".join(hosts) + "\n", encoding="utf-8")
    options = f"-F none -o UserKnownHostsFile={known} -o KexAlgorithms=curve25519-sha256 -o ControlMaster=no"
    ansible = {
        "ANSIBLE_SSH_ARGS": options,
        "ANSIBLE_REMOTE_USER": USER,
        "ANSIBLE_PRIVATE_KEY_FILE": str(key),
        "ANSIBLE_LOCAL_TEMP": str(folder),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_SSH_USETTY": "0",
    }
    state = {"ORCH_STATE_DIR": str(folder / "state")}
    pyinfra = [str(bin_folder / "pyinfra"), "-y", "--parallel", str(WIDTH), str(folder / "pyinfra_hosts.py"), "exec"]
    raw = [str(bin_folder / "ansible"), "all", "-i", str(folder / "hosts.ini"), "-m", "raw", "-f", str(WIDTH)]
    return [
        _Way("raw asyncssh", [sys.executable, "-c", _RAW, USER, str(key), known, *hosts], {}),
        _Way(ORCH, [sys.executable, "-m", "orchestrator", "stop", "--yes", "--plan", str(made.plan)], state),
        _Way("pyinfra", [*pyinfra, "--", *shlex.split(COMMAND)], {}),
        _Way("ansible-core", [*raw, "-a", COMMAND], ansible),
        _Way("parallel-ssh", [str(bin_folder / "python"), "-c", _PSSH, USER, str(key), *hosts], {}),
    ]
