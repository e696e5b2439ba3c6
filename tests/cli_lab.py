"""The command line against a lab: what is typed, what comes back, and what the lab's log says of it."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import loopback

from orchestrator import wiring
from orchestrator.domain.lab_fleet import lab_fleet
from orchestrator.lab.client import LabProcess, public_key, start

PASSWORD = "Tr0ub4dor-&3-geheim"
MOVE_S = 0.1
"""How long a service of a site takes to start or to stop."""
WARM_UP_S = 0.15
LIMIT_S = 45.0
OF_A_PLAN = ("stop", "start", "restart", "status", "check", "validate")
ON_THE_WAY = ("StartPending", "StopPending")

PAIR = """
name: pair
inventory: hosts.yaml
defaults: { timeout: 20s, gate: { period: 100ms, deadline: 5s } }
poll: 200ms
services:
  sql: { service: MSSQLSERVER, hosts: db, ready: [ { tcp: 1433 } ] }
  orders: { service: Orders, hosts: app, depends_on: [sql] }
"""
"""One database, two applications."""
IMPATIENT = MappingProxyType(
    {"ansible_psrp_connection_timeout": 5, "ansible_psrp_read_timeout": 6, "ansible_psrp_operation_timeout": 3}
)
"""For hosts that are meant to be silent or away."""
PAIR_GROUPS = {"db": ["db-01"], "app": ["app-01", "app-02"]}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams, on one line: a test looks for words, not for where they are wrapped."""
        return " ".join((self.out + " " + self.err).split())

    def facts(self) -> list[dict[str, Any]]:
        """The lines of `--json`."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(slots=True)
class Site:
    """A lab, the files that describe it, and a state folder; `unit` in here is `MSSQLSERVER@db-01`, SCM name first."""

    folder: Path
    lab: LabProcess
    state: Path
    addresses: Mapping[str, str]
    first: dict[str, str] = field(default_factory=dict)
    ported: frozenset[str] = frozenset()
    read: int = 0

    @property
    def plan(self) -> Path:
        return self.folder / "playbook.yaml"

    def reset(self, state: Path) -> None:
        """No faults, every service as in the beginning, an empty log, and the runs in a folder of their own."""
        self.state = state
        self.lab.order(op="clear")
        for unit, now in self.states().items():
            if now != self.first[unit]:
                self.put(unit, self.first[unit])
        self.read = len(self.lab.log())

    def environment(self, **more: str) -> dict[str, str]:
        mine = {"ORCH_STATE_DIR": str(self.state), "COLUMNS": "", "PYTHONWARNINGS": "default"}
        return {**os.environ, **mine, **more}

    def words(self, words: Sequence[str], plan: Path | None = None) -> list[str]:
        wanted = (words[0] in OF_A_PLAN and "--from" not in words) or tuple(words[:2]) == ("snapshot", "take")
        of_plan = ["--plan", str(plan or self.plan)] if wanted or plan else []
        return [sys.executable, "-m", "orchestrator", *words, *of_plan]

    def orch(self, *words: str, plan: Path | None = None, **environment: str) -> Ended:
        """Type a command, without a terminal; commands that need a playbook get the site's."""
        ended = subprocess.run(
            self.words(words, plan),
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def begin(self, *words: str, plan: Path | None = None) -> "subprocess.Popen[str]":
        """The same, left running."""
        return subprocess.Popen(
            self.words(words, plan),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fault(self, target: str, kind: str, value: Any = None) -> None:
        """Misbehave: *target* is a unit or a host."""
        service, at, host = target.rpartition("@")
        self.lab.order(op="fault", host=host, service=service if at else None, kind=kind, value=value)

    def put(self, unit: str, state: str) -> None:
        """Somebody on the host moves a service by hand."""
        service, _, host = unit.rpartition("@")
        self.lab.order(op="set", host=host, service=service, state=state)

    def states(self) -> dict[str, str]:
        """What the lab itself says."""
        hosts = self.lab.order(op="ps")["hosts"]
        return {f"{one['name']}@{host['host']}": one["state"] for host in hosts for one in host["services"]}

    def log(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind since the last reset."""
        return [line for line in self.lab.log()[self.read :] if line["kind"] == kind]

    def controls(self) -> list[str]:
        """Every control that reached a host since the last reset: `stop MSSQLSERVER@db-01`."""
        return [f"{line['control']} {line['service']}@{line['host']}" for line in self.log("control")]

    def moves(self) -> list[tuple[str, str, float]]:
        """Unit, new state and time of every change since the last reset."""
        return [(f"{line['service']}@{line['host']}", line["to"], line["t"]) for line in self.log("state")]

    def untouched(self) -> bool:
        """Whether nothing was asked of any service, and nothing changed by itself."""
        commands = {line["name"] for line in self.log("command")}
        verbs = {"Start-Service", "Stop-Service", "Set-Service", "Resume-Service", "Suspend-Service", "Restart-Service"}
        return not self.log("control") and not self.log("state") and not commands & verbs

    def until_read(self, host: str, times: int, limit_s: float = 20.0) -> None:
        """Wait until the services of *host* have been read so often since the last reset."""
        ends_at = time.monotonic() + limit_s
        while [(line["host"], line["name"]) for line in self.log("command")].count((host, "Get-Service")) < times:
            assert time.monotonic() < ends_at, f"{host} was not read {times} times within {limit_s:g} s"
            select.select([], [], [], 0.02)

    def until(self, unit: str, state: str, limit_s: float = 20.0) -> None:
        """Wait for the lab to say that *unit* is in *state*."""
        ends_at = time.monotonic() + limit_s
        while self.states()[unit] != state:
            assert time.monotonic() < ends_at, f"{unit} is {self.states()[unit]}, not {state}, after {limit_s:g} s"
            select.select([], [], [], 0.02)


@dataclass(frozen=True, slots=True)
class Edge:
    """*upper* needs *lower*, by SCM names."""

    upper: str
    lower: str
    need: int | None = None
    same_host: bool = False


def judge(site: Site, edges: Iterable[Edge], before: Mapping[str, str]) -> dict[str, str]:
    """Hold every change of the log against *edges*; return where it ended.

    No stop begins while something that needs the unit is not Stopped; no start before enough of what it needs is
    Running, and has been for as long as its port takes to open.
    """
    now, ready_at = dict(before), dict.fromkeys(before, 0.0)
    for unit, to, at in site.moves():
        service, _, host = unit.rpartition("@")
        for edge in edges:
            here = f"@{host}" if edge.same_host else ""
            others = {
                low: [other for other in now if other.startswith(f"{low}@") and other.endswith(here)]
                for low in (edge.upper, edge.lower)
            }
            if to == "StopPending" and edge.lower == service:
                up = [other for other in others[edge.upper] if now[other] != "Stopped"]
                assert not up, f"{unit} was told to stop while {up} need it"
            if to == "StartPending" and edge.upper == service:
                wanted = edge.need or len(others[edge.lower])
                ready = [other for other in others[edge.lower] if now[other] == "Running" and ready_at[other] <= at]
                assert len(ready) >= wanted, f"{unit} was told to start with only {ready} of {edge.lower} ready"
        now[unit] = to
        if to == "Running":
            ready_at[unit] = at + (WARM_UP_S if unit in site.ported else 0.0)
    return now


def inventory_text(
    groups: Mapping[str, Sequence[str]],
    addresses: Mapping[str, str],
    variables: Mapping[str, object],
    own: Mapping[str, Mapping[str, object]],
) -> str:
    """An Ansible inventory: NTLM over HTTP with encrypted messages, unless *variables* or *own* say otherwise."""
    given = {
        "ansible_connection": "psrp",
        "ansible_psrp_protocol": "http",
        "ansible_port": 5985,
        "ansible_psrp_auth": "ntlm",
        "ansible_user": "admin",
        **variables,
    }
    children = {
        group: {"hosts": {host: {"ansible_host": addresses[host], **own.get(host, {})} for host in hosts}}
        for group, hosts in groups.items()
    }
    return json.dumps({"all": {"vars": given, "children": children}}, indent=1) + "\n"


@contextlib.contextmanager
def site(
    folder: Path,
    playbook: str = PAIR,
    groups: Mapping[str, Sequence[str]] = PAIR_GROUPS,
    *,
    variables: Mapping[str, object] = MappingProxyType({}),
    own: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
    adjust: Callable[[dict[str, Any]], object] = lambda _: None,
) -> Iterator[Site]:
    """A lab of *groups*, quick services, and the files that lead orch to it; *adjust* changes the lab's description."""
    hosts = [host for here in groups.values() for host in here]
    addresses = dict(zip(hosts, loopback.addresses(len(hosts)), strict=True))
    (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    given = {"ansible_password": f"{{{{ secret('file:{folder / 'password'}') }}}}", **variables}
    (folder / "hosts.yaml").write_text(inventory_text(groups, addresses, given, own), encoding="utf-8")
    (folder / "playbook.yaml").write_text(playbook, encoding="utf-8")
    project = wiring.load(folder / "playbook.yaml", None, answers={})
    fleet: dict[str, Any] = lab_fleet(
        project.draft, project.connections, project.secrets.reveal, public_key, folder=str(folder / "lab")
    )
    for host in fleet["hosts"]:
        for service in host["services"]:
            service.update(start_s=MOVE_S, stop_s=MOVE_S)
            for port in service["ports"]:
                port["warmup_s"] = WARM_UP_S
    adjust(fleet)
    with start(fleet) as lab:
        made = Site(folder, lab, folder / "state", addresses)
        made.first = made.states()
        made.ported = frozenset(
            f"{service['name']}@{host['name']}"
            for host in fleet["hosts"]
            for service in host["services"]
            if service["ports"]
        )
        yield made


def service_of(fleet: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """A unit's part of a lab's description, to change it."""
    name, _, host = unit.rpartition("@")
    services = next(one["services"] for one in fleet["hosts"] if one["name"] == host)
    found: dict[str, Any] = next(one for one in services if one["name"] == name)
    return found


def until_said(process: "subprocess.Popen[str]", words: str) -> str:
    """Read lines of *process* until one holds *words*; what was read."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without saying {words!r}: {said}")


def interrupt(process: "subprocess.Popen[str]") -> None:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)


def finish(process: "subprocess.Popen[str]") -> Ended:
    """Wait for the end."""
    out, err = process.communicate(timeout=LIMIT_S)
    return Ended(process.returncode, out, err)


def in_terminal(site: Site, *words: str, answers: Mapping[str, str | Callable[[], object]]) -> tuple[int, str]:
    """Type a command in a pseudo-terminal: when what is said ends with a key of *answers*, its value is typed, or
    called (and nothing typed); each once.

    Returns the exit code and all that was on the terminal.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        site.words(words), env=site.environment(TERM="dumb"), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen, ends_at, left = "", time.monotonic() + LIMIT_S, dict(answers)
    try:
        while True:
            readable, _, _ = select.select([ours], [], [], max(0.0, ends_at - time.monotonic()))
            assert readable, f"nothing more after {LIMIT_S:g} s: {seen}"
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other side has gone
                break
            if not part:
                break
            seen += part.decode("utf-8", "replace")
            for question in [question for question in left if seen.rstrip().endswith(question)]:
                typed = left.pop(question)
                if callable(typed):
                    typed()
                else:
                    os.write(ours, typed.encode() + b"\n")
        return process.wait(LIMIT_S), seen
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()
