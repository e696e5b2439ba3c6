"""What a run leaves beside the journal: whole, for its owner, and nowhere else than in its own folder."""

from pathlib import Path

import pytest

from orchestrator.adapters import run_folder
from orchestrator.domain.errors import OrchError

RUN = "20261121-0213-k7q2"


def test_a_file_is_there_whole_for_its_owner_and_in_place_of_one_before(tmp_path: Path) -> None:
    path = run_folder.leave(tmp_path, RUN, "undo.ps1", "one\r\n")
    assert run_folder.leave(tmp_path, RUN, "undo.ps1", "two\r\n") == path == tmp_path / "runs" / RUN / "undo.ps1"
    assert path.read_bytes() == b"two\r\n"
    assert run_folder.left(tmp_path, RUN, "undo.ps1") == (path, "two\n")
    assert run_folder.left(tmp_path, RUN, "redo.ps1") is None
    assert run_folder.left(tmp_path, "../runs", "undo.ps1") is None
    assert [entry.name for entry in path.parent.iterdir()] == ["undo.ps1"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_for_a_group_stays_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    path = run_folder.leave(tmp_path, RUN, "undo.ps1", "")
    assert path.stat().st_mode & 0o777 == 0o660
    assert path.parent.stat().st_mode & 0o777 == 0o770


@pytest.mark.parametrize("run", ["", "..", "a/b", "../../etc", "-x", "a\n"])
def test_only_a_runs_id_makes_up_a_path(tmp_path: Path, run: str) -> None:
    with pytest.raises(OrchError, match="no run's id"):
        run_folder.leave(tmp_path, run, "undo.ps1", "")
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / RUN).symlink_to(elsewhere)
    with pytest.raises(OrchError, match=r"can't be written.*no folder"):
        run_folder.leave(tmp_path, RUN, "undo.ps1", "x")
    assert list(elsewhere.iterdir()) == []
