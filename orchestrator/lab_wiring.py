"""Who answers for the lab: a process of its own, made from a project, ordered about through its socket. No decisions.

As `wiring`, and above it: the lab is the one thing that is started rather than imported.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.inventory.reach import Reach
from orchestrator.domain.lab_fleet import lab_fleet, lab_units
from orchestrator.lab import client
from orchestrator.wiring import Project


@contextmanager
def served(project: Project, state: Path) -> Iterator[client.LabProcess]:
    """Serve every host of a project's inventory for the length of a `with`. Raises OrchError if that can't be."""
    folder = state / "lab"
    every = Reach(project.inventory, Renderer(), reveal=project.secrets.reveal).all()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        fleet = lab_fleet(project.draft, every, project.secrets.reveal, client.public_key, folder=str(folder))
        with client.start(fleet) as process:
            (folder / "units.json").write_text(json.dumps(lab_units(project.draft)), encoding="utf-8")
            yield process
    except client.LabError as error:
        raise OrchError(str(error)) from None


def known(state: Path) -> dict[str, list[str]]:
    """The SCM names of each instance in the lab that runs on this state folder."""
    return dict(json.loads((state / "lab" / "units.json").read_text(encoding="utf-8")))


def order(state: Path, message: Mapping[str, Any]) -> dict[str, Any]:
    """Give the lab that runs on this state folder one order. Raises BadInput if there is none, or it refuses."""
    try:
        return client.order_at(state / "lab", message)
    except client.NoLab as error:
        raise BadInput(str(error), hint="orch lab up --plan FILE starts one") from None
    except client.LabError as error:
        raise BadInput(str(error), hint="orch lab ps shows its hosts, services and faults") from None
