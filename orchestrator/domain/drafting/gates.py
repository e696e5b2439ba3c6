"""Gates of the playbook, rendered and typed for one instance. A gate that is the same for every host is made once."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

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
from orchestrator.domain.secrets import CLOSE, OPEN
from orchestrator.domain.service import State
from orchestrator.domain.templates import Render

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Source: RFC 9110, 5.6.2."""
ITSELF = "localhost"
"""How a host calls itself, for a probe that runs there."""


class _OwnAddress(NamedTuple):
    """A tcp gate that looks at the unit's own host: all of it but the address."""

    port: int
    timing: Mapping[str, Any]

    def at(self, address: str) -> Gate:
        return Gate(check=TcpCheck(host=address, port=self.port), origin=Origin.CONTROLLER, **self.timing)


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
        self._made: dict[tuple[int, str], Gate | _OwnAddress] = {}
        self._same_everywhere = not any(piece.sites or _at_own_address(piece.fixed) for piece in pieces)
        self._shared: tuple[Gate, ...] | None = None

    def on(self, host: str | None, context: Mapping[str, object]) -> tuple[Gate, ...]:
        """The gates of the instance on *host*; those that are wrong are left out, and told."""
        if self._shared is not None:
            return self._shared
        gates = []
        for piece in self._pieces:
            made = self._made_of(piece, host, context)
            if isinstance(made, _OwnAddress):
                made = made.at(self._address_of(host or ""))
            if made is not None:
                gates.append(made)
        if self._same_everywhere:
            self._shared = tuple(gates)
        return tuple(gates)

    def _made_of(
        self, piece: Piece[GateShape], host: str | None, context: Mapping[str, object]
    ) -> Gate | _OwnAddress | None:
        """Made once for all hosts on which the templates, if there are any, give the same."""
        values = piece.rendered(self._render, context, self._found, host) if piece.sites else ()
        if values is None:
            return None
        known = id(piece), repr(values)
        if known not in self._made:
            shape = piece.shaped(values, self._found, host) if piece.sites else piece.fixed
            made = None if shape is None else self._typed(shape, piece, host)
            if made is None:
                return None
            self._made[known] = made
        return self._made[known]

    def _typed(self, shape: GateShape, piece: Piece[GateShape], host: str | None) -> Gate | _OwnAddress | None:
        try:
            self._check_place(shape, host)
        except Wrong as error:
            self._found.add(piece.node.mark, error.wrong, error.right, host=host if piece.sites else None)
            return None
        if shape.tcp and _at_own_address(shape):
            return _OwnAddress(shape.tcp.port, shape.timing)
        return Gate(check=self._check(shape, piece.node.file), origin=shape.origin, **shape.timing)

    def _check_place(self, shape: GateShape, host: str | None) -> None:
        self._check_compared(shape)
        self._check_headers(shape)
        if shape.service and not self._acted_on and not shape.service.name:
            right = "write `service: { name: ..., state: Running }`"
            raise Wrong("an external service has no SCM service of its own", right)
        if host is not None:
            return
        if shape.origin is Origin.HOST:
            wrong = f"this {shape.kind} gate is probed from the host, but the service has none"
            raise Wrong(wrong, "give the service `hosts:`")
        if _at_own_address(shape):
            raise Wrong(
                "this tcp gate has no host, and neither has the service", "write `tcp: { host: ..., port: ... }`"
            )

    @staticmethod
    def _check_compared(shape: GateShape) -> None:
        """What a host or a program prints is compared where secrets are not resolved."""
        wanted: list[object] = []
        if shape.command:
            wanted = [shape.command.text, shape.command.regex]
        elif shape.http and shape.origin is Origin.HOST:
            wanted = [shape.http.text, shape.http.regex, *(shape.http.json_ or {}).values()]
        if any(isinstance(text, str) and OPEN in text for text in wanted):
            raise Wrong(
                "a secret can't be looked for in what a program or a host prints",
                "look for other text; with `http` and `from: controller` a secret can be compared",
            )

    @staticmethod
    def _check_headers(shape: GateShape) -> None:
        """A name that is no token would be something else to whoever sends it: `@file` is one to curl."""
        for name, value in ((shape.http and shape.http.headers) or {}).items():
            if not _TOKEN.fullmatch(name):
                raise Wrong(f"{name!r} is no name of an HTTP header", "letters, digits and dashes")
            if not value.replace(OPEN, "").replace(CLOSE, "").replace("\t", "").isprintable():
                raise Wrong(f"the value of the header {name} holds a line break or another control character")

    def _check(self, shape: GateShape, file: str) -> Check:
        if shape.http:
            return _http(shape.http, file)
        if shape.tcp:
            return TcpCheck(host=self._resolve(shape.tcp.host) if shape.tcp.host else ITSELF, port=shape.tcp.port)
        if shape.port_closed:
            return PortClosedCheck(port=shape.port_closed.port)
        if shape.service:
            return ServiceCheck(state=State(shape.service.state), name=shape.service.name or "")
        assert shape.command is not None, "GateShape has exactly one check"
        return CommandCheck(
            exe=shape.command.exe,
            args=shape.command.args,
            exit_codes=shape.command.exit_code,
            text=shape.command.text,
            regex=shape.command.regex,
        )


def _at_own_address(shape: GateShape | None) -> bool:
    """Whether the gate looks from the controller at whatever host its unit is on."""
    return shape is not None and shape.tcp is not None and shape.tcp.host is None and shape.origin is Origin.CONTROLLER


def _http(gate: HttpGate, file: str) -> HttpCheck:
    return HttpCheck(
        url=gate.url,
        method=gate.method,
        status=gate.status,
        text=gate.text,
        regex=gate.regex,
        json=tuple((gate.json_ or {}).items()),
        headers=tuple((gate.headers or {}).items()),
        verify=gate.verify,
        ca=_beside(file, gate.ca) if gate.ca else "",
    )


def _beside(file: str, path: str) -> str:
    """*path* relative to the folder of *file*, unless it is absolute on any platform, or a secret's reference."""
    folder = max(file.rpartition("/")[0], file.rpartition("\\")[0], key=len)
    if not folder or not (path[0].isalnum() or path[0] == ".") or path[1:2] == ":":
        return path
    return f"{folder}/{path}"
