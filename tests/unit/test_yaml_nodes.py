"""YAML as nodes: what PyYAML makes of it, with places; and input that attacks gets an error, soon."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import cpu_s, times

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.adapters.documents.composing import LARGEST
from orchestrator.domain.errors import Mark, Mistakes

SOON_S = 20.0
"""Generous, for a loaded machine: what is refused by size ends far earlier, what explodes never ends."""


def parse(text: str | bytes) -> object:
    return yaml_nodes.parse(text.encode() if isinstance(text, str) else text, "f.yaml").plain()


def wrong(text: str | bytes) -> list[tuple[int, int, str]]:
    with pytest.raises(Mistakes) as caught:
        parse(text)
    return [(one.mark.line, one.mark.column, f"{one.wrong}: {one.right}") for one in caught.value.mistakes]


@contextmanager
def soon() -> Iterator[None]:
    began_s = time.monotonic()
    yield
    assert time.monotonic() - began_s < SOON_S


SCALARS = [
    *(
        "1",
        "-1",
        "+1",
        "0",
        "00",
        "017",
        "08",
        "0x1F",
        "0b101",
        "1_000",
        "1:30",
        "190:20:30",
        "1.5",
        "-1.5",
        ".5",
        "1.",
    ),
    *("1e3", "1.0e+3", "1.5e-7", ".inf", "-.Inf", ".NAN", "1:30.5", "yes", "No", "TRUE", "on", "Off", "y", "n", "~"),
    *("null", "Null", "NULL", "none", "", "text", "10.0.0.1", "1.2.3", "0x", "0b2", "_1", "1__0", "+", ".", "nan"),
]


@pytest.mark.parametrize("text", SCALARS)
def test_a_plain_scalar_means_what_it_means_to_pyyaml(text: str) -> None:
    ours, theirs = parse(f"a: {text}"), yaml.safe_load(f"a: {text}")
    assert repr(ours) == repr(theirs)


@given(st.text(alphabet="0123456789abcdefxob_.:+-eEinfNaTyYs~", max_size=8))
@settings(deadline=None)
def test_any_short_plain_scalar_means_what_it_means_to_pyyaml(text: str) -> None:
    document = f"[{text}]"
    try:
        theirs = yaml.load(document, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):
        return
    if "datetime" not in repr(theirs) and "{" not in repr(theirs):
        assert repr(parse(document)) == repr(theirs)


TEXTS = st.characters(codec="utf-8", exclude_characters="\ue000\ue001")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(TEXTS, min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
@settings(deadline=None, max_examples=60)
def test_what_is_dumped_is_read_back_as_pyyaml_reads_it(value: object) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert parse(text) == yaml.load(text, Loader=yaml.CSafeLoader)


def test_text_stays_text() -> None:
    document = "a: 2026-11-21\nb: '10'\nc: =\nd: !!str 10\ne: |\n  yes\n"
    assert parse(document) == {"a": "2026-11-21", "b": "10", "c": "=", "d": "10", "e": "yes\n"}


def test_keys_are_text_as_written() -> None:
    assert parse("10: a\nyes: b\n0x10: c\n~: d\n") == {"10": "a", "yes": "b", "0x10": "c", "~": "d"}


def test_places_count_from_one() -> None:
    node = yaml_nodes.parse(b"# first\nall:\n  hosts: {web: 5}\n", "f.yaml")
    assert node.at(["all", "hosts", "web"]).mark == Mark("f.yaml", 3, 16)
    assert node.at(["all"]).key_mark("hosts") == Mark("f.yaml", 3, 3)


@pytest.mark.parametrize(
    "document",
    [
        "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n",
        "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {c: 9, <<: [*x, *y]}\n",
        "x: &x {a: 1}\ny: &y {<<: *x, b: 2}\nz: {<<: *y}\n",
        "<<: {a: 1}\nb: 2\n",
        "a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]\n",
        "&k key: &v value\nother: *v\n",
    ],
)
def test_anchors_and_merge_keys_work_as_in_pyyaml(document: str) -> None:
    assert parse(document) == yaml.safe_load(document)


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n", "\ufeff"])
def test_an_empty_document_is_nothing(text: str) -> None:
    assert parse(text) is None


def test_every_mistake_is_told_with_its_place() -> None:
    found = wrong('a: !vault x\nb: 1\nb: 2\nc: !!python/object:os.system y\nd: "\\ue000env:X\\ue001"\n')
    assert [place[:2] for place in found] == [(1, 4), (3, 1), (4, 4), (5, 4)]
    assert "!vault is not supported" in found[0][2]
    assert "secret(" in found[0][2]
    assert "first in line 2, column 1" in found[1][2]
    assert "!!python/object:os.system is not supported" in found[2][2]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a:\n\tb: 1", (2, 1), "spaces, not with tabs"),
        ("a: b: c", (1, 5), "stands in quotes"),
        ("a: {{ x }}\n", (1, 5), 'quotes: "{{ name }}"'),
        ("a: {{ x }}.y\n", (1, 5), 'quotes: "{{ name }}"'),
        ("a: [1, 2\nb: 3", (2, 2), "did not find expected"),
        (b"a: 1\nb: \xff", (2, 4), "UTF-8"),
        ("a: 1\n---\nb: 2\n", (2, 1), "second document"),
        ("a: 1\nb: x\x07", (2, 5), "U+0007"),
        ("a: *b", (1, 4), "nothing before it is called &b"),
        ("a: &a [*a]", (1, 8), "inside itself"),
        ("? [a, b]\n: 1\n", (1, 3), "a list where a key should stand"),
        ("'': 1\n", (1, 1), "a key without a name"),
        ("a: &x 1\n*x : 2\n", (2, 1), "a key is text"),
        ("<<: 5\n", (1, 5), "merges mappings"),
        ("a: !!int x\n", (1, 4), "no int"),
        ("a: \ue000env:X\ue001\n", (1, 4), "U+E000"),
        ("a: !unsafe x\n", (1, 4), "no template"),
    ],
)
def test_what_is_wrong_and_where(text: str | bytes, place: tuple[int, int], said: str) -> None:
    line, column, message = wrong(text)[0]
    assert (line, column) == place
    assert said in message


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 9)}]\n" for level in range(20)
)
MERGE_BOMB = "a: &a {k0: 1, k1: 1, k2: 1}\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} {{x: {{<<: *{chr(97 + level)}}}, y: *{chr(97 + level)}}}\n"
    for level in range(24)
)
WIDE_MERGES = (
    "x: &x {"
    + ",".join(f"k{key}: 1" for key in range(5_000))
    + "}\n"
    + "".join(f"y{index}: {{<<: *x}}\n" for index in range(20_000))
)
DEEP_BY_ALIASES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2_000))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(BOMB, "more than 500000 values", id="alias bomb"),
        pytest.param(MERGE_BOMB, "more than 500000 values", id="bomb of merge keys"),
        pytest.param(WIDE_MERGES, "more than 500000 values", id="one mapping merged everywhere"),
        pytest.param(DEEP_BY_ALIASES, "64 levels deep through aliases", id="depth by aliases"),
        pytest.param("[" * 1_000_000, "64 levels deep", id="brackets"),
        pytest.param("{a: " * 1_000_000, "64 levels deep", id="braces"),
        pytest.param("- " * 1_000_000, "64 levels deep", id="dashes"),
        pytest.param("? " * 100_000, "where a key should stand", id="complex keys"),
        pytest.param("a: 1\n" * 1_000_000, "stands twice", id="one key a million times"),
        pytest.param("a: " + "x" * (LARGEST - 10), "a value has at most", id="a scalar of 16 MiB"),
        pytest.param("x" * (LARGEST + 1), "larger than 16 MiB", id="a file beyond the limit"),
        pytest.param('a: "' + "\\x41" * 1_000_000 + '"', "a value has at most", id="escapes"),
        pytest.param("x" * 100_000 + ": 1\n", "no YAML", id="a long key"),
        pytest.param("a: " + "9" * 5_000, "stands in quotes", id="a number of 5,000 digits"),
        pytest.param("a: " + "1:1" * 20_000, "stands in quotes", id="a sexagesimal number"),
        pytest.param("a: !!int " + "1" * 60_000, "stands in quotes", id="a tagged number"),
        pytest.param("a: !<" + "x" * 1_000_000 + "> b", "is not supported", id="a long tag"),
        pytest.param("- x\n" * 510_000, "more than 500000 values", id="many values"),
    ],
)
def test_input_that_attacks_gets_an_error_soon(text: str, said: str) -> None:
    with soon():
        found = wrong(text)
    assert any(said in message for _, _, message in found), found[0]
    assert len(found) <= 100
    assert all(len(message) < 500 for _, _, message in found)


def test_an_alias_costs_no_copy() -> None:
    node = yaml_nodes.parse(b"a: &a {k: 1}\nb: *a\n", "f.yaml")
    assert node.at(["a"]) is node.at(["b"])


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("a: 1\n")
    assert yaml_nodes.read(file).plain() == {"a": 1}
    assert yaml_nodes.read(file, "shown.yaml").file == "shown.yaml"
    with pytest.raises(Mistakes, match=r"no such file\n.*nearest name there is inventory\.yaml"):
        yaml_nodes.read(tmp_path / "inventroy.yaml")
    with pytest.raises(Mistakes, match="no folder"):
        yaml_nodes.read(tmp_path / "nowhere" / "x.yaml")
    with pytest.raises(Mistakes, match="no file"):
        yaml_nodes.read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="left out: named pipes exist on POSIX systems alone")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(Mistakes, match="no file"):
        yaml_nodes.read(tmp_path / "pipe.yaml")


@pytest.mark.parametrize("text", ["a: {b: [1, two, ~]}\nc: &x {d: 1}\ne: {<<: *x}\n", "- a\n- 'b'\n- |\n  c\n"])
def test_the_pure_parser_gives_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = yaml_nodes.parse(text.encode(), "f")
    monkeypatch.setattr(yaml_nodes, "_LOADER", yaml.SafeLoader)
    assert yaml_nodes.parse(text.encode(), "f") == fast


@pytest.mark.cost
def test_ten_thousand_lines_cost_about_what_they_cost_pyyaml() -> None:
    text = "all:\n  hosts:\n" + "".join(
        f"    web-{n:04d}:\n      ansible_host: 10.0.{n // 250}.{n % 250}\n      rack: {n}\n" for n in range(3_333)
    )
    encoded = text.encode()
    theirs_s = partial(cpu_s, lambda: yaml.compose(text, Loader=yaml.CSafeLoader))
    ours_s = partial(cpu_s, lambda: yaml_nodes.parse(encoded, "f"))
    assert times("nodes to PyYAML's", theirs_s, ours_s, most=2.5) <= 2.5
