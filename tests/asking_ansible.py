"""Asking ansible-core what it makes of inventories, and comparing that with what we make of them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain.inventory.model import Inventory

_JUDGE = Path(__file__).parent / "ansible_judge.py"


@dataclass(frozen=True)
class Case:
    """One inventory, ours and Ansible's."""

    ours: Inventory
    theirs: Mapping[str, Any]


def environment(folder: Path) -> dict[str, str]:
    """What Ansible needs to run without looking at this machine's own settings."""
    (folder / "empty.cfg").touch()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_CONFIG": str(folder / "empty.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
    }


def ask(folder: Path, questions: object, *passwords: str) -> list[Any]:
    """The judge's answers, one for each question; one process for all."""
    ran = subprocess.run(
        [sys.executable, str(_JUDGE), *passwords],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder),
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers: list[Any] = json.loads(ran.stdout)
    return answers


def command(folder: Path, program: str, *args: str) -> str:
    """What a command of Ansible prints."""
    ran = subprocess.run(
        [sys.executable, "-m", "ansible", program, *args],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder),
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def ordered(case: Case) -> bool:
    """Whether Ansible's order is one: where two groups of a level have children, it goes through a set."""
    groups = case.theirs["groups"]

    def levels(name: str) -> Iterator[list[str]]:
        level = [name]
        while level:
            yield level
            level = list(dict.fromkeys(child for one in level for child in groups[one]["children"]))

    return all(sum(bool(groups[one]["children"]) for one in level) <= 1 for name in groups for level in levels(name))


def compare_groups(case: Case) -> None:
    """Groups, their hosts and children, all orders, depths and priorities are Ansible's."""
    assert list(case.ours.groups) == list(case.theirs["groups"]), case.ours.file
    for name, theirs in case.theirs["groups"].items():
        ours = case.ours.groups[name]
        where = f"{case.ours.file}: {name}"
        assert list(ours.children) == theirs["children"], where
        assert list(ours.listed) == theirs["listed"], where
        assert sorted(ours.hosts) == sorted(theirs["hosts"]), where
        assert (ours.depth, ours.priority) == (theirs["depth"], theirs["priority"]), where
        assert not ordered(case) or list(ours.hosts) == theirs["hosts"], where
    assert list(case.ours.as_written) == list(case.theirs["hosts"]), case.ours.file


def compare_hosts(case: Case, reveal: Callable[[Any], Any] = lambda value: value) -> int:
    """The variables and groups of each host are Ansible's; how many variables were compared."""
    seen = 0
    assert sorted(case.ours.hosts) == sorted(case.theirs["hosts"])
    for name, theirs in case.theirs["hosts"].items():
        ours = case.ours.hosts[name]
        assert reveal(dict(ours.variables)) == theirs["variables"], f"{case.ours.file}: {name}"
        assert list(ours.groups) == theirs["groups"], f"{case.ours.file}: {name}"
        assert len(ours.variables) == len(dict(ours.variables)) == len(dict(ours.marks))
        seen += len(ours.variables)
    return seen


def encrypted(text: str, password: str, label: str = "default") -> str:
    """*text* as ansible-vault writes it."""
    from ansible.parsing.vault import VaultLib, VaultSecret  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    made: bytes = VaultLib([(label, VaultSecret(password.encode()))]).encrypt(text, vault_id=label)
    return made.decode()
