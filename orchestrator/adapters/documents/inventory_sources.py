"""Inventory sources: which files one stands for, in which form each is written, and what all declare together."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.adapters.documents import inventory_script, json_nodes, vaulted, yaml_nodes
from orchestrator.adapters.documents.composing import LARGEST
from orchestrator.adapters.documents.ini_inventory import declare_ini
from orchestrator.adapters.documents.vaulted import Seal, Vault
from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.inventory.declaring import Declaration, Declared
from orchestrator.domain.inventory.listing import declare_listing, is_listing
from orchestrator.domain.inventory.reading import declare_groups
from orchestrator.domain.tree import Node

_YAML = ("", ".yml", ".yaml", ".json")
_NOT_IN_FOLDERS = re.compile(
    r"^\.|^host_vars$|^group_vars$|^vars_plugins$"
    r"|(?:\.pyc|\.pyo|\.swp|\.bak|~|\.rpm|\.md|\.txt|\.rst|\.orig|\.cfg|\.retry)$"
)
"""What Ansible leaves out of a folder (its defaults of INVENTORY_IGNORE_EXTS)."""
_BEGINS_YAML = re.compile(rb"""(?:---|%YAML|[{?!&*]|"[^"]*"\s*:|'[^']*'\s*:|[^\s:#\[=]+\s*:(?:\s|$)|-\s)""")
_DEEPEST = 16


def declare_sources(sources: Sequence[Path], vault: Vault | None) -> Declared:
    """What all *sources* declare, in order: files, programs, and folders of them. `mistakes` has all that is wrong.

    Raises:
        Mistakes: there are so many that it makes no sense to go on.
    """
    declaration = Declaration(", ".join(map(str, sources)))
    for source in sources:
        try:
            files = list(_files(source, _DEEPEST)) if source.is_dir() else [source]
            if not files:
                raise _one(str(source), "there is no inventory in this folder", "name a file, or another folder")
        except OSError as error:
            declaration.wrong(Mark(str(source), 1, 1), f"it can't be read: {error.strerror or error}")
            continue
        except Mistakes as error:
            declaration.declared.mistakes.extend(error.mistakes)
            continue
        for file in files:
            _declare(file, declaration, vault)
    return declaration.finish()


def _files(folder: Path, levels: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if _NOT_IN_FOLDERS.search(path.name):
            continue
        if not path.is_dir():
            yield path
        elif levels:
            yield from _files(path, levels - 1)


def _declare(path: Path, into: Declaration, vault: Vault | None) -> None:
    """Add what one file declares; what makes it unreadable is a mistake among the others."""
    file = str(path)
    found = into.declared.mistakes
    before, seal = len(found), None
    try:
        content = yaml_nodes.contents(path, file)
        if inventory_script.is_script(path, content):
            _declare_script(path, into, vault)
            return
        if vaulted.is_encrypted(content):
            content = vaulted.opened(content, file, vault)
            assert vault is not None
            seal = into.seal = Seal(vault)
            before = len(found)
        _declare_content(path, content, into, vault)
    except Mistakes as error:
        found.extend(one for one in error.mistakes if one not in found[before:])
    finally:
        into.seal = None
    if seal is not None:
        found[before:] = [*vaulted.masked(found[before:]), *seal.mistakes]


def _declare_content(path: Path, content: bytes, into: Declaration, vault: Vault | None) -> None:
    file = str(path)
    if path.suffix == ".toml":
        right = "`ansible-inventory -i FILE --list > hosts.json` makes a file that orch reads"
        raise _one(file, "TOML inventories are not supported", right)
    if inventory_script.needs_chmod(content):
        raise _one(file, "this is a program, and it may not be executed", f"chmod +x {path}")
    if len(content) > LARGEST:
        raise _one(file, f"the file is larger than {LARGEST >> 20} MiB", "split it")
    if _is_ini(path, content):
        declare_ini(content, file, into)
        return
    root = json_nodes.parse_either(content, file, vault)
    if content.lstrip()[:1] == b"{" and is_listing(root):
        declare_listing(root, into)
    else:
        declare_groups(root, into)


def _is_ini(path: Path, content: bytes) -> bool:
    """Ansible tries YAML where the name allows it, then INI. The first line that says anything tells them apart."""
    if path.suffix not in _YAML:
        return True
    if path.suffix == ".json":
        return False
    for line in content.removeprefix(b"\xef\xbb\xbf").splitlines():
        words = line.strip()
        if words and words[:1] not in b"#;":
            return not _BEGINS_YAML.match(words)
    return False


def _declare_script(path: Path, into: Declaration, vault: Vault | None) -> None:
    def printed(*arguments: str) -> Node:
        shown_as = f"{path} {' '.join(arguments)} output"
        content = inventory_script.output(path, *arguments, shown_as=shown_as)
        if arguments[0] == "--host" and not content.strip():
            return Node(None, shown_as, 1, 1)
        return json_nodes.parse(content, shown_as, vault)

    declare_listing(printed("--list"), into, lambda host: printed("--host", host))


def _one(file: str, wrong: str, right: str = "") -> Mistakes:
    return Mistakes([Mistake(Mark(file, 1, 1), wrong, right)])
