"""A playbook and its inventory, read together so that the mistakes of both are told together."""

import os
from pathlib import Path

from orchestrator.adapters.documents import inventory_files, playbook_files, yaml_nodes
from orchestrator.domain.errors import Gathered, Mistake, Mistakes
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.playbook.reading import Playbook, read_playbook


def load_both(plan: Path, inventory: Path | None) -> tuple[Playbook, Inventory]:
    """The playbook *plan*, and the inventory *inventory* or the one that the playbook names beside itself.

    The playbook's own mistakes are left in it, for whoever drafts it to raise with the rest, unless the inventory
    is wrong or a fragment could not be read.

    Raises:
        Mistakes: those of both files.
    """
    gathered = Gathered()
    playbook = gathered.value(lambda: playbook_files.load(plan))
    hosts = gathered.value(lambda: _inventory(playbook, inventory))
    if playbook is None or hosts is None or not playbook.whole:
        gathered.add(playbook.mistakes if playbook else ())
        gathered.check()
    assert playbook is not None
    assert hosts is not None
    return playbook, hosts


def load_inventory(plan: Path | None, inventory: Path | None) -> Inventory:
    """The inventory alone: *inventory*, or the one that the playbook *plan* names. Raises Mistakes."""
    if inventory is not None or plan is None:
        return inventory_files.load(inventory or Path())
    hosts = _inventory(read_playbook(yaml_nodes.read(plan)), None)
    assert hosts is not None
    return hosts


def _inventory(playbook: Playbook | None, typed: Path | None) -> Inventory | None:
    if typed is not None:
        return inventory_files.load(typed)
    if playbook is None:
        return None
    if playbook.inventory is None:
        right = "write `inventory: FILE` into the playbook, or give --inventory FILE"
        raise Mistakes([Mistake(playbook.inventory_mark, "no inventory is named", right)])
    path = Path(os.path.normpath(Path(playbook.file).parent / playbook.inventory))
    if not path.exists():
        right = "the path counts from the playbook's folder; --inventory FILE names another one"
        raise Mistakes([Mistake(playbook.inventory_mark, f"there is no inventory {path}", right)])
    return inventory_files.load(path)
