"""The plan: a draft, a choice and the live state, put together or refused."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from orchestrator.domain.draft import Draft, Entry, Instance
from orchestrator.domain.plan import Action, LeftAlone, Plan, Role, Stage, Unit
from orchestrator.domain.planning import refusals, vital
from orchestrator.domain.planning.census import DOWN, Census, named
from orchestrator.domain.planning.choice import STARTING, STOPPING, Choice, choose
from orchestrator.domain.planning.graph import (
    NOWHERE,
    EntryGraph,
    HostsOf,
    downstream,
    entry_graph,
    upstream,
    without,
)
from orchestrator.domain.planning.left_alone import Why, keep_off, unavailable
from orchestrator.domain.planning.refusals import PlanRefused, Reason
from orchestrator.domain.planning.stages import Member, stage
from orchestrator.domain.service import StartType, State
from orchestrator.domain.survey import Survey

Members = dict[str, dict[str, Member]]
"""Entry key -> instance id -> what it is in a stage."""


def build(
    draft: Draft,
    choice: Choice,
    action: Action,
    survey: Survey,
    *,
    excluded: AbstractSet[str] = frozenset(),
    controller: AbstractSet[str] = frozenset(),
) -> Plan:
    """The plan of a stop, start or restart, with the live state frozen into it.

    *excluded* are the unreachable hosts that the run does without: they and what cannot do without them are left alone.
    *controller* are the hosts that are the machine that we run on. A restart acts on what was running (pending starts
    and paused ones count) and on nothing else; what was not running before is not needed after.

    Raises:
        BadInput: as `choice.chosen`; or `--allow` names nothing that was chosen.
        PlanRefused: the live state does not allow it; carries every reason.
    Cost: O(instances + edges).
    """
    if action is Action.STATUS:
        raise ValueError("a status has no plan")
    graph = entry_graph(draft)
    picked = choose(graph, choice, action)
    kept = keep_off(graph, picked, choice, action, excluded)
    work = _Work(graph, choice, action, picked, kept, excluded, controller, Census(survey))
    work.check_allowed()
    work.find_acting()
    work.find_needed()
    if action in STOPPING and not choice.ignore_dependents:
        work.refuse_running_dependents()
    if work.reasons:
        raise PlanRefused(action, work.reasons)
    stages: list[Stage] = []
    if action in STOPPING:
        stages.append(stage(draft, graph, State.STOPPED, work.stopping(), first=True))
    if action in STARTING:
        stages.append(stage(draft, graph, State.RUNNING, work.starting(), first=action is Action.START))
    return Plan(
        name=draft.name,
        action=action,
        stages=tuple(stages),
        left_alone=tuple(work.left_alone()),
        ignored=work.ignored() if action in STOPPING and choice.ignore_dependents else (),
        poll_s=draft.poll_s,
    )


@dataclass(slots=True)
class _Work:
    """What is known on the way to a plan."""

    graph: EntryGraph
    choice: Choice
    action: Action
    picked: HostsOf
    kept: dict[str, Why]
    excluded: AbstractSet[str]
    controller: AbstractSet[str]
    census: Census
    reasons: list[Reason] = field(default_factory=list)
    acting: HostsOf = field(default_factory=dict)
    members: Members = field(default_factory=dict)
    """The acting ones."""
    needed: Members = field(default_factory=dict)
    """What acting ones need and nobody acts on: a start looks at it."""
    not_running: list[LeftAlone] = field(default_factory=list)

    def find_acting(self) -> None:
        """Settle who acts, from the choice and the readings."""
        restart = self.action is Action.RESTART
        self.acting = without(self.picked, {key: why.keys() for key, why in self.kept.items()})
        owners: dict[tuple[str | None, str | None], str] = {}
        for entry, instance in self.graph.instances(self.acting):
            units = self.census.units(instance)
            self._note_troubles(instance)
            if any(asked.pattern for asked in instance.asked):
                self._refuse_claimed(units, owners)
            if restart:
                units = self._that_ran(units)
            self._refuse_vital(units)
            if units:
                self.members.setdefault(entry.key, {})[instance.id] = (Role.ACT, units)
            if self.action is not Action.STOP:
                self._refuse_disabled(units)
        if restart:
            self.acting = {
                key: {item.host for item in self.graph.entries[key].instances if item.id in members}
                for key, members in self.members.items()
            }

    def find_needed(self) -> None:
        """Settle how a start looks at what it needs and does not start."""
        if self.action not in STARTING:
            return
        for entry, instance in self.graph.instances(without(upstream(self.graph, self.acting), self.acting)):
            self.needed.setdefault(entry.key, {})[instance.id] = self._as_needed(entry, instance)

    def refuse_running_dependents(self) -> None:
        """Refuse to pull what runs outside the choice from under it."""
        outside = without(downstream(self.graph, self.acting), self.picked)
        running: dict[str, list[Unit]] = {}
        for entry, instance in self.graph.instances(outside):
            if entry.external or instance.host in self.excluded:
                continue
            units = self.census.units(instance)
            self._note_troubles(instance, but_missing=True)
            up = [unit for unit in units if unit.seen and unit.seen.state is not State.STOPPED]
            if up:
                running.setdefault(entry.key, []).extend(up)
        for key, up_here in running.items():
            above = upstream(self.graph, {key: outside[key]})
            stopped = [other for other in self.acting if other in above and other != key]
            self.reasons.append(refusals.would_pull_from_under(up_here, stopped, self.choice, self.action))

    def ignored(self) -> tuple[str, ...]:
        """Who needs what is stopped and is not asked about it."""
        outside = without(downstream(self.graph, self.acting), self.picked)
        return tuple(instance.id for entry, instance in self.graph.instances(outside) if not entry.external)

    def stopping(self) -> Members:
        """The members of the stop stage: the acting ones, and those between them that hand the order on.

        An external entry with `stopped` gates is probed wherever it is connected to the acting ones.
        """
        above, below = upstream(self.graph, self.acting), downstream(self.graph, self.acting)
        others: Members = {}
        for key, entry in self.graph.entries.items():
            up, down = above.get(key, NOWHERE), below.get(key, NOWHERE)
            here = (up & down) - self.acting.get(key, NOWHERE)
            gated = (up | down) if entry.external else NOWHERE
            if here or gated:
                others[key] = {
                    item.id: (Role.PROBE, (_stand_in(item),)) if item.host in gated and item.stopped else _passing(item)
                    for item in entry.instances
                    if item.host in here or (item.host in gated and item.stopped)
                }
        return self._with(others)

    def starting(self) -> Members:
        """The members of the start stage."""
        return self._with(self.needed)

    def left_alone(self) -> Iterable[LeftAlone]:
        """The chosen units that nobody touches, by unit where the units are known."""
        for entry, instance in self.graph.instances({key: why.keys() for key, why in self.kept.items()}):
            why = self.kept[entry.key][instance.host]
            units = () if instance.host in self.excluded else self.census.units(instance)
            yield from (LeftAlone(unit=name, why=why) for name in [unit.id for unit in units] or [instance.id])
        yield from self.not_running

    def _with(self, others: Members) -> Members:
        return self.members | {key: self.members.get(key, {}) | more for key, more in others.items()}

    def _that_ran(self, units: tuple[Unit, ...]) -> tuple[Unit, ...]:
        ran = tuple(unit for unit in units if _ran(unit))
        if len(ran) < len(units):
            self.not_running += [LeftAlone(unit=unit.id, why="was not running") for unit in units if not _ran(unit)]
        return ran

    def _refuse_claimed(self, units: tuple[Unit, ...], owners: dict[tuple[str | None, str | None], str]) -> None:
        """Two patterns may match one service, which only the live state tells; a draft has seen to the rest."""
        for unit in units:
            owner = owners.setdefault((unit.host, unit.scm_name), unit.id)
            if owner != unit.id:
                self.reasons.append(refusals.claimed_twice(owner, unit))

    def check_allowed(self) -> None:
        """Raises BadInput if `--allow` names nothing that was chosen."""
        if self.choice.allow:
            known: set[str] = set()
            for _, instance in self.graph.instances(self.picked):
                literal = [asked.name for asked in instance.asked if not asked.pattern]
                known |= {name.casefold() for name in literal}
                if instance.host in self.excluded:
                    known |= {name.casefold() for name in (instance.id, *(named(instance, one) for one in literal))}
                else:
                    known |= {name for unit in self.census.units(instance) for name in vital.names_of(unit)}
            vital.check_allowed(self.choice.allow, known)

    def _refuse_vital(self, units: tuple[Unit, ...]) -> None:
        allowed = {name.casefold() for name in self.choice.allow}
        for unit in units:
            if unit.host is not None:
                host = self.census.host(unit.host)
                self.reasons += vital.vital_reasons(
                    unit, self.action, host, allowed=allowed, controller=self.controller
                )

    def _refuse_disabled(self, units: tuple[Unit, ...]) -> None:
        for unit in units:
            seen = unit.seen
            if seen is not None and seen.start_type is StartType.DISABLED:
                if self.action is Action.RESTART:
                    self.reasons.append(refusals.not_startable_again(unit))
                elif seen.state in DOWN:
                    self.reasons.append(refusals.disabled(unit))

    def _as_needed(self, entry: Entry, instance: Instance) -> Member:
        restart = self.action is Action.RESTART
        if unavailable(entry, instance, self.excluded):
            return _passing(instance)
        if entry.external:
            return (Role.PROBE, (_stand_in(instance),)) if instance.ready else _passing(instance)
        if not restart and instance.host in self.kept.get(entry.key, {}):
            return _passing(instance)
        units = self.census.units(instance)
        if instance.host not in self.picked.get(entry.key, NOWHERE):
            self._note_troubles(instance)
        if restart:
            units = tuple(unit for unit in units if _ran(unit))
        return (Role.PROBE, units) if units else _passing(instance)

    def _note_troubles(self, instance: Instance, *, but_missing: bool = False) -> None:
        troubles = self.census.troubles(instance)
        if troubles:
            self.reasons += [found.reason for found in troubles if not (but_missing and found.missing)]


def _ran(unit: Unit) -> bool:
    return unit.seen is not None and unit.seen.state not in DOWN


def _stand_in(instance: Instance) -> Unit:
    """The one unit of an instance whose SCM services are not looked at."""
    return Unit(id=instance.id, service=instance.service, host=instance.host, scm_name=None, instance=instance.id)


def _passing(instance: Instance) -> Member:
    return Role.PASS, (_stand_in(instance),)
