"""Reads what an entry says that is no service, and tells of what only a service can say."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain.playbook import longhand
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.gate_shapes import GateShape
from orchestrator.domain.playbook.including import Defaults
from orchestrator.domain.playbook.kind_shapes import KindShape
from orchestrator.domain.playbook.pieces import Piece, read_piece
from orchestrator.domain.tree import Node

OF_SERVICES = ("keep_down", "dependents")
"""What only a service has: start types, recovery actions and triggers; dependents that Windows knows of."""
OF_PROCESSES = ("max_timeout", "if_stuck", "kill_shared")
"""What a stop can only be told of something with a process and checkpoints."""
LISTS = (("read", "running"), ("read", "stopped"), ("start", "exit_code"), ("stop", "exit_code"))


def read_kind(key: str, node: Node, given: Mapping[str, Node], found: Findings) -> Piece[KindShape] | None:
    """Which object the entry *key* is; None if it is a service."""
    said = [one for one in KindShape.model_fields if one in given]
    if not said:
        return None
    others = [*said[1:], *(["service"] if "service" in given else [])]
    for other in others:
        wrong = f"an entry is one thing, and {key!r} is `{said[0]}` already"
        found.add(node.key_mark(other), wrong, "write an entry of its own for each")
    _refuse_of_services(node, given, found)
    plain: dict[str, Any] = {said[0]: longhand.plain(given[said[0]])}
    if isinstance(plain.get("command"), dict):
        for part, listed in LISTS:
            longhand.listed(plain["command"].get(part), listed)
    return read_piece(KindShape, node, plain, found)


def _refuse_of_services(node: Node, given: Mapping[str, Node], found: Findings) -> None:
    places: list[tuple[Node, Mapping[str, Node], tuple[str, ...]]] = [(node, given, OF_SERVICES)]
    if "stop" in given:
        places.append((given["stop"], longhand.given(given["stop"]), OF_PROCESSES))
    for place, keys, refused in places:
        for key in refused:
            if key in keys:
                found.add(place.key_mark(key), f"`{key}` says nothing of what is no service", "leave it out")


def of_no_service(defaults: Defaults) -> Defaults:
    """The *defaults* that hold for what is no service."""
    return {
        key: {one: child for one, child in said.items() if not (key == "stop" and one in OF_PROCESSES)}
        for key, said in defaults.items()
        if key not in OF_SERVICES
    }


def refuse_bound(gates: Sequence[Piece[GateShape]], found: Findings) -> None:
    """Tell of gates whose port nobody can be seen to own."""
    for gate in gates:
        if gate.plain.get("bound") not in (None, False):
            mark = gate.node.at(["bound"]).mark
            found.add(mark, "`bound` looks for the process of a service, and this is none", "leave `bound` out")
