"""Values and files that ansible-vault has encrypted: what is read of them are references, never the secrets.

An inline value becomes a reference by its place, and stays encrypted until it is used. A file that is encrypted as a
whole must be decrypted to be read: its texts become references in the same way, numbers and booleans stay.
"""

import re
from collections.abc import Iterable
from typing import Protocol

from orchestrator.domain.errors import Mark, Mistake, Mistakes, SecretError
from orchestrator.domain.secrets import OPEN, SecretRef, embed
from orchestrator.domain.templates import is_template
from orchestrator.domain.tree import Node

HEADER = "$ANSIBLE_VAULT;"
TAGS = ("!vault", "!vault-encrypted")
_NAME_ALONE = re.compile(r"\s*\{\{[^{}'\"]*\}\}\s*")


class Vault(Protocol):
    """What documents ask of Ansible Vault."""

    def hold(self, place: str, text: str, *, encrypted: bool) -> None:
        """Keep what stands at *place*, so that the reference `vault:PLACE` leads to it."""

    def decrypt(self, ciphertext: bytes, place: str) -> bytes:
        """The text of a file. Raises SecretError; it names *place*, never a secret."""


def reference(vault: Vault, mark: Mark, text: str, *, encrypted: bool) -> str:
    """The text that stands for the secret at *mark*."""
    vault.hold(str(mark), text, encrypted=encrypted)
    return embed(SecretRef("vault", str(mark)))


def is_encrypted(content: bytes) -> bool:
    """Whether a whole file is."""
    return content.startswith(HEADER.encode())


def opened(content: bytes, file: str, vault: Vault | None) -> bytes:
    """The text of the encrypted file *file*.

    Raises:
        Mistakes: there is no password for it.
    """
    mark = Mark(file, 1, 1)
    if vault is None:
        raise Mistakes([Mistake(mark, "ansible-vault is supported in inventories and their variables alone")])
    try:
        return vault.decrypt(content, file)
    except SecretError as error:
        raise Mistakes([Mistake(mark, str(error), error.hint)]) from None


def masked(found: Iterable[Mistake]) -> list[Mistake]:
    """Mistakes of a decrypted text without its words: they may be what was to be hidden."""
    wrong = "the decrypted text is wrong here; its words are not shown"
    return [Mistake(one.mark, wrong, f"ansible-vault edit {one.mark.file.partition(' --')[0]}") for one in found]


class Seal:
    """Makes references of the texts of an encrypted file. `mistakes` fills on the way.

    A text that is a template can't be one. It is taken as it is if it holds names alone.
    """

    def __init__(self, vault: Vault) -> None:
        self.mistakes: list[Mistake] = []
        self._vault = vault

    def __call__(self, node: Node) -> Node:
        """*node* with every text in it replaced."""
        value = node.value
        if isinstance(value, dict):
            sealed = {key: self(one) for key, one in value.items()}
            return Node(sealed, node.file, node.line, node.column, node.keys)
        if isinstance(value, list):
            return Node([self(one) for one in value], node.file, node.line, node.column)
        if not isinstance(value, str) or not value or OPEN in value:
            return node
        if not is_template(value):
            text = reference(self._vault, node.mark, value, encrypted=False)
            return Node(text, node.file, node.line, node.column)
        if not _NAME_ALONE.fullmatch(value):
            right = "in an encrypted file a template is {{ NAME }} alone; put others into a file that is not encrypted"
            self.mistakes.append(Mistake(node.mark, "a template with text around it in an encrypted file", right))
        return node
