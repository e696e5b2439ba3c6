"""What a template may name: `vars`, `service`, and `host` where there is one."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.domain.errors import TemplateError
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.rendering import Rendered, VariableError
from orchestrator.domain.templates import Render, is_template
from orchestrator.domain.tree import Node


class Names:
    """Makes contexts for one draft. A host's names are put together once, and only if a template asks for them."""

    def __init__(
        self, render: Render, variables: Mapping[str, Node], inventory: Inventory, address_of: Callable[[str], str]
    ) -> None:
        self._render = render
        self._nodes = variables
        self._vars = {key: node.plain() for key, node in variables.items()}
        self._vars_hold_templates = _holds_template(self._vars)
        self._inventory = inventory
        self._address_of = address_of
        self._hosts: dict[str, Mapping[str, object]] = {}

    def of(self, key: str, scm_names: Sequence[str] = (), host: str | None = None) -> dict[str, object]:
        """The names for the service *key*, on *host* if that is given."""
        service: dict[str, object] = {"key": key}
        if scm_names:
            service |= {"name": scm_names[0], "names": list(scm_names)}
        context: dict[str, object] = {"service": service}
        if host is not None:
            context["host"] = self._host(host)
        return self._with_vars(context)

    def of_playbook(self) -> dict[str, object]:
        """The names for the playbook's own settings."""
        return self._with_vars({})

    def _with_vars(self, context: dict[str, object]) -> dict[str, object]:
        context["vars"] = self._vars
        if self._vars_hold_templates:
            context["vars"] = _Vars(self._vars, self._nodes, self._render, context)
        return context

    def _host(self, name: str) -> Mapping[str, object]:
        """The host's variables, rendered, over which its name and address stand."""
        if name not in self._hosts:
            ours = {"name": name, "address": self._address_of(name)}
            self._hosts[name] = _Over(ours, Rendered(self._inventory.hosts[name], self._render))
        return self._hosts[name]


class _Over(Mapping[str, object]):
    """*first*, and what only *second* has."""

    def __init__(self, first: Mapping[str, object], second: Mapping[str, object]) -> None:
        self._first = first
        self._second = second

    def __getitem__(self, key: str) -> object:
        return self._first[key] if key in self._first else self._second[key]

    def __contains__(self, key: object) -> bool:
        return key in self._first or key in self._second

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._first), **dict.fromkeys(self._second)})

    def __len__(self) -> int:
        return len(self._first) + sum(key not in self._first for key in self._second)


class _Vars(Mapping[str, object]):
    """`vars` of which some hold templates: each is rendered when it is asked for, with the names of the asker."""

    def __init__(
        self,
        plain: Mapping[str, object],
        nodes: Mapping[str, Node],
        render: Render,
        context: Mapping[str, object],
    ) -> None:
        self._plain = plain
        self._nodes = nodes
        self._render = render
        self._context = context
        self._asked: list[str] = []

    def __getitem__(self, key: str) -> object:
        value = self._plain[key]
        if not _holds_template(value):
            return value
        if key in self._asked:
            circle = " -> ".join([*self._asked[self._asked.index(key) :], key])
            raise VariableError(f"variables need each other in a circle: {circle}", self._nodes[key].mark)
        self._asked.append(key)
        try:
            return self._rendered(value)
        except VariableError:
            raise
        except TemplateError as error:
            raise VariableError(str(error), self._nodes[key].mark) from error
        finally:
            self._asked.pop()

    def __contains__(self, key: object) -> bool:
        return key in self._plain

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    def _rendered(self, value: object) -> object:
        if isinstance(value, str):
            return self._render(value, self._context)
        if isinstance(value, dict):
            return {key: self._rendered(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._rendered(item) for item in value]
        return value


def _holds_template(value: object) -> bool:
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, dict):
        return any(map(_holds_template, value.values()))
    return isinstance(value, list) and any(map(_holds_template, value))
