"""Collects mistakes, and says what is wrong on many hosts once."""

from dataclasses import dataclass, field

from orchestrator.domain.errors import Mark, Mistake, Mistakes

MOST_PER_PLACE = 3
"""How many different mistakes are told for one place that is rendered for many hosts."""


@dataclass(slots=True)
class Findings:
    """The mistakes found so far."""

    _found: list[Mistake] = field(default_factory=list)
    _by_place: dict[Mark, dict[tuple[str, str], list[str]]] = field(default_factory=dict)

    def add(self, mark: Mark, wrong: str, right: str = "", *, host: str | None = None) -> None:
        """Note a mistake; *host* is the one that a template was rendered for, if there is one."""
        if host is None:
            self._found.append(Mistake(mark, wrong, right))
        else:
            self._by_place.setdefault(mark, {}).setdefault((wrong, right), []).append(host)

    def extend(self, mistakes: tuple[Mistake, ...]) -> None:
        """Note mistakes that were found elsewhere."""
        self._found.extend(mistakes)

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """All of them, each once, in file order."""
        found = set(self._found)
        for mark, by_text in self._by_place.items():
            for (wrong, right), hosts in list(by_text.items())[:MOST_PER_PLACE]:
                found.add(Mistake(mark, f"{wrong} (for {_listed(hosts)})", right))
            if left := list(by_text.values())[MOST_PER_PLACE:]:
                found.add(Mistake(mark, f"more mistakes of this kind for {_listed(sum(left, []))}"))
        return tuple(sorted(found))

    def raise_if_any(self) -> None:
        """Raises Mistakes if there is one."""
        if mistakes := self.mistakes:
            raise Mistakes(mistakes)


def _listed(hosts: list[str]) -> str:
    names = list(dict.fromkeys(hosts))
    if len(names) <= 3:
        return ", ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more hosts"
