"""Gates of the playbook, rendered and typed for one instance. A gate that is the same for every host is made once."""

from collections.abc import Callable, Mapping, Sequence

from orchestrator.domain.gates import (
    Check,
    CommandCheck,
    Gate,
    HttpCheck,
    Origin,
    PortClosedCheck,
    ServiceCheck,
    TcpCheck,
)
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.pieces import Piece
from orchestrator.domain.playbook.shapes import GateShape, HttpGate
from orchestrator.domain.playbook.values import Wrong
from orchestrator.domain.service import State
from orchestrator.domain.templates import Render

ITSELF = "localhost"
"""How a host calls itself, for a probe that runs there."""


class Gates:
    """The `ready` or the `stopped` gates of one service.

    *address_of* gives a host's address; *resolve* turns what the playbook names into an address, be it a host of the
    inventory or not. *acted_on* False: the service is external, and no SCM service is its own.
    """

    def __init__(
        self,
        pieces: Sequence[Piece[GateShape]],
        render: Render,
        address_of: Callable[[str], str],
        resolve: Callable[[str], str],
        found: Findings,
        *,
        acted_on: bool,
    ) -> None:
        self._pieces = pieces
        self._render = render
        self._address_of = address_of
        self._resolve = resolve
        self._found = found
        self._acted_on = acted_on
        self._made: dict[int, Gate] = {}
        self._shared: tuple[Gate, ...] | None = None

    def on(self, host: str | None, context: Mapping[str, object]) -> tuple[Gate, ...]:
        """The gates of the instance on *host*; those that are wrong are left out, and told."""
        if self._shared is not None:
            return self._shared
        gates = tuple(gate for piece in self._pieces if (gate := self._gate(piece, host, context)) is not None)
        if len(gates) == len(self._pieces) and not any(
            piece.sites or _needs_address(piece.fixed) for piece in self._pieces
        ):
            self._shared = gates
        return gates

    def _gate(self, piece: Piece[GateShape], host: str | None, context: Mapping[str, object]) -> Gate | None:
        shape = piece.filled(self._render, context, self._found, host)
        if shape is None:
            return None
        made = self._made.get(id(shape))
        if made is None:
            try:
                self._check_place(shape, host)
                made = _typed(shape, self._check(shape, piece, host))
            except Wrong as error:
                self._found.add(piece.node.mark, error.wrong, error.right, host=host if piece.sites else None)
                return None
            if not _needs_address(shape):
                self._made[id(shape)] = made
        return made

    def _check_place(self, shape: GateShape, host: str | None) -> None:
        if shape.service and not self._acted_on and not shape.service.name:
            raise Wrong(
                "an external service has no SCM service of its own", "write `service: { name: ..., state: Running }`"
            )
        if host is not None:
            return
        if shape.origin is Origin.HOST:
            raise Wrong(
                f"this {shape.kind} gate is probed from the host, but the service has none", "give the service `hosts:`"
            )
        if _needs_address(shape):
            raise Wrong(
                "this tcp gate has no host, and neither has the service", "write `tcp: { host: ..., port: ... }`"
            )

    def _check(self, shape: GateShape, piece: Piece[GateShape], host: str | None) -> Check:
        if shape.tcp:
            if shape.tcp.host is not None:
                address = self._resolve(shape.tcp.host)
            else:
                address = ITSELF if shape.origin is Origin.HOST or host is None else self._address_of(host)
            return TcpCheck(host=address, port=shape.tcp.port)
        if shape.http:
            return _http(shape.http, piece.node.file)
        if shape.port_closed:
            return PortClosedCheck(port=shape.port_closed.port)
        if shape.service:
            return ServiceCheck(state=State(shape.service.state), name=shape.service.name or "")
        command = shape.command
        if command is None:
            raise AssertionError("GateShape has exactly one check")
        return CommandCheck(
            exe=command.exe,
            args=tuple(command.args),
            exit_codes=tuple(command.exit_code),
            text=command.text,
            regex=command.regex,
        )


def _needs_address(shape: GateShape | None) -> bool:
    return shape is not None and shape.tcp is not None and shape.tcp.host is None


def _typed(shape: GateShape, check: Check) -> Gate:
    return Gate(check=check, origin=shape.origin, **shape.timing)


def _http(gate: HttpGate, file: str) -> HttpCheck:
    return HttpCheck(
        url=gate.url,
        method=gate.method,
        status=tuple(gate.status),
        text=gate.text,
        regex=gate.regex,
        json=tuple(gate.json_.items()),
        headers=tuple(gate.headers.items()),
        verify=gate.verify,
        ca=_beside(file, gate.ca),
    )


def _beside(file: str, path: str) -> str:
    """*path* relative to the folder of *file*, unless it is absolute on any platform, or a secret's reference."""
    folder = max(file.rpartition("/")[0], file.rpartition("\\")[0], key=len)
    if not path or not folder or not (path[0].isalnum() or path[0] == ".") or path[1:2] == ":":
        return path
    return f"{folder}/{path}"
