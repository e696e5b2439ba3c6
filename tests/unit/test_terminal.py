"""What is said to a person, and who that person is."""

import json
import os
import pwd
import sys
from pathlib import Path

import pytest
import typer
from rich.table import Table

from orchestrator.adapters.requester import requester
from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.terminal import err, out, print_json, say


def test_what_a_host_said_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say("2 hosts:\n  a: \x1b[2J\x1b]0;title\x07refused\r\n  b: \u202egnol")
    assert capsys.readouterr().err == "2 hosts:\n  a: refused\n  b: \\u202egnol\n"


def test_json_moves_no_cursor_and_keeps_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"user": "\x9b31m\u202egnol\x1b]0;t\x07 ü"}
    print_json(json.dumps(value))
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown) == value


@pytest.mark.parametrize(("columns", "width"), [("120", 120), ("", 160), ("0", 160), ("wide", 160)])
def test_what_is_piped_is_as_wide_as_columns_say_and_has_no_blanks_at_the_ends(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for console in (out(), err()):
        table = Table.grid()
        table.add_row("one", "x" * 500)
        table.add_row("two", "")
        console.print(table)
        assert console.width == width
    for text in capsys.readouterr():
        lines = text.splitlines()
        assert (max(map(len, lines)), [line.rstrip() for line in lines]) == (width, lines)


def test_the_name_of_a_file_that_is_wrong_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), boundary(tmp_path):
        raise Mistakes([Mistake(Mark("a\x1b[31mb\u202e.ini", 1, 2), "no inventory")])
    assert capsys.readouterr().err.splitlines()[0] == "error: ab\\u202e.ini:1:2: no inventory"


def test_saying_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    say("nobody listens")


def test_a_user_without_a_name_can_begin_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert requester().startswith("uid ")


def test_who_types_is_the_account_and_not_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.delenv("SUDO_USER", raising=False)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ann")
    assert requester() == account
    monkeypatch.setenv("SUDO_USER", "bob")
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert requester() != "bob"
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert requester() == "bob"
