"""Secret references: what `{{ secret('env:NAME') }}` renders to, everywhere.

A reference travels inside text between two private-use characters, which the YAML loader refuses in input, so that no
value of a file or a host can pass for one. The adapter that uses the text resolves it at that moment; everybody else
shows it with `shown`, and a plan or a fact can hold it safely.
"""

import re
from dataclasses import dataclass

OPEN, CLOSE = "\ue000", "\ue001"
KINDS = ("env", "file", "keyring", "command", "ask", "vault")
_EMBEDDED = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found: its kind, one of KINDS, and what leads to it there.

    A `vault` reference leads to the place in the inventory (FILE:LINE:COLUMN) where ansible-vault has encrypted it.
    """

    kind: str
    path: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"


ASKED = SecretRef("ask", "password")
"""What `--ask-pass` answers."""


def parse(reference: str) -> SecretRef:
    """The reference written as `kind:path`.

    Raises:
        ValueError: the kind is none of KINDS or the path is empty; the message says what would be right.
    """
    kind, _, path = reference.partition(":")
    if kind not in KINDS or not path or OPEN in path or CLOSE in path:
        raise ValueError(f"secret({reference!r}): write env:NAME, file:PATH, keyring:SERVICE/USER or command:...")
    return SecretRef(kind, path)


def embed(reference: SecretRef) -> str:
    """The reference as text that can stand inside other text."""
    return f"{OPEN}{reference}{CLOSE}"


def split(text: str) -> list[str | SecretRef]:
    """*text* cut into plain pieces and references, in order; empty pieces are left out."""
    pieces = _EMBEDDED.split(text)
    return [parse(piece) if index % 2 else piece for index, piece in enumerate(pieces) if piece]


def shown(text: str) -> str:
    """*text* for people: each reference as `<secret env:NAME>`; a command's words are left out, for they may tell."""
    return _EMBEDDED.sub(lambda found: f"<secret {_naming(found[1])}>", text)


def has_secret(text: str) -> bool:
    """Whether *text* holds a reference."""
    return OPEN in text


def _naming(reference: str) -> str:
    return "command" if reference.startswith("command:") else reference


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A password or passphrase: text that may hold references. Never shows itself."""

    text: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    @property
    def named(self) -> str:
        """For people: the references by name, `a password in the inventory` for literal text."""
        pieces = split(self.text)
        names = [f"{{{_naming(str(piece))}}}" for piece in pieces if isinstance(piece, SecretRef)]
        return " ".join(names) or "a password in the inventory"

    @property
    def asked(self) -> bool:
        """Whether it is what `--ask-pass` asks for."""
        return ASKED in split(self.text)


DEFAULT_LABEL = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPassword:
    """One password of ansible-vault: what was `typed`, or the `file` that holds it, or prints it if it is a program.

    `label` is its vault id.
    """

    label: str = DEFAULT_LABEL
    file: str = ""
    typed: Secret | None = None
