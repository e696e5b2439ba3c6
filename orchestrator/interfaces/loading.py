"""From what was typed to what `wiring` loads: playbook, inventories, and the passwords that are asked for first."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import wiring
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import BadInput
from orchestrator.domain.inventory import patterns
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.secrets import DEFAULT_LABEL, Secret, VaultPassword
from orchestrator.interfaces.options import Sources

if TYPE_CHECKING:
    from orchestrator.domain.facts import MadeFrom

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


def load_hosts(plan: Path | None, sources: Sources, pattern: str, *, ask_pass: bool = False) -> wiring.Ways:
    """The inventory alone, and the ways to the hosts of *pattern*. Raises Mistakes, BadInput, SecretError."""
    vault = _passwords(sources)
    answers: Mapping[str, str] = {}
    if ask_pass:
        from orchestrator.interfaces.terminal import ask_password  # noqa: PLC0415 - rich, and few are asked

        answers = ask_password(wanted=True)

    def chosen(hosts: Inventory) -> Sequence[str]:
        return patterns.select(hosts, pattern)

    ways = wiring.load_hosts(plan, sources.files, chosen, answers=answers, vault=vault)
    if ask_pass:
        check_needed(way for found in ways.connections.values() for way in found)
    return ways


def made_from(plan: Path | None, sources: Sources, *, ask_pass: bool = False) -> "MadeFrom":
    """What another process needs to find the same hosts again, whatever folder it is started in."""
    from orchestrator.domain.facts import MadeFrom  # noqa: PLC0415 - loads what a run is made of, and `validate` has none

    return MadeFrom(
        playbook=_absolute(plan) if plan else "",
        inventories=tuple(_absolute(file) for file in sources.files or ()),
        vault_password_files=tuple(_absolute(file) for file in sources.vault_password_files or ()),
        vault_ids=tuple(_absolute_id(one) for one in sources.vault_ids or ()),
        ask_vault_pass=sources.ask_vault_pass,
        ask_pass=ask_pass,
    )


def load_again(made: "MadeFrom", hosts: Iterable[str]) -> wiring.Ways:
    """The ways to *hosts*, from the files that a run or a snapshot was made from. A password that was typed then is
    asked for again.

    Raises: Mistakes, BadInput, SecretError; BadInput too if the inventory has one of them no more.
    """
    sources = sources_of(made)
    if made.ask_pass or made.ask_vault_pass:
        from orchestrator.interfaces.terminal import say  # noqa: PLC0415 - rich, and few are asked

        say("it was begun with a password that was typed, which is kept nowhere: it is asked for again")
    vault = _passwords(sources)
    answers: Mapping[str, str] = {}
    if made.ask_pass:
        from orchestrator.interfaces.terminal import ask_password  # noqa: PLC0415 - rich, and few are asked

        answers = ask_password(wanted=True)
    wanted = tuple(hosts)

    def still_there(known: Inventory) -> Sequence[str]:
        gone = [host for host in wanted if host not in known.hosts]
        if gone:
            raise BadInput(
                f"{known.file} has no host {', '.join(gone)} any more; nothing was touched",
                hint="put it back there: the run was planned with it",
            )
        return wanted

    plan = Path(made.playbook) if made.playbook else None
    return wiring.load_hosts(plan, sources.files, still_there, answers=answers, vault=vault)


def sources_of(made: "MadeFrom") -> Sources:
    """Where hosts come from, as it was typed then."""
    return Sources(
        [Path(file) for file in made.inventories] or None,
        [Path(file) for file in made.vault_password_files],
        made.vault_ids,
        made.ask_vault_pass,
    )


def _absolute(file: Path) -> str:
    return str(file.absolute())


def _absolute_id(typed: str) -> str:
    """A vault id whose file is found from any folder."""
    label, sign, file = typed.rpartition("@")
    return typed if file in (*_PROMPTS, "") else f"{label}{sign}{_absolute(Path(file))}"


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
