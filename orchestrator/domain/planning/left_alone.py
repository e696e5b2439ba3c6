"""What a run leaves alone when hosts don't answer: their units, and what cannot do without them.

A start leaves alone what could no longer have enough of what it needs. A stop leaves alone what an unreachable, perhaps
running unit needs. A restart does both: nothing is stopped that could not be started again.
"""

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from orchestrator.domain.draft import Dependency, Draft, Entry, Instance
from orchestrator.domain.gates import Origin
from orchestrator.domain.plan import Action, LeftAlone
from orchestrator.domain.planning.choice import STARTING, STOPPING, Choice, choose
from orchestrator.domain.planning.graph import NOWHERE, EntryGraph, HostsOf, entry_graph

Why = dict[str | None, str]
"""Host -> why the instance there is left alone."""


def left_alone(
    draft: Draft, choice: Choice, action: Action, unreachable_hosts: Collection[str]
) -> tuple[LeftAlone, ...]:
    """What excluding *unreachable_hosts* would leave alone of the choice, and why, in playbook order.

    Named by instance: what runs on an unreachable host can't be listed by SCM name.
    Raises: BadInput, as `chosen`. Cost: O(instances + edges).
    """
    graph = entry_graph(draft)
    picked = choose(graph, choice, action)
    kept = keep_off(graph, picked, choice, action, frozenset(unreachable_hosts))
    return tuple(
        LeftAlone(unit=instance.id, why=kept[entry.key][instance.host])
        for entry, instance in graph.instances({key: here.keys() for key, here in kept.items()})
    )


def keep_off(
    graph: EntryGraph, picked: HostsOf, choice: Choice, action: Action, unreachable: AbstractSet[str]
) -> dict[str, Why]:
    """The chosen instances to keep off, by entry and host, and why."""
    if not unreachable:
        return {}
    kept: dict[str, Why] = {}
    for key, here in picked.items():
        silent = here & unreachable
        if silent:
            kept[key] = {host: f"{host} gave no usable answer" for host in silent}
    if action in STARTING:
        _add(kept, _cannot_start(graph, picked, unreachable))
    if action in STOPPING and not (choice.ignore_dependents or choice.rolling):
        _add(kept, _cannot_stop(graph, picked, unreachable, kept))
    return kept


def unavailable(entry: Entry, instance: Instance, unreachable: AbstractSet[str]) -> bool:
    """Whether nobody can say if the instance is ready, its host being unreachable.

    An external instance is there as long as its gates can be probed from the controller.
    """
    if instance.host not in unreachable:
        return False
    return not entry.external or any(gate.origin is Origin.HOST for gate in instance.ready)


def _add(kept: dict[str, Why], more: dict[str, Why]) -> None:
    for key, hosts in more.items():
        kept[key] = hosts | kept.get(key, {})


def _cannot_start(graph: EntryGraph, picked: HostsOf, unreachable: AbstractSet[str]) -> dict[str, Why]:
    lost: dict[str, dict[str | None, str]] = {}  # host -> instance that can't be had
    short: dict[str, Why] = {}
    for key in graph.order:
        entry = graph.entries[key]
        lost[key] = {item.host: item.id for item in entry.instances if unavailable(entry, item, unreachable)}
        for service, edge in graph.needs(key):
            missed = lost[service]
            if edge.soft or not missed:
                continue
            for instance in entry.instances:
                if instance.host not in picked.get(key, NOWHERE) or instance.host in lost[key]:
                    continue
                why = _shortage(edge, len(graph.hosts[service]), instance, missed)
                if why:
                    short.setdefault(key, {})[instance.host] = why
        lost[key] |= {item.host: item.id for item in entry.instances if item.host in short.get(key, {})}
    return short


def _shortage(edge: Dependency, total: int, instance: Instance, missed: dict[str | None, str]) -> str:
    if edge.same_host:
        return f"needs {missed[instance.host]}, which can't be had" if instance.host in missed else ""
    first = next(iter(missed.values()))
    if edge.need is None:
        others = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
        return f"needs all of {edge.service}, and {first}{others} can't be had"
    if total - len(missed) < edge.need:
        return f"needs {edge.need} of {edge.service}, and without {first} only {total - len(missed)} can be had"
    return ""


def _cannot_stop(
    graph: EntryGraph, picked: HostsOf, unreachable: AbstractSet[str], kept: dict[str, Why]
) -> dict[str, Why]:
    """What units that may go on running need. `running` holds, by host, the unit that keeps the instance up."""
    running: dict[str, dict[str | None, str]] = {}
    held: dict[str, Why] = {}
    for key in reversed(graph.order):
        entry = graph.entries[key]
        here: dict[str | None, str] = {}
        for other, edge in graph.needed_by(key):
            above = running[other]
            if edge.soft or not above:
                continue
            if edge.same_host:
                here |= {host: unit for host, unit in above.items() if host in graph.hosts[key]}
            else:
                here |= dict.fromkeys((item.host for item in entry.instances), next(iter(above.values())))
        held[key] = {
            host: f"{unit} needs it and may be running"
            for host, unit in here.items()
            if host in picked.get(key, NOWHERE)
        }
        stays = kept.get(key, {})
        if not entry.external:
            own = (item for item in entry.instances if item.host in unreachable or item.host in stays)
            here |= {item.host: item.id for item in own}
        running[key] = here
    return {key: why for key, why in held.items() if why}
