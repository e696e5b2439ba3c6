"""Inventories on disk: every mistake of every file, at once; what is shared is shared."""

import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.adapters.documents.inventory_files import load
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.inventory.connecting import connect
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.inventory.rendering import Rendered


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "inv.yaml"


def told(folder: Path, files: dict[str, str] | str) -> list[str]:
    path = write(folder, {"inv.yaml": files} if isinstance(files, str) else files)
    with pytest.raises(Mistakes) as caught:
        load(path)
    return [str(one).replace(str(folder) + "/", "").replace("\n    ", " | ") for one in caught.value.mistakes]


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    files = {
        "inv.yaml": "all:\n  hosts: { 'web[3:1]': , ok: }\n  childs: {}\n  children:\n    web: [a]\n"
        "    db: { hosts: { db1: text }, vars: [] , web-01: {} }\n",
        "group_vars/all.yml": "a: 1\na: 2\n",
        "group_vars/web/secret.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        "host_vars/ok.yaml": "- 1\n",
        "host_vars/other.yaml": "bad: [\n",
    }
    assert told(tmp_path, files) == [
        "group_vars/all.yml:2:1: the key 'a' stands twice in one mapping; first in line 1, column 1 | keep one of them",
        "group_vars/web/secret.yml:1:1: ansible-vault is supported in inventories and their variables alone",
        "host_vars/ok.yaml:1:1: variables are a mapping, and this is a list | write NAME: VALUE",
        "inv.yaml:2:12: [3:1] is empty: 3 comes after 1",
        "inv.yaml:3:3: unknown key 'childs' in group 'all' | the nearest known one is `children`",
        "inv.yaml:5:10: group 'web' is a list | a group is a mapping of hosts, children and vars",
        "inv.yaml:6:25: host 'db1' is text | a host is a mapping of its variables, or nothing",
        "inv.yaml:6:39: 'vars' of group 'db' is a list, not a mapping | write NAME: VALUE",
        "inv.yaml:6:44: unknown key 'web-01' in group 'db' | known: children, hosts, vars; hosts stand in `hosts:`",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an inventory is a mapping of groups, and this is empty"),
        ("- web\n", "this is a list"),
        ("hosts: { web: }\n", "'hosts' stands outside of any group | put it under `all:`"),
        ("plugin: aws_ec2\n", "inventory plugins are not supported | `ansible-inventory -i FILE --list"),
        ("all: { children: { web: { hosts: { db: } }, db: } }\n", "'db' is a host and a group"),
        ("all: { hosts: [web] }\n", "'hosts' of group 'all' is a list, not a mapping | write each name with a colon"),
        ("all: { vars: { ansible_group_priority: high } }\n", "ansible_group_priority is text | a whole number"),
        ("web: { children: { ungrouped: } }\n", "'web' can't hold 'ungrouped'"),
        ("ungrouped: { children: { web: } }\n", "'ungrouped' can't hold 'web'"),
        ("'my group': { }\n", "'my group' is no group name"),
        ("#!/usr/bin/python\nprint()\n", "this is a program, and it may not be executed | chmod +x"),
    ],
)
def test_what_is_no_inventory_says_why(tmp_path: Path, text: str, said: str) -> None:
    assert said in told(tmp_path, text)[0]


@pytest.mark.parametrize(
    ("text", "circle"),
    [
        (
            "a: { children: { b: { children: { c: { children: { a: } } } } } }\n",
            r"(?=.*a -> b)(?=.*b -> c)(?=.*c -> a)",
        ),
        ("a: { children: { a: } }\n", "a -> a"),
        ("web: { children: { all: } }\n", r"(?=.*web -> all)(?=.*all -> web)"),
    ],
)
def test_groups_that_contain_each_other_are_spelled_out(tmp_path: Path, text: str, circle: str) -> None:
    (message,) = told(tmp_path, text)
    assert re.search(circle, message)
    assert "take " in message
    assert "out of the children of" in message


def test_two_circles_are_both_told(tmp_path: Path) -> None:
    text = "a: { children: { b: { children: { a: } } } }\nc: { children: { d: { children: { c: } } } }\n"
    assert len(told(tmp_path, text)) == 2


def test_what_only_a_plugin_could_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[web]\n")
    with pytest.raises(Mistakes, match="TOML inventories are not supported"):
        load(tmp_path / "x.toml")


def test_a_host_in_many_groups_has_its_variables_with_their_places(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "inv.yaml": "all:\n  vars: { a: all, b: all, c: all, d: '{{ a }}' }\n  children:\n"
            "    web: { hosts: { web-01: { c: own } }, vars: { b: web } }\n",
            "host_vars/web-01.yml": "e: file\n",
        },
    )
    host = load(path).hosts["web-01"]
    assert dict(host.variables) == {"a": "all", "b": "web", "c": "own", "d": "{{ a }}", "e": "file"}
    assert len(host.variables) == 5
    assert "c" in host.variables
    assert "z" not in host.variables
    assert (host.marks["b"].line, host.marks["c"].line) == (4, 4)
    assert host.marks["e"].file == str(tmp_path / "host_vars" / "web-01.yml")
    assert host.groups == ("web",)
    with pytest.raises(KeyError):
        host.variables["z"]


def test_a_link_in_group_vars_that_leads_back_is_not_followed_for_ever(tmp_path: Path) -> None:
    path = write(tmp_path, {"inv.yaml": "web: { hosts: { a: } }\n", "group_vars/web/one.yml": "x: 1\n"})
    (tmp_path / "group_vars" / "web" / "again").symlink_to(tmp_path / "group_vars" / "web")
    assert dict(load(path).hosts["a"].variables) == {"x": 1}


CHAIN = "".join(f"g{n}: {{ children: {{ g{n + 1}: }} }}\n" for n in range(20_000))
RANGES = "".join(f"g{n}: {{ hosts: {{ 'w[1:90000]': }} }}\n" for n in range(1_000))
LAYERS = "".join(
    f"g{layer}-{n}: {{ children: {{ {', '.join(f'g{layer + 1}-{other}: ' for other in range(60))} }} }}\n"
    for layer in range(60)
    for n in range(60)
)
ROOMS = "".join(f"g{n}: {{ hosts: {{ 'w[{n}000:{n}999]': {{ x: 1 }} }} }}\n" for n in range(1, 300))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(CHAIN, "stand in groups more than", id="a chain of 20,000 groups"),
        pytest.param(RANGES, "named more than 1000000 times", id="ranges over and over"),
        pytest.param(LAYERS, "stand in groups more than", id="every group in every group"),
        pytest.param(ROOMS, "more than 200000 hosts", id="too many hosts"),
        pytest.param("all: { hosts: { 'x[1:9]-[1:9]-[a:z]-[a:z]-[a:z]': } }", "at most 100000", id="ranges of ranges"),
        pytest.param("all: {" + ", ".join(f"h{n}: " for n in range(5_000)) + "}", "unknown key", id="5,000 mistakes"),
    ],
)
def test_an_inventory_that_attacks_gets_an_error_soon(tmp_path: Path, text: str, said: str) -> None:
    began_s = time.monotonic()
    messages = told(tmp_path, text)
    assert time.monotonic() - began_s < 30
    assert any(said in message for message in messages)
    assert len(messages) <= 100


WORDS = st.sampled_from(
    ["all", "ungrouped", "hosts", "children", "vars", "web", "web-[1:2]", "db[", "x:1", "ansible_port", "plugin", "a b"]
)
TREES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["web", "", "{{ x }}", "ansible_group_priority"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(WORDS, TREES, max_size=4))
@settings(deadline=None, max_examples=200)
def test_whatever_stands_there_gives_an_inventory_or_mistakes(tree: dict[str, object]) -> None:
    declared = declare(yaml_nodes.parse(yaml.safe_dump(tree).encode(), "inv.yaml"))
    try:
        inventory = merge(declared, [], {})
    except Mistakes:
        return
    assert set(inventory.hosts) == set(inventory.as_written)
    for host in inventory.hosts.values():
        assert dict(host.variables) is not None
        with suppress(Mistakes):
            connect(Rendered(host, Renderer()))
