"""A run records the files that it was made from, and another process finds the way to its hosts by them."""

import json
from pathlib import Path

import pytest

from orchestrator.domain.errors import BadInput, Mistakes
from orchestrator.interfaces.loading import load_again, made_from, sources_of
from orchestrator.interfaces.options import Sources


def hosts(*names: str) -> str:
    return json.dumps({"all": {"hosts": {name: {"ansible_host": "127.0.0.1", "ansible_user": "a"} for name in names}}})


def test_files_are_found_again_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed = Sources([Path("hosts.yaml")], [Path("pw")], ["prod@keys/prod", "dev@prompt", "plain"], ask_vault_pass=True)
    made = made_from(Path("crm.yaml"), typed, ask_pass=True)
    here = str(tmp_path)
    assert (made.playbook, made.inventories) == (f"{here}/crm.yaml", (f"{here}/hosts.yaml",))
    assert made.vault_password_files == (f"{here}/pw",)
    assert made.vault_ids == (f"prod@{here}/keys/prod", "dev@prompt", f"{here}/plain")
    assert (made.ask_vault_pass, made.ask_pass) == (True, True)
    assert sources_of(made).files == [tmp_path / "hosts.yaml"]
    assert sources_of(made_from(None, Sources())).files is None


def test_the_ways_to_the_hosts_of_a_plan_are_made_again(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(hosts("db-01", "app-01", "app-02"), encoding="utf-8")
    (tmp_path / "crm.yaml").write_text("name: crm\ninventory: hosts.yaml\nservices: { broken: [] }\n", encoding="utf-8")
    of_playbook = made_from(tmp_path / "crm.yaml", Sources())  # whose services are not looked at any more
    of_file = made_from(tmp_path / "gone.yaml", Sources([tmp_path / "hosts.yaml"]))
    for made in (of_playbook, of_file):
        assert list(load_again(made, ["app-01", "db-01"]).connections) == ["app-01", "db-01"]
    with pytest.raises(BadInput, match="has no host db-02, db-03 any more; nothing was touched"):
        load_again(of_file, ["db-01", "db-02", "db-03"])
    with pytest.raises(Mistakes, match="gone.yaml"):
        load_again(made_from(tmp_path / "gone.yaml", Sources()), ["db-01"])


def test_a_password_that_was_typed_is_asked_for_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hosts.yaml").write_text(hosts("db-01"), encoding="utf-8")
    made = made_from(None, Sources([tmp_path / "hosts.yaml"]), ask_pass=True)
    with pytest.raises(BadInput, match="no terminal to ask in"):
        load_again(made, ["db-01"])
    assert "which is kept nowhere: it is asked for again" in capsys.readouterr().err
