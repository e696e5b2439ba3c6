"""The simulation catches what it is there for: each mutation, by the invariant that it names."""

from pathlib import Path

import pytest
from mutating import PATCHES, caught_by, mutate, mutation
from test_simulation import SEEDS


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_mutation_is_caught_by_the_invariant_that_it_names(patch: Path, tmp_path: Path) -> None:
    wanted = mutation(patch)
    assert wanted.seeds[1] <= SEEDS, "mutations are caught within the seeds that every run of the tests plays"
    mutate(patch, tmp_path)
    caught = caught_by(wanted, tmp_path)
    assert wanted.invariant in caught, f"not caught; what was: {caught}"
