"""Secrets: fetched once, however many ask; errors that name the reference and nothing else."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring.backend
import keyring.errors
import pytest

from orchestrator.adapters import secrets
from orchestrator.adapters.secrets import SecretStore
from orchestrator.domain.errors import SecretError
from orchestrator.domain.secrets import SecretRef, embed, parse


def ref(text: str) -> str:
    return embed(parse(text))


def python(program: str) -> str:
    """A `command:` reference that runs *program*."""
    return ref(f"command:{sys.executable} -c {program!r}")


class Desk(keyring.backend.KeyringBackend):
    """A keyring with one entry, and one that is locked."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has no types here

    def get_password(self, service: str, username: str) -> str | None:
        if service == "locked":
            raise keyring.errors.KeyringLocked("the words of the keyring")
        return "from the desk" if (service, username) == ("orch/prod", "svc") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError


@pytest.fixture
def _desk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyring.core._keyring_backend", Desk())


def test_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "from env")
    (tmp_path / "pw").write_bytes(b"\xef\xbb\xbffrom file \xc3\xa4\r\nsecond line\n")
    store = SecretStore({"password": "typed"})
    assert store.reveal(f"a{ref('env:PW')}b{ref('env:PW')}") == "afrom envbfrom env"
    assert store.reveal(ref(f"file:{tmp_path / 'pw'}")) == "from file ä"
    assert store.reveal(python("print('from command'); print('second')")) == "from command"
    assert store.reveal(ref("ask:password")) == "typed"
    assert store.reveal("plain {{ text }}") == "plain {{ text }}"


@pytest.mark.usefixtures("_desk")
def test_the_keyring() -> None:
    store = SecretStore()
    assert store.reveal(ref("keyring:orch/prod/svc")) == "from the desk"
    for reference, said in (
        ("keyring:orch/prod/nobody", "no such entry"),
        ("keyring:alone", "write keyring:SERVICE/USER"),
        ("keyring:locked/svc", "KeyringLocked"),
    ):
        with pytest.raises(SecretError) as caught:
            store.reveal(ref(reference))
        assert said in f"{caught.value} {caught.value.hint}"
        assert "the words of the keyring" not in str(caught.value)


def test_no_shell_reads_the_command() -> None:
    assert SecretStore().reveal(ref("command:echo $HOME `id` ; ls | cat '*'")) == "$HOME `id` ; ls | cat *"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NO_SUCH_VARIABLE_9", "the environment has no variable NO_SUCH_VARIABLE_9"),
        ("file:/no/such/file", "file:/no/such/file: there is no such file"),
        ("ask:password", "--ask-pass"),
        ("command:/no/such/program --token hunter2", "command:/no/such/program ... can't be started"),
        ("command:'open", "split into words"),
        (f"command:{sys.executable} -c 'print(\"hunter2\"); exit(3)'", "ended with exit code 3"),
        (f"command:{sys.executable} -c 'print()'", "empty first line"),
        (f"command:{sys.executable} -c 'import os; os.write(1, b\"hunter2\\xff\")'", "UTF-8"),
    ],
)
def test_errors_name_the_reference_and_never_the_secret(reference: str, said: str) -> None:
    with pytest.raises(SecretError) as caught:
        SecretStore().reveal(ref(reference))
    assert said in f"{caught.value} {caught.value.hint}"
    chain: BaseException | None = caught.value
    while chain is not None and not isinstance(chain, OSError):
        assert "hunter2" not in f"{chain} {getattr(chain, 'hint', '')}"
        chain = chain.__cause__


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "COMMAND_TIMEOUT_S", 0.3)
    with pytest.raises(SecretError, match=r"did not end within 0\.3 s"):
        SecretStore().reveal(python("import time; print(1, flush=True); time.sleep(60)"))


def test_a_thousand_askers_fetch_once(tmp_path: Path) -> None:
    counter = tmp_path / "runs"
    counter.touch()
    reference = python(f"open({str(counter)!r}, 'a').write('x'); print('pw')")
    store = SecretStore()
    together = threading.Barrier(32)

    def ask() -> list[str]:
        together.wait(30)
        return [store.reveal(reference) for _ in range(32)]

    with ThreadPoolExecutor(32) as pool:
        answers = [future.result(60) for future in [pool.submit(ask) for _ in range(32)]]
    assert {answer for each in answers for answer in each} == {"pw"}
    assert counter.read_text() == "x"


def test_a_failing_command_is_run_once_too(tmp_path: Path) -> None:
    counter = tmp_path / "runs"
    reference = python(f"open({str(counter)!r}, 'a').write('x'); exit(1)")
    store = SecretStore()
    for _ in range(3):
        with pytest.raises(SecretError, match="exit code 1"):
            store.reveal(reference)
    assert counter.read_text() == "x"


def test_one_slow_secret_does_not_hold_up_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setenv("QUICK", "here")
    store = SecretStore()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(store.reveal, python(f"print(open({str(gate)!r}).readline())"))
        assert store.reveal(ref("env:QUICK")) == "here"
        gate.write_text("late\n")
        assert slow.result(30) == "late"


def test_what_is_forgotten_is_fetched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "old")
    store = SecretStore()
    assert store.reveal(ref("env:PW")) == "old"
    monkeypatch.setenv("PW", "new")
    assert store.reveal(ref("env:PW")) == "old"
    store.forget(SecretRef("env", "PW"))
    assert store.reveal(ref("env:PW")) == "new"
