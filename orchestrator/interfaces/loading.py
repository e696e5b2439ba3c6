"""From what was typed to what `wiring` loads: playbook, inventories, and the passwords that are asked for first."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator import wiring
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import BadInput
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.secrets import DEFAULT_LABEL, Secret, VaultPassword
from orchestrator.interfaces.options import Sources

_PROMPTS = ("prompt", "prompt_ask_vault_pass")


def load(
    plan: Path,
    sources: Sources,
    *,
    ask_pass: bool = False,
    limit: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
) -> wiring.Project:
    """Playbook and inventory, without a mistake. *limit* and *exclude* are the hosts that *ask_pass* is meant for.

    Raises: Mistakes, BadInput, SecretError.
    """
    vault = _passwords(sources)
    answers: Mapping[str, str] = {}
    if ask_pass:
        from orchestrator.interfaces.terminal import ask_password  # noqa: PLC0415 - rich, and few are asked

        answers = ask_password(wanted=True)
    project = wiring.load(plan, sources.files, answers=answers, vault=vault)
    if ask_pass:
        chosen = project.select(limit)
        left_out = project.select(exclude) or frozenset()
        check_needed(
            way
            for host, ways in project.connections.items()
            if host not in left_out and (chosen is None or host in chosen)
            for way in ways
        )
    return project


def check_needed(ways: Iterable[Connection]) -> None:
    """Raises BadInput if `--ask-pass` changes nothing: all *ways*, and there is one, have a password of their own."""
    own = [way.password for way in ways]
    if not own or any(password is None or password.asked for password in own):
        return
    sources = list(dict.fromkeys(password.named for password in own if password is not None))
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    raise BadInput(
        f"--ask-pass changes nothing: each chosen host has an ansible_password ({sources[0]}{more}), which goes first",
        hint="leave --ask-pass out, or take ansible_password out of the inventory; nothing was touched",
    )


def load_hosts(
    plan: Path | None, sources: Sources, pattern: str
) -> tuple[Inventory, Mapping[str, Sequence[Connection]]]:
    """The inventory alone, and the ways to the hosts of *pattern*. Raises Mistakes, BadInput, SecretError."""
    return wiring.load_hosts(plan, sources.files, pattern, vault=_passwords(sources))


def _passwords(sources: Sources) -> list[VaultPassword]:
    """In the order in which Ansible tries them: by vault id, from files, typed."""
    made = [_of_label(one) for one in sources.vault_ids or ()]
    made += [VaultPassword(file=str(file)) for file in sources.vault_password_files or ()]
    if sources.ask_vault_pass:
        made.append(_typed("--ask-vault-pass", DEFAULT_LABEL))
    return made


def _of_label(typed: str) -> VaultPassword:
    label, sign, file = typed.partition("@")
    if not sign:
        label, file = "", typed
    label = label or DEFAULT_LABEL
    if not file:
        raise BadInput(f"--vault-id {typed} names no file", hint="write LABEL@FILE, or LABEL@prompt to be asked")
    return _typed(f"--vault-id {typed}", label) if file in _PROMPTS else VaultPassword(label=label, file=file)


def _typed(option: str, label: str) -> VaultPassword:
    from orchestrator.interfaces.terminal import asked  # noqa: PLC0415 - rich, and few are asked

    hint = "give --vault-password-file FILE; a program that prints the password may stand there too"
    return VaultPassword(label=label, typed=Secret(asked(option, f"vault password ({label}): ", hint)))
