"""The dependency graph of a playbook for the eyes: its services, what needs what, the critical path, the live states.

Nothing but the live states asks a host: durations are those that the playbook expects of a whole start or stop.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from orchestrator.domain.draft import Draft, Instance
from orchestrator.domain.plan import Action, Node, Role, Unit
from orchestrator.domain.planning.census import named
from orchestrator.domain.planning.choice import Choice, choose
from orchestrator.domain.planning.graph import EntryGraph, Hosts, entry_graph
from orchestrator.domain.planning.stages import Member, stage
from orchestrator.domain.planning.status import UNKNOWN, StatusRow, expectations
from orchestrator.domain.service import State
from orchestrator.domain.survey import Survey

GOALS = {Action.START: State.RUNNING, Action.STOP: State.STOPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One service of the playbook, with the instances that were chosen; `hosts` are their inventory names.

    `wave` counts from 1 in the order of the action. `gates` are the kinds that hold up what comes after it.
    `expected_s` is that of its slowest unit; `guessed`: a quarter of its timeout. `states` counts its units by live
    state, those that could not be read as `unknown`; None if nobody looked.
    """

    key: str
    wave: int
    hosts: tuple[str, ...]
    external: bool
    gates: tuple[str, ...]
    critical: bool
    expected_s: float
    guessed: bool
    states: Mapping[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """*service* needs *needs*: all of its *of* instances, or *need* of them. `critical`: part of the critical path."""

    service: str
    needs: str
    need: int | None
    of: int
    same_host: bool
    soft: bool
    critical: bool


@dataclass(frozen=True, slots=True)
class NotRead:
    """One instance whose live state is not known, and why."""

    unit: str
    service: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The whole graph; `dataclasses.asdict` of it is JSON.

    `services` stand by wave, then in playbook order; `critical_path` are the keys of the services that decide how long
    a whole `action` takes, first to last. `guessed_share` is how much of the expected work (0 to 1) rests on guesses.
    """

    name: str
    action: Action
    services: tuple[Drawn, ...]
    arrows: tuple[Arrow, ...]
    critical_path: tuple[str, ...]
    expected_s: float
    guessed_share: float
    not_read: tuple[NotRead, ...]

    def waits_for(self, key: str) -> list[tuple[str, Arrow]]:
        """Which services go before *key*, in the order of the action."""
        if self.action is Action.STOP:
            return [(arrow.service, arrow) for arrow in self.arrows if arrow.needs == key]
        return [(arrow.needs, arrow) for arrow in self.arrows if arrow.service == key]


def picture(draft: Draft, choice: Choice, action: Action, survey: Survey | None = None) -> Picture:
    """The graph of the chosen instances, and of the external services that they are connected with.

    *action* is a start or a stop: it says what comes first, and which durations count. *survey* brings the live states.

    Raises:
        BadInput: as `choice.chosen`.
    Cost: O(instances + edges).
    """
    graph = entry_graph(draft)
    shown = _with_external(graph, choose(graph, choice, Action.STATUS))
    made = stage(draft, graph, GOALS[action], dict(_members(graph, shown)), first=False)
    acting = (made.nodes[index] for index in made.critical_path if made.nodes[index].role is Role.ACT)
    path = [key for key, _ in groupby(node.unit.service for node in acting)]
    arrows = tuple(_arrows(graph, shown, path, action))
    waves = _waves(graph, arrows, action)
    status = None if survey is None else expectations(draft, choice, survey)
    nodes: dict[str, list[Node]] = {key: [] for key in shown}
    rows: dict[str, list[StatusRow]] = {key: [] for key in shown}
    for node in made.nodes:
        if node.batch is None:
            nodes[node.unit.service].append(node)
    for row in status.rows if status else ():
        rows[row.service].append(row)
    services = [
        Drawn(
            key=key,
            wave=waves[key],
            hosts=tuple(one.host for one in entry.instances if one.host is not None and one.host in shown[key]),
            external=entry.external,
            gates=tuple(dict.fromkeys(gate.words.partition(" ")[0] for node in nodes[key] for gate in node.gates)),
            critical=key in path,
            expected_s=max(node.expected_s for node in nodes[key]),
            guessed=any(node.guessed for node in nodes[key]),
            states=dict(Counter(str(row.state or UNKNOWN) for row in rows[key])) if rows[key] else None,
        )
        for key, entry in graph.entries.items()
        if key in shown
    ]
    work_s = sum(node.expected_s for node in made.nodes)
    return Picture(
        name=draft.name,
        action=action,
        services=tuple(sorted(services, key=lambda drawn: drawn.wave)),
        arrows=arrows,
        critical_path=tuple(path),
        expected_s=made.expected_s,
        guessed_share=sum(node.expected_s for node in made.nodes if node.guessed) / work_s if work_s else 0.0,
        not_read=tuple(NotRead(row.unit, row.service, row.problem) for row in status.rows if row.state is None)
        if status
        else (),
    )


def _with_external(graph: EntryGraph, picked: Mapping[str, Hosts]) -> dict[str, Hosts]:
    shown = dict(picked)
    for key, entry in graph.entries.items():
        if entry.external and any(other in picked for other, _ in [*graph.needs(key), *graph.needed_by(key)]):
            shown[key] = graph.hosts[key]
    return shown


def _members(graph: EntryGraph, shown: Mapping[str, Hosts]) -> Iterator[tuple[str, dict[str, Member]]]:
    """All that is shown, as if it had to be moved; a pattern stands for one SCM service."""
    for key, hosts in shown.items():
        entry = graph.entries[key]
        role = Role.PROBE if entry.external else Role.ACT
        yield key, {one.id: (role, tuple(_units(one))) for one in entry.instances if one.host in hosts}


def _units(instance: Instance) -> Iterator[Unit]:
    names: list[str | None] = [asked.name for asked in instance.asked]
    for name in names or [None]:
        unit = instance.id if name is None or len(names) == 1 else named(instance, name)
        yield Unit(id=unit, service=instance.service, host=instance.host, scm_name=name, instance=instance.id)


def _arrows(graph: EntryGraph, shown: Mapping[str, Hosts], path: Sequence[str], action: Action) -> Iterator[Arrow]:
    steps = {(later, sooner) for sooner, later in zip(path, path[1:], strict=False)}
    if action is Action.STOP:
        steps = {(sooner, later) for later, sooner in steps}
    for key in graph.entries:
        for other, edge in graph.needs(key):
            if key in shown and other in shown:
                yield Arrow(
                    service=key,
                    needs=other,
                    need=edge.need,
                    of=len(graph.hosts[other]),
                    same_host=edge.same_host,
                    soft=edge.soft,
                    critical=(key, other) in steps,
                )


def _waves(graph: EntryGraph, arrows: Sequence[Arrow], action: Action) -> dict[str, int]:
    """The wave of each service, from 1: the longest way to it."""
    before: dict[str, list[str]] = {key: [] for key in graph.entries}
    for arrow in arrows:
        later, sooner = (arrow.service, arrow.needs) if action is Action.START else (arrow.needs, arrow.service)
        before[later].append(sooner)
    wave: dict[str, int] = {}
    for key in graph.order if action is Action.START else reversed(graph.order):
        wave[key] = 1 + max((wave[sooner] for sooner in before[key]), default=0)
    return wave
