"""Broken playbooks: every mistake is told, all at once, at its place, with what would be right."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.documents.yaml_nodes import parse
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.drafting.drafting import draft
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.playbook.reading import read_playbook

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent.parent / "data" / "playbook_mistakes.yaml").read_text(encoding="utf-8")
)
FLEET = b"""
all:
  children:
    db: { hosts: { db-01: { sql_port: 1433 }, db-02: {} } }
    app: { hosts: { app-01: {}, app-02: {}, app-03: {}, app-04: {}, app-05: {} } }
"""
INVENTORY = merge(declare(parse(FLEET, "fleet.yaml")), {}, {})


def told(text: str) -> list[str]:
    """Every mistake of the playbook *text* as a person sees it, place first."""
    try:
        playbook = read_playbook(parse(text.encode(), "p.yaml"))
        draft(playbook, INVENTORY, Renderer(), lambda name: f"10.0.0.{name[-1]}")
    except Mistakes as caught:
        return [str(mistake).removeprefix("p.yaml:").replace("\n    ", " | ") for mistake in caught.mistakes]
    return []


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_mistake_is_told_at_its_place(case: dict[str, Any]) -> None:
    assert told(case["playbook"]) == case["mistakes"]


def test_mistakes_are_there_for_who_does_not_get_as_far_as_a_draft() -> None:
    playbook = read_playbook(parse(b"services: { sql: { hosts: db, strat: {} } }", "p.yaml"))
    assert [mistake.wrong for mistake in playbook.mistakes] == ["unknown key 'strat'"]


_SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 70000) | st.floats(allow_nan=False) | st.text("a{}: 9s*/", max_size=6)
)
_KEYS = st.sampled_from(
    [
        "services",
        "sql",
        "hosts",
        "db",
        "depends_on",
        "ready",
        "stopped",
        "tcp",
        "http",
        "url",
        "from",
        "start",
        "timeout",
    ]
    + ["external", "vars", "defaults", "gate", "need"]
    + [
        "hooks",
        "on_begin",
        "pre_stop",
        "do",
        "undo",
        "check",
        "name",
        "min_healthy",
        "if_stuck",
        "max_timeout",
        "bound",
    ]
)
_TREES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=12
)
_ENTRIES = st.dictionaries(_KEYS, st.dictionaries(_KEYS, _TREES, max_size=4) | _TREES, max_size=3)


@given(st.dictionaries(_KEYS, _ENTRIES | _TREES), _ENTRIES)
def test_whatever_the_file_holds_the_answer_is_a_draft_or_mistakes(top: dict[str, object], services: object) -> None:
    for mistake in told(json.dumps({**top, "services": services})):
        line, column, _ = mistake.split(":", 2)
        assert line.isdigit()
        assert column.isdigit()
