"""The plan: a draft, a choice and the live state, put together or refused."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial

from orchestrator.domain.draft import Draft, Entry, Instance
from orchestrator.domain.errors import Problem
from orchestrator.domain.plan import Action, LeftAlone, Plan, Role, Stage, Unit
from orchestrator.domain.planning import dependents, refusals, vital
from orchestrator.domain.planning import members as to_be
from orchestrator.domain.planning.between import done_between
from orchestrator.domain.planning.census import Census, named, problem_in_words
from orchestrator.domain.planning.choice import STARTING, STOPPING, Choice, choose, named_units, scm_name_of
from orchestrator.domain.planning.graph import (
    NOWHERE,
    EntryGraph,
    Hosts,
    HostsOf,
    downstream,
    entry_graph,
    upstream,
    without,
)
from orchestrator.domain.planning.left_alone import Why, keep_off, unavailable
from orchestrator.domain.planning.members import Members, ran
from orchestrator.domain.planning.policy import policy_of
from orchestrator.domain.planning.refusals import PlanRefused, Reason
from orchestrator.domain.planning.rolling import counted_beside, refused, rolling
from orchestrator.domain.planning.stages import Member, Riders, checks_before, stage
from orchestrator.domain.service import DOWN, ServiceStatus, StartType, State
from orchestrator.domain.survey import Survey
from orchestrator.domain.way_back import held_words


def build(
    draft: Draft,
    choice: Choice,
    action: Action,
    survey: Survey,
    *,
    before: Sequence[Unit] = (),
    excluded: AbstractSet[str] = frozenset(),
    controller: AbstractSet[str] = frozenset(),
) -> Plan:
    """The plan of a stop, start, restart or restore, with the live state frozen into it, and the way back of it.

    A restart is two stages, or one if the *choice* is a rolling one.

    *excluded* are the unreachable hosts that the run does without: they and what cannot do without them are left alone.
    *controller* are the hosts that are the machine that we run on. A restart acts on what was running (pending starts
    and paused ones count) and on nothing else; what was not running before is not needed after. A restore brings the
    chosen units to where the snapshot *before* has them: it stops what runs and did not, then starts what ran.

    Raises:
        BadInput: as `choice.chosen`; or `--allow` names nothing that was chosen.
        PlanRefused: the live state does not allow it; carries every reason.
    Cost: O(instances + edges).
    """
    if action not in (*STOPPING, *STARTING):
        raise ValueError(f"a {action} is not planned from a playbook")
    graph = entry_graph(draft)
    picked = choose(graph, choice, action)
    kept = keep_off(graph, picked, choice, action, excluded)
    was = {unit.id: unit for unit in before}
    work = _Work(graph, choice, action, picked, kept, excluded, controller, Census(survey), was, named_units(choice))
    work.check_allowed()
    work.find_acting()
    if choice.rolling:
        work.reasons += refused(draft, graph, work.census, work.up, choice)
    else:
        work.take_in_dependents()
    start = work.starting() if work.starts else {}
    if work.stops and not (choice.rolling or choice.ignore_dependents):
        work.refuse_running_dependents()
    if work.reasons:
        raise PlanRefused(action, work.reasons)
    stages = work.rolled(draft, start) if choice.rolling else work.staged(draft, start)
    return Plan(
        name=draft.name,
        action=action,
        stages=tuple(stages),
        left_alone=tuple(work.left_alone()),
        ignored=work.ignored() if work.stops and choice.ignore_dependents and not choice.rolling else (),
        poll_s=draft.poll_s,
        policy=policy_of(draft, action, stages),
        back=tuple(work.back(draft)),
        hooks=draft.hooks,
        taken_in=tuple(work.taken_in),
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
    before: Mapping[str, Unit]
    named: Mapping[str, Sequence[str]]
    reasons: list[Reason] = field(default_factory=list)
    down: dict[str, dict[str, Member]] = field(default_factory=dict)
    """Who acts in the stop stage, and `stops` where."""
    stops: HostsOf = field(default_factory=dict)
    up: dict[str, dict[str, Member]] = field(default_factory=dict)
    """Who acts in the start stage, and `starts` where."""
    starts: HostsOf = field(default_factory=dict)
    untouched: list[LeftAlone] = field(default_factory=list)
    taken_in: dict[str, Unit] = field(default_factory=dict)
    """What is stopped and started because what it needs is, by id, and `riders` what each needs."""
    riders: Riders = field(default_factory=dict)

    def find_acting(self) -> None:
        """Settle who acts, from the choice and the readings."""
        acting = without(self.picked, {key: why.keys() for key, why in self.kept.items()})
        owners: dict[tuple[str | None, str | None], str] = {}
        for entry, instance in self.graph.instances(acting):
            units = self._chosen(instance)
            if any(asked.pattern for asked in instance.asked):
                self._refuse_claimed(units, owners)
            down, up = self._parted(units)
            restart = self.action is Action.RESTART
            if down:
                self.down.setdefault(entry.key, {})[instance.id] = (Role.ACT, down)
                self._refuse_vital(down, Action.RESTART if restart else Action.STOP)
            if up:
                self.up.setdefault(entry.key, {})[instance.id] = (Role.ACT, up)
                if not restart:
                    self._refuse_vital(up, Action.START)
                self._refuse_disabled(instance, up)
        whole = self.action in (Action.STOP, Action.START)
        if self.action in STOPPING:
            self.stops = acting if whole else to_be.hosts_of(self.graph, self.down)
        if self.action in STARTING:
            self.starts = acting if whole else to_be.hosts_of(self.graph, self.up)

    def take_in_dependents(self) -> None:
        """Take in what runs beside the playbook's services and needs them, or refuse to stop them under it."""
        in_the_way: dict[tuple[str, tuple[str, ...], str], list[dependents.Dependent]] = {}
        for one in dependents.undeclared(self.graph, self.census, self.down):
            if isinstance(one.found, Problem) or one.refused_by:
                why = _in_words(one.found)
                keys = one.refused_by or (one.entry.key,)
                in_the_way.setdefault((one.name, keys, why), []).append(one)
                continue
            instance = next(item for item in one.entry.instances if item.id == one.instance)
            self._take_in(instance, self.census.riding(instance, one.found))
        if not self.choice.ignore_dependents:
            for (name, keys, why), found in in_the_way.items():
                units = dict.fromkeys(unit.id for one in found for unit in one.needs if unit.service in keys)
                hosts = [one.host for one in found]
                self.reasons.append(refusals.would_be_in_the_way(tuple(units), hosts, name, keys, why))
        self.riders = dependents.riders(self.taken_in, self.down, self.up)

    def _take_in(self, instance: Instance, unit: Unit) -> None:
        both = self.action is Action.RESTART
        for members in (self.down, self.up) if both else (self.down,):
            role, units = members[unit.service][unit.instance]
            if unit.id not in self.taken_in:
                members[unit.service][unit.instance] = (role, (*units, unit))
        self.taken_in[unit.id] = unit
        self._refuse_vital((unit,), Action.RESTART if both else Action.STOP)
        if both:
            self._refuse_disabled(instance, (unit,))

    def refuse_running_dependents(self) -> None:
        """Refuse to pull what runs outside the choice from under it."""
        outside = self._dependents()
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
            stopped = [other for other in self.stops if other in above and other != key]
            self.reasons.append(refusals.would_pull_from_under(up_here, stopped, self.choice, self.action))

    def ignored(self) -> tuple[str, ...]:
        """Who needs what is stopped and is not asked about it."""
        return tuple(instance.id for entry, instance in self.graph.instances(self._dependents()) if not entry.external)

    def starting(self) -> Members:
        """The members of the start stage."""
        return to_be.starting(self.graph, self.up, self.starts, self._as_needed)

    def staged(self, draft: Draft, start: Members) -> list[Stage]:
        """The stages of anything but a rolling restart; *start* are the members of its start stage."""
        stages: list[Stage] = []
        if self.stops or self.action in (Action.STOP, Action.RESTART):
            members = to_be.stopping(self.graph, self.down, self.stops)
            stop = stage(draft, self.graph, State.STOPPED, members, first=True, riders=self.riders)
            checks = checks_before(draft, stop)
            stages += [stop] if checks is None else [checks, stop]
            if self.action is Action.RESTART and draft.between:
                stages += done_between(draft, stop)
        if self.starts or self.action in (Action.START, Action.RESTART):
            first = self.action is not Action.RESTART
            stages.append(stage(draft, self.graph, State.RUNNING, start, first=first, riders=self.riders))
        return stages

    def rolled(self, draft: Draft, start: Members) -> list[Stage]:
        """The stages of a rolling restart: its one, behind the prechecks."""
        ways = rolling(draft, self.graph, self.up)
        stop = stage(draft, self.graph, State.RUNNING, start, first=False, rolling=ways)
        checks = checks_before(draft, stop)
        stop = replace(stop, others=tuple(counted_beside(self.graph, self.census, ways.rolls, stop.nodes)))
        return [stop] if checks is None else [checks, stop]

    def back(self, draft: Draft) -> Iterable[Stage]:
        """The stages that would put every acting unit where it was seen: the forward ones turned round.

        A restart that is not rolling is put back by its own second stage. On the way back up only what is known to have
        run is looked at.
        """
        if self.action is Action.RESTART and not self.choice.rolling:
            return
        started, stopped = to_be.acting_if(self.up, lambda unit: not ran(unit)), to_be.acting_if(self.down, ran)
        if started:
            acting = to_be.hosts_of(self.graph, started)
            members = to_be.stopping(self.graph, started, acting)
            yield stage(draft, self.graph, State.STOPPED, members, first=False, bare=True, riders=self.riders)
        if stopped:
            acting = to_be.hosts_of(self.graph, stopped)
            known = {host for here in self.picked.values() for host in here}
            members = to_be.starting(self.graph, stopped, acting, partial(self._as_needed_again, known))
            yield stage(draft, self.graph, State.RUNNING, members, first=False, bare=True, riders=self.riders)

    def left_alone(self) -> Iterable[LeftAlone]:
        """The chosen units that nobody touches, by unit where the units are known."""
        for entry, instance in self.graph.instances({key: why.keys() for key, why in self.kept.items()}):
            why = self.kept[entry.key][instance.host]
            units = () if instance.host in self.excluded else self.census.units(instance)
            yield from (LeftAlone(unit=name, why=why) for name in [unit.id for unit in units] or [instance.id])
        yield from self.untouched

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

    def _chosen(self, instance: Instance) -> tuple[Unit, ...]:
        """The units of *instance* that were chosen."""
        units = self.census.units(instance)
        if self.choice.units is None:
            self._note_troubles(instance)
            return units
        named_here = self.named.get(instance.id, ())
        lost = set(named_here) - {unit.id for unit in units}
        beside = [unit for one in sorted(lost) if (unit := self._beside(instance, one)) is not None]
        lost -= {unit.id for unit in beside}
        if lost:
            why = {found.unit: found.reason for found in self.census.troubles(instance)}
            whole = why.get(instance.id)
            self.reasons += [
                why.get(one) or whole or refusals.gone(one, instance.host) for one in named_here if one in lost
            ]
        return (*(unit for unit in units if unit.id in self.choice.units), *beside)

    def _beside(self, instance: Instance, name: str) -> Unit | None:
        """The unit *name* of a snapshot, if it is one that was stopped with *instance* and is no service of its own."""
        if instance.host is None or not scm_name_of(name):
            return None
        found = self.census.beside(instance.host, scm_name_of(name))
        if not isinstance(found, ServiceStatus):
            return None
        unit = self.census.riding(instance, found)
        self.taken_in[unit.id] = unit
        return unit

    def _parted(self, units: tuple[Unit, ...]) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
        """Which of *units* are stopped, and which are started."""
        match self.action:
            case Action.STOP:
                return units, ()
            case Action.START:
                return (), units
            case Action.RESTART:
                running = tuple(unit for unit in units if ran(unit))
                if len(running) < len(units):
                    self._leave((unit for unit in units if not ran(unit)), "was not running")
                return running, running
            case _:
                before = {unit.id: self.before.get(unit.id) for unit in units}
                self._leave((unit for unit in units if before[unit.id] is None), "is not in the snapshot")
                self.untouched += [
                    LeftAlone(unit=one, why=why)
                    for one, was in before.items()
                    if was is not None and (why := held_words(was))
                ]
                known = [(unit, ran(was)) for unit in units if (was := before[unit.id]) is not None and was.seen]
                return tuple(u for u, up in known if not up and ran(u)), tuple(u for u, up in known if up)

    def _leave(self, units: Iterable[Unit], why: str) -> None:
        self.untouched += [LeftAlone(unit=unit.id, why=why) for unit in units]

    def _dependents(self) -> HostsOf:
        """Who needs what is stopped, outside of the choice; of a restore, all who are not stopped with it."""
        with_it = self.picked
        if self.action is Action.RESTORE:
            with_it = self.stops
        return without(downstream(self.graph, self.stops), with_it)

    def _refuse_claimed(self, units: tuple[Unit, ...], owners: dict[tuple[str | None, str | None], str]) -> None:
        """Two patterns may match one service, which only the live state tells; a draft has seen to the rest."""
        for unit in units:
            owner = owners.setdefault((unit.host, unit.scm_name), unit.id)
            if owner != unit.id:
                self.reasons.append(refusals.claimed_twice(owner, unit))

    def _refuse_vital(self, units: tuple[Unit, ...], action: Action) -> None:
        allowed = {name.casefold() for name in self.choice.allow}
        for unit in units:
            if unit.host is not None:
                host = self.census.host(unit.host)
                self.reasons += vital.vital_reasons(unit, action, host, allowed=allowed, controller=self.controller)

    def _refuse_disabled(self, instance: Instance, units: tuple[Unit, ...]) -> None:
        for unit in units:
            seen, restart = unit.seen, self.action is Action.RESTART
            if seen is None or seen.start_type is not StartType.DISABLED or not (restart or seen.state in DOWN):
                continue
            kept = self.census.kept_down(unit)
            if kept is None:
                self.reasons.append((refusals.not_startable_again if restart else refusals.disabled)(unit))
            elif instance.start_life is None or not instance.start_life.keep_down:
                self.reasons.append(refusals.kept_down(unit, kept))

    def _as_needed(self, entry: Entry, instance: Instance) -> Member:
        """How a start looks at what it needs and does not start. What did not run before a restart is not needed."""
        if unavailable(entry, instance, self.excluded):
            return to_be.passing(instance)
        if entry.external:
            return to_be.external(instance)
        if self.action is Action.START and instance.host in self.kept.get(entry.key, {}):
            return to_be.passing(instance)
        units = self.census.units(instance)
        if instance.host not in self.picked.get(entry.key, NOWHERE):
            self._note_troubles(instance)
        if self.action is not Action.START:
            _, gone = self.down.get(entry.key, {}).get(instance.id, (Role.ACT, ()))
            units = tuple(unit for unit in units if ran(unit) and unit not in gone)
        return to_be.looked_at(instance, units)

    def _as_needed_again(self, known: Hosts, entry: Entry, instance: Instance) -> Member:
        """How a way back up looks at what it needs: *known* are the hosts that were asked in any case."""
        if unavailable(entry, instance, self.excluded):
            return to_be.passing(instance)
        if entry.external:
            return to_be.external(instance)
        units = self.census.units(instance) if instance.host in known else ()
        return to_be.looked_at(instance, tuple(unit for unit in units if ran(unit)))

    def _note_troubles(self, instance: Instance, *, but_missing: bool = False) -> None:
        troubles = self.census.troubles(instance)
        if troubles:
            self.reasons += [found.reason for found in troubles if not (but_missing and found.missing)]


def _in_words(found: ServiceStatus | Problem) -> str:
    return f"is {found.state}" if isinstance(found, ServiceStatus) else f"can't be read ({problem_in_words(found)})"
