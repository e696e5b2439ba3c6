"""Ansible YAML inventories on disk: the file, and group_vars and host_vars beside it."""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.tree import Node

_EXTENSIONS = ("", ".yml", ".yaml", ".json")
_INI_SECTION = re.compile(r"\[[\w.:-]+\]")
_DEEPEST = 16
"""Levels of folders below group_vars/NAME: a link that leads back up must not be followed for ever."""


def load(path: Path) -> Inventory:
    """The inventory in the file at *path*, with the group_vars and host_vars that stand beside it.

    Raises:
        Mistakes: all that are found in all its files.
    Cost: about that of reading the YAML.
    """
    _check_kind(path)
    declared = declare(yaml_nodes.read(path))
    mistakes = list(declared.mistakes)
    group_files = _variables(path.parent / "group_vars", declared.groups, mistakes)
    host_files = _variables(path.parent / "host_vars", declared.hosts, mistakes)
    try:
        inventory = merge(declared, group_files, host_files)
    except Mistakes as error:
        mistakes.extend(error.mistakes)
    if mistakes:
        raise Mistakes(mistakes)
    return inventory


def _check_kind(path: Path) -> None:
    """Refuse by name what Ansible would take and we don't, before it shows up as bad YAML."""
    kind = ""
    if path.is_dir():
        kind = "a folder"
    elif path.suffix not in _EXTENSIONS:
        kind = {".ini": "an INI inventory", ".toml": "a TOML inventory"}.get(path.suffix, f"a {path.suffix} file")
    elif path.is_file():
        head = _head(path)
        written = (line.strip() for line in head.splitlines() if line.strip() and line.strip()[0] not in ";#")
        if head.startswith("#!"):
            kind = "an executable inventory"
        elif _INI_SECTION.fullmatch(next(written, "")):
            kind = "an INI inventory"
    if kind:
        wrong = f"this is {kind}, which is not supported yet: YAML inventories only"
        right = "`ansible-inventory --list --yaml` turns any inventory into YAML"
        raise Mistakes([Mistake(Mark(str(path), 1, 1), wrong, right)])


def _head(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""  # reading it as YAML will say why


def _variables(folder: Path, names: Collection[str], mistakes: list[Mistake]) -> dict[str, dict[str, Node]]:
    """What the files of *folder* say for each of *names* that has any."""
    try:
        present = {entry.name for entry in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        mistakes.append(_unreadable(folder, error))
        return {}
    stems = {entry.removesuffix(extension) for entry in present for extension in _EXTENSIONS}
    result = {}
    for name in names:
        if name not in stems:
            continue
        try:
            files = list(_files(folder, name, present))
        except OSError as error:
            mistakes.append(_unreadable(folder / name, error))
        else:
            result[name] = _merged(files, mistakes)
    return result


def _unreadable(path: Path, error: OSError) -> Mistake:
    return Mistake(Mark(str(path), 1, 1), f"it can't be read: {error.strerror or error}")


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


def _merged(files: Iterable[Path], mistakes: list[Mistake]) -> dict[str, Node]:
    merged: dict[str, Node] = {}
    for file in files:
        try:
            node = yaml_nodes.read(file)
        except Mistakes as error:
            mistakes.extend(error.mistakes)
            continue
        if isinstance(node.value, dict):
            merged.update(node.value)
        elif isinstance(node.value, str) and node.value.startswith("$ANSIBLE_VAULT"):
            right = "write \"{{ secret('file:PATH') }}\" or \"{{ secret('env:NAME') }}\" where the secret stands"
            mistakes.append(Mistake(node.mark, "ansible-vault is not supported", right))
        elif node.value is not None:
            mistakes.append(
                Mistake(node.mark, f"variables are a mapping, and this is {node.kind}", "write NAME: VALUE")
            )
    return merged
