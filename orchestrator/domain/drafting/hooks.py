"""Hooks of the playbook, rendered and typed, for one instance or for the whole run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.domain.drafting.checks import ITSELF, at_own_address, program, request, typed
from orchestrator.domain.drafting.surroundings import Surroundings
from orchestrator.domain.gates import CommandCheck, HttpCheck, Origin
from orchestrator.domain.life import Hook
from orchestrator.domain.playbook.life_shapes import DEFAULT_HOOK_TIMEOUT_S, Acts, HookShape
from orchestrator.domain.playbook.pieces import Piece
from orchestrator.domain.playbook.values import Wrong


class Hooks:
    """One list of hooks."""

    def __init__(self, pieces: Sequence[Piece[HookShape]], around: Surroundings) -> None:
        self._pieces = pieces
        self._around = around
        self.same_everywhere = not any(piece.sites or _at_own_address(piece.fixed) for piece in pieces)

    def on(self, host: str, context: Mapping[str, object]) -> tuple[Hook, ...]:
        """The hooks of the instance on *host*; those that are wrong are left out, and told."""
        return tuple(self._made(host, context))

    def of_run(self, context: Mapping[str, object]) -> tuple[Hook, ...]:
        """The hooks of the whole run; those that are wrong are left out, and told."""
        return tuple(self._made(None, context))

    def _made(self, host: str | None, context: Mapping[str, object]) -> Iterator[Hook]:
        for piece in self._pieces:
            shape = piece.filled(self._around.render, context, self._around.found, host)
            if shape is None:
                continue
            try:
                yield self._typed(shape, piece, host)
            except Wrong as error:
                self._around.found.add(piece.node.mark, error.wrong, error.right, host=host if piece.sites else None)

    def _typed(self, shape: HookShape, piece: Piece[HookShape], host: str | None) -> Hook:
        origin, file, own = shape.origin, piece.node.file, ITSELF
        if host is None and origin is Origin.HOST:
            raise Wrong("a run has no host: its hooks are carried out on the controller", "leave `from` out")
        if shape.check and at_own_address(shape.check, origin):
            if host is None:
                raise Wrong(
                    "this tcp check has no host, and neither has a run", "write `tcp: { host: ..., port: ... }`"
                )
            own = self._around.address_of(host)
        assert shape.name is not None, "whoever reads a hook names it"
        return Hook(
            name=shape.name,
            do=_act(shape.act, origin, file),
            origin=origin,
            undo=_act(shape.undo, origin, file) if shape.undo else None,
            check=typed(shape.check, origin, file, self._around.resolve, own) if shape.check else None,
            idempotent=shape.idempotent,
            timeout_s=shape.timeout or DEFAULT_HOOK_TIMEOUT_S,
        )


def undone(hooks: Sequence[Hook]) -> Iterator[Hook]:
    """The undos of *hooks*, turned round, as the way back carries them out."""
    for hook in reversed(hooks):
        if hook.undo is not None:
            yield replace(hook, undoes=True)


def _act(shape: Acts, origin: Origin, file: str) -> HttpCheck | CommandCheck:
    if shape.http:
        return request(shape.http, origin, file)
    assert shape.command is not None, "an act is one of both"
    return program(shape.command)


def _at_own_address(shape: HookShape | None) -> bool:
    return shape is not None and shape.check is not None and at_own_address(shape.check, shape.origin)
