"""INI, listings, programs and folders: every mistake with its place, and nothing that a program does holds us up."""

import json
import shlex
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.documents import inventory_script, json_nodes
from orchestrator.adapters.documents.ini_inventory import declare_ini, split_words
from orchestrator.adapters.documents.inventory_files import load
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.inventory.declaring import Declaration
from orchestrator.domain.inventory.listing import declare_listing, is_listing
from orchestrator.domain.inventory.merging import MOST_CIRCLES
from orchestrator.domain.tree import Node


def written(folder: Path, name: str, text: str, *, mode: int = 0o644) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def told(*paths: Path, below: Path) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        load(paths)
    return [str(one).replace(str(below) + "/", "").replace("\n    ", " | ") for one in caught.value.mistakes]


def test_every_mistake_in_an_ini_inventory_has_its_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "hosts",
        "web-1 role=front rack 5\n"
        "  web-[3:1]\n"
        "web-2:\n"
        "[db one]\n"
        "[app:hosts2]\n"
        "[lost:vars]\n"
        "just words\n"
        "[prod:children]\n"
        "  nowhere   # soon\n"
        "two names\n"
        "[web]\n"
        "web-3 text='open\n"
        "web-4:99999\n"
        "web-5 x={[1]:2}\n"
        "web-6 x=\\ue000\n"
        "web-7 x='\"\\ue000\"'\n"
        "[ungrouped:children]\n"
        "web\n"
        "[all:vars]\n"
        "ansible_group_priority=high\n",
    )
    assert told(path, below=tmp_path) == [
        "hosts:1:18: 'rack' is no variable | write NAME=VALUE, without blanks around the =; a comment begins with #",
        "hosts:1:23: '5' is no variable | write NAME=VALUE, without blanks around the =; a comment begins with #",
        "hosts:2:3: [3:1] is empty: 3 comes after 1",
        "hosts:3:1: 'web-2:' is no host name | INI lines are NAME, NAME:PORT or NAME VARIABLE=VALUE;"
        " files with YAML end in .yaml",
        "hosts:4:1: '[db one]' is no section | write [GROUP], [GROUP:children] or [GROUP:vars], without blanks",
        "hosts:5:1: [app:hosts2] is no section | known: [app], [app:children], [app:vars]",
        "hosts:6:1: [lost:vars] is for a group that is nowhere | write [lost]",
        "hosts:7:1: 'just words' is no variable | write NAME=VALUE",
        "hosts:9:3: [prod:children] names 'nowhere', a group that is nowhere | write [nowhere], or take it out",
        "hosts:10:1: 'two names' is no group name | one name of a group in a line",
        "hosts:12:1: a quotation that begins here is not closed | close it; a quote that is text is \\' or \\\"",
        "hosts:13:1: 99999 is no port; a port is a number from 1 to 65535",
        "hosts:14:7: this looks like a Python literal and is none | put it in quotes",
        "hosts:16:7: U+E000 and U+E001 are not allowed in text | remove the invisible character",
        "hosts:18:1: 'ungrouped' can't hold 'web' | `ungrouped` is for hosts that are in no other group",
        "hosts:20:24: ansible_group_priority is text | a whole number",
    ]


def test_a_value_of_an_ini_inventory_knows_its_place(tmp_path: Path) -> None:
    path = written(tmp_path, "hosts.ini", "[web]\nweb-1  role=front  text='two words'\n[web:vars]\n  x = 5 # five\n")
    host = load(path).hosts["web-1"]
    assert dict(host.variables) == {"role": "front", "text": "two words", "x": 5}
    assert [tuple(host.marks[name])[1:] for name in ("role", "text", "x")] == [(2, 8), (2, 20), (4, 7)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[web] front\na-1\n", ["1:1: text behind [web] | remove it; a comment begins with #"]),
        ("a-1\n[all:vars] ; note\nx=1\n", ["2:1: text behind [all:vars] | remove it; a comment begins with #"]),
        ("a-1 x={{ y }}\n", ["1:10: 'y' is no variable | a value with blanks stands in quotes", "1:12: '}}' is no"]),
        ("a-1 x=C:\\\n", ["1:1: this line ends in a backslash | write \\\\ for one that is text"]),
        ("a-1\n[all:vars]\nx='\\ud800'\n", ["3:3: half of a character | remove"]),
        ("a-1\n[all:vars]\nx=b'\\xff'\n", ["3:3: half of a character | remove"]),
        ("a-1\n[all:vars]\nx='\\ue001'\n", ["3:3: U+E000 and U+E001 are not allowed in text | remove"]),
    ],
)
def test_an_ini_mistake_is_told_once_and_says_what_to_write(tmp_path: Path, text: str, said: list[str]) -> None:
    found = told(written(tmp_path, "h", text), below=tmp_path)
    assert [one.startswith(f"h:{begin}") for one, begin in zip(found, said, strict=True)] == [True] * len(said), found


def test_groups_that_all_hold_each_other_are_told_in_time_and_in_short(tmp_path: Path) -> None:
    names = [f"g{number:02}" for number in range(40)]
    dense = "".join(f"[{one}:children]\n" + "\n".join(names) + "\n" for one in names)
    assert len(told(written(tmp_path, "dense", dense), below=tmp_path)) == MOST_CIRCLES
    ring = "".join(f"[{one}:children]\n{other}\n" for one, other in pairwise([*names, names[0]]))
    assert told(written(tmp_path, "ring", ring), below=tmp_path) == [
        "ring:80:1: groups contain each other: g00 -> g01 -> g02 -> g03 -> g04 -> g05 -> g06 -> g07 -> g08 -> g09"
        " -> ... -> g39 -> g00 | take 'g00' out of the children of 'g39'"
    ]


def test_backslashes_that_only_look_like_escapes_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, "h", "a-1\n[all:vars]\nx='C:\\\\ue000\\\\ud800'\n")
    assert dict(load(path).hosts["a-1"].variables) == {"x": r"C:\ue000\ud800"}


@given(st.text(alphabet="ab=[1, ]#'\"\\\t{}\u00a0ü\x0c", max_size=30))
@settings(deadline=None, max_examples=1000)
def test_host_lines_are_split_as_a_shell_would(line: str) -> None:
    def outcome(split: Callable[[str], list[str]]) -> object:
        try:
            return split(line)
        except ValueError as error:
            return str(error)

    assert outcome(split_words) == outcome(lambda text: shlex.split(text, comments=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: {}\n", "'web:' is no host name | INI lines are"),
        ("---\nall:\n", "'---' is no host name | INI lines are"),
    ],
)
def test_yaml_in_a_file_whose_name_says_ini(tmp_path: Path, text: str, said: str) -> None:
    assert said in told(written(tmp_path, "hosts.ini", text), below=tmp_path)[0]


LISTING_MISTAKES: list[tuple[object, str]] = [
    ({"_meta": {}}, "l.json:1:11: `_meta` has no mapping `hostvars`"),
    ({"_meta": {"hostvars": {"a": 1}}, "web": ["a"]}, "the variables of 'a' are a number"),
    ({"web": {"hosts": ["a[1:2]"]}}, "'a[1:2]' in group 'web' is no host name | a name has letters"),
    ({"web": {"hosts": [1]}}, "a number in group 'web' is no host name"),
    ({"web": {"hosts": []}, "db": {"children": "web"}}, "'children' of group 'db' is text, not a list"),
    ({"web": {"hosts": [], "vars": [1]}}, "'vars' of group 'web' is a list, not a mapping"),
    ({"web": {"hosts": []}, "db": {"host": ["a"]}}, "unknown key 'host' in group 'db'"),
    ({"web": {"hosts": []}, "db": "a"}, "group 'db' is text"),
    ({"web": {"children": ["ungrouped", 1]}}, "'web' can't hold 'ungrouped'"),
    ({"web": {"children": ["web"]}}, "groups contain each other: web -> web"),
]


@pytest.mark.parametrize(("document", "said"), LISTING_MISTAKES)
def test_mistakes_in_a_listing(tmp_path: Path, document: object, said: str) -> None:
    assert said in " ".join(told(written(tmp_path, "l.json", json.dumps(document)), below=tmp_path))


JSON_MISTAKES = [
    ('{"web": {"hosts": ["a"}}', "l.json:1:23: this is no JSON: Expecting ',' delimiter"),
    (
        '{"web":\n {"hosts": [], "hosts": []}}',
        "l.json:2:16: the key 'hosts' stands twice in one mapping; first in line 2",
    ),
    ('{"web": {"hosts": ["a\\ue000"]}}', "l.json:1:20: U+E000 and U+E001 are not allowed in text"),
    ('{"web": {"hosts": ["a\\ud800"]}}', "half of a character"),
    ('{"a": ' * 70 + '{"hosts": []}' + "}" * 70, "nested more than 64 levels deep"),
    (
        '{"web": {"hosts": [], "vars": {"a": {"__ansible_unsafe": "{{ b }}"}}}}',
        "__ansible_unsafe is not supported here",
    ),
    ('{"web": {"hosts": [], "vars": {"a": {"__ansible_vault": "x"}}}}', "__ansible_vault is not supported here"),
]


@pytest.mark.parametrize(("text", "said"), JSON_MISTAKES)
def test_mistakes_in_json(tmp_path: Path, text: str, said: str) -> None:
    assert said in " ".join(told(written(tmp_path, "l.json", text), below=tmp_path))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=30,
)


@given(PLAIN, st.sampled_from([None, 1]), st.booleans())
@settings(deadline=None, max_examples=300)
def test_json_is_read_as_python_reads_it(value: object, indent: int | None, ascii_alone: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_alone)
    try:
        node = json_nodes.parse(text.encode("utf-8", "surrogatepass"), "x")
    except Mistakes:
        assert any(one in json.dumps(value, ensure_ascii=False) for one in "\ue000\ue001")
        return
    assert node.plain() == value
    _check_places(node, text.split("\n"))


def _check_places(node: Node, lines: list[str]) -> None:
    """Each value begins at its place as JSON writes it."""
    here = lines[node.line - 1][node.column - 1 :]
    if isinstance(node.value, dict):
        assert here[0] == "{"
        for key, (line, column) in (node.keys or {}).items():
            assert lines[line - 1][column - 1] == '"'
            _check_places(node.value[key], lines)
    elif isinstance(node.value, list):
        assert here[0] == "["
        for item in node.value:
            _check_places(item, lines)
    else:
        assert json.JSONDecoder().raw_decode(here)[0] == node.value


@given(st.text(alphabet="[]:= \t\n#;'\"\\abc019{}(),\ue000-.é", max_size=80))
@settings(deadline=None, max_examples=300)
def test_whatever_stands_in_an_ini_file_gives_declarations_or_mistakes(text: str) -> None:
    declaration = Declaration("x")
    declare_ini(text.encode(), "x", declaration)
    declared = declaration.finish()
    assert "ungrouped" in declared.groups


@given(st.dictionaries(st.sampled_from(["web", "db", "all", "_meta", "a b"]), PLAIN, max_size=3))
@settings(deadline=None, max_examples=200)
def test_whatever_a_program_prints_gives_declarations_or_mistakes(document: dict[str, object]) -> None:
    declaration = Declaration("x")
    try:
        root = json_nodes.parse(json.dumps(document).encode(), "x")
    except Mistakes:
        return
    declare_listing(root, declaration)
    assert is_listing(root) or "_meta" not in document
    assert declaration.finish().file == "x"


def test_a_program_is_told_by_what_it_says(tmp_path: Path) -> None:
    path = written(tmp_path, "hosts.sh", "#!/bin/sh\necho first >&2\necho 'no such site' >&2\nexit 3\n", mode=0o755)
    assert told(path, below=tmp_path) == [
        "hosts.sh --list output:1:1: this inventory ended with exit code 3 | it says: |   first |   no such site"
    ]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo nonsense", "hosts.sh --list output:1:1: this is no JSON: Expecting value"),
        ("true", "this is no JSON: nothing is there"),
        ("echo '{\"web\":'; echo ' [\"a b\"]}'", "hosts.sh --list output:2:3: 'a b' in group 'web' is no host name"),
        ("printf '\\377'", "this is not UTF-8"),
        ("exec sleep 300 & echo '{}'; exit 9", "this inventory ended with exit code 9"),
        (
            '[ "$1" = --list ] && echo \'["a"]\' || exit 4',
            "an inventory is a mapping of groups, and this is a list",
        ),
        (
            '[ "$1" = --list ] && echo \'{"web": ["a"]}\' || exit 4',
            "hosts.sh --host a output:1:1: this inventory ended with exit code 4 | run it by hand",
        ),
    ],
)
def test_what_a_program_does_wrong_is_told(tmp_path: Path, program: str, said: str) -> None:
    path = written(tmp_path, "hosts.sh", f"#!/bin/sh\n{program}\n", mode=0o755)
    assert said in told(path, below=tmp_path)[0]


def test_a_program_without_an_interpreter_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "hosts", "#!/nowhere/python\n", mode=0o755)
    (message,) = told(path, below=tmp_path)
    assert (
        "this inventory can't be started: No such file or directory | its first line names the interpreter" in message
    )


def test_a_program_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory_script, "TIMEOUT_S", 0.3)
    path = written(tmp_path, "hosts", "#!/bin/sh\nsleep 300 &\nsleep 300\n", mode=0o755)
    began_s = time.monotonic()
    assert "this inventory did not end within 0.3 s" in told(path, below=tmp_path)[0]
    assert time.monotonic() - began_s < 20


def test_a_program_that_prints_for_ever_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory_script, "LARGEST", 1 << 20)
    path = written(tmp_path, "hosts", "#!/bin/sh\nexec yes\n", mode=0o755)
    assert "this inventory prints more than 1 MiB" in told(path, below=tmp_path)[0]


def test_a_program_may_be_named_relatively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "hosts.sh", '#!/bin/sh\necho \'{"web": {"hosts": ["a"]}}\'\n', mode=0o755)
    monkeypatch.chdir(tmp_path)
    assert list(load(Path("hosts.sh")).hosts) == ["a"]


def test_a_folder_without_an_inventory_and_a_source_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path, "empty/readme.md", "x")
    written(tmp_path, "full/hosts.ini", "web-1\n")
    assert told(tmp_path / "empty", tmp_path / "full", tmp_path / "lost.ini", below=tmp_path) == [
        "empty:1:1: there is no inventory in this folder | name a file, or another folder",
        "lost.ini:1:1: there is no such file",
    ]


def test_several_sources_have_one_name_for_people(tmp_path: Path) -> None:
    paths = [written(tmp_path, f"{name}.ini", f"{name}-1\n") for name in ("web", "db")]
    inventory = load(paths)
    assert inventory.file == f"{paths[0]}, {paths[1]}"
    assert list(inventory.hosts) == ["web-1", "db-1"]


def test_ten_thousand_lines_of_ini_are_read_soon(tmp_path: Path) -> None:
    lines = [f"web-{n:05} ansible_host=10.{n >> 8}.{n & 255}.1 rack={n % 40} role=front" for n in range(10_000)]
    path = written(tmp_path, "hosts.ini", "[web]\n" + "\n".join(lines) + "\n")
    began_s = time.process_time()
    assert len(load(path).hosts) == 10_000
    assert time.process_time() - began_s < 5  # about 0.3 s
