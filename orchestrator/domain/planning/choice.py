"""What a command line chooses of a playbook: the instances to act on, and what must be read for that."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches

from orchestrator.domain.draft import Draft, Instance
from orchestrator.domain.errors import BadInput
from orchestrator.domain.kinds import bare
from orchestrator.domain.plan import Action
from orchestrator.domain.planning.graph import NOWHERE, EntryGraph, HostsOf, downstream, entry_graph, upstream
from orchestrator.domain.service import Asked
from orchestrator.domain.vital_services import CLUSTER_SERVICE

STOPPING = (Action.STOP, Action.RESTART, Action.RESTORE)
STARTING = (Action.START, Action.RESTART, Action.RESTORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The options that choose. Host patterns are resolved to inventory names before they come here.

    `hosts` is what `--limit` leaves (None: all), `exclude` what `--exclude` takes away, `services` the keys of
    `--service` (None: all). What `--exclude` names stays outside even with `with_dependents`. `allow` are SCM names and
    unit ids that may be moved although others are likely to need them. `units` are the ids of the only units to act on
    (None: all that the rest leaves), as a snapshot names them. `rolling`: a restart takes each unit down and up before
    it goes on with others, so that what needs them may run on.
    """

    hosts: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    services: tuple[str, ...] | None = None
    with_dependents: bool = False
    ignore_dependents: bool = False
    allow: tuple[str, ...] = ()
    units: frozenset[str] | None = None
    rolling: bool = False


def chosen(draft: Draft, choice: Choice, action: Action) -> tuple[Instance, ...]:
    """The instances to act on, in playbook order; never an external one.

    Raises:
        BadInput: a service is not in the playbook or is external, the options contradict each other, or nothing is
            left to act on.
    """
    graph = entry_graph(draft)
    return tuple(instance for _, instance in graph.instances(choose(graph, choice, action)))


def questions(draft: Draft, choice: Choice, action: Action) -> dict[str, tuple[Asked, ...]]:
    """What to ask which host before a plan can be built: host -> questions, in playbook order.

    Asked are the hosts of the chosen instances; for a start also of all that they need, for a stop also of all that
    needs them; for a rolling restart of all instances of a service of which some have to be up, whatever was chosen. A
    host that is asked at all is asked for every service that the playbook has on it, in one go. One that
    would be acted on is also asked whether it is a node of a failover cluster, and for what a snapshot names beside the
    playbook's services.

    Raises: as `chosen`.
    """
    graph = entry_graph(draft)
    picked = choose(graph, choice, action)
    groups = [picked]
    if action in STARTING:
        groups.append(upstream(graph, picked))
    if choice.rolling:
        groups.append({key: graph.hosts[key] for key in picked if graph.entries[key].min_available is not None})
    elif action in STOPPING and not choice.ignore_dependents:
        groups.append(downstream(graph, picked))
    hosts = {
        host for group in groups for key, here in group.items() if not graph.entries[key].external for host in here
    }
    asked = _of_hosts(draft, hosts)
    for host, name in _beside(graph, choice):
        asked.setdefault(host, {}).setdefault((name, False), Asked(name))
    acting = set() if action is Action.STATUS else {host for here in picked.values() for host in here}
    for host, of_host in asked.items():
        if host in acting:
            of_host.setdefault((CLUSTER_SERVICE, False), Asked(CLUSTER_SERVICE))
    return {host: tuple(of_host.values()) for host, of_host in asked.items()}


def _of_hosts(draft: Draft, hosts: AbstractSet[str | None]) -> dict[str, dict[tuple[str, bool], Asked]]:
    """All that the playbook has on *hosts*, each question once."""
    asked: dict[str, dict[tuple[str, bool], Asked]] = {}
    for entry in draft.entries:
        for instance in entry.instances:
            if instance.host is not None and instance.host in hosts:
                of_host = asked.setdefault(instance.host, {})
                for question in instance.asked:
                    of_host[question.name, question.pattern] = question
                    for way in question.ways:
                        asked.setdefault(way, {})
    return asked


def choose(graph: EntryGraph, choice: Choice, action: Action) -> HostsOf:
    """The instances to act on, by entry. Raises: as `chosen`."""
    if choice.rolling:
        check_rolling(action)
    if choice.with_dependents and choice.ignore_dependents:
        raise BadInput("--with-dependents and --ignore-dependents contradict each other", hint="give one of them")
    keys = [key for key, entry in graph.entries.items() if not entry.external]
    if choice.services is not None:
        _check_names(graph, choice.services)
        keys = [key for key in keys if key in choice.services]
    picked = _on_hosts(graph, keys, choice, within=choice.hosts)
    if choice.units is not None:
        picked = _of_units(graph, picked, choice)
    if not picked:
        raise _nothing_chosen(graph, keys, choice, action)
    if choice.with_dependents and action in STOPPING:
        wider = downstream(graph, picked)
        reached = _on_hosts(graph, [key for key in wider if not graph.entries[key].external], choice, within=None)
        picked = {key: wider[key] & here for key, here in reached.items()}
        picked = {key: here for key, here in picked.items() if here}
    return picked


def check_rolling(action: Action) -> None:
    """Raises BadInput if *action* can't be a rolling one."""
    if action is not Action.RESTART:
        raise BadInput(
            f"--rolling says nothing of a {action}: it is how a restart goes",
            hint="orch restart --rolling takes instances down and up again, one batch after the other",
        )


def _on_hosts(graph: EntryGraph, keys: Iterable[str], choice: Choice, *, within: frozenset[str] | None) -> HostsOf:
    picked = {}
    for key in keys:
        here = graph.hosts[key]
        if within is not None:
            here = here & within
        if not choice.exclude.isdisjoint(here):
            here = here - choice.exclude
        if here:
            picked[key] = here
    return picked


def named_units(choice: Choice) -> dict[str, list[str]]:
    """The units that *choice* names, by the instance that they belong to."""
    named: dict[str, list[str]] = {}
    for unit in sorted(choice.units or ()):
        named.setdefault(_instance_of(unit), []).append(unit)
    return named


def _instance_of(unit: str) -> str:
    """`orders@app-03` of `orders:Orders.Api@app-03`."""
    whole, _, host = unit.rpartition("@")
    return f"{whole.partition(':')[0]}@{host}"


def scm_name_of(unit: str) -> str:
    """`Orders.Api` of `orders:Orders.Api@app-03`; "" if the id has none."""
    return unit.rpartition("@")[0].partition(":")[2]


def _beside(graph: EntryGraph, choice: Choice) -> Iterator[tuple[str, str]]:
    """The units that *choice* names and no entry does: what was stopped with one. Each as host and SCM name."""
    if not any(":" in unit for unit in choice.units or ()):
        return
    instances = {item.id: item for _, item in graph.instances(graph.hosts)}
    for instance, units in named_units(choice).items():
        item = instances.get(instance)
        for name in map(scm_name_of, units if item is not None and item.host is not None else ()):
            if name and item and item.host and not any(asked.matches(name) for asked in item.asked):
                yield item.host, name


def _of_units(graph: EntryGraph, picked: HostsOf, choice: Choice) -> HostsOf:
    """What of *picked* the choice names by unit. Raises BadInput if the playbook does not have one of them."""
    named = named_units(choice)
    instances = {item.id: item for _, item in graph.instances(graph.hosts)}
    gone = [unit for instance, units in named.items() if instance not in instances for unit in units]
    if gone:
        raise BadInput(
            f"the playbook no longer has {', '.join(gone[:8])}"
            + (f" and {len(gone) - 8} more units" if len(gone) > 8 else ""),
            hint="use the playbook and inventory that the snapshot was taken with, or choose others with --limit",
        )
    here: dict[str, set[str | None]] = {}
    for name in named:
        here.setdefault(instances[name].service, set()).add(instances[name].host)
    left = {key: hosts & here.get(key, NOWHERE) for key, hosts in picked.items()}
    return {key: hosts for key, hosts in left.items() if hosts}


def _check_names(graph: EntryGraph, names: Iterable[str]) -> None:
    wrong = [_what_is_wrong(graph, name) for name in names if name not in graph.entries]
    wrong += [
        f"{name} is external: its gates are probed, it is never acted on"
        for name in names
        if name in graph.entries and graph.entries[name].external
    ]
    if wrong:
        keys = [key for key, entry in graph.entries.items() if not entry.external]
        raise BadInput("--service: " + "; ".join(wrong), hint="the playbook's services: " + ", ".join(keys))


def _what_is_wrong(graph: EntryGraph, name: str) -> str:
    for key, entry in graph.entries.items():
        if any(
            name.lower() == bare(asked.name).lower() for instance in entry.instances[:1] for asked in instance.asked
        ):
            return f"{name} is a service of the entry {key}; write --service {key}"
    keys = {key.lower(): key for key in graph.entries}
    near = get_close_matches(name.lower(), keys, n=1)
    return f"the playbook has no service {name}" + (f"; did you mean {keys[near[0]]}?" if near else "")


def _nothing_chosen(graph: EntryGraph, keys: Iterable[str], choice: Choice, action: Action) -> BadInput:
    keys = list(keys)
    where = sorted({str(host) for key in keys for host in graph.hosts.get(key, NOWHERE)})
    if not where:
        return BadInput(
            f"nothing to {action}: the playbook names no service on any host", hint="add one under services:"
        )
    options = [
        *(["--limit"] if choice.hosts is not None else []),
        *(["--exclude"] if choice.exclude else []),
        *(["--service"] if choice.services is not None else []),
        *(["the snapshot"] if choice.units is not None else []),
    ]
    return BadInput(
        f"nothing to {action}: no host of {', '.join(keys)} is left by {' and '.join(options)}",
        hint="they run on " + ", ".join(where[:8]) + (f" and {len(where) - 8} more hosts" if len(where) > 8 else ""),
    )
