"""One stage of a plan: nodes in plan order, barriers between entries, limits.

A dependency of M units on N is one barrier, shared by all that wait for the same: N + M edges. A start follows the
graph; a stop its reverse, and waits there for all dependents, whatever `need` says.

A service with `ready_all` has one more node in a start, without a host, behind its instances and before what needs it.
One with batches has one more between each two of them (`batches`), but on the way back. A rolling restart is a start
whose acting nodes go down first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from orchestrator.domain import estimate
from orchestrator.domain.draft import Dependency, Draft, Entry, Instance
from orchestrator.domain.gates import Gate
from orchestrator.domain.life import Life
from orchestrator.domain.plan import Barrier, Limits, Node, Role, Stage, Unit
from orchestrator.domain.planning.batches import Batched
from orchestrator.domain.planning.graph import EntryGraph
from orchestrator.domain.planning.rolls import NOTHING_ROLLS, Roll, Rolling
from orchestrator.domain.service import State

Member = tuple[Role, tuple[Unit, ...]]
"""What one instance is in a stage. A PASS has one unit, which stands for whatever the instance is."""
Riders = Mapping[str, Sequence[str]]
"""Units that ride along, as nothing but the SCM needs them in the run: id -> the ids of what each needs on its host.
They stand behind the other units of their instance; nobody else waits for them, but what they need on its way down."""
NO_RIDERS: Riders = MappingProxyType({})
_STARTS = attrgetter("ready", "start_timeout_s", "start_expected_s", "start_life")
_STOPS = attrgetter("stopped", "stop_timeout_s", "stop_expected_s", "stop_life")
"""What an instance says of its nodes: gates, timeout, expected duration, life."""
_Part = tuple[Instance, Role, tuple[Unit, ...], tuple[int, ...]]
"""The indices are those of the units that barriers count: riders come after them."""
_Row = tuple[Unit, Role, tuple[Gate, ...], float, float, bool, tuple[int, ...], int | None, Life | None]
"""Of a node to be: unit, role, gates, timeout, expected duration, whether that is guessed, barriers, predecessor,
life."""


def stage(
    draft: Draft,
    graph: EntryGraph,
    goal: State,
    members: Mapping[str, Mapping[str, Member]],
    *,
    first: bool,
    bare: bool = False,
    riders: Riders = NO_RIDERS,
    rolling: Rolling = NOTHING_ROLLS,
) -> Stage:
    """The stage that brings every ACT member (entry key -> instance id -> member) to *goal*.

    *first* says that the units are still where the survey saw them, so that one seen at the goal costs no time. A
    *bare* one holds no ranks, critical path, duration and sights of units: whoever uses it adds them.
    Cost: O(nodes + edges).
    """
    says = _STARTS if goal is State.RUNNING else _STOPS
    build = _Building(graph, goal, first, riders, says, batched=not bare, rolling=rolling)
    keys = list(graph.entries)[:: 1 if build.starting else -1]
    for key in keys:
        if key in members:
            build.lay_out(graph.entries[key], members[key])
    rows = [row for key in keys if key in members for row in build.rows(graph.entries[key])]
    if riders:
        rows = list(map(build.riding, rows))
    services = tuple(
        (key, entry.max_parallel)
        for key, entry in graph.entries.items()
        if entry.max_parallel is not None and key in build.acting
    )
    limits = Limits(run=draft.max_parallel, host=draft.max_parallel_per_host, services=services, **_of_zones(draft))
    barriers = tuple(build.barriers)
    if bare:
        return Stage(goal=goal, nodes=_nodes(rows, [0.0] * len(rows), _unseen), barriers=barriers, limits=limits)
    arrows = estimate.Graph([row[6] for row in rows], [row[7] for row in rows], barriers)
    nodes = build.marked(_nodes(rows, estimate.ranks_s(arrows, [row[4] for row in rows]), rolling=rolling))
    return estimate.foretold(Stage(goal=goal, nodes=nodes, barriers=barriers, limits=limits), arrows)


def checks_before(draft: Draft, stop: Stage) -> Stage | None:
    """The prechecks of what the stage *stop* stops, be it to start it again, as a stage of their own; None if there are
    none.

    Cost: O(nodes).
    """
    lives = ((node, node.life if node.down is None else node.down.life) for node in stop.nodes)
    nodes = tuple(
        Node(
            unit=node.unit,
            role=Role.PROBE,
            gates=life.prechecks,
            timeout_s=node.timeout_s,
            expected_s=0.0,
            guessed=False,
        )
        for node, life in lives
        if life is not None and life.prechecks
        if node.unit.seen is None or node.unit.seen.state is not State.STOPPED
    )
    limits = Limits(host=draft.max_parallel_per_host)  # nothing is under way: looking is no part of the work
    return Stage(goal=State.STOPPED, nodes=nodes, barriers=(), limits=limits, checks=True) if nodes else None


def _of_zones(draft: Draft) -> Mapping[str, Any]:
    if draft.max_parallel_per_zone is None or draft.terms is None:
        return {}
    return {"zone": draft.max_parallel_per_zone, "zones": draft.terms.zones}


def _unseen(unit: Unit) -> Unit:
    return Unit(id=unit.id, service=unit.service, host=unit.host, scm_name=unit.scm_name, instance=unit.instance)


def _nodes(
    rows: Sequence[_Row],
    ranks_s: Sequence[float],
    of: Callable[[Unit], Unit] = lambda unit: unit,
    rolling: Rolling = NOTHING_ROLLS,
) -> tuple[Node, ...]:
    """The nodes, made once and with their ranks: to copy ten thousand of them later is dear."""
    downs = rolling.downs
    return tuple(
        Node(
            unit=of(unit),
            role=role,
            gates=gates,
            timeout_s=timeout_s,
            expected_s=expected_s,
            guessed=guessed,
            waits_for=waits,
            begins_after=after,
            rank_s=rank_s,
            life=life,
            down=downs[unit.instance].down if downs and role is Role.ACT else None,
        )
        for (unit, role, gates, timeout_s, expected_s, guessed, waits, after, life), rank_s in zip(
            rows, ranks_s, strict=True
        )
    )


@dataclass(slots=True)
class _Building:
    """A stage under construction. Indices are given out by `lay_out`, so that barriers can name nodes not yet made."""

    graph: EntryGraph
    goal: State
    first: bool
    riders: Riders
    says: Callable[[Instance], tuple[tuple[Gate, ...], float, float | None, Life | None]]
    batched: bool
    rolling: Rolling
    barriers: list[Barrier] = field(default_factory=list)
    acting: set[str] = field(default_factory=set)
    _parts: dict[str, list[_Part]] = field(default_factory=dict)
    _by_host: dict[str, dict[str | None, _Part]] = field(default_factory=dict)
    _known: dict[tuple[str, int | None, bool, str | None, bool], int | None] = field(default_factory=dict)
    _together: dict[str, int] = field(default_factory=dict)
    """Where the node stands that holds the gates of all instances of an entry, by key."""
    _behind: dict[str, int] = field(default_factory=dict)
    """The barrier behind that node, by key."""
    _places: dict[str, int] = field(default_factory=dict)
    """Where each unit stands, by id, if there are riders."""
    _batches: dict[str, Batched] = field(default_factory=dict)
    """The batches of each entry that has more than one."""
    _count: int = 0

    @property
    def starting(self) -> bool:
        return self.goal is State.RUNNING

    def lay_out(self, entry: Entry, members: Mapping[str, Member]) -> None:
        """Give every unit of the entry its index."""
        parts: list[_Part] = []
        instances = entry.instances
        if entry.in_order and not self.starting:
            instances = instances[::-1]
        count = self._count
        batches = self._in_batches(entry, members)
        for instance in instances:
            member = members.get(instance.id)
            if member is None:
                continue
            role, units = member
            if role is Role.ACT:
                self.acting.add(entry.key)
                count = count if batches is None else batches.make_room(count)
            if len(units) == 1 and not self.riders:
                parts.append((instance, role, units, (count,)))
            else:
                own = sum(unit.id not in self.riders for unit in units) if self.riders else len(units)
                parts.append((instance, role, units, tuple(range(count, count + own))))
            if self.riders:
                self._places |= {unit.id: count + place for place, unit in enumerate(units)}
            count += len(units)
        if batches is not None:
            batches.members = [part[3] for part in parts if part[1] is Role.ACT]
        self._parts[entry.key] = parts
        self._count = self._behind_all(entry, count)

    def _behind_all(self, entry: Entry, count: int) -> int:
        """Where what comes next stands: behind the node for all instances of the entry, if there is one."""
        parts = self._parts[entry.key]
        if self.starting and entry.ready_all and any(role is not Role.PASS for _, role, _, _ in parts):
            self._together[entry.key] = count
            count += 1
        return count

    def _in_batches(self, entry: Entry, members: Mapping[str, Member]) -> Batched | None:
        if not self.batched:
            return None
        roll = self.rolling.rolls.get(entry.key)
        if roll is None and entry.batches is not None and not self.rolling.rolls:
            roll = Roll(entry.batches.of(sum(role is Role.ACT for role, _ in members.values())), None)
        if roll is None or (len(roll.sizes) < 2 and roll.at_least is None):
            return None
        self._batches[entry.key] = Batched(entry, *roll)
        return self._batches[entry.key]

    def marked(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """*nodes*, with those marked that stand between batches."""
        if not self._batches:
            return nodes
        every = list(nodes)
        for batches in self._batches.values():
            for place, batch in batches.nodes.items():
                every[place] = replace(every[place], batch=batch)
        return tuple(every)

    def rows(self, entry: Entry) -> Iterator[_Row]:
        """The entry's nodes to be, in the order of their indices."""
        edges = self.graph.needs(entry.key) if self.starting else self.graph.needed_by(entry.key)
        local = [(key, edge) for key, edge in edges if edge.same_host]
        hard = self._opened((key, edge) for key, edge in edges if not edge.same_host and not edge.soft)
        if self._together:
            hard += tuple(self._held_by_all(key for key, edge in edges if not edge.same_host and not edge.soft))
        all_waits = hard + self._opened((key, edge) for key, edge in edges if not edge.same_host and edge.soft)
        previous: int | None = None
        batches = self._batches.get(entry.key)
        between = batches.gates(self.barriers) if batches is not None else iter(())
        for instance, role, units, indices in self._parts[entry.key]:
            acting = role is Role.ACT
            waits = all_waits if acting else hard
            if local:
                here = ((key, edge) for key, edge in local if acting or not edge.soft)
                waits += self._opened(here, instance.host, local=True)
            if acting:
                gate, behind = next(between, (None, ()))
                if gate is not None:
                    before = hard + gate.opens
                    yield gate.unit, Role.PROBE, (), gate.timeout_s, gate.pause_s, False, before, None, None
                waits += behind
                chain = indices if entry.in_order else ()
                yield from self._acting(instance, units, len(indices), waits, (previous, *chain))
                previous = chain[-1] if chain else previous
            else:
                gates, timeout_s, _, _ = self.says(instance)
                gates = () if role is Role.PASS else gates
                yield from ((unit, role, gates, timeout_s, 0.0, False, waits, None, None) for unit in units)
        if entry.key in self._together:
            yield self._all_of(entry)

    def _acting(
        self,
        instance: Instance,
        units: Sequence[Unit],
        own: int,
        waits: tuple[int, ...],
        chain: Sequence[int | None],
    ) -> Iterator[_Row]:
        """The rows of an instance that acts: the first *own* of its units are the playbook's, the others ride along.

        *chain* has who begins before each; without an order it has the one item None.
        """
        gates, timeout_s, given_s, life = self.says(instance)
        expected_s = timeout_s / 4 if given_s is None else given_s
        guessed = given_s is None
        if life is not None:
            expected_s += life.healthy_s
        if instance.id in self.rolling.downs:
            way = self.rolling.downs[instance.id]
            expected_s, guessed = expected_s + way.expected_s, guessed or way.guessed
        for place, unit in enumerate(units):
            previous = chain[place] if place < len(chain) else None
            if place >= own:
                gates, life, previous = (), None, None
            if self.first and unit.seen is not None and unit.seen.state is self.goal:
                yield unit, Role.ACT, gates, timeout_s, 0.0, False, waits, previous, life
            else:
                yield unit, Role.ACT, gates, timeout_s, expected_s, guessed, waits, previous, life

    def riding(self, row: _Row) -> _Row:
        """*row* with what its unit waits for because of riders: on the way down whoever needs it, on the way up what it
        needs, and nothing else."""
        unit, role, gates, timeout_s, expected_s, guessed, waits, previous, life = row
        others: Sequence[str] = self.riders.get(unit.id, ())
        if self.starting or not self._first_of(unit, others):
            waits = () if others else waits
        if not self.starting:
            others = [rider for rider, needed in self.riders.items() if unit.id in needed]
        places = [self._places[other] for other in others if other in self._places]
        if places:
            here = tuple((place,) for place in places)
            self.barriers.append(Barrier(name=", ".join(others), instances=here, need=len(here)))
            waits += (len(self.barriers) - 1,)
        return unit, role, gates, timeout_s, expected_s, guessed, waits, previous, life

    def _first_of(self, unit: Unit, needed: Sequence[str]) -> bool:
        """Whether *unit* rides with the entry that goes down first of those whose units it needs. If not, it waits for
        nobody whom its entry waits for: those might wait for it."""
        keys = {other.rpartition("@")[0].partition(":")[0] for other in needed}
        return next((key for key in reversed(self.graph.order) if key in keys), unit.service) == unit.service

    def _all_of(self, entry: Entry) -> _Row:
        """What holds the gates of all instances, when as many are ready as somebody waits for."""
        needs = [edge.need for _, edge in self.graph.needed_by(entry.key) if not edge.soft and not edge.same_host]
        counts = [need for need in needs if need is not None]
        need = max(counts) if counts and len(counts) == len(needs) else None
        opens = self._opened([(entry.key, Dependency(service=entry.key, need=need))])
        unit = Unit(id=entry.key, service=entry.key, host=None, scm_name=None, instance=entry.key)
        return unit, Role.PROBE, entry.ready_all, entry.instances[0].start_timeout_s, 0.0, False, opens, None, None

    def _held_by_all(self, keys: Iterable[str]) -> Iterator[int]:
        """The barriers of those of the entries *keys* that have gates for all their instances."""
        for key in keys:
            if key in self._together:
                if key not in self._behind:
                    self.barriers.append(Barrier(name=key, instances=((self._together[key],),), need=1))
                    self._behind[key] = len(self.barriers) - 1
                yield self._behind[key]

    def _opened(
        self, edges: Iterable[tuple[str, Dependency]], host: str | None = None, *, local: bool = False
    ) -> tuple[int, ...]:
        """The barriers of *edges*, without those that have nobody to wait for."""
        indices: list[int] = []
        for key, edge in edges:
            need = edge.need if self.starting and not edge.soft else None
            place = (key, need, edge.soft, host, local)
            if place not in self._known:
                name = f"{key}@{host}" if local else key
                self._known[place] = self._new_barrier(name, need, edge.soft, self._waited_for(key, host, local=local))
            index = self._known[place]
            if index is not None:
                indices.append(index)
        return tuple(indices)

    def _waited_for(self, key: str, host: str | None, *, local: bool) -> list[_Part]:
        parts = self._parts.get(key, [])
        if not local:
            return parts
        if key not in self._by_host:
            self._by_host[key] = {part[0].host: part for part in parts}
        part = self._by_host[key].get(host)
        return [part] if part else []

    def _new_barrier(self, name: str, need: int | None, soft: bool, parts: list[_Part]) -> int | None:
        """A barrier over *parts*; None if there is nothing to wait for.

        Soft is order between what the run acts on. A PASS is nobody who could be ready, so it does not count towards
        a `need`, unless there is nobody else and it only hands the order on.
        """
        if soft:
            parts = [part for part in parts if part[1] is Role.ACT]
        elif need is not None:
            parts = [part for part in parts if part[1] is not Role.PASS] or parts
        instances = tuple(part[3] for part in parts if part[3])
        if not instances:
            return None
        wanted = len(instances) if need is None else min(need, len(instances))
        self.barriers.append(Barrier(name=name, instances=instances, need=wanted, soft=soft))
        return len(self.barriers) - 1
