"""Puts playbook and inventory together: hosts chosen, templates rendered, every mistake told before a host is asked."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.domain.draft import Batches, Dependency, Draft, Entry, OnDependents, OnUnreachable
from orchestrator.domain.drafting.hooks import Hooks
from orchestrator.domain.drafting.instances import Instances
from orchestrator.domain.drafting.names import Names
from orchestrator.domain.drafting.objects import is_of_cluster
from orchestrator.domain.drafting.surroundings import Surroundings
from orchestrator.domain.drafting.uniqueness import Owners
from orchestrator.domain.errors import BadInput
from orchestrator.domain.gates import Origin
from orchestrator.domain.inventory.connection_variables import ZONE
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.patterns import select
from orchestrator.domain.life import Hook, RunHooks
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.life_reading import ON_BEGIN, ON_END, ON_FAILURE
from orchestrator.domain.playbook.reading import Declared, Playbook
from orchestrator.domain.playbook.shapes import HeadShape, SettingsShape
from orchestrator.domain.templates import Render

if TYPE_CHECKING:
    from orchestrator.domain.terms import Terms


def draft(
    playbook: Playbook,
    inventory: Inventory,
    render: Render,
    address_of: Callable[[str], str],
    *,
    notifies_by: Callable[[str], bool] = lambda _: True,
) -> Draft:
    """The whole playbook, resolved but not yet held against live state.

    *address_of* gives the address of a host of the inventory, by name; it is asked for every host of the draft, so
    that all their mistakes are told together. *notifies_by* says whether notices can be sent by a URL of that scheme;
    it is asked where the playbook has a notice.

    Raises:
        Mistakes: every mistake of the playbook, those found on reading it included.
    Cost: O(instances + edges); what holds no template is made once and shared.
    """
    return _Drafting(playbook, inventory, render, address_of, notifies_by).draft()


class _Placed(NamedTuple):
    """A service whose hosts are known. None among them stands for an external service without hosts. `ways` are further
    hosts that lead to the one thing that it is."""

    declared: Declared
    shape: HeadShape
    hosts: tuple[str | None, ...]
    ways: tuple[str, ...] = ()


class _Drafting:
    """One draft in the making."""

    def __init__(
        self,
        playbook: Playbook,
        inventory: Inventory,
        render: Render,
        address_of: Callable[[str], str],
        notifies_by: Callable[[str], bool],
    ) -> None:
        self._playbook = playbook
        self._inventory = inventory
        self._address_of = address_of
        self._notifies_by = notifies_by
        self._names = Names(render, playbook.vars, inventory, address_of)
        self._found = Findings()
        self._found.extend(playbook.mistakes)
        self._owners = Owners(self._found)
        self._around = Surroundings(render, address_of, self._resolve, self._found)
        self._instances = Instances(self._around, self._names, self._owners)

    def draft(self) -> Draft:
        settings = self._settings()
        placed = {one.declared.key: one for one in self._placed()}
        entries = tuple(self._entry(one, placed) for one in placed.values())
        self._owners.check_patterns()
        terms = self._terms(_acted_on(entries))
        hooks, between = self._hooks(), self._between()
        reached = _reached(entries)
        for host in reached:
            self._address_of(host)
        self._found.raise_if_any()
        return Draft(
            name=settings.name or _stem(self._playbook.file),
            entries=entries,
            hosts=reached,
            max_parallel=settings.max_parallel,
            max_parallel_per_host=settings.max_parallel_per_host,
            max_parallel_per_zone=settings.max_parallel_per_zone,
            unreachable=OnUnreachable(settings.unreachable),
            poll_s=settings.poll,
            hooks=hooks,
            between=between,
            terms=terms,
        )

    def _hooks(self) -> RunHooks:
        """The hooks of the whole run."""
        if not self._playbook.hooks:
            return RunHooks()
        context = self._names.of_playbook()

        def made(name: str) -> tuple[Hook, ...]:
            pieces = self._playbook.hooks.get(name, ())
            return Hooks(pieces, self._around).of_run(context)

        return RunHooks(begin=made(ON_BEGIN), end=made(ON_END), failure=made(ON_FAILURE))

    def _between(self) -> tuple[Hook, ...]:
        """What a restart does on each host between its stop and its start."""
        if not self._playbook.between:
            return ()
        from orchestrator.domain.drafting.between import between  # noqa: PLC0415  few playbooks say any

        return tuple(between(self._playbook.between, self._around.render, self._names.of_playbook(), self._found))

    def _terms(self, acted: Mapping[str, None]) -> "Terms | None":
        if self._playbook.policy is None and not any(ZONE in self._inventory.hosts[host].variables for host in acted):
            return None
        from orchestrator.domain.drafting.terms import TermsReader  # noqa: PLC0415  few playbooks say any

        reader = TermsReader(self._playbook, self._inventory, self._around.render, self._found, self._notifies_by)
        return reader.terms(self._names.of_playbook(), acted)

    def _resolve(self, host: str) -> str:
        """The address of what the playbook names: a host of the inventory, or anything else as it is."""
        return self._address_of(host) if host in self._inventory.hosts else host

    def _settings(self) -> SettingsShape:
        names = self._names.of_playbook()
        return self._playbook.settings.filled(self._around.render, names, self._found, None) or SettingsShape()

    def _placed(self) -> Iterator[_Placed]:
        for declared in self._playbook.services:
            head, names = declared.head, self._names.of(declared.key)
            shape = head.filled(self._around.render, names, self._found, None) or head.without_templates()
            if shape is not None:
                hosts = self._hosts(declared, shape)
                if is_of_cluster(declared):
                    yield _Placed(declared, shape, hosts[:1], tuple(host for host in hosts[1:] if host is not None))
                else:
                    yield _Placed(declared, shape, hosts)

    def _hosts(self, declared: Declared, shape: HeadShape) -> tuple[str | None, ...]:
        if shape.hosts is None:
            return (None,) if shape.external else ()
        mark = declared.node.at(["hosts"]).mark
        try:
            hosts = select(self._inventory, shape.hosts)
        except BadInput as error:
            self._found.add(mark, str(error), error.hint)
            return ()
        if not hosts:
            self._found.add(
                mark, f"no host of the inventory matches {shape.hosts!r}", "`orch inventory` lists hosts and groups"
            )
        return hosts

    def _entry(self, placed: _Placed, by_key: Mapping[str, _Placed]) -> Entry:
        self._check_count(placed)
        return Entry(
            key=placed.declared.key,
            instances=self._instances.of(placed.declared, placed.shape, placed.hosts, placed.ways),
            depends_on=tuple(self._dependencies(placed, by_key)),
            external=placed.shape.external,
            max_parallel=placed.shape.max_parallel,
            in_order=placed.shape.order is not None,
            max_failures=placed.shape.max_failures,
            ready_all=() if placed.shape.external else self._instances.once(placed.declared),
            dependents=OnDependents(placed.shape.dependents),
            batches=_batches(placed.shape),
            min_available=placed.shape.min_available,
        )

    def _check_count(self, placed: _Placed) -> None:
        """More instances than there are can't be up."""
        wanted, whole = placed.shape.min_available, len(placed.hosts)
        if wanted is not None and wanted.at_least(whole) > whole > 0 and not placed.shape.external:
            count = f"{whole} instance{'s' * (whole != 1)}"
            self._found.add(
                placed.declared.node.at(["min_available"]).mark,
                f"{wanted.most} instances of {placed.declared.key!r} would have to be up, but it has {count}",
                "fewer than it has, or a share of them such as 60%",
            )

    def _dependencies(self, placed: _Placed, by_key: Mapping[str, _Placed]) -> Iterator[Dependency]:
        for key, options in placed.shape.depends_on.items():
            yield Dependency(service=key, need=options.need, same_host=options.same_host, soft=options.soft)
            other = by_key.get(key)
            if other is None or not other.hosts or not placed.hosts:
                continue  # told already
            mark = placed.declared.dependency_mark(key)
            if options.need is not None and options.need > len(other.hosts):
                count = f"{len(other.hosts)} instance{'s' * (len(other.hosts) != 1)}"
                self._found.add(
                    mark,
                    f"{options.need} ready instances of {key!r} are needed, but it has {count}",
                    f"at most {len(other.hosts)}",
                )
            if options.same_host:
                there = set(other.hosts)
                for host in placed.hosts:
                    if host is None or host not in there:
                        where = host or "a service without hosts"
                        self._found.add(
                            mark,
                            f"`same_host`, but {key!r} does not run on the same host",
                            "widen its `hosts`, or leave `same_host` out",
                            host=where,
                        )


def _batches(shape: HeadShape) -> Batches | None:
    if not shape.batch:
        return None
    pause = shape.pause if isinstance(shape.pause, float) else 0.0
    return Batches(sizes=tuple(shape.batch), pause_s=pause, asks=isinstance(shape.pause, str))


def _acted_on(entries: Iterable[Entry]) -> dict[str, None]:
    """The hosts that runs may act on, each once, in playbook order."""
    instances = (instance for entry in entries if not entry.external for instance in entry.instances)
    return dict.fromkeys(instance.host for instance in instances if instance.host is not None)


def _reached(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The hosts that must be connected to, each once, in playbook order: those acted on, and those read by a gate."""
    reached: dict[str, None] = {}
    for entry in entries:
        for instance in entry.instances:
            if instance.host is None:
                continue
            if not entry.external or any(gate.origin is Origin.HOST for gate in instance.ready + instance.stopped):
                reached[instance.host] = None
                if instance.asked and instance.asked[0].ways:
                    reached |= dict.fromkeys(instance.asked[0].ways)
    return tuple(reached)


def _stem(file: str) -> str:
    """The file's name without folder and ending."""
    return re.split(r"[/\\]", file)[-1].partition(".")[0] or "playbook"
