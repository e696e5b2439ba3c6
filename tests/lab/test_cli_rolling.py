"""A rolling restart of a whole command: a farm behind a load balancer, drained, rebooted, never below what has to be
up. Over WinRM and over SSH with PowerShell, judged by the lab's log and by what the load balancer saw."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import loopback
import pytest
from cli_lab import IMPATIENT, Site, site

GROUPS = {"app": ["app-01", "app-02"], "web": ["web-01", "web-02", "web-03", "web-04"]}
FARM = """
name: farm
inventory: hosts.yaml
defaults: {{ timeout: 20s, gate: {{ period: 100ms, deadline: 10s }} }}
poll: 200ms
services:
  orders:
    hosts: app
    service: Orders
    min_available: 1
  portal:
    hosts: web
    service: Portal
    depends_on: orders
    min_available: 50%
    ready: [ {{ tcp: 8080 }} ]
    pre_stop:
      - name: drain
        do: {{ http: {{ url: "http://{lb}/{{{{ host.name }}}}", method: DELETE }} }}
        undo: {{ http: {{ url: "http://{lb}/{{{{ host.name }}}}", method: PUT }} }}
        idempotent: true
    drained:
      - {{ http: {{ url: "http://{lb}/{{{{ host.name }}}}/sessions", text: none }}, from: controller }}
"""
BETWEEN = """
restart:
  between:
    - { command: { exe: lab-exit.exe, args: ["3010"], exit_code: [0, 3010] }, name: patch }
    - { reboot: { timeout: 3m } }
"""
BOOT_S = 1.0


class Balancer:
    """A load balancer: whom it sends people to, and the fewest of them at any moment since the last `reset`."""

    def __init__(self) -> None:
        pool = self
        self.members: set[str] = set()
        self.fewest = 0
        self.said: list[str] = []
        self._lock = threading.Lock()

        class Answers(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:  # noqa: N802 - as the library calls it
                self._answer(pool.put(self.path.strip("/"), inside=True))

            def do_DELETE(self) -> None:  # noqa: N802 - as the library calls it
                self._answer(pool.put(self.path.strip("/"), inside=False))

            def do_GET(self) -> None:  # noqa: N802 - as the library calls it
                self._answer("some" if self.path.split("/")[1] in pool.members else "none")

            def _answer(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library calls it
                pass

        self.server = ThreadingHTTPServer((loopback.fresh_address(), 0), Answers)
        self.reset()

    def reset(self) -> None:
        self.members, self.said = set(GROUPS["web"]), []
        self.fewest = len(self.members)

    def put(self, host: str, *, inside: bool) -> str:
        with self._lock:
            (self.members.add if inside else self.members.discard)(host)
            self.fewest = min(self.fewest, len(self.members))
            self.said.append(f"{'in' if inside else 'out'} {host}")
        return "done"


def by_ssh(folder: Path) -> Mapping[str, Mapping[str, object]]:
    trusted = f"-o UserKnownHostsFile={folder / 'lab' / 'known_hosts'}"
    return {"web-02": {"ansible_connection": "ssh", "ansible_port": 2022, "ansible_ssh_common_args": trusted}}


def quick_to_boot(fleet: dict[str, Any]) -> None:
    for host in fleet["hosts"]:
        host["boot_s"] = BOOT_S


@pytest.fixture(scope="module")
def balancer() -> Iterator[Balancer]:
    made = Balancer()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


@pytest.fixture(scope="module")
def shared(balancer: Balancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("rolling")
    address, port = balancer.server.server_address[:2]
    text = FARM.format(lb=f"{address!s}:{port}")
    with site(folder, text, GROUPS, own=by_ssh(folder), variables=IMPATIENT, adjust=quick_to_boot) as made:
        (folder / "night.yaml").write_text(text + BETWEEN, encoding="utf-8")
        yield made


@pytest.fixture
def farm(shared: Site, balancer: Balancer, tmp_path: Path) -> Site:
    shared.reset(tmp_path / "state")
    balancer.reset()
    return shared


def fewest_up(farm: Site, service: str) -> int:
    """How many of *service* were Running at the worst moment of the log."""
    now = {unit: state for unit, state in farm.first.items() if unit.startswith(f"{service}@")}
    fewest = len(now)
    for unit, to, _ in farm.moves():
        if unit in now:
            now[unit] = to
            fewest = min(fewest, sum(state == "Running" for state in now.values()))
    return fewest


def test_a_farm_is_restarted_and_never_below_what_has_to_be_up(farm: Site, balancer: Balancer) -> None:
    dry = farm.orch("restart", "--rolling", "--dry-run")
    assert dry.code == 0, dry.said
    assert "orders: restart one at a time, 2 in all, never below 1 of 2" in dry.said
    assert "portal: restart in 2 batches of 2, never below 2 of 4" in dry.said
    assert farm.untouched()
    ended = farm.orch("restart", "--rolling", "--yes")
    assert ended.code == 0, ended.said
    stops = [line.removeprefix("stop ") for line in farm.controls() if line.startswith("stop ")]
    assert sorted(stops) == sorted(farm.first), "each once"
    assert stops[:2] == ["Orders@app-01", "Orders@app-02"], "what others need goes first"
    assert (fewest_up(farm, "Orders"), fewest_up(farm, "Portal") >= 2) == (1, True)
    assert (balancer.fewest >= 2, balancer.members) == (True, set(GROUPS["web"]))
    assert farm.states() == farm.first


def test_a_patch_night_without_an_outage(farm: Site, balancer: Balancer) -> None:
    ended = farm.orch("restart", "--rolling", "--yes", "--service", "portal", plan=farm.folder / "night.yaml")
    assert ended.code == 0, ended.said
    boots = sorted(line["host"] for line in farm.log("reboot") if line["goes"] == "up")
    assert boots == GROUPS["web"]
    assert fewest_up(farm, "Portal") >= 2
    assert (balancer.fewest >= 2, balancer.members) == (True, set(GROUPS["web"]))
    assert not any(unit.startswith("Orders@") for unit, _, _ in farm.moves())
    assert farm.states() == farm.first
    shown = json.loads(farm.orch("show", "last", "--json").out)
    counts = [one["said"] for one in shown["units"] if one["phase"] == "count"]
    assert len(counts) == 2
    assert all("2 of portal are up without them, 2 have to be" in said for said in counts)
