"""A playbook and its inventory, read together so that the mistakes of both are told together."""

import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.adapters.documents import inventory_files, playbook_files, yaml_nodes
from orchestrator.adapters.documents.vaulted import Vault
from orchestrator.domain.errors import Gathered, Mistake, Mistakes
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.playbook.reading import Playbook, read_playbook


def load_both(plan: Path, inventory: Sequence[Path] | None, vault: Vault | None = None) -> tuple[Playbook, Inventory]:
    """The playbook *plan*, and the inventory that *inventory* makes, or what the playbook names beside itself.

    The playbook's own mistakes are left in it, for whoever drafts it to raise with the rest, unless the inventory
    is wrong or a fragment could not be read.

    Raises:
        Mistakes: those of both files.
    """
    gathered = Gathered()
    playbook = gathered.value(lambda: playbook_files.load(plan))
    hosts = gathered.value(lambda: _inventory(playbook, inventory, vault))
    if playbook is None or hosts is None or not playbook.whole:
        gathered.add(playbook.mistakes if playbook else ())
        gathered.check()
    assert playbook is not None
    assert hosts is not None
    return playbook, hosts


def load_inventory(plan: Path | None, inventory: Sequence[Path] | None, vault: Vault | None = None) -> Inventory:
    """The inventory alone: *inventory*, or what the playbook *plan* names. Raises Mistakes."""
    if inventory or plan is None:
        return inventory_files.load(inventory or [Path()], vault)
    hosts = _inventory(read_playbook(yaml_nodes.read(plan)), None, vault)
    assert hosts is not None
    return hosts


def _inventory(playbook: Playbook | None, typed: Sequence[Path] | None, vault: Vault | None) -> Inventory | None:
    if typed:
        return inventory_files.load(typed, vault)
    if playbook is None:
        return None
    if not playbook.inventory:
        right = "write `inventory: FILE` into the playbook, or give --inventory FILE"
        raise Mistakes([Mistake(playbook.inventory_mark, "no inventory is named", right)])
    paths = [Path(os.path.normpath(Path(playbook.file).parent / one)) for one in playbook.inventory]
    missing = [path for path in paths if not path.exists()]
    if missing:
        right = "the path counts from the playbook's folder; --inventory FILE names another one"
        mark = playbook.inventory_mark
        raise Mistakes([Mistake(mark, f"there is no inventory {path}", right) for path in missing])
    return inventory_files.load(paths, vault)
