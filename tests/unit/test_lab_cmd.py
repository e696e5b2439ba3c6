"""cmd.exe of a virtual host: what becomes of a command line. No socket: the host is in memory."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab import codepages
from orchestrator.lab.cmd import argv, run
from orchestrator.lab.cmd.launch import Screen, command_line
from orchestrator.lab.fleet import parse
from orchestrator.lab.host import Host
from orchestrator.lab.programs import Where
from orchestrator.lab.record import Record


@dataclasses.dataclass
class Paper:
    """A console that keeps what is written on it."""

    out: bytes = b""
    errors: bytes = b""

    async def line(self) -> bytes | None:
        return None

    def write(self, data: bytes) -> None:
        self.out += data

    def write_error(self, data: bytes) -> None:
        self.errors += data


@pytest.fixture
def record(tmp_path: Path) -> Any:
    record = Record(tmp_path / "log.jsonl")
    yield record
    record.close()


class Cmd:
    """Runs command lines, each in a fresh `cmd.exe /c`."""

    def __init__(self, record: Record, language: str = "en") -> None:
        self._record = record
        self._language = language

    def __call__(self, line: str) -> tuple[int, str, str]:
        """Exit code, output and errors, as text with plain newlines."""
        code, paper = self.raw(line)
        page = "cp437" if self._language == "en" else "cp850"
        return code, paper.out.decode(page).replace("\r\n", "\n"), paper.errors.decode(page).replace("\r\n", "\n")

    def raw(self, line: str) -> tuple[int, Paper]:
        async def there() -> int:
            services = [{"name": "A", "display_name": "Größe’s"}, {"name": "Stop ped", "state": "Stopped"}]
            described = {"name": "db-01", "address": "127.1.2.3", "language": self._language, "services": services}
            host = Host(parse({"dir": "/nowhere", "hosts": [described]}).hosts[0], self._record, {})
            return await run.execute(Where(host, "admin"), line, paper, Screen(codepages.oem(self._language)))

        paper = Paper()
        return asyncio.run(there()), paper


@pytest.fixture
def cmd(record: Record) -> Cmd:
    return Cmd(record)


OUTPUTS = [
    ("echo a", "a\n"),
    ("  @echo a", "a\n"),
    ("ECHO a  b ", "a  b \n"),
    ('echo "a  b"', '"a  b"\n'),
    ("echo.", "\n"),
    ("echo(", "\n"),
    ("echo.a", "a\n"),
    ("echo", "ECHO is on.\n"),
    ("echo off & echo", "ECHO is off.\n"),
    ("echo a&echo b", "a\nb\n"),
    ("echo a & echo b", "a \nb\n"),
    ("echo a &", "a \n"),
    ("echo a && echo b", "a \nb\n"),
    ("lab-exit 1 && echo b", ""),
    ("lab-exit 1 || echo b", "b\n"),
    ("lab-exit 1 && echo b || echo c", "c\n"),
    ("lab-exit 0 || echo b & echo c", "c\n"),
    ("lab-exit 1 & lab-exit 0 && echo b", "b\n"),
    ("lab-exit 1 || lab-exit 2 || echo b", "b\n"),
    ("(echo a) & (echo b)", "a\nb\n"),
    ("lab-exit 1 && (echo a & echo b)", ""),
    ("(lab-exit 1 & echo a) && echo b", "a\nb\n"),
    ("(lab-exit 1 || (echo a)) && (echo b)", "a\nb\n"),
    ("echo a)", "a)\n"),
    ("(echo a^))", "a)\n"),
    ('(echo "a)")', '"a)"\n'),
    ("echo a^&b", "a&b\n"),
    ('echo "a&b"', '"a&b"\n'),
    ('echo "a^&b"', '"a^&b"\n'),
    ("echo a^^b", "a^b\n"),
    ("echo a^", "a\n"),
    ('echo ^"a & echo b', '"a \nb\n'),
    ("echo a^|b", "a|b\n"),
    ("echo %COMPUTERNAME% %username%", "DB-01 admin\n"),
    ("echo %ErrorLevel%", "0\n"),
    ("echo %nobody%", "%nobody%\n"),
    ("echo 100%", "100%\n"),
    ("echo %% %", "%% %\n"),
    ("echo %nobody% %username%", "%nobody% admin\n"),
    ("lab-exit 7 & echo %errorlevel%", "0\n"),
    ("lab-exit 7 & echo %^errorlevel%", "%errorlevel%\n"),
    ("lab-exit 7 & call echo %^errorlevel%", "7\n"),
    ("lab-exit 7 & echo x>nul & call echo %^errorlevel%", "7\n"),
    ("lab-exit 7 & call echo a%^errorlevel%b%^username%", "a7badmin\n"),
    ('call echo "^a" ^^b', '"^^a" ^b\n'),
    ("lab-exit 3221225786 & call echo %^errorlevel%", "-1073741510\n"),
    ("call lab-exit 3 x & call echo %^errorlevel%", "x\n3\n"),
    ("echo a>nul", ""),
    ("echo a >NUL 2>&1 & echo b", "b\n"),
    ("echo a 1>nul & echo b", "b\n"),
    (">nul echo a & echo b", "b\n"),
    ("(echo a & echo b) >nul & echo c", "c\n"),
    ("echo a>&2", ""),
    (
        "nosuch 2>&1",
        "'nosuch' is not recognized as an internal or external command,\noperable program or batch file.\n",
    ),
    ("nosuch 2>nul & call echo %^errorlevel%", "9009\n"),
    ("nosuch 2>nul || echo b", "b\n"),
    ("echo a1>nul & echo b", "b\n"),
    ('echo "a>nul"', '"a>nul"\n'),
    ("for %x in (a b c) do @echo %x", "a\nb\nc\n"),
    ('for %x in (a,b;"c d") do @echo %x-%~x', 'a-a\nb-b\n"c d"-c d\n'),
    ("for %x in (a b) do @(echo %x & echo %X)", "a \n%X\nb \n%X\n"),
    ("for %x in (1 2) do @for %y in (a b) do @echo %x%y", "1a\n1b\n2a\n2b\n"),
    ("for /l %i in (3,-1,1) do @echo %i", "3\n2\n1\n"),
    ("for %x in (a&b) do @echo %x", "a&b\n"),
    ("for %x in (a) do @echo %x & echo y", "a \ny\n"),
    ("(for %x in (a b) do @echo %x) & echo y", "a\nb\ny\n"),
    ("for %x in (*.txt) do @echo %x", ""),
    ("for %x in (a b) do echo %x", "\nC:\\Users\\admin>echo a \na\n\nC:\\Users\\admin>echo b \nb\n"),
    ("for %x in (1 7) do @(lab-exit %x & call echo %x is %^errorlevel%)", "1 is 1\n7 is 7\n"),
    ("rem a & echo b", ""),
    ("echo a & rem b & echo c", "a \n"),
    ("chcp", "Active code page: 437\n"),
    ("chcp 850", "Active code page: 850\n"),
    ("chcp 99999 & call echo %^errorlevel%", "Invalid code page\n1\n"),
    ('cmd /c "echo a & echo b"', "a \nb\n"),
    ("cmd.exe /c echo a & echo b", "a \nb\n"),
    ('cmd /c "lab-exit 7 & call echo %^errorlevel%" & echo b', "7 \nb\n"),
    ('cmd /q /d /s /c "echo "a b""', '"a b"\n'),
    ('cmd /Q /c "(for %x in (a b) do (echo %x & echo y)) & echo z"', "a \ny\nb \ny\nz\n"),
    ('cmd /c "cmd /c "echo a""', "a\n"),
    ("exit 3 & echo b", ""),
    ("exit /b 3 & echo b", ""),
    ("cmd /c exit 3 & echo b", "b\n"),
    ('"C:\\Windows\\System32\\hostname.exe"', "db-01\n"),
    ("C:\\Windows\\System32\\HOSTNAME", "db-01\n"),
    ('lab-exit.exe 0 "a b"', "a b\n"),
    ("", ""),
    (" ", ""),
    ("echo a\necho b", "a\n"),
]


@pytest.mark.parametrize(("line", "said"), OUTPUTS, ids=[line for line, _ in OUTPUTS])
def test_it_says(cmd: Cmd, line: str, said: str) -> None:
    assert cmd(line)[1] == said


CODES = [
    ("echo a", 0), ("lab-exit 1060", 1060), ("lab-exit -1", -1), ("lab-exit 7 & echo a", 0), ("nosuch", 1),
    ("exit 1060", 1060), ("exit /b 5", 5), ("EXIT /B", 0), ("lab-exit 7 & exit", 7), ("cmd /c exit 9", 9),
    ("lab-exit 7 || lab-exit 8", 8), ("lab-exit 7 && lab-exit 8", 7), ("(lab-exit 7)", 7), ("@lab-exit 7", 7),
    ("call lab-exit 7", 7), ("for %x in (3 4) do @lab-exit %x", 4), ("sc.exe query nobody", 1060), ("rem", 0),
    ('sc query "stop ped"', 0), ("sc start=", 87),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code"), CODES, ids=[line for line, _ in CODES])
def test_it_ends_with(cmd: Cmd, line: str, code: int) -> None:
    assert cmd(line)[0] == code


REFUSALS = [
    ("& echo a", "& was unexpected at this time.\n"),
    ("echo a && && echo b", "& was unexpected at this time.\n"),
    ("(echo a", "The syntax of the command is incorrect.\n"),
    ("(echo a) echo b", "echo was unexpected at this time.\n"),
    ("echo a >", "> was unexpected at this time.\n"),
    ("echo a | echo b", "This cmd.exe is a lab's and has no pipes\n"),
    ("if 1==1 echo a", "This cmd.exe is a lab's and has no if\n"),
    ("for /f %x in (a) do @echo %x", "This cmd.exe is a lab's and has no for\n"),
    ("set A=b", "This cmd.exe is a lab's and has no set\n"),
    ("echo a >file.txt", "This cmd.exe is a lab's and has no redirection to file.txt\n"),
    ("echo %username:a=b%", "This cmd.exe is a lab's and has no %username:a=b%\n"),
    ("call :label", "This cmd.exe is a lab's and has no call to a label\n"),
    ("cmd", "This cmd.exe is a lab's and has no cmd.exe without /c\n"),
    ("echo " + "x" * 8187, "The command line is too long.\n"),
    ("echo %userprofile%" + "x" * 8173, "The command line is too long.\n"),
]


@pytest.mark.parametrize(("line", "said"), REFUSALS, ids=[line[:40] for line, _ in REFUSALS])
def test_it_refuses_by_name_what_it_can_not_do(cmd: Cmd, line: str, said: str) -> None:
    assert cmd(line) == (1, "", said)


def test_the_longest_line_is_carried_out(cmd: Cmd) -> None:
    assert cmd("echo " + "x" * 8186) == (0, "x" * 8186 + "\n", "")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", 'Der Befehl "nosuch" ist entweder falsch geschrieben oder\nkonnte nicht gefunden werden.\n'),
        (
            "fr",
            "'nosuch' n'est pas reconnu en tant que commande interne\n"
            "ou externe, un programme exécutable ou un fichier de commandes.\n",
        ),
    ],
)
def test_it_speaks_the_hosts_language(record: Record, language: str, said: str) -> None:
    assert Cmd(record, language)("nosuch") == (1, "", said)


def test_text_is_written_in_the_code_page_of_the_console(record: Record) -> None:
    assert Cmd(record).raw("echo Größe")[1].out == b"Gr\x94\xe1e\r\n"
    assert b"DISPLAY_NAME       : Gr\x94\xe1e's\r\n" in Cmd(record, "de").raw("sc qc A")[1].out
    assert Cmd(record, "de").raw("chcp 65001 >nul & echo Größe")[1].out == "Größe\r\n".encode()
    assert Cmd(record, "fr").raw("echo Ж")[1].out == b"?\r\n"
    assert Cmd(record, "de").raw("chcp 1252 & echo ü")[1].out == b"Aktive Codepage: 1252.\r\n\xfc\r\n"


ARGUMENTS = [
    ("a b", ["a", "b"]),
    ('"a b" c', ["a b", "c"]),
    ('a"b c"d', ["ab cd"]),
    ('""', [""]),
    ('a\\"b', ['a"b']),
    ('"a\\\\" b', ["a\\", "b"]),
    ("a\\\\b", ["a\\\\b"]),
    ('"a ""b"" c"', ['a "b" c']),
    ('"a\\\\\\"b"', ['a\\"b']),
    ("\ta\t", ["a"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "found"), ARGUMENTS, ids=[text for text, _ in ARGUMENTS])
def test_a_program_finds_its_arguments_as_microsofts_runtime_does(text: str, found: list[str]) -> None:
    assert argv.split(text) == found


LINES = [
    (" /c echo a", "echo a"),
    (' /c "echo a & echo b"', "echo a & echo b"),
    (' /c "C:\\Program Files\\x.exe" y', '"C:\\Program Files\\x.exe" y'),
    (' /s /c "C:\\Program Files\\x.exe"', "C:\\Program Files\\x.exe"),
    (' /c ""C:\\Program Files\\x.exe" "y z""', '"C:\\Program Files\\x.exe" "y z"'),
    (' /c "a" & b', "a & b"),
    (" /v:on /c x", "x"),
    (" /k x", None),
    ("", None),
]


@pytest.mark.parametrize(("tail", "line"), LINES, ids=[tail for tail, _ in LINES])
def test_the_quotes_around_a_nested_line_are_taken_off_as_cmd_does(tail: str, line: str | None) -> None:
    assert command_line(tail) == line
