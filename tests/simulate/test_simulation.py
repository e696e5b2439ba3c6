"""The simulation itself: its seeds hold, everything was put to the test, a seed replays, the checker stands alone."""

import ast
import os
import sys
from pathlib import Path

import pytest
from checker import INVARIANTS
from judge import SAME_END, judged
from night import played
from seeds import PROFILES, script
from simulate import missing, simulated

SEEDS = 2000
"""What every run of the tests plays; `make simulate SEEDS=100000` plays more."""
HERE = Path(__file__).parent
CHECKER = sorted(["checker.py", "course.py", "staging.py", *(path.name for path in HERE.glob("rule*.py"))])


def test_no_seed_violates_an_invariant_and_each_is_put_to_the_test() -> None:
    tally = simulated(0, SEEDS, cores=os.cpu_count() or 1)
    told = "\n".join(f"make simulate SEED={seed}: {tally.failed[seed][0]}" for seed in sorted(tally.failed))
    assert not tally.failed, told
    assert missing(tally) == []
    assert tally.seeds == SEEDS


@pytest.mark.parametrize("profile", range(len(PROFILES)), ids=PROFILES)
def test_a_seed_replays_exactly(profile: int) -> None:
    seed = len(PROFILES) * 7 + profile
    assert script(seed).profile == PROFILES[profile]
    assert played(script(seed)) == played(script(seed))


def test_seeds_share_nothing() -> None:
    alone = judged([37])
    assert judged([36, 37, 38]).failed.get(37) == alone.failed.get(37)
    assert played(script(37)) == played(script(37))


@pytest.mark.parametrize("file", CHECKER)
def test_the_checker_imports_nothing_of_the_product(file: str) -> None:
    for node in ast.walk(ast.parse((HERE / file).read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            known = f"{name}.py" in CHECKER or name.partition(".")[0] in sys.stdlib_module_names
            assert known, f"{file} imports {name}: the checker judges from outside"


def test_the_docs_tell_of_every_invariant_and_every_profile() -> None:
    page = (HERE.parents[1] / "docs" / "simulation.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    told = {word.strip() for row in rows for word in row.split(",")}
    assert [name for name in (*INVARIANTS, SAME_END, *PROFILES) if name not in told] == []
