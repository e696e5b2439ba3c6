"""Ansible inventories on disk: their sources, and group_vars and host_vars beside each."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.adapters.documents import json_nodes, vaulted, yaml_nodes
from orchestrator.adapters.documents.inventory_sources import declare_sources
from orchestrator.adapters.documents.vaulted import Seal, Vault
from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.tree import Node

_EXTENSIONS = ("", ".yml", ".yaml", ".json")
_DEEPEST = 16
"""Levels of folders below group_vars/NAME: a link that leads back up must not be followed for ever."""


def load(sources: Path | Sequence[Path], vault: Vault | None = None) -> Inventory:
    """The inventory that *sources* make together, with the group_vars and host_vars that stand beside each.

    *vault* decrypts what ansible-vault has encrypted; without one that is a mistake.

    Raises:
        Mistakes: all that are found in all their files.
    Cost: about that of reading the YAML.
    """
    named = [sources] if isinstance(sources, Path) else list(sources)
    declared = declare_sources(named, vault)
    variables = _Variables(vault, declared.mistakes)
    group_files: list[dict[str, dict[str, Node]]] = []
    host_files: dict[str, dict[str, Node]] = {}
    for folder in _last_mentions(source if source.is_dir() else source.parent for source in named):
        group_files.append(variables.beside(folder / "group_vars", declared.groups))
        for host, given in variables.beside(folder / "host_vars", declared.hosts).items():
            host_files[host] = {**host_files.get(host, {}), **given}
    mistakes = list(declared.mistakes)
    try:
        inventory = merge(declared, group_files, host_files)
    except Mistakes as error:
        mistakes.extend(error.mistakes)
    if mistakes:
        raise Mistakes(mistakes)
    return inventory


def _last_mentions(folders: Iterable[Path]) -> list[Path]:
    """Each folder once, where it is named last: Ansible reads one that is named twice again, over the others."""
    return list(reversed(dict.fromkeys(reversed(list(folders)))))


class _Variables:
    """Reads files of variables; what is wrong with them goes to *mistakes*."""

    def __init__(self, vault: Vault | None, mistakes: list[Mistake]) -> None:
        self._vault = vault
        self._mistakes = mistakes

    def beside(self, folder: Path, names: Collection[str]) -> dict[str, dict[str, Node]]:
        """What the files of *folder* say for each of *names* that has any."""
        try:
            present = {entry.name for entry in folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            self._unreadable(folder, error)
            return {}
        stems = {entry.removesuffix(extension) for entry in present for extension in _EXTENSIONS}
        result = {}
        for name in names:
            if name not in stems:
                continue
            try:
                files = list(_files(folder, name, present))
            except OSError as error:
                self._unreadable(folder / name, error)
            else:
                result[name] = self._merged(files)
        return result

    def _merged(self, files: Iterable[Path]) -> dict[str, Node]:
        merged: dict[str, Node] = {}
        for file in files:
            try:
                node = self._read(file)
            except Mistakes as error:
                self._mistakes.extend(error.mistakes)
                continue
            if isinstance(node.value, dict):
                merged.update(node.value)
            elif node.value is not None:
                wrong = f"variables are a mapping, and this is {node.kind}"
                self._mistakes.append(Mistake(node.mark, wrong, "write NAME: VALUE"))
        return merged

    def _read(self, path: Path) -> Node:
        file = str(path)
        content = yaml_nodes.contents(path, file)
        if not vaulted.is_encrypted(content):
            return json_nodes.parse_either(content, file, self._vault)
        text = vaulted.opened(content, file, self._vault)
        assert self._vault is not None
        seal = Seal(self._vault)
        try:
            node = seal(json_nodes.parse_either(text, file, self._vault))
        except Mistakes as error:
            raise Mistakes(vaulted.masked(error.mistakes)) from None
        self._mistakes.extend(seal.mistakes)
        return node

    def _unreadable(self, path: Path, error: OSError) -> None:
        self._mistakes.append(Mistake(Mark(str(path), 1, 1), f"it can't be read: {error.strerror or error}"))


def _files(folder: Path, name: str, present: Collection[str]) -> Iterator[Path]:
    for extension in _EXTENSIONS:
        path = folder / (name + extension)
        if path.name in present and path.exists():
            yield from _in_folder(path, _DEEPEST) if path.is_dir() else (path,)
            return  # the first that is there hides the others, as in Ansible


def _in_folder(folder: Path, levels: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir() and not path.suffix:
            if levels:
                yield from _in_folder(path, levels - 1)
        elif path.is_file() and path.suffix in _EXTENSIONS:
            yield path
