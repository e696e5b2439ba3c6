"""What a stop or a start is refused for before any file of it is read."""

from pathlib import Path

import pytest
import typer

from orchestrator.interfaces.commands.act import Options, act


def test_a_run_that_is_not_there_is_told_before_the_missing_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((SystemExit, typer.Exit)):
        act("start", Options(recorded="nosuch", state_dir=tmp_path))
    said = capsys.readouterr().err
    assert "there is no snapshot 'nosuch'" in said
    assert "terminal" not in said
