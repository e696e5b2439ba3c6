"""Reads what a playbook says of lives beyond start and stop: hooks of services and of the run, and patience."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain.errors import Mark
from orchestrator.domain.gates import Origin
from orchestrator.domain.playbook import longhand
from orchestrator.domain.playbook.between_shapes import BetweenShape, RestartShape
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.life_shapes import HookShape, LastingShape, RunHooksShape
from orchestrator.domain.playbook.pieces import Piece, keys_of, read_piece, refuse_unknown
from orchestrator.domain.tree import Node

Hooks = Mapping[str, tuple[Piece[HookShape], ...]]
"""Lists of hooks by their keys. Every hook that is right has a name: its own, or `pre_stop.1` by its place."""
ON_BEGIN, ON_END, ON_FAILURE = RunHooksShape.model_fields


def read_hooks(node: Node, name: str, found: Findings, **said: str) -> tuple[Piece[HookShape], ...]:
    """The hooks of the list *node*, which has the key *name*. *said* holds for those that say nothing else."""
    if not isinstance(node.value, list):
        right = f"write `{name}: [ {{ http: {{ url: ... }} }} ]`"
        found.add(node.mark, f"{name!r} is {node.kind}, not a list of hooks", right)
        return ()
    hooks: list[Piece[HookShape]] = []
    for number, item in enumerate(node.value, start=1):
        long = longhand.hook(item, found)
        if long is not None:
            hooks.append(read_piece(HookShape, item, {"name": f"{name}.{number}", **said, **long}, found))
    return tuple(hooks)


def read_run_hooks(node: Node, found: Findings) -> Hooks:
    """The hooks of the whole run."""
    given = longhand.mapping(node, "hooks", found)
    refuse_unknown(node, RunHooksShape, found)
    on_controller = {"from": str(Origin.CONTROLLER)}
    hooks = {
        name: read_hooks(given[name], name, found, **on_controller)
        for name in RunHooksShape.model_fields
        if name in given
    }
    for name in (ON_END, ON_FAILURE):
        for piece in hooks.get(name, ()):
            if "undo" in piece.plain:
                wrong = f"nothing takes back what `{name}` did: the run is over"
                found.add(piece.node.key_mark("undo"), wrong, f"leave `undo` out; that of `{ON_BEGIN}` is carried out")
    check_hook_names(hooks, found)
    return hooks


def read_between(node: Node, found: Findings) -> tuple[Piece[BetweenShape], ...]:
    """What a restart does between its stop and its start: the list `between` of the mapping *node*."""
    given = longhand.mapping(node, "restart", found)
    refuse_unknown(node, RestartShape, found)
    listed = given.get("between")
    if listed is None:
        return ()
    if not isinstance(listed.value, list):
        right = "write `between: [ { command: { exe: ... } }, { reboot: { timeout: 20m } } ]`"
        found.add(listed.mark, f"'between' is {listed.kind}, not a list", right)
        return ()
    pieces: list[Piece[BetweenShape]] = []
    for number, item in enumerate(listed.value, start=1):
        if isinstance(item.value, dict):
            long = {"name": f"between.{number}", **longhand.plain(item)}
            longhand.listed(long.get("command"), "exit_code")
            pieces.append(read_piece(BetweenShape, item, long, found))
        else:
            right = "write { command: { exe: ... } } or { reboot: { timeout: 20m } }"
            found.add(item.mark, f"what is done is a mapping, this is {item.kind}", right)
    check_hook_names({"between": pieces}, found)
    return tuple(pieces)


def check_hook_names(hooks: Mapping[str, Sequence[Piece[Any]]], found: Findings) -> None:
    """Each name may occur once: it is what the journal knows a hook by."""
    places: dict[str, Mark] = {}
    for pieces in hooks.values():
        for piece in pieces:
            name = piece.plain.get("name")
            if not isinstance(name, str):
                continue
            mark = piece.node.at(["name"]).mark
            if name in places:
                found.add(mark, f"there is a hook {name!r} already, at {places[name]}", "give each its own name")
            places.setdefault(name, mark)


def read_lasting(
    node: Node, given: Mapping[str, Node], defaults: Mapping[str, Mapping[str, Node]], found: Findings
) -> Piece[LastingShape] | None:
    """What is said of how long a service stays where it was brought; None if nothing is."""
    keys = keys_of(LastingShape)
    borrowed = {key: defaults[key][key] for key in keys if key in defaults and key not in given}
    own = {key: given[key] for key in keys if key in given}
    if not own and not borrowed:
        return None
    plain = {key: longhand.plain(child) for key, child in {**borrowed, **own}.items()}
    return read_piece(LastingShape, node, plain, found, borrowed)
