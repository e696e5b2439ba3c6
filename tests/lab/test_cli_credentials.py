"""Wrong passwords by way of the command line: fetched anew, asked for once on the terminal, and locked nowhere."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import PAIR, PASSWORD, Site, in_terminal, site

SQL, ONE, TWO = "MSSQLSERVER@db-01", "Orders@app-01", "Orders@app-02"
QUESTION = "password of admin (Enter alone: go on without):"
WRONG = "not the passw0rd"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, PAIR) as made:
        yield made


def sign_ins(site: Site) -> list[bool]:
    return [line["ok"] for line in site.log("auth")]


def test_a_password_that_was_changed_meanwhile_is_fetched_anew(pair: Site) -> None:
    """The manager gives yesterday's password first, as one that caches does."""
    (pair.folder / "now").write_text(PASSWORD + "\n", encoding="utf-8")
    (pair.folder / "cached").write_text(WRONG + "\n", encoding="utf-8")
    manager = pair.folder / "manager"
    manager.write_text('#!/bin/sh\ncat "$1/cached"; cp "$1/now" "$1/cached"\n', encoding="utf-8")
    manager.chmod(manager.stat().st_mode | stat.S_IXUSR)
    refer_to(pair, f"command:{manager} {pair.folder}")
    ended = pair.orch("stop", "--yes")
    assert ended.code == 0, ended.said
    assert sign_ins(pair) == [False, False, True, True, True]
    assert set(pair.states().values()) == {"Stopped"}


def refer_to(pair: Site, reference: str) -> None:
    """Another place for the password."""
    hosts = pair.folder / "hosts.yaml"
    text = hosts.read_text(encoding="utf-8")
    hosts.write_text(re.sub(r"secret\('.*?'\)", f"secret('{reference}')", text), encoding="utf-8")


@pytest.mark.parametrize("words", [("stop", "--yes"), ("stop", "--yes", "--json"), ("stop", "--dry-run"), ("status",)])
def test_one_question_is_asked_for_all_hosts_and_its_answer_serves_all(pair: Site, words: tuple[str, ...]) -> None:
    (pair.folder / "password").write_text(WRONG + "\n", encoding="utf-8")
    code, seen = in_terminal(pair, *words, answers={QUESTION: PASSWORD})
    assert code == 0, seen
    assert seen.count(QUESTION) == 1
    told = " ".join(seen.split())
    assert re.search(r"\S+-0\d and \S+-0\d rejected admin with \{file:", told), seen
    assert "which is what it gives now too; 3 hosts wait" in told
    assert PASSWORD not in seen
    assert WRONG not in seen
    assert sign_ins(pair) == [False, False, True, True, True]


@pytest.mark.parametrize("words", [("status",), ("stop", "--yes", "--service", "orders")])
def test_the_only_host_that_was_chosen_is_asked_about_after_one_try(pair: Site, words: tuple[str, ...]) -> None:
    """The others of the playbook have the same password and are not asked: nobody else would try it."""
    (pair.folder / "password").write_text(WRONG + "\n", encoding="utf-8")
    code, seen = in_terminal(pair, *words, "--limit", "app-01", answers={QUESTION: PASSWORD})
    assert code == 0, seen
    assert "app-01 rejected admin with {file:" in " ".join(seen.split())
    assert sign_ins(pair) == [False, True]


@pytest.mark.parametrize(("answer", "tries"), [("", 2), ("still not it", 4)])
def test_without_the_right_answer_the_hosts_are_unreachable_and_nobody_asks_again(
    pair: Site, answer: str, tries: int
) -> None:
    (pair.folder / "password").write_text(WRONG + "\n", encoding="utf-8")
    code, seen = in_terminal(pair, "stop", "--yes", answers={QUESTION: answer})
    assert (code, pair.untouched()) == (2, True), seen
    assert seen.count(QUESTION) == 1
    assert "3 hosts give no usable answer" in " ".join(seen.split())
    assert sign_ins(pair) == [False] * tries


def test_both_wires_share_the_two_tries_and_the_answer(tmp_path: Path) -> None:
    trusted = f"-F none -o UserKnownHostsFile={tmp_path / 'lab' / 'known_hosts'}"
    ssh = {"ansible_connection": "ssh", "ansible_port": 2022, "ansible_ssh_common_args": trusted}
    own = {"db-01": {**ssh, "orch_control": "sc"}, "app-02": ssh}
    with site(tmp_path, PAIR, own=own) as pair:
        (pair.folder / "password").write_text(WRONG + "\n", encoding="utf-8")
        code, seen = in_terminal(pair, "stop", "--yes", answers={QUESTION: PASSWORD})
        assert code == 0, seen
        assert seen.count(QUESTION) == 1
        tried = [line for line in pair.log("auth") if line.get("method", "password") != "none"]
        assert [line["ok"] for line in tried] == [False, False, True, True, True], tried
        assert {line["host"] for line in tried if line.get("wire") == "ssh"} == {"db-01", "app-02"}
        assert set(pair.states().values()) == {"Stopped"}


def test_nobody_is_asked_where_there_is_no_terminal(pair: Site) -> None:
    (pair.folder / "password").write_text(WRONG + "\n", encoding="utf-8")
    ended = pair.orch("stop", "--yes")
    assert (ended.code, pair.untouched()) == (2, True), ended.said
    assert QUESTION not in ended.said
    assert sign_ins(pair) == [False, False]
    assert pair.orch("stop", "--yes", "--unreachable", "exclude").code == 2
    assert pair.orch("status").code == 1
