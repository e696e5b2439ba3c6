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


@pytest.mark.parametrize("action", ["start", "stop"])
def test_what_is_no_restart_can_t_be_rolling(action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        act(action, Options(plan=tmp_path / "shop.yaml", rolling=True, state_dir=tmp_path))
    assert ended.value.exit_code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"error: --rolling says nothing of a {action}: it is how a restart goes" in said
    assert "try: orch restart --rolling takes instances down and up again" in said
