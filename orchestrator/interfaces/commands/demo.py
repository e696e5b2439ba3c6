"""`orch demo`: a night on the lab, from a stop that fails to the way back up, in commands that a user would type."""

import os
import secrets
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import typer

from orchestrator import lab_wiring, state_wiring, wiring
from orchestrator.domain.errors import OrchError
from orchestrator.domain.runstate import EXIT_CODES, Verdict
from orchestrator.engine.jobs.journey import EXIT_PARKED
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.terminal import say


class Scene(NamedTuple):
    """One command that is shown, after a word on why, and what must have come of it."""

    why: str
    words: tuple[str, ...]
    of_playbook: bool = True
    code: int = 0
    leaves: str | None = None
    """The state that the lab itself must then have every unit in."""


SPOILT = "broker@broker-02"
SCENES = (
    Scene("A first look: what would a stop do? Nothing is touched.", ("stop", "--dry-run")),
    Scene("A bad night: one service is going to refuse.", ("lab", "fault", SPOILT, "refuses"), of_playbook=False),
    Scene(
        "02:13, begun by cron: it fails, there is nobody to ask, and it parks.",
        ("stop", "--yes"),
        code=EXIT_PARKED,
    ),
    Scene("In any other terminal: what is asked, and what would each answer do?", ("decisions", "last"), False),
    Scene(
        "The answer. The run puts back what it changed, and nothing else.",
        ("decide", "last", "rollback", "--resume", "--yes", "--reason", "the broker needs its owner"),
        of_playbook=False,
        code=EXIT_CODES[Verdict.ROLLED_BACK],
        leaves="Running",
    ),
    Scene("Its owner mends it.", ("lab", "clear"), of_playbook=False),
    Scene("Once more: a stop that goes well.", ("stop", "--yes"), leaves="Stopped"),
    Scene(
        "The way back up: start exactly what ran before.",
        ("start", "--from", "last", "--yes"),
        of_playbook=False,
        leaves="Running",
    ),
)
LONGEST_S = 60.0


def demo() -> None:
    """A stop that fails, its rollback, a stop, a start on a lab of its own; exit 0 only if all ended as it should."""
    with boundary(state_wiring.state_folder(None)), tempfile.TemporaryDirectory(prefix="orch-demo-") as folder:
        os.environ["ORCH_LAB_PASSWORD"] = secrets.token_urlsafe(12)
        os.environ["ORCH_STATE_DIR"] = folder
        playbook = wiring.shipped("playbooks/shop.yaml")
        project = wiring.load(playbook, None, answers={})
        with lab_wiring.served(project, Path(folder)):
            hosts, services = len(project.connections), len(project.draft.entries)
            say(f"A lab of {hosts} virtual Windows hosts and {services} services listens on loopback.")
            units = [
                (instance.rpartition("@")[2], name)
                for instance, names in lab_wiring.known(Path(folder)).items()
                for name in names
            ]
            for scene in SCENES:
                _show(scene, playbook)
                if scene.leaves is not None:
                    _check(lab_wiring.order(Path(folder), {"op": "ps"}), units, scene.leaves)
        say("\nEvery unit ended as it should. The playbook: playbooks/shop.yaml; the inventory: inventory/lab.yaml")
        raise typer.Exit(0)


def _show(scene: Scene, playbook: Path) -> None:
    shown = playbook.relative_to(Path.cwd()) if playbook.is_relative_to(Path.cwd()) else playbook
    arguments = [*scene.words, *(["--plan", str(shown)] if scene.of_playbook else [])]
    say(f"\n# {scene.why}\n$ {shlex.join(['orch', *arguments])}")
    words = [sys.executable, "-m", "orchestrator", *arguments]
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, check=False, timeout=LONGEST_S)
    if ended.returncode != scene.code:
        raise OrchError(f"orch {scene.words[0]} ended with exit code {ended.returncode}, {scene.code} was expected")


def _check(answer: Mapping[str, object], units: Sequence[tuple[str, str]], wanted: str) -> None:
    """Hold the lab's own word against what orch reported."""
    hosts = answer["hosts"]
    assert isinstance(hosts, list)
    states = {(host["host"], service["name"]): service["state"] for host in hosts for service in host["services"]}
    found = {unit: states.get(unit) for unit in units}
    astray = sorted(f"{name}@{host} is {state}" for (host, name), state in found.items() if state != wanted)
    if astray:
        raise OrchError(f"not {wanted} in the lab: {', '.join(astray)}")
