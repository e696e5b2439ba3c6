"""Reads a playbook's nodes into checked pieces, service by service, so that one mistake hides no other.

Nothing here needs the inventory: `domain.drafting` puts both together.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.errors import Mark, Mistake, Mistakes
from orchestrator.domain.playbook import including, longhand
from orchestrator.domain.playbook.between_shapes import BetweenShape
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.gate_shapes import GateShape, GateTiming
from orchestrator.domain.playbook.kind_reading import of_no_service, read_kind, refuse_bound
from orchestrator.domain.playbook.kind_shapes import KindShape
from orchestrator.domain.playbook.life_reading import (
    Hooks,
    check_hook_names,
    read_between,
    read_hooks,
    read_lasting,
    read_run_hooks,
)
from orchestrator.domain.playbook.life_shapes import HOOKS, LastingShape, MoveTiming, StopTiming
from orchestrator.domain.playbook.order import check_order
from orchestrator.domain.playbook.pieces import Piece, read_piece, refuse_empty, refuse_unknown, salvage_piece
from orchestrator.domain.playbook.policy_shapes import PolicyShape
from orchestrator.domain.playbook.shapes import (
    DEFAULT_TIMEOUT_S,
    EntryShape,
    HeadShape,
    NamesShape,
    PlaybookShape,
    SettingsShape,
)
from orchestrator.domain.results import RUN
from orchestrator.domain.templates import is_template
from orchestrator.domain.tree import Node

KEY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_FORMS = {name: info.annotation for name, info in PlaybookShape.model_fields.items()}
GATES = ("ready", "stopped", "prechecks", "drained", "ready_all")
NOT_EXTERNAL = (
    *("service", *KindShape.model_fields, "start", "stop", "max_parallel", "max_failures", "order", "dependents"),
    *("batch", "pause", "min_available", "prechecks", "drained", "ready_all", "min_healthy", "keep_down", *HOOKS),
)
"""What an external service can't say, for it is never acted on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One service as the playbook declares it. `head` is all that stands in no other piece.

    `gates` are its lists of gates and `hooks` its lists of hooks, by their keys, those that are empty left out. `kind`
    None: it is a service, or several.
    """

    key: str
    mark: Mark
    node: Node
    head: Piece[HeadShape]
    names: Piece[NamesShape]
    start: Piece[MoveTiming]
    stop: Piece[MoveTiming]
    gates: Mapping[str, tuple[Piece[GateShape], ...]]
    hooks: Hooks
    lasting: Piece[LastingShape] | None
    kind: Piece[KindShape] | None = None

    def dependency_mark(self, key: str) -> Mark:
        """Where the dependency on *key* stands."""
        node = self.node.at(["depends_on"])
        if isinstance(node.value, list):
            return next((item.mark for item in node.value if item.value == key), node.mark)
        return node.key_mark(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """What the file says, as far as it is right.

    `inventory` are paths as written: relative to the playbook's folder. `mistakes` are all that can be told without an
    inventory; `draft` raises them together with its own, so whoever does not get that far must raise them. `policy`
    None: nothing is said of it. `whole` False: a fragment could not be read, so nothing can be said of what may be
    missing; it must not be drafted.
    """

    file: str
    inventory: tuple[str, ...]
    inventory_mark: Mark
    settings: Piece[SettingsShape]
    policy: Piece[PolicyShape] | None
    hooks: Hooks
    between: tuple[Piece[BetweenShape], ...]
    vars: Mapping[str, Node]
    services: tuple[Declared, ...]
    mistakes: tuple[Mistake, ...]
    whole: bool = True


def read_playbook(node: Node, fragments: Sequence[Node] = (), missing: Sequence[Mistake] = ()) -> Playbook:
    """Read what a YAML file holds, and the *fragments* that it includes, those first that it includes first.

    *missing* are the mistakes of fragments that could not be read. All mistakes are collected in the result.

    Raises:
        Mistakes: it is no mapping at all.
    """
    if not isinstance(node.value, dict):
        right = "a playbook is a mapping: `services:` and below it one entry for each service"
        raise Mistakes([*missing, Mistake(node.mark, f"this is {node.kind}, not a playbook", right)])
    found = Findings()
    found.extend(tuple(missing))
    top = longhand.given(node)
    files = [*including.readable(fragments, found), node]
    whole = not missing and len(files) == len(fragments) + 1
    for file in files:
        for key, child in longhand.given(file).items():
            refuse_empty(child, _FORMS.get(key), found)
    defaults = including.defaults(files, found)
    variables = including.variables(files, found)
    services = list(including.services(files, found))
    if not services and whole and not isinstance(top.get("services", node).value, list | str):
        found.add(node.key_mark("services"), "the playbook has no services", "write `services:` and one entry for each")
    declared = tuple(_declared(listed, key, child, defaults, found) for listed, key, child in services)
    if whole:
        check_order(
            {entry.key: list(entry.head.plain.get("depends_on", {})) for entry in declared},
            lambda key, dependency: _mark_of(declared, key, dependency),
            found,
        )
    inventory = top.get("inventory")
    sources = _texts(inventory)
    for one in sources:
        if is_template(str(one.value)):
            found.add(one.mark, "the inventory's path can't hold a template", "write the path, or use --inventory")
    return Playbook(
        file=node.file,
        inventory=tuple(str(one.value) for one in sources),
        inventory_mark=inventory.mark if inventory else node.mark,
        settings=_settings(node, top, found),
        policy=_policy(node, top, found),
        hooks=read_run_hooks(top["hooks"], found) if "hooks" in top else {},
        between=read_between(top["restart"], found) if "restart" in top else (),
        vars=variables,
        services=declared,
        mistakes=found.mistakes,
        whole=whole,
    )


def _texts(node: Node | None) -> Sequence[Node]:
    """The texts that *node* lists; it may be one by itself."""
    listed = [] if node is None else node.value if isinstance(node.value, list) else [node]
    return [one for one in listed if isinstance(one.value, str) and one.value]


def _mark_of(declared: tuple[Declared, ...], key: str, dependency: str) -> Mark:
    return next(entry for entry in declared if entry.key == key).dependency_mark(dependency)


def _settings(node: Node, top: Mapping[str, Node], found: Findings) -> Piece[SettingsShape]:
    refuse_unknown(node, PlaybookShape, found)
    plain = {key: child.plain() for key, child in top.items() if key in SettingsShape.model_fields}
    if is_template(str(plain.get("inventory", ""))):
        del plain["inventory"]
    elif "inventory" in plain and not isinstance(plain["inventory"], list):
        plain["inventory"] = [plain["inventory"]]
    return salvage_piece(SettingsShape, node, plain, found)


def _policy(node: Node, top: Mapping[str, Node], found: Findings) -> Piece[PolicyShape] | None:
    given = {key: child for key, child in top.items() if key in PolicyShape.model_fields}
    return salvage_piece(PolicyShape, node, longhand.policy(given), found) if given else None


def _declared(services: Node, key: str, node: Node, defaults: including.Defaults, found: Findings) -> Declared:
    mark = services.key_mark(key)
    if not KEY.fullmatch(key):
        found.add(
            mark,
            f"{key!r} can't be a service's key",
            "use letters, digits, `_`, `.` and `-`; `service:` takes any name",
        )
    given = longhand.mapping(node, key, found) if node.value is not None else {}
    if key == RUN and ("ready_all" in given or "hosts" not in given):
        found.add(mark, f"{RUN!r} is the run itself in reports", "give it another key; `service:` takes any name")
    head = _head(node, given, found)
    kind = read_kind(key, node, given, found)
    if kind is not None:
        defaults = of_no_service(defaults)
    gates = {name: _gates(given[name], name, defaults, found) for name in GATES if name in given}
    hooks = {name: read_hooks(given[name], name, found) for name in HOOKS if name in given}
    check_hook_names(hooks, found)
    if kind is not None:
        refuse_bound(gates.get("ready", ()), found)
    names = longhand.services(given["service"]) if "service" in given else [key]
    entry = Declared(
        key=key,
        mark=mark,
        node=node,
        head=head,
        names=read_piece(NamesShape, node, {"service": names}, found),
        start=_move("start", node, given, defaults, found),
        stop=_move("stop", node, given, defaults, found),
        gates=gates,
        hooks=hooks,
        lasting=read_lasting(node, given, defaults, found),
        kind=kind,
    )
    _check_external(entry, given, found)
    return entry


def _head(node: Node, given: Mapping[str, Node], found: Findings) -> Piece[HeadShape]:
    refuse_unknown(node, EntryShape, found)
    long: dict[str, Any] = {key: longhand.plain(child) for key, child in given.items() if key in HeadShape.model_fields}
    if "hosts" in given:
        long["hosts"] = longhand.hosts(given["hosts"])
    if "depends_on" in given:
        long["depends_on"] = longhand.dependencies(given["depends_on"], found)
    if "batch" in long and not isinstance(long["batch"], list):
        long["batch"] = [long["batch"]]
    if long.get("batch") == []:
        found.add(given["batch"].mark, "`batch` holds no size", "write a number of instances such as 3, or 25%")
    if "pause" in given and "batch" not in given:
        found.add(
            node.key_mark("pause"),
            "`pause` without `batch`: there is nothing to pause between",
            "write `batch: 25%`, or leave `pause` out",
        )
    return salvage_piece(HeadShape, node, long, found)


def _check_external(entry: Declared, given: Mapping[str, Node], found: Findings) -> None:
    if entry.head.fixed is None or ("external" in given and "external" not in entry.head.plain):
        return  # neither true nor false: told already
    if entry.head.fixed.external:
        _refuse_acting(entry, given, found)
        if "ready" not in given and "stopped" not in given:
            found.add(
                entry.mark,
                f"{entry.key!r} is external and has no gate",
                "write `ready: [ { tcp: { host: ..., port: ... } } ]`",
            )
    elif "hosts" not in given:
        found.add(
            entry.mark,
            f"{entry.key!r} says no hosts",
            "write `hosts:` and a host, a group or a pattern of the inventory",
        )


def _refuse_acting(entry: Declared, given: Mapping[str, Node], found: Findings) -> None:
    """Tell of what an external service can't say."""
    for key in NOT_EXTERNAL:
        if key in given:
            right = "remove it, or `external: true`" + (
                "; a gate may say `service: { name: ... }`" * (key == "service")
            )
            found.add(
                entry.node.key_mark(key), f"{entry.key!r} is external, never acted on: `{key}` says nothing", right
            )
    for gate in entry.gates.get("ready", ()):
        if gate.plain.get("bound") not in (None, False):
            mark = gate.node.at(["bound"]).mark
            found.add(mark, f"{entry.key!r} is external: no process is its own", "leave `bound` out")


def _move(
    name: str, node: Node, given: Mapping[str, Node], defaults: including.Defaults, found: Findings
) -> Piece[MoveTiming]:
    own = longhand.mapping(given.get(name), name, found)
    common = {**defaults.get("timeout", {}), **defaults.get(name, {})}
    borrowed = {key: child for key, child in common.items() if key not in own}
    plain = {key: longhand.plain(child) for key, child in {**borrowed, **own}.items()}
    timing = {"timeout": DEFAULT_TIMEOUT_S, **plain}
    model = MoveTiming  # most say no more; another validator takes milliseconds to build
    if name == "stop" and not plain.keys() <= MoveTiming.model_fields.keys():
        model = StopTiming
        longhand.listed(timing, "kill_shared")
    return read_piece(model, given.get(name, node), timing, found, borrowed)


def _gates(node: Node, name: str, defaults: including.Defaults, found: Findings) -> tuple[Piece[GateShape], ...]:
    if not isinstance(node.value, list):
        found.add(node.mark, f"{name!r} is {node.kind}, not a list of gates", f"write `{name}: [ {{ tcp: 1433 }} ]`")
        return ()
    common = defaults.get("gate", {})
    gates: list[Piece[GateShape]] = []
    for item in node.value:
        long = longhand.gate(item, found)
        if long is None:
            continue
        if name != "ready" and long.get("bound") not in (None, False):
            right = "leave it out: it holds for gates of `ready`"
            found.add(item.at(["bound"]).mark, f"`bound` says nothing under `{name}`", right)
        borrowed = {key: child for key, child in common.items() if key in GateTiming.model_fields and key not in long}
        plain = {**{key: child.plain() for key, child in borrowed.items()}, **long}
        gates.append(read_piece(GateShape, item, plain, found, borrowed))
    return tuple(gates)
