"""A plan in a file: it comes back as it was, and whatever is not as it was saved is refused in words."""

import json
import stat
from pathlib import Path

import pytest
from fake_run import fleet

from orchestrator import state_wiring
from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import MadeFrom

PLAN = fleet(twice=True)
HEADER = state_wiring.header(["stop", "--save", "x"], MadeFrom(playbook="/srv/crm.yaml", vault_ids=("a@/srv/pw",)))


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "stop.orchplan"
    state_wiring.save_plan(path, PLAN, HEADER, overwrite=False, allow=["DNS"])
    return path


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = saved(tmp_path)
    back = state_wiring.load_plan(path)
    assert (back.plan, back.made_from, back.command) == (PLAN, HEADER.made_from, "orch stop --save x")
    assert (back.saved_by, back.allow) == (HEADER.requester, ("DNS",))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_written_over_only_when_told(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="is there already; nothing was touched"):
        state_wiring.save_plan(path, PLAN, HEADER, overwrite=False)
    assert path.read_bytes() == before
    state_wiring.save_plan(path, fleet(), HEADER, overwrite=True)
    assert state_wiring.load_plan(path).plan == fleet()
    with pytest.raises(BadInput, match="can't be written"):
        state_wiring.save_plan(tmp_path / "no" / "where", PLAN, HEADER, overwrite=False)


def test_what_is_not_as_it_was_saved_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    text = path.read_text(encoding="ascii")
    content = json.loads(text)
    for wrong, words in (
        (text.replace("web@web-01", "web@web-99"), "its checksum is of something else"),
        (text[:-100], "is no saved plan"),
        ("[1]", "is no saved plan"),
        (json.dumps({**content, "orchplan": 2}), "has version 2; this orch knows 1"),
        ("ä", "is no saved plan"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(BadInput, match=words):
            state_wiring.load_plan(path)
    path.write_text(json.dumps(content), encoding="ascii")  # other blanks are the same content
    assert state_wiring.load_plan(path).plan == PLAN
    with pytest.raises(BadInput, match="can't be read: No such file"):
        state_wiring.load_plan(tmp_path / "none")
