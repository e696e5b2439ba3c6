"""What a command costs before it does anything: which modules it loads, and the time that goes into our own."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from measuring import times

ROOT = Path(__file__).parents[2]
VALIDATE = ("validate", "--plan", str(ROOT / "playbooks/shop.yaml"))
FORBIDDEN = (
    "asyncio", "asyncssh", "httpx", "keyring", "networkx", "psrpcore", "pypsrp", "requests", "rich.live", "spnego",
    "sqlite3",
)  # fmt: skip
"""What `orch --help`, `orch validate` and `orch schema` have no use for."""
WITH_TYPER = {"annotated_doc", "annotated_types", "pydantic", "pydantic_core", "rich", "shellingham", "typer",
              "typing_extensions", "typing_inspection", "markdown_it", "mdurl", "pygments"}  # fmt: skip
MOST = 1.5
"""How many times the import of its libraries `orch validate` may take."""
LOADED = """
import json, runpy, sys
known, sys.argv = set(sys.modules), ["orch", *sys.argv[1:]]
try:
    runpy.run_module("orchestrator", run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
files = ((name, getattr(module, "__file__", None) or "") for name, module in sys.modules.items() if name not in known)
print("\\n" + json.dumps([name for name, file in files if "site-packages" in file or not wanted]))
"""


def loaded(*arguments: str, libraries: bool) -> list[str]:
    """The modules that a command has loaded when it ends: all of them, or those of other people's libraries."""
    code = f"wanted = {libraries}\n{LOADED}"
    ended = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return list(json.loads(ended.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), VALIDATE, ("schema",)], ids=["help", "validate", "schema"])
def test_nothing_heavy_is_loaded(arguments: Sequence[str]) -> None:
    modules = loaded(*arguments, libraries=False)
    assert "typer" in modules
    assert not [name for name in modules if name.startswith(tuple(f"{one}." for one in FORBIDDEN)) or name in FORBIDDEN]


def test_help_needs_typer_alone() -> None:
    assert {name.partition(".")[0] for name in loaded("--help", libraries=True)} <= WITH_TYPER


def _cpu_s(command: Sequence[str], env: Mapping[str, str]) -> float:
    """The CPU time of a process: the machine's other work does not count, only how it slows this one down."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_validate_takes_hardly_longer_than_the_import_of_its_libraries(tmp_path: Path) -> None:
    # Compiled modules are kept, as they are where orch is installed.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    libraries = loaded(*VALIDATE, libraries=True)
    imports = "\n".join(f"import {name}" for name in libraries)
    validate = [sys.executable, "-m", "orchestrator", *VALIDATE]
    importing = [sys.executable, "-c", imports]
    for command in (validate, importing):
        _cpu_s(command, env)
    what = f"orch validate to the import of its {len(libraries)} modules"
    assert times(what, partial(_cpu_s, importing, env), partial(_cpu_s, validate, env), most=MOST) <= MOST
