"""What patterns refuse; what they choose is held against Ansible in tests/contract."""

import pytest

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.domain.errors import BadInput
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.patterns import select
from orchestrator.domain.inventory.reading import declare

TEXT = b"""
all:
  children:
    prod: { children: { web: , db: } }
    web: { hosts: { "web-[01:03]": } }
    app: { hosts: { "app-[01:02]": , web-01: } }
    db: { hosts: { db-a: , "fe80::1": } }
    empty: {}
"""


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return merge(declare(yaml_nodes.parse(TEXT, "inv.yaml")), {}, {})


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("db", "db-a fe80::1"),
        ("app:&prod", "web-01"),
        ("web:!web-03", "web-01 web-02"),
        ("app-*", "app-01 app-02"),
        ("all", "web-01 web-02 web-03 app-01 app-02 db-a fe80::1"),
        ("db,web", "db-a fe80::1 web-01 web-02 web-03"),
        ("!web:!app", "db-a fe80::1"),
        ("fe80::1", "fe80::1"),
        ("fe80::1, app-01", "fe80::1 app-01"),
        ("web[0]", "web-01"),
        ("web[1:2]:db[-1]", "web-02 web-03 fe80::1"),
        ("~(web|app)-0[12]$", "web-01 web-02 app-01 app-02"),
        ("empty", ""),
        ("web:&db", ""),
        ("web-01:web", "web-01 web-02 web-03"),
    ],
)
def test_patterns(inventory: Inventory, pattern: str, hosts: str) -> None:
    assert select(inventory, pattern) == tuple(hosts.split())


@pytest.mark.parametrize(
    ("pattern", "said", "hint"),
    [
        ("wbe", "'wbe' names no host and no group of inv.yaml", "the nearest known name is 'web'"),
        ("web:!wbe-03", "'wbe-03' in 'web:!wbe-03' names no", "the nearest known name is 'web-03'"),
        ("web:&prd", "'prd' in 'web:&prd'", "'prod'"),
        ("sql-*", "'sql-*' names no", "`orch inventory`"),
        ("web[7]", "'web[7]': web has 3 hosts", "web[-1]"),
        ("~(", "no regular expression", ""),
        ("", "the host pattern is empty", "all"),
        (" , ", "the host pattern is empty", "all"),
        ("web:!", "want a name after them", ""),
        ("localhost", "'localhost' names no", "lists hosts and groups"),
    ],
)
def test_a_part_that_names_nothing_is_refused(inventory: Inventory, pattern: str, said: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        select(inventory, pattern)
    assert said in str(caught.value)
    assert hint in caught.value.hint
