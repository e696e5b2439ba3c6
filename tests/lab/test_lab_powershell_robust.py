"""Whatever is sent to the lab's PowerShell, it answers: with output or with a PowerShell error, never by breaking."""

import base64
import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_powershell import CODE_PAGES, Ended, powershell, session

from orchestrator.lab.powershell.source import BadSyntax, parse

ATOMS = [
    "$x", "$_", "$null", "$true",
    "'a'", '"b$x"', "1", "2.5", "-3", "@()", "@(1,'b',$null)", "@{a=1}", "[ordered]@{z=1}",
    "[pscustomobject]@{p=1}", "(Get-Service Web)", "{ 1 }", "[int]", "'W*'", "[DateTime]::UtcNow", "$Error", "[char]65",
    "[byte[]](1,2)", "1..3",
    "$PSVersionTable", "[Text.Encoding]::UTF8", "'[a'", "'{0}'", "99999999999", "[Console]::Out",
    "(New-Object System.Text.StringBuilder)", "[TimeSpan]::FromSeconds(1)", "[System.Collections.ArrayList]@(1)",
]  # fmt: skip
BETWEEN = [
    "+", "-", "*", "/", "%", "-eq", "-ne", "-lt", "-like", "-match", "-replace", "-split", "-join", "-in", "-contains",
    "-is", "-as", "-f", "..", ",", "-and", "-xor", "-band", "-shl", "-ceq", "-notlike",
]  # fmt: skip
MEMBERS = [
    "Length", "Count", "Name", "Keys", "ToString()", "Split(',')", "Substring(1)", "Substring('a')", "Replace('','b')",
    "GetType().Name", "Add(1)",
    "Add()", "x", "y.z", "Ticks", "PadLeft(5)", "ToString('o')", "ToString('X4')", "Remove(0)",
    "GetBytes('a')", "WriteLine('x')", "Refresh()", "Insert(1)", "psobject.Properties", "RemoveAt(9)", "Invoke()",
]  # fmt: skip
COMMANDS = [
    "ForEach-Object { $_ }", "Where-Object { $_ }", "Select-Object -First 1", "Select-Object a,p", "Sort-Object",
    "Measure-Object -Sum", "ConvertTo-Json",
    "ConvertTo-Json -Compress -Depth 1", "Out-String", "Out-Null", "Get-Service",
    "Group-Object", "ConvertFrom-Json", "Select-Object -ExpandProperty a", "Sort-Object -Property p -Descending",
    "Get-ItemProperty", "Test-Path", "New-Object", "Write-Error", "Get-Date",
]  # fmt: skip
CASTS = [
    "[int]",
    "[string]",
    "[bool]",
    "[double]",
    "[int[]]",
    "[char]",
    "[byte]",
    "[datetime]",
    "[hashtable]",
    "[void]",
]
STATEMENTS = [
    "{0}", "if ({0}) {{ {1} }} else {{ {2} }}", "foreach ($i in {0}) {{ {1} }}", "try {{ {0} }} catch {{ {1} }}",
    "switch ({0}) {{ 1 {{ {1} }} default {{ {2} }} }}", "$x = {0}", "$x += {0}", "$x.p = {0}", "$x['a'] = {0}",
    "function f($a) {{ {0} }}; f {1}",
    "& {{ param($p) {0} }} {1}", "throw {0}", "[Math]::Max({0}, {1})", "$a, $b = {0}",
    "[string]::Join({0}, {1})", "[Convert]::FromBase64String({0})", "while ({0}) {{ break }}", "exit {0}", "$x++; {0}",
    "Get-Service -Name {0} -ErrorAction Stop", "sc.exe queryex {0}", "New-Object {0} {1}", "\"$({0})\"",
    "[Diagnostics.Process]::Start({0}, {1})", "ConvertTo-Json {0} -Depth {1}", "Select-Object -First {0}",
]  # fmt: skip
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def composed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(BETWEEN), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(MEMBERS)).map(lambda parts: f"({parts[0]}).{parts[1]}"),
        st.tuples(st.sampled_from(CASTS), inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        st.tuples(inner, st.sampled_from(COMMANDS)).map(lambda parts: f"({parts[0]} | {parts[1]})"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]})[{parts[1]}]"),
    )


EXPRESSIONS = st.recursive(st.sampled_from(ATOMS), composed, max_leaves=6)
PROGRAMS = st.tuples(st.sampled_from(STATEMENTS), EXPRESSIONS, EXPRESSIONS, EXPRESSIONS).map(
    lambda parts: parts[0].format(*parts[1:])
)


def sent(*lines: str) -> Ended:
    with tempfile.TemporaryDirectory() as folder:
        return session(Path(folder), *(line.encode(CODE_PAGES["en"], "replace") for line in lines))


@QUIET
@given(PROGRAMS, PROGRAMS)
def test_a_program_that_reads_well_ends_somehow(one: str, other: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ended = powershell(Path(folder), ["-Command", f"{one}; {other}"])
    assert ended.code in range(2**32)


@QUIET
@given(
    st.lists(
        st.text(alphabet=st.sampled_from("abx1$@(){}[]'\"`|;,.:&<>=-+*/%!# _\u2019\u00e9"), max_size=30), max_size=3
    )
)
def test_any_text_is_answered_and_the_session_goes_on(lines: list[str]) -> None:
    if any("exit" in line for line in lines):
        return
    assert sent(*lines, "", "'still here'").lines[-1:] == ["still here"]


@QUIET
@given(st.text(max_size=60))
def test_a_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadSyntax):
        assert parse(text).kind == "program"


@QUIET
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=40))
def test_a_value_in_base64_arrives_as_it_is(value: str) -> None:
    coded = base64.b64encode(value.encode()).decode()
    text = f"$v = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{coded}'))"
    back = sent(text, "[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($v)); $v.Length")
    assert back.lines == [coded, str(len(value.encode("utf-16-le")) // 2)]


@QUIET
@given(st.text(alphabet=st.characters(codec="cp850", exclude_characters='\r\n\0`$"'), max_size=40))
def test_a_quoted_string_is_its_text(value: str) -> None:
    quoted = "".join(char * 2 if char in "'\u2018\u2019\u201a\u201b" else char for char in value)
    coded = base64.b64encode(value.encode()).decode()
    with tempfile.TemporaryDirectory() as folder:
        text = f"[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes('{quoted}'))"
        assert powershell(Path(folder), ["-Command", text]).lines == [coded]
