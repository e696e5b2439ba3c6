"""Which host keys are trusted: the index over known_hosts files, beside asyncssh's own reading of them."""

import base64
import hmac
from hashlib import sha1
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.adapters.ssh.trust import Known, TrustStore, refusal
from orchestrator.domain.errors import Untrusted

KEYS = [asyncssh.generate_private_key("ssh-ed25519").convert_to_public() for _ in range(6)]
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048).convert_to_public()


def text(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


def hashed(name: str) -> str:
    salt = sha1(name.encode()).digest()  # another for each name, and the same in each process that collects tests
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def ask(folder: Path, lines: list[str], host: str, address: str = "", port: int = 22) -> Known:
    file = folder / "known_hosts"
    file.write_text("\n".join(lines) + "\n")
    return TrustStore().known((str(file),), host, address, port)


def trusted(known: Known) -> list[asyncssh.SSHKey]:
    return [key for key, _ in known.keys]


@pytest.mark.parametrize(
    ("names", "host", "address", "port", "found"),
    [
        ("web", "web", "", 22, True),
        ("web", "WEB", "", 22, True),
        ("Web,10.0.0.1", "web", "", 22, True),
        ("10.0.0.1", "web", "10.0.0.1", 22, True),
        ("10.0.0.1", "web", "10.0.0.2", 22, False),
        ("web", "web2", "", 22, False),
        ("[web]:2222", "web", "", 2222, True),
        ("[web]:2222", "web", "", 22, False),
        ("web", "web", "", 2222, True),
        ("[10.0.0.1]:2222", "web", "10.0.0.1", 2222, True),
        ("*.example.com", "web.example.com", "", 22, True),
        ("*.example.com,!bad.example.com", "bad.example.com", "", 22, False),
        ("*.example.com,!bad.example.com", "good.example.com", "", 22, True),
        ("w?b", "web", "", 22, True),
        ("[*.example.com]:2222", "web.example.com", "", 2222, True),
        ("[*.example.com]:2222", "web.example.com", "", 22, False),
        ("10.0.0.0/24", "web", "10.0.0.9", 22, True),
        ("fe80::1", "web", "fe80::1", 22, True),
        (hashed("web"), "web", "", 22, True),
        (hashed("web"), "WEB", "", 22, True),
        (hashed("10.0.0.1"), "web", "10.0.0.1", 22, True),
        (hashed("[web]:2222"), "web", "", 2222, True),
        (hashed("web"), "web", "", 2222, True),
        (hashed("web"), "other", "10.0.0.1", 22, False),
    ],
)
def test_a_line_speaks_of_a_host(tmp_path: Path, names: str, host: str, address: str, port: int, found: bool) -> None:
    known = ask(tmp_path, [f"{names} {text(KEYS[0])} a comment"], host, address, port)
    assert trusted(known) == ([KEYS[0]] if found else [])


def test_an_own_port_counts_before_none(tmp_path: Path) -> None:
    lines = [f"web {text(KEYS[0])}", f"[web]:2222 {text(KEYS[1])}"]
    assert trusted(ask(tmp_path, lines, "web", port=2222)) == [KEYS[1]]
    assert trusted(ask(tmp_path, lines, "web", port=2223)) == [KEYS[0]]


def test_markers_say_what_a_key_is_for(tmp_path: Path) -> None:
    lines = [
        f"web {text(KEYS[0])}",
        f"@cert-authority *.example.com,web {text(KEYS[1])}",
        f"@revoked * {text(KEYS[2])}",
        f"@unheard-of web {text(KEYS[3])}",
    ]
    known = ask(tmp_path, lines, "web")
    assert trusted(known) == [KEYS[0]]
    assert [key for key, _ in known.authorities] == [KEYS[1]]
    assert [(key, line.number) for key, line in known.revoked] == [(KEYS[2], 3)]


def test_what_cannot_be_read_does_not_spoil_the_rest(tmp_path: Path) -> None:
    lines = [
        "# a comment", "", "web", "web ssh-ed25519", "web ssh-ed25519 %%%", "web ssh-unheard AAAA",
        "|1|x|y ssh-rsa AAAA", "|1|only ssh-rsa AAAA", "@revoked", "@revoked web",
        f"   web {text(KEYS[0])}", "\ufffd\x00 \x01",
    ]  # fmt: skip
    known = ask(tmp_path, lines, "web")
    assert trusted(known) == [KEYS[0]]
    assert known.keys[0][1].number == 11


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    known = TrustStore().known((str(tmp_path / "nope"), str(tmp_path)), "web", "", 22)
    assert (known.keys, known.revoked) == ([], [])


def test_hashes_are_computed_once_for_each_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"host{number}" for number in range(50)]
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{hashed(name)} {text(KEYS[0])}\n" for name in names))
    count = 0

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        return sha1(*given, **named)

    monkeypatch.setattr("orchestrator.adapters.ssh.trust.sha1", counted)
    store = TrustStore()
    for _ in range(3):
        for name in names:
            assert trusted(store.known((str(file),), name, "", 22)) == [KEYS[0]]
    assert count == 50 * 51  # two for each line; one that was found is not hashed again
    assert store.at_once((str(file),), "host7", "", 22) is not None
    assert trusted(store.known((str(file),), "host7", "10.0.0.1", 22)) == [KEYS[0]]


def test_at_once_never_reads_nor_hashes(tmp_path: Path) -> None:
    plain, secret = tmp_path / "plain", tmp_path / "hashed"
    plain.write_text(f"web {text(KEYS[0])}\n")
    secret.write_text(f"{hashed('web')} {text(KEYS[0])}\n{hashed('other')} {text(KEYS[1])}\n")
    store = TrustStore()
    assert store.at_once((str(plain),), "web", "", 22) is None
    store.known((str(plain),), "db", "", 22)
    known = store.at_once((str(plain),), "web", "", 22)
    assert known is not None
    assert trusted(known) == [KEYS[0]]
    store.known((str(secret),), "web", "", 22)
    assert store.at_once((str(secret),), "other", "", 22) is None
    assert store.at_once((str(secret),), "web", "", 22) is not None


NAMES = ["web", "db.example.com", "10.0.0.1", "[web]:2222", "[db.example.com]:2222", "*.example.com", "w*", "!web,w*"]
PATTERNS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(",".join)
LINES = st.lists(
    st.tuples(st.sampled_from(["", "@revoked ", "@cert-authority "]), PATTERNS, st.integers(0, 5), st.booleans()),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(
    lines=LINES,
    host=st.sampled_from(["web", "db.example.com", "x"]),
    address=st.sampled_from(["", "10.0.0.1", "10.0.0.2"]),
    port=st.sampled_from([22, 2222]),
)
def test_the_index_finds_what_asyncssh_finds(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[str, str, int, bool]],
    host: str,
    address: str,
    port: int,
) -> None:
    written = [
        f"{marker}{hashed(names) if hide and ',' not in names and '*' not in names else names} {text(KEYS[key])}"
        for marker, names, key, hide in lines
    ]
    known = ask(tmp_path_factory.mktemp("kh"), written, host, address, port)
    theirs = asyncssh.import_known_hosts("\n".join(written)).match(host, address, None if port == 22 else port)
    for ours, found in zip((known.keys, known.authorities), theirs[:2], strict=True):
        keys, all_keys = {key.public_data for key, _ in ours}, {key.public_data for key in found}
        # Hashes of an address are not looked for once the name has a key.
        assert keys == all_keys or (keys < all_keys and known.keys and any(hide for *_, hide in lines))
    assert {key.public_data for key, _ in known.revoked} >= {key.public_data for key in theirs[2]}


def test_an_unknown_key_is_told_with_its_fingerprint_and_what_to_type(tmp_path: Path) -> None:
    known = ask(tmp_path, [f"other {text(KEYS[1])}"], "web", "10.0.0.1", 2222)
    error = refusal("app-01", known, KEYS[0].public_data, "Host key is not trusted")
    assert isinstance(error, Untrusted)
    assert not error.sent
    assert KEYS[0].get_fingerprint() in error.text
    assert "not known" in error.text
    assert str(tmp_path / "known_hosts") in error.text
    assert f"ssh-keyscan -p 2222 -t ed25519 web >> {tmp_path / 'known_hosts'}" in error.hint
    assert "compare the fingerprint" in error.hint


def test_a_changed_key_is_told_with_both_fingerprints_and_its_line(tmp_path: Path) -> None:
    known = ask(tmp_path, ["#", f"web {text(KEYS[1])}"], "web")
    error = refusal("app-01", known, RSA.public_data, "Host key is not trusted")
    assert "has changed" in error.text
    assert RSA.get_fingerprint() in error.text
    assert f"{tmp_path / 'known_hosts'}:2 has ssh-ed25519 {KEYS[1].get_fingerprint()}" in error.text
    assert f"ssh-keygen -R 'web' -f {tmp_path / 'known_hosts'}" in error.hint
    assert "ssh-keyscan -t rsa web" in error.hint


def test_a_revoked_key_is_told_with_its_line(tmp_path: Path) -> None:
    known = ask(tmp_path, [f"web {text(KEYS[0])}", f"@revoked * {text(KEYS[0])}"], "web")
    error = refusal("app-01", known, KEYS[0].public_data, "Host key is revoked")
    assert "revoked by" in error.text
    assert "known_hosts:2" in error.text
