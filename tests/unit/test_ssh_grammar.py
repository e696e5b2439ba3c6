"""Whatever a value holds, what goes over SSH is ASCII, reads as the same program, and gives the value back.

Judged by a grammar of PowerShell, by the quoting rules of a POSIX shell and by the lab's cmd.exe: none of them ours.
"""

import base64
import dataclasses
import re
import shlex
from collections.abc import Callable, Sequence

import pytest
import tree_sitter
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.ssh import powershell, sc
from orchestrator.domain.powershell_words import wildcard
from orchestrator.domain.service import Asked, Control
from orchestrator.lab.cmd import argv
from orchestrator.lab.cmd import parse as cmd

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
NASTY = st.sampled_from(
    ["'", '"', "`", "\u2018", "\u2019", "\u201a", "\u201b", "\u201c", "\n", "\r", "$(", ")", "#", ";"]
)
VALUES = st.lists(NASTY | st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=6).map("".join)
NAMES = VALUES.filter(bool)
NONCE = "0123456789abcdef"


def shape(script: str) -> str:
    """The tree of *script* without its texts. Fails if the grammar can't read it."""
    root = PARSER.parse(script.encode("ascii")).root_node
    assert not root.has_error, script
    return str(root)


def literals(script: str) -> list[str]:
    """What stands between single quotes, in order."""
    found: list[str] = []
    waiting = [PARSER.parse(script.encode("ascii")).root_node]
    while waiting:
        node = waiting.pop()
        if node.type == "verbatim_string_characters":
            assert node.text is not None
            found.append(node.text.decode("ascii")[1:-1])
        waiting += reversed(node.children)
    return found


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def inside(command: str) -> str:
    """The script of an encoded command, which any shell reads as so many plain words."""
    assert re.fullmatch(r"[A-Za-z0-9 +/=-]+", command)
    assert shlex.split(command) == command.split()
    assert command.startswith(powershell.ONCE)
    return base64.b64decode(command.removeprefix(powershell.ONCE), validate=True).decode("utf-16-le")


def line(say: Callable[[], str]) -> str:
    """A reader's line, which is one line and ASCII."""
    said = say()
    assert said.isascii()
    assert said.isprintable()
    return said


def test_what_a_reader_is_told_first_can_be_read() -> None:
    assert powershell.DEFINE.isascii()
    assert powershell.DEFINE.isprintable()
    shape(powershell.DEFINE)


@given(st.lists(st.builds(Asked, NAMES, st.booleans()), min_size=1, max_size=4))
def test_questions(asked: Sequence[Asked]) -> None:
    said = line(lambda: powershell.reading(NONCE, asked))
    harmless = powershell.reading(NONCE, [Asked("Web", one.pattern) for one in asked])
    assert shape(said) == shape(harmless)
    nonce, words = literals(said)
    assert nonce == NONCE
    told = [(word.startswith("*"), base64.b64decode(word.lstrip("*")).decode()) for word in words.split(",")]
    assert told == [(one.pattern, wildcard(one)) for one in asked]
    assert inside(powershell.alone(said)) == powershell.DEFINE + said


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_descriptors(names: Sequence[str]) -> None:
    said = line(lambda: powershell.descriptors(NONCE, names))
    assert shape(said) == shape(powershell.descriptors(NONCE, ["Web"]))
    assert literals(said) == [NONCE, ",".join(map(coded, names))]


@given(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=4))
def test_processes(pids: Sequence[int]) -> None:
    said = line(lambda: powershell.processes(NONCE, pids))
    assert shape(said) == shape(powershell.processes(NONCE, [4]))
    assert literals(said) == [NONCE, ",".join(map(str, pids))]
    for_cmd(sc.processes(NONCE))


def test_facts() -> None:
    assert literals(line(lambda: powershell.facts(NONCE))) == [NONCE]
    shape(powershell.facts(NONCE))


@given(NAMES, st.sampled_from(Control))
def test_controls(name: str, control: Control) -> None:
    script = inside(powershell.control(NONCE, name, control))
    assert shape(script) == shape(inside(powershell.control(NONCE, "Web", control)))
    assert literals(script).count(coded(wildcard(Asked(name)))) == 1


@given(NAMES, st.lists(VALUES, max_size=4))
def test_programs(exe: str, args: Sequence[str]) -> None:
    script = inside(powershell.program(NONCE, exe, args))
    assert shape(script) == shape(inside(powershell.program(NONCE, "x.exe", ["y"])))
    at = literals(script)
    called = [base64.b64decode(word).decode() for word in at[at.index(coded(exe)) :][:2]]
    assert called[0] == exe
    assert argv.split(called[1]) == list(args)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_sc_by_powershell(names: Sequence[str]) -> None:
    script = inside(powershell.sc(NONCE, sc.CONFIGURED, names))
    assert shape(script) == shape(inside(powershell.sc(NONCE, sc.CONFIGURED, ["Web"])))
    assert ",".join(map(coded, names)) in literals(script)


def for_cmd(command: str) -> str:
    """The line that reaches cmd.exe, by whichever shell."""
    assert command.isascii()
    program, q, d, c, text = shlex.split(command)
    assert (program, q, d, c) == ("cmd.exe", "/q", "/d", "/c")
    assert command == f'cmd.exe /q /d /c "{text}"'
    assert not set("\"'$`\\!") & set(text)
    root = PARSER.parse(command.encode()).root_node
    assert not root.has_error
    (words,) = [node for node in root.children[0].children if node.type == "pipeline"]
    assert words.text == command.encode()
    return text


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers(0, 4))
def test_lines_for_cmd_hold_plain_names_alone(names: Sequence[str], configured: int) -> None:
    plain = [name for name in names if sc.plain(name)]
    assert all(re.fullmatch("[A-Za-z0-9_.-]+", name) for name in plain)
    for_cmd(sc.states(NONCE, plain[configured:], plain[:configured]))


def outline(node: object) -> object:
    """A tree of cmd.exe without its texts."""
    if not dataclasses.is_dataclass(node):
        return [outline(each) for each in node] if isinstance(node, tuple) else type(node).__name__
    return type(node).__name__, [outline(getattr(node, field.name)) for field in dataclasses.fields(node)]


@given(st.lists(st.from_regex(r"[A-Za-z0-9_.-]{1,40}", fullmatch=True), min_size=2, max_size=6))
def test_cmd_reads_the_same_whatever_the_names(names: Sequence[str]) -> None:
    harmless = ["Web"] * len(names)
    said: list[Callable[[Sequence[str]], str]] = [
        lambda words: sc.states(NONCE, words[1:], words[:1]),
        lambda words: sc.descriptors(NONCE, words),
        lambda words: sc.control(NONCE, words[0], Control.STOP),
        lambda words: sc.program(NONCE, f"{words[0]}.exe", words[1:]),
    ]
    for say in said:
        assert outline(cmd.parse(for_cmd(say(names)))) == outline(cmd.parse(for_cmd(say(harmless))))


@given(st.lists(st.from_regex(r"[A-Za-z0-9_./=:-]{1,40}", fullmatch=True), min_size=1, max_size=6))
def test_cmd_hands_options_on_as_they_are(options: Sequence[str]) -> None:
    assert sc.plain_program("x.exe", options)
    tree = cmd.parse(for_cmd(sc.program(NONCE, "x.exe", options)))
    assert outline(tree) == outline(cmd.parse(for_cmd(sc.program(NONCE, "x.exe", ["y"]))))
    assert f"x.exe {' '.join(options)}" in repr(tree)


@pytest.mark.parametrize(
    ("exe", "args", "plain"),
    [
        ("netstat.exe", ("-a", "-n"), True),
        ("whoami.exe", ("/user",), True),
        ("sc.exe", ("config", "Web", "start=", "disabled"), True),
        ("del", ("x",), False),
        ("dir.exe", ("a b",), False),
        ("x.exe", ("a&b",), False),
        ("x.exe", ("%PATH%",), False),
        ("x.exe", ("a/b",), True),
        ("x/y.exe", (), False),
        ("x.exe", ("",), False),
        ("x.exe", ("a\\b",), False),
        ("x.exe", ("a,b",), False),
        ("x.exe", ('a"b',), False),
        ("x.exe", ("$x",), False),
        ("..\\x.exe", (), False),
        ("x.exe", ("a\n",), False),
    ],
)
def test_only_plain_programs_are_called_by_cmd(exe: str, args: Sequence[str], plain: bool) -> None:
    assert sc.plain_program(exe, args) is plain


def test_the_login_shell_is_asked_in_words_that_all_understand() -> None:
    said = powershell.shell_probe(NONCE)
    assert shlex.split(said) == ["echo", f"{NONCE}$PSHOME-{NONCE}"]
    assert not PARSER.parse(said.encode()).root_node.has_error
