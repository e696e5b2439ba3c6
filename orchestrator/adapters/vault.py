"""Ansible Vault, by ansible's own library, which is loaded when the first thing has to be decrypted.

It tells no types, and loading it takes 0.4 s. What was read of encrypted values is kept here by its place, so that a
reference to the place is all that others hold.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.domain.errors import SecretError
from orchestrator.domain.secrets import VaultPassword

if TYPE_CHECKING:
    from ansible.parsing.vault import VaultLib  # type: ignore[import-untyped]  # ansible tells no types

ENVIRONMENT = "ANSIBLE_VAULT_PASSWORD_FILE"
_NO_PASSWORD = f"give --vault-password-file FILE, --vault-id LABEL@FILE or --ask-vault-pass, or set {ENVIRONMENT}"


class Vault:
    """Decrypts with *passwords*, and at last with the one that the environment names.

    As in Ansible, those are tried first whose label is that of the ciphertext, then all others. Safe to call from any
    thread; whatever decrypts may wait for a program that gives a password, so never from the event loop.
    """

    def __init__(self, passwords: Sequence[VaultPassword] = ()) -> None:
        self._passwords = passwords
        self._held: dict[str, tuple[str, bool]] = {}
        self._library: VaultLib | None = None
        self._lock = threading.Lock()

    def hold(self, place: str, text: str, *, encrypted: bool) -> None:
        """Keep what stands at *place*, so that `reveal` can find it."""
        self._held[place] = (text, encrypted)

    def reveal(self, place: str) -> str:
        """The secret that stands at *place*.

        Raises:
            SecretError: nothing is known of that place, or it can't be decrypted.
        """
        if place not in self._held:
            hint = "has the inventory been changed since?"
            raise SecretError(f"vault:{place}: the inventory has no encrypted value there", hint=hint)
        text, encrypted = self._held[place]
        if not encrypted:
            return text
        try:
            return self.decrypt("\n".join(text.split()).encode(), place).decode("utf-8")
        except UnicodeDecodeError:
            # `from None`: the error holds the bytes.
            raise SecretError(f"{place}: what is encrypted here is no UTF-8 text") from None

    def decrypt(self, ciphertext: bytes, place: str) -> bytes:
        """What is encrypted in *ciphertext*.

        Raises:
            SecretError: there is no password, no right one, or the text is damaged. It names *place* and labels alone.
        """
        with self._lock:
            self._library = self._library or self._load()
            labels = [label for label, _ in self._library.secrets]
            if not labels:
                raise SecretError(
                    f"{place} is encrypted with ansible-vault, and there is no password", hint=_NO_PASSWORD
                )
            return self._decrypted(self._library, ciphertext, place, labels)

    def _decrypted(self, library: "VaultLib", ciphertext: bytes, place: str, labels: Sequence[str]) -> bytes:
        from ansible.errors import AnsibleError  # type: ignore[import-untyped]  # noqa: PLC0415
        from ansible.parsing.vault import AnsibleVaultFormatError  # noqa: PLC0415

        try:
            return bytes(library.decrypt(ciphertext))
        except AnsibleVaultFormatError:
            hint = "encrypt it anew with ansible-vault"
            raise SecretError(f"{place}: this is no text of ansible-vault, or it is damaged", hint=hint) from None
        except AnsibleError:
            head = ciphertext.splitlines()[0].decode("ascii", "replace").split(";")
            wanted = f"; it was encrypted for the vault id {head[3].strip()!r}" if len(head) > 3 else ""
            wrong = f"{place} can't be decrypted: none of the vault passwords fits ({', '.join(labels)}){wanted}"
            raise SecretError(wrong, hint=_NO_PASSWORD) from None

    def _load(self) -> "VaultLib":
        try:
            from ansible.errors import AnsibleError  # noqa: PLC0415
        except ImportError:
            wrong = "something here is encrypted with ansible-vault, and ansible is not installed"
            raise SecretError(wrong, hint="pip install 'orchestrator[vault]'") from None
        try:
            from ansible.parsing.dataloader import DataLoader  # type: ignore[import-untyped]  # noqa: PLC0415
            from ansible.parsing.vault import VaultLib, VaultSecret, get_file_vault_secret  # noqa: PLC0415
        except AnsibleError as error:
            raise SecretError(f"ansible can't be loaded: {error}", hint="look at ansible.cfg") from None
        loader, secrets = DataLoader(), []
        for password in (*self._passwords, *_of_environment()):
            try:
                if password.typed is not None:
                    secret = VaultSecret(password.typed.text.encode())
                else:
                    file = os.fspath(Path(password.file).expanduser())
                    secret = get_file_vault_secret(file, password.label, None, loader)
                    secret.load()
            except (AnsibleError, OSError) as error:
                hint = "its text is the password, or it is a program that prints it"
                raise SecretError(f"no vault password from {password.file}: {error}", hint=hint) from None
            secrets.append((password.label, secret))
            loader.set_vault_secrets(secrets)  # a password file may itself be encrypted, with one before it
        return VaultLib(secrets)


def _of_environment() -> list[VaultPassword]:
    file = os.environ.get(ENVIRONMENT)
    return [VaultPassword(file=file)] if file else []
