"""One SCM service on one host belongs to one entry. Names are compared as Windows does: without case."""

from collections.abc import Iterable

from orchestrator.domain.errors import Mark
from orchestrator.domain.kinds import called, is_service
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.service import Asked


class Owners:
    """Which entry owns which SCM service on which host."""

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._literal: dict[tuple[str, str], tuple[str, Mark]] = {}
        self._patterns: dict[str, list[tuple[Asked, str, Mark]]] = {}

    def add(self, key: str, mark: Mark, hosts: Iterable[str], asked: tuple[Asked, ...]) -> None:
        """Note that the entry *key*, whose names stand at *mark*, owns *asked* on *hosts*. Cost: O(hosts x asked)."""
        literal = {question.name.lower(): question.name for question in asked if not question.pattern}
        patterns = [question for question in asked if question.pattern]
        if len(literal) + len(patterns) < len(asked):
            self._found.add(mark, f"{key!r} lists an SCM service twice", "list it once; case makes no difference")
        owner = (key, mark)
        for host in hosts:
            for lower, name in literal.items():
                other = self._literal.setdefault((host, lower), owner)
                if other is not owner:
                    self._tell(mark, name, host, other)
            for pattern in patterns:
                self._patterns.setdefault(host, []).append((pattern, key, mark))

    def check_patterns(self) -> None:
        """Tell of names that a pattern on the same host matches as well. Call it once, when all is added."""
        if not self._patterns:
            return
        for (host, lower), owner in self._literal.items():
            for pattern, key, mark in self._patterns.get(host, ()):
                if is_service(lower) and pattern.matches(lower):
                    wrong = f"the pattern {pattern.name!r} of {key!r} matches {lower!r} of {owner[0]!r}"
                    self._found.add(
                        mark, wrong, f"one of them must not name it; the other stands at {owner[1]}", host=host
                    )

    def _tell(self, mark: Mark, name: str, host: str, other: tuple[str, Mark]) -> None:
        what = f"the SCM service {name!r}" if is_service(name) else called(name)
        wrong = f"{what} belongs to {other[0]!r} already"
        self._found.add(mark, wrong, f"name it once, here or at {other[1]}", host=host)
