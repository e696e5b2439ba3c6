"""What a template may name: `vars`, `service`, and `host` where there is one."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.domain.errors import Mark, TemplateError
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.playbook.pieces import PlacedTemplateError
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
            context["vars"] = _Rendered(self._vars, self._render, lambda key: self._nodes[key].mark, context)
        return context

    def _host(self, name: str) -> Mapping[str, object]:
        """The host's variables, which name each other without `host.`, as in Ansible; and its name and address."""
        if name not in self._hosts:
            host = self._inventory.hosts[name]
            marks = host.marks or {}
            ours: dict[str, object] = {"inventory_hostname": name, "group_names": list(host.groups)}
            ours |= {"name": name, "address": self._address_of(name)}
            self._hosts[name] = _Rendered(_Over(ours, host.variables), self._render, marks.get)
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


class _Rendered(Mapping[str, object]):
    """Variables of which some hold templates: each is rendered when it is asked for.

    Their templates may use the names of *context*; without one, the other variables.
    """

    def __init__(
        self,
        raw: Mapping[str, object],
        render: Render,
        mark: Callable[[str], Mark | None],
        context: Mapping[str, object] | None = None,
    ) -> None:
        self._raw = raw
        self._render = render
        self._mark = mark
        self._context = self if context is None else context
        self._asked: list[str] = []

    def __getitem__(self, key: str) -> object:
        value = self._raw[key]
        if not _holds_template(value):
            return value
        if key in self._asked:
            circle = " -> ".join([*self._asked[self._asked.index(key) :], key])
            raise self._placed(key, f"variables need each other in a circle: {circle}")
        self._asked.append(key)
        try:
            return self._rendered(value)
        except PlacedTemplateError:
            raise
        except TemplateError as error:
            raise self._placed(key, str(error)) from error
        finally:
            self._asked.pop()

    def __contains__(self, key: object) -> bool:
        return key in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def _rendered(self, value: object) -> object:
        if isinstance(value, str):
            return self._render(value, self._context)
        if isinstance(value, dict):
            return {key: self._rendered(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._rendered(item) for item in value]
        return value

    def _placed(self, key: str, message: str) -> TemplateError:
        mark = self._mark(key)
        return PlacedTemplateError(message, mark) if mark else TemplateError(message)


def _holds_template(value: object) -> bool:
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, dict):
        return any(map(_holds_template, value.values()))
    return isinstance(value, list) and any(map(_holds_template, value))
