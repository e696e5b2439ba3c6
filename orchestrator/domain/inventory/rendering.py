"""A host's variables with their templates rendered: each when it is first asked for, with the others at hand."""

from collections.abc import Callable, Iterator, Mapping

from orchestrator.domain.errors import Mark, TemplateError
from orchestrator.domain.inventory import ranges
from orchestrator.domain.inventory.model import InventoryHost
from orchestrator.domain.secrets import SecretRef, split
from orchestrator.domain.templates import Render, is_template

BY_HOST = ("inventory_hostname", "inventory_hostname_short", "group_names")
"""The variables that every host has without being given them."""


class VariableError(TemplateError):
    """A variable that can't be rendered. `mark` is the place of that variable, not of the one that asked for it."""

    def __init__(self, message: str, mark: Mark) -> None:
        super().__init__(message)
        self.mark = mark


class Rendered(Mapping[str, object]):
    """The variables of one host, and Ansible's `inventory_hostname`, `inventory_hostname_short` and `group_names`.

    Looking one up raises VariableError if it can't be rendered. Cost: looking at the text; a rendered value is kept.
    *reveal* resolves secret references, for `opened`. `leaned_on` are the names that templates have asked for so far,
    whether there are such variables or not.
    """

    def __init__(self, host: InventoryHost, render: Render, reveal: Callable[[str], str] | None = None) -> None:
        self.host = host
        self._render = render
        self._reveal = reveal
        self._made: dict[str, object] = dict(
            zip(BY_HOST, (host.name, short_name(host.name), list(host.groups)), strict=True)
        )
        self._asked: list[str] = []
        self.leaned_on: set[str] = set()

    def __getitem__(self, name: str) -> object:
        if self._asked:
            self.leaned_on.add(name)
        if name in self._made:
            return self._made[name]
        value = self.host.variables[name]
        if isinstance(value, str) and not is_template(value):
            return value
        if name in self._asked:
            circle = " -> ".join([*self._asked[self._asked.index(name) :], name])
            raise VariableError(f"variables need each other in a circle: {circle}", self.mark(name))
        self._asked.append(name)
        try:
            made = self._made[name] = self._rendered(value)
        except VariableError:
            raise
        except TemplateError as error:
            raise VariableError(str(error), self.mark(name)) from error
        finally:
            self._asked.pop()
        return made

    def opened(self, text: str) -> str:
        """*text* with its secrets in plain, if all of them are values that ansible-vault has encrypted; else as it is.

        Raises:
            SecretError: one can't be decrypted.
        """
        references = [piece for piece in split(text) if isinstance(piece, SecretRef)]
        if self._reveal is None or any(reference.kind != "vault" for reference in references):
            return text
        return self._reveal(text)

    def mark(self, name: str) -> Mark:
        """Where the value of *name* stands."""
        return self.host.marks.get(name) or Mark(f"host {self.host.name}", 1, 1)

    def _rendered(self, value: object) -> object:
        if isinstance(value, str):
            return self._render(value, self) if is_template(value) else value
        if isinstance(value, dict):
            return {key: self._rendered(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._rendered(item) for item in value]
        return value

    def __contains__(self, name: object) -> bool:
        if self._asked:
            self.leaned_on.add(str(name))
        return name in self._made or name in self.host.variables

    def __iter__(self) -> Iterator[str]:
        yield from self.host.variables
        for name in BY_HOST:
            if name not in self.host.variables:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)


def short_name(host: str) -> str:
    """The name up to its first dot; an address as it is."""
    if ranges.is_ipv6(host) or host.replace(".", "").isdigit():
        return host
    return host.partition(".")[0]
