"""powershell.exe of the lab as a program: its arguments, the session on its standard input, code pages, its end."""

import asyncio
import base64
from pathlib import Path

import pytest
from virtual_powershell import Console, host_of, powershell, script, session
from virtual_time import in_virtual_time

from orchestrator.lab.powershell import program
from orchestrator.lab.programs import Where


def encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


ARGUMENTS = [
    (["-Command", "1 + 1"], "2"),
    (["/c", "1", "+", "1"], "2"),
    (["1 + 1"], "2"),
    (["-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded("'\u00e9'")], "\u00e9"),
    (["-nop", "-noni", "-ep", "Bypass", "-enc", encoded("'x'")], "x"),
    (["-ExecutionPolicy", "Bypass", "-OutputFormat", "Text", "-InputFormat", "None", "-e", encoded("'y'")], "y"),
    (["-COMMAND", "$args.Count"], "0"),
]


@pytest.mark.parametrize(("arguments", "said"), ARGUMENTS, ids=[" ".join(given)[:40] for given, _ in ARGUMENTS])
def test_switches_in_every_spelling(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = powershell(tmp_path, arguments)
    assert (ended.code, ended.output, ended.errors) == (0, f"{said}\r\n", "")


@pytest.mark.parametrize(
    "arguments", [["-Nope"], ["-Command"], ["-EncodedCommand", "!"], ["-EncodedCommand"], ["-Command", "-", "x"]]
)
def test_what_is_no_switch_gets_the_usage(tmp_path: Path, arguments: list[str]) -> None:
    ended = powershell(tmp_path, arguments)
    assert ended.code == 0xFFFD0000
    assert "PowerShell[.exe]" in ended.errors
    assert ended.output == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1", 0),
        ("exit 7", 7),
        ("exit -1", 0xFFFFFFFF),
        ("exit 1060", 1060),
        ("throw 1", 1),
        ("nosuch", 1),
        ("sc.exe queryex nope", 1),
    ],
)
def test_exit_codes(tmp_path: Path, text: str, code: int) -> None:
    assert script(tmp_path, text).code == code


def test_a_session_keeps_what_its_lines_define(tmp_path: Path) -> None:
    ended = session(tmp_path, "$x = 1; function f($n) { $n + $x }", "f 2", "", "$x = 5", "f 2", "throw 'x'", "f 3")
    assert ended.lines == ["3", "7", "8"]
    assert ended.code == 0


def test_unfinished_input_waits_for_an_empty_line(tmp_path: Path) -> None:
    ended = session(
        tmp_path, "function f {", "  'in'", "}", "'not yet'", "", "f", "if ($true) {", "'lost at the end'", "}"
    )
    assert ended.lines == ["not yet", "in"]


def test_wrong_input_is_told_and_the_session_goes_on(tmp_path: Path) -> None:
    ended = session(tmp_path, "'a' )", "'b'", "exit 3", "'c'")
    assert ended.lines == ["b"]
    assert "UnexpectedToken" in ended.errors
    assert ended.code == 3


def test_output_of_a_line_is_there_before_the_next_is_read(tmp_path: Path) -> None:
    """A client may wait for an answer before it says more."""

    class Careful(Console):
        async def line(self) -> bytes | None:
            seen.append(self.output)
            return await super().line()

    seen: list[bytes] = []

    @in_virtual_time
    async def run() -> None:
        await program.run(Where(host_of(tmp_path), "admin"), ["-Command", "-"], Careful([b"'one'", b"'two'\r"]))

    run()
    assert seen == [b"", b"one\r\n", b"one\r\ntwo\r\n"]


@pytest.mark.parametrize(
    ("language", "page", "shown"), [("de", "cp850", "\u00e9 \u00a9 ?"), ("en", "cp437", "\u00e9 c ?")]
)
def test_what_a_code_page_lacks_is_lost(tmp_path: Path, language: str, page: str, shown: str) -> None:
    said = script(tmp_path, "'\u00e9 \u00a9 \u6f22'", language).output
    assert said.replace("? ?", "c ?") == f"{shown}\r\n"


def test_a_console_may_be_set_to_utf8(tmp_path: Path) -> None:
    ended = powershell(tmp_path, ["-c", "[Console]::OutputEncoding = [Text.Encoding]::UTF8; '\u6f22'"])
    assert ended.output.encode("cp437") == "\u6f22\r\n".encode()


def test_errors_of_an_encoded_command_are_clixml_unless_a_format_is_given(tmp_path: Path) -> None:
    assert powershell(tmp_path, ["-enc", encoded("nosuch")]).errors.startswith("#< CLIXML\r\n<Objs ")
    assert powershell(tmp_path, ["-o", "Text", "-enc", encoded("nosuch")]).errors.startswith("nosuch : The term")


def test_streams_lead_where_redirections_say(tmp_path: Path) -> None:
    text = (
        "$e = Get-Service nope 2>&1; $e.FullyQualifiedErrorId.Length -gt 9;"
        " Get-Service nope 2>$null; 'x' > $null; $Error.Count"
    )
    ended = script(tmp_path, text)
    assert (ended.lines, ended.errors) == (["True", "2"], "")


def test_programs_get_their_arguments_and_give_lines_and_a_code(tmp_path: Path) -> None:
    ended = script(
        tmp_path, "$p = 'a b','c'; & lab-exit.exe 3 @p; $LASTEXITCODE; $?; (& 'sc.exe' queryex Web)[1]; $LASTEXITCODE"
    )
    assert ended.lines == ["a b", "c", "3", "True", "SERVICE_NAME: Web ", "0"]
    assert "Set-Content" in script(tmp_path, "sc queryex Web").errors  # which `sc` is an alias of
    assert "CommandNotFoundException" in script(tmp_path, "& no-such.exe 1").errors


def test_arguments_reach_programs_as_5_1_hands_them_over(tmp_path: Path) -> None:
    """Quotes within an argument are lost, empty arguments vanish: that is what 5.1 does."""
    assert script(tmp_path, "lab-exit.exe 0 'a\"b\"c' '' x-y -z:1 007 'c\\'").lines == [
        "abc",
        "x-y",
        "-z:1",
        "007",
        "c\\",
    ]


def test_a_started_process_has_streams_and_a_code(tmp_path: Path) -> None:
    text = (
        "$p = New-Object System.Diagnostics.ProcessStartInfo; $p.FileName = 'lab-exit.exe'; $p.Arguments = '5 \"a b\"';"
        "$p.UseShellExecute = $false; $p.RedirectStandardOutput = $true; $x = [Diagnostics.Process]::Start($p);"
        '$o = $x.StandardOutput.ReadToEnd(); $x.WaitForExit(); "$($x.ExitCode) $($o.Trim())";'
        "$p.FileName = 'none.exe';"
        "try { [Diagnostics.Process]::Start($p) } catch { $_.Exception.InnerException.NativeErrorCode }"
    )
    assert script(tmp_path, text).lines == ["5 a b", "2"]


def test_an_endless_loop_ends_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.lab.powershell.frame.BUDGET", 20_000)
    ended = session(tmp_path, "while ($true) {}", "'on'")
    assert ended.lines == ["on"]
    assert "never ends" in ended.errors


def test_others_run_beside_a_busy_script_and_it_can_be_cancelled(tmp_path: Path) -> None:
    @in_virtual_time
    async def run() -> None:
        busy = asyncio.create_task(
            program.run(Where(host_of(tmp_path), "admin"), ["-c", "while ($true) { Start-Sleep 1 }"], Console())
        )
        await asyncio.sleep(30)
        assert not busy.done()
        busy.cancel()
        with pytest.raises(asyncio.CancelledError):
            await busy

    run()
