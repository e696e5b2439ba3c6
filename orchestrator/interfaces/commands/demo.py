"""`orch demo`: the main job on the lab, with the very commands that a user would type."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from orchestrator import lab_wiring, state_wiring, wiring
from orchestrator.domain.errors import OrchError
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.terminal import say

COMMANDS: tuple[tuple[tuple[str, ...], str | None], ...] = (
    (("stop", "--dry-run"), None),
    (("stop", "--yes"), "Stopped"),
    (("status",), "Stopped"),
    (("start", "--yes"), "Running"),
)
"""What is shown, and the state that every unit must be in afterwards, as the lab itself has it."""
LONGEST_S = 60.0


def demo() -> None:
    """Dry run, stop, status, start on a lab of its own; exit 0 only if every unit ended as it should."""
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
            for words, wanted in COMMANDS:
                _show(words, playbook)
                if wanted is not None:
                    _check(lab_wiring.order(Path(folder), {"op": "ps"}), units, wanted)
        say("\nEvery unit ended as it should. The playbook: playbooks/shop.yaml; the inventory: inventory/lab.yaml")
        raise typer.Exit(0)


def _show(words: tuple[str, ...], playbook: Path) -> None:
    shown = playbook.relative_to(Path.cwd()) if playbook.is_relative_to(Path.cwd()) else playbook
    arguments = [*words, "--plan", str(shown)]
    say(f"\n$ orch {' '.join(arguments)}")
    ended = subprocess.run([sys.executable, "-m", "orchestrator", *arguments], check=False, timeout=LONGEST_S)
    if ended.returncode != 0:
        raise OrchError(f"orch {words[0]} ended with exit code {ended.returncode}, 0 was expected")


def _check(answer: Mapping[str, object], units: Sequence[tuple[str, str]], wanted: str) -> None:
    """Hold the lab's own word against what orch reported."""
    hosts = answer["hosts"]
    assert isinstance(hosts, list)
    states = {(host["host"], service["name"]): service["state"] for host in hosts for service in host["services"]}
    found = {unit: states.get(unit) for unit in units}
    astray = sorted(f"{name}@{host} is {state}" for (host, name), state in found.items() if state != wanted)
    if astray:
        raise OrchError(f"not {wanted} in the lab: {', '.join(astray)}")
