"""A playbook on disk: its file, and the fragments that it includes, each read once."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.domain.errors import Mark, Mistakes
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.including import includes
from orchestrator.domain.playbook.reading import Playbook, read_playbook
from orchestrator.domain.tree import Node

DEEPEST = 16
"""Fragments in fragments: deeper is hardly meant."""
MOST_FILES = 500


def load(path: Path) -> Playbook:
    """The playbook in the file at *path* and its fragments; mistakes are left in it, those of fragments too.

    Raises:
        Mistakes: the file itself is no playbook.
    Cost: about that of reading the YAML.
    """
    node = yaml_nodes.read(path)
    walk = _Walk()
    walk.into(node, [path])
    return read_playbook(node, walk.fragments, walk.found.mistakes)


@dataclass(slots=True)
class _Walk:
    """One playbook's fragments, each after those that it includes itself. Files are told apart by their real paths."""

    fragments: list[Node] = field(default_factory=list)
    found: Findings = field(default_factory=Findings)
    _seen: set[str] = field(default_factory=set)
    _stopped: bool = False

    def into(self, node: Node, chain: list[Path]) -> None:
        """Read what *node* includes, the file that the last of *chain* names."""
        known = [os.path.realpath(path) for path in chain]
        for written, mark in includes(node, self.found):
            if self._stopped:
                return
            path = Path(os.path.normpath(chain[-1].parent / written))
            real = os.path.realpath(path)
            if real in known:
                circle = " -> ".join(map(str, [*chain[known.index(real) :], path]))
                self.found.add(mark, f"files include each other in a circle: {circle}", "remove one of these includes")
            elif real in self._seen:
                continue
            elif len(chain) > DEEPEST:
                told = " -> ".join(map(str, [*chain, path]))
                self._stop(mark, f"files include each other more than {DEEPEST} deep: {told}", "include it higher up")
            elif len(self._seen) >= MOST_FILES:
                self._stop(mark, f"more than {MOST_FILES} fragments", "put some of them together")
            else:
                self._seen.add(real)
                self._read(path, mark, chain)

    def _stop(self, mark: Mark, wrong: str, right: str) -> None:
        """Note that there is too much, and read no further: every other file could say the same again."""
        self.found.add(mark, wrong, right)
        self._stopped = True

    def _read(self, path: Path, mark: Mark, chain: list[Path]) -> None:
        try:
            path.stat()
            node = yaml_nodes.read(path)
        except Mistakes as error:
            self.found.extend(error.mistakes)
        except OSError as error:
            right = f"the path counts from the folder of {chain[-1]}"
            self.found.add(mark, f"there is no {path}: {error.strerror or error}", right)
        else:
            self.into(node, [*chain, path])
            self.fragments.append(node)
