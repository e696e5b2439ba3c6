"""Where secrets are fetched: environment, files, the keyring of the desktop, commands of password managers, answers.

A secret is fetched when it is first used, once for each reference and process, and kept in memory alone.
"""

import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.domain.errors import SecretError
from orchestrator.domain.secrets import SecretRef, split

COMMAND_TIMEOUT_S = 30.0
LONGEST = 64 << 10
"""Bytes that are read of a file or a command's answer; only the first line counts."""


class SecretStore:
    """Resolves the references in texts. Safe to call from any thread; `reveal` may wait, so never from the event loop.

    *answers* has what was asked for at the start, by the path of `ask` references; *vault* decrypts what is encrypted
    in the inventory, by its place there.
    """

    def __init__(self, answers: Mapping[str, str] | None = None, vault: Callable[[str], str] | None = None) -> None:
        self._fetchers: dict[str, Callable[[str], str]] = {
            "env": _from_environment,
            "file": _from_file,
            "keyring": _from_keyring,
            "command": _from_command,
            "ask": self._from_answers,
            "vault": vault or _from_nowhere,
        }
        self._answers = dict(answers or {})
        self._entries: dict[SecretRef, _Entry] = {}
        self._lock = threading.Lock()

    def reveal(self, text: str) -> str:
        """*text* with each reference replaced by its secret.

        Raises:
            SecretError: a reference leads nowhere; it names the reference, never a secret or a command's output. It
                is remembered as a secret is: a thousand hosts must not start a failing command a thousand times.
        """
        return "".join(self._secret(piece) if isinstance(piece, SecretRef) else piece for piece in split(text))

    def forget(self, reference: SecretRef) -> None:
        """Fetch *reference* anew at its next use: it may have been changed since."""
        with self._lock:
            self._entries.pop(reference, None)

    def _secret(self, reference: SecretRef) -> str:
        with self._lock:
            entry = self._entries.setdefault(reference, _Entry())
        # Threads that want the same secret wait here for the first of them; others are not held up.
        with entry.lock:
            if entry.error is not None:
                raise SecretError(str(entry.error), hint=entry.error.hint)
            if entry.secret is None:
                try:
                    entry.secret = self._fetchers[reference.kind](reference.path)
                except SecretError as error:
                    entry.error = error
                    raise
            return entry.secret

    def _from_answers(self, path: str) -> str:
        if path not in self._answers:
            raise SecretError(f"no answer was given for ask:{path}", hint="start orch with --ask-pass")
        return self._answers[path]


class _Entry:
    """One reference: fetched by one thread, while the others wait for what it finds."""

    __slots__ = ("error", "lock", "secret")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.secret: str | None = None
        self.error: SecretError | None = None


def _from_nowhere(place: str) -> str:
    raise SecretError(f"vault:{place}: no inventory with encrypted values was read")


def _from_environment(name: str) -> str:
    secret = os.environ.get(name)
    if secret is None:
        raise SecretError(f"the environment has no variable {name}", hint=f"export {name}, then start orch again")
    return secret


def _from_file(path: str) -> str:
    try:
        file = Path(path).expanduser()
        if not file.is_file():
            raise SecretError(
                f"file:{path}: there is no such file", hint="a relative path starts where orch is started"
            )
        with file.open("rb") as stream:
            return _first_line(stream.read(LONGEST), f"file:{path}")
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretError(f"file:{path} can't be read: {reason}") from error


def _from_keyring(path: str) -> str:
    import keyring  # noqa: PLC0415  slow, and few need it
    import keyring.errors  # noqa: PLC0415

    service, slash, user = path.rpartition("/")
    if not slash or not service or not user:
        raise SecretError(f"keyring:{path} has no user", hint="write keyring:SERVICE/USER")
    try:
        secret = keyring.get_password(service, user)
    except (keyring.errors.KeyringError, RuntimeError, OSError) as error:
        hint = "is a keyring unlocked in this session? `keyring diagnose` says which one is used"
        raise SecretError(f"keyring:{path} can't be read ({type(error).__name__})", hint=hint) from error
    if secret is None:
        raise SecretError(f"keyring:{path}: there is no such entry", hint=f"keyring set {service} {user}")
    return secret


def _from_command(line: str) -> str:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise SecretError(f"a command of the playbook or inventory can't be split into words: {error}") from None
    if not words:
        raise SecretError("a command of the playbook or inventory is empty", hint="write command:PROGRAM ARGUMENTS")
    # The program is named, its arguments are not: they may tell where a secret is, or be one.
    named = f"command:{words[0]} ..."
    try:
        ran = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        # `from None`: the error holds what the program has written so far.
        hint = "does it wait for an answer? unlock the password manager first"
        raise SecretError(f"{named} did not end within {COMMAND_TIMEOUT_S:g} s", hint=hint) from None
    except OSError as error:
        raise SecretError(f"{named} can't be started: {error.strerror}") from error
    if ran.returncode != 0:
        raise SecretError(f"{named} ended with exit code {ran.returncode}", hint="run it by hand to see what it says")
    return _first_line(ran.stdout[:LONGEST], named)


def _first_line(answer: bytes, named: str) -> str:
    line = answer.split(b"\n", 1)[0].removesuffix(b"\r")
    try:
        secret = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        # `from None`: the error holds the bytes.
        raise SecretError(f"{named} did not give UTF-8 text") from None
    if not secret:
        raise SecretError(f"{named} gave an empty first line")
    return secret
