"""What inventory files declare, in whichever form they are written: groups and hosts, who holds whom; nothing merged.

Several sources are put one after the other into one `Declaration`, as Ansible does: what is said later wins, and a
host keeps the place at which it was first named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.inventory import ranges
from orchestrator.domain.tree import Node

MOST_HOSTS = 200_000
MOST_MENTIONS = 1_000_000
"""How often hosts may be named in all, with ranges written out."""
MOST_MISTAKES = 100
_PRIORITY = "ansible_group_priority"


@dataclass(slots=True)
class DeclaredGroup:
    """One group as the files have it; children and hosts in order of mention, each once, with their places."""

    mark: Mark
    children: dict[str, Mark] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    priority: int = 1


@dataclass(slots=True)
class Declared:
    """Everything that the sources declare. `hosts` has each host's own variables; both in order of first mention.

    `file` names the sources for people.
    """

    file: str
    groups: dict[str, DeclaredGroup] = field(default_factory=dict)
    hosts: dict[str, dict[str, Node]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


Seal = Callable[[Node], Node]
"""Makes secret references of the texts in a value: for sources that are encrypted as a whole."""


class Declaration:
    """Collects what one source after the other says. `seal` is set while a source is read that is encrypted.

    Raises (all methods): Mistakes, when there are so many that it makes no sense to go on.
    """

    def __init__(self, file: str) -> None:
        start = Mark(file, 1, 1)
        self.declared = Declared(file)
        self.declared.groups["all"] = DeclaredGroup(start, children={"ungrouped": start})
        self.declared.groups["ungrouped"] = DeclaredGroup(start)
        self.seal: Seal | None = None
        self._places: dict[str, Mark] = {}
        self._mentions = 0

    def group(self, name: str, mark: Mark) -> DeclaredGroup:
        """The group *name*, made if it is not there yet."""
        if not ranges.is_name(name):
            self.wrong(mark, f"{name!r} is no group name", "a name has letters, digits, dots, dashes, underscores")
        return self.declared.groups.setdefault(name, DeclaredGroup(mark))

    def may_hold(self, parent: str, child: str, mark: Mark) -> bool:
        """Whether *child* can stand in *parent*; if not, that is noted."""
        if parent == "ungrouped" or (child == "ungrouped" and parent != "all"):
            right = "`ungrouped` is for hosts that are in no other group"
            self.wrong(mark, f"{parent!r} can't hold {child!r}", right)
            return False
        return True

    def group_variable(self, group: DeclaredGroup, name: str, value: Node) -> None:
        """Set a variable of *group*, or its priority."""
        if name != _PRIORITY:
            group.variables[name] = self.seal(value) if self.seal else value
            return
        try:
            group.priority = int(str(value.value))
        except ValueError:
            self.wrong(value.mark, f"{_PRIORITY} is {value.kind}", "a whole number")

    def entry(self, group: DeclaredGroup, entry: str, variables: Mapping[str, Node], mark: Mark) -> None:
        """Put the hosts that *entry* stands for (a name, a range, either with a port) into *group*."""
        try:
            names, port = ranges.expand(entry)
        except ValueError as error:
            self.wrong(mark, str(error))
            return
        self.hosts(group, names, variables, mark, port=port)

    def hosts(
        self,
        group: DeclaredGroup,
        names: Sequence[str],
        variables: Mapping[str, Node],
        mark: Mark,
        *,
        port: int | None = None,
    ) -> None:
        """Put hosts into *group*. A port counts only where a host is first met, as in Ansible."""
        self._mentions += len(names)
        if self._mentions > MOST_MENTIONS:
            self._stop(mark, f"hosts are named more than {MOST_MENTIONS} times")
        given = self._sealed(variables)
        for name in names:
            own = self.declared.hosts.get(name)
            if own is None:
                if len(self.declared.hosts) >= MOST_HOSTS:
                    self._stop(mark, f"more than {MOST_HOSTS} hosts")
                self._places[name] = mark
                own = self.declared.hosts[name] = {}
                if port is not None:
                    own["ansible_port"] = Node(port, mark.file, mark.line, mark.column)
            own.update(given)
            group.hosts[name] = None

    def host_variables(self, name: str, variables: Mapping[str, Node]) -> None:
        """Set variables of the host *name*, which is there already."""
        self.declared.hosts[name].update(self._sealed(variables))

    def finish(self) -> Declared:
        """What all sources declare together; its `mistakes` has all that is wrong with it."""
        for name in self.declared.groups:
            if name in self._places:
                self.wrong(self._places[name], f"{name!r} is a host and a group", "rename one of them")
        return self.declared

    def wrong(self, mark: Mark, wrong: str, right: str = "") -> None:
        """Note a mistake."""
        self.declared.mistakes.append(Mistake(mark, wrong, right))
        if len(self.declared.mistakes) >= MOST_MISTAKES:
            raise Mistakes(self.declared.mistakes)

    def _sealed(self, variables: Mapping[str, Node]) -> Mapping[str, Node]:
        seal = self.seal
        return {name: seal(value) for name, value in variables.items()} if seal else variables

    def _stop(self, mark: Mark, wrong: str) -> NoReturn:
        raise Mistakes([*self.declared.mistakes, Mistake(mark, wrong, "split the inventory")])
