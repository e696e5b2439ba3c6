"""Mutations: small diffs that break the product on purpose, each applied to a copy and simulated there.

The head of a patch says which invariant must catch it and which seeds tend to: `invariant: once`, `seeds: 0-800`,
`profile: network` (of the seeds, only those of that profile); and, if its paths are not those of the whole tree, in
which folder they begin: `folder: orchestrator/engine`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATCHES = sorted((HERE / "mutations").glob("*.patch"))
LONGEST_S = 240.0
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


class Stale(Exception):
    """A patch no longer applies: the code that it breaks has changed."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """What a patch says of itself. `seeds` are the first and the one after the last."""

    patch: Path
    invariant: str
    seeds: tuple[int, int]
    profile: str
    folder: str


def mutation(patch: Path) -> Mutation:
    """The head of *patch*."""
    said = dict(line.split(": ", 1) for line in patch.read_text().split("\n--- ")[0].splitlines() if ": " in line)
    first, last = said["seeds"].split("-")
    return Mutation(patch, said["invariant"], (int(first), int(last)), said.get("profile", ""), said.get("folder", ""))


def mutate(patch: Path, folder: Path) -> None:
    """Copy the package into *folder* and apply *patch* to the copy.

    Raises:
        Stale: a hunk's lines do not stand in the file, or stand there more than once.
    """
    shutil.copytree(ROOT / "orchestrator", folder / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    for part in re.split(r"^--- ", patch.read_text(), flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        file = folder / mutation(patch).folder / lines[1].removeprefix("+++ ").removeprefix("b/").strip()
        file.write_text(_applied(file.read_text(), lines[2:], f"{patch.name}: {file.relative_to(folder)}"))


def _applied(text: str, lines: list[str], where: str) -> str:
    hunks: list[list[str]] = []
    for line in lines:
        if _HUNK.match(line):
            hunks.append([])
        elif hunks and line[:1] in (" ", "+", "-", ""):
            hunks[-1].append(line or " ")
    for hunk in hunks:
        before = "\n".join(line[1:] for line in hunk if line[0] != "+").rstrip("\n")
        after = "\n".join(line[1:] for line in hunk if line[0] != "-").rstrip("\n")
        if text.count(before) != 1:
            raise Stale(f"{where}: these lines stand there {text.count(before)} times; make the patch anew:\n{before}")
        text = text.replace(before, after)
    return text


def caught_by(wanted: Mutation, folder: Path) -> dict[str, int]:
    """The invariants that the mutated package in *folder* violates, each with the first seed that shows it.

    Stops at the first seed that violates the wanted one. A process of its own: this one has the sound package.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    told = subprocess.run(
        [sys.executable, __file__, wanted.invariant, *map(str, wanted.seeds), wanted.profile],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    caught: dict[str, int] = json.loads(told.stdout)
    assert caught.pop(str(folder), None) == 0, "the sound package was simulated, not the mutated one"
    return caught


def _main(invariant: str, first: int, last: int, profile: str) -> None:
    sys.path.insert(1, str(HERE.parent))
    from judge import judged  # noqa: PLC0415
    from seeds import PROFILES  # noqa: PLC0415

    import orchestrator  # noqa: PLC0415 - the one that PYTHONPATH leads to

    caught = {str(Path(str(orchestrator.__file__)).parents[1]): 0}
    for seed in range(first, last):
        if profile and PROFILES[seed % len(PROFILES)] != profile:
            continue
        for violations in judged([seed]).failed.values():
            for violation in violations:
                caught.setdefault(violation.invariant, seed)
        if invariant in caught:
            break
    sys.stdout.write(json.dumps(caught))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
