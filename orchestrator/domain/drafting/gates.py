"""Gates of the playbook, rendered and typed for one instance. A gate that is the same for every host is made once."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.domain.drafting.checks import at_own_address, typed
from orchestrator.domain.drafting.surroundings import Surroundings
from orchestrator.domain.gates import Gate, Origin, TcpCheck
from orchestrator.domain.playbook.gate_shapes import CheckShape, GateShape
from orchestrator.domain.playbook.pieces import Piece
from orchestrator.domain.playbook.values import Wrong


class _OwnAddress(NamedTuple):
    """A tcp gate that looks at the unit's own host: all of it but the address."""

    port: int
    timing: Mapping[str, Any]

    def at(self, address: str) -> Gate:
        return Gate(check=TcpCheck(host=address, port=self.port), origin=Origin.CONTROLLER, **self.timing)


class Gates:
    """One list of gates of one service. *acted_on* False: it is external, and no SCM service is its own."""

    def __init__(self, pieces: Sequence[Piece[GateShape]], around: Surroundings, *, acted_on: bool) -> None:
        self._pieces = pieces
        self._around = around
        self._acted_on = acted_on
        self._made: dict[tuple[int, str], Gate | _OwnAddress] = {}
        self.same_everywhere = not any(piece.sites or _at_own_address(piece.fixed) for piece in pieces)
        self._shared: tuple[Gate, ...] | None = None

    def on(self, host: str | None, context: Mapping[str, object]) -> tuple[Gate, ...]:
        """The gates of the instance on *host*; those that are wrong are left out, and told."""
        if self._shared is not None:
            return self._shared
        gates = []
        for piece in self._pieces:
            made = self._made_of(piece, host, context)
            if isinstance(made, _OwnAddress):
                made = made.at(self._around.address_of(host or ""))
            if made is not None:
                gates.append(made)
        if self.same_everywhere:
            self._shared = tuple(gates)
        return tuple(gates)

    def _made_of(
        self, piece: Piece[GateShape], host: str | None, context: Mapping[str, object]
    ) -> Gate | _OwnAddress | None:
        """Made once for all hosts on which the templates, if there are any, give the same."""
        values = piece.rendered(self._around.render, context, self._around.found, host) if piece.sites else ()
        if values is None:
            return None
        known = id(piece), repr(values)
        if known not in self._made:
            shape = piece.shaped(values, self._around.found, host) if piece.sites else piece.fixed
            made = None if shape is None else self._typed(shape, piece, host)
            if made is None:
                return None
            self._made[known] = made
        return self._made[known]

    def _typed(self, shape: GateShape, piece: Piece[GateShape], host: str | None) -> Gate | _OwnAddress | None:
        timing = {**shape.timing, "bound": True} if shape.bound else shape.timing
        try:
            check = typed(shape, shape.origin, piece.node.file, self._around.resolve)
            check_place(shape, shape.origin, host, acted_on=self._acted_on)
        except Wrong as error:
            self._around.found.add(piece.node.mark, error.wrong, error.right, host=host if piece.sites else None)
            return None
        if shape.tcp and _at_own_address(shape):
            return _OwnAddress(shape.tcp.port, timing)
        return Gate(check=check, origin=shape.origin, **timing)


def check_place(shape: CheckShape, origin: Origin, host: str | None, *, acted_on: bool) -> None:
    """Raises Wrong for a check that has no place to look at. *host* None: there is none."""
    if shape.service and not acted_on and not shape.service.name:
        right = "write `service: { name: ..., state: Running }`"
        raise Wrong("an external service has no SCM service of its own", right)
    if host is not None:
        return
    if acted_on:
        if origin is Origin.HOST or at_own_address(shape, origin):
            wrong = f"this {shape.kind} gate looks at one host, and `ready_all` holds once for all of them"
            raise Wrong(wrong, "write it under `ready`, or say what it looks at from the controller")
    elif origin is Origin.HOST:
        wrong = f"this {shape.kind} gate is probed from the host, but the service has none"
        raise Wrong(wrong, "give the service `hosts:`")
    elif at_own_address(shape, origin):
        raise Wrong("this tcp gate has no host, and neither has the service", "write `tcp: { host: ..., port: ... }`")


def _at_own_address(shape: GateShape | None) -> bool:
    return shape is not None and at_own_address(shape, shape.origin)
