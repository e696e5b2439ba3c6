"""What each room may import from outside the project: lists of what is allowed, so that anything new fails first.

The walls between our own rooms are import-linter's (pyproject.toml); these are the ones around libraries.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "orchestrator"
DATA = {
    "ast", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "dataclasses", "difflib", "enum",
    "fnmatch", "functools", "graphlib", "hashlib", "heapq", "ipaddress", "itertools", "json", "keyword", "math",
    "operator", "re", "shlex", "string", "textwrap", "types", "typing", "unicodedata", "urllib",
}  # fmt: skip
ALLOWED = {
    "domain": DATA | {"datetime", "pydantic", "pydantic_core", "networkx", "zoneinfo"},  # times of day, and no clock
    "engine/conductor": DATA | {"asyncio"},
    "engine": DATA | {"asyncio", "traceback"},
}
HOMES = {
    "sqlite3": {"adapters/journal"},
    "pypsrp": {"adapters/winrm"},
    "requests": {"adapters/winrm"},
    "urllib3": {"adapters/winrm"},
    "psrpcore": {"lab"},
    "asyncssh": {"adapters/ssh", "lab"},
    "tree_sitter": {"lab"},
    "tree_sitter_powershell": {"lab"},
    "spnego": {"adapters/winrm", "lab"},
    "cryptography": {"lab"},
    "httpx": {"adapters/probe"},
    "apprise": {"adapters/notify"},
    "keyring": {"adapters/secrets"},
    "yaml": {"adapters/documents"},
    "ansible": {"adapters/vault"},
    "jinja2": {"adapters/templates"},
    "markupsafe": {"adapters/templates"},
    "platformdirs": {"state_wiring"},
    "typer": {"interfaces"},
    "click": {"interfaces"},
    "rich": {"interfaces"},
    "networkx": {"domain"},
    "pydantic": {"domain"},
    "pydantic_core": {"domain"},
}
"""A third-party library (and the database) has one address; a new one needs a line here and in docs/reasons.md."""


def imports(path: Path) -> Iterator[str]:
    """Top-level names of everything a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield (node.module or "").partition(".")[0]


FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES)
def test_a_room_imports_what_it_may(file: str) -> None:
    room = max((name for name in ALLOWED if file.startswith(name + "/")), key=len, default=None)
    outside = {name for name in imports(ROOT / file) if name != "orchestrator"}
    if room is not None:
        assert outside <= ALLOWED[room], f"{file} imports {sorted(outside - ALLOWED[room])}, which {room} may not"
    for name in sorted(outside):
        homes = HOMES.get(name)
        if homes is None:
            assert name in sys.stdlib_module_names, (
                f"{file} imports {name}, which has no home in tests/unit/test_walls.py"
            )
        else:
            assert any(file.startswith(home) for home in homes), f"{file} imports {name}, whose home is {sorted(homes)}"


def test_wiring_stays_small() -> None:
    assert len((ROOT / "wiring.py").read_text(encoding="utf-8").splitlines()) <= 150
